"""Target distances: UniFrac among the samples of a batch, by the `unifrac` package."""

import warnings
from collections.abc import Collection

import biom
import numpy as np
import scipy.sparse as sp

from q2_aam.data.tables import (
    MISSING_FEATURES,
    ON_MISSING,
    checked_counts,
    name_ids,
    refuse_empty_samples,
    repeated,
)

METRICS = ("unweighted", "weighted_unnormalized", "weighted_normalized", "generalized")
USUAL_METRIC = "unweighted"
# Between unweighted (0) and weighted (1); the value its authors recommend (Chen et al. 2012).
GENERALIZED_ALPHA = 0.5


def read_phylogeny(path: str):
    """Read a rooted tree.

    Parameters
    ----------
    path : str
        Newick file.

    Returns
    -------
    bp.BP
        The tree. Branches without a length have length 0.

    Raises
    ------
    ValueError
        If the file is no Newick tree, or several tips have the same name.
    """
    import bp

    path = str(path)
    with open(path, encoding="utf-8") as file:
        text = file.read().strip()
    try:
        tree = bp.parse_newick(text)
    except (AssertionError, ValueError) as error:
        # Unbalanced parentheses are an AssertionError without a word.
        reason = str(error) or "its parentheses do not match"
        raise ValueError(f"{path} cannot be read as a Newick tree: {reason}.") from error
    again = repeated(tip_names(tree))
    if again:
        raise ValueError(
            f"{path} has more than one tip of the same name: {name_ids(again)}. Keep one tip of each."
        )
    return tree


def tip_names(tree) -> list[str]:
    """Names of a tree's tips.

    Parameters
    ----------
    tree : bp.BP
        The tree.

    Returns
    -------
    list of str
        In the tree's order; tips without a name are left out.
    """
    opens = tree.B.astype(bool)
    # A node opens (1) and closes (0) in the parentheses; a tip closes at once.
    tips = np.flatnonzero(opens[:-1] & ~opens[1:])
    return [name for name in map(tree.name, tips) if name is not None]


def match_tips(table: biom.Table, tips: Collection[str], missing_features: str = ON_MISSING) -> biom.Table:
    """Keep the features of a table that are tips of the phylogeny.

    Parameters
    ----------
    table : biom.Table
        Features x samples.
    tips : collection of str
        Names of the phylogeny's tips.
    missing_features : {'error', 'ignore'}
        What to do about features that have reads and are no tip: refuse them, or drop them with a warning.

    Returns
    -------
    biom.Table
        The same samples in the same order; features that are no tip are gone.

    Raises
    ------
    ValueError
        If features are no tip and `missing_features` is 'error', or samples have no reads left.
    """
    if missing_features not in MISSING_FEATURES:
        raise ValueError(
            f"missing_features is {missing_features!r}; it must be one of {', '.join(MISSING_FEATURES)}."
        )
    tips = tips if isinstance(tips, set | frozenset | dict) else set(tips)
    feature_ids = table.ids(axis="observation")
    absent = np.array([i not in tips for i in feature_ids], dtype=bool)
    if not absent.any():
        return table
    counts = sp.csr_matrix(table.matrix_data)
    reads = np.asarray(counts.sum(axis=1)).ravel()
    missing = feature_ids[absent & (reads != 0)]
    if len(missing) and missing_features == "error":
        raise ValueError(
            f"{len(missing)} of {len(feature_ids)} features are no tips of the phylogeny: "
            f"{name_ids(missing)}. Give the phylogeny that was made for this table, or set missing_features "
            f"to 'ignore' to leave these features out."
        )
    kept = counts[~absent]
    refuse_empty_samples(
        np.asarray(kept.sum(axis=0)).ravel(), table.ids(), " left without the features that are no tips"
    )
    if len(missing):
        warnings.warn(
            f"{len(missing)} of {len(feature_ids)} features, with {reads[absent].sum() / reads.sum():.2%} of "
            f"the reads, are no tips of the phylogeny and are left out: {name_ids(missing)}.",
            stacklevel=2,
        )
    return biom.Table(kept, feature_ids[~absent], table.ids())


class UniFracDistances:
    """UniFrac distances among any samples of a table.

    Small tables: the whole matrix is computed once, at the first call, and batches are taken from it. Large
    ones: each call computes the distances of its own samples. The numbers are the same either way.

    Parameters
    ----------
    table : biom.Table
        Features x samples, counts of reads; every feature that has reads is a tip of the phylogeny.
    phylogeny : str or bp.BP
        Newick file, or a tree read by `read_phylogeny`. Further tips change nothing.
    metric : {'unweighted', 'weighted_unnormalized', 'weighted_normalized', 'generalized'}
        The kind of UniFrac; 'generalized' has alpha 0.5.
    threads : int
        Processor cores to use.
    matrix_budget : int
        Largest whole matrix to keep, in bytes (4 for each pair); about four times as much is in use for the
        moment of its computation. 0: never a whole matrix.

    Raises
    ------
    ValueError
        If the metric is not known, features are no tips, samples are empty, counts are no counts, tips have
        the same name, or branches have no usable length.
    """

    def __init__(
        self,
        table: biom.Table,
        phylogeny,
        metric: str = USUAL_METRIC,
        threads: int = 1,
        matrix_budget: int = 2**28,
    ):
        import unifrac
        from threadpoolctl import ThreadpoolController

        if metric not in METRICS:
            raise ValueError(f"metric is {metric!r}; it must be one of {', '.join(METRICS)}.")
        tree = phylogeny if hasattr(phylogeny, "shear") else read_phylogeny(phylogeny)
        table = match_tips(table, tip_names(tree))
        counts = checked_counts(table)
        self.sample_ids = table.ids().astype(object)
        refuse_empty_samples(np.asarray(counts.sum(axis=0)).ravel(), self.sample_ids)
        present = np.flatnonzero(np.diff(counts.indptr))
        self._features = table.ids(axis="observation")[present]
        self._counts = counts[present].T.tocsr()
        self._tree = _sheared(tree, self._features)
        self._matrix = None
        self._keeps_matrix = 4 * len(self) ** 2 <= matrix_budget
        # The only way to set the cores at run time: OMP_NUM_THREADS is read when the library is loaded.
        self._ssu, self._pool, self._threads = unifrac.ssu_inmem, ThreadpoolController(), threads
        self._metric = metric

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Distances among some samples.

        Parameters
        ----------
        rows : np.ndarray
            int `[B]`, row numbers of the samples in the table, in any order; one may be there twice.

        Returns
        -------
        np.ndarray
            float32 `[B, B]`, in the order of `rows`.

        Raises
        ------
        ValueError
            If a distance is not finite.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if not self._keeps_matrix:
            distinct, place = np.unique(rows, return_inverse=True)
            return self._distances(distinct)[np.ix_(place, place)]
        if self._matrix is None:
            self._matrix = self._distances(np.arange(len(self)))
        return self._matrix[np.ix_(rows, rows)]

    def _distances(self, rows: np.ndarray) -> np.ndarray:
        """Distances among different samples, float32 `[B, B]`, computed on their sub-table."""
        if len(rows) < 2:
            return np.zeros((len(rows), len(rows)), dtype=np.float32)
        counts = self._counts[rows]
        present = np.unique(counts.indices)
        features = self._features[present]
        table = biom.Table(counts[:, present].T.tocsr(), features, [str(row) for row in rows])
        # The package would go through the whole tree again; a batch holds a small part of it.
        tree = self._tree if len(rows) == len(self) else self._tree.shear(set(features)).collapse()
        alpha = GENERALIZED_ALPHA if self._metric == "generalized" else 1.0
        with self._pool.limit(limits=self._threads, user_api="openmp"):
            # fp64: in fp32 the distances of two samples would depend (by 4e-7) on who else is in the batch.
            result = self._ssu(table, tree, f"{self._metric}_fp64", False, alpha, False, 1)
        distances = result.data.astype(np.float32)
        bad = ~np.isfinite(distances).all(axis=1)
        if bad.any():
            raise ValueError(
                f"UniFrac distances are not finite for {bad.sum()} of {len(rows)} samples: "
                f"{name_ids(self.sample_ids[rows[bad]])}. Check the branch lengths of the phylogeny."
            )
        return distances


def _sheared(tree, features: np.ndarray):
    """The tree down to the table's features, refused unless its branch lengths can be used."""
    tree = tree.shear(set(features)).collapse()
    nodes = np.flatnonzero(tree.B)[1:]  # the root's own length is in no distance
    lengths = np.array([tree.length(node) for node in nodes])
    wrong = ~np.isfinite(lengths) | (lengths < 0)
    if wrong.any():
        names = [tree.name(node) or "an inner node" for node in nodes[wrong]]
        raise ValueError(
            f"{wrong.sum()} branches of the phylogeny have a length that is negative or not finite: "
            f"{name_ids(names)}. Give a phylogeny with lengths of at least 0."
        )
    if not lengths.any():
        raise ValueError("The phylogeny has no branch lengths. Give one that has: UniFrac sums them up.")
    return tree
