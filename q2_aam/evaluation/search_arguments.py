"""Arguments of scikit-learn's searches over penalties that are called otherwise from one release to the next."""

from inspect import signature


def number_of_penalties(model: type, number: int) -> dict:
    """How ``ElasticNetCV`` and its like are told how many penalties to try.

    ``n_alphas`` up to scikit-learn 1.6; ``alphas`` takes the number from 1.7 on, and 1.9 knows no ``n_alphas``.

    Examples
    --------
    >>> from sklearn.linear_model import ElasticNetCV
    >>> model = ElasticNetCV(**number_of_penalties(ElasticNetCV, 20))
    """
    old = signature(model).parameters.get("n_alphas")
    return {"n_alphas": number} if old is not None and isinstance(old.default, int) else {"alphas": number}


def ridge_alone(model: type) -> dict:
    """How ``LogisticRegressionCV`` is told that its penalty is the sum of squares, and nothing else.

    Releases before 1.8 do that without a word; later ones warn until it is said, and name what they found otherwise:
    :func:`best_penalty` reads both.
    """
    if "use_legacy_attributes" not in signature(model).parameters:
        return {}
    return {"l1_ratios": (0.0,), "use_legacy_attributes": False}


def best_penalty(logistic) -> tuple[float, float]:
    """The best mean score of a fitted ``LogisticRegressionCV`` over its folds, and the ``C`` that it is of."""
    import numpy as np

    scores, cost = logistic.scores_, logistic.C_
    if isinstance(scores, dict):
        # The same scores stand under each class.
        scores = next(iter(scores.values()))
    return float(scores.mean(0).max()), float(np.ravel(cost)[0])
