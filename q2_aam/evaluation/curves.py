"""ROC, precision-recall and reliability curves of probabilities, defined also where a class is missing."""

import numpy as np

CHANCE_DRAWS = 200  # of right and wrong, for the calibration error of probabilities that hold
N_BINS = 10  # of the reliability diagram and the expected calibration error


def roc_area(is_class, probability):
    """Area under the ROC curve of one class against the rest; None when either side has no sample.

    Parameters
    ----------
    is_class : numpy.ndarray of bool `[N]`
        Whether the sample's true class is this one.
    probability : numpy.ndarray of float `[N]`
        Probability given to the class.

    Returns
    -------
    float or None
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_class, probability)) if 0 < is_class.sum() < is_class.size else None


def average_precision(is_class, probability):
    """Average precision (area under the precision-recall curve) of one class; None when it has no sample.

    Parameters and the return value are those of `roc_area`.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(is_class, probability)) if is_class.any() else None


def roc_points(indicators, probabilities, classes) -> dict:
    """ROC curve of each class against the rest.

    Parameters
    ----------
    indicators : list of numpy.ndarray of bool `[N]`
        For each class, whether the samples are of it.
    probabilities : numpy.ndarray of float `[N, K]`
        Probability of each class.
    classes : list of str
        Names of the K classes.

    Returns
    -------
    dict
        Class name -> ``{"false_positive_rate": [...], "true_positive_rate": [...]}``, only for classes whose
        curve is defined.
    """
    from sklearn.metrics import roc_curve

    curves = {}
    for k, name in enumerate(classes):
        if 0 < indicators[k].sum() < indicators[k].size:
            false_positive, true_positive, _ = roc_curve(indicators[k], probabilities[:, k])
            curves[name] = {
                "false_positive_rate": false_positive.tolist(),
                "true_positive_rate": true_positive.tolist(),
            }
    return curves


def mean_roc_points(curves: dict):
    """Mean of the classes' true positive rates at each false positive rate.

    Parameters
    ----------
    curves : dict
        What `roc_points` returned.

    Returns
    -------
    dict or None
        ``{"false_positive_rate": [...], "true_positive_rate": [...]}``; None without curves. The area under
        it is the mean of the classes' areas.
    """
    if not curves:
        return None
    points = [(curve["false_positive_rate"], curve["true_positive_rate"]) for curve in curves.values()]
    grid = np.unique(np.concatenate([false_positive for false_positive, _ in points]))
    # Where a curve goes straight up, np.interp gives the upper end; read backwards, the lower one.
    upper = np.mean([np.interp(grid, x, y) for x, y in points], axis=0)
    lower = np.mean([np.interp(-grid, -np.array(x)[::-1], y[::-1]) for x, y in points], axis=0)
    return {
        "false_positive_rate": np.repeat(grid, 2).tolist(),
        "true_positive_rate": np.column_stack([lower, upper]).ravel().tolist(),
    }


def precision_recall_points(indicators, probabilities, classes) -> dict:
    """Precision-recall curve of each class against the rest.

    Parameters are those of `roc_points`.

    Returns
    -------
    dict
        Class name -> ``{"recall": [...], "precision": [...]}``, recall increasing, only for classes that
        occur.
    """
    from sklearn.metrics import precision_recall_curve

    curves = {}
    for k, name in enumerate(classes):
        if indicators[k].any():
            precision, recall, _ = precision_recall_curve(indicators[k], probabilities[:, k])
            # A run of thresholds with one recall is a vertical line: its two ends draw it (large studies stay
            # small).
            moves = np.diff(recall) != 0
            keep = np.r_[True, moves[:-1] | moves[1:], True]
            recall, precision = recall[keep][::-1], precision[keep][::-1]
            curves[name] = {"recall": recall.tolist(), "precision": precision.tolist()}
    return curves


def reliability_bins(correct, confidence) -> tuple:
    """How often predictions made with a given probability are right.

    Parameters
    ----------
    correct : numpy.ndarray of bool `[N]`
        Whether the prediction is right; of one class: whether the sample is of it.
    confidence : numpy.ndarray of float `[N]`
        Probability given to the predicted class, or to the one class.

    Returns
    -------
    list of dict
        For each of 10 equal bins of [0, 1] that holds samples: ``lower``, ``upper``, ``samples``,
        ``confidence`` (mean) and ``accuracy``.
    float
        Expected calibration error: mean over the samples of their bin's |accuracy - confidence|.

    References
    ----------
    Guo C, Pleiss G, Sun Y, Weinberger KQ (2017). On calibration of modern neural networks. ICML, PMLR
    70:1321-1330.
    """
    from scipy.stats import binned_statistic

    # Rounding can leave a probability a hair outside [0, 1], where binned_statistic would drop it.
    confidence = np.clip(confidence, 0, 1)
    counts, edges, bin_number = binned_statistic(confidence, confidence, "count", bins=N_BINS, range=(0, 1))
    bins = []
    for k in np.flatnonzero(counts):
        inside = bin_number == k + 1
        bins.append(
            {
                "lower": float(edges[k]),
                "upper": float(edges[k + 1]),
                "samples": int(counts[k]),
                "confidence": float(confidence[inside].mean()),
                "accuracy": float(correct[inside].mean()),
            }
        )
    error = sum(row["samples"] * abs(row["accuracy"] - row["confidence"]) for row in bins) / len(confidence)
    return bins, float(error)


def calibration_error_by_chance(confidence, random_state: int = 0) -> float:
    """Expected calibration error of exact probabilities, for want of more samples.

    In a bin of few samples the share that is right differs from the probability by chance, so that no classifier has a
    calibration error of 0.

    Parameters
    ----------
    confidence : numpy.ndarray of float `[N]`
        Probability given to the predicted class, or to one class whatever is predicted.
    random_state : int
        Seed of the draws.

    Returns
    -------
    float
        Mean over draws in which each prediction is right with its own probability, independently of the others.
    """
    rng = np.random.default_rng(random_state)
    draws = (rng.random(len(confidence)) < confidence for _ in range(CHANCE_DRAWS))
    return float(np.mean([reliability_bins(right, confidence)[1] for right in draws]))
