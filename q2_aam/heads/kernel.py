"""Head on distances to the samples it was fitted to: learnt UniFrac, shared ASVs, shared reads."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from q2_aam.encoder.sample_encoder import SampleEncoding, lineage_distances
from q2_aam.study.communities import Communities
from q2_aam.study.tables import held_columns

# Samples at a time: several matrices of distances to all others are held at once.
ROWS = 1024
# A sample with as many familiar ASVs as this share of the samples compared with have at most is judged by those alone.
POOREST = 0.25


@dataclass(frozen=True)
class Compared:
    """What is compared of samples: the encoder's lineages, and which ASVs hold which share of the reads."""

    presence: Tensor
    """``[N, K]`` float32, see :class:`q2_aam.encoder.sample_encoder.SampleEncoding`."""
    shares: sp.csr_matrix
    """``[N, V]`` float64, share of the sample's reads in each ASV."""
    hashes: np.ndarray
    """int64 ``[V]``, sorted and distinct, hash of each ASV (:func:`q2_aam.study.communities.asv_hashes`)."""
    condition: np.ndarray | None = None
    """``[N, C]`` conditioning columns as numbers."""
    familiar: Tensor | None = None
    """``[N, K]`` float32, as ``presence``, of the familiar ASVs alone, which the samples compared with hold,
    too; None where that is all of them."""
    embedding: Tensor | None = None
    """``[N, 2 K]`` float32, sample embedding, which a forest reads; None where none does."""
    familiar_embedding: Tensor | None = None
    """``[N, 2 K]`` float32, as ``embedding``, of the familiar ASVs alone; None where that is all of them."""

    def __len__(self) -> int:
        return len(self.presence)

    def subset(self, rows: np.ndarray) -> "Compared":
        """Some of the samples, in the same columns."""
        further = (self.condition, self.familiar, self.embedding, self.familiar_embedding)
        further = (None if part is None else part[rows] for part in further)
        return Compared(self.presence[rows], self.shares[rows], self.hashes, *further)

    def as_support(self) -> "Compared":
        """The same to be compared with: all ASVs are familiar, and those that no sample holds are forgotten."""
        held = held_columns(self.shares)
        return Compared(self.presence, self.shares[:, held], self.hashes[held], self.condition)

    @classmethod
    def of(
        cls,
        communities: Communities,
        encoding: SampleEncoding,
        condition: np.ndarray | None = None,
        familiar: SampleEncoding | None = None,
    ) -> "Compared":
        """Samples of a table, with what the encoder found in all and in familiar ASVs."""
        hashes, column = np.unique(communities.hashes, return_inverse=True)
        counts = communities.counts.tocsr().astype(np.float64)
        sizes = np.asarray(counts.sum(1)).ravel()
        shares = sp.diags(1 / sizes) @ counts
        moved = sp.csr_matrix((shares.data, column[shares.indices], shares.indptr), (len(sizes), len(hashes)))
        known = (None, None) if familiar is None else (familiar.presence, familiar.embedding)
        return cls(encoding.presence, moved, hashes, condition, known[0], encoding.embedding, known[1])


# Each is a squared distance between samples ``[M, N]``, 0 for alike ones.


def squared_unifrac(one: Compared, other: Compared) -> np.ndarray:
    """Square of the UniFrac distances that the encoder predicts: of familiar ASVs unless they are few, else of all.

    New ASVs make a sample look richer than those that were fitted to, whose own rare ASVs may have been left out of the
    table; so they are read in proportion as the familiar ones are too few to speak for the sample.
    """
    whole = lineage_distances(one.presence, other.presence).double().numpy() ** 2
    if one.familiar is None:
        return whole
    weight = familiarity(one, other)[:, None]
    return weight * lineage_distances(one.familiar, other.presence).double().numpy() ** 2 + (1 - weight) * whole


def familiarity(one: Compared, other: Compared) -> np.ndarray:
    """How far familiar ASVs speak for each sample, ``[M]``: 0 where there are none, 1 where they are many enough.

    They are where there are as many of them as the poorest quarter of the samples compared with have ASVs at most.
    """
    mine, _, _ = _known(one, other)
    enough = np.quantile(np.diff(other.shares.indptr), POOREST)
    return np.minimum(1, np.diff(mine.indptr) / max(enough, 1))


def squared_jaccard(one: Compared, other: Compared) -> np.ndarray:
    """Square of the share of ASVs that only one of two samples holds, among those that either holds.

    ASVs that none of the other samples holds are not counted: they would make a sample with many new ones unlike all.
    """
    mine, theirs, _ = _known(one, other)
    shared = ((mine > 0).astype(np.float64) @ (theirs > 0).astype(np.float64).T).toarray()
    either = np.diff(mine.indptr)[:, None] + np.diff(other.shares.indptr)[None] - shared
    return (1 - shared / np.maximum(either, 1)) ** 2


def squared_hellinger(one: Compared, other: Compared) -> np.ndarray:
    """Squared Hellinger distance of the shares of the reads in ASVs that the other samples hold, 0 to 2."""
    mine, theirs, _ = _known(one, other)
    return np.maximum(2 - 2 * (_relative(mine).sqrt() @ theirs.sqrt().T).toarray(), 0)


def square_root_abundances(one: Compared, other: Compared, asvs: np.ndarray) -> sp.csr_matrix:
    """Square roots of the same shares, of some of these ASVs alone: float32 ``[M, W]``.

    Parameters
    ----------
    one : Compared
        ``M`` samples.
    other : Compared
        Samples that hold all of the ASVs asked for, and maybe more.
    asvs : np.ndarray
        int64 ``[W]``, sorted hashes.
    """
    mine, _, hashes = _known(one, other)
    _, column, place = np.intersect1d(hashes, asvs, assume_unique=True, return_indices=True)
    part = _relative(mine)[:, column].tocsr()
    # Columns of those that none of the samples holds are empty.
    return sp.csr_matrix((np.sqrt(part.data), place[part.indices], part.indptr), (len(one), len(asvs)), np.float32)


def trust_in_abundances(one: Compared, other: Compared, asvs: np.ndarray) -> np.ndarray:
    """How far abundances of these ASVs speak for each sample, 0 to 1 ``[M]``.

    Fully where a sample holds as many of them as the poorest quarter of the other samples do at most, or where it holds
    nothing else.
    """
    mine, theirs = (np.diff(each.shares[:, np.isin(each.hashes, asvs)].tocsr().indptr) for each in (one, other))
    enough = np.minimum(np.quantile(theirs, POOREST), np.diff(one.shares.indptr))
    return np.minimum(1, mine / np.maximum(enough, 1))


def _relative(shares: sp.csr_matrix) -> sp.csr_matrix:
    """The same, such that those of a sample add up to 1; nothing where there is none."""
    reads = np.asarray(shares.sum(1)).ravel()
    return (sp.diags(1 / np.where(reads > 0, reads, 1)) @ shares).tocsr()


def _known(one: Compared, other: Compared) -> tuple[sp.csr_matrix, sp.csr_matrix, np.ndarray]:
    """Shares of both in the ASVs that stand in both tables, and the hashes of these."""
    if one.hashes is other.hashes:
        return one.shares, other.shares, one.hashes
    hashes, mine, theirs = np.intersect1d(one.hashes, other.hashes, assume_unique=True, return_indices=True)
    return one.shares[:, mine].tocsr(), other.shares[:, theirs].tocsr(), hashes


DISTANCES = {"unifrac": squared_unifrac, "jaccard": squared_jaccard, "hellinger": squared_hellinger}


@dataclass(frozen=True)
class KernelHead:
    """A Gaussian kernel on three kinds of distance to samples with known targets, and a weight for each of them.

    ``exp(-sharpness * mean over the kinds of (squared distance / its typical size)) + loudness^2 * c c'``: where all
    ASVs are new, lineages still tell the samples apart; where communities are alike, single ASVs and their abundances
    do. Conditioning columns ``c`` enter in proportion, as in the linear head.
    """

    support: Compared
    """The ``N`` samples compared with."""
    typical: dict[str, float]
    """Median squared distance of each kind between the samples that were fitted to."""
    sharpness: float
    loudness: float
    """0 without conditioning columns."""
    weight: np.ndarray
    """``[N, O]``"""
    bias: np.ndarray
    """``[O]``"""

    def outputs(self, samples: Compared) -> np.ndarray:
        """Target in the transform's units, or logits: float32 ``[M, O]``."""
        alike = similarity(scaled_distances(samples, self.support, self.typical), self.sharpness)
        alike = alike + alike_condition(samples, self.support, self.loudness)
        return (alike @ self.weight + self.bias).astype(np.float32)

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything, as it is kept in ``best_model.pt``."""
        shares = self.support.shares
        parts = {
            "presence": self.support.presence,
            "indptr": shares.indptr.astype(np.int64),
            "indices": shares.indices.astype(np.int64),
            "shares": shares.data,
            "hashes": self.support.hashes,
            "typical": np.array([self.typical[kind] for kind in DISTANCES]),
            "sharpness": np.array(self.sharpness),
            "loudness": np.array(self.loudness),
            "weight": self.weight,
            "bias": self.bias,
        }
        if self.support.condition is not None:
            parts["condition"] = self.support.condition
        return {name: torch.as_tensor(part) for name, part in parts.items()}

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor]) -> "KernelHead":
        """What :meth:`to_tensors` gave.

        Raises
        ------
        ValueError, KeyError
            If parts are missing or do not fit each other.
        """
        values = {name: part.numpy() for name, part in parts.items() if name != "presence"}
        presence, hashes = parts["presence"], values["hashes"]
        shares = sp.csr_matrix((values["shares"], values["indices"], values["indptr"]), (len(presence), len(hashes)))
        shares.check_format(full_check=True)
        if values["weight"].shape != (len(presence), len(values["bias"])):
            raise ValueError("A kernel head needs a row of weights for each of its samples.")
        support = Compared(presence.float(), shares, hashes, values.get("condition"))
        typical = dict(zip(DISTANCES, values["typical"].tolist(), strict=True))
        sharpness, loudness = float(values["sharpness"]), float(values["loudness"])
        return cls(support, typical, sharpness, loudness, values["weight"], values["bias"])


def typical_distances(samples: Compared) -> dict[str, float]:
    """Median squared distance of each kind between different samples; 1 where most are alike."""
    pairs = np.triu_indices(len(samples), 1)
    medians = {kind: float(np.median(squared(samples, samples)[pairs])) for kind, squared in DISTANCES.items()}
    return {kind: median or 1.0 for kind, median in medians.items()}


def scaled_distances(one: Compared, other: Compared, typical: dict[str, float]) -> np.ndarray:
    """Mean over the kinds of squared distance over its typical size, float32 ``[M, N]``; 1 is typical."""
    scaled = np.empty((len(one), len(other)), dtype=np.float32)
    for start in range(0, len(one), ROWS):
        rows = np.arange(start, min(start + ROWS, len(one)))
        some = one.subset(rows)
        scaled[rows] = sum(DISTANCES[kind](some, other) / size for kind, size in typical.items()) / len(typical)
    return scaled


def similarity(scaled: np.ndarray, sharpness: float) -> np.ndarray:
    """The Gaussian part of the kernel: 1 for alike samples, towards 0 for far ones."""
    return np.exp(-sharpness * scaled.astype(np.float64))


def alike_condition(one: Compared, other: Compared, loudness: float) -> np.ndarray | float:
    """The part of the conditioning columns, 0 where there are none."""
    return 0.0 if one.condition is None or not loudness else loudness**2 * one.condition @ other.condition.T
