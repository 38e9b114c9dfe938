"""Samples in parts: folds of a cross-validation, or two parts by a share.

The members of a group (a subject, a household, a study) are always in the same part: repeated measures of one subject
look alike, and a model that has seen the subject would be praised for recognising it.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from q2_aam.study.tables import name_ids

# Random ways to make folds of whole groups, among which the most even one is taken that leaves no class unlearnt: at
# most, and times the groups, since scikit-learn takes some 0.3 ms for a group.
_WAYS, _WAYS_TIMES_GROUPS = 30, 3000
# Random ways to make two parts of whole groups: cheaper ones.
_CUTS = 100
# A part of whole groups that misses its share by more than this is worth a warning.
_SHARE_TOLERANCE = 0.1


def grouped_folds(
    n_samples: int,
    folds: int,
    *,
    groups: Sequence | None = None,
    classes: Sequence | None = None,
    leave_one_group_out: bool = False,
    random_seed: int = 0,
    partial: bool = False,
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
    partial : bool
        Make fewer folds where samples or groups are few, and leave out folds whose training samples lack a class,
        instead of refusing: some samples may then be predicted in no fold, and there may be no fold at all.

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
    labels = None if classes is None else _codes(classes, n_samples, "class")
    members = None if groups is None else _codes(groups, n_samples, "group")
    if partial:
        folds = _possible(folds, labels, members, n_samples)
        if folds < 2:
            return []
    many = _check_sizes(n_samples, folds, members, leave_one_group_out)
    if labels is not None and not partial:
        _refuse_lonely_classes(np.asarray(classes, dtype=object), labels, members)
        largest = int(np.bincount(labels).max())
        if not leave_one_group_out and largest < folds:
            raise ValueError(
                f"folds is {folds}, but the largest class has {largest} samples. Give fewer folds, or more samples of "
                "each class."
            )
    ways = _ways(n_samples, folds, labels, members, leave_one_group_out, random_seed)
    tests = min(ways, key=lambda tests: _unevenness(tests, labels, n_samples))
    if partial:
        tests = [rows for rows in tests if not _unevenness([rows], labels, n_samples)[0]]
    elif _unevenness(tests, labels, n_samples)[0]:
        raise ValueError(
            f"The {many} cannot be parted into {len(tests)} folds such that none is empty and every class is left to "
            "learn from in each. Give fewer folds, another random_seed, or a column of smaller groups."
        )
    return [(np.setdiff1d(np.arange(n_samples), rows), np.sort(rows)) for rows in tests]


def two_parts(
    n_samples: int,
    share: float,
    *,
    groups: Sequence | None = None,
    classes: Sequence | None = None,
    random_seed: int = 0,
    name: str = "second part",
) -> tuple[np.ndarray, np.ndarray]:
    """Part samples in two: a second part with a share of them, for validation say, and a first one with the others.

    Parameters
    ----------
    n_samples : int
        Number of samples, N.
    share : float
        Share of the samples in the second part, from 0 (none) to below 1. Unless it is 0, at least one sample, or one
        group, is in either part.
    groups : sequence or pd.Series, optional
        Group of each sample [N]. The samples of a group are in the same part.
    classes : sequence or pd.Series, optional
        Class of each sample [N]. Both parts get the classes in like shares as far as that is possible, and every class
        is in the first part unless groups or too few samples forbid it.
    random_seed : int
        The same seed gives the same parts.
    name : str
        What the second part is called in messages.

    Returns
    -------
    first, second : np.ndarray
        Rows, int64, each ascending; together they are 0 .. N - 1.

    Raises
    ------
    ValueError
        If the share is out of range, if a sample has no group or no class, or if there are too few samples or groups to
        have some in either part.

    Warns
    -----
    UserWarning
        If the groups are so large or so few that the share is missed by more than 0.1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"The share of the {name} is {share}; it must be at least 0 and below 1.")
    labels = np.zeros(n_samples, dtype=int) if classes is None else _codes(classes, n_samples, "class")
    members = None if groups is None else _codes(groups, n_samples, "group")
    if share == 0:
        return np.arange(n_samples), np.arange(0)
    if n_samples < 2:
        raise ValueError(
            f"Two parts need two samples or more, but there is {n_samples}. Set the share of the {name} to 0, or add "
            "samples."
        )
    generator = np.random.default_rng(random_seed)
    if members is None:
        second = _share_of_samples(labels, share, generator)
    else:
        second = _share_of_groups(members, labels, share, generator, name)
    return np.flatnonzero(~second), np.flatnonzero(second)


def _codes(values: Sequence, n_samples: int, what: str) -> np.ndarray:
    """Groups or classes as numbers from 0, in the plain order of their names."""
    values = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values, dtype=object))
    if len(values) != n_samples:
        raise ValueError(f"There are {n_samples} samples, but a {what} for {len(values)}.")
    missing = list(values.index[values.isna()])
    if missing:
        raise ValueError(f"{len(missing)} samples have no {what}: {name_ids(missing)}. Fill it in, or leave them out.")
    return pd.factorize(values.astype(str), sort=True)[0]


def _check_sizes(n_samples: int, folds: int, members: np.ndarray | None, leave_one_group_out: bool) -> str:
    """Stop where there are fewer samples or groups than folds; say how many there are."""
    if leave_one_group_out and members is None:
        raise ValueError("leave_one_group_out needs groups. Give the column of the groups, or leave it out.")
    if not leave_one_group_out and folds < 2:
        raise ValueError(f"folds is {folds}; it must be at least 2.")
    n_units, units = (n_samples, "samples") if members is None else (len(np.unique(members)), "groups")
    if n_units < (2 if leave_one_group_out else folds):
        need = "leave_one_group_out needs 2 or more" if leave_one_group_out else f"folds is {folds}"
        raise ValueError(
            f"{need}, but there are {n_units} {units} only. Give fewer folds, or more samples"
            + ("." if members is None else " or a column of smaller groups.")
        )
    return f"{n_units} {units}"


def _possible(folds: int, labels: np.ndarray | None, members: np.ndarray | None, n_samples: int) -> int:
    """As many of the folds as samples, groups or the largest class allow."""
    units = n_samples if members is None else len(np.unique(members))
    return min(folds, units, n_samples if labels is None else int(np.bincount(labels).max()))


def _ways(n_samples, folds, labels, members, leave_one_group_out, random_seed) -> Iterator[list[np.ndarray]]:
    """Rows to predict of each fold, in several ways where there are several."""
    blank = np.zeros(n_samples)
    if leave_one_group_out:
        yield [rows for _, rows in LeaveOneGroupOut().split(blank, groups=members)]
        return
    number = _WAYS if members is None else min(_WAYS, max(1, _WAYS_TIMES_GROUPS // (members.max() + 1)))
    for seed in _seeds(random_seed, number):
        settings = {"n_splits": folds, "shuffle": True, "random_state": seed}
        if members is not None:
            # Also for numbers, as samples of one class: GroupKFold parts groups in one way only, whatever the seed,
            # and sorts groups of one size as the processor happens to. This one draws, in scikit-learn 1.2 without
            # heed to the sizes, and groups of one size in one way only: hence the several ways, and other numbers of
            # the groups in each.
            numbers = np.random.default_rng(seed).permutation(members.max() + 1)
            samples = blank, blank.astype(int) if labels is None else labels, numbers[members]
            splitter = StratifiedGroupKFold(**settings)
        elif labels is not None:
            splitter, samples = StratifiedKFold(**settings), (blank, labels)
        else:
            splitter, samples = KFold(**settings), (blank,)
        with warnings.catch_warnings():
            # It warns of classes with fewer samples than folds; those that could not be learnt are refused.
            warnings.simplefilter("ignore", UserWarning)
            yield [rows for _, rows in splitter.split(*samples)]
        if members is None:
            return


def _seeds(random_seed: int, number: int) -> list[int]:
    """The seed itself first, then others that follow from it and not from its neighbours."""
    others = np.random.default_rng(random_seed).integers(0, 2**32, number - 1)
    return [random_seed, *(int(seed) for seed in others)]


def _unevenness(tests: list[np.ndarray], labels: np.ndarray | None, n_samples: int) -> tuple[int, float]:
    """Folds that are empty or leave a class unlearnt; then how far sizes and classes are from even ones."""
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


def _share_of_samples(labels: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Which samples are in the second part, bool ``[N]``: of each class its share, whole, the sum right."""
    counts = np.bincount(labels)
    # One sample of each class stays in the first part; where no class has two, there would be no second one.
    most = counts - 1 if counts.max() > 1 else counts
    total = min(int(np.clip(round(len(labels) * share), 1, len(labels) - 1)), most.sum())
    quota = np.minimum(np.floor(share * counts), most).astype(int)
    by_chance = 1e-6 * generator.random(len(counts))
    while quota.sum() < total:
        quota[np.argmax(np.where(quota < most, share * counts - quota + by_chance, -np.inf))] += 1
    order = np.lexsort((generator.random(len(labels)), labels))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank < quota[labels]


def _share_of_groups(
    members: np.ndarray, labels: np.ndarray, share: float, generator: np.random.Generator, name: str
) -> np.ndarray:
    """Which samples are in the second part, bool ``[N]``: of many random choices of whole groups the nearest one."""
    sizes, counts = np.bincount(members), np.bincount(labels)
    if len(sizes) < 2:
        raise ValueError(
            "All samples are of one group: two parts need two groups or more. Choose another group column, leave it "
            f"out, or set the share of the {name} to 0."
        )

    def misfit(second: np.ndarray) -> tuple[int, float]:
        """Classes lost to the first part, then how far share and classes are off."""
        here = np.bincount(labels[second], minlength=len(counts))
        classes_off = 0.5 * np.abs(here / second.sum() - counts / len(labels)).sum()
        return int((here == counts).sum()), abs(second.mean() - share) + classes_off

    choices = []
    for _ in range(_CUTS):
        order = generator.permutation(len(sizes))
        shares = np.cumsum(sizes[order])[:-1] / len(members)
        choices.append(np.isin(members, order[: 1 + np.argmin(np.abs(shares - share))]))
    second = min(choices, key=misfit)
    if abs(second.mean() - share) > _SHARE_TOLERANCE:
        warnings.warn(
            f"The {name} has {second.sum()} of {len(members)} samples ({second.mean():.0%} instead of "
            f"{share:.0%}): the samples of a group stay together, and the {len(sizes)} groups are few or uneven.",
            stacklevel=3,
        )
    return second
