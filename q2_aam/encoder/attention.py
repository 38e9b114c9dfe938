"""Transformer blocks for rows of different lengths."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Added to the scores of padding: their weights become zero, and a row of padding only has no infinity to subtract.
SHUT = -1e4
# On a CPU, torch's softmax in bf16 and products of matrices are up to twice as fast on rows of a multiple of that.
STEP = 32


def heads_first(x: Tensor, parts: int, heads: int, step: int) -> Tensor:
    """Vectors ``[R, T, parts * D]`` as ``[parts, R * heads, T', D / heads]``, T' being T filled up to whole steps."""
    rows, length, width = x.shape
    full = -(-length // step) * step
    filled = x.new_zeros(parts, rows, heads, full, width // (parts * heads))
    filled[:, :, :, :length] = x.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4)
    return filled.flatten(1, 2)


def heads_last(x: Tensor, rows: int, length: int) -> Tensor:
    """The way back from :func:`heads_first`."""
    parts, _, full, size = x.shape
    return x.view(parts, rows, -1, full, size)[:, :, :, :length].permute(1, 3, 0, 2, 4).reshape(rows, length, -1)


class Attend(torch.autograd.Function):
    """Attention of each row with itself, for the CPU, where torch's fused kernel is several times slower backward.

    Rows are made a multiple of ``STEP`` long. Of the forward pass, the projections and the weights are kept.
    """

    @staticmethod
    def forward(ctx, projected: Tensor, queries: Tensor | None, heads: int, mask: Tensor | None) -> Tensor:
        """Mix the values of each row.

        Parameters
        ----------
        projected : Tensor
            ``[R, T, 3 D]``, queries, keys and values; ``[R, T, 2 D]``, keys and values, where ``queries`` are given.
        queries : Tensor or None
            ``[R, Q, D]``, where not every vector of the row asks.
        heads : int
            Must divide D.
        mask : Tensor or None
            ``[R, T]`` boolean.

        Returns
        -------
        Tensor
            ``[R, Q, D]``, or ``[R, T, D]``.
        """
        rows, length, _ = projected.shape
        # Queries of their own are few: one would become 32.
        step = STEP if queries is None else 1
        parts = heads_first(projected, 3 if queries is None else 2, heads, STEP)
        *query, key, value = parts.unbind(0)
        asking = length if queries is None else queries.shape[1]
        query = query[0] if queries is None else heads_first(queries, 1, heads, step)[0]
        query.mul_(query.shape[-1] ** -0.5)
        scores = query @ key.transpose(1, 2)
        full = key.shape[1]
        if mask is not None:
            shut = scores.new_zeros(rows, 1, full)
            shut[:, 0, :length].masked_fill_(~mask, SHUT)
            scores.view(rows, -1, full).add_(shut)
        scores[..., length:] = SHUT
        weights = scores.softmax(-1)
        ctx.save_for_backward(parts, query, weights)
        ctx.sizes = rows, heads, asking, length, step
        return heads_last((weights @ value).unsqueeze(0), rows, asking)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        parts, query, weights = ctx.saved_tensors
        rows, heads, asking, length, step = ctx.sizes
        key, value = parts[-2:]
        mixed = heads_first(gradient, 1, heads, step)[0]
        scores = torch.ops.aten._softmax_backward_data(mixed @ value.transpose(1, 2), weights, -1, weights.dtype)
        changed, apart = torch.empty_like(parts), len(parts) == 2
        to_query = torch.empty_like(query) if apart else changed[0]
        torch.bmm(scores, key, out=to_query).mul_(query.shape[-1] ** -0.5)
        torch.bmm(scores.transpose(1, 2), query, out=changed[-2])
        torch.bmm(weights.transpose(1, 2), mixed, out=changed[-1])
        to_queries = heads_last(to_query.unsqueeze(0), rows, asking) if apart else None
        return heads_last(changed, rows, length), to_queries, None, None


attend = torch.compiler.disable(Attend.apply)


def fused(projected: Tensor, queries: Tensor | None, heads: int, mask: Tensor | None) -> Tensor:
    """The same by torch's own kernels, for graphics cards."""
    *query, key, value = projected.unflatten(-1, (3 if queries is None else 2, heads, -1)).unbind(2)
    query = query[0] if queries is None else queries.unflatten(-1, (heads, -1))
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    allowed = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed).transpose(1, 2).flatten(2)


def at(x: Tensor, places: Tensor) -> Tensor:
    """Vectors ``[R, Q, D]`` of rows ``x [R, T, D]`` at their ``places [R, Q]``."""
    return x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(dim, 3 * dim, bias=False)
        self.merge = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None, places: Tensor | None = None) -> Tensor:
        """Attend within each row.

        Parameters
        ----------
        x : Tensor
            ``[R, T, D]``.
        mask : Tensor, optional
            ``[R, T]`` boolean, True where there is something; None when no row is padded.
        places : Tensor, optional
            ``[R, Q]``, the positions whose result is wanted; all by default.

        Returns
        -------
        Tensor
            ``[R, T, D]``, or ``[R, Q, D]``.
        """
        if places is None:
            queries, projected = None, self.project(x)
        else:
            dim = x.shape[-1]
            queries = F.linear(at(x, places), self.project.weight[:dim])
            projected = F.linear(x, self.project.weight[dim:])
        mixed = (fused if x.is_cuda else attend)(projected, queries, self.heads, mask)
        return self.merge(mixed if mask is None else mixed * mask.any(1)[:, None, None])


class Block(nn.Module):
    """Pre-norm transformer block. Norms carry no bias, so that zeros stay zeros."""

    def __init__(self, dim: int, heads: int, feed_forward: int, dropout: float = 0.0):
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim, bias=False)
        self.attention = Attention(dim, heads)
        self.norm_feed_forward = nn.LayerNorm(dim, bias=False)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, feed_forward * dim), nn.ReLU(), nn.Linear(feed_forward * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, places: Tensor | None = None) -> Tensor:
        asking = x if places is None else at(x, places)
        x = asking + self.dropout(self.attention(self.norm_attention(x), mask, places))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))


class Transformer(nn.Module):
    """A stack of blocks."""

    compiled = False
    """Whether torch compiles it."""

    def __init__(self, layers: int, dim: int, heads: int, feed_forward: int, dropout: float = 0.0):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, feed_forward, dropout) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None, places: Tensor | None = None) -> Tensor:
        """Look at the vectors of each row together; everything as in :meth:`Attention.forward`.

        The last block computes the ``places`` alone; of other positions it needs keys and values only.
        """
        if mask is not None and bool(mask.all()):
            mask = None
        for block in self.blocks[:-1]:
            x = block(x, mask)
        return self.blocks[-1](x, mask, places)
