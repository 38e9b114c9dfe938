import numpy as np
import pytest
from scipy.special import softmax

from q2_aam.models.forest_head import weighted_mean
from q2_aam.models.kernel_head import Compared
from q2_aam.training import joint_fit
from q2_aam.training.joint_fit import chosen_weight, fit_forest, fit_joint
from q2_aam.training.kernel_fit import fit_kernel, inner_folds
from q2_aam.training.prediction import encode_samples
from tests import tiny

N = 40


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(joint_fit, "TREES", 20)


def samples():
    """Communities along a gradient, and the place of each on it."""
    communities = tiny.survey(N)
    given = Compared.of(communities, encode_samples(tiny.network(), communities))
    return given, (4 * tiny.gradient(N) - 2).astype(np.float32)


def of_gradient(level):
    return np.digitize(level, np.quantile(level, [1 / 3, 2 / 3])).astype(np.int64)


@pytest.mark.parametrize("classes", [False, True])
def test_what_comes_out_is_the_weighted_mean_of_both_heads(classes, monkeypatch):
    monkeypatch.setattr(joint_fit, "chosen_weight", lambda *given: 0.3)
    given, level = samples()
    target = of_gradient(level) if classes else level
    folds = inner_folds(target, None, 0)
    fitted, kernel = fit_joint(given, target, folds), fit_kernel(given, target, folds)
    forest = fit_forest(given, target, 3 if classes else 1)
    expected = weighted_mean(kernel.head.outputs(given), forest.outputs(given, given), 0.3)
    assert np.allclose(fitted.head.outputs(given), expected, atol=1e-5)
    for train, test in folds.splits:
        forest = fit_forest(given.subset(train), target[train], 3 if classes else 1)
        trees = forest.outputs(given.subset(test), given.subset(train))
        expected = weighted_mean(kernel.held_out[test], trees, 0.3)
        assert np.allclose(fitted.held_out[test], expected, atol=1e-5)
    if classes:
        assert np.allclose(softmax(fitted.held_out, axis=1), np.exp(fitted.held_out), atol=1e-5)
    else:
        assert np.corrcoef(fitted.held_out[:, 0], level)[0, 1] > 0.8


def test_threads_change_nothing_and_the_seed_does():
    given, level = samples()
    folds = inner_folds(level, None, 0)
    one, two, other = (
        fit_joint(given, level, folds, seed, threads).held_out for seed, threads in ((0, 1), (0, 2), (1, 1))
    )
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_a_row_in_no_fold_is_not_predicted():
    given, level = samples()
    folds = inner_folds(level, None, 0)
    left = folds.splits[-1][1]
    held_out = fit_joint(given, level, folds._replace(splits=folds.splits[:-1])).held_out
    assert np.isnan(held_out[left]).all() and np.isnan(held_out).sum() == len(left)


def held_out(classes, errors, n=200, seed=0):
    """Targets, and outputs of two heads that err as much as is said."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    seen = [(level + error * rng.normal(size=n))[:, None].astype(np.float32) for error in errors]
    if not classes:
        return level.astype(np.float32), *seen
    # likelihood of a class above 0 is that of the normal distribution, nearly
    return (level > 0).astype(np.int64), *(
        np.concatenate([-part, part], 1) * np.float32(1.7 / error) for part, error in zip(seen, errors, strict=True)
    )


@pytest.mark.parametrize("classes", [False, True])
def test_the_weight_is_that_of_the_head_that_is_clearly_better(classes):
    members = np.arange(200)
    target, good, bad = held_out(classes, (0.3, 2.0))
    assert chosen_weight(good, bad, target, members) <= 0.1
    assert chosen_weight(bad, good, target, members) >= 0.9


def test_the_weight_errs_least_of_all():
    """Numbers, of which the best weight is known: errors are independent, so it goes by their variances."""
    target, one, other = held_out(False, (0.5, 1.0), n=20_000)
    assert chosen_weight(one, other, target, np.arange(20_000)) == pytest.approx(0.2)


def test_the_weight_stays_one_half_where_few_groups_do_not_say_otherwise():
    """The trees err less by the sum of all samples, but by one group alone."""
    target = np.zeros(40, dtype=np.float32)
    members = np.arange(40) // 10
    kernel, trees = np.full((40, 1), 0.5, dtype=np.float32), np.full((40, 1), -0.5, dtype=np.float32)
    kernel[members == 0] = 2
    trees[members == 0] = 0.1
    errors = [np.sum(np.square(part)) for part in (kernel, trees, (kernel + trees) / 2)]
    assert errors[1] < errors[2] < errors[0]
    assert chosen_weight(kernel, trees, target, members) == 0.5
    # as many samples, but all of their own
    few = chosen_weight(kernel, trees, target, np.arange(40))
    assert few > 0.5
    assert chosen_weight(kernel, trees, target, np.zeros(40, dtype=np.int64)) == 0.5


def test_rows_in_no_fold_do_not_weigh():
    target, good, bad = held_out(False, (0.3, 2.0))
    expected = chosen_weight(good[:150], bad[:150], target[:150], np.arange(150))
    good[150:], bad[150:] = np.nan, np.nan
    assert chosen_weight(good, bad, target, np.arange(200)) == expected != 0.5


def test_heads_that_say_the_same_count_alike():
    target, one, _ = held_out(True, (0.5, 1.0))
    assert chosen_weight(one, one, target, np.arange(200)) == 0.5


def test_groups_of_the_samples_are_those_that_are_given():
    given, level = samples()
    groups = np.array(list("abcde")).repeat(8)
    assert inner_folds(level, groups, 0).members.tolist() == np.arange(5).repeat(8).tolist()
    assert inner_folds(level, None, 0).members.tolist() == list(range(N))
