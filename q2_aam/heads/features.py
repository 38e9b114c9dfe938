"""What heads read of samples, and the distances between samples that a kernel compares them by."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from q2_aam.encoder.distances import predicted_unifrac
from q2_aam.heads.protocol import Folds
from q2_aam.study.communities import Communities
from q2_aam.study.tables import held_columns, keep_columns

# A sample with as many known ASVs as this share of the landmarks have at most is judged by those alone.
POOREST = 0.25
# Shares are cut there before the root, as the network cuts them (SampleEncoding.embedding).
MIN_SHARE = np.float32(1e-12)


@dataclass(frozen=True)
class Features:
    """What heads read of ``N`` samples: lineages that the encoder computes, ASVs with their shares, covariates."""

    presence: np.ndarray
    """float32 ``[N, K]``, how much of each lineage a sample holds."""
    share: np.ndarray | None
    """float32 ``[N, K]``, share of the sample's reads in each lineage; None of landmarks, of which nothing reads it."""
    asv_shares: sp.csr_matrix
    """float64 ``[N, V]``, share of the sample's reads in each ASV."""
    hashes: np.ndarray
    """int64 ``[V]``, sorted and distinct, hash of each ASV (:func:`q2_aam.study.communities.asv_hashes`)."""
    covariates: np.ndarray | None = None
    """float32 ``[N, C]``, metadata columns as numbers."""
    known_presence: np.ndarray | None = None
    """float32 ``[N, K]``, as ``presence``, of known ASVs alone, which the landmarks hold, too; None where that is all
    of them."""
    known_share: np.ndarray | None = None
    """float32 ``[N, K]``, as ``share``, of known ASVs alone; None where that is all of them."""

    def __len__(self) -> int:
        return len(self.presence)

    @property
    def embedding(self) -> np.ndarray:
        """Sample embedding, float32 ``[N, 2 K]``: presence beside the square root of the share."""
        return _embedding(self.presence, self.share)

    @property
    def known_embedding(self) -> np.ndarray | None:
        """As ``embedding``, of known ASVs alone: float32 ``[N, 2 K]``; None where that is all of them."""
        return None if self.known_presence is None else _embedding(self.known_presence, self.known_share)

    def covariate_columns(self, n: int) -> np.ndarray:
        """Covariates as a matrix ``[N, n]``, without columns where there are none.

        Raises
        ------
        ValueError
            If there are not ``n`` of them.
        """
        columns = np.zeros((len(self), 0), dtype=np.float32) if self.covariates is None else self.covariates
        if columns.shape[1] != n:
            raise ValueError(
                f"The head was fitted with {n} covariates (numbers a sample), but these samples have "
                f"{columns.shape[1]}. Predict with the covariates that the model was fitted with."
            )
        return columns

    def subset(self, rows: np.ndarray) -> "Features":
        """Some of the samples, in the same columns."""
        further = (self.covariates, self.known_presence, self.known_share)
        further = (None if part is None else part[rows] for part in further)
        share = None if self.share is None else self.share[rows]
        return Features(self.presence[rows], share, self.asv_shares[rows], self.hashes, *further)

    def without_known(self) -> "Features":
        """The same samples read with all of their ASVs, as those are that a head is fitted to."""
        return Features(self.presence, self.share, self.asv_shares, self.hashes, self.covariates)

    def as_landmarks(self) -> "Features":
        """The same samples to be compared with: ASVs that no sample holds are left out, all others are known."""
        held = held_columns(self.asv_shares)
        return Features(self.presence, None, self.asv_shares[:, held], self.hashes[held], self.covariates)

    @classmethod
    def of(cls, communities: Communities, encoding, covariates: np.ndarray | None = None, known=None) -> "Features":
        """Features of a table's samples.

        Parameters
        ----------
        communities : Communities
            ``N`` samples.
        encoding
            What the encoder computes of them: arrays ``presence`` and ``share``, float32 ``[N, K]``.
        covariates : np.ndarray, optional
            float32 ``[N, C]``.
        known
            As ``encoding``, of the known ASVs alone; left out where that is all of them.
        """
        hashes, column = np.unique(communities.hashes, return_inverse=True)
        counts = communities.counts.tocsr().astype(np.float64)
        reads = np.asarray(counts.sum(1)).ravel()
        shares = sp.diags(1 / reads) @ counts
        sorted_shares = sp.csr_matrix((shares.data, column[shares.indices], shares.indptr), (len(reads), len(hashes)))
        further = (None, None) if known is None else (known.presence, known.share)
        return cls(encoding.presence, encoding.share, sorted_shares, hashes, covariates, *further)


def _embedding(presence: np.ndarray, share: np.ndarray) -> np.ndarray:
    root = np.where(share > 0, np.sqrt(np.maximum(share, MIN_SHARE)), np.float32(0))
    return np.concatenate([presence, root], axis=1)


def known_to_others(communities: Communities, folds: Folds) -> sp.csr_matrix:
    """Counts ``[N, V]`` of known ASVs alone: those that the landmarks hold which a sample's fold is compared with."""
    _, sequence = np.unique(communities.hashes, return_inverse=True)
    counts, rows = communities.counts.tocsr(), np.arange(len(communities))
    order, parts = [], []
    for train, test in folds.splits:
        held = sequence[held_columns(counts[np.intersect1d(train, folds.landmarks)])]
        order.append(test)
        parts.append(keep_columns(counts[test], np.isin(sequence, held)))
    order.append(np.setdiff1d(rows, np.concatenate(order)))
    parts.append(counts[order[-1]])
    return sp.vstack(parts).tocsr()[np.argsort(np.concatenate(order))]


def poor_richness(landmarks: Features, asvs: np.ndarray | None = None) -> float:
    """ASVs (of these hashes, or of all) that the poorest quarter of the landmarks hold at most."""
    richness = np.diff(landmarks.asv_shares.indptr) if asvs is None else known_richness(landmarks, asvs)
    return float(np.quantile(richness, POOREST))


def known_richness(features: Features, asvs: np.ndarray) -> np.ndarray:
    """How many of these ASVs (int64 hashes) each sample holds, int ``[N]``."""
    return np.diff(features.asv_shares[:, np.isin(features.hashes, asvs)].tocsr().indptr)


def known_weight(features: Features, known_asvs: np.ndarray, richness: float) -> np.ndarray:
    """How far known ASVs speak for each sample, ``[N]``: 0 where there are none, 1 where there are ``richness``."""
    return np.minimum(1, known_richness(features, known_asvs) / max(richness, 1))


# Each is a squared distance between samples ``[M, N]``, 0 for alike ones.


def squared_unifrac(features: Features, landmarks: Features) -> np.ndarray:
    """Square of the predicted UniFrac distances: of known ASVs unless they are few, else of all.

    New ASVs make a sample look richer than the landmarks, whose own rare ASVs may have been left out of the table; so
    they are read in proportion as the known ones are too few to speak for the sample.
    """
    whole = predicted_unifrac(features.presence, landmarks.presence).astype(np.float64) ** 2
    if features.known_presence is None:
        return whole
    weight = known_weight(features, landmarks.hashes, poor_richness(landmarks))[:, None]
    known = predicted_unifrac(features.known_presence, landmarks.presence).astype(np.float64) ** 2
    return weight * known + (1 - weight) * whole


def squared_jaccard(features: Features, landmarks: Features) -> np.ndarray:
    """Square of the share of ASVs that only one of two samples holds, among those that either holds.

    ASVs that no landmark holds are not counted: they would make a sample with many new ones unlike all.
    """
    mine, theirs, _ = _known_shares(features, landmarks)
    shared = ((mine > 0).astype(np.float64) @ (theirs > 0).astype(np.float64).T).toarray()
    either = np.diff(mine.indptr)[:, None] + np.diff(landmarks.asv_shares.indptr)[None] - shared
    return (1 - shared / np.maximum(either, 1)) ** 2


def squared_hellinger(features: Features, landmarks: Features) -> np.ndarray:
    """Squared Hellinger distance of the shares of the reads in ASVs that the landmarks hold, 0 to 2."""
    mine, theirs, _ = _known_shares(features, landmarks)
    return np.maximum(2 - 2 * (_sums_of_1(mine).sqrt() @ theirs.sqrt().T).toarray(), 0)


DISTANCES = {"unifrac": squared_unifrac, "jaccard": squared_jaccard, "hellinger": squared_hellinger}


def square_root_abundances(features: Features, landmarks: Features, asvs: np.ndarray) -> sp.csr_matrix:
    """Square roots of the shares of the reads in known ASVs, of some of these ASVs alone: float32 ``[M, W]``.

    Parameters
    ----------
    features : Features
        ``M`` samples.
    landmarks : Features
        Samples that hold all of the ASVs named, and maybe more.
    asvs : np.ndarray
        int64 ``[W]``, sorted hashes.
    """
    mine, _, hashes = _known_shares(features, landmarks)
    _, column, place = np.intersect1d(hashes, asvs, assume_unique=True, return_indices=True)
    part = _sums_of_1(mine)[:, column].tocsr()
    # Columns of those that none of the samples holds are empty.
    roots = np.sqrt(part.data), place[part.indices], part.indptr
    return sp.csr_matrix(roots, (len(features), len(asvs)), np.float32)


def _sums_of_1(shares: sp.csr_matrix) -> sp.csr_matrix:
    """The same, such that those of a sample add up to 1; nothing where there is none."""
    reads = np.asarray(shares.sum(1)).ravel()
    return (sp.diags(1 / np.where(reads > 0, reads, 1)) @ shares).tocsr()


def _known_shares(one: Features, other: Features) -> tuple[sp.csr_matrix, sp.csr_matrix, np.ndarray]:
    """Shares of both in the ASVs that stand in both tables, and the hashes of these."""
    if one.hashes is other.hashes:
        return one.asv_shares, other.asv_shares, one.hashes
    hashes, mine, theirs = np.intersect1d(one.hashes, other.hashes, assume_unique=True, return_indices=True)
    return one.asv_shares[:, mine].tocsr(), other.asv_shares[:, theirs].tocsr(), hashes
