"""Logistic regressions of kernel coordinates, beside scikit-learn's of the same minimum."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from q2_aam.heads.kernel import LOGISTIC_ALPHAS, directions
from q2_aam.heads.logistic import logistic_path


def coordinates(n_samples: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of a Gaussian kernel, whose principal components differ in size by orders, and a number."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(n_samples, 6))
    kernel = np.exp(-0.1 * ((places[:, None] - places[None]) ** 2).sum(-1))
    return kernel @ directions(kernel), places[:, 0] + 0.5 * rng.normal(size=n_samples)


def classes_of(level: np.ndarray, shares: list[float]) -> np.ndarray:
    """Classes of these shares, in the order of a number."""
    return np.searchsorted(np.quantile(level, np.cumsum(shares)[:-1]), level)


def loss(features: np.ndarray, target: np.ndarray, alpha: float, weight: np.ndarray, bias: np.ndarray) -> float:
    """What is made small: the penalty of two classes is that of their difference."""
    counts = np.bincount(target)
    logs = log_softmax(features @ weight + bias, axis=1)[np.arange(len(target)), target]
    squares = (weight**2).sum() * (2 if len(counts) == 2 else 1)
    return -(len(target) / len(counts) / counts[target]) @ logs + alpha / 2 * squares


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9, 0.1], [0.4, 0.3, 0.3], [0.7, 0.2, 0.05, 0.05]])
def test_each_penalty_has_scikit_learns_minimum(shares):
    features, level = coordinates()
    target = classes_of(level, shares)
    for alpha, (weight, bias) in zip(LOGISTIC_ALPHAS, logistic_path(features, target, LOGISTIC_ALPHAS), strict=True):
        theirs = LogisticRegression(C=1 / alpha, class_weight="balanced", max_iter=100_000, tol=1e-6)
        theirs.fit(features, target)
        outputs = features @ weight + bias
        probabilities = np.exp(log_softmax(outputs, axis=1))
        assert np.abs(probabilities - theirs.predict_proba(features)).max() < 2e-3
        coefficients, intercepts = theirs.coef_.T, theirs.intercept_
        if len(shares) == 2:
            coefficients, intercepts = coefficients * [-0.5, 0.5], intercepts * [-0.5, 0.5]
        least = loss(features, target, alpha, coefficients, intercepts)
        assert loss(features, target, alpha, weight, bias) == pytest.approx(least, rel=1e-5, abs=2e-4)
        assert np.allclose(weight.sum(1), 0, atol=1e-9) and abs(bias.sum()) < 1e-9


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.4, 0.3, 0.3]])
@pytest.mark.parametrize("weight", [0.0, 8.0])
def test_a_penalty_does_not_depend_on_those_before_it(weight, shares):
    """Also where a covariate of a large weight all but parts the classes, and the loss is flat far from its minimum."""
    features, level = coordinates()
    covariate = level[:, None] + 0.02 * np.random.default_rng(1).normal(size=(len(level), 1))
    features, target = np.hstack([features, weight * covariate]), classes_of(level, shares)
    (weights, bias), alone = logistic_path(features, target, LOGISTIC_ALPHAS)[-1], LogisticRegression(
        C=1 / LOGISTIC_ALPHAS[-1], class_weight="balanced", max_iter=100_000, tol=1e-6
    ).fit(features, target)
    ((cold, cold_bias),) = logistic_path(features, target, LOGISTIC_ALPHAS[-1:])
    outputs, again = features @ weights + bias, features @ cold + cold_bias
    if not weight:
        # Elsewhere the processor's rounding decides outputs in the hundreds, of which probabilities say nothing.
        assert np.abs(outputs - again).max() < 0.01 * np.abs(again).max()
    for found in (outputs, again):
        assert np.abs(np.exp(log_softmax(found, axis=1)) - alone.predict_proba(features)).max() < 2e-3
    # On some processors the two end 0.4% apart, where the loss is flat.
    assert loss(features, target, LOGISTIC_ALPHAS[-1], weights, bias) == pytest.approx(
        loss(features, target, LOGISTIC_ALPHAS[-1], cold, cold_bias), rel=1e-2
    )


@pytest.mark.parametrize("target", [[0, 0, 0], [0, 2, 2]])
def test_a_class_without_samples_is_refused(target):
    with pytest.raises(ValueError, match="^A logistic regression needs samples of two classes or more"):
        logistic_path(np.eye(3), np.array(target), [1.0])


def test_features_that_are_the_same_in_all_samples_get_no_weight():
    features, level = coordinates()
    target = classes_of(level, [0.5, 0.5])
    ((weight, bias),) = logistic_path(features, target, [1.0])
    ((wider, same),) = logistic_path(np.column_stack([features, np.full(len(features), 3.0)]), target, [1.0])
    assert np.abs(wider[-1]).max() < 1e-6
    assert np.abs(features @ (wider[:-1] - weight) + same + 3.0 * wider[-1] - bias).max() < 0.01
