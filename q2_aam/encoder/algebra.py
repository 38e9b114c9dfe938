"""Products and decompositions of NumPy matrices by torch's library.

The BLAS that NumPy comes with on Debian takes three to five times as long, and its threads hinder each other where
other programs run (:func:`q2_aam.encoder.threads.limited_threads`). One thread a call is best, several calls
:func:`q2_aam.encoder.side_by_side.side_by_side`.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute in one thread for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right`` of two matrices of one type."""
    return (torch.from_numpy(left) @ torch.from_numpy(right)).numpy()


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues ``[L]``, ascending, and eigenvectors ``[L, L]``, in columns, of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(torch.from_numpy(matrix))
    return values.numpy(), vectors.numpy()
