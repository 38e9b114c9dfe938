import numpy as np
import pytest
from scipy.special import softmax

from q2_aam.models.forest_head import mean_outputs
from q2_aam.models.kernel_head import Compared
from q2_aam.training import joint_fit
from q2_aam.training.joint_fit import fit_forest, fit_joint
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
def test_what_comes_out_is_the_mean_of_both_heads(classes):
    given, level = samples()
    target = of_gradient(level) if classes else level
    folds = inner_folds(target, None, 0)
    fitted, kernel = fit_joint(given, target, folds), fit_kernel(given, target, folds)
    forest = fit_forest(given, target, 3 if classes else 1)
    expected = mean_outputs(kernel.head.outputs(given), forest.outputs(given, given))
    assert np.allclose(fitted.head.outputs(given), expected, atol=1e-5)
    for train, test in folds.splits:
        forest = fit_forest(given.subset(train), target[train], 3 if classes else 1)
        expected = mean_outputs(kernel.held_out[test], forest.outputs(given.subset(test), given.subset(train)))
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
