"""The weights of the ensemble, chosen by out-of-fold outputs of its parts."""

import numpy as np
import pytest

from q2_aam.heads.ensemble import ensemble_weights


def out_of_fold(classes, errors, n=200, seed=0):
    """Targets, and outputs of three heads that err as much as is said."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    noisy = [(level + error * rng.normal(size=n))[:, None].astype(np.float32) for error in errors]
    if not classes:
        return level.astype(np.float32), np.stack(noisy)
    # The likelihood that it is above 0 is that of a normal distribution, nearly.
    logits = [part * np.float32(1.7 / error) for part, error in zip(noisy, errors, strict=True)]
    return (level > 0).astype(np.int64), np.stack([np.concatenate([-part, part], 1) for part in logits])


def chosen(parts, target, groups=None, relevance=None):
    n = len(target)
    return ensemble_weights(
        parts, np.ones(n) if relevance is None else relevance, target, np.arange(n) if groups is None else groups
    )


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_head_that_is_clearly_better_weighs_most(classes, best):
    errors = [2.0, 2.0, 2.0]
    errors[best] = 0.3
    target, parts = out_of_fold(classes, errors)
    assert chosen(parts, target)[best] >= 0.8


def test_the_weights_err_least_of_all():
    """Numbers, of which the best weights are known: errors are independent, so they go by their variances."""
    target, parts = out_of_fold(False, (0.5, 1.0, 0.5), n=40_000)
    weights = chosen(parts, target)
    assert np.allclose(weights, (4 / 9, 1 / 9, 4 / 9), atol=0.06) and sum(weights) == pytest.approx(1)


def test_the_fewer_the_groups_the_more_even():
    target, parts = out_of_fold(False, (0.1, 2.0, 2.0))
    alone = chosen(parts, target)
    four = chosen(parts, target, np.arange(200) // 50)
    one = chosen(parts, target, np.zeros(200, dtype=np.int64))
    assert alone[0] > 0.9 > four[0] > one[0] > 1 / 3
    # By hand: the best weights, and even ones that count as 20 groups.
    assert np.allclose(four, (4 * np.array([1, 0, 0]) + 20 / 3) / 24, atol=0.02)
    assert np.allclose(one, (np.array([1, 0, 0]) + 20 / 3) / 21, atol=0.02)


def test_one_group_that_differs_does_not_turn_the_weights():
    """With 20 groups of which one is much worse predicted by one head: with and without it nearly the same weights."""
    target, parts = out_of_fold(False, (1.0, 1.0, 1.0), n=400)
    groups = np.arange(400) // 20
    before = np.array(chosen(parts, target, groups))
    parts[0, groups == 0] += 2
    after = np.array(chosen(parts, target, groups))
    assert np.abs(before - after).max() < 0.15 and after[0] < before[0]


def test_the_seed_draws_the_groups():
    target, parts = out_of_fold(False, (1.0, 1.0, 1.0), n=40)
    one, again, other = (ensemble_weights(parts, np.ones(40), target, np.arange(40), seed) for seed in (1, 1, 2))
    assert one == again != other and np.allclose(one, other, atol=0.1)


def test_rows_in_no_fold_do_not_weigh():
    target, parts = out_of_fold(False, (0.3, 2.0, 2.0))
    expected = chosen(parts[:, :150], target[:150])
    parts[:, 150:] = np.nan
    assert chosen(parts, target) == expected and expected[0] > 0.8


def test_heads_that_say_the_same_weigh_the_same():
    target, parts = out_of_fold(True, (0.5, 0.5, 0.5))
    assert np.allclose(chosen(parts[[0, 0, 0]], target), 1 / 3, atol=0.07)


def test_abundances_are_judged_by_samples_that_they_speak_for():
    """They err less where ASVs are known, and are left out where they are not."""
    target, parts = out_of_fold(False, (1.0, 1.0, 0.1))
    parts[2, :100] = 50
    relevance = np.repeat([0.0, 1.0], 100)
    assert chosen(parts, target, relevance=relevance)[2] >= 0.8
    assert chosen(parts, target)[2] < 0.05
