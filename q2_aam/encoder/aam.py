"""The whole network: ASV encoder, sample encoder, heads."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from q2_aam.encoder.asv_encoder import ASVEncoder, NucleotideHead
from q2_aam.encoder.chunks import in_chunks, in_order, summed_in_chunks
from q2_aam.encoder.output_heads import CountHead, TargetHead
from q2_aam.encoder.sample_encoder import SampleEncoder, SampleEncoding, log_share
from q2_aam.settings import Architecture


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
    covariates : int
        Numbers that the target head reads beside the sample embedding.
    """

    def __init__(self, architecture: Architecture, outputs: int | None = None, covariates: int = 0):
        super().__init__()
        self.architecture = architecture
        self.asv_encoder = ASVEncoder(architecture)
        self.sample_encoder = SampleEncoder(architecture)
        self.nucleotide_head = NucleotideHead(architecture)
        self.count_head = CountHead(architecture)
        self.target_head = None if outputs is None else TargetHead(2 * architecture.lineages, outputs, covariates)

    def forward(
        self,
        tokens: Tensor,
        asv_index: Tensor,
        abundance: Tensor,
        mask: Tensor,
        max_tokens: int | None = None,
        learnt: Tensor | None = None,
    ) -> Encoding:
        """Encode a batch that holds each ASV once.

        Parameters
        ----------
        tokens : Tensor
            ``[U, 1 + L]`` integers, one row a distinct ASV.
        asv_index : Tensor
            ``[B, S]`` into the rows of ``tokens``.
        abundance, mask : Tensor
            ``[B, S]`` as in :class:`SampleEncoder`.
        max_tokens : int, optional
            See :func:`q2_aam.encoder.chunks.in_chunks`.
        learnt : Tensor, optional
            See :meth:`ASVEncoder.forward`.

        Returns
        -------
        Encoding
        """
        embeddings = self.asv_encoder(tokens, max_tokens, learnt)
        sample = self.encode_samples(F.embedding, asv_index, abundance, mask, max_tokens, (embeddings,))
        return Encoding(embeddings, sample)

    def encode_samples(
        self,
        look_up: Callable[..., Tensor],
        asv_index: Tensor,
        abundance: Tensor,
        mask: Tensor,
        max_tokens: int | None = None,
        inputs: Sequence[Tensor] = (),
    ) -> SampleEncoding:
        """Encode samples whose ASVs are encoded already; see :meth:`forward`.

        ``look_up`` returns the embeddings ``[B, S, D]`` of ASVs by their numbers ``[B, S]``, which may stay on the
        CPU, and tensors ``inputs``, through which gradients go.
        """

        def encode(rows: Tensor, longest: int, *inputs: Tensor) -> SampleEncoding:
            part = rows, slice(0, longest)
            embeddings = look_up(asv_index[rows.to(asv_index.device), :longest], *inputs)
            return self.sample_encoder(embeddings, abundance[part], mask[part])

        rows, encodings = zip(*in_chunks(encode, asvs_of(mask), self.sample_encoder, max_tokens, inputs), strict=True)
        return SampleEncoding(*(in_order(rows, tensors) for tensors in zip(*encodings, strict=True)))

    def guess_nucleotides(
        self,
        tokens: Tensor,
        hidden_tokens: Tensor,
        masked: Tensor,
        errors: Callable[[Tensor, Tensor], Tensor],
        max_tokens: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Guess nucleotides of ASVs ``tokens [U, 1 + L]`` that are hidden in ``hidden_tokens``.

        Parameters
        ----------
        tokens, hidden_tokens : Tensor
            ``[U, 1 + L]``, as they are and with MASK in the places of ``masked``.
        masked : Tensor
            ``[U, L]`` boolean.
        errors : callable
            Logits and truth of some of the nucleotides to the sum of their errors, a scalar.
        max_tokens : int, optional
            See :func:`q2_aam.encoder.chunks.summed_in_chunks`.

        Returns
        -------
        total : Tensor
            Sum of the errors.
        logits, truth : Tensor
            ``[M, 4]``, one row a masked nucleotide, without gradients, and the tokens ``[M]`` that are hidden; ASVs in
            no particular order.
        """
        encoder = self.asv_encoder
        lengths = encoder.lengths(tokens)

        def guess(rows: Tensor, longest: int) -> tuple[Tensor, Tensor, Tensor]:
            width = encoder.width(longest)
            hidden = masked[rows, : width - 1]
            logits, truth = self.nucleotide_head(encoder, hidden_tokens[rows, :width], hidden), tokens[rows, 1:width]
            return errors(logits, truth[hidden]), logits, truth[hidden]

        used = nn.ModuleList([encoder, self.nucleotide_head])
        total, guessed = summed_in_chunks(guess, lengths, used, max_tokens)
        return total, *(torch.cat(parts) for parts in zip(*(others for _, others in guessed), strict=True))

    def guess_abundances(
        self,
        asv_embeddings: Tensor,
        asv_index: Tensor,
        abundance: Tensor,
        mask: Tensor,
        hidden: Tensor,
        max_tokens: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Guess the abundances of ASVs that are ``hidden [B, S]``; the rest as in :meth:`encode_samples`.

        Returns
        -------
        guessed, truth : Tensor
            ``[M]`` each, as ``log_share``, samples in no particular order.
        """

        def guess(rows: Tensor, longest: int, asv_embeddings: Tensor) -> tuple[Tensor]:
            part = rows, slice(0, longest)
            embeddings = F.embedding(asv_index[part], asv_embeddings)
            contextual = self.sample_encoder.contextual(embeddings, abundance[part], mask[part], hidden[part])
            return (self.count_head(contextual[hidden[part]]),)

        used = nn.ModuleList([self.sample_encoder, self.count_head])
        rows, guessed = zip(*in_chunks(guess, asvs_of(mask), used, max_tokens, (asv_embeddings,)), strict=True)
        order = torch.cat(rows)
        return torch.cat([part for (part,) in guessed]), log_share(abundance[order][hidden[order]])


def asvs_of(mask: Tensor) -> Tensor:
    """ASVs of each sample, int64 ``[B]``, which stand first in its row."""
    return mask.sum(1)
