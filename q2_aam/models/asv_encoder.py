"""Nucleotides of an ASV to its embedding."""

import torch
from torch import Tensor, nn

from q2_aam.data.tokenizer import MASK, PAD, VOCABULARY
from q2_aam.models.attention import Transformer
from q2_aam.models.attention_pooling import AttentionPooling
from q2_aam.models.config import Architecture


class ASVEncoder(nn.Module):
    """Transformer over spans of nucleotides, pooled to one vector an ASV.

    A span's vector is the sum of its nucleotides' vectors, each nucleotide having one for every place in the span,
    so that ``N``, ``MASK`` and an incomplete last span need no words of their own; positions are learnt, since
    amplicons of one primer are aligned at their start.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        dim = architecture.dim
        self.span = architecture.nucleotides_per_token
        self.nucleotides = nn.Embedding(self.span * len(VOCABULARY), dim)
        self.start = nn.Parameter(torch.empty(dim))
        self.positions = nn.Parameter(torch.empty(architecture.max_tokens, dim))
        for parameter in (self.nucleotides.weight, self.start, self.positions):
            nn.init.normal_(parameter, std=dim**-0.5)
        self.transformer = Transformer(
            architecture.nucleotide_layers, dim, architecture.heads, architecture.feed_forward
        )
        self.pooling = AttentionPooling(dim, architecture.heads)
        # Amplicons are alike in most places, so that what they have in common would drown what tells them apart.
        self.centre = nn.Parameter(torch.zeros(dim))
        self.norm = nn.LayerNorm(dim, bias=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Encode ASVs.

        Parameters
        ----------
        tokens : Tensor
            ``[U, 1 + L]`` integers of ``q2_aam.data.tokenizer``, START first, PAD at the end.

        Returns
        -------
        embeddings : Tensor
            ``[U, D]``; zero for a row of PAD only.
        contextual : Tensor
            ``[U, 1 + P, D]``, the transformer's output for START and each of the ``P`` spans.
        """
        x, mask = self._embed(tokens)
        contextual = self.transformer(x, mask)
        # No ASV, no centre: a row of PAD only stays zero.
        pooled = self.pooling(contextual, mask) - self.centre * mask.any(1, keepdim=True)
        return self.norm(pooled), contextual

    @torch.no_grad()
    def centre_on(self, portions: list[Tensor]) -> None:
        """Put the centre where the given ASVs' pooled vectors (portions ``[U, 1 + L]``) have their mean."""
        self.centre.zero_()
        total = torch.zeros_like(self.centre, dtype=torch.float64)
        for tokens in portions:
            spans, mask = self._embed(tokens)
            total += self.pooling(self.transformer(spans, mask), mask).double().sum(0)
        self.centre.copy_(total / sum(map(len, portions)))

    def _embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of START and the spans ``[U, 1 + P, D]``, and which of them hold anything ``[U, 1 + P]``."""
        nucleotides = tokens[:, 1:].long()
        short = -nucleotides.shape[1] % self.span
        nucleotides = nn.functional.pad(nucleotides, (0, short), value=PAD)
        spans = nucleotides.view(len(tokens), -1, self.span)
        mask = torch.cat([tokens[:, :1] != PAD, (spans != PAD).any(2)], 1)
        offsets = torch.arange(self.span, device=tokens.device) * len(VOCABULARY)
        x = self.nucleotides(spans + offsets).sum(2)
        return torch.cat([self.start.expand(len(x), 1, -1), x], 1) + self.positions[: mask.shape[1]], mask


class NucleotideHead(nn.Module):
    """Guess masked nucleotides from the contextual spans, at the masked places only."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.span = architecture.nucleotides_per_token
        self.norm = nn.LayerNorm(architecture.dim, bias=False)
        self.logits = nn.Linear(architecture.dim, self.span * 4)

    def forward(self, contextual: Tensor, masked: Tensor) -> Tensor:
        """Logits of A, C, G, T.

        Parameters
        ----------
        contextual : Tensor
            ``[U, 1 + P, D]`` of the ASV encoder.
        masked : Tensor
            ``[U, L]`` boolean, the nucleotides (START not counted) that were hidden.

        Returns
        -------
        Tensor
            ``[M, 4]``, one row a masked nucleotide, in the order of ``masked.nonzero()``.
        """
        rows, places = masked.nonzero(as_tuple=True)
        hidden = self.norm(contextual[rows, 1 + places // self.span])
        return self.logits(hidden).view(-1, self.span, 4)[
            torch.arange(len(rows), device=rows.device), places % self.span
        ]


def hide_nucleotides(tokens: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Replace a random share of the nucleotides A, C, G, T by MASK.

    Parameters
    ----------
    tokens : Tensor
        ``[U, 1 + L]``.
    share : float
        Probability that a nucleotide is hidden.
    generator : torch.Generator
        On the CPU, so that a seed hides the same nucleotides on every device.

    Returns
    -------
    hidden : Tensor
        ``[U, 1 + L]``, with MASK in the chosen places.
    masked : Tensor
        ``[U, L]`` boolean, the chosen places without START's column.
    """
    nucleotides = tokens[:, 1:]
    chosen = torch.rand(nucleotides.shape, generator=generator).to(tokens.device) < share
    masked = chosen & (nucleotides >= 1) & (nucleotides <= 4)
    return torch.cat([tokens[:, :1], nucleotides.masked_fill(masked, MASK)], 1), masked
