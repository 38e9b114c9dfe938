"""Transformer blocks for rows of different lengths."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis among the allowed positions; a row with none is zero.

    Parameters
    ----------
    scores : Tensor
        Any shape ``[..., T]``.
    mask : Tensor
        Boolean, broadcastable to ``scores``; False positions get weight zero.

    Returns
    -------
    Tensor
        Weights like ``scores`` that sum to one over the allowed positions, or to zero where there is none: the
        filler is finite and the product with the mask comes last, so that no NaN arises forward or backward.
    """
    filler = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, filler).softmax(-1) * mask


# Added to the scores of padding: their weights become zero, and a row of padding only has no infinity to subtract.
SHUT = -1e4
# On a CPU, torch's softmax in bf16 and products of matrices are up to twice as fast on rows of a multiple of that.
STEP = 32


class Attend(torch.autograd.Function):
    """Attention of each row with itself, for the CPU, where torch's fused kernel is several times slower backward.

    Rows are made a multiple of ``STEP`` long. Of the forward pass, the projections and the weights are kept.
    """

    @staticmethod
    def forward(ctx, projected: Tensor, heads: int, mask: Tensor | None) -> Tensor:
        """Mix ``projected [R, T, 3 D]`` (queries, keys, values) into ``[R, T, D]``; ``mask`` is ``[R, T]`` or None."""
        rows, length, width = projected.shape
        full = -(-length // STEP) * STEP
        parts = projected.new_zeros(3, rows, heads, full, width // (3 * heads))
        parts[:, :, :, :length] = projected.view(rows, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.flatten(1, 2).unbind(0)
        query.mul_(query.shape[-1] ** -0.5)
        scores = query @ key.transpose(1, 2)
        if mask is not None:
            shut = scores.new_zeros(rows, 1, full)
            shut[:, 0, :length].masked_fill_(~mask, SHUT)
            scores.view(rows, -1, full).add_(shut)
        scores[..., length:] = SHUT
        weights = scores.softmax(-1)
        mixed = (weights @ value).view(rows, heads, full, -1)[:, :, :length].transpose(1, 2)
        ctx.save_for_backward(parts, weights)
        return mixed.reshape(rows, length, width // 3)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        parts, weights = ctx.saved_tensors
        query, key, value = parts.flatten(1, 2).unbind(0)
        _, rows, heads, full, size = parts.shape
        length = gradient.shape[1]
        mixed = gradient.new_zeros(rows, heads, full, size)
        mixed[:, :, :length] = gradient.view(rows, length, heads, size).transpose(1, 2)
        mixed = mixed.flatten(0, 1)
        scores = torch.ops.aten._softmax_backward_data(mixed @ value.transpose(1, 2), weights, -1, weights.dtype)
        changed = torch.empty_like(parts)
        to_query, to_key, to_value = changed.flatten(1, 2).unbind(0)
        torch.bmm(scores, key, out=to_query).mul_(size**-0.5)
        torch.bmm(scores.transpose(1, 2), query, out=to_key)
        torch.bmm(weights.transpose(1, 2), mixed, out=to_value)
        return changed[:, :, :, :length].permute(1, 3, 0, 2, 4).reshape(rows, length, -1), None, None


attend = torch.compiler.disable(Attend.apply)


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(dim, 3 * dim, bias=False)
        self.merge = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within each row.

        Parameters
        ----------
        x : Tensor
            ``[R, T, D]``.
        mask : Tensor, optional
            ``[R, T]`` boolean, True where there is something; None when no row is padded.

        Returns
        -------
        Tensor
            ``[R, T, D]``.
        """
        projected = self.project(x)
        if x.is_cuda:
            query, key, value = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
            allowed = None if mask is None else mask[:, None, None, :]
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed).transpose(1, 2).flatten(2)
        else:
            mixed = attend(projected, self.heads, mask)
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

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x), mask))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))


class Transformer(nn.Module):
    """A stack of blocks: ``[R, T, D]`` with an optional ``[R, T]`` mask to ``[R, T, D]``."""

    def __init__(self, layers: int, dim: int, heads: int, feed_forward: int, dropout: float = 0.0):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, feed_forward, dropout) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None and bool(mask.all()):
            mask = None
        for block in self.blocks:
            x = block(x, mask)
        return x
