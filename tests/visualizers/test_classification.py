"""The page of `evaluate` for predicted classes: its numbers against scikit-learn, its files, its words."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from q2_aam.evaluation.scores import SCORES, Score
from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import assert_works_offline, categorical, predictions_of, read_page, read_table


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # q2templates leaves its temporary folder to the garbage collector, and asks setuptools for its files.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="q2templates")
        yield


def classification(classes, n=60, seed=0):
    random = np.random.default_rng(seed)
    ids = [f"S{k:02d}" for k in range(n)]
    truth = random.integers(0, len(classes), n)
    probabilities = random.dirichlet(np.ones(len(classes)), n) + 0.8 * np.eye(len(classes))[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = np.array(classes, dtype=object)
    table = pd.DataFrame(probabilities, index=ids, columns=classes)
    return ids, names[truth], names[probabilities.argmax(1)], table


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
    scores = read_table(tmp_path, "scores").set_index("score")
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
    samples = read_table(tmp_path, "predictions")
    assert samples["right"].mean() == pytest.approx(expected["accuracy"])
    assert samples["probability"].to_numpy() == pytest.approx(probabilities.max(axis=1).to_numpy())

    page = read_page(tmp_path)
    assert "Better than always predicting the largest class: cannot tell." in page.text
    assert "From 4 groups nothing can be said of the next ones: it takes 10." in page.text
    assert f"{expected['balanced accuracy']:.1%} of a class's samples are predicted right" in page.text
    for name in ("confusion_matrix", "roc", "precision_recall", "reliability", "accuracy_by_group"):
        assert {f"./{name}.png", f"./{name}.svg"} <= set(page.links), name
    for name in ("roc_curves", "precision_recall_curves", "calibration", "confusion_matrix", "classes"):
        assert f"./{name}.tsv" in page.links, name
    mistakes = read_table(tmp_path, "mistakes")
    assert (mistakes["true"] != mistakes["predicted"].astype(str)).all()
    assert mistakes["probability"].is_monotonic_decreasing
    parts = read_table(tmp_path, "accuracy_by_novelty")
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
    ("wrong", "sentence"), [(1, "1 sample "), (10, "10 samples "), (11, "11 samples ")]
)
def test_how_many_mistakes_are_shown(tmp_path, wrong, sentence):
    predicted = {f"S{k}": "b" if k < wrong else "a" for k in range(24)}
    evaluate(str(tmp_path), predictions_of(predicted), categorical(dict.fromkeys(predicted, "a")))
    page = read_page(tmp_path)
    assert f"{sentence}predicted wrong, in the order of the predictions." in page.text
    assert ("10 of them are shown." in page.text) == (wrong > 10)
    assert len(page.tables[-1]) == 1 + min(wrong, 10)


def test_classification_of_one_sample_and_of_one_class(tmp_path):
    probabilities = pd.DataFrame({"a": [0.4], "b": [0.6]}, index=["S"])
    evaluate(str(tmp_path), predictions_of({"S": "b"}), categorical({"S": "a"}), probabilities)
    page = read_page(tmp_path)
    assert "Better than always predicting the largest class: unknown." in page.text
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
    by_class = read_table(tmp_path, "classes").set_index("class")
    assert by_class.loc["new", "recall"] == 0 and by_class.loc["new", "support"] == 5


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


@pytest.mark.parametrize("certain", [True, False])
def test_a_score_is_one_entry(tmp_path, monkeypatch, certain):
    score = Score("least", "least <probability>", "Of any <class>.", True, "probabilities", ("categorical",), _least)
    monkeypatch.setitem(SCORES, "least", score)
    ids, truth, predicted, probabilities = classification(["a", "b"])
    predicted, truth = (dict(zip(ids, values, strict=True)) for values in (predicted, truth))
    evaluate(str(tmp_path), predictions_of(predicted), categorical(truth), probabilities if certain else None)
    row = [row for row in read_page(tmp_path).tables[0] if row[0] == "least <probability>"]
    least = f"{probabilities.to_numpy().min():.3f}"
    share = f"{pd.Series(truth).value_counts(normalize=True).min():.3f}"
    # Draws can only miss the least.
    ends = row[0][2:4] if certain else None
    assert not certain or ends[0] == least <= ends[1]
    assert row == ([["least <probability>", least, *ends, share, "Of any <class>."]] if certain else [])


def _least(truth, predicted, probabilities):
    return float(probabilities.min())


def test_the_page_says_what_the_decision_does(tmp_path):
    """Rare classes are named below half of the probability: how often, and what the likeliest class would score."""
    ids = [f"S{k}" for k in range(10)]
    rare = pd.Series([0.3, 0.3, 0.3] + [0.05] * 7, index=ids)
    probabilities = pd.DataFrame({"common": 1 - rare, "rare": rare})
    truth = ["rare"] * 2 + ["common"] * 8
    predicted = ["rare"] * 3 + ["common"] * 7
    evaluate(
        str(tmp_path),
        predictions_of(dict(zip(ids, predicted, strict=True))),
        categorical(dict(zip(ids, truth, strict=True))),
        probabilities,
    )
    assert (
        "Of 10 samples, 3 are said to be of a class that is not the likeliest: in the decision 'balanced' (the "
        "default) classes count alike, so that rare ones are found; repeats may disagree, too. Naming the likeliest "
        "class instead would score a balanced accuracy of 0.500 and an accuracy of 0.800."
    ) in read_page(tmp_path).text
    by_class = pd.read_csv(tmp_path / "classes.tsv", sep="\t").set_index("class")
    assert by_class.loc["rare", "mean_probability"] == pytest.approx(0.125)
    assert by_class.loc["rare", "calibration_error"] == pytest.approx((3 * (2 / 3 - 0.3) + 7 * 0.05) / 10)


def test_a_page_of_likeliest_classes_says_nothing_of_it(tmp_path):
    ids, truth, predicted, probabilities = classification(["a", "b"])
    predicted, truth = (dict(zip(ids, names, strict=True)) for names in (predicted, truth))
    evaluate(str(tmp_path), predictions_of(predicted), categorical(truth), probabilities)
    assert "not the likeliest" not in read_page(tmp_path).text
