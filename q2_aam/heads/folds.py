"""Inner folds, and the loss by which a head's settings are chosen in them."""

import numpy as np

from q2_aam.heads.protocol import Folds
from q2_aam.study.folds import grouped_folds

# Heads fitted to nine tenths are nearly as good, and as certain, as the final one: what they get right and wrong is
# what its intervals and probabilities are calibrated on.
FOLDS = 10
# Of so many samples four fifths say as much, and folds are most of the time of a fit.
FOLDS_OF_MANY, MANY = 5, 500
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
        If all samples are of one group, or every inner split would leave a class without training samples.
    """
    if groups is not None and len(target) > 1 and len(np.unique(groups)) == 1:
        raise ValueError(
            f"All {len(target)} samples are of one group ({groups[0]!r}): settings and errors are learnt from groups "
            "that are left out, which takes two or more. Leave groups out, or choose another column."
        )
    most = FOLDS if len(target) < MANY else FOLDS_OF_MANY
    splits = inner_splits(target, groups, random_seed, most)
    if not splits:
        each, mend = "of one sample only", "Choose a column whose classes several samples share."
        if groups is not None:
            each = "in one group (or one sample) only"
            mend = "Leave groups out, or choose groups that hold several classes."
        raise ValueError(
            f"The head needs inner folds whose training samples hold every class, but each class is {each}. {mend}"
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
    classes = target if has_classes(target) else None
    return grouped_folds(
        len(target), max_folds, groups=groups, classes=classes, random_seed=random_seed, partial=True
    )


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
