"""Rows of different lengths through a network, a chunk at a time: little padding, bounded memory, work in cache."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from q2_aam.encoder.side_by_side import Pieces, Settled, side_by_side

Result = TypeVar("Result")

# Tokens of a chunk. On a CPU its intermediate values should stay in the cache, and below the 32 MB from which on the
# system hands out fresh memory, page by page, for every tensor (in half precision; in float32 half as many tokens do).
# A GPU wants as much as it can get.
CHUNK = {"cpu": 2**13, "cuda": 2**17}
# Where there is little to do, threads do without work rather than with chunks of less than that part.
SMALLEST_CHUNK = 4
# Rows of that many tokens hold about as much in their attention weights as in everything else.
ATTENTION_LENGTH = 256


def chunk_size(device: str) -> int:
    """Tokens of a chunk on a type of device, ``cpu`` or ``cuda``, at the precision of here and now."""
    half = device != "cpu" or torch.is_autocast_enabled(device)
    return CHUNK[device] if half else CHUNK[device] // 2


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
    tokens = chunk_size(lengths.device.type) if tokens is None else tokens
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
    compute: Callable[..., tuple[Tensor, ...]],
    lengths: Tensor,
    network: nn.Module,
    max_tokens: int | None = None,
    inputs: Sequence[Tensor] = (),
) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """Compute something of rows, chunk by chunk: on a CPU in as many threads as torch has, see :func:`one_by_one`.

    Parameters
    ----------
    compute : callable
        Row numbers ``[P]``, the longest of their lengths and the ``inputs`` to tensors.
    lengths : Tensor
        int ``[R]``, tokens of each row.
    network : nn.Module
        Whose parameters ``compute`` uses. It uses no others, and no other tensors that have gradients.
    max_tokens : int, optional
        What chunks beyond about that many tokens need for the backward pass is not stored but computed again then,
        which takes a third more time. See :func:`room`. None: all is stored.
    inputs : sequence of Tensor
        What else ``compute`` takes, through which gradients go.

    Returns
    -------
    list of tuple
        Of each chunk: its rows, int64 ``[P]``, and what ``compute`` returned for them.
    """
    if not len(lengths):
        return []
    alone = lengths.is_cuda or one_by_one(network)
    parts = chunks(lengths) if alone else even_chunks(lengths)
    if max_tokens is not None and not alone:
        # What the other threads are working on takes room, too.
        busy = (torch.get_num_threads() - 1) * max(float(room(lengths[rows]).sum()) for rows in parts)
        max_tokens = max(max_tokens // 2, int(max_tokens - busy))
    stored = fitting(lengths, parts, max_tokens)

    def piece(rows: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        return compute(rows, int(lengths[rows[0]]), *inputs)

    if alone:
        return [(rows, stored_or_again(piece, store)(rows, *inputs)) for rows, store in zip(parts, stored, strict=True)]
    learnt = list(network.parameters())
    if torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, *learnt)):
        results = Pieces.apply(piece, parts, stored, len(inputs), *inputs, *learnt)
        width = len(results) // len(parts)
        return [(rows, results[n * width : (n + 1) * width]) for n, rows in enumerate(parts)]
    return list(zip(parts, side_by_side(lambda rows: piece(rows, *inputs), parts), strict=True))


def summed_in_chunks(
    compute: Callable[..., tuple[Tensor, ...]], lengths: Tensor, network: nn.Module, max_tokens: int | None = None
) -> tuple[Tensor, list[tuple[Tensor, tuple[Tensor, ...]]]]:
    """Sum something over rows, chunk by chunk; where chunks go side by side, nothing of them is stored.

    Parameters
    ----------
    compute : callable
        Row numbers ``[P]`` and the longest of their lengths to a chunk's term of the sum, and to other tensors.
    lengths, network, max_tokens
        As for :func:`in_chunks`.

    Returns
    -------
    total : Tensor
        Scalar.
    others : list of tuple
        Of each chunk: its rows, int64 ``[P]``, and the other tensors, without gradients.
    """
    learnt = list(network.parameters())
    slopes = torch.is_grad_enabled() and any(x.requires_grad for x in learnt)
    if lengths.is_cuda or one_by_one(network) or not slopes:
        results = in_chunks(compute, lengths, network, max_tokens)
        total = torch.stack([term for _, (term, *_) in results]).sum()
        return total, [(rows, tuple(x.detach() for x in others)) for rows, (_, *others) in results]
    parts = even_chunks(lengths)
    total, *others = Settled.apply(lambda rows: compute(rows, int(lengths[rows[0]])), parts, *learnt)
    width = len(others) // len(parts)
    return total, [(rows, tuple(others[n * width : (n + 1) * width])) for n, rows in enumerate(parts)]


def one_by_one(network: nn.Module) -> bool:
    """Whether a network takes one chunk after the other, each operation in all threads, also on a CPU.

    With dropout, since the random numbers of a chunk are the same again in this order only; compiled by torch, which
    would compile the same thing for each thread until it gave up.
    """
    parts = list(network.modules())
    drawn = any(isinstance(part, nn.Dropout) and part.p > 0 and part.training for part in parts)
    return drawn or any(getattr(part, "compiled", False) for part in parts)


def even_chunks(lengths: Tensor) -> list[Tensor]:
    """:func:`chunks` of about equal size, as many for each of torch's threads where they are not too small for it."""
    most, threads, tokens = chunk_size(lengths.device.type), torch.get_num_threads(), int(lengths.sum())
    fewest = len(chunks(lengths, most))
    number = min(-(-fewest // threads) * threads, tokens // (most // SMALLEST_CHUNK))
    if 0 < number < threads:
        # So many that each has the same number of threads, and none is left without work.
        number = threads // -(-threads // number)
    number = max(fewest, number)
    size = max(1.0, tokens / number)
    while size < most:
        parts = chunks(lengths, int(size))
        if len(parts) <= number:
            return parts
        # Padding, and what is left over, made more of them.
        size *= 1.02
    return chunks(lengths, most)


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
