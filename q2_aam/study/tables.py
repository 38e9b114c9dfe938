"""Feature tables: the checks every table passes, and rarefaction."""

import hashlib
import warnings
from collections.abc import Collection, Sequence

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

IDS_NAMED = 5


def name_ids(ids: Collection) -> str:
    """List the first five IDs, and say how many there are when there are more.

    Parameters
    ----------
    ids : collection of str
        IDs to name in a message.

    Returns
    -------
    str
        For example `a, b, c, d, e, ... (12 in all)`.
    """
    shown = ", ".join(str(i) for i in list(ids)[:IDS_NAMED])
    return shown if len(ids) <= IDS_NAMED else f"{shown}, ... ({len(ids)} in all)"


def repeated(ids: Sequence[str]) -> list:
    """IDs that are there more than once, in order of first appearance."""
    series = pd.Series(list(ids), dtype=object)
    return list(series[series.duplicated()].unique())


def checked_counts(table: biom.Table) -> sp.csr_matrix:
    """Samples x features as float64 CSR `[N, F]` of its own, refused unless it holds counts of reads."""
    if 0 in table.shape:
        raise ValueError(
            f"The feature table is empty: it has {table.shape[0]} features and {table.shape[1]} samples."
        )
    for axis, name in (("sample", "sample"), ("observation", "feature")):
        again = repeated(table.ids(axis=axis))
        if again:
            raise ValueError(
                f"The feature table has more than one {name} of the same ID: {name_ids(again)}. "
                f"Rename or merge them."
            )
    counts = table.matrix_data.T.tocsr(copy=True).astype(np.float64, copy=False)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    finite = np.isfinite(counts.data)
    for kind, wrong in (
        ("non-finite", ~finite),
        ("negative", counts.data < 0),
        ("fractional", finite & (counts.data != np.floor(counts.data))),
    ):
        if wrong.any():
            raise ValueError(
                f"The feature table has {wrong.sum()} {kind} counts ({_name_counts(table, counts, wrong)}). "
                f"Reads are needed: give the table as it was before it was normalized or transformed."
            )
    return counts


def _name_counts(table: biom.Table, counts: sp.csr_matrix, chosen: np.ndarray) -> str:
    """Value, feature and sample of the first five of the chosen stored counts."""
    places = np.flatnonzero(chosen)[:IDS_NAMED]
    samples = table.ids()[np.searchsorted(counts.indptr, places, side="right") - 1]
    features = table.ids(axis="observation")[counts.indices[places]]
    named = [
        f"{value:g} of feature {feature} in sample {sample}"
        for value, feature, sample in zip(counts.data[places], features, samples, strict=True)
    ]
    return "; ".join(named if chosen.sum() <= IDS_NAMED else [*named, "..."])


def refuse_empty_samples(reads: np.ndarray, sample_ids: np.ndarray, why: str = "") -> None:
    """Stop if a sample has no reads; `why` ends the sentence's first half."""
    empty = sample_ids[reads == 0]
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {len(sample_ids)} samples have no reads{why}: {name_ids(empty)}. "
            f"Remove them from the feature table."
        )


def without_features(table: biom.Table, feature_ids: Collection[str]) -> biom.Table:
    """A table without some of its features; itself where there are none to leave out.

    Parameters
    ----------
    table : biom.Table
        Features x samples.
    feature_ids : collection of str
        Features to leave out.

    Returns
    -------
    biom.Table
        The same samples in the same order.
    """
    if not len(feature_ids):
        return table
    ids = table.ids(axis="observation")
    kept = np.flatnonzero(~pd.Index(ids).isin(feature_ids))
    return biom.Table(sp.csr_matrix(table.matrix_data)[kept], ids[kept], table.ids())


def held_columns(counts: sp.csr_matrix) -> np.ndarray:
    """Numbers of the columns that some row holds (of stored counts, whatever they are), int64 ascending."""
    held = np.zeros(counts.shape[1], dtype=bool)
    held[counts.indices] = True
    return np.flatnonzero(held)


def keep_columns(counts: sp.csr_matrix, kept: np.ndarray) -> sp.csr_matrix:
    """Counts ``[N, V]`` without the entries of columns that are not ``kept`` (boolean ``[V]``); the shape stays."""
    return keep_entries(counts, kept[counts.indices])


def keep_entries(counts: sp.csr_matrix, kept: np.ndarray) -> sp.csr_matrix:
    """Counts ``[N, V]`` with those stored entries alone that are ``kept``, boolean, one for each; the shape stays."""
    before = np.concatenate([[0], np.cumsum(kept)])
    return sp.csr_matrix((counts.data[kept], counts.indices[kept], before[counts.indptr]), counts.shape)


def rarefy(table: biom.Table, sampling_depth: int, random_seed: int) -> biom.Table:
    """Draw the same number of reads from every sample, without replacement.

    The draw of a sample depends on the seed, its ID and its counts alone: the same sample gets the same reads
    whatever the order of the table and whoever else is in it.

    Parameters
    ----------
    table : biom.Table
        Features x samples, counts of reads.
    sampling_depth : int
        Reads to keep of each sample. Samples with fewer are dropped, with a warning that names them.
    random_seed : int
        Seed of the draw, at least 0.

    Returns
    -------
    biom.Table
        The samples that had enough reads, in the same order, and the features they still have.

    Raises
    ------
    ValueError
        If the counts are no counts, the depth is below 1, or no sample has enough reads.
    """
    if sampling_depth < 1:
        raise ValueError(f"sampling_depth is {sampling_depth}; it must be at least 1 read.")
    counts = checked_counts(table)
    sample_ids, feature_ids = table.ids(), table.ids(axis="observation")
    reads = np.asarray(counts.sum(axis=1)).ravel()
    kept = np.flatnonzero(reads >= sampling_depth)
    if not len(kept):
        raise ValueError(
            f"None of the {len(sample_ids)} samples has {sampling_depth} reads (sampling_depth); "
            f"the largest has {reads.max():.0f}. Choose a lower sampling depth."
        )
    if len(kept) < len(sample_ids):
        warnings.warn(
            f"{len(sample_ids) - len(kept)} of {len(sample_ids)} samples have fewer than {sampling_depth} "
            f"reads (sampling_depth) and are dropped: {name_ids(sample_ids[reads < sampling_depth])}.",
            stacklevel=2,
        )
    if len(kept) < len(sample_ids):
        counts = counts[kept]
    # Features in the order of their IDs, so that the draw does not depend on the table's own order.
    order = np.argsort(feature_ids, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    counts.indices = rank.astype(counts.indices.dtype)[counts.indices]
    counts.has_sorted_indices = False
    counts.sort_indices()
    for row, sample_id in enumerate(sample_ids[kept]):
        digest = hashlib.blake2b(str(sample_id).encode(), digest_size=8).digest()
        generator = np.random.default_rng([random_seed, int.from_bytes(digest, "little")])
        span = slice(counts.indptr[row], counts.indptr[row + 1])
        counts.data[span] = generator.multivariate_hypergeometric(
            counts.data[span].astype(np.int64), sampling_depth, method="marginals"
        )
    counts.indices = order.astype(counts.indices.dtype)[counts.indices]
    counts.has_sorted_indices = False
    counts.eliminate_zeros()
    drawn = counts.T.tocsr()
    present = np.flatnonzero(np.diff(drawn.indptr))
    return biom.Table(drawn[present], feature_ids[present], sample_ids[kept])
