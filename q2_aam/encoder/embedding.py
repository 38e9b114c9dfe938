"""Samples through an encoder, each distinct ASV of the table encoded once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.asv_cache import asv_embeddings, finite
from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.device import resolve_device
from q2_aam.encoder.distances import predicted_unifrac, predicted_weighted_unifrac
from q2_aam.encoder.sample_encoder import SampleEncoding
from q2_aam.settings import Embedding as Settings
from q2_aam.study.communities import Communities

# ASVs at a time.
ASVS = 2**13


@dataclass(frozen=True)
class Embedding:
    """Where an encoder places samples.

    Attributes
    ----------
    presence, share : np.ndarray
        float32 ``[N, K]``: how much of each learnt branch (lineage) a sample holds, and the share of its reads there; 0
        for a sample without ASVs.
    lineage_lengths : np.ndarray
        float32 ``[K]``, length of each lineage, which the presence is multiplied by already.
    asv_shares : sp.csr_matrix
        float32 ``[N, V]``, share of a sample's reads in each ASV.
    asv_lengths : np.ndarray
        float32 ``[V]``, length of each ASV's own branch; 0 of one that no sample holds.
    hashes : np.ndarray
        int64 ``[V]``, which ASVs these are (:func:`q2_aam.study.communities.asv_hashes`).
    """

    presence: np.ndarray
    share: np.ndarray
    lineage_lengths: np.ndarray
    asv_shares: sp.csr_matrix
    asv_lengths: np.ndarray
    hashes: np.ndarray

    @property
    def samples(self) -> np.ndarray:
        """Sample embeddings, float32 ``[N, 2 K]``: presence beside the square root of the share."""
        return SampleEncoding(torch.from_numpy(self.presence), torch.from_numpy(self.share)).embedding.numpy()

    @property
    def terminal(self) -> sp.csr_matrix:
        """Length of each ASV's own branch where a sample holds it, float32 ``[N, V]``."""
        return _with_data(self.asv_shares, self.asv_lengths[self.asv_shares.indices])

    def subset(self, rows: np.ndarray) -> "Embedding":
        """Some of the samples ``[M]``; all ASVs stay."""
        parts = self.presence[rows], self.share[rows], self.lineage_lengths, self.asv_shares[rows]
        return Embedding(*parts, self.asv_lengths, self.hashes)

    def distances(self, other: "Embedding | None" = None) -> np.ndarray:
        """Predicted UniFrac distances, float32 ``[N, M]``, 0 to 1; to the samples themselves by default."""
        other = self if other is None else other
        mine, theirs = self._side_by_side(other, "terminal")
        return predicted_unifrac(self.presence, other.presence, mine, theirs)

    def weighted_distances(self, other: "Embedding | None" = None) -> np.ndarray:
        """Predicted normalized weighted UniFrac distances, float32 ``[N, M]``; of an encoder that has learnt these."""
        other = self if other is None else other
        mine, theirs = self._side_by_side(other, "_shares_of_lengths")
        return predicted_weighted_unifrac(
            self.share * self.lineage_lengths, other.share * other.lineage_lengths, mine, theirs
        )

    @property
    def _shares_of_lengths(self) -> sp.csr_matrix:
        return _with_data(self.asv_shares, self.asv_shares.data * self.asv_lengths[self.asv_shares.indices])

    def _side_by_side(self, other: "Embedding", name: str) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """A matrix ``[N, V]`` of both, with a column for each ASV that either has."""
        if other.hashes is self.hashes:
            return getattr(self, name), getattr(other, name)
        hashes, parts = np.union1d(self.hashes, other.hashes), []
        for each in (self, other):
            matrix, columns = getattr(each, name), np.searchsorted(hashes, each.hashes)
            moved = matrix.data, columns[matrix.indices], matrix.indptr
            parts.append(sp.csr_matrix(moved, (len(each.presence), len(hashes))).sorted_indices())
        return tuple(parts)


def _with_data(matrix: sp.csr_matrix, data: np.ndarray) -> sp.csr_matrix:
    # Copies: SciPy may sort a matrix in place, and its indices with it.
    return sp.csr_matrix((data, matrix.indices.copy(), matrix.indptr.copy()), matrix.shape)


@torch.no_grad()
def embed_tables(network: AAM, tables: list[Communities], settings: Settings) -> list[Embedding]:
    """Embed samples of several tables of the same ASVs, without learning anything.

    Parameters
    ----------
    network : AAM
        Put in evaluation mode.
    tables : list of Communities
        With the same ``tokens``; all ASVs that any of them holds are held by the first.
    settings : Embedding
        ``token_limit``, ``batch_size``, ``asv_cache``, ``device``.

    Returns
    -------
    list of Embedding
        One a table.

    Raises
    ------
    ValueError
        If what the network computes is not finite.
    """
    # In float32: it is quick, and gives the same numbers on every machine.
    device = resolve_device(settings.device)
    network.eval().to(device)
    embeddings = []
    with asv_embeddings(network, tables[0], cache=settings.asv_cache, device=device) as look_up:
        for communities in tables:
            dataset = CommunityDataset(communities, settings.token_limit, asv_lookup=True)
            rows = np.flatnonzero(np.diff(communities.counts.indptr))
            # At once: many small results among the batches' large intermediate ones would keep those from being given
            # back.
            presence, share = (torch.zeros(len(communities), network.architecture.lineages) for _ in range(2))
            for batch in batch_loader(dataset, rows, settings.batch_size):
                sample = network.encode_samples(
                    look_up, batch.asv_index, batch.abundance.to(device), batch.mask.to(device)
                )
                presence[batch.rows], share[batch.rows] = sample.presence.cpu(), sample.share.cpu()
            lengths = terminal_lengths(network, communities, look_up)
            counts = communities.counts
            reads = np.repeat(np.asarray(counts.sum(1)).ravel(), np.diff(counts.indptr))
            shares = _with_data(counts, (counts.data / reads).astype(np.float32))
            lineages = network.sample_encoder.log_branch_length.exp().cpu()
            finite(presence, share, lineages, torch.from_numpy(lengths))
            parts = presence.numpy(), share.numpy(), lineages.numpy(), shares, lengths, communities.hashes
            embeddings.append(Embedding(*parts))
    network.cpu()
    return embeddings


@torch.no_grad()
def embed_asvs(network: AAM, communities: Communities, settings: Settings) -> np.ndarray:
    """Embed the ASVs ``[V]`` of a table, all of which some sample holds: float32 ``[V, D]``."""
    device = resolve_device(settings.device)
    network.eval().to(device)
    with asv_embeddings(network, communities, cache=settings.asv_cache, device=device) as look_up:
        numbers = torch.arange(len(communities.tokens)).split(ASVS)
        embeddings = torch.cat([look_up(asvs).cpu() for asvs in numbers]).numpy()
    network.cpu()
    return embeddings


def terminal_lengths(
    network: AAM, communities: Communities, look_up: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    """Length of the own branch of each ASV that a sample holds, float32 ``[V]``; 0 of others."""
    lengths, present = np.zeros(len(communities.tokens), dtype=np.float32), communities.present_asvs()
    for start in range(0, len(present), ASVS):
        asvs = present[start : start + ASVS]
        lengths[asvs] = network.sample_encoder.terminal_lengths(look_up(torch.from_numpy(asvs))).cpu().numpy()
    return lengths
