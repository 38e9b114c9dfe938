"""The page of `evaluate`: its numbers against scikit-learn, its files, its words."""

import html
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import assert_works_offline, categorical, numeric, predictions_of, read_page


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # q2templates leaves its temporary folder to the garbage collector, and asks setuptools for its files.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="q2templates")
        yield


def read(directory, name):
    return pd.read_csv(directory / f"{name}.tsv", sep="\t", dtype={"sample-id": str, "true": object})


def regression(n=40, seed=0):
    random = np.random.default_rng(seed)
    ids = [f"S{k:02d}" for k in range(n)]
    truth = random.normal(7, 1, n)
    predicted = truth + random.normal(0, 0.4, n)
    intervals = pd.DataFrame({"lower": predicted - 0.6, "upper": predicted + 0.6}, index=ids)
    novelty = pd.DataFrame({"asvs": 10, "unseen_read_share": random.random(n) / 3}, index=ids)
    groups = categorical({i: f"site {k % 5}" for k, i in enumerate(ids)}, "site")
    return ids, truth, predicted, intervals, novelty, groups


def classification(classes, n=60, seed=0):
    random = np.random.default_rng(seed)
    ids = [f"S{k:02d}" for k in range(n)]
    truth = random.integers(0, len(classes), n)
    probabilities = random.dirichlet(np.ones(len(classes)), n) + 0.8 * np.eye(len(classes))[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = np.array(classes, dtype=object)
    table = pd.DataFrame(probabilities, index=ids, columns=classes)
    return ids, names[truth], names[probabilities.argmax(1)], table


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
    scores = read(tmp_path, "scores").set_index("score")
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
    shown = {row[0]: row[1:3] for row in page.tables[0][1:]}
    assert shown["R²"] == [f"{expected['R²']:.3f}", f"{metrics.r2_score(truth, median):.3f}"]
    assert shown["Spearman correlation"][1] == "–"
    error, bar = expected["mean absolute error"], metrics.mean_absolute_error(truth, median)
    assert "Better than always predicting the median: yes." in page.text
    assert f"The predictions of 'ph' are off by {error:.3f} on average." in page.text
    assert f"would be off by {bar:.3f}. The model's error is {1 - error / bar:.0%} smaller." in page.text
    assert "40 samples with a prediction and a true value." in page.text
    assert "Please note" not in page.text

    samples = read(tmp_path, "predictions")
    assert samples["sample-id"].tolist() == ids
    assert samples["true"].astype(float).to_numpy() == pytest.approx(truth)
    assert samples["error"].to_numpy() == pytest.approx(predicted - truth)
    by_group = read(tmp_path, "groups").set_index("group")
    chosen = np.array([k % 5 == 3 for k in range(len(ids))])
    assert by_group.loc["site 3", "mae"] == pytest.approx(np.mean(np.abs(predicted - truth)[chosen]))
    assert by_group.loc["site 3", "bias"] == pytest.approx(np.mean((predicted - truth)[chosen]))
    assert by_group["mae"].is_monotonic_decreasing
    worst = read(tmp_path, "largest_errors")["sample"].iloc[0]
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
    assert "Groups" not in page.text and "Novelty" not in page.text and "intervals" not in page.text
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
    groups = categorical({name: f"site {k % 5}" for k, name in enumerate(truth)}, "site")
    evaluate(str(tmp_path), predictions_of(truth), numeric(truth), groups=groups)
    assert cautions_of(tmp_path)[0] == []
    assert "cannot tell" not in read_page(tmp_path).text


def test_regression_of_one_sample(tmp_path):
    evaluate(str(tmp_path), predictions_of({"S": 1.5}), numeric({"S": 1.0}))
    page = read_page(tmp_path)
    assert "Better than always predicting the median: cannot be told." in page.text
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


@pytest.mark.parametrize("classes", [["forest", "grassland", "wetland"], ["1", "2", "10"]])
def test_classification_page_with_everything(tmp_path, classes):
    ids, truth, predicted, probabilities = classification(classes)
    novelty = pd.DataFrame({"unseen_read_share": np.linspace(0, 0.5, len(ids))}, index=ids)
    groups = categorical({i: f"host {k % 4}" for k, i in enumerate(ids)}, "host")
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        categorical(dict(zip(ids, truth, strict=True))),
        probabilities,
        novelty,
        groups,
    )
    scores = read(tmp_path, "scores").set_index("score")
    truth, predicted = truth.astype(str), predicted.astype(str)
    ordered = sorted(classes)
    columns = probabilities[ordered].to_numpy()
    expected = {
        "balanced accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "mean F1": metrics.f1_score(truth, predicted, average="macro"),
        "mean area under ROC": metrics.roc_auc_score(truth, columns, multi_class="ovr"),
        "log loss": metrics.log_loss(truth, columns, labels=ordered),
    }
    for name, value in expected.items():
        assert scores.loc[name, "model"] == pytest.approx(value), name
    largest = pd.Series(truth).value_counts()
    assert scores.loc["accuracy", "always_the_largest_class"] == pytest.approx(largest.iloc[0] / len(ids))
    assert scores.loc["balanced accuracy", "always_the_largest_class"] == pytest.approx(1 / 3)

    matrix = pd.read_csv(tmp_path / "confusion_matrix.tsv", sep="\t", index_col=0)
    assert matrix.index.astype(str).tolist() == matrix.columns.tolist() == classes
    assert (matrix.to_numpy() == metrics.confusion_matrix(truth, predicted, labels=classes)).all()
    by_class = pd.read_csv(tmp_path / "classes.tsv", sep="\t", dtype={"class": str}).set_index("class")
    recall = metrics.recall_score(truth, predicted, labels=classes, average=None)
    assert by_class.loc[classes, "recall"].to_numpy() == pytest.approx(recall)
    samples = read(tmp_path, "predictions")
    assert samples["right"].mean() == pytest.approx(expected["accuracy"])
    assert samples["probability"].to_numpy() == pytest.approx(probabilities.max(axis=1).to_numpy())

    page = read_page(tmp_path)
    assert "Better than always predicting the largest class: yes." in page.text
    assert f"{expected['balanced accuracy']:.1%} of a class's samples are predicted right" in page.text
    for name in ("confusion_matrix", "roc", "precision_recall", "reliability", "accuracy_by_group"):
        assert {f"./{name}.png", f"./{name}.svg"} <= set(page.links), name
    for name in ("roc_curves", "precision_recall_curves", "calibration", "confusion_matrix", "classes"):
        assert f"./{name}.tsv" in page.links, name
    mistakes = read(tmp_path, "mistakes")
    assert (mistakes["true"] != mistakes["predicted"].astype(str)).all()
    assert mistakes["probability"].is_monotonic_decreasing
    parts = read(tmp_path, "accuracy_by_novelty")
    assert parts["samples"].sum() == len(ids) and len(parts) == 5
    assert (parts["samples"] * parts["accuracy"]).sum() == pytest.approx(samples["right"].sum())
    assert_works_offline(tmp_path)


def test_classification_without_probabilities(tmp_path):
    truth = {f"S{k}": "ab"[k % 2] for k in range(24)}
    evaluate(str(tmp_path), predictions_of(truth), categorical(truth))
    page = read_page(tmp_path)
    assert "Every sample is predicted right." in page.text
    assert not (tmp_path / "roc.svg").exists() and "log loss" not in page.text
    assert_works_offline(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"), [(1, "1 sample "), (10, "10 samples "), (11, "11 samples ")]
)
def test_how_many_mistakes_are_shown(tmp_path, wrong, said):
    predicted = {f"S{k}": "b" if k < wrong else "a" for k in range(24)}
    evaluate(str(tmp_path), predictions_of(predicted), categorical(dict.fromkeys(predicted, "a")))
    page = read_page(tmp_path)
    assert f"{said}predicted wrong, in the order of the predictions." in page.text
    assert ("10 of them are shown." in page.text) == (wrong > 10)
    assert len(page.tables[-1]) == 1 + min(wrong, 10)


def test_classification_of_one_sample_and_of_one_class(tmp_path):
    probabilities = pd.DataFrame({"a": [0.4], "b": [0.6]}, index=["S"])
    evaluate(str(tmp_path), predictions_of({"S": "b"}), categorical({"S": "a"}), probabilities)
    page = read_page(tmp_path)
    assert "Better than always predicting the largest class: cannot be told." in page.text
    assert "All evaluated samples are of the class 'a'; 0.0% of them are predicted right." in page.text
    assert "No predicted class occurs among the true ones." in page.text
    assert not (tmp_path / "roc.svg").exists()


def test_true_class_that_the_model_does_not_know(tmp_path):
    ids, truth, predicted, probabilities = classification(["a", "b"])
    truth[:5] = "new"
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        categorical(dict(zip(ids, truth, strict=True))),
        probabilities,
    )
    page = read_page(tmp_path)
    assert (
        "True classes that the model does not know: new. It cannot predict their samples right." in page.text
    )
    by_class = read(tmp_path, "classes").set_index("class")
    assert by_class.loc["new", "recall"] == 0 and by_class.loc["new", "support"] == 5


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
    assert len(read(tmp_path, "predictions")) == 5200
    assert '"renderer": "canvas"' in (tmp_path / "charts.js").read_text()


def test_predictions_of_another_column_are_refused(tmp_path):
    ids = [f"S{k}" for k in range(6)]
    message = (
        r"No predicted class \(Control, Crohns\) is a class of the metadata column 'habitat' \(female, male\)\. "
        r"Give the column that was predicted\."
    )
    with pytest.raises(ValueError, match=message):
        evaluate(
            str(tmp_path),
            predictions_of(dict(zip(ids, ["Control", "Crohns"] * 3, strict=True))),
            categorical(dict(zip(ids, ["male", "female"] * 3, strict=True)), "habitat"),
        )
