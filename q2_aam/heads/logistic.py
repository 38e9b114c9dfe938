"""Logistic regressions of many features for several penalties, each from where the one before ended."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from q2_aam.encoder.algebra import eigh, product

# Of the gradient, in coordinates where loss and penalty are about as steep in all directions. Where a feature parts the
# classes the loss is nearly flat far from its minimum: less strict, a regression would end where the one before did.
TOLERANCE = 1e-5
# Of the loss, relative, from one step to the next.
LEAST_GAIN = 1e-12
ITERATIONS = 1000


def logistic_path(
    features: np.ndarray, target: np.ndarray, alphas: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Logistic regression for each penalty; classes count alike.

    The same minimum as scikit-learn's ``LogisticRegression(C=1 / alpha, class_weight="balanced")``. Its gradient
    methods take up to 1,000 steps with the similarities of a kernel, whose principal components differ in size by
    orders of magnitude, and do not arrive where the penalty is small; in the components, each scaled by the curvature
    that the loss and the penalty have along it, some 20 do.

    Parameters
    ----------
    features : np.ndarray
        float64 ``[N, F]``.
    target : np.ndarray
        int ``[N]``, classes from 0 to ``O - 1``, at least two, none without samples.
    alphas : np.ndarray
        Penalties.

    Returns
    -------
    list of tuple
        For each alpha the weight ``[F, O]`` and the bias ``[O]``, each of which sums to 0 over the classes.

    Raises
    ------
    ValueError
        If there is one class only, or one of them has no sample.

    Examples
    --------
    >>> features, target = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> ((weight, bias),) = logistic_path(features, target, [1.0])
    >>> (features @ weight + bias).argmax(1)
    array([0, 0, 1, 1])
    """
    n_classes = int(target.max()) + 1
    of_class = np.eye(n_classes)[target]
    sizes = of_class.sum(0)
    if n_classes < 2 or not sizes.all():
        raise ValueError("A logistic regression needs samples of two classes or more, numbered from 0 without a gap.")
    weights = len(target) / (n_classes * sizes)[target]
    mean = weights @ features / weights.sum()
    centred = features - mean
    curvatures, directions = eigh(product((centred * weights[:, None]).T, centred))
    components = product(centred, directions)
    del centred
    # With two classes the penalty is meant for the difference of their weights, which has twice their squares.
    penalties = [2 * alpha if n_classes == 2 else alpha for alpha in alphas]
    steepness = np.sqrt(weights.sum() / n_classes)
    weight, bias, solutions = np.zeros((len(curvatures), n_classes)), np.zeros(n_classes), []
    for penalty in penalties:
        scale = 1 / np.sqrt(np.maximum(curvatures, 0) / n_classes + penalty)[:, None]

        def loss_and_gradient(point: np.ndarray) -> tuple[float, np.ndarray]:
            scaled = point.reshape(-1, n_classes)
            inside, offset = scale * scaled[:-1], scaled[-1] / steepness  # noqa: B023
            logs = log_softmax(product(components, inside) + offset, axis=1)
            off = weights[:, None] * (np.exp(logs) - of_class)
            loss = -weights @ logs[np.arange(len(target)), target] + penalty / 2 * (inside**2).sum()  # noqa: B023
            slope = scale * (product(components.T, off) + penalty * inside)  # noqa: B023
            return loss, np.concatenate([slope, off.sum(0, keepdims=True) / steepness]).ravel()

        start = np.concatenate([weight / scale, bias[None] * steepness])
        options = {"maxiter": ITERATIONS, "gtol": TOLERANCE, "ftol": LEAST_GAIN}
        found = minimize(loss_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        scaled = found.x.reshape(-1, n_classes)
        weight, bias = scale * scaled[:-1], scaled[-1] / steepness
        # But for rounding, they sum to 0 over the classes by themselves.
        own = product(directions, weight - weight.mean(1, keepdims=True))
        solutions.append((own, bias - bias.mean() - mean @ own))
    return solutions
