"""Scores against hand-computed values and scikit-learn; answers for degenerate samples."""

import json
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from q2_aam.evaluation.metrics import classification_scores, interval_scores, regression_scores


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        yield


def plain(value):
    """Strict JSON: neither NaN nor numpy values."""
    return json.loads(json.dumps(value, allow_nan=False))


def simulated_classes(n=200, n_classes=4, seed=3):
    random = np.random.default_rng(seed)
    classes = [f"class {k}" for k in range(n_classes)]
    truth = random.integers(0, n_classes, n)
    probabilities = random.dirichlet(np.ones(n_classes), n) + 0.7 * np.eye(n_classes)[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = np.array(classes)
    return names[truth], names[probabilities.argmax(axis=1)], probabilities, classes


def test_regression_scores_by_hand():
    scores = regression_scores([1, 2, 3, 6], [2, 2, 3, 5])
    # errors 1, 0, 0, -1; mean of truth 3, total sum of squares 4 + 1 + 0 + 9 = 14
    assert scores["r2"] == pytest.approx(1 - 2 / 14)
    assert scores["mae"] == pytest.approx(0.5)
    assert scores["rmse"] == pytest.approx(np.sqrt(0.5))
    assert scores["samples"] == 4
    # median 2.5: errors 1.5, 0.5, -0.5, -3.5
    assert scores["baseline"]["value"] == 2.5
    assert scores["baseline"]["mae"] == pytest.approx(1.5)
    assert scores["baseline"]["r2"] == pytest.approx(1 - 15 / 14)
    assert (scores["baseline"]["slope"], scores["baseline"]["intercept"]) == (0.0, 2.5)
    assert scores["baseline"]["spearman"] is None and scores["baseline"]["pearson"] is None


def test_nearly_constant_predictions_are_scored_without_a_warning():
    """A user could do nothing about it. All warnings are errors here."""
    predicted = 5 + 1e-14 * np.arange(4)
    with pytest.warns(match="nearly constant"):
        stats.pearsonr([1, 2, 3, 6], predicted)
    scores = plain(regression_scores([1, 2, 3, 6], predicted))
    assert scores["spearman"] == pytest.approx(1) and scores["pearson"] == pytest.approx(0.95, abs=0.05)


def test_regression_scores_agree_with_scipy():
    random = np.random.default_rng(0)
    truth = random.normal(size=50)
    predicted = truth + random.normal(size=50)
    scores = plain(regression_scores(truth, predicted))
    assert scores["spearman"] == pytest.approx(stats.spearmanr(truth, predicted).correlation)
    assert scores["pearson"] == pytest.approx(np.corrcoef(truth, predicted)[0, 1])
    assert [scores["slope"], scores["intercept"]] == pytest.approx(np.polyfit(truth, predicted, 1))
    assert scores["r2"] == pytest.approx(sklearn_metrics.r2_score(truth, predicted))


@pytest.mark.parametrize("truth, predicted", [([3.0], [4.0]), ([2, 2, 2], [1, 2, 3])])
def test_regression_of_constant_truth_has_no_r2(truth, predicted):
    scores = plain(regression_scores(truth, predicted))
    undefined = ("r2", "spearman", "pearson", "slope", "intercept")
    assert [scores[name] for name in undefined] == [None] * 5
    assert scores["mae"] == pytest.approx(np.mean(np.abs(np.subtract(truth, predicted))))


def test_regression_of_constant_predictions_lies_on_a_level_line():
    scores = plain(regression_scores([1, 2, 4], [3, 3, 3]))
    assert (scores["slope"], scores["intercept"], scores["spearman"]) == (0.0, 3.0, None)


def test_regression_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="^2 of 3 true or predicted values are not finite numbers.$"):
        regression_scores([1, np.nan, 3], [1, 2, np.inf])
    with pytest.raises(ValueError, match="at least one"):
        regression_scores([], [])


def test_interval_scores_by_hand():
    scores = interval_scores([1, 2, 3, 4], [0, 2, 3.5, 0], [2, 4, 4.5, 1])
    assert scores == {"coverage": 0.5, "mean_width": 1.5}
    with pytest.raises(ValueError, match="^1 prediction intervals end below their start.$"):
        interval_scores([1], [2], [1])


def test_classification_scores_by_hand():
    truth = ["a", "a", "a", "b", "b", "c"]
    predicted = ["a", "a", "b", "b", "a", "b"]
    scores = plain(classification_scores(truth, predicted))
    assert scores["confusion_matrix"] == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert scores["accuracy"] == pytest.approx(3 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    by_class = {row["class"]: row for row in scores["per_class"]}
    assert by_class["a"]["precision"] == pytest.approx(2 / 3)
    assert by_class["b"]["precision"] == pytest.approx(1 / 3)
    assert by_class["b"]["recall"] == pytest.approx(1 / 2)
    assert by_class["b"]["f1"] == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    # c is never predicted: its precision is 0 of 0
    assert by_class["c"] == {
        "class": "c",
        "support": 1,
        "predicted": 0,
        "precision": None,
        "recall": 0.0,
        "f1": 0.0,
        "roc_auc": None,
        "average_precision": None,
        "mean_probability": None,
        "calibration_error": None,
        "calibration_error_by_chance": None,
    }
    assert scores["baseline"]["value"] == "a"
    assert scores["baseline"]["accuracy"] == pytest.approx(1 / 2)
    assert scores["baseline"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert scores["log_loss"] is None and scores["roc_curves"] is None


def test_every_class_has_a_calibration_error_of_its_own():
    """Right on average over the named classes, wrong of the rare one, whose probability is five times too high."""
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(5000) < 0.1, "rare", "common")
    probabilities = np.tile([0.5, 0.5], (5000, 1))
    scores = plain(classification_scores(truth, ["common"] * 5000, probabilities, ["common", "rare"]))
    rare = scores["per_class"][1]
    assert rare["calibration_error"] == pytest.approx(0.5 - (truth == "rare").mean())
    assert rare["mean_probability"] == 0.5 and rare["calibration_error_by_chance"] < 0.02


def test_classification_scores_agree_with_scikit_learn():
    truth, predicted, probabilities, classes = simulated_classes()
    scores = plain(classification_scores(truth, predicted, probabilities, classes))
    assert scores["balanced_accuracy"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(truth, predicted)
    )
    assert scores["log_loss"] == pytest.approx(sklearn_metrics.log_loss(truth, probabilities, labels=classes))
    assert scores["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(truth, predicted, average="macro"))
    expected = sklearn_metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert scores["roc_auc"] == pytest.approx(expected)
    assert scores["per_class"][2]["average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(truth == classes[2], probabilities[:, 2])
    )


def test_baseline_probabilities_are_the_shares_of_the_classes():
    truth = ["a"] * 6 + ["b"] * 2
    scores = classification_scores(truth, truth, np.tile([0.5, 0.5], (8, 1)), ["a", "b"])
    entropy = stats.entropy([0.75, 0.25])
    assert scores["baseline"]["log_loss"] == pytest.approx(entropy)
    assert scores["baseline"]["roc_auc"] == 0.5
    assert scores["baseline"]["expected_calibration_error"] == pytest.approx(0)


def test_class_without_samples_leaves_the_means_to_the_others():
    truth, predicted, probabilities, classes = simulated_classes(n_classes=3)
    wider = np.hstack([probabilities, np.zeros((len(truth), 1))])
    without = classification_scores(truth, predicted, probabilities, classes)
    scores = plain(classification_scores(truth, predicted, wider, [*classes, "absent"]))
    for name in ("balanced_accuracy", "roc_auc", "average_precision", "macro_f1", "log_loss"):
        assert scores[name] == pytest.approx(without[name]), name
    assert scores["per_class"][3]["recall"] is None and scores["per_class"][3]["roc_auc"] is None
    assert "absent" not in scores["roc_curves"] and "absent" not in scores["precision_recall_curves"]


def test_one_sample_has_defined_scores():
    scores = plain(classification_scores(["a"], ["b"], [[0.25, 0.75]], ["a", "b"]))
    assert (scores["accuracy"], scores["balanced_accuracy"]) == (0.0, 0.0)
    assert scores["log_loss"] == pytest.approx(-np.log(0.25))
    assert scores["expected_calibration_error"] == pytest.approx(0.75)
    assert scores["roc_auc"] is None and scores["roc_curves"] == {} and scores["mean_roc_curve"] is None
    assert scores["average_precision"] == 1.0


def test_one_class_has_defined_scores():
    scores = plain(classification_scores(["a", "a"], ["a", "a"], [[1.0], [1.0]], ["a"]))
    assert (scores["accuracy"], scores["log_loss"], scores["roc_auc"]) == (1.0, 0.0, None)


def test_true_class_of_probability_zero_keeps_the_loss_finite():
    scores = plain(classification_scores(["a", "b"], ["a", "a"], [[1.0, 0.0], [1.0, 0.0]], ["a", "b"]))
    assert 10 < scores["log_loss"] < 40


def test_integer_classes_are_their_text():
    assert classification_scores([1, 2, 2], ["1", "2", "1"])["accuracy"] == pytest.approx(2 / 3)
    assert classification_scores([1, 2], [1, 2])["classes"] == ["1", "2"]


def test_order_of_classes_is_kept_and_changes_no_score():
    truth, predicted, probabilities, classes = simulated_classes()
    forward = classification_scores(truth, predicted, probabilities, classes)
    backward = classification_scores(truth, predicted, probabilities[:, ::-1], classes[::-1])
    assert backward["classes"] == classes[::-1]
    for name in ("balanced_accuracy", "log_loss", "roc_auc", "expected_calibration_error"):
        assert forward[name] == pytest.approx(backward[name])


def test_classification_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="^1 classes of the samples are not in the list of classes: z.$"):
        classification_scores(["a"], ["z"], classes=["a"])
    with pytest.raises(ValueError, match=r"a row a sample and a column a class \(2 x 2\), not 2 x 3"):
        classification_scores(["a", "b"], ["a", "b"], np.full((2, 3), 1 / 3), ["a", "b"])
    with pytest.raises(ValueError, match="those of a sample must sum to 1"):
        classification_scores(["a", "b"], ["a", "b"], [[0.5, 0.5], [0.5, np.nan]], ["a", "b"])
    with pytest.raises(ValueError, match="at least one: there are 1 and 2"):
        classification_scores(["a", "b"], ["a"])
