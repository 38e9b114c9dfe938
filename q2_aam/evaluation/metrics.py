"""Scores of predictions, each beside the score of the answer that looks at no sample at all.

Every function returns plain Python values without NaN: a score that the samples do not define (a correlation
with a constant, the recall of a class that does not occur) is None. Which scores there are is said in
:mod:`q2_aam.evaluation.scores`.
"""

import numpy as np

from q2_aam.evaluation import curves
from q2_aam.evaluation.score_functions import precision_recall_f1
from q2_aam.evaluation.scores import values_of


def regression_scores(truth, predicted) -> dict:
    """Scores of numeric predictions beside those of "always the median".

    Parameters
    ----------
    truth, predicted : array_like of float `[N]`
        True values and predictions in the target's own units.

    Returns
    -------
    dict
        ``samples`` (int); the registry's scores of numbers; ``slope`` and ``intercept`` among them are those of the
        least-squares line of predicted on true; ``baseline``: the same scores of predicting for every sample the
        median of these true values (so it knows more than any model does: the honest bar), with that ``value``.

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, or a value is not finite.
    """
    truth, predicted = _finite_pair(truth, predicted)
    median = float(np.median(truth))
    bar = values_of("numeric", "predictions", truth, np.full_like(truth, median))
    values = values_of("numeric", "predictions", truth, predicted)
    return {"samples": int(truth.size), **values, "baseline": {"value": median, **bar}}


def interval_scores(truth, lower, upper) -> dict:
    """How often prediction intervals hold the true value, and how wide they are.

    Parameters
    ----------
    truth, lower, upper : array_like of float `[N]`
        True values and the intervals' ends, in the target's own units.

    Returns
    -------
    dict
        The registry's scores of intervals: ``coverage`` (share of samples whose true value lies inside, ends included),
        ``mean_width`` (own units).

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, a value is not finite, or an interval ends below its start.
    """
    truth, lower = _finite_pair(truth, lower)
    _, upper = _finite_pair(truth, upper)
    if (upper < lower).any():
        raise ValueError(f"{int((upper < lower).sum())} prediction intervals end below their start.")
    return values_of("numeric", "intervals", truth, lower, upper)


def classification_scores(truth, predicted, probabilities=None, classes=None) -> dict:
    """Scores of predicted classes beside those of "always the largest class".

    Parameters
    ----------
    truth, predicted : array_like of str `[N]`
        True and predicted class names.
    probabilities : array_like of float `[N, K]`, optional
        Probability of each class, columns in the order of `classes`, rows summing to 1.
    classes : list of str, optional
        All classes in their order; by default the sorted names in `truth` and `predicted`.

    Returns
    -------
    dict
        ``samples``, ``classes``; the registry's scores of classes (means over the classes where defined); ``per_class``
        (list of dicts: class, support, predicted, precision, recall, f1, roc_auc, average_precision, mean_probability,
        calibration_error, calibration_error_by_chance);
        ``confusion_matrix`` (`[K][K]` counts, rows true, columns predicted); ``baseline`` (``value``: the largest class
        of `truth`; the same scores, with the classes' shares of `truth` as probabilities). With probabilities also what
        :func:`_pictures` returns. Without them these and the scores that need them are None.

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, or a name in `truth` or `predicted` is not in `classes`.
    """
    truth, predicted, classes = _codes(truth, predicted, classes)
    support = np.bincount(truth, minlength=len(classes))
    largest = np.full_like(truth, support.argmax())
    bar = values_of("categorical", "predictions", truth, largest)
    scores = {"samples": len(truth), "classes": classes, **values_of("categorical", "predictions", truth, predicted)}
    if probabilities is None:
        absent = values_of("categorical", "probabilities")
        scores.update({**absent, **dict.fromkeys(PICTURES)})
        bar.update(absent)
    else:
        probabilities = _checked_probabilities(probabilities, len(truth), len(classes))
        shares = np.tile(support / support.sum(), (len(truth), 1))
        scores.update(values_of("categorical", "probabilities", truth, predicted, probabilities))
        scores.update(_pictures(truth, predicted, probabilities, classes))
        bar.update(values_of("categorical", "probabilities", truth, largest, shares))
    scores["per_class"] = _per_class(truth, predicted, probabilities, classes)
    scores["confusion_matrix"] = _confusion_matrix(truth, predicted, len(classes))
    scores["baseline"] = {"value": classes[largest[0]], **bar}
    return scores


PICTURES = (
    "roc_curves",
    "mean_roc_curve",
    "precision_recall_curves",
    "calibration",
    "calibration_error_by_chance",
)


def _pictures(truth, predicted, probabilities, classes) -> dict:
    """What is drawn of probabilities: curves by class name, their mean, bins of reliability.

    ``calibration`` has a dict a bin that is not empty, 10 equal bins of the probability of the predicted class;
    ``calibration_error_by_chance`` is what the calibration error would be if the probabilities held exactly.
    """
    indicators = [truth == k for k in range(len(classes))]
    confidence = probabilities[np.arange(len(truth)), predicted]
    roc_curves = curves.roc_points(indicators, probabilities, classes)
    pictures = (
        roc_curves,
        curves.mean_roc_points(roc_curves),
        curves.precision_recall_points(indicators, probabilities, classes),
        curves.reliability_bins(truth == predicted, confidence)[0],
        curves.calibration_error_by_chance(confidence),
    )
    return dict(zip(PICTURES, pictures, strict=True))


def _per_class(truth, predicted, probabilities, classes) -> list:
    """Scores of each class; what needs probabilities is None without them."""
    measures = precision_recall_f1(truth, predicted, len(classes))
    rows = []
    for k, name in enumerate(classes):
        row = {"class": name, "support": int((truth == k).sum()), "predicted": int((predicted == k).sum())}
        row.update(zip(("precision", "recall", "f1"), (values[k] for values in measures), strict=True))
        for area, function in (("roc_auc", curves.roc_area), ("average_precision", curves.average_precision)):
            row[area] = None if probabilities is None else function(truth == k, probabilities[:, k])
        row.update(_class_calibration(truth == k, None if probabilities is None else probabilities[:, k]))
        rows.append(row)
    return rows


def _class_calibration(is_class: np.ndarray, probability: np.ndarray | None) -> dict:
    """How far one class's probabilities, in all samples, are from how often it is the true one."""
    names = ("mean_probability", "calibration_error", "calibration_error_by_chance")
    if probability is None:
        return dict.fromkeys(names)
    error = curves.reliability_bins(is_class, probability)[1]
    chance = curves.calibration_error_by_chance(probability)
    return dict(zip(names, (float(probability.mean()), error, chance), strict=True))


def _confusion_matrix(truth, predicted, n_classes) -> list:
    counts = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(counts, (truth, predicted), 1)
    return counts.tolist()


def _codes(truth, predicted, classes) -> tuple:
    """Numbers of the true and the predicted classes, int `[N]`, and the names of all classes."""
    truth, predicted = [str(name) for name in truth], [str(name) for name in predicted]
    if not truth or len(truth) != len(predicted):
        raise ValueError(
            "Scores need as many predictions as true classes, and at least one: there are "
            f"{len(predicted)} and {len(truth)}."
        )
    classes = sorted(set(truth) | set(predicted)) if classes is None else [str(name) for name in classes]
    unknown = sorted((set(truth) | set(predicted)) - set(classes))
    if unknown:
        raise ValueError(
            f"{len(unknown)} classes of the samples are not in the list of classes: {', '.join(unknown[:5])}."
        )
    number = {name: k for k, name in enumerate(classes)}
    return np.array([number[name] for name in truth]), np.array([number[name] for name in predicted]), classes


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
