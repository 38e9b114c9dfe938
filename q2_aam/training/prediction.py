"""Samples through a trained network, each distinct ASV of the table encoded once."""

import numpy as np
import torch

from q2_aam.data.batches import CommunityDataset, batch_loader
from q2_aam.data.communities import Communities
from q2_aam.models.aam import AAM
from q2_aam.models.kernel_head import Compared, KernelHead
from q2_aam.models.sample_encoder import SampleEncoding
from q2_aam.training.asv_cache import asv_embeddings
from q2_aam.training.device import autocast


@torch.no_grad()
def encode_samples(
    network: AAM,
    communities: Communities,
    *,
    batch_size: int = 32,
    token_limit: int = 1024,
    precision: str = "32",
    device: str = "cpu",
    asv_cache: str = "memory",
) -> SampleEncoding:
    """Encode samples without learning anything.

    Parameters
    ----------
    network : AAM
        Put in evaluation mode.
    communities : Communities
        ``N`` samples.
    batch_size : int
        Samples at a time; changes nothing but time and memory.
    token_limit : int
        Most ASVs read of a sample, the most abundant.
    precision, device : str
        Resolved ones (see ``q2_aam.training.device``).
    asv_cache : {'memory', 'disk'}
        Where the ASVs' embeddings are kept; changes nothing but time and memory.

    Returns
    -------
    SampleEncoding
        ``presence`` and ``share`` ``[N, K]`` float32 on the CPU.
    """
    network.eval().to(device)
    dataset = CommunityDataset(communities, token_limit, asv_lookup=True)
    # At once: many small results among the batches' large intermediate ones would keep those from being given back.
    presence, share = (torch.empty(len(communities), network.architecture.lineages) for _ in range(2))
    with asv_embeddings(network, communities, cache=asv_cache, precision=precision, device=device) as look_up:
        for batch in batch_loader(dataset, np.arange(len(communities)), batch_size):
            with autocast(precision, device):
                sample = network.encode_samples(
                    look_up, batch.asv_index, batch.abundance.to(device), batch.mask.to(device)
                )
            presence[batch.rows], share[batch.rows] = sample.presence.float().cpu(), sample.share.float().cpu()
    network.cpu()
    return SampleEncoding(presence, share)


@torch.no_grad()
def predict_targets(network: AAM, encoding: SampleEncoding, condition: np.ndarray | None = None) -> np.ndarray:
    """Outputs of the linear head, in the transform's units or logits: float32 ``[N, O]``.

    Parameters
    ----------
    network : AAM
    encoding : SampleEncoding
        ``N`` samples.
    condition : np.ndarray, optional
        Float32 ``[N, C]``, conditioning columns as numbers.
    """
    condition = None if condition is None else torch.from_numpy(condition)
    return network.target_head(encoding.embedding, condition).numpy()


def predict_samples(
    network: AAM, kernel: KernelHead | None, communities: Communities, condition: np.ndarray | None = None, **how
) -> np.ndarray:
    """Outputs of a fitted model for the samples of a table, float32 ``[N, O]``.

    Parameters
    ----------
    network : AAM
        With a target head, which predicts where there is no kernel head.
    kernel : KernelHead or None
        What predicts where there is one.
    communities : Communities
        ``N`` samples.
    condition : np.ndarray, optional
        ``[N, C]``, conditioning columns as numbers.
    **how
        As :func:`encode_samples` takes it.
    """
    encoding = encode_samples(network, communities, **how)
    if kernel is None:
        return predict_targets(network, encoding, condition)
    return kernel.outputs(Compared.of(communities, encoding.presence, condition))
