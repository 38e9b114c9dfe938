"""Transformer blocks for rows of different lengths."""

from torch import Tensor, nn
from torch.nn import functional as F

# Added to the scores of padding: their weights become zero, and a row of padding only has no infinity to subtract.
PADDING_SCORE = -1e4
# On a CPU products and torch's softmax in bf16 take up to twice as long on rows of other lengths.
MULTIPLE = 32


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of each row with itself, by its formula, for the CPU.

    With torch's fused kernel a training step takes 1.3 times as long there
    (docs/dev/decisions/0201-plain-attention-and-chunks.md).

    Parameters
    ----------
    query, key, value : Tensor
        ``[R, H, Q, D / H]``, ``[R, H, T, D / H]`` and ``[R, H, T, D / H]``.
    mask : Tensor or None
        ``[R, T]`` boolean, True where there is something.

    Returns
    -------
    Tensor
        ``[R, H, Q, D / H]``.
    """
    tokens = key.shape[2]
    key, value = filled(key), filled(value)
    # A few queries would become many.
    asking, query = query.shape[2], query if query.shape[2] < tokens else filled(query)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None or key.shape[2] > tokens:
        padding = scores.new_full((len(scores), key.shape[2]), PADDING_SCORE)
        padding[:, :tokens] = 0 if mask is None else ~mask * PADDING_SCORE
        # In its place: these are the largest tensors of all.
        scores += padding[:, None, None, :]
    return (scores.softmax(-1) @ value)[:, :, :asking]


def filled(part: Tensor) -> Tensor:
    """Zeros behind the tokens of rows ``[R, H, T, D / H]``, up to a multiple of ``MULTIPLE``."""
    return F.pad(part, (0, 0, 0, -part.shape[2] % MULTIPLE))


def fused_attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The same by torch's own kernels, for graphics cards."""
    allowed = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)


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
            ``[R, Q]``, the positions whose result is returned; all by default.

        Returns
        -------
        Tensor
            ``[R, T, D]``, or ``[R, Q, D]``.
        """
        if places is None:
            query, key, value = self.project(x).chunk(3, -1)
        else:
            dim = x.shape[-1]
            query = F.linear(at(x, places), self.project.weight[:dim])
            key, value = F.linear(x, self.project.weight[dim:]).chunk(2, -1)
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = (fused_attend if x.is_cuda else attend)(*parts, mask).transpose(1, 2).flatten(2)
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
        queries = x if places is None else at(x, places)
        x = queries + self.dropout(self.attention(self.norm_attention(x), mask, places))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))


class Transformer(nn.Module):
    """A stack of blocks."""

    compiled = False

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
