"""Folds of a cross-validation, or of the inner one by which a head is chosen.

The members of a group (a subject, a household, a study) are always in the same fold: repeated measures of one subject
look alike, and a model that has seen the subject would be praised for recognising it.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, LeaveOneGroupOut, StratifiedKFold

from q2_aam.study.tables import name_ids

# Random ways to make folds of whole groups, among which the most even one is taken that leaves no class unlearnt: at
# most, and times the groups, since each takes some 0.1 ms.
_WAYS, _WAYS_TIMES_GROUPS = 30, 3000
# Groups that are folds one by one, where they cannot be parted into fewer.
_MOST_UNITS = 100


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
    """Part samples into folds: by scikit-learn, or in its way where there are groups.

    The same samples and seed have the same folds on every processor, and with every release of NumPy and scikit-learn.

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
        Make fewer folds where samples or groups are few, and learn from samples without which a class could not be
        learnt in every fold, instead of refusing: those are predicted in no fold (:func:`never_tested` says which),
        and there may be no fold at all.

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
    labels = None if classes is None else codes_of(classes, n_samples, "class")
    members = None if groups is None else codes_of(groups, n_samples, "group")
    if partial:
        return _partial_folds(n_samples, folds, labels, members, random_seed)
    many = _check_sizes(n_samples, folds, members, leave_one_group_out)
    if labels is not None:
        _refuse_lonely_classes(np.asarray(classes, dtype=object), labels, members)
        largest = int(np.bincount(labels).max())
        if not leave_one_group_out and largest < folds:
            raise ValueError(
                f"folds is {folds}, but the largest class has {largest} samples. Give fewer folds, or more samples of "
                "each class."
            )
    ways = _ways(n_samples, folds, labels, members, leave_one_group_out, random_seed)
    tests = min(ways, key=lambda tests: _unevenness(tests, labels, n_samples))
    if not leave_one_group_out:
        tests = _spread(tests, labels, np.arange(n_samples) if members is None else members)
    if _unevenness(tests, labels, n_samples)[0]:
        raise ValueError(
            f"The {many} cannot be parted into {len(tests)} folds such that none is empty and every class is left to "
            "learn from in each. Give fewer folds, another random_seed, or a column of smaller groups."
        )
    return [(np.setdiff1d(np.arange(n_samples), rows), np.sort(rows)) for rows in tests]


def never_tested(classes: Sequence, groups: Sequence | None = None) -> np.ndarray:
    """Which samples partial folds learn from only: the group (or sample) that all of a class is in, bool ``[N]``."""
    labels = codes_of(classes, len(classes), "class")
    return _alone(labels, np.arange(len(labels)) if groups is None else codes_of(groups, len(labels), "group"))


def codes_of(values: Sequence, n_samples: int, what: str) -> np.ndarray:
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


def _alone(labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Samples of the units (groups, or samples) that hold a class alone, bool ``[N]``."""
    held = np.unique(np.stack([labels, units], 1), axis=0)
    classes, n_units = np.unique(held[:, 0], return_counts=True)
    return np.isin(units, held[np.isin(held[:, 0], classes[n_units == 1]), 1])


def _partial_folds(n_samples, folds, labels, members, random_seed) -> list[tuple[np.ndarray, np.ndarray]]:
    """As many folds as there can be, of all samples that some other group stands in for in every class."""
    units = np.arange(n_samples) if members is None else members
    labels = np.zeros(n_samples, dtype=int) if labels is None else labels
    one_class = not labels.any()
    tested = np.arange(n_samples) if one_class else np.flatnonzero(~_alone(labels, units))
    if len(np.unique(units)) < 2 or not len(tested):
        return []
    # Numbers without gaps.
    some = np.unique(labels[tested], return_inverse=True)[1]
    some_members = None if members is None else np.unique(members[tested], return_inverse=True)[1]
    folds, tests = _possible(folds, some, some_members, len(tested)), []
    if folds > 1:
        ways = _ways(len(tested), folds, None if one_class else some, some_members, False, random_seed)
        ways = [[tested[rows] for rows in tests] for tests in ways]
        tests = _spread(min(ways, key=lambda tests: _unevenness(tests, labels, n_samples)), labels, units)
    good = [rows for rows in tests if not _unevenness([rows], labels, n_samples)[0]]
    each = np.unique(units[tested])
    if sum(map(len, good)) < len(tested) and len(each) <= _MOST_UNITS:
        # One by one they never take a class away: each class is in another group, too.
        good = [np.flatnonzero(units == unit) for unit in each]
    return [(np.setdiff1d(np.arange(n_samples), rows), np.sort(rows)) for rows in good]


def _spread(tests: list[np.ndarray], labels: np.ndarray | None, units: np.ndarray) -> list[np.ndarray]:
    """The same folds, but that a unit (a group, or a sample) of each class that is in one fold alone changes folds.

    Of many ways that are drawn none may leave every class to learn from, where many classes have two groups.
    """
    if labels is None:
        return tests
    n_classes, fold_of = labels.max() + 1, np.full(len(labels), -1)
    for number, rows in enumerate(tests):
        fold_of[rows] = number
    for _ in range(n_classes):
        held = np.stack([np.bincount(labels[fold_of == fold], minlength=n_classes) for fold in range(-1, len(tests))])
        lonely = np.flatnonzero((held[1:] == held.sum(0)).any(0) & (held.sum(0) > 0))
        moved = False
        for label in lonely:
            inside = np.unique(units[labels == label])
            if len(inside) > 1:
                sizes = np.bincount(fold_of[fold_of >= 0], minlength=len(tests))
                sizes[fold_of[labels == label][0]] = len(labels) + 1
                smallest = inside[np.argmin([(units == unit).sum() for unit in inside])]
                fold_of[units == smallest] = np.argmin(sizes)
                moved = True
        if not moved:
            break
    return [np.flatnonzero(fold_of == fold) for fold in range(len(tests))]


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
        if members is not None:
            # The several ways draw other numbers of the groups, too: groups alike in size come out in one way only.
            numbers = np.random.default_rng(seed).permutation(members.max() + 1)
            yield _deal(folds, blank.astype(int) if labels is None else labels, numbers[members], seed)
            continue
        splitter = (KFold if labels is None else StratifiedKFold)(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # It warns of classes with fewer samples than folds; those that could not be learnt are refused.
            warnings.simplefilter("ignore", UserWarning)
            yield [rows for _, rows in splitter.split(blank, labels)]
        return


def _deal(folds: int, labels: np.ndarray, members: np.ndarray, seed: int) -> list[np.ndarray]:
    """Rows of each fold: whole groups, dealt one by one to the fold where classes stay in the most even shares.

    The draws, the order and the sums are those of scikit-learn's ``StratifiedGroupKFold`` up to 1.7, where the sizes
    that are dealt by are drawn beside the groups; 1.8 deals otherwise. Every step is one that all processors round
    alike, ties included: there are many among groups of one size.
    """
    sizes = np.bincount(labels)
    held = np.zeros((members.max() + 1, len(sizes)))
    np.add.at(held, (members, labels), 1.0)
    held = held[np.random.RandomState(seed).permutation(len(held))]  # noqa: NPY002 (its stream is promised to stay)
    fold_of, inside = np.empty(len(held), dtype=int), np.zeros((folds, len(sizes)))
    each = np.eye(folds)[:, :, None]
    for group in np.argsort(-_deviations(held), kind="stable"):
        by_class = np.moveaxis((inside + each * held[group]) / sizes, 1, 2)
        uneven = (np.add.reduce(_deviations(by_class), axis=1) / len(sizes)).tolist()
        filled, best = inside.sum(1).tolist(), 0
        for fold in range(1, folds):
            alike = abs(uneven[fold] - uneven[best]) <= 1e-8 + 1e-5 * uneven[best]
            if uneven[fold] < uneven[best] or (alike and filled[fold] < filled[best]):
                best = fold
        inside[best] += held[group]
        fold_of[group] = best
    return [np.flatnonzero(fold_of[members] == fold) for fold in range(folds)]


def _deviations(numbers: np.ndarray) -> np.ndarray:
    """Standard deviations along the last axis."""
    off = numbers - np.add.reduce(numbers, axis=-1, keepdims=True) / numbers.shape[-1]
    return np.sqrt(np.add.reduce(off * off, axis=-1) / numbers.shape[-1])


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
