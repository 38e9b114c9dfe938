"""Target distances: UniFrac among the samples of a batch, by the `unifrac` package."""

import warnings
from collections.abc import Collection
from threading import Lock

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.settings import METRICS, MISSING_FEATURES, ON_MISSING, USUAL_METRIC
from q2_aam.study.mismatch import how_to_find
from q2_aam.study.phylogeny import Phylogeny, check_lengths, read_phylogeny, tip_names
from q2_aam.study.tables import (
    check_choice,
    held_columns,
    keep_entries,
    name_ids,
    refuse_empty_samples,
    sample_counts,
)

# Between unweighted (0) and weighted (1); the value its authors recommend (Chen et al. 2012).
GENERALIZED_ALPHA = 0.5


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
    check_choice("missing_features", missing_features, MISSING_FEATURES)
    # In the order that they are given in.
    tips = tips if isinstance(tips, set | frozenset | dict) else dict.fromkeys(tips)
    feature_ids = table.ids(axis="observation")
    absent = ~np.fromiter(map(tips.__contains__, feature_ids), dtype=bool, count=len(feature_ids))
    if not absent.any():
        return table
    counts = sp.csr_matrix(table.matrix_data)
    reads = np.asarray(counts.sum(axis=1)).ravel()
    missing = feature_ids[absent & (reads != 0)]
    if len(missing) and missing_features == "error":
        raise ValueError(
            f"{len(missing)} of {len(feature_ids)} features are no tips of the phylogeny: {name_ids(missing)}. "
            + how_to_find(missing, tips, "the phylogeny", absent.all())
        )
    rest = counts[~absent]
    refuse_empty_samples(
        np.asarray(rest.sum(axis=0)).ravel(), table.ids(), " left without the features that are no tips"
    )
    if len(missing):
        warnings.warn(
            f"{len(missing)} of {len(feature_ids)} features, with {reads[absent].sum() / reads.sum():.2%} of "
            f"the reads, are no tips of the phylogeny and are left out: {name_ids(missing)}.",
            stacklevel=2,
        )
    return biom.Table(rest, feature_ids[~absent], table.ids())


class UniFracDistances:
    """UniFrac distances among any samples of a table, or among parts of them.

    Small tables: the whole matrix is computed once, at the first call, and batches of whole samples are taken from it.
    Large ones, and parts of samples: each call computes the distances of its own. The numbers are the same either way.

    Several threads may call it: they are served one after the other. The `unifrac` package keeps Python's lock while
    it computes, so that the others wait for it.

    Parameters
    ----------
    table : biom.Table
        Features x samples, as `check_table` passes it; every feature that has reads is a tip of the phylogeny.
    phylogeny : str or Phylogeny
        Newick file, or a tree read by `read_phylogeny`. Further tips within the clade of the table's own change
        nothing. With tips beyond it, the way from that clade to the root is a branch that all samples share, as
        scikit-bio and the `unifrac` package count it: their distances are smaller than in the clade's own tree.
    metric : {'unweighted', 'weighted_normalized', 'generalized'}
        The kind of UniFrac; 'generalized' has alpha 0.5.
    threads : int
        Processor cores to use for a whole matrix. A batch takes one core some milliseconds; with more cores it takes
        longer as soon as they have something else to do.
    matrix_budget : int
        Largest whole matrix to keep, in bytes (4 for each pair); about four times as much is in use for the
        moment of its computation. 0: never a whole matrix. The default, 2,048 samples, is about where 40 epochs of
        batches of whole samples take as long as the matrix, whose work grows as the square of the samples.
    asv_of_feature : pd.Series, optional
        int, number of the ASV that each feature is, by its ID; needed for the distances of sub-communities.

    Raises
    ------
    ValueError
        If the metric is not known, features are no tips, tips have the same name, or branches have no usable length.
    """

    def __init__(
        self,
        table: biom.Table,
        phylogeny: str | Phylogeny,
        metric: str = USUAL_METRIC,
        threads: int = 1,
        matrix_budget: int = 2**24,
        asv_of_feature: pd.Series | None = None,
    ):
        check_choice("metric", metric, METRICS)
        tree = phylogeny if isinstance(phylogeny, Phylogeny) else read_phylogeny(phylogeny)
        table = match_tips(table, tip_names(tree))
        counts = sample_counts(table)
        self.sample_ids = table.ids().astype(object)
        present = held_columns(counts)
        self._counts = counts[:, present]
        self._features = table.ids(axis="observation")[present]
        self._asvs = None if asv_of_feature is None else asv_of_feature.loc[self._features].to_numpy(dtype=np.int64)
        nodes = tree.nodes_of(self._features)
        self._tree = tree.cut(nodes)
        check_lengths(self._tree)
        self._tips = np.empty_like(nodes)
        self._tips[np.argsort(nodes)] = self._tree.tips()  # cut, they are in the same order
        self._matrix = None
        self._keeps_matrix = 4 * len(self) ** 2 <= matrix_budget
        self.threads = threads
        self._metric = metric
        self._load_library()

    def _load_library(self) -> None:
        import unifrac
        from threadpoolctl import ThreadpoolController

        # The only way to set the cores at run time: OMP_NUM_THREADS is read when the library is loaded.
        self._ssu, self._pool, self._lock = unifrac.ssu_inmem, ThreadpoolController(), Lock()

    def __getstate__(self) -> dict:
        """Without what cannot be sent to another process; a whole matrix goes along, and need not be computed again."""
        return {name: value for name, value in vars(self).items() if name not in ("_ssu", "_pool", "_lock")}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._load_library()

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __call__(self, rows: np.ndarray, asvs: sp.csr_matrix | None = None) -> np.ndarray:
        """Distances among some samples, or among parts of them.

        Parameters
        ----------
        rows : np.ndarray
            int `[B]`, row numbers of the samples in the table, in any order; one may be there several times.
        asvs : sp.csr_matrix, optional
            `[B, V]`, the ASVs that are left of each sample (what is stored counts, not its value); all by default.

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
        with self._lock:
            if asvs is not None:
                counts = self._parts(rows, asvs)
                distances = self._distances(counts, 1)
                whole = np.flatnonzero(np.diff(counts.indptr) == np.diff(self._counts.indptr)[rows])
                self._finite(distances[np.ix_(whole, whole)], rows[whole])
                # A part may lack every branch that has a length, though its sample does not: such parts are alike.
                return np.where(np.isfinite(distances), distances, np.float32(0))
            if not self._keeps_matrix:
                distinct, place = np.unique(rows, return_inverse=True)
                return self._finite(self._distances(self._counts[distinct], 1), distinct)[np.ix_(place, place)]
            if self._matrix is None:
                self._matrix = self._finite(self._distances(self._counts, self.threads), np.arange(len(self)))
            return self._matrix[np.ix_(rows, rows)]

    def _parts(self, rows: np.ndarray, asvs: sp.csr_matrix) -> sp.csr_matrix:
        """Counts of the features that are left of each sample, float64 `[B, F]`."""
        counts = self._counts[rows]
        width = asvs.shape[1]
        cells = np.repeat(np.arange(len(rows)), np.diff(counts.indptr)) * width + self._asvs[counts.indices]
        part_cells = np.repeat(np.arange(len(rows)), np.diff(asvs.indptr)) * width + asvs.indices
        return keep_entries(counts, np.isin(cells, part_cells))

    def _distances(self, counts: sp.csr_matrix, threads: int) -> np.ndarray:
        """Distances among samples with these counts `[B, F]`, float32 `[B, B]`, computed on their sub-table."""
        samples = counts.shape[0]
        if samples < 2:
            return np.zeros((samples, samples), dtype=np.float32)
        present = np.unique(counts.indices)
        table = biom.Table(counts[:, present].T.tocsr(), self._features[present], list(map(str, range(samples))))
        # The package would go through the whole tree; a batch holds a small part of it.
        tree = self._tree.cut(self._tips[present]).to_bp()
        alpha = GENERALIZED_ALPHA if self._metric == "generalized" else 1.0
        with self._pool.limit(limits=threads, user_api="openmp"):
            # fp64: in fp32 the distances of two samples would depend (by 4e-7) on who else is in the batch.
            result = self._ssu(table, tree, f"{self._metric}_fp64", False, alpha, False, 1)
        return result.data.astype(np.float32)

    def _finite(self, distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The same distances; stops, naming the samples, if some are not finite."""
        bad = ~np.isfinite(distances).all(axis=1)
        if bad.any():
            raise ValueError(
                f"UniFrac distances are not finite for {bad.sum()} of {len(rows)} samples: "
                f"{name_ids(self.sample_ids[rows[bad]])}. Check the branch lengths of the phylogeny."
            )
        return distances
