"""Inner folds, and the loss by which a head's settings are chosen in them."""

import warnings

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from q2_aam.heads.protocol import Folds

# Heads fitted to nine tenths are nearly as good, and as certain, as the final one: what they get right and wrong is
# what its intervals and probabilities are calibrated on.
FOLDS = 10
# Samples that others are compared with: beyond, a random choice of them stands for all (Nystroem's method), so that
# time and memory stay in proportion to the number of samples.
MAX_LANDMARKS = 2000
# One sample that is wrong for certain does not decide alone.
MIN_LOG_PROBABILITY = -9.0


def has_classes(target: np.ndarray) -> bool:
    """Whether a target is codes of classes rather than numbers."""
    return not np.issubdtype(target.dtype, np.floating)


def n_outputs(target: np.ndarray) -> int:
    """Outputs of a head for this target: 1, or the number of classes."""
    return int(target.max()) + 1 if has_classes(target) else 1


def inner_folds(target: np.ndarray, groups: np.ndarray | None, random_seed: int) -> Folds:
    """Choose folds, and the samples to compare with.

    Parameters
    ----------
    target : np.ndarray
        ``[N]`` float32 in the transform's units, or int64 codes of classes.
    groups : np.ndarray, optional
        ``[N]``; a group is never on both sides of an inner split.
    random_seed : int
        Of the splits, and of the landmarks where there are more than ``MAX_LANDMARKS`` samples.

    Raises
    ------
    ValueError
        If every inner split would leave a class without training samples.
    """
    splits = inner_splits(target, groups, random_seed, FOLDS)
    if not splits:
        raise ValueError(
            "The head needs inner folds whose training samples hold every class, but each class is in one group (or "
            "one sample) only. Leave groups out, or choose groups that hold several classes."
        )
    landmarks = np.random.default_rng(random_seed).permutation(len(target))[:MAX_LANDMARKS]
    numbers = np.arange(len(target)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return Folds(splits, np.sort(landmarks), numbers)


def inner_splits(
    target: np.ndarray, groups: np.ndarray | None, random_seed: int, max_folds: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits by group where there are groups, such that the training samples of every split hold every class.

    There are at most ``max_folds``, and there may be none: where each class has a group of its own, say.
    """
    classes, rows = has_classes(target), np.zeros((len(target), 1))
    if groups is not None and len(np.unique(groups)) >= 2:
        folds = min(max_folds, len(np.unique(groups)))
        splits = list(GroupKFold(folds).split(rows, groups=groups))
    elif classes:
        sizes = np.bincount(target)
        if sizes.max() < 2:
            return []
        folds = int(min(max_folds, max(2, sizes.min())))
        with warnings.catch_warnings():
            # A class of one sample: the split that has it among its training samples stays.
            warnings.filterwarnings("ignore", "The least populated class")
            splits = list(StratifiedKFold(folds, shuffle=True, random_state=random_seed).split(rows, target))
    else:
        splits = list(KFold(min(max_folds, len(target)), shuffle=True, random_state=random_seed).split(rows))
    if not classes:
        return splits
    n_classes = len(np.unique(target))
    return [split for split in splits if len(np.unique(target[split[0]])) == n_classes]


def balanced_losses(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Squared errors, or minus the log probability of the true class, of outputs ``[N, O]``: float64 ``[N]``.

    Classes count alike, as they do in the fit: the mean over samples is that over classes. Not by accuracy, which few
    samples measure in coarse steps, and which does not care how certain the wrong answers were.
    """
    outputs = outputs.astype(np.float64)
    if outputs.shape[1] == 1:
        return (outputs[:, 0] - target) ** 2
    log_probabilities = outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
    true_class = np.maximum(log_probabilities[np.arange(len(target)), target], MIN_LOG_PROBABILITY)
    _, code, sizes = np.unique(target, return_inverse=True, return_counts=True)
    return -true_class * len(target) / (len(sizes) * sizes[code])
