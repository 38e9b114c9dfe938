"""The embeddings of a table's ASVs, each computed once, in memory or on disk."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from q2_aam.encoder.aam import AAM
from q2_aam.study.communities import Communities

# ASVs encoded before their embeddings are put away.
CHUNK = 2**13


NOT_FINITE = (
    "The model computes numbers of these samples that are not finite: its weights are damaged, or beyond reason. Use "
    "an unaltered copy of the model, or another one."
)


def finite(*computed: Tensor) -> Tensor:
    """The first of some tensors, if all numbers of all are finite.

    Raises
    ------
    ValueError
    """
    if not all(torch.isfinite(each).all() for each in computed):
        raise ValueError(NOT_FINITE)
    return computed[0]


@contextmanager
def asv_embeddings(
    network: AAM, communities: Communities, *, cache: str, device: str
) -> Iterator[Callable[[Tensor], Tensor]]:
    """Encode every ASV that some sample holds, once.

    Parameters
    ----------
    network : AAM
        In evaluation mode, on the device.
    communities : Communities
        ASVs that none of its samples holds are not encoded, and have no room.
    cache : {'memory', 'disk'}
        Keep the embeddings on the device, or in a file of the temporary directory, gone at the end of the context.
    device : str
        A resolved one.

    Raises
    ------
    ValueError
        If the file cannot be written, or embeddings are not finite.

    Yields
    ------
    callable
        From numbers of ASVs (``[B, S]``, columns of ``communities.counts``) to their embeddings ``[B, S, D]`` on the
        device. The numbers of ASVs without embedding give those of another; mask them.
    """
    present = communities.present_asvs()
    place = np.zeros(communities.counts.shape[1], dtype=np.int64)
    place[present] = np.arange(len(present))

    def chunks() -> Iterator[tuple[slice, Tensor]]:
        for start in range(0, len(present), CHUNK):
            tokens = torch.from_numpy(communities.tokens[present[start : start + CHUNK]])
            yield slice(start, start + len(tokens)), finite(network.asv_encoder(tokens.to(device)))

    width = network.architecture.dim
    if cache == "memory":
        embeddings = torch.empty(len(present), width, device=device)
        for rows, encoded in chunks():
            embeddings[rows] = encoded
        yield lambda index: F.embedding(torch.from_numpy(place[index.numpy()]).to(device), embeddings)
        return
    with tempfile.TemporaryDirectory(prefix="q2-aam-") as directory:
        path = Path(directory) / "asv-embeddings"
        try:
            with open(path, "wb") as file:
                for _, encoded in chunks():
                    file.write(encoded.cpu().numpy())
        except OSError as error:
            needed = 4 * len(present) * width / 2**30
            raise ValueError(
                f"The embeddings of {len(present)} ASVs cannot be written to {directory} ({error.strerror}). Set "
                f"TMPDIR to a directory with {needed:.3g} GB to spare, or asv_cache to 'memory'."
            ) from error
        with open(path, "rb", buffering=0) as file:

            def look_up(index: Tensor) -> Tensor:
                distinct, inverse = np.unique(place[index.numpy()], return_inverse=True)
                rows = np.empty((len(distinct), width), dtype=np.float32)
                # Row by row: a file mapped into memory would bring 16 pages along with each.
                for row, number in zip(rows, distinct.tolist(), strict=True):
                    row[:] = np.frombuffer(os.pread(file.fileno(), row.nbytes, number * row.nbytes), row.dtype)
                embeddings = torch.from_numpy(rows).to(device)
                return F.embedding(torch.from_numpy(inverse.reshape(index.shape)).to(device), embeddings)

            yield look_up
