"""Samples through an encoder, each distinct ASV of the table encoded once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.asv_cache import asv_embeddings
from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.device import resolve_device
from q2_aam.encoder.distances import predicted_unifrac
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
    terminal : sp.csr_matrix
        float32 ``[N, V]``, length of each ASV's own branch where a sample holds it.
    hashes : np.ndarray
        int64 ``[V]``, which ASVs these are (:func:`q2_aam.study.communities.asv_hashes`).
    """

    presence: np.ndarray
    share: np.ndarray
    terminal: sp.csr_matrix
    hashes: np.ndarray

    @property
    def samples(self) -> np.ndarray:
        """Sample embeddings, float32 ``[N, 2 K]``: presence beside the square root of the share."""
        return SampleEncoding(torch.from_numpy(self.presence), torch.from_numpy(self.share)).embedding.numpy()

    def distances(self, other: "Embedding | None" = None) -> np.ndarray:
        """Predicted UniFrac distances, float32 ``[N, M]``, 0 to 1; to the samples themselves by default."""
        other = self if other is None else other
        mine, theirs = self.terminal, other.terminal
        if other is not self:
            hashes = np.union1d(self.hashes, other.hashes)
            mine, theirs = self._terminal_of(hashes), other._terminal_of(hashes)
        return predicted_unifrac(self.presence, other.presence, mine, theirs)

    def _terminal_of(self, hashes: np.ndarray) -> sp.csr_matrix:
        """``terminal`` with a column for each of these ASVs (sorted hashes), of which it has all."""
        columns = np.searchsorted(hashes, self.hashes)[self.terminal.indices]
        parts = self.terminal.data, columns, self.terminal.indptr
        return sp.csr_matrix(parts, (len(self.presence), len(hashes))).sorted_indices()


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
            terminal = communities.counts.copy()
            terminal.data = lengths[terminal.indices]
            embeddings.append(Embedding(presence.numpy(), share.numpy(), terminal, communities.hashes))
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
