"""Distances between embedded samples, and their principal coordinates, as other programs take them."""

import warnings
from pathlib import Path

import numpy as np

from q2_aam.encoder.embedding import Embedding
from q2_aam.study.tables import name_ids

# A matrix of more would take more than 0.4 GB here, and more than a gigabyte as text.
MOST_SAMPLES = 10_000
# Rows of the matrix at a time.
ROWS = 512
# Principal coordinates that are kept; emperor shows three at a time.
COORDINATES = 10
# Beyond that many samples coordinates are approximate: exact ones take minutes.
EXACT = 2_000
BYTES_OF_A_NUMBER = 9


def refuse_samples(sample_ids) -> None:
    """Stop where there are too few samples for distances, or too many, or no matrix can have their IDs.

    Raises
    ------
    ValueError
    """
    samples = len(sample_ids)
    strange = [name for name in sample_ids if name.startswith("#") or name != name.strip()]
    if strange:
        raise ValueError(
            f"{len(strange)} of {samples} sample IDs begin with # or have blanks around them, which no distance matrix "
            f"can have: {name_ids(strange)}. Rename these samples."
        )
    if samples < 2:
        raise ValueError(
            "The table has 1 sample, and distances are between samples. Add samples, or take `qiime aam embed-vectors`."
        )
    if samples > MOST_SAMPLES:
        size = samples**2 * BYTES_OF_A_NUMBER / 1e9
        raise ValueError(
            f"The distances between {samples} samples would be {samples**2 / 1e6:.0f} million numbers, a file of "
            f"{size:.1f} GB; at most {MOST_SAMPLES} samples are taken. Take a part of them (`qiime feature-table "
            "filter-samples`), or vectors alone (`qiime aam embed-vectors`)."
        )


def distance_matrix(embedding: Embedding, weighted: bool = False) -> np.ndarray:
    """Predicted distances between all samples of a table, in blocks.

    Parameters
    ----------
    embedding : Embedding
        ``N`` samples.
    weighted : bool
        Take :meth:`Embedding.weighted_distances`, of an encoder that has learnt these beside others.

    Returns
    -------
    np.ndarray
        float32 ``[N, N]``, symmetric to the last bit, with zeros in the diagonal.
    """
    n = len(embedding.presence)
    distances = np.zeros((n, n), dtype=np.float32)
    for start in range(0, n, ROWS):
        rows, others = embedding.subset(np.arange(n)[start : start + ROWS]), embedding.subset(np.arange(start, n))
        found = rows.weighted_distances(others) if weighted else rows.distances(others)
        # Those among the rows themselves are there twice, and may differ in the last bit.
        distances[start : start + ROWS, start:] = np.triu(found, 1)
    distances += distances.T
    return distances


def write_distances(path: str | Path, sample_ids: np.ndarray, distances: np.ndarray) -> None:
    """Write a distance matrix ``[N, N]`` as scikit-bio's LSMat, with six digits, a row at a time."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("\t".join(["", *sample_ids]) + "\n")
        for sample_id, row in zip(sample_ids, distances, strict=True):
            file.write("\t".join([sample_id, *(f"{value:.6g}" for value in row.tolist())]) + "\n")


def principal_coordinates(sample_ids: np.ndarray, distances: np.ndarray):
    """The first principal coordinates of a distance matrix.

    Parameters
    ----------
    sample_ids : np.ndarray
        Object (str) ``[N]``.
    distances : np.ndarray
        ``[N, N]``, symmetric.

    Returns
    -------
    skbio.OrdinationResults
    """
    from skbio import DistanceMatrix
    from skbio.stats.ordination import pcoa

    matrix = DistanceMatrix(distances.astype(np.float64), sample_ids)
    method, number = "fsvd" if len(sample_ids) > EXACT else "eigh", min(COORDINATES, len(sample_ids))
    # The approximation draws from NumPy's global generator, which is afterwards as it was.
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            # UniFrac has negative eigenvalues, always small ones, and about that there is nothing to do.
            warnings.simplefilter("ignore", RuntimeWarning)
            found = pcoa(matrix, method, number)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    # Samples that are all alike have no extent to explain a share of.
    found.proportion_explained = found.proportion_explained.fillna(0.0)
    return found
