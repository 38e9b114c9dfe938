"""Support-vector machines on exact distances between communities: what a study's own distances can say."""

import numpy as np
import scipy.sparse as sp

from q2_aam.study.folds import grouped_folds

# What a machine is chosen from.
GAMMAS = (0.25, 1.0, 4.0)
COSTS = (0.3, 1.0, 3.0, 10.0, 30.0)
# What is taken where the training samples are of one group.
USUAL_GAMMA, USUAL_COST = 1.0, 1.0
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
    """Support-vector machine with the Gaussian kernel `exp(-gamma (d / median)^2)` of given distances.

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
    kind : {'regression', 'classification'}
        What is predicted. Numbers are standardised on the training samples; classes count alike whatever their sizes.
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
    from sklearn.svm import SVC, SVR

    machines = {
        "regression": lambda cost: SVR(kernel="precomputed", C=cost, epsilon=EPSILON),
        "classification": lambda cost: SVC(kernel="precomputed", C=cost, class_weight="balanced"),
    }
    if kind not in machines:
        raise ValueError(f"A baseline is for 'regression' or 'classification', not {kind!r}.")
    target, location, scale = np.asarray(train_target), 0.0, 1.0
    if kind == "regression":
        location, scale = target.mean(), target.std() or 1.0
        target = (target - location) / scale
    distances = np.asarray(train_distances, dtype=np.float64)
    apart = distances[np.triu_indices_from(distances, 1)]
    median = np.median(apart[apart > 0]) if (apart > 0).any() else 1.0
    squares = np.square(distances / median)

    def predict(train, test_squares, gamma, cost):
        """Predictions of a machine that has learnt from some rows of the training samples."""
        if kind == "classification" and len(set(target[train])) < 2:
            # No machine parts one class from none.
            return np.full(len(test_squares), target[train][0], dtype=object)
        machine = machines[kind](cost)
        machine.fit(np.exp(-gamma * squares[np.ix_(train, train)]), target[train])
        return machine.predict(np.exp(-gamma * test_squares[:, train]))

    gamma, cost = _best_of_grid(predict, squares, target, kind, groups, random_state)
    test_squares = np.square(np.asarray(test_distances, dtype=np.float64) / median)
    predicted = predict(np.arange(len(target)), test_squares, gamma, cost)
    return predicted * scale + location if kind == "regression" else np.asarray(predicted, dtype=object)


def _best_of_grid(predict, squares, target, kind, groups, random_state) -> tuple[float, float]:
    """Gamma and C with the best predictions of the training samples, each by the others."""
    units = len(target) if groups is None else len(set(groups))
    if units < 2:
        return USUAL_GAMMA, USUAL_COST
    classes, few = np.unique(target) if kind == "classification" else None, min(INNER_FOLDS, units)
    given = {"groups": groups, "random_seed": random_state}
    try:
        folds = grouped_folds(len(target), few, classes=None if classes is None else target, **given)
    except ValueError:
        # A class in one group or sample only cannot be in all parts; the others can be learnt all the same.
        folds = grouped_folds(len(target), few, **given)
    scores = {}
    # Of settings that do equally well the first is taken: the smoothest.
    for gamma in GAMMAS:
        for cost in COSTS:
            found = np.empty_like(target)
            for train, test in folds:
                found[test] = predict(train, squares[test], gamma, cost)
            if kind == "regression":
                scores[gamma, cost] = -np.mean((found - target) ** 2)
            else:
                scores[gamma, cost] = np.mean([(found[target == name] == name).mean() for name in classes])
    return max(scores, key=scores.get)


def jaccard_distances(counts, other=None) -> np.ndarray:
    """Jaccard distances between communities, by which ASVs they hold.

    Parameters
    ----------
    counts : scipy.sparse.csr_matrix `[N, V]`
        Counts.
    other : scipy.sparse.csr_matrix `[M, V]`, optional
        Those that distances are measured to; `counts` by default.

    Returns
    -------
    np.ndarray
        float64 `[N, M]`: 1 - shared / all ASVs of both; 0 between two communities without any.
    """
    held = (sp.csr_matrix(counts) > 0).astype(np.float64)
    others = held if other is None else (sp.csr_matrix(other) > 0).astype(np.float64)
    shared = (held @ others.T).toarray()
    richness, other_richness = (np.asarray(rows.sum(axis=1)).ravel() for rows in (held, others))
    union = richness[:, None] + other_richness - shared
    return np.where(union > 0, 1 - shared / np.maximum(union, 1), 0.0)
