"""Samples through a trained network, each distinct ASV of the table encoded once."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.asv_cache import asv_embeddings
from q2_aam.encoder.device import autocast
from q2_aam.encoder.sample_encoder import SampleEncoding
from q2_aam.heads.kernel import Compared, KernelHead
from q2_aam.heads.trees import JointHead
from q2_aam.study.batches import CommunityDataset, batch_loader
from q2_aam.study.communities import Communities
from q2_aam.study.tables import keep_columns


def encode_samples(network: AAM, communities: Communities, **how) -> SampleEncoding:
    """Encode samples without learning anything; the same as :func:`encode_views` of one table."""
    return encode_views(network, [communities], **how)[0]


@torch.no_grad()
def encode_views(
    network: AAM,
    views: list[Communities],
    *,
    batch_size: int = 32,
    token_limit: int = 1024,
    precision: str = "32",
    device: str = "cpu",
    asv_cache: str = "memory",
) -> list[SampleEncoding]:
    """Encode samples without learning anything, several tables of the same ASVs at once.

    Parameters
    ----------
    network : AAM
        Put in evaluation mode.
    views : list of Communities
        Tables with the same ``tokens``; all ASVs that any of them holds are held by the first.
    batch_size : int
        Samples at a time; changes nothing but time and memory.
    token_limit : int
        Most ASVs read of a sample, the most abundant.
    precision, device : str
        Resolved ones (see ``q2_aam.encoder.device``).
    asv_cache : {'memory', 'disk'}
        Where the ASVs' embeddings are kept; changes nothing but time and memory.

    Returns
    -------
    list of SampleEncoding
        ``presence`` and ``share`` ``[N, K]`` float32 on the CPU of each table; 0 for a sample without ASVs.
    """
    network.eval().to(device)
    encoded = []
    with asv_embeddings(network, views[0], cache=asv_cache, precision=precision, device=device) as look_up:
        for communities in views:
            dataset = CommunityDataset(communities, token_limit, asv_lookup=True)
            rows = np.flatnonzero(np.diff(communities.counts.indptr))
            # At once: many small results among the batches' large intermediate ones would keep those from being given
            # back.
            presence, share = (torch.zeros(len(communities), network.architecture.lineages) for _ in range(2))
            for batch in batch_loader(dataset, rows, batch_size):
                with autocast(precision, device):
                    sample = network.encode_samples(
                        look_up, batch.asv_index, batch.abundance.to(device), batch.mask.to(device)
                    )
                presence[batch.rows], share[batch.rows] = sample.presence.float().cpu(), sample.share.float().cpu()
            encoded.append(SampleEncoding(presence, share))
    network.cpu()
    return encoded


def compare_samples(
    network: AAM, communities: Communities, familiar: sp.csr_matrix, condition: np.ndarray | None = None, **how
) -> Compared:
    """What the kernel head compares of the samples of a table.

    Parameters
    ----------
    network : AAM
    communities : Communities
        ``N`` samples.
    familiar : sp.csr_matrix
        ``[N, V]``, the table's counts of those ASVs alone that the samples compared with hold, too.
    condition : np.ndarray, optional
        ``[N, C]``, conditioning columns as numbers.
    **how
        As :func:`encode_views` takes it.
    """
    views = [communities]
    if familiar.nnz < communities.counts.nnz:
        views.append(replace(communities, counts=familiar))
    whole, *others = encode_views(network, views, **how)
    return Compared.of(communities, whole, condition, *others)


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
    network: AAM,
    head: KernelHead | JointHead | None,
    communities: Communities,
    condition: np.ndarray | None = None,
    **how,
) -> np.ndarray:
    """Outputs of a fitted model for the samples of a table, float32 ``[N, O]``.

    Parameters
    ----------
    network : AAM
        With a target head, which predicts where there is no other.
    head : KernelHead or JointHead, optional
        What predicts where there is one.
    communities : Communities
        ``N`` samples.
    condition : np.ndarray, optional
        ``[N, C]``, conditioning columns as numbers.
    **how
        As :func:`encode_samples` takes it.
    """
    if head is None:
        return predict_targets(network, encode_samples(network, communities, **how), condition)
    known = np.isin(communities.hashes, head.support.hashes)
    familiar = keep_columns(communities.counts, known)
    return head.outputs(compare_samples(network, communities, familiar, condition, **how))
