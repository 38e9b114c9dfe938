import numpy as np
import pytest
import scipy.sparse as sp

from q2_aam.encoder.subcommunities import communities_a_sample, draw_parts


def test_sub_communities_hold_a_fifth_to_all_of_the_asvs():
    many = sp.csr_matrix(np.ones((4000, 200), dtype=np.float32))
    sizes = np.diff(draw_parts(many, 4, np.random.default_rng(0)).indptr)
    assert (sizes[::4] == 200).all()
    parts = np.delete(sizes, np.arange(0, 4000, 4))
    # Evenly from a fifth to all: their mean and spread within five standard errors.
    assert abs(parts.mean() - 120) < 5 * 46 / 3000**0.5 and 44 < parts.std() < 49


def test_the_last_asv_is_never_lost():
    one = sp.csr_matrix(np.ones((1000, 1), dtype=np.float32))
    assert draw_parts(one, 1000, np.random.default_rng(0)).nnz == 1000


@pytest.mark.parametrize(
    ("samples", "subcommunities", "step"),
    [(32, 4, 5), (1, 4, 5), (33, 4, 4), (64, 4, 2), (128, 4, 1), (512, 4, 1), (32, 9, 10), (64, 9, 5), (20, 0, 1)],
)
def test_large_steps_have_no_more_communities_than_those_of_32_samples(samples, subcommunities, step):
    assert communities_a_sample(samples, subcommunities) == step
    assert samples * step <= max(samples, 32 * (1 + subcommunities))
