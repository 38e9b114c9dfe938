"""The whole network: ASV encoder, sample encoder, heads."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from q2_aam.models.asv_encoder import ASVEncoder, NucleotideHead
from q2_aam.models.config import Architecture
from q2_aam.models.heads import CountHead, TargetHead
from q2_aam.models.sample_encoder import SampleEncoder, SampleEncoding


class Encoding(NamedTuple):
    """What the network says of a batch."""

    asv_embeddings: Tensor
    """``[U, D]``, one row a distinct ASV."""
    sample: SampleEncoding


class AAM(nn.Module):
    """Attention All Microbes.

    Parameters
    ----------
    architecture : Architecture
        Sizes.
    outputs : int, optional
        Outputs of the target head; None for an encoder, which has no target.
    conditions : int
        Numbers that the target head is given beside the sample embedding.
    """

    def __init__(self, architecture: Architecture, outputs: int | None = None, conditions: int = 0):
        super().__init__()
        self.architecture = architecture
        self.asv_encoder = ASVEncoder(architecture)
        self.sample_encoder = SampleEncoder(architecture)
        self.nucleotide_head = NucleotideHead(architecture)
        self.count_head = CountHead(architecture)
        self.target_head = None if outputs is None else TargetHead(2 * architecture.lineages, outputs, conditions)

    def forward(self, tokens: Tensor, asv_index: Tensor, abundance: Tensor, mask: Tensor) -> Encoding:
        """Encode a batch that holds each ASV once.

        Parameters
        ----------
        tokens : Tensor
            ``[U, 1 + L]`` integers, one row a distinct ASV.
        asv_index : Tensor
            ``[B, S]`` into the rows of ``tokens``.
        abundance, mask : Tensor
            ``[B, S]`` as in :class:`SampleEncoder`.

        Returns
        -------
        Encoding
        """
        embeddings, _ = self.asv_encoder(tokens)
        return Encoding(embeddings, self.sample_encoder(F.embedding(asv_index, embeddings), abundance, mask))

    @torch.no_grad()
    def encode_asvs(self, tokens: Tensor, max_tokens: int = 2**17) -> Tensor:
        """Embed the ASVs of a table, ``[V, 1 + L]`` to ``[V, D]``, about ``max_tokens`` nucleotides at a time."""
        rows = max(1, max_tokens // tokens.shape[1])
        device = self.asv_encoder.anchors.device
        centre = self.asv_encoder.centre()
        return torch.cat([self.asv_encoder(part.to(device), centre)[0] for part in tokens.split(rows)])
