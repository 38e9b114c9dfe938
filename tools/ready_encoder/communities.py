"""Communities of the tips of a large tree, drawn so that they are alike and different as those of real surveys are.

A biome has clades and some of their tips, common ones and rare ones; its habitats shift how common these are, and its
samples once more. All clades of the tree have their turn, unlike in the surveys at hand.
"""

import numpy as np
import scipy.sparse as sp

from q2_aam.study.phylogeny import Phylogeny

BIOMES = 4
BIOME_CLADES = 120
SAMPLES_A_HABITAT = 8
# Tips of a clade, at least and at most, and of those how many a biome knows of at most.
CLADE = (2, 400)
KNOWN = 30
RICHNESS = (5, 400)
# Standard deviations of how common clades and tips are (logarithms): in a biome, and what habitats and samples shift.
COMMONNESS = {"biome": 2.0, "habitat": 1.0, "sample": 0.7}
# By how much the logarithm of reads goes with how common a tip is.
READS_BY_COMMONNESS = 0.5
# Of a sample's tips, those that come from anywhere in the tree.
STRAYS = 0.03


def clades(tree: Phylogeny, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last of the usable tips below each node that has as many as a clade has, int ``[C]``, in tip order."""
    tips = np.zeros(len(tree) + 1, dtype=np.int64)
    selection = np.zeros(len(tree), dtype=bool)
    selection[tree.tips()[usable]] = True
    np.cumsum(selection, out=tips[1:])
    first, last = tips[:-1], tips[np.arange(len(tree)) + tree.sizes]
    ranges = np.unique(np.stack([first, last], 1)[(last - first >= CLADE[0]) & (last - first <= CLADE[1])], axis=0)
    return ranges[:, 0], ranges[:, 1]


def draw_clades(first: np.ndarray, last: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of clades, small and large ones alike (there are many more small ones)."""
    size = np.log2(last - first).astype(int)
    weight = 1 / np.bincount(size)[size]
    return rng.choice(len(first), number, replace=False, p=weight / weight.sum())


def draw_biome(first: np.ndarray, last: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Tips of a biome, the number of each one's clade, and how common each is."""
    chosen = draw_clades(first, last, BIOME_CLADES, rng)
    known = [rng.permutation(np.arange(first[c], last[c]))[: rng.integers(1, KNOWN)] for c in chosen]
    clade = np.repeat(np.arange(len(chosen)), list(map(len, known)))
    # A clade may lie within another one.
    tips, place = np.unique(np.concatenate(known), return_index=True)
    clade = np.unique(clade[place], return_inverse=True)[1]
    spread = COMMONNESS["biome"]
    return tips, clade, rng.normal(0, spread, clade.max() + 1)[clade] + rng.normal(0, spread / 2, len(tips))


def simulate_communities(tree: Phylogeny, usable: np.ndarray, samples: int, seed: int | list[int]) -> sp.csr_matrix:
    """Reads of tips in samples.

    Parameters
    ----------
    tree : Phylogeny
    usable : np.ndarray
        Boolean ``[T]``, tips that may be there.
    samples : int
        N.
    seed : int or list of int

    Returns
    -------
    sp.csr_matrix
        float64 ``[N, T]``, whole numbers.
    """
    rng = np.random.default_rng(seed)
    first, last = clades(tree, usable)
    places = np.flatnonzero(usable)
    biomes = [draw_biome(first, last, rng) for _ in range(BIOMES)]

    def shifted(common: np.ndarray, clade: np.ndarray, by: float) -> np.ndarray:
        return common + rng.normal(0, by, clade.max() + 1)[clade] + rng.normal(0, by, len(common))

    rows, columns, reads = [], [], []
    while len(rows) < samples:
        tips, clade, common = biomes[rng.integers(BIOMES)]
        habitat = shifted(common, clade, COMMONNESS["habitat"])
        for _ in range(min(SAMPLES_A_HABITAT, samples - len(rows))):
            richness = int(np.exp(rng.uniform(*np.log(RICHNESS))))
            here = shifted(habitat, clade, COMMONNESS["sample"])
            chosen = np.argsort(-here - rng.gumbel(size=len(tips)))[:richness]
            strays = rng.integers(0, len(places), rng.binomial(richness, STRAYS))
            held, first_place = np.unique(np.concatenate([tips[chosen], strays]), return_index=True)
            # What is common has more reads, too.
            level = np.concatenate([here[chosen], np.full(len(strays), here.min())])[first_place]
            rows.append(np.full(len(held), len(rows)))
            columns.append(places[held])
            reads.append(np.ceil(np.exp(rng.normal(3 + READS_BY_COMMONNESS * level, 1.3))))
    parts = np.concatenate(reads), (np.concatenate(rows), np.concatenate(columns))
    return sp.csr_matrix(parts, shape=(samples, len(usable)))
