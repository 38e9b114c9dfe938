"""Matrix products of a piece of work: which there are, and how long they take when nothing else is done."""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm)
REPEATS = 7


class Products(TorchDispatchMode):
    """Counts the matrix products that run inside ``with Products() as seen``: kind, shapes, strides, types."""

    def __init__(self):
        super().__init__()
        self.seen: Counter = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        if function.overloadpacket in PRODUCTS:
            factors = [a for a in arguments if isinstance(a, torch.Tensor)]
            key = tuple((tuple(a.shape), tuple(a.stride()), a.dtype) for a in factors)
            self.seen[function.overloadpacket, key] += 1
        return function(*arguments, **(named or {}))

    def flops(self) -> int:
        """Floating-point operations of all of them, as torch counts them."""
        return sum(count * flops_of(*product) for product, count in self.seen.items())


def flops_of(packet, key: tuple) -> int:
    """Floating-point operations of one product."""
    shapes = [shape for shape, _, _ in key]
    result = list(shapes[-2][:-1]) + [shapes[-1][-1]]
    factors = (torch.empty(shape, device="meta") for shape in shapes)
    return flop_registry[packet](*factors, out_val=torch.empty(result, device="meta"))


def seconds_alone(seen: Counter) -> float:
    """Seconds that the products take when nothing else is done, each at the best of a few repeats on warm memory."""
    total = 0.0
    for (packet, key), count in seen.items():
        factors = [torch.empty_strided(shape, stride, dtype=dtype).normal_() for shape, stride, dtype in key]
        total += count * best(partial(packet, *factors))
    return total


def best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of a few repeats."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
