"""Feature tables: the checks every table passes, and parts of them."""

from collections.abc import Collection, Sequence

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

IDS_NAMED = 5
# A longer name, as where sequences are the IDs of features, is shown by its ends, of so many letters each.
LONG, END = 60, 16
# Beyond, numbers with a fraction of 0 are not all exact: no machine counts so many reads.
MOST_READS = 2.0**53
# How far from 1 a sample's shares may sum up to: they are rounded in many files.
SHARES_TOLERANCE = 1e-3
SAME_SHARE = 1e-9


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Stop unless a parameter's value is one of those there are."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")


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
    shown = ", ".join(short(i) for i in list(ids)[:IDS_NAMED])
    return shown if len(ids) <= IDS_NAMED else f"{shown}, ... ({len(ids)} in all)"


def short(name) -> str:
    """A name as it is, or the ends of a long one.

    Examples
    --------
    >>> from q2_aam.study.tables import short
    >>> short("TACGGAGGATCCGAGCGTTA" * 5)
    'TACGGAGGATCCGAGC...GAGGATCCGAGCGTTA (100 letters)'
    """
    text = str(name)
    return text if len(text) <= LONG else f"{text[:END]}...{text[-END:]} ({len(text)} letters)"


def refuse_alike(counts: sp.csr_matrix) -> None:
    """Stop where all samples ``[N, V]`` hold the same ASVs in the same shares: nothing can be learnt of them."""
    if len(held_columns(counts)) == 1:
        raise ValueError(
            f"All {counts.shape[0]} samples hold one and the same ASV alone: there is nothing by which they differ. "
            "Give a table of several ASVs."
        )
    shares = sp.csr_matrix(sp.diags(1 / np.asarray(counts.sum(1, dtype=np.float64)).ravel()) @ counts)
    first = shares[np.zeros(shares.shape[0], dtype=int)]
    if shares.shape[0] > 1 and abs(shares - first).max() < SAME_SHARE:
        raise ValueError(
            f"All {counts.shape[0]} samples hold the same ASVs in the same shares: there is nothing by which they "
            "differ. Look how the table was made."
        )


def repeated(ids: Sequence[str]) -> list:
    """IDs that are there more than once, in order of first appearance."""
    series = pd.Series(list(ids), dtype=object)
    return list(series[series.duplicated()].unique())


def check_table(table: biom.Table) -> str:
    """Refuse a feature table that cannot be read, by name, and say what it holds.

    Parameters
    ----------
    table : biom.Table
        Features x samples.

    Returns
    -------
    {'counts', 'shares', 'presence'}
        Counts of reads; shares of a sample's reads, which sum to 1 in each sample; 1 for what is there.

    Raises
    ------
    ValueError
        If the table is empty, has repeated IDs, samples without reads, or values that are not finite, negative, or
        fractional and no shares.
    """
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
    counts = sample_counts(table)
    finite = np.isfinite(counts.data)
    huge = finite & (np.abs(counts.data) > MOST_READS)
    for kind, wrong in (("non-finite", ~finite), ("negative", counts.data < 0), ("impossibly large", huge)):
        if wrong.any():
            raise ValueError(
                f"The feature table has {wrong.sum()} {kind} counts ({_name_counts(table, counts, wrong)}). "
                f"Reads are needed: give the table as it was before it was normalized or transformed."
            )
    fractional = counts.data != np.floor(counts.data)
    if fractional.any():
        _refuse_no_shares(table, counts, fractional)
    refuse_empty_samples(np.diff(counts.indptr), table.ids())
    if fractional.any():
        return "shares"
    return "presence" if (counts.data == 1).all() else "counts"


def _refuse_no_shares(table: biom.Table, counts: sp.csr_matrix, fractional: np.ndarray) -> None:
    """Stop unless the values of each sample that has any sum to 1."""
    sums = np.asarray(counts.sum(axis=1)).ravel()
    if (np.abs(sums - 100) <= 100 * SHARES_TOLERANCE).all():
        raise ValueError(
            "The feature table holds percentages: its values sum to 100 in each sample. Divide them by 100, or give "
            "counts of reads."
        )
    if (counts.data > 1 + SHARES_TOLERANCE).any():
        raise ValueError(
            f"The feature table has {fractional.sum()} fractional counts ({_name_counts(table, counts, fractional)}). "
            "Give counts of reads, relative frequencies or presence and absence: the table as it was before it was "
            "transformed otherwise."
        )
    wrong = np.flatnonzero((np.abs(sums - 1) > SHARES_TOLERANCE) & (sums > 0))
    if len(wrong):
        shown = [f"{table.ids()[row]} ({sums[row]:.4g})" for row in wrong]
        raise ValueError(
            f"The feature table holds shares of reads, but in {len(wrong)} of {len(sums)} samples they do not sum to "
            f"1: {name_ids(shown)}. Filter the table of counts first, then compute the relative frequencies."
        )


def sample_counts(table: biom.Table) -> sp.csr_matrix:
    """Samples x features as float64 CSR `[N, F]` of its own, without explicit zeros."""
    counts = table.matrix_data.T.tocsr(copy=True).astype(np.float64, copy=False)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts


def keep_samples(table: biom.Table, rows: np.ndarray) -> biom.Table:
    """Some samples of a table, in the order of their numbers; itself where these are all of them."""
    if np.array_equal(rows, np.arange(table.shape[1])):
        return table
    return biom.Table(table.matrix_data.tocsr()[:, rows], table.ids("observation"), table.ids()[rows])


def _name_counts(table: biom.Table, counts: sp.csr_matrix, selection: np.ndarray) -> str:
    """Value, feature and sample of the first five of a selection of the stored counts."""
    places = np.flatnonzero(selection)[:IDS_NAMED]
    samples = table.ids()[np.searchsorted(counts.indptr, places, side="right") - 1]
    features = table.ids(axis="observation")[counts.indices[places]]
    named = [
        f"{value:g} of feature {short(feature)} in sample {sample}"
        for value, feature, sample in zip(counts.data[places], features, samples, strict=True)
    ]
    return "; ".join(named if selection.sum() <= IDS_NAMED else [*named, "..."])


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
    selection = np.flatnonzero(~pd.Index(ids).isin(feature_ids))
    return biom.Table(sp.csr_matrix(table.matrix_data)[selection], ids[selection], table.ids())


def held_columns(counts: sp.csr_matrix) -> np.ndarray:
    """Numbers of the columns that some row holds (of stored counts, whatever they are), int64 ascending."""
    present = np.zeros(counts.shape[1], dtype=bool)
    present[counts.indices] = True
    return np.flatnonzero(present)


def keep_columns(counts: sp.csr_matrix, selection: np.ndarray) -> sp.csr_matrix:
    """Counts ``[N, V]`` of a selection of columns, boolean ``[V]``; the shape stays."""
    return keep_entries(counts, selection[counts.indices])


def keep_entries(counts: sp.csr_matrix, selection: np.ndarray) -> sp.csr_matrix:
    """Counts ``[N, V]`` of a selection of the stored entries, boolean, one for each; the shape stays."""
    before = np.concatenate([[0], np.cumsum(selection)])
    return sp.csr_matrix((counts.data[selection], counts.indices[selection], before[counts.indptr]), counts.shape)
