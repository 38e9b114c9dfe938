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


def test_weights_stay_as_usual_where_few_groups_do_not_say_otherwise():
    """The trees err less by the sum of all samples, but by one group alone."""
    target, groups = np.zeros(40, dtype=np.float32), np.arange(40) // 10
    parts = np.full((3, 40, 1), 0.5, dtype=np.float32)
    parts[1:] = -0.5
    parts[0, groups == 0] = 2
    parts[1:, groups == 0] = 0.1
    errors = [np.square(part).sum() for part in (parts[0], parts[1], parts[:2].mean(0))]
    assert errors[1] < errors[2] < errors[0]
    usual = (0.5, 0.5, 0.0)
    assert chosen(parts, target, groups) == usual
    # As many samples, each for itself.
    assert chosen(parts, target)[0] < 0.5
    assert chosen(parts, target, np.zeros(40, dtype=np.int64)) == usual


def test_with_few_groups_weights_are_seldom_chosen_in_vain():
    """Two heads that are equally good and a bad one: the usual weights are the best, and nearly always stay."""
    changed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        target, parts = out_of_fold(False, (1.0, 1.0, 3.0), n=40, seed=seed)
        parts += rng.normal(size=(3, 4)).repeat(10, 1)[..., None].astype(np.float32)
        changed += chosen(parts, target, np.arange(40) // 10) != (0.5, 0.5, 0.0)
    assert changed <= 8


def test_rows_in_no_fold_do_not_weigh():
    target, parts = out_of_fold(False, (0.3, 2.0, 2.0))
    expected = chosen(parts[:, :150], target[:150])
    parts[:, 150:] = np.nan
    assert chosen(parts, target) == expected != (0.5, 0.5, 0.0)


def test_heads_that_say_the_same_weigh_as_usual():
    target, parts = out_of_fold(True, (0.5, 0.5, 0.5))
    assert chosen(parts[[0, 0, 0]], target) == (0.5, 0.5, 0.0)


def test_abundances_are_judged_by_samples_that_they_speak_for():
    """They err less where ASVs are known, and are left out where they are not."""
    target, parts = out_of_fold(False, (1.0, 1.0, 0.1))
    parts[2, :100] = 50
    relevance = np.repeat([0.0, 1.0], 100)
    assert chosen(parts, target, relevance=relevance)[2] >= 0.8
    assert chosen(parts, target)[2] == 0
