"""A feature table and its sequences as communities: what every model of this package reads."""

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.settings import MISSING_FEATURES, ON_MISSING
from q2_aam.study.mismatch import how_to_find
from q2_aam.study.tables import check_choice, held_columns, name_ids, refuse_empty_samples, repeated, sample_counts
from q2_aam.study.tokenizer import N, are_nucleotides, describe_illegal_letter, first_illegal_letter, tokenize

__all__ = ["Communities", "asv_hashes", "name_ids", "read_communities", "read_sequences"]


@dataclass(frozen=True)
class Communities:
    """Samples as sets of distinct ASVs with counts.

    Attributes
    ----------
    counts : scipy.sparse.csr_matrix
        float32 `[N, V]`, reads of each distinct ASV in each sample; sorted indices, no explicit zeros.
    sample_ids : np.ndarray
        Object (str) `[N]`, in the table's order.
    tokens : np.ndarray
        uint8 `[V, 1 + L]`, the ASVs' token rows, all different, in order of first appearance.
    reads_cut, reads_dropped, reads_ambiguous : np.ndarray
        float64 `[N]`, reads of each sample in features longer than `max_length`, in features left out for
        want of a sequence, and in ASVs with a letter other than A, C, G, T among the nucleotides kept.
    n_features : int
        Features of the table that was read.
    n_cut, n_alike : int
        Features whose sequence was cut at `max_length`, and sequences that are another's since then.
    left_out : np.ndarray
        Object (str) `[M]`, IDs of the features left out for want of a sequence.
    asv_of_feature : pd.Series
        int `[F]`, the number of the ASV that each feature with reads and a sequence is, by its ID.
    """

    counts: sp.csr_matrix
    sample_ids: np.ndarray
    tokens: np.ndarray
    reads_cut: np.ndarray
    reads_dropped: np.ndarray
    reads_ambiguous: np.ndarray
    n_features: int
    n_cut: int
    n_alike: int = 0
    left_out: np.ndarray = field(default_factory=lambda: np.array([], dtype=object))
    asv_of_feature: pd.Series = field(default_factory=lambda: pd.Series(dtype=np.int64))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def subset(self, rows: np.ndarray) -> "Communities":
        """Take some samples, in the order asked for; all V ASVs stay.

        Parameters
        ----------
        rows : np.ndarray
            int `[M]`, row numbers.

        Returns
        -------
        Communities
            The same with M samples.
        """
        rows = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            counts=self.counts[rows],
            sample_ids=self.sample_ids[rows],
            reads_cut=self.reads_cut[rows],
            reads_dropped=self.reads_dropped[rows],
            reads_ambiguous=self.reads_ambiguous[rows],
        )

    def rewritten(self, tokens: np.ndarray, reads_cut: np.ndarray | float = 0.0) -> "Communities":
        """The same samples with other token rows `[V, 1 + L]` in place of the ASVs'; those that become alike are one.

        `reads_cut` `[N]` are reads of each sample in ASVs that were cut for that.
        """
        first, place = distinct_rows(tokens)
        return replace(
            self,
            counts=_merged(self.counts.astype(np.float64), place.astype(self.counts.indices.dtype), len(first)),
            tokens=tokens[first],
            reads_cut=np.maximum(self.reads_cut, reads_cut),
            asv_of_feature=pd.Series(place[self.asv_of_feature.to_numpy()], index=self.asv_of_feature.index),
        )

    @cached_property
    def hashes(self) -> np.ndarray:
        """Identity of each ASV, int64 `[V]` (:func:`asv_hashes`)."""
        return asv_hashes(self.tokens)

    def present_asvs(self) -> np.ndarray:
        """Numbers of the ASVs that some sample holds, int64 ascending (a subset keeps the columns of all)."""
        return held_columns(self.counts)


def read_sequences(path: str) -> dict[str, str]:
    """Read a FASTA file of feature sequences.

    Parameters
    ----------
    path : str
        FASTA file; the ID is the header's first word.

    Returns
    -------
    dict of str to str
        Sequence of each feature ID, as written in the file.

    Raises
    ------
    ValueError
        If the file is no FASTA, has no sequences, or an ID is there more than once.
    """
    import skbio.io

    path = str(path)
    try:
        records = [
            (record.metadata["id"], str(record))
            for record in skbio.io.read(path, format="fasta", verify=False)
        ]
    except (skbio.io.FASTAFormatError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a FASTA file: {' '.join(str(error).split())}") from error
    if not records:
        raise ValueError(f"{path} cannot be read as a FASTA file: it has no sequences.")
    sequences = dict(records)
    if len(sequences) < len(records):
        raise ValueError(
            f"{path} has more than one sequence for these feature IDs: "
            f"{name_ids(repeated([i for i, _ in records]))}. Keep one of each; an ID ends at the first blank."
        )
    return sequences


def _feature_sequences(feature_ids: np.ndarray, sequences: dict[str, str] | None) -> np.ndarray:
    """Sequence of each feature, object `[F]`; None where there is none."""
    texts = np.array(list(map((sequences or {}).get, feature_ids)), dtype=object)
    texts[texts == ""] = None
    without = np.flatnonzero(pd.isna(texts))
    own = without[are_nucleotides(feature_ids[without])]
    texts[own] = feature_ids[own]
    return texts


def distinct_rows(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each distinct row, in order of appearance `[V]`, and each row's place among them `[F]`."""
    places, _ = pd.factorize(np.array(_row_bytes(tokens), dtype=object))
    _, first = np.unique(places, return_index=True)
    return first, places


def _row_bytes(tokens: np.ndarray) -> list[bytes]:
    """Each token row as bytes without trailing PAD (PAD is 0, which NumPy's byte strings do not keep)."""
    tokens = np.ascontiguousarray(tokens)
    return tokens.view(f"S{tokens.shape[1]}").ravel().tolist()


def read_communities(
    table: biom.Table,
    sequences: dict[str, str] | None,
    *,
    max_length: int,
    missing_features: str = ON_MISSING,
) -> Communities:
    """Read a checked feature table and its sequences as communities, and refuse bad sequences by name.

    Parameters
    ----------
    table : biom.Table
        Features x samples, as `check_table` passes it. Features without a single read are left aside.
    sequences : dict of str to str, or None
        Sequence of each feature ID. An ID that is not there and is itself nucleotides is its own sequence.
    max_length : int
        Nucleotides read of each sequence; longer ones are cut, with a warning that counts them.
    missing_features : {'error', 'ignore'}
        What to do about features without a sequence: refuse them, or leave them out and count their reads.

    Returns
    -------
    Communities
        Features that have the same token row are one ASV, their counts summed.

    Raises
    ------
    ValueError
        If a feature has no sequence and `missing_features` is 'error', if a sample has no reads once such features
        are left out, or if a sequence has a letter that is no IUPAC nucleotide.
    """
    check_choice("missing_features", missing_features, MISSING_FEATURES)
    counts = sample_counts(table)
    sample_ids, feature_ids = table.ids().astype(object), table.ids(axis="observation").astype(object)
    reads = np.asarray(counts.sum(axis=1)).ravel()
    present, left_out, texts = _features_with_sequence(counts, feature_ids, sequences, missing_features)
    reads_dropped = _reads_in(counts, left_out)
    refuse_empty_samples(reads - reads_dropped, sample_ids, " left without the features that have no sequence")

    illegal = first_illegal_letter(texts)
    if illegal is not None:
        row, position, letter = illegal
        raise ValueError(
            f"In the sequence of feature {name_ids([feature_ids[present[row]]])}, "
            f"{describe_illegal_letter(letter, position)}."
        )
    is_cut = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) > max_length
    rows = tokenize(texts, max_length)
    if is_cut.any():
        longer = f"{is_cut.sum()} of {len(texts)} features have a sequence longer than {max_length} nucleotides"
        warnings.warn(f"{longer} (max_length); only the first {max_length} are read.", stacklevel=2)

    first, place = distinct_rows(rows)
    reads_cut = _reads_in(counts, present[is_cut])
    reads_ambiguous = _reads_in(counts, present[(rows == N).any(axis=1)])
    asv_of_feature = np.full(counts.shape[1], -1, dtype=counts.indices.dtype)
    asv_of_feature[present] = place
    return Communities(
        counts=_merged(counts, asv_of_feature, len(first)),
        sample_ids=sample_ids,
        tokens=rows if len(first) == len(rows) else rows[first],
        reads_cut=reads_cut,
        reads_dropped=reads_dropped,
        reads_ambiguous=reads_ambiguous,
        n_features=table.shape[0],
        n_cut=int(is_cut.sum()),
        n_alike=len({text.upper().replace("U", "T") for text in texts}) - len(first) if is_cut.any() else 0,
        left_out=feature_ids[left_out],
        asv_of_feature=pd.Series(place, index=feature_ids[present]),
    )


def _features_with_sequence(
    counts: sp.csr_matrix, feature_ids: np.ndarray, sequences: dict[str, str] | None, missing_features: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the features with reads that have a sequence and that have none, and the sequences."""
    present = held_columns(counts)
    texts = _feature_sequences(feature_ids[present], sequences)
    missing = pd.isna(texts)
    if missing.all() or (missing.any() and missing_features == "error"):
        where = "are not among the sequences" if sequences else "no sequences were given"
        raise ValueError(
            f"{missing.sum()} of {len(texts)} features have no sequence: {name_ids(feature_ids[present[missing]])}. "
            f"Their IDs are no nucleotide sequences and {where}. "
            + how_to_find(feature_ids[present[missing]], sequences or (), "the sequences", missing.all())
        )
    return present[~missing], present[missing], texts[~missing]


def _reads_in(counts: sp.csr_matrix, columns: np.ndarray) -> np.ndarray:
    """Reads of each sample in some features, float64 `[N]`."""
    indicator = np.zeros(counts.shape[1])
    indicator[columns] = 1
    return counts @ indicator


def _merged(counts: sp.csr_matrix, asv_of_feature: np.ndarray, n_asvs: int) -> sp.csr_matrix:
    """Sum features that are one ASV: float64 `[N, F]` to float32 `[N, V]`; -1 leaves a feature out.

    Works in the memory of `counts`, which is lost: with many samples it is the largest thing there is.
    """
    columns = asv_of_feature[counts.indices]
    if (asv_of_feature < 0).any():
        counts.data[columns < 0] = 0
        np.maximum(columns, 0, out=columns)
    merged = sp.csr_matrix((counts.data, columns, counts.indptr), shape=(counts.shape[0], n_asvs), copy=False)
    merged.sum_duplicates()
    merged.eliminate_zeros()
    return sp.csr_matrix((merged.data.astype(np.float32), merged.indices, merged.indptr), shape=merged.shape)


def asv_hashes(tokens: np.ndarray) -> np.ndarray:
    """Identity of each ASV: 64 bits of the BLAKE2b hash of its tokens, whatever the matrix's width.

    Parameters
    ----------
    tokens : np.ndarray
        uint8 `[V, 1 + L]`, token rows.

    Returns
    -------
    np.ndarray
        int64 `[V]`; the same row with more or less PAD behind it has the same number.
    """
    hashes = np.empty(len(tokens), dtype=np.int64)
    # The standard library hashes one row at a time: 0.6 s for a million.
    for start in range(0, len(tokens), 2**16):
        rows = _row_bytes(tokens[start : start + 2**16])
        digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in rows)
        hashes[start : start + len(rows)] = np.frombuffer(digests, dtype="<i8")
    return hashes
