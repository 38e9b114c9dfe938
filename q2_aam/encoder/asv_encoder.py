"""Nucleotides of an ASV to its embedding."""

import torch
from torch import Tensor, nn

from q2_aam.encoder.attention import Transformer
from q2_aam.encoder.chunks import in_chunks, in_order
from q2_aam.settings import Architecture
from q2_aam.study.tokenizer import MASK, PAD, VOCABULARY


class ASVEncoder(nn.Module):
    """Transformer over START and spans of nucleotides; what START has become says what the ASV is.

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
        # Amplicons are alike in most places, and what they have in common would drown what tells them apart: it is
        # measured on a few ASVs that are always the same ones, and subtracted. A learnt vector in its place could not
        # follow the weights: each step would move all ASVs together, and with them all distances.
        self.register_buffer(
            "anchors", torch.full((architecture.anchors, 1 + architecture.max_length), PAD, dtype=torch.uint8)
        )
        self.norm = nn.LayerNorm(dim, bias=False)

    def forward(self, tokens: Tensor, max_tokens: int | None = None, learnt: Tensor | None = None) -> Tensor:
        """Encode ASVs.

        Parameters
        ----------
        tokens : Tensor
            ``[U, 1 + L]`` integers of ``q2_aam.study.tokenizer``, START first, PAD at the end.
        max_tokens : int, optional
            See :func:`q2_aam.encoder.chunks.in_chunks`.
        learnt : Tensor, optional
            ``[U]`` boolean, the ASVs, at least one, that gradients are computed through, multiplied so that on average
            they are those of all; all by default.

        Returns
        -------
        Tensor
            ``[U, D]``; zero for a row of PAD only.
        """
        # First, so that what autocast keeps of the weights has gradients.
        centre = self.centre()
        lengths = self.lengths(tokens)

        def encode(places: Tensor) -> list[tuple[Tensor, Tensor]]:
            def embed(rows: Tensor, longest: int, centre: Tensor) -> tuple[Tensor]:
                return (self.norm(self.read(tokens[places[rows], : self.width(longest)], centre)),)

            parts = in_chunks(embed, lengths[places], self, max_tokens, (centre,))
            return [(places[rows], embeddings) for rows, (embeddings,) in parts]

        if learnt is None or not torch.is_grad_enabled():
            return in_order(*zip(*encode(torch.arange(len(tokens), device=tokens.device)), strict=True))
        parts = encode(learnt.nonzero().squeeze(1))
        with torch.no_grad():
            parts += encode((~learnt).nonzero().squeeze(1))
        return multiply_gradient(in_order(*zip(*parts, strict=True)), 1 / learnt.float().mean())

    def lengths(self, tokens: Tensor) -> Tensor:
        """Positions that each row takes, START and spans: int64 ``[U]``."""
        return 1 + (((tokens != PAD).sum(1) - 1).clamp_min(0) + self.span - 1) // self.span

    def width(self, positions: int) -> int:
        """Columns of ``tokens`` that so many positions take."""
        return 1 + (positions - 1) * self.span

    def contextual(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        """START and spans in the light of the others.

        Parameters
        ----------
        tokens : Tensor
            ``[U, 1 + L]``.
        places : Tensor, optional
            ``[U, Q]``, positions (0 for START, then spans) whose vectors are returned; all by default.

        Returns
        -------
        Tensor
            ``[U, 1 + P, D]``, or ``[U, Q, D]``.
        """
        x, mask = self._embed(tokens)
        if torch.is_autocast_enabled(x.device.type):
            # The sum that the blocks add to, too: half the memory traffic.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return self.transformer(x, mask, places)

    def read(self, tokens: Tensor, centre: Tensor | float = 0.0) -> Tensor:
        """START's vector of each ASV, less a centre: ``[U, D]``; zero for a row of PAD only."""
        start = self.contextual(tokens, tokens.new_zeros(len(tokens), 1, dtype=torch.long)).squeeze(1)
        return (start - centre) * (tokens[:, :1] != PAD)

    def centre(self) -> Tensor:
        """Mean of the anchors' vectors, ``[D]``; zero in a network that has not met data yet."""
        width = max(1, int((self.anchors != PAD).sum(1).max()))
        return self.read(self.anchors[:, :width]).mean(0)

    @torch.no_grad()
    def anchor_on(self, tokens: Tensor) -> None:
        """Choose anchors among ASVs ``[U, 1 + L]``, evenly through their order; repeated where they are few."""
        chosen = tokens[torch.linspace(0, len(tokens) - 1, len(self.anchors)).round().long()]
        self.anchors.fill_(PAD)
        self.anchors[:, : chosen.shape[1]] = chosen

    def _embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of START and the spans ``[U, 1 + P, D]``, and which of them hold anything ``[U, 1 + P]``."""
        nucleotides = tokens[:, 1:]
        short = -nucleotides.shape[1] % self.span
        nucleotides = nn.functional.pad(nucleotides, (0, short), value=PAD)
        spans = nucleotides.view(len(tokens), -1, self.span)
        mask = torch.cat([tokens[:, :1] != PAD, (spans != PAD).any(2)], 1)
        # The sum of a span's vectors as a product with ones and zeros: quicker than look-ups, most of all backward.
        ones = (spans.unsqueeze(-1) == torch.arange(len(VOCABULARY), device=tokens.device)).flatten(2)
        x = ones.to(self.nucleotides.weight.dtype) @ self.nucleotides.weight
        return torch.cat([self.start.expand(len(x), 1, -1), x], 1) + self.positions[: mask.shape[1]], mask


def multiply_gradient(x: Tensor, factor: Tensor) -> Tensor:
    """The same numbers, with a gradient that is larger or smaller by a factor."""
    return x.detach() + (x - x.detach()) * factor


class NucleotideHead(nn.Module):
    """Guess masked nucleotides from the spans that they are in."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.span = architecture.nucleotides_per_token
        self.norm = nn.LayerNorm(architecture.dim, bias=False)
        self.logits = nn.Linear(architecture.dim, self.span * 4)

    def forward(self, encoder: ASVEncoder, hidden_tokens: Tensor, masked: Tensor) -> Tensor:
        """Logits of A, C, G, T.

        Parameters
        ----------
        encoder : ASVEncoder
            Reads the tokens.
        hidden_tokens : Tensor
            ``[U, 1 + L]``, MASK where a nucleotide is hidden.
        masked : Tensor
            ``[U, L]`` boolean, the nucleotides (START not counted) that were hidden.

        Returns
        -------
        Tensor
            ``[M, 4]``, one row a masked nucleotide, in the order of ``masked.nonzero()``.
        """
        rows, nucleotides = masked.nonzero(as_tuple=True)
        if not len(rows):
            return self.logits(self.norm(encoder.start.new_zeros(0, len(encoder.start)))).view(0, 4)
        spans, within = nucleotides // self.span, nucleotides % self.span
        hiding = masked.new_zeros(len(masked), -(-masked.shape[1] // self.span))
        hiding[rows, spans] = True
        # The spans with something hidden first, as many as the row with most of them has.
        places = hiding.int().argsort(dim=1, descending=True, stable=True)[:, : int(hiding.sum(1).max())]
        contextual = encoder.contextual(hidden_tokens, 1 + places)
        hidden = self.norm(contextual[rows, hiding.cumsum(1)[rows, spans] - 1])
        return self.logits(hidden).view(-1, self.span, 4)[torch.arange(len(rows), device=rows.device), within]


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
