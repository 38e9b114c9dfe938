"""Predicted UniFrac distances: UniFrac's own formula on learnt branches, in NumPy."""

import numpy as np
import scipy.sparse as sp
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import manhattan_distances


def predicted_unifrac(
    presence: np.ndarray,
    others: np.ndarray,
    terminal: sp.csr_matrix | None = None,
    others_terminal: sp.csr_matrix | None = None,
) -> np.ndarray:
    """Length that one of two samples holds over length that either holds.

    The same as :func:`q2_aam.encoder.sample_encoder.unifrac_distances`, without torch.

    Parameters
    ----------
    presence, others : np.ndarray
        ``[M, K]`` and ``[N, K]``, not negative, each lineage's presence times its branch length.
    terminal, others_terminal : sp.csr_matrix, optional
        ``[M, V]`` and ``[N, V]``, length of each ASV's own branch where a sample holds it; without them the distances
        are those on lineages alone.

    Returns
    -------
    np.ndarray
        float32 ``[M, N]``, 0 (same branches) to 1 (none shared); two samples without any branch are at 0.
    """
    apart = cdist(presence, others, "cityblock")
    lengths = [each.sum(1, dtype=np.float64) for each in (presence, others)]
    if terminal is not None:
        mine, theirs = terminal.astype(np.float64), others_terminal.astype(np.float64)
        own = [np.asarray(each.sum(1)).ravel() for each in (mine, theirs)]
        # Half of it from each side: whose length it is makes no difference but for rounding.
        shared = (mine @ (theirs > 0).astype(np.float64).T).toarray()
        shared += ((mine > 0).astype(np.float64) @ theirs.T).toarray()
        apart += np.maximum(np.add.outer(*own) - shared, 0)
        lengths = [both + each for both, each in zip(lengths, own, strict=True)]
    # sum(max(a, b)) = (sum(a) + sum(b) + sum(|a - b|)) / 2
    either = np.add.outer(*lengths) + apart
    return (2 * apart / np.maximum(either, 1e-12)).astype(np.float32)


def predicted_weighted_unifrac(
    shares: np.ndarray, others: np.ndarray, terminal: sp.csr_matrix, others_terminal: sp.csr_matrix
) -> np.ndarray:
    """Normalized weighted UniFrac on learnt branches: of their lengths, times the shares of reads there.

    Parameters
    ----------
    shares, others : np.ndarray
        ``[M, K]`` and ``[N, K]``, each lineage's share of the reads times its length.
    terminal, others_terminal : sp.csr_matrix
        ``[M, V]`` and ``[N, V]``, the same of each ASV's own branch.

    Returns
    -------
    np.ndarray
        float32 ``[M, N]``, 0 to 1; two samples without any branch are at 0.
    """
    apart = cdist(shares, others, "cityblock") + manhattan_distances(
        terminal.astype(np.float64), others_terminal.astype(np.float64)
    )
    lengths = (
        each.sum(1, dtype=np.float64) + np.asarray(more.sum(1)).ravel()
        for each, more in ((shares, terminal), (others, others_terminal))
    )
    return (apart / np.maximum(np.add.outer(*lengths), 1e-12)).astype(np.float32)
