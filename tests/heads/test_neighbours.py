"""Distances to the nearest training samples, and their rank among these samples' own."""

import numpy as np

from q2_aam.heads.neighbours import NEAREST, Neighbours, nearest_distances
from tests.heads.made_up import samples


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
