"""Distances to the nearest training samples, and their rank among these samples' own."""

import numpy as np
import pytest
import scipy.sparse as sp

from q2_aam.heads.neighbours import NEAREST, Neighbours, learnt_from, nearest_distances
from tests.heads.made_up import changed, samples


def test_those_of_the_same_group_do_not_count():
    presence = np.eye(4, dtype=np.float32) + np.float32([[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])
    groups = np.array([0, 0, 1, 1])
    found = nearest_distances(presence, presence, groups, groups)
    # All that is not of the own group is as far as can be.
    assert np.allclose(found, 1)
    assert (nearest_distances(presence, presence) < 1).all()


def test_where_there_are_no_others_there_is_no_distance():
    presence = np.ones((3, 2), dtype=np.float32)
    assert np.isnan(nearest_distances(presence, presence, np.zeros(3), np.zeros(3))).all()
    features, _ = samples()
    assert Neighbours.of(features, np.zeros(len(features))) is None and Neighbours.of(None, np.zeros(0)) is None


def test_percentiles_are_from_0_to_100_and_grow_with_the_distance():
    landmarks, _ = samples()
    neighbours = Neighbours.of(landmarks, np.arange(len(landmarks)))
    assert len(neighbours.distances) == len(landmarks) > NEAREST
    same, far = landmarks.presence[:1], np.full_like(landmarks.presence[:1], 1e6)
    columns = neighbours.columns(np.concatenate([same, far]), landmarks)
    assert columns["nearest_percentile"][0] < 50 and columns["nearest_percentile"][1] == 100
    assert columns["nearest_distance"][0] < columns["nearest_distance"][1] <= 1


@pytest.mark.parametrize(
    ("distances", "weights"),
    [([], []), ([0.2, 0.1], [0.5, 0.5]), ([0.1, 0.2], [1.0]), ([0.1, 0.2], [0.9, 0.9]), ([0.1, np.nan], [0.5, 0.5])],
)
def test_distances_of_a_file_that_do_not_fit_are_refused(distances, weights):
    with pytest.raises(ValueError, match="do not fit their weights"):
        Neighbours(np.float32(distances), np.float32(weights))


@pytest.mark.parametrize("weights", [np.ones(87), np.ones(100), 1 / np.repeat([3, 7, 41], [3, 7, 41])])
def test_beyond_all_is_100(weights):
    """Weights are float32 and add up to about 1: it was 99.99999."""
    weights = np.float32(weights / weights.sum())
    neighbours = Neighbours(np.linspace(0.1, 0.2, len(weights), dtype=np.float32), weights)
    landmarks, _ = samples()
    far = np.full_like(landmarks.presence[:1], 1e6)
    assert neighbours.columns(far, landmarks)["nearest_percentile"].tolist() == [100]


def test_groups_count_alike_in_percentiles():
    """One group of 55 and six of one: by samples nearly all would be the large group's."""
    rng = np.random.default_rng(0)
    centres = rng.random((7, 8)).astype(np.float32)
    groups = np.r_[np.zeros(55, dtype=int), np.arange(1, 7)]
    landmarks, _ = samples(n=61)
    landmarks = changed(landmarks, presence=centres[groups] + 0.01 * rng.random((61, 8), dtype=np.float32))
    neighbours = Neighbours.of(landmarks, groups)
    assert np.isclose(neighbours.weights.sum(), 1) and np.isclose(np.sort(neighbours.weights)[-6:], 1 / 7).all()
    new = landmarks.presence[groups > 0]
    alone = nearest_distances(new, landmarks.presence, groups[groups > 0], groups)
    below = [sum(w for d, w in zip(neighbours.distances, neighbours.weights, strict=True) if d < a) for a in alone]
    assert max(below) - min(below) > 0.5


def test_the_very_communities_of_landmarks_are_known_again():
    landmarks, _ = samples()
    assert learnt_from(landmarks, landmarks).all()
    # One read of a million in another ASV is another community.
    shares = landmarks.asv_shares.tolil()
    held = shares.rows[0][0]
    shares[0, held] = shares[0, held] * (1 - 1e-4)
    other = next(column for column in range(shares.shape[1]) if column != held)
    shares[0, other] = shares[0, other] + 1e-4
    moved = learnt_from(changed(landmarks, asv_shares=shares.tocsr()), landmarks)
    assert not moved[0] and moved[1:].all()
    # And so is one with an ASV that no landmark holds.
    unknown = changed(landmarks, hashes=landmarks.hashes + 10**6)
    assert not learnt_from(unknown, landmarks).any()


def test_communities_of_two_asvs_may_be_another_samples():
    landmarks, _ = samples()
    shares = sp.csr_matrix((len(landmarks), landmarks.asv_shares.shape[1]))
    shares = shares.tolil()
    shares[:, :2] = 0.5
    few = changed(landmarks, asv_shares=shares.tocsr())
    assert not learnt_from(few, few).any()


def test_novelty_says_so():
    landmarks, _ = samples()
    neighbours = Neighbours.of(landmarks, np.arange(len(landmarks)))
    columns = neighbours.novelty(landmarks, landmarks)
    assert list(columns) == ["nearest_distance", "nearest_percentile", "learnt_from", "near_copy"]
    assert (columns["learnt_from"] == 1).all() and (columns["near_copy"] == 1).all()
