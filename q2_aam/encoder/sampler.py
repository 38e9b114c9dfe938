"""Which samples are in which batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class BatchKey:
    """Which samples, and the seed that the epoch gives them."""

    rows: np.ndarray
    seed: int
    """The batch's, which all processes have, plus the number of the process."""
    together: np.ndarray | None = None
    """The samples of all processes, process after process, where there are several."""
    rank: int = 0
    """Number of the process."""


def part_sizes(samples: int, processes: int) -> list[int]:
    """How many samples of a batch each process takes: as equal as can be, the first ones one more."""
    return [samples // processes + (rank < samples % processes) for rank in range(processes)]


class BatchSampler(Sampler):
    """Rows of one batch after the other, shuffled by seed and epoch alone.

    A run that goes on from a checkpoint thus meets the same batches as one that was never stopped.

    Parameters
    ----------
    rows : np.ndarray
        int ``[N]``, the samples to go through.
    batch_size : int
        Samples a batch and process; the last one may be smaller, none is dropped.
    random_seed : int
        Seed.
    shuffle : bool
        New order each epoch; False for validation, where every epoch is the same.
    rank, processes : int
        Which of how many processes that share every batch. All go through the same order and take as many steps.
    members : np.ndarray, optional
        int ``[table's samples]``, the study of each: all samples of a batch are of one, those of different ones have no
        distance. By default all are of one.

    Raises
    ------
    ValueError
        If there are fewer samples than processes.
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        random_seed: int,
        shuffle: bool,
        rank: int = 0,
        processes: int = 1,
        members: np.ndarray | None = None,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but is {batch_size}.")
        self.rows = np.asarray(rows)
        self.members = np.zeros(len(self.rows), dtype=np.int64) if members is None else np.asarray(members)[self.rows]
        fewest = np.unique(self.members, return_counts=True)[1].min(initial=processes)
        if fewest < processes:
            raise ValueError(
                f"{fewest} samples (of those to learn from, or of those for validation) cannot be shared by "
                f"{processes} processes: each takes one at least. Lower devices or num_nodes."
            )
        self.batch_size = batch_size
        self.random_seed = random_seed
        self.shuffle = shuffle
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        if self.shuffle:
            self.epoch = epoch

    def _starts(self, samples: int) -> list[int]:
        """Where in the order of so many samples each batch of all processes begins."""
        starts = list(range(0, samples, self.batch_size * self.processes))
        # A remainder that not every process has a sample of goes to the batch before it.
        return starts[:-1] if starts and samples - starts[-1] < self.processes else starts

    def __len__(self) -> int:
        return sum(len(self._starts(samples)) for samples in np.unique(self.members, return_counts=True)[1])

    def _batches(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Samples of each batch of all processes."""
        order = generator.permutation(len(self.rows)) if self.shuffle else np.arange(len(self.rows))
        batches = []
        for member in np.unique(self.members):
            rows = self.rows[order[self.members[order] == member]]
            batches += np.split(rows, self._starts(len(rows))[1:])
        if self.shuffle and len(np.unique(self.members)) > 1:
            # Not one study after the other.
            batches = [batches[place] for place in generator.permutation(len(batches))]
        return batches

    def __iter__(self) -> Iterator[BatchKey]:
        generator = np.random.default_rng([self.random_seed, self.epoch])
        for rows in self._batches(generator):
            seed = int(generator.integers(2**62))
            if self.processes == 1:
                yield BatchKey(rows, seed)
                continue
            sizes = part_sizes(len(rows), self.processes)
            own = rows[sum(sizes[: self.rank]) :][: sizes[self.rank]]
            # What is random about a process' part is its own.
            yield BatchKey(own, seed + self.rank, rows, self.rank)
