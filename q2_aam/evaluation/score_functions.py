"""What the scores of the registry compute: a float each, or None where the samples do not define it.

The arguments are those that :class:`q2_aam.evaluation.scores.Score` describes.
"""

import warnings

import numpy as np

from q2_aam.evaluation import curves


def mean_of_defined(values) -> float | None:
    """Mean of the values that are not None; None if all are."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def precision_recall_f1(truth: np.ndarray, predicted: np.ndarray, n_classes: int | None = None) -> tuple:
    """Precision, recall and F1 of each class.

    Parameters
    ----------
    truth, predicted : numpy.ndarray of int `[N]`
        Numbers of the classes.
    n_classes : int, optional
        Number of classes, K; by default up to the highest that occurs.

    Returns
    -------
    tuple of list
        Three lists `[K]` of floats. Precision is None for a class that is never predicted, recall for one that no
        sample is of, F1 for one of which both holds.
    """
    from sklearn.metrics import precision_recall_fscore_support

    n_classes = 1 + max(truth.max(), predicted.max()) if n_classes is None else n_classes
    # zero_division only silences scikit-learn's warning: what is undefined becomes None below.
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(n_classes), zero_division=0
    )
    predictions = np.bincount(predicted, minlength=n_classes)
    return tuple(
        [float(value) if count else None for value, count in zip(values, counts, strict=True)]
        for values, counts in ((precision, predictions), (recall, support), (f1, support + predictions))
    )


def _varies(values: np.ndarray) -> bool:
    return values.size > 1 and np.ptp(values) > 0


def r2(truth, predicted):
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predicted)) if _varies(truth) else None


def mae(truth, predicted):
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predicted))


def rmse(truth, predicted):
    from sklearn.metrics import mean_squared_error

    return float(np.sqrt(mean_squared_error(truth, predicted)))


def spearman(truth, predicted):
    from scipy import stats

    return _correlation(stats.spearmanr, truth, predicted)


def pearson(truth, predicted):
    from scipy import stats

    return _correlation(stats.pearsonr, truth, predicted)


def _correlation(function, truth, predicted):
    if not (_varies(truth) and _varies(predicted)):
        return None
    with warnings.catch_warnings():
        # Of nearly constant predictions, about which a user can do nothing: the other scores show them.
        warnings.filterwarnings("ignore", "An input array is")
        return float(function(truth, predicted)[0])


def _line(truth, predicted):
    """Slope and intercept of the least-squares line."""
    from scipy import stats

    if not _varies(truth):
        return None, None
    if not _varies(predicted):
        # A level line, which the least squares would miss by a rounding error.
        return 0.0, float(predicted[0])
    line = stats.linregress(truth, predicted)
    return float(line.slope), float(line.intercept)


def slope(truth, predicted):
    return _line(truth, predicted)[0]


def intercept(truth, predicted):
    return _line(truth, predicted)[1]


def coverage(truth, lower, upper):
    return float(np.mean((lower <= truth) & (truth <= upper)))


def mean_width(truth, lower, upper):
    return float(np.mean(upper - lower))


def balanced_accuracy(truth, predicted):
    # Not scikit-learn's own function, which warns of predicted classes that do not occur; the number is the same.
    return mean_of_defined(precision_recall_f1(truth, predicted)[1])


def macro_precision(truth, predicted):
    return mean_of_defined(precision_recall_f1(truth, predicted)[0])


def macro_f1(truth, predicted):
    return mean_of_defined(precision_recall_f1(truth, predicted)[2])


def accuracy(truth, predicted):
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def roc_area(truth, predicted, probabilities):
    return mean_of_defined(curves.roc_area(truth == k, column) for k, column in enumerate(probabilities.T))


def average_precision(truth, predicted, probabilities):
    return mean_of_defined(curves.average_precision(truth == k, column) for k, column in enumerate(probabilities.T))


def log_loss(truth, predicted, probabilities):
    from sklearn import metrics

    # With one class only, the loss of a certain event; scikit-learn would refuse.
    n_classes = probabilities.shape[1]
    return float(metrics.log_loss(truth, probabilities, labels=range(n_classes))) if n_classes > 1 else 0.0


def calibration_error(truth, predicted, probabilities):
    return curves.reliability_bins(truth == predicted, probabilities[np.arange(len(truth)), predicted])[1]
