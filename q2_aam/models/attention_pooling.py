"""A row of vectors to one vector."""

import math

import torch
from torch import Tensor, nn

from q2_aam.models.attention import masked_softmax


class AttentionPooling(nn.Module):
    """Weighted mean of a row's vectors, each head with its own learnt weights.

    A row without any vector gives zeros: its weights are zero and nothing after them has a bias.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim, bias=False)
        self.score = nn.Linear(dim, heads, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.merge = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool ``x [R, T, D]`` over the True positions of ``mask [R, T]`` into ``[R, D]``."""
        rows, length, dim = x.shape
        x = self.norm(x)
        scores = self.score(x).float().transpose(1, 2) / math.sqrt(dim)
        weights = masked_softmax(scores, mask[:, None, :])
        values = self.value(x).view(rows, length, self.heads, dim // self.heads).transpose(1, 2)
        pooled = torch.einsum("rht,rhtd->rhd", weights.to(values.dtype), values)
        return self.merge(pooled.reshape(rows, dim))
