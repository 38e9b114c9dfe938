"""Samples through an encoder, each distinct ASV of the table encoded once."""

from dataclasses import dataclass

import numpy as np
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.asv_cache import asv_embeddings
from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.device import resolve_device
from q2_aam.encoder.sample_encoder import SampleEncoding, lineage_distances
from q2_aam.settings import Embedding as Settings
from q2_aam.study.communities import Communities


@dataclass(frozen=True)
class Embedding:
    """Where an encoder places samples.

    Attributes
    ----------
    presence, share : np.ndarray
        float32 ``[N, K]``: how much of each learnt branch (lineage) a sample holds, and the share of its reads there; 0
        for a sample without ASVs.
    """

    presence: np.ndarray
    share: np.ndarray

    @property
    def samples(self) -> np.ndarray:
        """Sample embeddings, float32 ``[N, 2 K]``: presence beside the square root of the share."""
        return SampleEncoding(torch.from_numpy(self.presence), torch.from_numpy(self.share)).embedding.numpy()

    def distances(self, other: "Embedding | None" = None) -> np.ndarray:
        """Predicted UniFrac distances, float32 ``[N, M]``, 0 to 1; to the samples themselves by default."""
        others = None if other is None else torch.from_numpy(other.presence)
        return lineage_distances(torch.from_numpy(self.presence), others).numpy()


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
            embeddings.append(Embedding(presence.numpy(), share.numpy()))
    network.cpu()
    return embeddings
