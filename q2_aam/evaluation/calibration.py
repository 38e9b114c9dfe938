"""How certain predictions are: intervals of numbers, probabilities of classes.

They are calibrated on samples that the predictor was not fitted to: on its out-of-fold predictions, or on those of
validation samples. Both are called out-of-fold here.
"""

import numpy as np

COVERAGE = 0.9  # of the intervals that models are saved with
# Natural logarithms between which a temperature is sought: probabilities from all but certain to the classes' shares.
LOG_TEMPERATURES = (-5.0, 7.0)
# Logarithm of a probability that rounds to 0.
LEAST_LOG = -700.0
# What a forest's probabilities are mixed with, evenly: no class is impossible because it got no vote.
EVEN_SHARE = 1e-3


def residual_interval(truth, predicted, coverage: float = COVERAGE, groups=None) -> dict:
    """Half width of an interval around a prediction that holds the true value with a given probability.

    It is the smallest residual such that residuals up to it have a share of ``coverage``, where each of G groups counts
    alike, however many samples it has, and one more group, that of the new sample, is beyond all of them. Without
    groups each sample is one, and the half width is the ``ceil((N + 1) * coverage)``-th smallest of N residuals.

    For a new sample of a new group, groups being exchangeable, and residuals of a predictor that was fitted to other
    samples, the interval ``prediction +/- half_width`` holds the true value with probability ``coverage`` or more. Of
    out-of-fold residuals (each of another predictor, whose settings were chosen by them) that is not proved; proved,
    for intervals made in a similar way, is ``1 - 2 (1 - coverage)``. What was measured is in
    docs/explanation/probabilities.md.

    Parameters
    ----------
    truth, predicted : array_like of float `[N]`
        True values and out-of-fold predictions, in the target's own units.
    coverage : float
        Probability, between 0 and 1.
    groups : array_like `[N]`, optional
        Group of each sample.

    Returns
    -------
    dict
        ``half_width`` (float, in the target's units), ``coverage`` (float), ``residuals`` (int, N), ``groups`` (int, G;
        None without groups) and ``enough`` (bool). With too few groups (or samples; fewer than 9 at 90%) no finite
        interval has this coverage: ``half_width`` is then the largest absolute residual and ``enough`` is False. All
        values are plain Python, ready for JSON.

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, a value is not finite, or `coverage` is outside (0, 1).

    References
    ----------
    Dunn R, Wasserman L, Ramdas A (2023). Distribution-free prediction sets for two-layer hierarchical models. Journal
    of the American Statistical Association 118(544):2491-2502.

    Barber RF, Candes EJ, Ramdas A, Tibshirani RJ (2021). Predictive inference with the jackknife+. Annals of Statistics
    49(1):486-507.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"The coverage of an interval must lie between 0 and 1, not {coverage}.")
    truth = np.asarray(truth, dtype=np.float64)
    predicted = np.asarray(predicted, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != predicted.shape:
        raise ValueError(
            f"True values and predictions must be two lists of one length, not of shapes {truth.shape} and "
            f"{predicted.shape}."
        )
    if truth.size == 0:
        raise ValueError("A prediction interval needs at least one out-of-fold prediction; there is none.")
    residuals = np.abs(truth - predicted)
    if not np.isfinite(residuals).all():
        raise ValueError(
            f"{int((~np.isfinite(residuals)).sum())} of {residuals.size} errors of out-of-fold predictions are "
            "not finite numbers; no prediction interval can be made from them."
        )
    numbers = np.arange(truth.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(numbers)
    order = np.argsort(residuals, kind="stable")
    shares = np.cumsum(1 / sizes[numbers[order]]) / (len(sizes) + 1)
    # A sum may be a rounding error below what it is compared with.
    place = int(np.searchsorted(shares, coverage - 1e-9))
    enough = place < residuals.size
    half_width = residuals[order[place]] if enough else residuals.max()
    return {
        "half_width": float(half_width),
        "coverage": float(coverage),
        "residuals": int(residuals.size),
        "groups": None if groups is None else len(sizes),
        "enough": enough,
    }


def apply_interval(predicted, interval: dict) -> tuple:
    """Interval of each prediction.

    Parameters
    ----------
    predicted : array_like of float `[N]`
        Predictions in the target's own units.
    interval : dict
        What `residual_interval` returned (or the same read back from JSON).

    Returns
    -------
    tuple of numpy.ndarray
        ``lower`` and ``upper`` `[N]`, float64, in the target's own units.
    """
    predicted = np.asarray(predicted, dtype=np.float64)
    return predicted - interval["half_width"], predicted + interval["half_width"]


def with_equal_priors(probabilities, frequency) -> np.ndarray:
    """Probabilities of classes as if these were equally frequent, of estimators whose own follow the frequencies.

    They are mixed with equal ones in the end, so that none is 0. Before the division, the same amount would weigh the
    more the rarer a class is: with 1 of 1,001 samples it would have half of the probability where it got no vote.

    Parameters
    ----------
    probabilities : array_like of float `[N, K]`
        Of each class, not negative, not all 0 in a row.
    frequency : array_like of float `[K]`
        Share of each class in the training samples, above 0.

    Returns
    -------
    numpy.ndarray
        float64 `[N, K]`, all above 0; rows add up to 1.

    References
    ----------
    Saerens M, Latinne P, Decaestecker C (2002). Adjusting the outputs of a classifier to new a priori probabilities: a
    simple procedure. Neural Computation 14(1):21-41.
    """
    return mixed_with_even(np.asarray(probabilities, dtype=np.float64) / np.asarray(frequency, dtype=np.float64))


def mixed_with_even(shares: np.ndarray) -> np.ndarray:
    """Numbers ``[N, K]`` that are not negative as probabilities, all above 0."""
    return (1 - EVEN_SHARE) * shares / shares.sum(1, keepdims=True) + EVEN_SHARE / shares.shape[1]


def class_probabilities(outputs, shares, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of classes as frequent as these shares, of outputs for classes that count alike.

    Parameters
    ----------
    outputs : array_like of float `[N, K]`
        Logits, or logarithms of probabilities, of equally frequent classes.
    shares : array_like of float `[K]`
        Share of each class in the samples learnt from, above 0.
    temperature : float
        What outputs are divided by: the larger, the less they say beside the shares.

    Returns
    -------
    numpy.ndarray
        float64 `[N, K]`; rows add up to 1.
    """
    from scipy.special import softmax

    return softmax(np.asarray(outputs, dtype=np.float64) / temperature + np.log(shares), axis=1)


def fit_temperature(outputs, codes, shares) -> float:
    """Temperature of :func:`class_probabilities` with which these say how often a class is the true one.

    It minimises the cross entropy of out-of-fold predictions, among the classes that occur in them. It is drawn towards
    1 as if by one more sample: few samples that are all predicted right would otherwise make the predictor certain. The
    pull on what is above 1 has a bound, so that outputs which tell nothing leave little more than the shares, also
    where a class is rare.

    Parameters
    ----------
    outputs : array_like of float `[N, K]`
        Out of fold, of equally frequent classes.
    codes : array_like of int `[N]`
        True class of each, 0 to K - 1.
    shares : array_like of float `[K]`
        Share of each class in the samples learnt from.

    Returns
    -------
    float
        Above 1 where the outputs were too extreme, below 1 where they were too even; 1 where all are of one class.

    Raises
    ------
    ValueError
        When there is no sample, or lengths differ.

    References
    ----------
    Guo C, Pleiss G, Sun Y, Weinberger KQ (2017). On calibration of modern neural networks. ICML 70:1321-1330.
    """
    from scipy.optimize import minimize_scalar

    outputs, codes = np.asarray(outputs, dtype=np.float64), np.asarray(codes)
    if outputs.ndim != 2 or len(outputs) != len(codes) or len(codes) == 0:
        raise ValueError(
            f"A temperature needs a row of out-of-fold outputs for each of one or more samples, not {outputs.shape} "
            f"for {len(codes)}."
        )

    # A class that is in no fold (all of it is in one group) is never the true one: it would pull all others.
    present, codes = np.unique(codes, return_inverse=True)
    if len(present) < 2:
        return 1.0
    outputs, shares = outputs[:, present], np.asarray(shares, dtype=np.float64)[present]

    def cross_entropy(log_temperature: float) -> float:
        found = class_probabilities(outputs, shares, np.exp(log_temperature))[np.arange(len(codes)), codes]
        pull = log_temperature if log_temperature < 0 else 1 - np.exp(-log_temperature)
        with np.errstate(divide="ignore"):
            return (pull**2 / 2 - np.maximum(np.log(found), LEAST_LOG).sum()) / len(codes)

    return float(np.exp(minimize_scalar(cross_entropy, bounds=LOG_TEMPERATURES, method="bounded").x))
