"""Intervals of scores: whole groups are drawn, and they hold the truth as often as they say."""

import numpy as np
import pytest

from q2_aam.evaluation.bootstrap import FEWEST_GROUPS, TABLE_DRAWS, mean_interval, rows_of_groups, score_intervals


def test_rows_without_a_group_are_groups_of_their_own():
    found = rows_of_groups(["a", "b", None, "a", float("nan"), None])
    assert [rows.tolist() for rows in found] == [[0, 3], [1], [2], [4], [5]]


def mean_of(values):
    return lambda rows: {"mean": values[rows].mean()}


def test_few_groups_have_no_interval():
    groups = [np.array([k]) for k in range(FEWEST_GROUPS - 1)]
    assert score_intervals(mean_of(np.arange(5.0)), groups) == {}


def test_a_score_that_most_draws_do_not_define_has_no_interval():
    groups = [np.array([k]) for k in range(20)]
    found = score_intervals(lambda rows: {"first": 1.0 if 0 in rows and 1 in rows and 2 in rows else None}, groups)
    assert found == {"first": None}


def test_the_same_seed_gives_the_same_interval():
    values, groups = np.random.default_rng(0).normal(size=30), [np.array([k]) for k in range(30)]
    one, again, other = (score_intervals(mean_of(values), groups, random_state=seed) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("by_group", [True, False])
def test_intervals_of_grouped_samples_hold_the_truth_when_groups_are_drawn(by_group):
    """Means of 30 groups of 10 alike samples, 100 times: 95% by groups, far fewer by single samples."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(100):
        values = np.repeat(rng.normal(size=30), 10) + 0.1 * rng.normal(size=300)
        groups = np.arange(300).reshape(30, 10) if by_group else np.arange(300)[:, None]
        low, high = score_intervals(mean_of(values), list(groups), draws=200)["mean"]
        held += low <= 0 <= high
    assert held >= 88 if by_group else held < 65


def test_intervals_of_ten_hold_the_truth_as_often_as_they_say():
    """Errors of 10 samples, 400 times; the 2.5th and the 97.5th percentile held their mean in 87%."""
    errors, held = np.abs(np.random.default_rng(0).normal(size=(400, 10))), 0
    for number, values in enumerate(errors):
        low, high = mean_interval(values, rows_of_groups(range(10)), random_state=number)
        held += low <= np.sqrt(2 / np.pi) <= high
    assert held > 360


def test_the_interval_of_a_mean_is_that_of_any_score():
    random = np.random.default_rng(1)
    values, groups = random.random(300), rows_of_groups(random.integers(0, 37, 300))
    assert mean_interval(values, groups) == pytest.approx(
        score_intervals(lambda rows: {"mean": values[rows].mean()}, groups, TABLE_DRAWS)["mean"]
    )
    assert mean_interval(values, groups[:9]) is None


def test_what_does_not_differ_has_no_interval():
    """A share of 1 would seem to be certain."""
    assert mean_interval(np.ones(40), rows_of_groups(range(40))) is None
    low, high = mean_interval([*np.ones(39), 0], rows_of_groups(range(40)))
    assert low < 0.975 <= high
