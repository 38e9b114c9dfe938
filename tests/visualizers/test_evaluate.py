"""The page of `evaluate`: its numbers against scikit-learn, its files, its words."""

import html
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from q2_aam.evaluation.scores import SCORES, Score
from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import assert_works_offline, categorical, numeric, predictions_of, read_page, read_table


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # q2templates leaves its temporary folder to the garbage collector, and asks setuptools for its files.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="q2templates")
        yield


def regression(n=40, seed=0):
    random = np.random.default_rng(seed)
    ids = [f"S{k:02d}" for k in range(n)]
    truth = random.normal(7, 1, n)
    predicted = truth + random.normal(0, 0.4, n)
    intervals = pd.DataFrame({"lower": predicted - 0.6, "upper": predicted + 0.6}, index=ids)
    novelty = pd.DataFrame({"asvs": 10, "unseen_read_share": random.random(n) / 3}, index=ids)
    groups = categorical({i: f"site {k % 5}" for k, i in enumerate(ids)}, "site")
    return ids, truth, predicted, intervals, novelty, groups



def test_regression_page_with_everything(tmp_path):
    ids, truth, predicted, intervals, novelty, groups = regression()
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        numeric(dict(zip(ids, truth, strict=True))),
        intervals,
        novelty,
        groups,
    )
    scores = read_table(tmp_path, "scores").set_index("score")
    expected = {
        "R²": metrics.r2_score(truth, predicted),
        "mean absolute error": metrics.mean_absolute_error(truth, predicted),
        "root mean squared error": np.sqrt(metrics.mean_squared_error(truth, predicted)),
        "Spearman correlation": pd.Series(truth).corr(pd.Series(predicted), method="spearman"),
        "share of true values inside the interval": np.mean(np.abs(truth - predicted) <= 0.6),
        "mean width of the intervals": 1.2,
    }
    for name, value in expected.items():
        assert scores.loc[name, "model"] == pytest.approx(value), name
    median = np.full(len(truth), np.median(truth))
    assert scores.loc["mean absolute error", "always_the_median"] == pytest.approx(
        metrics.mean_absolute_error(truth, median)
    )

    page = read_page(tmp_path)
    # Five sites: too few to draw anew.
    # What the model knows of the samples stands before how good it is.
    assert page.tables[0][0] == ["Sample", "Outside", "Reads in ASVs never met"]
    shown = {row[0]: [row[1], row[4]] for row in page.tables[1][1:]}
    assert all(row[2:4] == ["–", "–"] for row in page.tables[1][1:])
    assert "There are no intervals: they take 10 groups (or samples) or more, and 3 of each class." in page.text
    assert shown["R²"] == [f"{expected['R²']:.3f}", f"{metrics.r2_score(truth, median):.3f}"]
    assert shown["Spearman correlation"][1] == "–"
    error, bar = expected["mean absolute error"], metrics.mean_absolute_error(truth, median)
    assert "Better than always predicting the median: cannot tell." in page.text
    assert f"The predictions of 'ph' are off by {error:.3f} on average." in page.text
    assert f"would be off by {bar:.3f}. The model's error is {1 - error / bar:.0%} smaller." in page.text
    assert "40 samples with a prediction and a true value." in page.text
    assert "true value only" not in page.text
    # They came with novelty: not from `fit`.
    assert "If these predictions came with a model" not in page.text
    assert "Please note" not in page.text

    samples = read_table(tmp_path, "predictions")
    assert samples["sample-id"].tolist() == ids
    assert samples["true"].astype(float).to_numpy() == pytest.approx(truth)
    assert samples["error"].to_numpy() == pytest.approx(predicted - truth)
    by_group = read_table(tmp_path, "groups").set_index("group")
    chosen = np.array([k % 5 == 3 for k in range(len(ids))])
    assert by_group.loc["site 3", "mae"] == pytest.approx(np.mean(np.abs(predicted - truth)[chosen]))
    assert by_group.loc["site 3", "bias"] == pytest.approx(np.mean((predicted - truth)[chosen]))
    assert by_group["mae"].is_monotonic_decreasing
    worst = read_table(tmp_path, "largest_errors")["sample"].iloc[0]
    assert worst == ids[int(np.argmax(np.abs(predicted - truth)))]
    for name in ("predicted_against_true", "error_by_group", "error_against_novelty"):
        assert {f"./{name}.png", f"./{name}.svg"} <= set(page.links)
    assert_works_offline(tmp_path)


def test_regression_page_with_nothing_but_predictions(tmp_path):
    ids, truth, predicted, *_ = regression()
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        numeric(dict(zip(ids, truth, strict=True))),
    )
    page = read_page(tmp_path)
    assert "Groups" not in page.text and "Novelty" not in page.text and "prediction intervals" not in page.text
    assert "Better than always predicting the median: yes." in page.text
    assert "From and to: 95% intervals of the model's scores, with the 40 samples drawn anew." in page.text
    low, high = (float(cell) for cell in page.tables[0][1][2:4])
    assert low < metrics.r2_score(truth, predicted) < high < low + 0.6
    assert_works_offline(tmp_path)


def test_regression_no_better_than_the_median_says_no(tmp_path):
    truth = {f"S{k}": float(k) for k in range(30)}
    evaluate(str(tmp_path), predictions_of({i: 29 - v for i, v in truth.items()}), numeric(truth))
    page = read_page(tmp_path)
    assert "Better than always predicting the median: no." in page.text
    assert "The model's error is 100% larger." in page.text


def cautions_of(directory):
    """The sentences of the box, and the page's text without it."""
    written = (directory / "index.html").read_text(encoding="utf-8")
    box = re.search(r'<div class="cautions">.*?</div>', written, re.DOTALL)
    if not box:
        return [], written
    return [html.unescape(entry) for entry in re.findall("<li>(.*?)</li>", box[0])], written.replace(box[0], "")


def test_what_the_samples_cannot_tell_stands_in_a_box_of_its_own(tmp_path):
    """The classes of the samples that are evaluated count, not those of the whole metadata."""
    ids = [f"S{k:02d}" for k in range(60)]
    truth = {name: "<bog>" if k < 4 else "forest" if k < 32 else "heath" for k, name in enumerate(ids)}
    site = categorical({name: f"site {k // 4}" for k, name in enumerate(ids)}, "site")
    predicted, column = predictions_of(truth), categorical({**truth, **{f"T{k}": "<bog>" for k in range(50)}})
    alone, grouped = tmp_path / "alone", tmp_path / "grouped"
    for directory, groups in ((alone, None), (grouped, site)):
        directory.mkdir()
        evaluate(str(directory), predicted, column, groups=groups)
    small = (
        "1 of 3 classes of 'habitat' has fewer than 10 samples: <bog> (4). A model learns little from so few, and "
        "scores on so few are largely chance; so is balanced accuracy, in which such a class weighs as much as a large "
        "one. Add samples of it, merge it with a class that it resembles, or leave its samples out."
    )
    sentences, rest = cautions_of(alone)
    assert sentences == [small]
    assert "fewer than" not in rest and "Please note" not in rest
    sentences, rest = cautions_of(grouped)
    assert sentences[0] == small and len(sentences) == 3
    assert "60 samples are 15 independent values (<bog>: 1, forest: 7, heath: 7)" in sentences[1]
    assert sentences[2].startswith("1 of 3 classes of 'habitat' is in one group only of 'site': <bog> (site 0).")
    assert "independent" not in rest


def test_where_nothing_speaks_against_the_samples_there_is_no_box(tmp_path):
    truth = {f"S{k}": 4 + k / 7 for k in range(50)}
    groups = categorical({name: f"site {k % 10}" for k, name in enumerate(truth)}, "site")
    evaluate(str(tmp_path), predictions_of(truth), numeric(truth), groups=groups)
    assert cautions_of(tmp_path)[0] == []
    assert "cannot tell" not in read_page(tmp_path).text


def test_regression_of_one_sample(tmp_path):
    evaluate(str(tmp_path), predictions_of({"S": 1.5}), numeric({"S": 1.0}))
    page = read_page(tmp_path)
    assert "Better than always predicting the median: unknown." in page.text
    assert "What these samples cannot tell Only 1 sample has a value of 'ph'. With fewer than 50," in page.text
    assert page.tables[0][1][:3] == ["R²", "–", "–"]


def test_left_out_samples_are_counted_on_the_page(tmp_path):
    truth = {f"S{k}": float(k) for k in range(30)}
    predicted = predictions_of({**truth, "stranger": 1.0})
    with pytest.raises(ValueError, match="^1 predicted sample is not in the metadata: stranger."):
        evaluate(str(tmp_path), predicted, numeric(truth))
    truth["S3"] = np.nan
    evaluate(str(tmp_path), predicted, numeric(truth), missing_samples="ignore")
    page = read_page(tmp_path)
    assert "29 samples with a prediction and a true value." in page.text
    assert "1 predicted sample is not in the metadata and left out: stranger." in page.text
    assert "1 sample is without a value of 'ph' and left out: S3." in page.text



def test_names_that_look_like_markup_stay_text(tmp_path):
    evil = "<script>alert(1)</script>"
    truth = {f"{evil}{k}": f"{evil} {k % 2}" for k in range(20)}
    wrong = dict.fromkeys(truth, f"{evil} 0")
    evaluate(str(tmp_path), predictions_of(wrong), categorical(truth, evil), groups=categorical(truth, "g"))
    assert "<script>alert" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_more_than_5000_samples(tmp_path):
    random = np.random.default_rng(0)
    truth = {f"S{k}": value for k, value in enumerate(random.normal(size=5200))}
    evaluate(str(tmp_path), predictions_of({i: value * 0.9 for i, value in truth.items()}), numeric(truth))
    assert len(read_table(tmp_path, "predictions")) == 5200
    assert '"renderer": "canvas"' in (tmp_path / "charts.js").read_text()


def test_a_score_is_one_entry(tmp_path, monkeypatch):
    """It stands in the table of scores, for the baselines too, and in that of the folds."""
    score = Score("worst", "largest error", "The largest <error>.", False, "predictions", ("numeric",), _largest_error)
    monkeypatch.setitem(SCORES, "worst", score)
    ids, truth, predicted, *_ = regression()
    baselines = pd.DataFrame({"median": np.median(truth)}, index=ids)
    folds = pd.DataFrame({"repeat": 1, "fold": [1, 2], "method": "q2-aam", "pretraining": "none", "worst": [2.0, 4.0]})
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        numeric(dict(zip(ids, truth, strict=True))),
        baselines=baselines,
        scores=folds,
    )
    page = read_page(tmp_path)
    errors = [f"{np.abs(values - truth).max():.3f}" for values in (predicted, np.median(truth))]
    [row] = [row for row in page.tables[0] if row[0] == "largest error"]
    assert [row[1], *row[4:]] == [*errors, "The largest <error>."] and float(row[2]) <= float(row[3]) == float(row[1])
    assert page.tables[1] == [["Method", "Largest error"], ["q2-aam", "3.000 ± 1.414"]]
    assert "<error>" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def _largest_error(truth, predicted):
    return float(np.abs(truth - predicted).max())


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_own_outputs_of_fit_and_samples_without_prediction_are_named(tmp_path, kind):
    """Certainty without novelty or scores of folds: perhaps `fit`'s own; and who has a true value only, and why."""
    ids, truth, predicted, intervals, _, _ = regression()
    if kind == "numeric":
        column, certainty, what = numeric, intervals, "intervals"
    else:
        truth, predicted = (np.where(values > 7, "b", "a") for values in (truth, predicted))
        certainty = pd.DataFrame({"a": 0.5 + 0.4 * (predicted == "a"), "b": 0.5 - 0.4 * (predicted == "a")}, index=ids)
        column, what = categorical, "probabilities"
    predicted = dict(zip(ids[2:], predicted[2:], strict=True))
    evaluate(
        str(tmp_path), predictions_of(predicted), column(dict(zip(ids, truth, strict=True))), certainty.loc[ids[2:]]
    )
    text = read_page(tmp_path).text
    assert f"settings and {what} were chosen on these very samples" in text
    why = (
        " Either they were not given to 'predict'; or, out of fold, 'fit' cannot predict them: their group (or they, "
        "without groups) alone holds a class."
    )
    why = why if kind == "categorical" else ""
    told = "38 samples with a prediction and a true value. 2 other samples of the metadata have a true value only: "
    assert f"{told}{', '.join(ids[:2])}.{why}" in text


@pytest.mark.parametrize("machine", [True, False])
def test_the_page_says_what_many_samples_change_of_the_baselines(tmp_path, machine):
    ids, truth, predicted, *_ = regression()
    names = ["median", "random forest", "log-ratios", "boosted trees", *["SVM Jaccard"] * machine]
    baselines = pd.DataFrame(dict.fromkeys(names, 7.0), index=ids)
    files = predictions_of(dict(zip(ids, predicted, strict=True)))
    evaluate(str(tmp_path), files, numeric(dict(zip(ids, truth, strict=True))), baselines=baselines)
    told = (
        "There were many samples to learn from. Left out, as they compare all pairs of these (at most 2,000): SVM "
        "UniFrac, SVM Jaccard. The random forest reads the 1,000 commonest ASVs, and each of its trees draws 2,000 of "
        "the samples, with replacement."
    )
    assert (told in read_page(tmp_path).text) != machine


def test_beside_baselines_the_log_loss_of_the_shares_is_said(tmp_path):
    """A share of 0.3: without a signal no probabilities are better."""
    ids, truth = [f"S{k:02d}" for k in range(40)], ["a"] * 12 + ["b"] * 28
    certainty = pd.DataFrame({"a": 0.3, "b": 0.7}, index=ids)
    baselines = pd.DataFrame({"largest class": "b"}, index=ids)
    columns = predictions_of(dict.fromkeys(ids, "b")), categorical(dict(zip(ids, truth, strict=True)))
    evaluate(str(tmp_path), *columns, certainty, baselines=baselines)
    loss = metrics.log_loss(truth, certainty)
    assert f"the classes' shares of these samples have a log loss of {loss:.3f})." in read_page(tmp_path).text
    assert read_table(tmp_path, "scores").set_index("score").loc["log loss", "model"] == pytest.approx(loss)


@pytest.mark.parametrize("far, said", [(4, True), (3, False)])
def test_samples_of_another_study_are_told_of_at_the_top(tmp_path, far, said):
    ids, truth, predicted, intervals, novelty, _ = regression(n=10)
    novelty = novelty.assign(nearest_percentile=[95.0] * far + [50.0] * (10 - far))
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        numeric(dict(zip(ids, truth, strict=True))),
        intervals,
        novelty,
    )
    text = f"{far} of 10 samples lie farther from the samples that were learnt from than 90% of these from each other"
    assert (text in read_page(tmp_path).text) == said


def test_of_samples_that_were_learnt_from_there_is_no_verdict(tmp_path):
    ids, truth, predicted, intervals, novelty, _ = regression(n=60)
    novelty = novelty.assign(nearest_distance=0.1, nearest_percentile=50.0, learnt_from=[1.0] * 3 + [0.0] * 57)
    columns = predictions_of(dict(zip(ids, predicted, strict=True))), numeric(dict(zip(ids, truth, strict=True)))
    for name in ("own", "new"):
        (tmp_path / name).mkdir()
    evaluate(str(tmp_path / "own"), *columns, intervals, novelty)
    text = read_page(tmp_path / "own").text
    assert "No verdict: there are samples that were learnt from." in text
    assert f"3 of 60 samples are the very communities that the model was fitted to: {', '.join(ids[:3])}." in text
    evaluate(str(tmp_path / "new"), *columns, intervals, novelty.assign(learnt_from=0.0))
    assert "No verdict" not in read_page(tmp_path / "new").text


def test_a_share_of_1_has_no_interval(tmp_path):
    """It would seem to be certain."""
    ids, truth, predicted, intervals, *_ = regression(n=40)
    wide = intervals.assign(lower=-100.0, upper=100.0)
    columns = predictions_of(dict(zip(ids, predicted, strict=True))), numeric(dict(zip(ids, truth, strict=True)))
    evaluate(str(tmp_path), *columns, wide)
    scores = read_table(tmp_path, "scores").set_index("score")
    inside = scores.loc["share of true values inside the interval"]
    assert inside["model"] == 1 and pd.isna(inside["low"]) and pd.isna(inside["high"])
    assert scores.loc["mean absolute error", "low"] < scores.loc["mean absolute error", "high"]
    assert "A score that is the same in all draws has none." in read_page(tmp_path).text
