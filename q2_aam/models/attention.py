"""Transformer blocks for rows of different lengths."""

import math

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
        rows, length, dim = x.shape
        qkv = self.project(x).view(rows, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        if x.is_cuda:
            allowed = None if mask is None else mask[:, None, None, :]
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        else:
            # Plain products beat the fused CPU kernel several times over on rows of about 30 tokens.
            scores = (query * (1 / math.sqrt(query.shape[-1]))) @ key.transpose(-1, -2)
            weights = scores.softmax(-1) if mask is None else masked_softmax(scores, mask[:, None, None, :])
            mixed = weights.to(value.dtype) @ value
        return self.merge(mixed.transpose(1, 2).reshape(rows, length, dim))


class Block(nn.Module):
    """Pre-norm transformer block. Norms carry no bias, so that zeros stay zeros."""

    def __init__(self, dim: int, heads: int, feed_forward: int, dropout: float = 0.0):
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim, bias=False)
        self.attention = Attention(dim, heads)
        self.norm_feed_forward = nn.LayerNorm(dim, bias=False)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, feed_forward * dim), nn.GELU(approximate="tanh"), nn.Linear(feed_forward * dim, dim)
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
