"""Simulated surveys of any size: sparse, without a dense array of samples x ASVs, and quick.

Samples draw their ASVs from one endless power law, so that every batch of samples looks alike whatever the number of
samples, and the number of ASVs in the table grows with the samples as it does in surveys: 1,000 samples hold about
40,000, 10,000 hold 200,000, and 100,000 a million.
(`q2_aam.simulation.survey` makes small ones whose metadata can be learnt.)

    python benchmarks/large_survey.py DIRECTORY --samples 10000
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import biom
import bp
import numpy as np
import scipy.sparse as sp

from q2_aam.study.phylogeny import Phylogeny

RICHNESS = 225  # draws of ASVs a sample; some are the same ASV
FLAT = 70.0  # about as many ASVs are equally common
TAIL = 2.5  # the number of ASVs met grows as the samples to the power of TAIL / (1 + TAIL)
LETTERS = np.frombuffer(b"ACGT", dtype="S1")


@dataclass(frozen=True)
class LargeSurvey:
    """A survey in memory.

    Attributes
    ----------
    table : biom.Table
        Features x samples.
    sequences : np.ndarray
        bytes ``[V]``, sequence of each feature of the table.
    tree : Phylogeny
        Its tips are the table's features.
    values : np.ndarray
        float64 ``[N]``, a metadata column.
    """

    table: biom.Table
    sequences: np.ndarray
    tree: Phylogeny
    values: np.ndarray

    def write(self, directory: Path) -> None:
        """Write ``table.biom``, ``sequences.fasta`` and ``tree.nwk`` into a directory that is made."""
        directory.mkdir(parents=True, exist_ok=True)
        with biom.util.biom_open(str(directory / "table.biom"), "w") as file:
            self.table.to_hdf5(file, "q2-aam large survey")
        ids = self.table.ids("observation")
        with open(directory / "sequences.fasta", "w") as file:
            file.writelines(f">{i}\n{s.decode()}\n" for i, s in zip(ids, self.sequences, strict=True))
        with open(directory / "tree.nwk", "w") as file:
            bp.write_newick(self.tree.to_bp(), file, False)


def simulate(n_samples: int, length: int = 150, random_seed: int = 0) -> LargeSurvey:
    """Draw a survey.

    Parameters
    ----------
    n_samples : int
        Samples; about 200 ASVs each.
    length : int
        Nucleotides of a sequence.
    random_seed : int
        The same seed and sizes give the same survey.

    Returns
    -------
    LargeSurvey
    """
    rng = np.random.default_rng(random_seed)
    counts = draw_counts(n_samples, rng)
    n_asvs = counts.shape[1]
    sizes, parents = draw_tree(n_asvs, rng)
    branches = rng.exponential(0.02, len(sizes)) + 1e-4
    branches[0] = 0
    tips = np.flatnonzero(sizes == 1)
    letters = draw_sequences(parents, branches, length, rng)[tips]
    sequences = np.ascontiguousarray(LETTERS[letters]).view(f"S{length}").ravel()
    ids = np.array([hashlib.md5(b"%d" % i, usedforsecurity=False).hexdigest() for i in range(n_asvs)], dtype=object)
    names = np.full(len(sizes), None, dtype=object)
    names[tips] = ids
    width = len(str(n_samples))
    table = biom.Table(counts.T.tocsr(), ids, [f"S{i:0{width}d}" for i in range(n_samples)])
    return LargeSurvey(table, sequences, Phylogeny(sizes, branches, names), rng.standard_normal(n_samples))


def draw_counts(n_samples: int, rng: np.random.Generator) -> sp.csr_matrix:
    """Reads ``[N, V]``, float64: V the ASVs that some sample holds, in mixed order."""
    richness = rng.poisson(RICHNESS, n_samples) + 1
    rows = np.repeat(np.arange(n_samples, dtype=np.int32), richness)
    # rank r is drawn with a probability falling as (1 + r / FLAT) ** -(1 + 1 / TAIL): Zipf and Mandelbrot's law
    ranks = (FLAT * (rng.random(len(rows)) ** -TAIL - 1)).clip(max=2**62).astype(np.int64)
    known, columns = np.unique(ranks, return_inverse=True)
    columns = rng.permutation(len(known)).astype(np.int32)[columns]
    reads = np.ceil(rng.lognormal(2, 1.5, len(rows)))
    counts = sp.csr_matrix((reads, (rows, columns)), shape=(n_samples, len(known)))
    counts.sum_duplicates()
    return counts


def draw_tree(n_tips: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random birth tree: for each node, in the order of a Newick text, its sub-tree's size and its parent (or -1)."""
    n_nodes = 2 * n_tips - 1
    sizes, parents = np.empty(n_nodes, dtype=np.int64), np.full(n_nodes, -1)
    # one generation at a time: how many tips each node has below it, and its number
    below, numbers = np.array([n_tips]), np.array([0])
    while len(below):
        sizes[numbers] = 2 * below - 1
        below, numbers = below[below > 1], numbers[below > 1]
        left = rng.integers(1, below)  # in a birth tree every split of the tips in two is as likely
        children = numbers + 1, numbers + 2 * left
        for child in children:
            parents[child] = numbers
        below, numbers = np.concatenate([left, below - left]), np.concatenate(children)
    return sizes, parents


def draw_sequences(parents: np.ndarray, branches: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Letters 0 to 3 of all nodes ``[M, length]``, changed along the branches."""
    letters = np.empty((len(parents), length), dtype=np.uint8)
    letters[0] = rng.integers(0, 4, length)
    depth = _depths(parents)
    order = np.argsort(depth, kind="stable")
    for generation in np.split(order, np.flatnonzero(np.diff(depth[order])) + 1)[1:]:
        for part in np.array_split(generation, 1 + len(generation) // 2**16):
            row = letters[parents[part]]
            changed = rng.random(row.shape, dtype=np.float32) < branches[part, None]
            row[changed] = rng.integers(0, 4, changed.sum(), dtype=np.uint8)
            letters[part] = row
    return letters


def _depths(parents: np.ndarray) -> np.ndarray:
    """Branches between each node and the root, by doubling the reach at each turn."""
    reach, depth = np.where(parents < 0, 0, parents), (parents >= 0).astype(np.int64)
    while reach.any():
        depth, reach = depth + depth[reach], reach[reach]
    return depth


def main(arguments: list[str] | None = None) -> None:
    """Write one survey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    survey = simulate(options.samples, random_seed=options.seed)
    survey.write(options.directory)
    features, samples = survey.table.shape
    print(f"{samples} samples, {features} ASVs, {survey.table.nnz} counts other than 0: {options.directory}")


if __name__ == "__main__":
    main()
