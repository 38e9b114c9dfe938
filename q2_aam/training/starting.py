"""A fresh network's start from the data: random weights, but distances of the right size."""

import torch
from torch.utils.data import DataLoader

from q2_aam.data.batches import Batch
from q2_aam.models.aam import AAM
from q2_aam.models.sample_encoder import lineage_distances
from q2_aam.training.losses import pairs

# What a survey's samples are typically at, where there is no phylogeny to tell.
USUAL_DISTANCE = 0.6
BATCHES = 4
STEPS = 16


@torch.no_grad()
def start_from_data(network: AAM, loader: DataLoader) -> None:
    """Centre the ASV embeddings and set how rare a lineage is, from the first batches of the training samples.

    Without it, all ASVs look alike to random weights, all samples are near distance zero, and the first epochs go
    into finding the mean distance.

    Parameters
    ----------
    network : AAM
        Changed in place.
    loader : DataLoader
        Batches of training samples, with or without ``unifrac``.
    """
    network.eval()
    batches = [batch for batch, _ in zip(loader, range(BATCHES), strict=False)]
    network.asv_encoder.centre_on([batch.tokens for batch in batches])
    bias = network.sample_encoder.membership.bias
    embeddings = [network.asv_encoder(batch.tokens)[0] for batch in batches]

    def distance(batch: Batch, embedding) -> torch.Tensor:
        sample = network.sample_encoder(embedding[batch.asv_index], batch.abundance, batch.mask)
        return pairs(lineage_distances(sample.presence))

    wanted = [pairs(batch.unifrac) for batch in batches if batch.unifrac is not None]
    wanted = float(torch.cat(wanted).mean()) if wanted and len(torch.cat(wanted)) else USUAL_DISTANCE
    begun, low, high = bias.clone(), -20.0, 20.0
    # Rarer lineages are shared by fewer samples: the mean distance falls as the bias rises.
    for _ in range(STEPS):
        middle = (low + high) / 2
        bias.copy_(begun + middle)
        found = torch.cat([distance(*pair) for pair in zip(batches, embeddings, strict=True)])
        if not len(found):
            bias.copy_(begun)
            return
        low, high = (middle, high) if found.mean() > wanted else (low, middle)
