"""Splitting samples into a training part and a validation part.

The members of a group (a subject, a household, a study) never stand on both sides: repeated measures of one
subject look alike, and a model that has seen the subject would be praised for recognising it.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedShuffleSplit,
)

# Random choices of groups among which the one nearest to the wanted share and classes is taken.
_CANDIDATES = 30
# A validation part by groups that misses the wanted share by more than this is worth a warning.
_SHARE_TOLERANCE = 0.1


def split_validation(
    n_samples: int,
    share: float,
    *,
    groups: Sequence | None = None,
    classes: Sequence | None = None,
    random_seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Keep a share of the samples apart for validation.

    Parameters
    ----------
    n_samples : int
        Number of samples, N.
    share : float
        Share of the samples to keep apart, from 0 (none) to below 1. Unless it is 0, at least one sample, or
        one group, is on either side.
    groups : sequence or pd.Series, optional
        Group of each sample [N]. The samples of a group stay on one side.
    classes : sequence or pd.Series, optional
        Class of each sample [N]. Both parts get the classes in like shares as far as that is possible, and
        every class is in the training part unless groups or too few samples forbid it.
    random_seed : int
        The same seed gives the same split.

    Returns
    -------
    train_rows, validation_rows : np.ndarray
        int64, each ascending; together they are 0 .. N - 1.

    Raises
    ------
    ValueError
        If the share is out of range, if a sample has no group or no class, or if there are too few samples or
        groups to have some on either side.

    Warns
    -----
    UserWarning
        If the groups are so large or so few that the wanted share is missed by more than 0.1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"the validation share is {share}; it must be at least 0 and below 1.")
    labels = None if classes is None else codes(classes, n_samples, "class")
    members = None if groups is None else codes(groups, n_samples, "group")
    if share == 0:
        return np.arange(n_samples), np.arange(0)
    if n_samples < 2:
        raise ValueError(
            f"a training and a validation part need two samples or more; there is {n_samples}. Set the "
            "validation share to 0, or add samples."
        )
    if members is not None:
        validation = _by_group(members, labels, share, random_seed)
    else:
        n_validation = int(np.clip(round(n_samples * share), 1, n_samples - 1))
        if labels is None:
            validation = _shuffled(n_samples, n_validation, random_seed)
        else:
            validation = _by_class(labels, n_validation, random_seed)
    held_out = np.zeros(n_samples, dtype=bool)
    held_out[validation] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def codes(values: Sequence, n_samples: int, what: str) -> np.ndarray:
    """Groups or classes as numbers from 0, in the plain order of their names."""
    values = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values, dtype=object))
    if len(values) != n_samples:
        raise ValueError(f"there are {n_samples} samples, but a {what} for {len(values)}.")
    missing = [str(name) for name in values.index[values.isna()]]
    if missing:
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise ValueError(f"{len(missing)} samples have no {what}: {some}. Fill it in, or leave them out.")
    return pd.factorize(values.astype(str), sort=True)[0]


def _shuffled(n_samples: int, n_validation: int, random_seed: int) -> np.ndarray:
    splitter = ShuffleSplit(n_splits=1, test_size=n_validation, random_state=random_seed)
    return next(splitter.split(np.zeros(n_samples)))[1]


def _by_class(labels: np.ndarray, n_validation: int, random_seed: int) -> np.ndarray:
    counts = np.bincount(labels)
    # The only sample of a class is of use in training alone (and scikit-learn stratifies no class of one).
    rows = np.flatnonzero(counts[labels] > 1)
    if len(rows) == 0:
        # A class has to be left out of training, or there would be no validation part.
        return _shuffled(len(labels), n_validation, random_seed)
    n_classes = int((counts > 1).sum())
    n_validation = min(n_validation, len(rows) - n_classes)
    if n_validation >= n_classes:
        splitter = StratifiedShuffleSplit(n_splits=1, test_size=n_validation, random_state=random_seed)
        validation = rows[next(splitter.split(np.zeros(len(rows)), labels[rows]))[1]]
    else:
        validation = rows[_shuffled(len(rows), n_validation, random_seed)]
    # A large share can take a small class whole: give one of its samples back, for one of another class.
    held_out = np.bincount(labels[validation], minlength=len(counts))
    for label in np.flatnonzero(held_out == counts):
        validation = np.delete(validation, np.flatnonzero(labels[validation] == label)[0])
        left = np.bincount(np.delete(labels, validation), minlength=len(counts))
        spare = np.setdiff1d(rows[left[labels[rows]] > 1], validation)
        spare = spare[labels[spare] != label]
        validation = np.append(validation, spare[:1])
    return validation


def _by_group(groups: np.ndarray, labels: np.ndarray | None, share: float, random_seed: int) -> np.ndarray:
    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        raise ValueError(
            "all samples are of one group: two groups or more are needed to keep one apart for validation. "
            "Choose another group column, leave it out, or set the validation share to 0."
        )
    labels = np.zeros_like(groups) if labels is None else labels
    candidates = _group_candidates(groups, labels, share, random_seed)
    validation = min(candidates, key=lambda rows: _misfit(rows, labels, share))
    reached = len(validation) / len(groups)
    if abs(reached - share) > _SHARE_TOLERANCE:
        warnings.warn(
            f"the validation part has {len(validation)} of {len(groups)} samples ({reached:.0%} instead of "
            f"{share:.0%}): the samples of a group stay together, and the {n_groups} groups are few or "
            "uneven.",
            stacklevel=3,
        )
    return validation


def _group_candidates(
    groups: np.ndarray, labels: np.ndarray, share: float, random_seed: int
) -> Iterator[np.ndarray]:
    """Validation parts made of whole groups: never none of them, never all."""
    n_groups, blank = int(groups.max()) + 1, np.zeros(len(groups))
    n_folds = round(1 / share)
    if 2 <= n_folds <= min(n_groups, np.bincount(labels).max()):
        folds = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=random_seed)
        with warnings.catch_warnings():
            # It warns of classes with fewer samples than folds, but one fold is all that is wanted here.
            warnings.simplefilter("ignore", UserWarning)
            for _, rows in folds.split(blank, labels, groups):
                if 0 < len(rows) < len(groups):
                    yield rows
    wanted = round(n_groups * share)
    for n_held_out in sorted({int(np.clip(wanted + step, 1, n_groups - 1)) for step in (-1, 0, 1)}):
        shuffles = GroupShuffleSplit(n_splits=_CANDIDATES, test_size=n_held_out, random_state=random_seed)
        for _, rows in shuffles.split(blank, labels, groups):
            yield rows


def _misfit(validation: np.ndarray, labels: np.ndarray, share: float) -> tuple[int, float]:
    """How far a validation part is from what was wanted: classes lost to training, then share and classes."""
    counts = np.bincount(labels)
    held_out = np.bincount(labels[validation], minlength=len(counts))
    lost = int((held_out == counts).sum())
    classes_off = 0.5 * np.abs(held_out / len(validation) - counts / len(labels)).sum()
    return lost, abs(len(validation) / len(labels) - share) + classes_off
