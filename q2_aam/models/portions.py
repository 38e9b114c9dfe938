"""Rows of different lengths through a network, a portion at a time: little padding, bounded memory, work in cache."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Tokens of a portion. On a CPU its intermediate values should stay in the cache, and below the 32 MB from which on the
# system hands out fresh memory, page by page, for every tensor; a GPU wants as much as it can get.
PORTION = {"cpu": 2**13, "cuda": 2**17}
# Rows of that many tokens hold about as much in their attention weights as in everything else.
ATTENTION_LENGTH = 256


def portions(lengths: Tensor, tokens: int) -> list[Tensor]:
    """Put rows of similar length together.

    Parameters
    ----------
    lengths : Tensor
        int ``[R]``, tokens of each row.
    tokens : int
        A portion's rows times its longest row are at most that, unless it is a single row.

    Returns
    -------
    list of Tensor
        int64 row numbers of each portion, the longest row first; every row is in one portion.
    """
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


def in_portions(
    compute: Callable[[Tensor, int], Tensor],
    lengths: Tensor,
    max_tokens: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Compute something of rows, portion by portion.

    Parameters
    ----------
    compute : callable
        Row numbers ``[P]`` and the longest of their lengths to a tensor.
    lengths : Tensor
        int ``[R]``, tokens of each row.
    max_tokens : int, optional
        What portions beyond about that many tokens need for the backward pass is not kept but computed again then,
        which takes a third more time. See :func:`room`. None: all is kept.

    Yields
    ------
    rows : Tensor
        int64 ``[P]``.
    result : Tensor
        What ``compute`` gave for them.
    """
    budget = float("inf") if max_tokens is None or not torch.is_grad_enabled() else max_tokens
    for rows in portions(lengths, PORTION[lengths.device.type]):
        longest = int(lengths[rows[0]])
        budget -= float(room(lengths[rows]).sum())
        if budget >= 0:
            yield rows, compute(rows, longest)
        else:
            yield rows, checkpoint(compute, rows, longest, use_reentrant=False)


def in_order(rows: Sequence[Tensor], results: Sequence[Tensor]) -> Tensor:
    """Results of portions ``[P, ...]`` as one tensor ``[R, ...]`` in the order of the rows."""
    return torch.cat(results)[torch.cat(rows).argsort()]
