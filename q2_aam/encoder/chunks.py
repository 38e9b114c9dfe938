"""Rows of different lengths through a network, a chunk at a time: little padding, bounded memory, work in cache."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Result = TypeVar("Result")

# Tokens of a chunk. On a CPU its intermediate values should stay in the cache, and below the 32 MB from which on the
# system hands out fresh memory, page by page, for every tensor; a GPU wants as much as it can get.
CHUNK = {"cpu": 2**13, "cuda": 2**17}
# Rows of that many tokens hold about as much in their attention weights as in everything else.
ATTENTION_LENGTH = 256


def chunks(lengths: Tensor, tokens: int | None = None) -> list[Tensor]:
    """Put rows of similar length together.

    Parameters
    ----------
    lengths : Tensor
        int ``[R]``, tokens of each row.
    tokens : int, optional
        A chunk's rows times its longest row are at most that, unless it is a single row. By default what suits the
        device that ``lengths`` are on.

    Returns
    -------
    list of Tensor
        int64 row numbers of each chunk, the longest row first; every row is in one chunk.
    """
    tokens = CHUNK[lengths.device.type] if tokens is None else tokens
    order = lengths.argsort(descending=True, stable=True)
    ordered = lengths[order].tolist()
    parts, start = [], 0
    while start < len(ordered):
        rows = max(1, tokens // max(1, ordered[start]))
        parts.append(order[start : start + rows])
        start += rows
    return parts


def room(lengths: Tensor) -> Tensor:
    """What rows of so many tokens, ``[R]``, take of ``max_tokens``: long ones more, for their attention weights."""
    return lengths * (1 + lengths / ATTENTION_LENGTH)


def in_chunks(
    compute: Callable[[Tensor, int], tuple[Tensor, ...]], lengths: Tensor, max_tokens: int | None = None
) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """Compute something of rows, chunk by chunk.

    Parameters
    ----------
    compute : callable
        Row numbers ``[P]`` and the longest of their lengths to tensors.
    lengths : Tensor
        int ``[R]``, tokens of each row.
    max_tokens : int, optional
        What chunks beyond about that many tokens need for the backward pass is not stored but computed again then,
        which takes a third more time. See :func:`room`. None: all is stored.

    Returns
    -------
    list of tuple
        Of each chunk: its rows, int64 ``[P]``, and what ``compute`` returned for them.
    """
    parts = chunks(lengths)
    stored = fitting(lengths, parts, max_tokens)
    return [
        (rows, stored_or_again(compute, store)(rows, int(lengths[rows[0]])))
        for rows, store in zip(parts, stored, strict=True)
    ]


def fitting(lengths: Tensor, parts: Sequence[Tensor], max_tokens: int | None) -> list[bool]:
    """Of each chunk, whether ``max_tokens`` has room for it beside the ones before; None has room for all."""
    if max_tokens is None or not parts or not torch.is_grad_enabled():
        return [True] * len(parts)
    needed = torch.stack([room(lengths[rows]).sum() for rows in parts]).cumsum(0)
    return (needed <= max_tokens).tolist()


def stored_or_again(work: Callable[..., Result], store: bool) -> Callable[..., Result]:
    """The same work, or one that stores nothing for the backward pass and is done again then, random numbers too."""
    return work if store else partial(checkpoint, work, use_reentrant=False)


def in_order(rows: Sequence[Tensor], results: Sequence[Tensor]) -> Tensor:
    """Results of chunks ``[P, ...]`` as one tensor ``[R, ...]`` in the order of the rows."""
    return torch.cat(results)[torch.cat(rows).argsort()]
