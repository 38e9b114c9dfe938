"""How far samples lie from their nearest training samples, and how that compares with these among themselves."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from q2_aam.encoder.distances import predicted_unifrac
from q2_aam.heads.features import Features
from q2_aam.study.near_copies import near_copies

# Nearest training samples whose mean distance is taken: one alone may be a twin.
NEAREST = 5
# Weights are float32.
PERCENTILE_DIGITS = 4
# Digits in which shares are the same, and ASVs of which a community is its own.
SAME_DIGITS, FEWEST_ASVS = 7, 3
# Samples at a time.
ROWS = 1024


@dataclass(frozen=True)
class Neighbours:
    """Predicted UniFrac from each landmark to its nearest ones, what the same distance of a new sample is ranked by."""

    distances: np.ndarray
    """float32 ``[L]``, at least one, ascending."""
    weights: np.ndarray
    """float32 ``[L]``, add up to 1: groups count alike, as the next sample is of a new one."""

    def __post_init__(self):
        sizes, weights = np.diff(self.distances), self.weights
        fits = self.distances.ndim == 1 and len(self.distances) and weights.shape == self.distances.shape
        if not (fits and (sizes >= 0).all() and (weights >= 0).all() and np.isclose(weights.sum(), 1, atol=1e-3)):
            raise ValueError("The distances of training samples to each other do not fit their weights.")

    @classmethod
    def of(cls, landmarks: Features | None, groups: np.ndarray) -> "Neighbours | None":
        """Those of ``L`` landmarks, each among those of other groups ``[L]``, as new samples are; None without any."""
        if landmarks is None:
            return None
        own = nearest_distances(landmarks.presence, landmarks.presence, groups, groups)
        finite = np.isfinite(own)
        if not finite.any():
            return None
        own, numbers = own[finite], np.unique(groups[finite], return_inverse=True)[1]
        weights, order = 1 / np.bincount(numbers)[numbers], np.argsort(own, kind="stable")
        return cls(own[order].astype(np.float32), (weights[order] / weights.sum()).astype(np.float32))

    def columns(self, presence: np.ndarray, landmarks: Features) -> dict[str, np.ndarray]:
        """Of new samples ``[M, K]`` the distance, and its percentile among the landmarks' own: 100 is beyond all."""
        distances = nearest_distances(presence, landmarks.presence)
        below = np.append(0, np.cumsum(self.weights, dtype=np.float64))
        # Weights add up to about 1: what is beyond all is to be 100, not 99.99999.
        percentiles = np.round(100 * below / below[-1], PERCENTILE_DIGITS)
        place = np.searchsorted(self.distances, distances.astype(np.float32))
        return {"nearest_distance": distances, "nearest_percentile": percentiles[place]}

    def novelty(self, features: Features, landmarks: Features) -> dict[str, np.ndarray]:
        """These, and whether samples ``[M]`` are the very communities of landmarks, or nearly so: 1, else 0."""
        same = learnt_from(features, landmarks)
        alike = {"learnt_from": same, "near_copy": same | copied(features, landmarks)}
        columns = {name: values.astype(np.float64) for name, values in alike.items()}
        return {**self.columns(features.presence, landmarks), **columns}


def learnt_from(features: Features, landmarks: Features) -> np.ndarray:
    """Whether samples hold the same ASVs in the same shares as one of the landmarks: boolean ``[M]``.

    Of communities of fewer than ``FEWEST_ASVS`` other samples may hold the same: they are not told.
    """
    known = set(_digests(landmarks))
    richness = np.diff(features.asv_shares.indptr)
    return np.array([digest in known for digest in _digests(features)], dtype=bool) & (richness >= FEWEST_ASVS)


def copied(features: Features, landmarks: Features) -> np.ndarray:
    """Whether samples are near copies of one of the landmarks: boolean ``[M]``."""
    hashes, parts = np.union1d(features.hashes, landmarks.hashes), []
    for one in (features, landmarks):
        shares, column = one.asv_shares, np.searchsorted(hashes, one.hashes)
        shape = len(one), len(hashes)
        parts.append(sp.csr_matrix((shares.data, column[shares.indices], shares.indptr), shape, copy=True))
        parts[-1].eliminate_zeros()
    return near_copies(*parts)


def _digests(features: Features) -> list[bytes]:
    """What each sample's ASVs and shares are known again by; neither rounding nor other samples' ASVs change it."""
    shares = features.asv_shares.sorted_indices()
    parts = [slice(*ends) for ends in pairwise(shares.indptr)]
    return [
        hashlib.blake2b(
            features.hashes[shares.indices[part]].tobytes() + np.round(shares.data[part], SAME_DIGITS).tobytes(),
            digest_size=16,
        ).digest()
        for part in parts
    ]


def nearest_distances(
    presence: np.ndarray,
    others: np.ndarray,
    groups: np.ndarray | None = None,
    other_groups: np.ndarray | None = None,
) -> np.ndarray:
    """Mean predicted UniFrac to the ``NEAREST`` nearest others, float64 ``[M]``; NaN where there are none.

    Parameters
    ----------
    presence, others : np.ndarray
        ``[M, K]`` and ``[L, K]``, presence of lineages.
    groups, other_groups : np.ndarray, optional
        ``[M]`` and ``[L]``; others of the same group do not count.
    """
    found = np.full(len(presence), np.nan)
    for start in range(0, len(presence), ROWS):
        rows = slice(start, start + ROWS)
        apart = predicted_unifrac(presence[rows], others).astype(np.float64)
        if groups is not None:
            apart[groups[rows][:, None] == other_groups[None]] = np.inf
        nearest = np.sort(apart, axis=1)[:, :NEAREST]
        counts = np.isfinite(nearest).sum(1)
        sums = np.where(np.isfinite(nearest), nearest, 0).sum(1)
        found[rows] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found
