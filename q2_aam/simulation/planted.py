"""A simulated survey whose column is made by a few microbes that are known: what an explanation must find."""

from dataclasses import dataclass

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.simulation.survey import RANDOM_SEED, Survey, simulate_survey

# Share of the samples that hold what is planted: neither rare nor everywhere.
HELD = (0.25, 0.65)
# Strongest correlation between what is planted.
APART = 0.2
# ASVs of a planted clade, and the most that one of them may be held of where the clade is.
CLADE, MEMBER = (3, 10), 0.75
EFFECT, NOISE = 2.0, 0.5
# How often the twin is there where, and only where, the ASV is that it comes with.
AGREEMENT = 0.9


@dataclass(frozen=True)
class Planted:
    """A survey, and what makes its column ``y``.

    Attributes
    ----------
    survey : Survey
        Its metadata have ``y``, and ``level``, which is ``high`` where ``y`` is above its median and ``low`` elsewhere.
    up, down : str
        ASVs whose presence makes ``y`` higher or lower.
    clade : list of str
        ASVs of a clade of the tree: ``y`` is higher where one of them or more are there.
    twin : str
        ASV that mostly comes with `up`, and does nothing.
    """

    survey: Survey
    up: str
    down: str
    clade: list
    twin: str


def plant(n_samples=150, n_asvs=150, length=100, random_seed=RANDOM_SEED):
    """Simulate a survey and a column that an ASV makes higher, another one lower, and a clade higher.

    Parameters
    ----------
    n_samples, n_asvs, length, random_seed
        As :func:`simulate_survey` takes them.

    Returns
    -------
    Planted

    Raises
    ------
    ValueError
        If no ASVs, or no clade, are held by about half of the samples.

    Examples
    --------
    >>> planted = plant(60, 80)
    >>> list(planted.survey.metadata)
    ['ph', 'habitat', 'site', 'y', 'level']
    """
    survey = simulate_survey(n_samples, n_asvs, length, random_seed)
    rng = np.random.default_rng([random_seed, 1])
    features = survey.table.ids("observation")
    counts = survey.table.matrix_data.toarray()
    held = counts > 0
    clade = _clade(survey, features, held, rng)
    any_of = held[clade].any(0)
    common = rng.permutation(np.setdiff1d(np.flatnonzero(_half(held.mean(1))), clade))
    up = next((asv for asv in common if _apart(held[asv], any_of)), None)
    others = [asv for asv in common if asv != up and _apart(held[asv], any_of) and _apart(held[asv], held[up])]
    if up is None or not others:
        raise ValueError(f"Nothing can be planted in {n_samples} samples of {n_asvs} ASVs. Simulate more of them.")
    down, twin = others[0], next(asv for asv in common[::-1] if asv not in (up, others[0]))
    there = np.where(rng.random(n_samples) < AGREEMENT, held[up], ~held[up])
    counts[twin] = np.where(there, rng.permutation(np.maximum(counts[up], 5)), 0)
    table = biom.Table(sp.csr_matrix(counts), features, survey.table.ids(), type="OTU table")
    y = EFFECT * (held[up].astype(float) - held[down] + any_of) + rng.normal(0, NOISE, n_samples)
    metadata = survey.metadata.assign(y=y.round(3), level=np.where(y > np.median(y), "high", "low"))
    survey = Survey(table, survey.sequences, survey.tree, metadata)
    return Planted(survey, features[up], features[down], list(features[clade]), features[twin])


def _half(share):
    return (share >= HELD[0]) & (share <= HELD[1])


def _apart(one, other) -> bool:
    return abs(np.corrcoef(one, other)[0, 1]) < APART


def _clade(survey, features, held, rng) -> np.ndarray:
    """Numbers of the ASVs of a random clade that is held by about half of the samples, and not for one ASV alone."""
    number, found = pd.Series(range(len(features)), features), []
    for node in survey.tree.non_tips():
        names = [tip.name for tip in node.tips() if tip.name in number.index]
        members = number[names].to_numpy()
        if CLADE[0] <= len(members) <= CLADE[1] and _half(held[members].any(0).mean()):
            if held[members].mean(1).max() <= MEMBER * held[members].any(0).mean():
                found.append(np.sort(members))
    if not found:
        raise ValueError("No clade of the simulated tree is held by about half of the samples. Take another seed.")
    return found[rng.integers(len(found))]
