"""Sub-communities: random parts of samples, which stand beside them in a batch as samples of their own."""

import numpy as np
import scipy.sparse as sp

from q2_aam.study.tables import keep_entries

# A sub-community keeps each ASV of its sample with a probability that is drawn for it: from that to 1.
SMALLEST_PART = 0.2
# Samples of a step, in all processes, up to which each has all its sub-communities: the time of the distances grows as
# the square of the communities, and Python's lock is held meanwhile.
MOST_SAMPLES = 32


def communities_a_sample(samples: int, subcommunities: int) -> int:
    """Each sample of a step and its sub-communities: of more samples fewer, so that there are no more in all."""
    return max(1, (1 + subcommunities) * min(samples, MOST_SAMPLES) // samples)


def draw_parts(counts: sp.csr_matrix, step: int, generator: np.random.Generator) -> sp.csr_matrix:
    """Make sub-communities of samples that stand in a row as often as they are wanted.

    Parameters
    ----------
    counts : sp.csr_matrix
        ``[C, V]``, none of them empty.
    step : int
        Every so many-th row stays whole.
    generator : np.random.Generator
        What is drawn.

    Returns
    -------
    sp.csr_matrix
        ``[C, V]``, of each other row the counts of a random part of its ASVs, at least one.
    """
    chance = generator.random(counts.nnz)
    share = generator.uniform(SMALLEST_PART, 1, counts.shape[0])
    share[::step] = 1
    # One is kept in any case.
    share = np.maximum(share, np.minimum.reduceat(chance, counts.indptr[:-1]))
    return keep_entries(counts, chance <= np.repeat(share, np.diff(counts.indptr)))
