"""Communities to batches in which each ASV stands once."""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from q2_aam.encoder.sampler import BatchKey, BatchSampler
from q2_aam.encoder.subcommunities import communities_a_sample, draw_parts
from q2_aam.settings import TOKEN_CHOICES
from q2_aam.study.communities import Communities
from q2_aam.study.tables import keep_entries
from q2_aam.study.tokenizer import PAD


@dataclass
class Batch:
    """Some samples of a table; sizes are the batch's own maxima.

    Behind each sample may stand sub-communities of it, as many of each; ``C`` communities are ``B`` samples and these.
    """

    rows: Tensor
    """``[B]``, the samples' row numbers in the table."""
    tokens: Tensor
    """uint8 ``[U, 1 + L]``, each ASV of the batch once."""
    asv_index: Tensor
    """``[C, S]`` into the rows of ``tokens`` (of the whole table's ASVs when ``tokens`` is empty)."""
    abundance: Tensor
    """``[C, S]``, share of the sample's or sub-community's reads."""
    mask: Tensor
    """``[C, S]``, True where there is an ASV."""
    seed: int
    """Everything random about the batch (what is masked, dropout) follows from it."""
    places: Tensor
    """int64 ``[U]``, place of each of the batch's ASVs among those of the samples of all processes."""
    asvs_together: int
    """How many these are, ``W``."""
    together: int
    """Samples of the batch in all processes (see :class:`BatchKey`): ``G``, or ``B`` where there is one process."""
    unifrac: Tensor | None = None
    """float32 ``[G, G]``, process after process; with sub-communities as many times more."""
    weighted_unifrac: Tensor | None = None
    """The same of weighted UniFrac."""
    target: Tensor | None = None
    """``[B]`` float32, in the transform's units, or int64 codes of classes."""
    covariates: Tensor | None = None
    """float32 ``[B, M]``, the covariates as numbers."""

    @property
    def step(self) -> int:
        """Communities a sample: itself and its sub-communities. Every so many-th community is a whole sample."""
        return len(self.mask) // len(self.rows)


class CommunityDataset(Dataset):
    """Makes a :class:`Batch` of a :class:`BatchKey`.

    Parameters
    ----------
    communities : Communities
        The whole table.
    token_limit : int
        At most that many ASVs of a sample are read.
    token_choice : {'abundant', 'random'}
        Which of them: the most abundant, or a fresh random choice each epoch.
    unifrac : callable, optional
        Rows ``[B]`` to distances ``[B, B]``; given the rows of all processes where there are several. With
        sub-communities it is given, as a second argument, the ASVs of each, sparse ``[B, V]``.
    weighted_unifrac : callable, optional
        The same of weighted UniFrac.
    target : np.ndarray, optional
        Encoded target of every sample of the table ``[N]``.
    asv_lookup : bool
        True where all ASVs have been encoded beforehand: ``asv_index`` then counts in the whole table and ``tokens`` is
        empty.
    covariates : np.ndarray, optional
        Encoded covariates of every sample of the table, float32 ``[N, M]``.
    subcommunities : int
        Random parts of each sample that stand behind it in a batch, drawn anew each epoch, of the ASVs that are read of
        it: there are as many times more distances to learn from, squared, and no ASV more to encode. The same ones in
        all processes; fewer where a step has many samples.
    members : np.ndarray, optional
        int ``[N]``, the study of each sample, where there are several (:class:`BatchSampler`).
    """

    def __init__(
        self,
        communities: Communities,
        token_limit: int = 1024,
        token_choice: str = "abundant",
        unifrac: Callable[[np.ndarray], np.ndarray] | None = None,
        target: np.ndarray | None = None,
        asv_lookup: bool = False,
        covariates: np.ndarray | None = None,
        subcommunities: int = 0,
        members: np.ndarray | None = None,
        weighted_unifrac: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        if token_choice not in TOKEN_CHOICES:
            raise ValueError(f"token_choice must be one of {', '.join(TOKEN_CHOICES)}, but is {token_choice!r}.")
        if token_limit < 1:
            raise ValueError(f"token_limit must be at least 1, but is {token_limit}.")
        self.communities = communities
        self.token_limit = token_limit
        self.token_choice = token_choice
        self.unifrac = unifrac
        self.target = target
        self.asv_lookup = asv_lookup
        self.covariates = covariates
        self.subcommunities = subcommunities
        self.members = members
        self.weighted_unifrac = weighted_unifrac

    def __len__(self) -> int:
        return len(self.communities)

    def __getitem__(self, key: BatchKey) -> Batch:
        # Pairs of samples in different processes have a distance too: what is drawn of a sample is the same in all.
        together = key.rows if key.together is None else key.together
        generator = np.random.default_rng(key.seed - key.rank)
        whole = self.communities.counts[together]
        read, own = self._limited(whole, generator), np.isin(together, key.rows)
        step = communities_a_sample(len(together), self.subcommunities)
        compared = (together,)
        if step > 1:
            everyone = np.repeat(np.arange(len(together)), step)
            parts = draw_parts(read[everyone], step, generator)
            # Of whole samples with all of their ASVs, also those that are not read.
            place = np.where(np.arange(len(everyone)) % step, np.arange(len(everyone)) + len(together), everyone)
            compared = together[everyone], sp.vstack([whole, parts], "csr")[place]
            read, own = parts, own[everyone]
        unifrac, weighted_unifrac = (
            None if distances is None else torch.from_numpy(distances(*compared))
            for distances in (self.unifrac, self.weighted_unifrac)
        )
        total = np.asarray(read.sum(1), dtype=np.float32).ravel()
        total[::step] = np.asarray(whole.sum(1), dtype=np.float32).ravel()
        everyones = np.unique(read.indices)
        read, total = read[own], total[own]
        columns, values, lengths = read.indices, read.data, np.diff(read.indptr)
        width = int(lengths.max())
        mask = np.arange(width) < lengths[:, None]
        asv_index = np.zeros(mask.shape, dtype=np.int64)
        abundance = np.zeros(mask.shape, dtype=np.float32)
        distinct, place = np.unique(columns, return_inverse=True)
        asv_index[mask] = columns if self.asv_lookup else place
        abundance[mask] = values
        abundance /= total[:, None]
        tokens = self.communities.tokens[distinct[:0] if self.asv_lookup else distinct]
        if len(tokens):
            tokens = tokens[:, : int((tokens != PAD).sum(1).max())]
        return Batch(
            rows=torch.from_numpy(np.asarray(key.rows)),
            tokens=torch.from_numpy(tokens),
            asv_index=torch.from_numpy(asv_index),
            abundance=torch.from_numpy(abundance),
            mask=torch.from_numpy(mask),
            seed=key.seed,
            places=torch.from_numpy(np.searchsorted(everyones, distinct)),
            asvs_together=len(everyones),
            together=len(together),
            unifrac=unifrac,
            weighted_unifrac=weighted_unifrac,
            target=None if self.target is None else torch.from_numpy(self.target[key.rows]),
            covariates=None if self.covariates is None else torch.from_numpy(self.covariates[key.rows]),
        )

    def as_predicted(self) -> "CommunityDataset":
        """The same, reading samples as prediction does: whole ones, and the most abundant of their ASVs."""
        other = copy.copy(self)
        other.token_choice, other.subcommunities = "abundant", 0
        return other

    def _limited(self, counts: sp.csr_matrix, generator: np.random.Generator) -> sp.csr_matrix:
        """Counts of the ASVs that are read of each sample."""
        lengths = np.diff(counts.indptr)
        if lengths.max() <= self.token_limit:
            return counts
        sample = np.repeat(np.arange(len(lengths)), lengths)
        # Ties among equally abundant ASVs fall to the sequence, not to the table's order, which means nothing.
        draw = generator.random(len(sample)) if self.token_choice == "random" else -counts.data.astype(np.float64)
        order = np.lexsort((self.communities.hashes[counts.indices], draw, sample))
        rank = np.arange(len(sample)) - np.repeat(counts.indptr[:-1], lengths)
        selection = np.zeros(counts.nnz, dtype=bool)
        selection[order[rank < self.token_limit]] = True
        return keep_entries(counts, selection)


class AheadLoader(DataLoader):
    """Prepares the next batch, its UniFrac distances included, while the present one is learnt from.

    In a thread rather than in worker processes: the table is not copied, and torch's products go on while unifrac holds
    Python's lock.
    """

    def __iter__(self) -> Iterator[Batch]:
        batches = super().__iter__()
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            ahead = thread.submit(next, batches, None)
            while (batch := ahead.result()) is not None:
                ahead = thread.submit(next, batches, None)
                yield batch


def batch_loader(
    dataset: CommunityDataset,
    rows: np.ndarray,
    batch_size: int,
    random_seed: int = 0,
    shuffle: bool = False,
    rank: int = 0,
    processes: int = 1,
) -> DataLoader:
    """A loader whose every item is a whole :class:`Batch` (see :class:`BatchSampler` for the parameters)."""
    sampler = BatchSampler(rows, batch_size, random_seed, shuffle, rank, processes, dataset.members)
    return AheadLoader(dataset, sampler=sampler, batch_size=None)
