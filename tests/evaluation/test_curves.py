"""Curves against scikit-learn, and where a class is missing."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from q2_aam.evaluation.curves import (
    average_precision,
    calibration_error_by_chance,
    mean_roc_points,
    precision_recall_points,
    reliability_bins,
    roc_area,
    roc_points,
)

CLASSES = ["a", "b", "c"]


def simulated(n=120, seed=0):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, n)
    # Few different values, so that there are ties and vertical steps.
    probabilities = random.integers(1, 6, (n, 3)) + 3.0 * np.eye(3)[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return [truth == k for k in range(3)], probabilities


def test_area_under_the_drawn_roc_curve_is_the_area():
    indicators, probabilities = simulated()
    curves = roc_points(indicators, probabilities, CLASSES)
    for k, name in enumerate(CLASSES):
        drawn = auc(curves[name]["false_positive_rate"], curves[name]["true_positive_rate"])
        assert drawn == pytest.approx(roc_auc_score(indicators[k], probabilities[:, k]))
        assert roc_area(indicators[k], probabilities[:, k]) == pytest.approx(drawn)


def test_area_under_the_mean_roc_curve_is_the_mean_area():
    indicators, probabilities = simulated()
    mean = mean_roc_points(roc_points(indicators, probabilities, CLASSES))
    areas = [roc_auc_score(indicators[k], probabilities[:, k]) for k in range(3)]
    assert auc(mean["false_positive_rate"], mean["true_positive_rate"]) == pytest.approx(np.mean(areas))
    assert (mean["true_positive_rate"][0], mean["true_positive_rate"][-1]) == (0.0, 1.0)


def test_area_under_the_drawn_precision_recall_steps_is_the_average_precision():
    indicators, probabilities = simulated()
    curves = precision_recall_points(indicators, probabilities, CLASSES)
    for k, name in enumerate(CLASSES):
        recall, precision = np.array(curves[name]["recall"]), np.array(curves[name]["precision"])
        drawn = np.sum(np.diff(recall) * precision[1:])  # a step takes its precision first, then goes on
        assert drawn == pytest.approx(average_precision_score(indicators[k], probabilities[:, k]))
        assert average_precision(indicators[k], probabilities[:, k]) == pytest.approx(drawn)


def test_thinned_precision_recall_curve_keeps_both_ends_of_each_vertical():
    random = np.random.default_rng(1)
    is_class, score = random.random(300) < 0.1, random.random(300)
    curve = precision_recall_points([is_class], score[:, None], ["a"])["a"]
    precision, recall, _ = precision_recall_curve(is_class, score)
    assert len(curve["recall"]) < len(recall)
    for value in np.unique(recall):
        ends = np.array(curve["precision"])[np.isclose(curve["recall"], value)]
        assert ends[0] == precision[np.isclose(recall, value)][-1]
        assert ends[-1] == precision[np.isclose(recall, value)][0]


def test_curves_leave_out_a_class_without_samples_or_without_others():
    indicators = [np.array([True, True]), np.array([False, False])]
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert roc_points(indicators, probabilities, ["a", "b"]) == {}
    assert list(precision_recall_points(indicators, probabilities, ["a", "b"])) == ["a"]
    assert roc_area(indicators[0], probabilities[:, 0]) is None
    assert average_precision(indicators[1], probabilities[:, 1]) is None
    assert mean_roc_points({}) is None


def test_reliability_by_hand():
    correct = np.array([True, False, True, True, False])
    confidence = np.array([0.55, 0.52, 0.95, 1.0, 0.0])
    bins, error = reliability_bins(correct, confidence)
    values = [(row["lower"], row["samples"], row["confidence"], row["accuracy"]) for row in bins]
    expected = [(0.0, 1, 0.0, 0.0), (0.5, 2, 0.535, 0.5), (0.9, 2, 0.975, 1.0)]
    assert np.array(values) == pytest.approx(np.array(expected))
    assert error == pytest.approx((2 * 0.035 + 2 * 0.025) / 5)


def test_reliability_keeps_probabilities_a_rounding_error_outside():
    bins, _ = reliability_bins(np.array([True, True]), np.array([1 + 1e-12, -1e-12]))
    assert sum(row["samples"] for row in bins) == 2


def test_calibration_error_by_chance_is_the_mean_deviation_of_a_binomial():
    from scipy.stats import binom

    expected = np.abs(binom(40, 0.75).rvs(20000, random_state=0) / 40 - 0.75).mean()
    assert calibration_error_by_chance(np.full(40, 0.75)) == pytest.approx(expected, rel=0.15)
    # It goes with the root of the number of samples, and is nothing where there is no doubt.
    many = calibration_error_by_chance(np.full(4000, 0.75))
    assert many == pytest.approx(expected / 10, rel=0.2)
    assert calibration_error_by_chance(np.ones(5)) == 0
