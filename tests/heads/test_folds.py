import re

import numpy as np
import pytest

from q2_aam.heads import folds as folds_module
from q2_aam.heads import inner_folds
from q2_aam.heads.folds import FOLDS, FOLDS_OF_MANY, MANY, MIN_LOG_PROBABILITY, balanced_losses, inner_splits
from tests.heads.made_up import N, level_of, zones


def groups_of(n=N, size=5):
    return np.array([f"subject {i // size}" for i in range(n)], dtype=object)


@pytest.mark.parametrize("classes", [False, True])
def test_inner_splits_keep_groups_together(classes):
    level, groups = np.sin(np.arange(N) * 2.4).astype(np.float32), groups_of()
    splits = inner_splits(zones(level) if classes else level, groups, 0, 5)
    assert len(splits) == 5
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(N))


def test_inner_splits_are_stratified_and_every_training_part_has_every_class():
    target = np.array([0] * 30 + [1] * 8 + [2] * 2)
    splits = inner_splits(target, None, 0, 5)
    # Not as few folds as the smallest class has samples.
    assert len(splits) == 5
    for train, test in splits:
        assert set(target[train]) == {0, 1, 2}
        counts = np.bincount(target[test], minlength=3)
        assert counts[0] == 6 and counts[1] in (1, 2) and counts[2] in (0, 1)


def test_groups_are_stratified_too():
    # Twelve groups of five samples; three of them hold the rare class.
    groups, target = np.arange(60) // 5, np.zeros(60, dtype=int)
    target[[0, 5, 10]] = 1
    splits = inner_splits(target, groups, 0, 3)
    assert len(splits) == 3
    assert [int(target[test].sum()) for _, test in splits] == [1, 1, 1]


def test_one_group_is_refused():
    message = (
        "All 40 samples are of one group ('Anna'): settings and errors are learnt from groups that are left out, which "
        "takes two or more. Leave groups out, or choose another column."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        inner_folds(level_of(), np.array(["Anna"] * N, dtype=object), 0)


def test_the_seed_decides_the_splits():
    one, again, other = (inner_splits(level_of(), None, seed, 5)[0][1] for seed in (3, 3, 4))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_groups_of_the_samples_are_those_that_are_given():
    level, groups = level_of(), np.array(list("abcde")).repeat(8)
    assert inner_folds(level, groups, 0).groups.tolist() == np.arange(5).repeat(8).tolist()
    assert inner_folds(level, None, 0).groups.tolist() == list(range(N))
    assert len(inner_folds(level, None, 0).splits) == FOLDS


@pytest.mark.parametrize(("samples", "expected"), [(MANY - 1, FOLDS), (MANY, FOLDS_OF_MANY), (MANY + 1, FOLDS_OF_MANY)])
def test_of_many_samples_there_are_fewer_folds(samples, expected):
    assert len(inner_folds(np.arange(samples, dtype=np.float32), None, 0).splits) == expected


def test_landmarks_are_all_samples_up_to_a_number_of_them(monkeypatch):
    level = level_of()
    assert inner_folds(level, None, 0).landmarks.tolist() == list(range(N))
    monkeypatch.setattr(folds_module, "MAX_LANDMARKS", 15)
    few, others = (inner_folds(level, None, seed).landmarks for seed in (0, 1))
    assert len(few) == 15 and (np.diff(few) > 0).all() and not np.array_equal(few, others)


@pytest.mark.parametrize("groups", [True, False])
def test_classes_that_no_fold_can_spare_are_refused(groups):
    codes = np.arange(N) if not groups else (level_of() > 0).astype(np.int64)
    with pytest.raises(ValueError, match="^The head needs inner folds whose training samples hold every class"):
        inner_folds(codes, codes.astype(str) if groups else None, 0)


def test_losses_are_squared_errors_or_log_probabilities_that_weigh_classes_alike():
    assert balanced_losses(np.float32([[1], [3]]), np.float32([0, 1])).tolist() == [1, 4]
    target = np.array([0, 0, 0, 1])
    shares = np.array([[0.7, 0.3], [0.6, 0.4], [0.5, 0.5], [0.2, 0.8]])
    expected = -np.log([0.7, 0.6, 0.5, 0.8])
    losses = balanced_losses(np.log(shares) + 5, target)
    assert np.allclose(losses.mean(), (expected[:3].mean() + expected[3]) / 2)
    assert balanced_losses(np.array([[0.0, -1e6], [0, 0]]), np.array([1, 0]))[0] == -MIN_LOG_PROBABILITY
