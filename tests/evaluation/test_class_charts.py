"""The interactive pictures of classes: they compile, carry the right data, and stay small."""

import numpy as np
import pandas as pd
import vl_convert

from q2_aam.evaluation import class_charts
from q2_aam.evaluation.chart_style import CURVE_POINTS
from q2_aam.evaluation.metrics import classification_scores


def rows(specification):
    """All rows of data in a specification."""
    return [row for dataset in specification["datasets"].values() for row in dataset]


def scored(n_classes, n=120, names=None):
    random = np.random.default_rng(1)
    names = np.array(names or [f"class {k}" for k in range(n_classes)])
    truth = random.integers(0, n_classes, n)
    probabilities = random.dirichlet(np.ones(n_classes), n) + np.eye(n_classes)[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return classification_scores(names[truth], names[probabilities.argmax(1)], probabilities, names)


def test_confusion_matrix_holds_counts_and_shares():
    scores = classification_scores(["a", "a", "a", "b"], ["a", "a", "b", "b"], classes=["b", "a"])
    cells = {
        (row["true"], row["predicted"]): (row["samples"], row["share"])
        for row in rows(class_charts.confusion_matrix(scores))
    }
    assert cells == {("a", "a"): (2, 2 / 3), ("a", "b"): (1, 1 / 3), ("b", "b"): (1, 1.0)}


def test_names_of_classes_are_data_not_code():
    names = ["a.b[c]", 'it\'s "quoted"', "<b>&</b>", "back\\slash", "1"]
    scores = scored(5, names=names)
    svg = vl_convert.vegalite_to_svg(class_charts.confusion_matrix(scores))
    for escaped in ("a.b[c]", "back\\slash", "&lt;b&gt;&amp;&lt;/b&gt;", "it's"):
        assert svg.count(escaped) >= 2, escaped  # on both axes
    assert vl_convert.vegalite_to_svg(class_charts.roc(scores)).count("a.b[c] (") >= 1


def test_roc_names_classes_with_their_areas():
    scores = scored(3)
    svg = vl_convert.vegalite_to_svg(class_charts.roc(scores))
    for row in scores["per_class"]:
        assert f"{row['class']} ({row['roc_auc']:.2f})" in svg
    svg = vl_convert.vegalite_to_svg(class_charts.precision_recall(scores))
    for row in scores["per_class"]:
        assert f"{row['class']} ({row['average_precision']:.2f})" in svg


def test_curves_of_many_classes_and_samples_stay_small():
    scores = scored(40, n=3000)
    drawn = [row for row in rows(class_charts.precision_recall(scores)) if "class" in row]
    assert len({row["class"] for row in drawn}) == class_charts.MAX_CURVES
    assert len(drawn) <= class_charts.MAX_CURVES * CURVE_POINTS


def test_reliability_holds_the_bins():
    scores = scored(3)
    drawn = [row for row in rows(class_charts.reliability(scores)) if "accuracy" in row]
    assert [row["accuracy"] for row in drawn] == [row["accuracy"] for row in scores["calibration"]]


def test_bars_by_novelty_name_range_and_samples():
    bins = pd.DataFrame({"bin": ["0.0% to 1.0%", "1.0% to 9.0%"], "accuracy": [0.5, 1.0], "samples": [4, 3]})
    svg = vl_convert.vegalite_to_svg(class_charts.shares_by_bin(bins, "novelty"))
    assert "n = 4" in svg and "to 9.0%" in svg
