"""Scores of predictions, each beside the score of the answer that looks at no sample at all.

Every function returns plain Python values without NaN: a score that the samples do not define (a correlation
with a constant, the recall of a class that does not occur) is None.
"""

import warnings

import numpy as np

from .curves import (
    average_precision,
    calibration_error_by_chance,
    mean_roc_points,
    precision_recall_points,
    reliability_bins,
    roc_area,
    roc_points,
)


def regression_scores(truth, predicted) -> dict:
    """Scores of numeric predictions beside those of "always the median".

    Parameters
    ----------
    truth, predicted : array_like of float `[n]`
        True values and predictions in the target's own units.

    Returns
    -------
    dict
        ``samples`` (int); ``r2`` (coefficient of determination: 1 - residual / total sum of squares, so
        against the 1:1 line), ``mae`` and ``rmse`` (own units), ``spearman``, ``pearson``, ``slope`` and
        ``intercept`` of the least-squares line of predicted on true; ``baseline``: the same scores of
        predicting for every sample the median of the true values *given here* (so it knows more than any
        model does: the honest bar), with that ``value``. ``r2``, correlations and the line are None when
        undefined (one sample; constant values).

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, or a value is not finite.
    """
    truth, predicted = _finite_pair(truth, predicted)
    median = float(np.median(truth))
    scores = {"samples": int(truth.size), **_regression(truth, predicted)}
    scores["baseline"] = {"value": median, **_regression(truth, np.full_like(truth, median))}
    return scores


def _regression(truth, predicted):
    from scipy import stats
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    truth_varies = truth.size > 1 and np.ptp(truth) > 0
    both_vary = truth_varies and np.ptp(predicted) > 0
    line = stats.linregress(truth, predicted) if both_vary else None
    # Constant predictions lie on a level line, which the least squares would miss by a rounding error.
    level = truth_varies and not both_vary
    return {
        "r2": float(r2_score(truth, predicted)) if truth_varies else None,
        "mae": float(mean_absolute_error(truth, predicted)),
        "rmse": float(np.sqrt(mean_squared_error(truth, predicted))),
        "spearman": _correlation(stats.spearmanr, truth, predicted) if both_vary else None,
        "pearson": _correlation(stats.pearsonr, truth, predicted) if both_vary else None,
        "slope": float(line.slope) if line else 0.0 if level else None,
        "intercept": float(line.intercept) if line else float(predicted[0]) if level else None,
    }


def _correlation(function, truth, predicted):
    with warnings.catch_warnings():
        # Of nearly constant predictions, about which a user can do nothing: the other scores show them.
        warnings.filterwarnings("ignore", "An input array is")
        return float(function(truth, predicted)[0])


def interval_scores(truth, lower, upper) -> dict:
    """How often prediction intervals hold the true value, and how wide they are.

    Parameters
    ----------
    truth, lower, upper : array_like of float `[n]`
        True values and the intervals' ends, in the target's own units.

    Returns
    -------
    dict
        ``coverage`` (share of samples whose true value lies inside, ends included) and ``mean_width`` (own
        units).

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, a value is not finite, or an interval ends below its start.
    """
    truth, lower = _finite_pair(truth, lower)
    _, upper = _finite_pair(truth, upper)
    if (upper < lower).any():
        raise ValueError(f"{int((upper < lower).sum())} prediction intervals end below their start.")
    return {
        "coverage": float(np.mean((lower <= truth) & (truth <= upper))),
        "mean_width": float(np.mean(upper - lower)),
    }


def classification_scores(truth, predicted, probabilities=None, classes=None) -> dict:
    """Scores of predicted classes beside those of "always the largest class".

    Parameters
    ----------
    truth, predicted : array_like of str `[n]`
        True and predicted class names.
    probabilities : array_like of float `[n, K]`, optional
        Probability of each class, columns in the order of `classes`, rows summing to 1.
    classes : list of str, optional
        All classes, in the order wanted; by default the sorted names in `truth` and `predicted`.

    Returns
    -------
    dict
        ``samples``, ``classes``, ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that occur
        in `truth`), ``macro_precision``, ``macro_recall``, ``macro_f1`` (means over the classes where
        defined), ``per_class`` (list of dicts: class, support, predicted, precision, recall, f1, roc_auc,
        average_precision), ``confusion_matrix`` (`[K][K]` counts, rows true, columns predicted) and
        ``baseline`` (``value``: the largest class of `truth`; the same summary scores). With probabilities
        also ``roc_auc`` and ``average_precision`` (means over the classes, one against the rest),
        ``log_loss``, ``expected_calibration_error`` (10 equal bins of the probability of the predicted
        class), ``calibration_error_by_chance`` (what it would be if the probabilities held),
        ``roc_curves`` and ``precision_recall_curves`` (by class name), ``mean_roc_curve`` and ``calibration``
        (a dict a bin that is not empty); these keys are None without probabilities. The baseline's
        probabilities are the classes' shares of `truth`.

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, or a name in `truth` or `predicted` is not in `classes`.
    """
    from sklearn.metrics import confusion_matrix

    truth, predicted = [str(name) for name in truth], [str(name) for name in predicted]
    if not truth or len(truth) != len(predicted):
        raise ValueError(
            "Scores need as many predictions as true classes, and at least one: there are "
            f"{len(predicted)} and {len(truth)}."
        )
    classes = sorted(set(truth) | set(predicted)) if classes is None else [str(name) for name in classes]
    position = {name: number for number, name in enumerate(classes)}
    unknown = sorted((set(truth) | set(predicted)) - set(classes))
    if unknown:
        raise ValueError(
            f"{len(unknown)} classes of the samples are not in the list of classes: {', '.join(unknown[:5])}."
        )
    truth = np.array([position[name] for name in truth])
    predicted = np.array([position[name] for name in predicted])

    support = np.bincount(truth, minlength=len(classes))
    largest = int(support.argmax())
    scores = {"samples": len(truth), "classes": classes}
    scores.update(_classification(truth, predicted, classes))
    scores["confusion_matrix"] = confusion_matrix(truth, predicted, labels=range(len(classes))).tolist()
    baseline = _classification(truth, np.full_like(truth, largest), classes)
    del baseline["per_class"]
    scores["baseline"] = {"value": classes[largest], **baseline}

    curves = ("roc_curves", "mean_roc_curve", "precision_recall_curves", "calibration")
    summary = ("roc_auc", "average_precision", "log_loss", "expected_calibration_error")
    scores.update(dict.fromkeys((*summary, "calibration_error_by_chance", *curves)))
    scores["baseline"].update(dict.fromkeys(summary))
    if probabilities is not None:
        probabilities = _checked_probabilities(probabilities, len(truth), len(classes))
        found, areas = _probability_scores(truth, predicted, probabilities, classes)
        scores.update(found)
        for row, class_areas in zip(scores["per_class"], areas, strict=True):
            row.update(class_areas)
        shares = np.tile(support / support.sum(), (len(truth), 1))
        trivial, _ = _probability_scores(truth, np.full_like(truth, largest), shares, classes)
        scores["baseline"].update({name: trivial[name] for name in summary})
    return scores


def _classification(truth, predicted, classes):
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    # zero_division only silences sklearn's warning: the undefined scores are set to None below.
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(len(classes)), zero_division=0
    )
    n_predicted = np.bincount(predicted, minlength=len(classes))
    per_class = [
        {
            "class": name,
            "support": int(support[k]),
            "predicted": int(n_predicted[k]),
            "precision": float(precision[k]) if n_predicted[k] else None,
            "recall": float(recall[k]) if support[k] else None,
            "f1": float(f1[k]) if support[k] + n_predicted[k] else None,
            "roc_auc": None,
            "average_precision": None,
        }
        for k, name in enumerate(classes)
    ]
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        # Not sklearn's balanced_accuracy_score: it warns of predicted classes that do not occur; the number
        # is the same.
        "balanced_accuracy": _mean(row["recall"] for row in per_class),
        "macro_precision": _mean(row["precision"] for row in per_class),
        "macro_recall": _mean(row["recall"] for row in per_class),
        "macro_f1": _mean(row["f1"] for row in per_class),
        "per_class": per_class,
    }


def _probability_scores(truth, predicted, probabilities, classes):
    """Scores over all classes (dict), and the areas of each class (list of dicts)."""
    from sklearn.metrics import log_loss

    indicators = [truth == k for k in range(len(classes))]
    areas = [
        {
            "roc_auc": roc_area(is_class, probabilities[:, k]),
            "average_precision": average_precision(is_class, probabilities[:, k]),
        }
        for k, is_class in enumerate(indicators)
    ]
    confidence = probabilities[np.arange(len(truth)), predicted]
    bins, calibration_error = reliability_bins(truth == predicted, confidence)
    # With one class only, the loss of a certain event; sklearn would refuse.
    several = len(classes) > 1
    roc_curves = roc_points(indicators, probabilities, classes)
    scores = {
        "roc_auc": _mean(row["roc_auc"] for row in areas),
        "average_precision": _mean(row["average_precision"] for row in areas),
        "log_loss": float(log_loss(truth, probabilities, labels=range(len(classes)))) if several else 0.0,
        "expected_calibration_error": calibration_error,
        "calibration_error_by_chance": calibration_error_by_chance(confidence),
        "roc_curves": roc_curves,
        "mean_roc_curve": mean_roc_points(roc_curves),
        "precision_recall_curves": precision_recall_points(indicators, probabilities, classes),
        "calibration": bins,
    }
    return scores, areas


def _mean(values):
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _finite_pair(truth, predicted):
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != predicted.shape or truth.size == 0:
        raise ValueError(
            "Scores need as many predictions as true values, and at least one: the shapes are "
            f"{predicted.shape} and {truth.shape}."
        )
    bad = ~(np.isfinite(truth) & np.isfinite(predicted))
    if bad.any():
        raise ValueError(f"{int(bad.sum())} of {bad.size} true or predicted values are not finite numbers.")
    return truth, predicted


def _checked_probabilities(probabilities, n_samples, n_classes):
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (n_samples, n_classes):
        raise ValueError(
            f"Probabilities must have a row a sample and a column a class ({n_samples} x {n_classes}), not "
            f"{' x '.join(str(size) for size in probabilities.shape)}."
        )
    sums = probabilities.sum(axis=1)
    # "not (...)" so that NaN fails too.
    if not ((probabilities >= 0).all() and (np.abs(sums - 1) <= 0.01).all()):
        raise ValueError("Probabilities must not be negative, and those of a sample must sum to 1.")
    # Rounding in a text file moves the sums a little; sklearn's log loss would warn of that.
    return probabilities / sums[:, None]
