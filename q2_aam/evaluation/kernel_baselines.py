"""Support-vector machines on exact distances between communities: what a study's own distances can say."""

from contextlib import suppress

import numpy as np
import scipy.sparse as sp

from q2_aam.evaluation.forests import target_values
from q2_aam.study.folds import grouped_folds

# The grid of settings.
GAMMAS = (0.25, 1.0, 4.0)
COSTS = (0.3, 1.0, 3.0, 10.0, 30.0)
# Where all training samples are of one group.
DEFAULT_GAMMA, DEFAULT_COST = 1.0, 1.0
INNER_FOLDS = 5
EPSILON = 0.1  # errors of the standardised target that count as none


def support_vector_machine(
    train_distances,
    train_target,
    test_distances,
    *,
    kind: str,
    groups=None,
    random_state: int = 0,
) -> np.ndarray:
    """Support-vector machine with the Gaussian kernel `exp(-gamma (d / median)^2)` on distances d.

    The median is that of the training samples' distances (but those of 0). `C` and `gamma` are those of a small grid
    that predict the training samples best by cross-validation among them: least squared error, or highest balanced
    accuracy.

    Parameters
    ----------
    train_distances : array_like `[N, N]`
        Distances among the training samples.
    train_target : np.ndarray `[N]`
        True values of the training samples: float64, or class names.
    test_distances : array_like `[M, N]`
        Distances of the test samples to the training samples.
    kind : {'numeric', 'categorical'}
        Kind of the target. Numbers are standardised on the training samples; classes count alike whatever their sizes.
    groups : array_like `[N]`, optional
        Groups of the training samples, which the inner folds keep together.
    random_state : int
        Seed of the inner folds.

    Returns
    -------
    np.ndarray `[M]`
        Predictions: float64 in the target's own units, or class names.

    Raises
    ------
    ValueError
        When `kind` is unknown.
    """
    target, location, scale = target_values(train_target, kind), 0.0, 1.0
    if kind == "numeric":
        location, scale = target.mean(), target.std() or 1.0
        target = (target - location) / scale
    distances = np.asarray(train_distances, dtype=np.float64)
    pairs = distances[np.triu_indices_from(distances, 1)]
    median = np.median(pairs[pairs > 0]) if (pairs > 0).any() else 1.0
    squares = np.square(distances / median)
    gamma, cost = _best_of_grid(squares, target, kind, groups, random_state)
    test_squares = np.square(np.asarray(test_distances, dtype=np.float64) / median)
    predicted = _predict(squares, target, test_squares, kind, gamma, cost)
    return predicted * scale + location if kind == "numeric" else np.asarray(predicted, dtype=object)


def _predict(squares, target, test_squares, kind: str, gamma: float, cost: float) -> np.ndarray:
    """Predictions `[M]` of a machine fitted to squared distances `[N, N]`, from those `[M, N]` of the test samples."""
    from sklearn.svm import SVC, SVR

    if kind == "categorical" and len(set(target)) < 2:
        # No machine parts one class from none.
        return np.full(len(test_squares), target[0], dtype=object)
    if kind == "numeric":
        machine = SVR(kernel="precomputed", C=cost, epsilon=EPSILON)
    else:
        # Nothing in it is random, but without a seed it draws one from NumPy's generator, which is the user's.
        machine = SVC(kernel="precomputed", C=cost, class_weight="balanced", random_state=0)
    return machine.fit(np.exp(-gamma * squares), target).predict(np.exp(-gamma * test_squares))


def _best_of_grid(squares, target, kind: str, groups, random_state: int) -> tuple[float, float]:
    """Gamma and C with the best predictions of the training samples, each by the others."""
    units = len(target) if groups is None else len(set(groups))
    if units < 2:
        return DEFAULT_GAMMA, DEFAULT_COST
    folds = _inner_folds(target, min(INNER_FOLDS, units), kind, groups, random_state)
    classes = np.unique(target) if kind == "categorical" else None
    scores = {}
    # Of settings that do equally well the first is taken: the smoothest.
    for gamma in GAMMAS:
        for cost in COSTS:
            predicted = np.empty_like(target)
            for train, test in folds:
                among, across = squares[np.ix_(train, train)], squares[np.ix_(test, train)]
                predicted[test] = _predict(among, target[train], across, kind, gamma, cost)
            if kind == "numeric":
                scores[gamma, cost] = -np.mean((predicted - target) ** 2)
            else:
                scores[gamma, cost] = np.mean([(predicted[target == name] == name).mean() for name in classes])
    return max(scores, key=scores.get)


def _inner_folds(target, n_folds: int, kind: str, groups, random_state: int) -> list:
    """Rows to fit and rows to predict of each fold, in which the classes have like shares where that is possible."""
    settings = {"groups": groups, "random_seed": random_state}
    if kind == "categorical":
        # A class in one group or sample only cannot be in all folds; the others can be told apart all the same.
        with suppress(ValueError):
            return grouped_folds(len(target), n_folds, classes=target, **settings)
    return grouped_folds(len(target), n_folds, **settings)


def jaccard_distances(counts, other=None) -> np.ndarray:
    """Jaccard distances between communities, by the ASVs that they hold.

    Parameters
    ----------
    counts : scipy.sparse.csr_matrix `[N, V]`
        Counts.
    other : scipy.sparse.csr_matrix `[M, V]`, optional
        Counts of the communities to which distances are measured; `counts` by default.

    Returns
    -------
    np.ndarray
        float64 `[N, M]`: 1 - shared / all ASVs of both; 0 between two communities without any.
    """
    presence = (sp.csr_matrix(counts) > 0).astype(np.float64)
    others = presence if other is None else (sp.csr_matrix(other) > 0).astype(np.float64)
    shared = (presence @ others.T).toarray()
    richness, other_richness = (np.asarray(rows.sum(axis=1)).ravel() for rows in (presence, others))
    union = richness[:, None] + other_richness - shared
    return np.where(union > 0, 1 - shared / np.maximum(union, 1), 0.0)
