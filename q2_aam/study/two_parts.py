"""Samples in two parts by a share: to validate with, or to keep apart.

The members of a group are always in the same part, as in :mod:`q2_aam.study.folds`.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from q2_aam.study.folds import codes_of

# Random ways to make two parts of whole groups.
_CUTS = 100
# A part of whole groups that misses its share by more than this is worth a warning.
_SHARE_TOLERANCE = 0.1


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
    labels = np.zeros(n_samples, dtype=int) if classes is None else codes_of(classes, n_samples, "class")
    members = None if groups is None else codes_of(groups, n_samples, "group")
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
