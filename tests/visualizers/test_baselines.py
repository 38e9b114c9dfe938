"""Baselines on the page of `evaluate`: their scores on the same samples, and whether the model is better."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import assert_works_offline, categorical, numeric, predictions_of, read_page

IDS = [f"S{k:02d}" for k in range(40)]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # q2templates leaves its temporary folder to the garbage collector, and asks setuptools for its files.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="q2templates")
        yield


def of(values):
    return dict(zip(IDS, values, strict=True))


def numbers(ours=0.4, forest=0.8):
    """True values, predictions off by about `ours`, and baselines off by about `forest`."""
    random = np.random.default_rng(0)
    truth = random.normal(7, 1, len(IDS))
    predicted = truth + random.normal(0, ours, len(IDS))
    baselines = pd.DataFrame(
        {
            "median": 7.1,
            "random forest": truth + random.normal(0, forest, len(IDS)),
            "SVM Jaccard": truth + random.normal(0, 2 * forest, len(IDS)),
        },
        index=IDS,
    )
    return truth, predicted, baselines


def classes():
    random = np.random.default_rng(1)
    truth = np.array(["01", "1", "x"], dtype=object)[random.integers(0, 3, len(IDS))]

    def off(share):
        wrong = random.random(len(IDS)) < share
        return np.where(wrong, random.choice(["01", "1", "x"], len(IDS)), truth).astype(object)

    baselines = pd.DataFrame({"largest class": "x", "random forest": off(0.4)}, index=IDS, dtype=object)
    return truth, off(0.1), baselines


def shown(page):
    """The first table of a page, by score."""
    header, *rows = page.tables[0]
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def test_numbers_stand_beside_each_baseline(tmp_path):
    truth, predicted, baselines = numbers()
    # in another order, and with more samples than were predicted
    table = pd.concat([baselines.iloc[::-1], baselines.iloc[:1].set_axis(["another"])])
    intervals = pd.DataFrame({"lower": predicted - 1, "upper": predicted + 1}, index=IDS)
    evaluate(str(tmp_path), predictions_of(of(predicted)), numeric(of(truth)), intervals, baselines=table)
    page = read_page(tmp_path)
    labels = ["Median of training", "Random forest", "SVM Jaccard"]
    assert page.tables[0][0] == ["Score", "Model", "From", "To", *labels, "Meaning"]
    table = shown(page)
    for label, values in zip(["Model", *labels], [predicted, *baselines.to_numpy().T], strict=True):
        assert table["R²"][label] == f"{metrics.r2_score(truth, values):.3f}"
        assert table["mean absolute error"][label] == f"{metrics.mean_absolute_error(truth, values):.3f}"
    assert table["Spearman correlation"]["Median of training"] == "–"
    # baselines give no intervals
    inside = table["share of true values inside the interval"]
    assert [inside[label] for label in labels] == ["–"] * 3 and inside["Model"] != "–"
    file = pd.read_csv(tmp_path / "scores.tsv", sep="\t").set_index("score")
    assert file.loc["R²", "Random forest"] == pytest.approx(metrics.r2_score(truth, baselines["random forest"]))
    assert_works_offline(tmp_path)


@pytest.mark.parametrize("ours, forest, answer", [(0.3, 0.6, "yes"), (0.6, 0.3, "no")])
def test_the_verdict_is_by_the_best_baseline(tmp_path, ours, forest, answer):
    truth, predicted, baselines = numbers(ours, forest)
    evaluate(str(tmp_path), predictions_of(of(predicted)), numeric(of(truth)), baselines=baselines)
    errors = [metrics.mean_absolute_error(truth, values) for values in (predicted, baselines["random forest"])]
    assert (
        f"Better than the baselines: {answer}. The predictions of 'ph' are off by {errors[0]:.3f} on average. Those of "
        f"the best baseline, random forest, are off by {errors[1]:.3f}."
    ) in read_page(tmp_path).text


def test_classes_stand_beside_each_baseline(tmp_path):
    truth, predicted, baselines = classes()
    evaluate(str(tmp_path), predictions_of(of(predicted)), categorical(of(truth)), baselines=baselines)
    page = read_page(tmp_path)
    table = shown(page)
    accuracies = {}
    for label, values in (
        ("Model", predicted),
        ("Random forest", baselines["random forest"]),
        ("Largest class of training", baselines["largest class"]),
    ):
        accuracies[label] = metrics.balanced_accuracy_score(list(truth), list(values))
        assert table["balanced accuracy"][label] == f"{accuracies[label]:.3f}", label
        assert table["accuracy"][label] == f"{np.mean(truth == values):.3f}"
    assert (
        "Better than the baselines: cannot tell. On average over the classes of 'habitat', "
        f"{accuracies['Model']:.1%} of a class's samples are predicted right (balanced accuracy); by the best "
        f"baseline, random forest, {accuracies['Random forest']:.1%}. The difference is "
        f"{accuracies['Model'] - accuracies['Random forest']:.3f} (95% interval -"
    ) in page.text
    assert_works_offline(tmp_path)


def test_the_balanced_forest_is_explained_where_it_stands(tmp_path):
    truth, predicted, baselines = classes()
    note = "The balanced forest is the random forest with classes counting alike, as in balanced accuracy."
    for there in (False, True):
        folder = tmp_path / str(there)
        folder.mkdir()
        table = baselines.assign(**{"balanced forest": truth} if there else {})
        evaluate(str(folder), predictions_of(of(predicted)), categorical(of(truth)), baselines=table)
        page = read_page(folder)
        assert (note in page.text) == there == ("Balanced forest" in page.tables[0][0])
    assert shown(page)["balanced accuracy"]["Balanced forest"] == "1.000"


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_covariates_alone_stand_among_the_baselines(tmp_path, kind):
    truth, predicted, baselines = numbers(0.3, 0.6) if kind == "numeric" else classes()
    column = numeric(of(truth)) if kind == "numeric" else categorical(of(truth))
    note = (
        "Covariates alone is a random forest of the covariates without the community: where it does as well as the "
        "model, the community adds nothing to the covariates."
    )
    for directory, table in (("without", baselines), ("with", baselines.assign(covariates=truth))):
        (tmp_path / directory).mkdir()
        evaluate(str(tmp_path / directory), predictions_of(of(predicted)), column, baselines=table)
    page = read_page(tmp_path / "without")
    assert note not in page.text and "Covariates alone" not in page.tables[0][0]
    page = read_page(tmp_path / "with")
    assert note in page.text
    score = "R²" if kind == "numeric" else "balanced accuracy"
    assert shown(page)[score]["Covariates alone"] == "1.000"
    assert "the best baseline, covariates alone, " in page.text
    assert f"Better than the baselines: {'no' if kind == 'numeric' else 'cannot tell'}." in page.text


def test_a_method_that_is_not_in_the_registry_keeps_its_name(tmp_path):
    truth, predicted, baselines = numbers()
    table = baselines.assign(**{"my own": truth})
    evaluate(str(tmp_path), predictions_of(of(predicted)), numeric(of(truth)), baselines=table)
    assert shown(read_page(tmp_path))["R²"]["my own"] == "1.000"


def test_what_does_not_fit_is_refused(tmp_path):
    truth, predicted, baselines = numbers()
    arguments = predictions_of(of(predicted)), numeric(of(truth))
    with pytest.raises(ValueError) as error:
        evaluate(str(tmp_path), *arguments, baselines=baselines.drop(index=["S03", "S05"]))
    assert str(error.value) == (
        "The table of baselines has no row for 2 evaluated samples: S03, S05. Give the table of baselines that came "
        "with these predictions."
    )
    with pytest.raises(ValueError) as error:
        evaluate(str(tmp_path), *arguments, baselines=classes()[2])
    assert str(error.value) == (
        "The metadata column 'ph' is numeric, so the baselines must have a column 'median'; their columns are: largest "
        "class, random forest. Give the baselines of the column that was predicted."
    )


def test_samples_that_are_all_alike_have_no_verdict_on_baselines(tmp_path):
    _, predicted, baselines = classes()
    evaluate(str(tmp_path), predictions_of(of(predicted)), categorical(of(["x"] * 40)), baselines=baselines)
    assert "Better than always predicting the largest class: unknown." in read_page(tmp_path).text
