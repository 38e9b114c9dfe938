"""Folds of a cross-validation: each sample is predicted once, by what was learnt without it and its group."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.model_selection import KFold, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from q2_aam.study.splits import codes
from q2_aam.study.tables import name_ids

# Random ways to part the groups among which the most even one is taken that leaves no class unlearnt.
_CANDIDATES = 30


def cross_validation_folds(
    n_samples: int,
    folds: int,
    *,
    groups: Sequence | None = None,
    classes: Sequence | None = None,
    leave_one_group_out: bool = False,
    random_seed: int = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Part samples into folds, by scikit-learn.

    Parameters
    ----------
    n_samples : int
        Number of samples, N.
    folds : int
        Number of folds, at least 2; not read with `leave_one_group_out`.
    groups : sequence or pd.Series, optional
        Group of each sample [N]. The samples of a group are in the same fold.
    classes : sequence or pd.Series, optional
        Class of each sample [N]. The folds get the classes in like shares as far as that is possible.
    leave_one_group_out : bool
        Make each group a fold of its own.
    random_seed : int
        The same seed gives the same folds. Folds that are all groups one by one are the same with any seed.

    Returns
    -------
    list of (np.ndarray, np.ndarray)
        Of each fold the rows to learn from and the rows to predict, int64 and ascending. Each sample is to be
        predicted in one fold, and every class is among those to learn from in each.

    Raises
    ------
    ValueError
        If there are too few samples or groups, a sample has no group or no class, or the samples of a class cannot
        be in two folds or more.
    """
    labels = None if classes is None else codes(classes, n_samples, "class")
    members = None if groups is None else codes(groups, n_samples, "group")
    if leave_one_group_out and members is None:
        raise ValueError("leave_one_group_out needs groups. Give the column of the groups, or leave it out.")
    units, many = ("samples", n_samples) if members is None else ("groups", len(np.unique(members)))
    least = 2 if leave_one_group_out else folds
    if least < 2:
        raise ValueError(f"folds is {folds}; it must be at least 2.")
    if many < least:
        wanted = "leave_one_group_out needs 2 or more" if leave_one_group_out else f"folds is {folds}"
        raise ValueError(
            f"{wanted}, but there are {many} {units} only. Give fewer folds, or more samples"
            + ("." if members is None else " or a column of smaller groups.")
        )
    if labels is not None:
        _refuse_lonely_classes(np.asarray(classes, dtype=object), labels, members)
        largest = int(np.bincount(labels).max())
        if not leave_one_group_out and largest < folds:
            raise ValueError(
                f"folds is {folds}, but the largest class has {largest} samples. Give fewer folds, or more samples of "
                "each class."
            )
    ways = _ways(n_samples, folds, labels, members, leave_one_group_out, random_seed)
    tests = min(ways, key=lambda tests: _misfit(tests, labels, n_samples))
    parts = [(np.setdiff1d(np.arange(n_samples), rows), np.sort(rows)) for rows in tests]
    if _misfit(tests, labels, n_samples)[0]:
        raise ValueError(
            f"The {many} {units} cannot be parted into {len(tests)} folds such that none is empty and every class is "
            "left to learn from in each. Give fewer folds, another random_seed, or a column of smaller groups."
        )
    return parts


def _ways(n_samples, folds, labels, members, leave_one_group_out, random_seed) -> Iterator[list[np.ndarray]]:
    """Rows to predict of each fold, in several ways where there are several."""
    blank = np.zeros(n_samples)
    if leave_one_group_out:
        yield [rows for _, rows in LeaveOneGroupOut().split(blank, groups=members)]
        return
    for seed in _seeds(random_seed):
        settings = {"n_splits": folds, "shuffle": True, "random_state": seed}
        if members is not None:
            # Also for numbers, as samples of one class: GroupKFold parts groups of different sizes in one way
            # only, whatever the seed. This one draws, in scikit-learn 1.2 without heed to the sizes, and groups of one
            # size in one way only: hence the several ways, and other numbers of the groups in each.
            labelled = np.zeros(n_samples, dtype=int) if labels is None else labels
            numbers = np.random.default_rng(seed).permutation(members.max() + 1)
            splitter, given = StratifiedGroupKFold(**settings), (blank, labelled, numbers[members])
        elif labels is not None:
            splitter, given = StratifiedKFold(**settings), (blank, labels)
        else:
            splitter, given = KFold(**settings), (blank,)
        with warnings.catch_warnings():
            # It warns of classes with fewer samples than folds; those that could not be learnt are refused.
            warnings.simplefilter("ignore", UserWarning)
            yield [rows for _, rows in splitter.split(*given)]
        if members is None:
            return


def _seeds(random_seed: int) -> list[int]:
    """The seed itself first, then others that follow from it and not from its neighbours."""
    drawn = np.random.default_rng(random_seed).integers(0, 2**32, _CANDIDATES - 1)
    return [random_seed, *(int(seed) for seed in drawn)]


def _misfit(tests: list[np.ndarray], labels: np.ndarray | None, n_samples: int) -> tuple[int, float]:
    """How far folds are from what is wanted: those that are empty or leave a class unlearnt, then sizes and classes."""
    labels = np.zeros(n_samples, dtype=int) if labels is None else labels
    counts = np.bincount(labels)
    bad, uneven = 0, 0.0
    for rows in tests:
        here = np.bincount(labels[rows], minlength=len(counts))
        bad += len(rows) == 0 or bool((here == counts).any())
        uneven += np.abs(here - counts / len(tests)).sum() / n_samples
    return bad, uneven


def _refuse_lonely_classes(names: np.ndarray, labels: np.ndarray, members: np.ndarray | None) -> None:
    """Stop when all samples of a class must be in one fold: where they are predicted, none is left to learn from."""
    units = np.arange(len(labels)) if members is None else members
    inside = [labels == label for label in np.unique(labels)]
    lonely = [str(names[rows][0]) for rows in inside if len(np.unique(units[rows])) < 2]
    if lonely:
        what = "have one sample only" if members is None else "have samples in one group only"
        raise ValueError(
            f"{len(lonely)} classes {what}: {name_ids(lonely)}. Where these are predicted, none is left to learn "
            "the class from. Leave the samples of these classes out, or join the classes with others."
        )
