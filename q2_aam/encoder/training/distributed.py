"""What the processes of a run do together. In a run of one process each of these functions does nothing."""

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import torch
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed

from q2_aam.encoder.sampler import part_sizes

T = TypeVar("T")


def world_size() -> int:
    """Processes of the run, on all nodes."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Number of this process; 0 writes and speaks for all."""
    return distributed.get_rank() if world_size() > 1 else 0


def first_of_node() -> bool:
    """Whether this process writes on its machine."""
    return world_size() == 1 or int(os.environ["LOCAL_RANK"]) == 0


def gather(thing: T) -> list[T]:
    """One thing of each process (anything that can be pickled), in the order of ranks."""
    things = [thing] * world_size()
    if world_size() > 1:
        distributed.all_gather_object(things, thing)
    return things


def on_first(work: Callable[[], T]) -> T:
    """Do something in the first process alone; all get what it returns, or raise what it raises."""
    if world_size() == 1:
        return work()
    outcome = [None, None]
    if rank() == 0:
        try:
            outcome[0] = work()
        except Exception as error:
            outcome[1] = error
    distributed.broadcast_object_list(outcome, 0)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def share_files(directory: Path, names: Iterable[str]) -> None:
    """Give the first process' files to the other nodes, whose directory may be another one.

    Parameters
    ----------
    directory : Path
        This process' directory.
    names : iterable of str
        Names or patterns, relative to the directory.
    """
    if world_size() == 1:
        return
    several = world_size() > int(os.environ["LOCAL_WORLD_SIZE"])
    files = on_first(
        lambda: {
            str(path.relative_to(directory)): path.read_bytes()
            for name in names
            for path in sorted(directory.glob(name))
            if several
        }
    )
    if rank() and int(os.environ["LOCAL_RANK"]) == 0:
        for name, content in files.items():
            path = directory / name
            # On a file system that the nodes share it is there already.
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                # Or will be there in a moment: it is never seen half written.
                new = path.with_name(f"{path.name}.{rank()}")
                new.write_bytes(content)
                new.replace(path)
    distributed.barrier()


def gather_rows(own: Tensor, total: int) -> Tensor:
    """Rows of all processes, for a loss that every process computes of all of them.

    Only a process' own rows carry gradients. As each computes the whole loss, these are all that there are for its
    rows, and the sum over the processes is the gradient of that one loss.

    Parameters
    ----------
    own : Tensor
        ``[B, K]``, this process' part as :func:`q2_aam.encoder.sampler.part_sizes` cuts it.
    total : int
        Rows of all processes, ``G``.

    Returns
    -------
    Tensor
        ``[G, K]``, in the order of ranks.
    """
    if world_size() == 1:
        return own
    sizes = part_sizes(total, world_size())
    # The parts differ by a row, which a gathering cannot.
    padded = own.new_zeros(max(sizes), own.shape[1])
    padded[: len(own)] = own.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    parts = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    parts[rank()] = own
    return torch.cat(parts)


Losses = dict[str, tuple[Tensor, int]]


def share_losses(own: Losses, common: Iterable[str]) -> tuple[Losses, Losses]:
    """Losses of the samples of all processes from each process' own.

    Parameters
    ----------
    own : dict of str to tuple of Tensor and int
        Each loss and the number of things it is a mean over.
    common : iterable of str
        Losses that every process has computed of all processes' samples (see :func:`gather_rows`).

    Returns
    -------
    means : dict
        The means over all processes' things, the same numbers in every process, and how many there are.
    parts : dict
        What each process learns from: the gradients of its parts, averaged over the processes, are those of the means.
        In a run of one process this is the same object as `means`.
    """
    if world_size() == 1:
        return own, own
    sums = [torch.stack([loss.detach().double() * n, loss.new_tensor(n).double()]) for loss, n in own.values()]
    sums = torch.stack(sums)
    distributed.all_reduce(sums)
    means, parts = {}, {}
    for (name, (loss, n)), (total, count) in zip(own.items(), sums, strict=True):
        everyone = int(count) // (world_size() if name in common else 1)
        means[name] = (total / count.clamp_min(1)).float(), everyone
        # DistributedDataParallel takes the mean over the processes of what are parts of a sum.
        parts[name] = world_size() * (loss if name in common else loss * (n / max(1, everyone))), n
    return means, parts


def no_loss(device: torch.device) -> Tensor | None:
    """What a training step returns that is to change nothing."""
    # Lightning takes None from a lone process only.
    return None if world_size() == 1 else torch.zeros((), device=device, requires_grad=True)


def ddp_strategy() -> DDPStrategy:
    """Lightning's strategy, in processes that torch's elastic launcher has started."""
    # Heads whose loss is off, and a step that all processes skip, have no gradient.
    return DDPStrategy(cluster_environment=TorchElasticEnvironment(), find_unused_parameters=True)


def end_at_sigterm() -> LambdaCallback:
    """SIGTERM ends a process where it stands. Lightning's handler would wait for processes that are gone."""

    def reset(*_) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return LambdaCallback(on_train_start=reset, on_validation_start=reset)
