"""Samples that are all but the same as another one, as technical replicates are: one tells the other."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from q2_aam.study.cautions import copied_caution
from q2_aam.study.near_copies import copies_caution, near_copies

ASVS = 60


def shares_of(counts):
    """In an order that nothing may rest on."""
    counts = np.asarray(counts, dtype=float)
    ordered = sp.csr_matrix(counts / counts.sum(1, keepdims=True))
    rows = [slice(*ends) for ends in zip(ordered.indptr[:-1], ordered.indptr[1:], strict=True)]
    back = np.concatenate([np.arange(len(ordered.data))[row][::-1] for row in rows])
    return sp.csr_matrix((ordered.data[back], ordered.indices[back], ordered.indptr), ordered.shape)


def community(rng, depth=20_000):
    """A sample's shares, and draws of it."""
    shares = rng.dirichlet(np.full(ASVS, 0.3))
    return lambda noise=0.0: rng.multinomial(depth, _noisy(rng, shares, noise))


def _noisy(rng, shares, noise):
    shares = shares * np.exp(rng.normal(0, noise, ASVS))
    return shares / shares.sum()


def found(counts, groups=None):
    shares = shares_of(counts)
    own = np.arange(len(counts)) if groups is None else np.asarray(groups)
    return near_copies(shares, shares, np.append(own, own)).tolist()


@pytest.mark.parametrize("depth", [2_000, 200_000])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_replicates_are_found_at_any_depth(noise, depth):
    rng = np.random.default_rng(0)
    draws = [community(rng, depth) for _ in range(12)]
    counts = [draw() for draw in draws] + [draw(noise) for draw in draws[:8]]
    assert found(counts) == [True] * 8 + [False] * 4 + [True] * 8


def test_those_of_one_group_do_not_count():
    rng = np.random.default_rng(1)
    first, second, third = (community(rng) for _ in range(3))
    counts = [first(), first(), second(), second(), third(), third()]
    assert found(counts, [0, 0, 1, 2, 3, 3]) == [False, False, True, True, False, False]


def test_samples_of_the_same_asvs_in_other_shares_are_none():
    rng = np.random.default_rng(2)
    assert not any(found([rng.permutation(np.geomspace(20, 5000, ASVS)).round() for _ in range(10)]))


def test_of_samples_that_hold_little_else_than_one_asv_nothing_is_told():
    """Two noses with 99% of one Moraxella are alike, and yet of two children."""
    rng = np.random.default_rng(3)
    counts = np.zeros((8, ASVS))
    counts[:, 0] = 20_000
    for row in counts:
        row[rng.choice(np.arange(1, ASVS), 8)] = 20
    assert not any(found(counts))


def test_presence_and_absence_is_told_by_the_asvs_alone():
    rng = np.random.default_rng(4)
    presence = (rng.random((6, ASVS)) < 0.5).astype(float)
    presence[5] = presence[0]
    assert found(presence) == [True, False, False, False, False, True]


def test_a_few_are_an_accident():
    assert copies_caution(2, 20, grouped=False) is copies_caution(4, 100, grouped=True) is None
    assert copies_caution(34, 100, grouped=False, sample_ids=["a", "b"]) == (
        "34 of 100 samples are near copies of another one (nearly all ASVs in nearly the same shares, as technical "
        "replicates have): a, b. One is then predicted by what was learnt from the other, and scores are too good for "
        "new samples. Give the groups column, in which samples that belong together are of one group."
    )
    assert copies_caution(5, 100, grouped=True) == (
        "5 of 100 samples are near copies of a sample of another group (nearly all ASVs in nearly the same shares, as "
        "technical replicates have). One is then predicted by what was learnt from the other, and scores are too good "
        "for new samples. Put samples that belong together into one group."
    )


def test_novelty_tells_near_copies_of_what_was_learnt_from():
    novelty = pd.DataFrame({"near_copy": [1.0, 1, 1, 0]}, index=list("abcd"))
    assert copied_caution(novelty) == (
        "3 of 4 samples are near copies of samples that were learnt from (nearly all ASVs in nearly the same shares, "
        "as technical replicates have): a, b, c. How well these are predicted says little about new samples. Keep "
        "samples that belong together on one side: give fit and cross-validate the groups column."
    )
    assert copied_caution(novelty.iloc[1:]) is copied_caution(novelty[[]]) is None
