"""The head's start: the ridge or logistic solution on the frozen encoder's sample embeddings."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from q2_aam.encoder.output_heads import FEATURE_LIMIT

FOLDS = 5
RIDGE_PENALTIES = np.logspace(0, 6, 13)
LOGISTIC_INVERSE_PENALTIES = np.logspace(-4, 1, 6)
# Units in which conditioning columns meet the penalty: as one lineage, or as good as free of it.
LOUDNESS = (1.0, 10.0, 100.0)


class Probe(NamedTuple):
    """A linear map on the standardised embedding and the condition, as :meth:`TargetHead.start_from` takes it."""

    mean: np.ndarray
    """``[E]``"""
    scale: np.ndarray
    """``[E]``"""
    weight: np.ndarray
    """``[O, E + C]``"""
    bias: np.ndarray
    """``[O]``"""


def fit_probe(
    embedding: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray | None,
    random_seed: int,
    condition: np.ndarray | None = None,
) -> Probe:
    """Fit the linear head; its penalty is chosen by cross-validation inside the training samples.

    Parameters
    ----------
    embedding : np.ndarray
        ``[N, E]``.
    target : np.ndarray
        ``[N]`` float32 in the transform's units, or int64 codes of classes.
    groups : np.ndarray, optional
        ``[N]``; a group is never on both sides of an inner split.
    random_seed : int
        Seed of the inner splits.
    condition : np.ndarray, optional
        ``[N, C]``, the conditioning columns as numbers, taken as they are.

    Returns
    -------
    Probe
        ``O`` is 1 or the number of classes; classes are weighted to count alike.
    """
    mean, spread = embedding.mean(0), embedding.std(0)
    # A lineage that hardly differs among the training samples says little; divided by its spread alone it would be as
    # loud as any other, and would drown them all in a new sample that does hold it.
    scale = np.sqrt(spread**2 + np.median(spread) ** 2)
    scale[scale == 0] = 1.0
    features = np.clip((embedding - mean) / scale, -FEATURE_LIMIT, FEATURE_LIMIT).astype(np.float64)
    classes = not np.issubdtype(target.dtype, np.floating)
    splits = inner_splits(target if classes else None, len(target), groups, random_seed)
    solve = _logistic if classes else _ridge
    if condition is None:
        return Probe(mean, scale, *solve(features, target, splits)[1:])
    # One penalty for all would make a column that tells the target as weak as one of hundreds of lineages: it is
    # measured in a unit of its own, chosen with the penalty. The weights then are those of the column as it is.
    best = None
    for loudness in LOUDNESS if splits else (LOUDNESS[len(LOUDNESS) // 2],):
        score, weight, bias = solve(np.concatenate([features, loudness * condition], axis=1), target, splits)
        if best is None or score > best[0]:
            weight[:, features.shape[1] :] *= loudness
            best = score, weight, bias
    return Probe(mean, scale, *best[1:])


def _ridge(features: np.ndarray, target: np.ndarray, splits: list) -> tuple[float, np.ndarray, np.ndarray]:
    """Score in the inner splits (higher is better), weight ``[1, F]`` and bias ``[1]`` of a ridge regression."""
    # By squared error, which a part of one sample has too.
    ridge = RidgeCV(RIDGE_PENALTIES, cv=splits, scoring="neg_mean_squared_error").fit(
        features, target.astype(np.float64)
    )
    return ridge.best_score_, ridge.coef_[None, :], np.array([ridge.intercept_])


def _logistic(features: np.ndarray, target: np.ndarray, splits: list) -> tuple[float, np.ndarray, np.ndarray]:
    """Score in the inner splits, weight ``[O, F]`` and bias ``[O]`` of a logistic regression."""
    how = {"class_weight": "balanced", "max_iter": 1000}
    if splits:
        logistic = LogisticRegressionCV(Cs=LOGISTIC_INVERSE_PENALTIES, cv=splits, scoring="balanced_accuracy", **how)
    else:
        logistic = LogisticRegression(C=LOGISTIC_INVERSE_PENALTIES[len(LOGISTIC_INVERSE_PENALTIES) // 2], **how)
    with warnings.catch_warnings():
        # A part that lacks a class is scored by the others.
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        logistic.fit(features, target)
    # The same scores stand under each class.
    score = next(iter(logistic.scores_.values())).mean(0).max() if splits else 0.0
    weight, bias = logistic.coef_, logistic.intercept_
    if len(weight) == 1:
        # scikit-learn keeps one row for two classes: the difference of their logits.
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return score, weight, bias


def inner_splits(
    classes: np.ndarray | None, n_samples: int, groups: np.ndarray | None, random_seed: int, most: int = FOLDS
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits for the penalty, by group where there are groups, such that every training part holds every class.

    At ``most`` that many. There may be none: where each class has a group of its own, say.
    """
    rows = np.zeros((n_samples, 1))
    if groups is not None and len(np.unique(groups)) >= 2:
        folds = min(most, len(np.unique(groups)))
        splits = list(GroupKFold(folds).split(rows, groups=groups))
    elif classes is not None:
        folds = int(min(most, max(2, np.bincount(classes).min())))
        with warnings.catch_warnings():
            # A class of one sample: the split that has it in its training part is kept.
            warnings.filterwarnings("ignore", "The least populated class")
            splits = list(StratifiedKFold(folds, shuffle=True, random_state=random_seed).split(rows, classes))
    else:
        splits = list(KFold(min(most, n_samples), shuffle=True, random_state=random_seed).split(rows))
    if classes is None:
        return splits
    wanted = len(np.unique(classes))
    return [split for split in splits if len(np.unique(classes[split[0]])) == wanted]
