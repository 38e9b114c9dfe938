"""Pieces of work in threads of their own, on a CPU quicker than each operation of each piece in many threads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], most: int | None = None
) -> Iterator[Result]:
    """Do the same with several things, as many at a time as torch has threads.

    Parameters
    ----------
    work : callable
        Item to result. It must not draw random numbers, since which item is first is a matter of chance.
    items : sequence
        What it is done with.
    most : int, optional
        Items at a time at most, where each takes much memory.

    Yields
    ------
    result
        In the order of the items.
    """
    threads, inside = torch.get_num_threads(), as_here()
    workers = min(threads, len(items), most or threads)
    if workers < 2:
        yield from (inside(partial(work, item)) for item in items)
        return
    # Threads begin with the number that is set when they are started.
    torch.set_num_threads(threads // workers)
    try:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda item: inside(partial(work, item)), items)
    finally:
        torch.set_num_threads(threads)


def as_here() -> Callable[[Callable[[], Result]], Result]:
    """Call something later, or in another thread, with the gradient mode and the precision of here and now."""
    gradients, cast = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu")

    def call(work: Callable[[], Result]) -> Result:
        # Casts of weights are not kept: the thread that is through first would throw away those of all, and one that
        # was made without gradients could be met by work that needs them.
        with torch.set_grad_enabled(gradients), torch.autocast("cpu", dtype, cast, cache_enabled=False):
            return work()

    return call


class Pieces(torch.autograd.Function):
    """Pieces of a computation side by side, forward and later backward.

    The gradients of the pieces are summed in their order and at least in float32: no number depends on which was first.
    """

    @staticmethod
    def forward(
        ctx,
        compute: Callable[..., tuple[Tensor, ...]],
        items: Sequence[Item],
        stored: Sequence[bool],
        number: int,
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        """Compute all pieces.

        Parameters
        ----------
        compute : callable
            Item and tensors to tensors, as many for each item.
        items : sequence
            One a piece.
        stored : sequence of bool
            Whether what a piece's backward pass needs is stored; else it is computed again then.
        number : int
            How many of the inputs ``compute`` takes; the rest are parameters that it uses anyway.
        *inputs : Tensor
            What the results have gradients of.

        Returns
        -------
        tuple of Tensor
            The results of the first item, those of the second, and so on.
        """
        # The gradients of a piece end at its inputs.
        leaves = [x.detach().requires_grad_(x.requires_grad) for x in inputs[:number]]

        def piece(place: int, store: bool = True) -> tuple[Tensor, ...]:
            with torch.set_grad_enabled(store):
                return compute(items[place], *leaves)

        ctx.piece, ctx.as_forward = piece, as_here()
        ctx.inputs = [*leaves, *inputs[number:]]
        ctx.set_materialize_grads(False)
        ctx.done = False
        results = list(side_by_side(lambda place: piece(place, stored[place]), range(len(items))))
        ctx.results = [result if store else None for result, store in zip(results, stored, strict=True)]
        ctx.width = len(results[0])
        return tuple(tensor.detach() for result in results for tensor in result)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if ctx.done:
            raise RuntimeError("Gradients of pieces are computed once: what they take was freed.")
        ctx.done = True
        learnt = [x for x in ctx.inputs if x.requires_grad]

        def slopes(place: int) -> Sequence[Tensor | None]:
            # Each is freed as soon as it is used.
            result, ctx.results[place] = ctx.results[place], None
            if result is None:
                result = ctx.as_forward(partial(ctx.piece, place))
            pairs = zip(result, gradients[place * ctx.width : (place + 1) * ctx.width], strict=True)
            known = [(tensor, slope) for tensor, slope in pairs if tensor.requires_grad and slope is not None]
            if not known:
                return [None] * len(learnt)
            tensors, known_slopes = zip(*known, strict=True)
            return torch.autograd.grad(tensors, learnt, known_slopes, allow_unused=True)

        # Whatever fails, torch has its threads again.
        with closing(side_by_side(slopes, range(len(ctx.results)))) as parts:
            total = iter(add_up(parts))
        return None, None, None, None, *(next(total) if x.requires_grad else None for x in ctx.inputs)


class Settled(torch.autograd.Function):
    """A sum over pieces whose gradients are computed with it: nothing of a piece is kept for the backward pass.

    That is only possible for a number which the loss takes times a factor. It spares what else is computed again for
    want of memory, 8% of a step's products at the sizes ``older`` of ``benchmarks/step.py``.
    """

    @staticmethod
    def forward(
        ctx, compute: Callable[..., tuple[Tensor, ...]], items: Sequence[Item], *learnt: Tensor
    ) -> tuple[Tensor, ...]:
        """Compute all pieces and their gradients.

        Parameters
        ----------
        compute : callable
            Item to a term of the sum and to other tensors, as many for each item, which have no gradients.
        items : sequence
            One a piece.
        *learnt : Tensor
            What the sum has gradients of, parameters that ``compute`` uses.

        Returns
        -------
        tuple of Tensor
            The sum, then the other tensors of the first item, those of the second, and so on.
        """
        used = [x for x in learnt if x.requires_grad]

        def piece(item: Item) -> tuple[Tensor, list[Tensor], Sequence[Tensor | None]]:
            with torch.enable_grad():
                term, *others = compute(item)
                return term.detach(), [x.detach() for x in others], torch.autograd.grad(term, used, allow_unused=True)

        terms, others, slopes = zip(*side_by_side(piece, items), strict=True)
        ctx.slopes, ctx.places = add_up(slopes), [x.requires_grad for x in learnt]
        others = [tensor for tensors in others for tensor in tensors]
        ctx.mark_non_differentiable(*others)
        return torch.stack(terms).sum(), *others

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        slopes = iter(ctx.slopes)
        found = [next(slopes) if learnt else None for learnt in ctx.places]
        return None, None, *(None if slope is None else slope * gradient for slope in found)


def add_up(parts: Iterable[Sequence[Tensor | None]]) -> list[Tensor | None]:
    """Sums of the first tensors, the second ones and so on of parts that have as many; None where all are None.

    Tensors of half precision are summed in float32.
    """
    total: list[Tensor | None] = []
    for part in parts:
        total = total or [None] * len(part)
        for place, tensor in enumerate(part):
            if tensor is not None:
                # Two gradients may be one and the same tensor, which is not to be changed.
                wide = torch.promote_types(tensor.dtype, torch.float32)
                total[place] = tensor.to(wide, copy=True) if total[place] is None else total[place].add_(tensor)
    return total
