import numpy as np
import pytest
from scipy.special import softmax

from q2_aam.heads import ensemble_fit as joint_fit
from q2_aam.heads import kernel_fit
from q2_aam.heads.ensemble_fit import chosen_weights, fit_forest, fit_joint
from q2_aam.heads.kernel import Compared, trust_in_abundances
from q2_aam.heads.kernel_fit import familiar_to_others, fit_kernel, inner_folds
from q2_aam.heads.trees import sample_weights, weighted_mean
from q2_aam.prediction import compare_samples, encode_samples
from tests import tiny

N = 40


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(joint_fit, "TREES", 20)
    monkeypatch.setattr(joint_fit, "ABUNDANCE_TREES", 10)


def samples():
    """Communities along a gradient, and the place of each on it."""
    communities = tiny.survey(N)
    given = Compared.of(communities, encode_samples(tiny.network(), communities))
    return given, (4 * tiny.gradient(N) - 2).astype(np.float32)


def of_gradient(level):
    return np.digitize(level, np.quantile(level, [1 / 3, 2 / 3])).astype(np.int64)


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (0.5, 0.5, 0.0), (0.4, 0.0, 0.6)])
def test_what_comes_out_is_the_weighted_mean_of_all_heads(classes, weights, monkeypatch):
    monkeypatch.setattr(joint_fit, "chosen_weights", lambda *given: weights)
    given, level = samples()
    target = of_gradient(level) if classes else level
    folds = inner_folds(target, None, 0)
    fitted, kernel = fit_joint(given, target, folds), fit_kernel(given, target, folds)
    kept = (fitted.head.embedding, fitted.head.abundance)
    assert [part is not None for part in kept] == [weight > 0 for weight in weights[1:]]

    def forests(train, asked):
        known = given.subset(train)
        kinds = (fit_forest(given, target, train, 3 if classes else 1, support=which) for which in (None, known))
        return [forest.outputs(asked, known) for forest in kinds]

    everyone = np.arange(N)
    # every ASV is in nearly all of the samples
    assert trust_in_abundances(given, given, given.hashes).min() == 1
    expected = weighted_mean([kernel.head.outputs(given), *forests(everyone, given)], weights)
    assert np.allclose(fitted.head.outputs(given), expected, atol=1e-5)
    for train, test in folds.splits:
        expected = weighted_mean([kernel.held_out[test], *forests(train, given.subset(test))], weights)
        assert np.allclose(fitted.held_out[test], expected, atol=1e-5)
    if classes:
        assert np.allclose(softmax(fitted.held_out, axis=1), np.exp(fitted.held_out), atol=1e-5)
    else:
        assert np.corrcoef(fitted.held_out[:, 0], level)[0, 1] > 0.8


def test_weights_are_chosen_by_groups_and_by_what_is_familiar_to_other_folds(monkeypatch):
    """Samples 7 and 8 hold two ASVs each, of which one is in no other sample."""
    communities = tiny.survey(N)
    communities.counts[[7, 8]] = 0
    communities.counts[:, [0, 1]] = 0
    communities.counts[[7, 7, 8, 8], [0, 5, 1, 6]] = 50
    communities.counts.eliminate_zeros()
    groups = np.arange(N) // 4
    level = (4 * tiny.gradient(N) - 2).astype(np.float32)
    folds = inner_folds(level, groups, 0)
    network, asked = tiny.network(), []

    def chosen(*given):
        asked.append(given)
        return 0.3, 0.3, 0.4

    monkeypatch.setattr(joint_fit, "chosen_weights", chosen)
    given = compare_samples(network, communities, familiar_to_others(communities, folds))
    fitted = fit_joint(given, level, folds)
    ((parts, trust, target, members),) = asked
    assert np.array_equal(members, groups) and np.array_equal(target, level)
    assert trust[[7, 8]].tolist() == [0.5, 0.5] and (np.delete(trust, [7, 8]) == 1).all()
    weights = np.array([0.3, 0.3, 0.4 * 0.5]) / 0.8
    assert np.allclose(fitted.held_out[[7, 8], 0], weights @ parts[:, [7, 8], 0], atol=1e-5)
    assert np.allclose(fitted.held_out[0, 0], np.array([0.3, 0.3, 0.4]) @ parts[:, 0, 0], atol=1e-5)


def test_beyond_so_many_samples_folds_are_predicted_as_new_samples_are(monkeypatch):
    """Abundances are of ASVs that the samples compared with hold, which are not all that are learnt from."""
    monkeypatch.setattr(kernel_fit, "MOST_SUPPORT", 15)
    monkeypatch.setattr(joint_fit, "chosen_weights", lambda *given: (0.3, 0.3, 0.4))
    communities = tiny.survey(N)
    level = (4 * tiny.gradient(N) - 2).astype(np.float32)
    folds = inner_folds(level, None, 0)
    communities.counts[folds.support[:, None], np.arange(5)] = 0
    communities.counts.eliminate_zeros()
    given = Compared.of(communities, encode_samples(tiny.network(), communities))
    kernel, fitted = fit_kernel(given, level, folds), fit_joint(given, level, folds)
    assert len(fitted.head.support) == 15
    assert len(fitted.head.abundance.asvs) <= len(given.hashes) - 5
    for train, test in folds.splits:
        others, asked = given.subset(np.intersect1d(train, folds.support)).as_support(), given.subset(test)
        forests = [fit_forest(given, level, train, 1, support=which) for which in (None, others)]
        parts = [kernel.held_out[test], *(forest.outputs(asked, others) for forest in forests)]
        weights = sample_weights((0.3, 0.3, 0.4), trust_in_abundances(asked, others, forests[1].asvs))
        assert np.allclose(fitted.held_out[test], weighted_mean(parts, weights), atol=1e-5)


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
    """Targets, and outputs of three heads that err as much as is said."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    seen = [(level + error * rng.normal(size=n))[:, None].astype(np.float32) for error in errors]
    if not classes:
        return level.astype(np.float32), np.stack(seen)
    # the likelihood that it is above 0 is that of a normal distribution, nearly
    logits = [part * np.float32(1.7 / error) for part, error in zip(seen, errors, strict=True)]
    return (level > 0).astype(np.int64), np.stack([np.concatenate([-part, part], 1) for part in logits])


def chosen(parts, target, members=None, trust=None):
    n = len(target)
    return chosen_weights(
        parts, np.ones(n) if trust is None else trust, target, np.arange(n) if members is None else members
    )


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_head_that_is_clearly_better_weighs_most(classes, best):
    errors = [2.0, 2.0, 2.0]
    errors[best] = 0.3
    target, parts = held_out(classes, errors)
    assert chosen(parts, target)[best] >= 0.8


def test_the_weights_err_least_of_all():
    """Numbers, of which the best weights are known: errors are independent, so they go by their variances."""
    target, parts = held_out(False, (0.5, 1.0, 0.5), n=40_000)
    found = chosen(parts, target)
    assert np.allclose(found, (4 / 9, 1 / 9, 4 / 9), atol=0.06) and sum(found) == pytest.approx(1)


def test_weights_stay_as_usual_where_few_groups_do_not_say_otherwise():
    """The trees err less by the sum of all samples, but by one group alone."""
    target, members = np.zeros(40, dtype=np.float32), np.arange(40) // 10
    parts = np.full((3, 40, 1), 0.5, dtype=np.float32)
    parts[1:] = -0.5
    parts[0, members == 0] = 2
    parts[1:, members == 0] = 0.1
    errors = [np.square(part).sum() for part in (parts[0], parts[1], parts[:2].mean(0))]
    assert errors[1] < errors[2] < errors[0]
    usual = (0.5, 0.5, 0.0)
    assert chosen(parts, target, members) == usual
    # as many samples, each for itself
    assert chosen(parts, target)[0] < 0.5
    assert chosen(parts, target, np.zeros(40, dtype=np.int64)) == usual


def test_with_few_groups_weights_are_seldom_chosen_in_vain():
    """Two heads that are equally good and a bad one: the usual weights are the best, and nearly always stay."""
    changed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        target, parts = held_out(False, (1.0, 1.0, 3.0), n=40, seed=seed)
        parts += rng.normal(size=(3, 4)).repeat(10, 1)[..., None].astype(np.float32)
        changed += chosen(parts, target, np.arange(40) // 10) != (0.5, 0.5, 0.0)
    assert changed <= 8


def test_rows_in_no_fold_do_not_weigh():
    target, parts = held_out(False, (0.3, 2.0, 2.0))
    expected = chosen(parts[:, :150], target[:150])
    parts[:, 150:] = np.nan
    assert chosen(parts, target) == expected != (0.5, 0.5, 0.0)


def test_heads_that_say_the_same_weigh_as_usual():
    target, parts = held_out(True, (0.5, 0.5, 0.5))
    assert chosen(parts[[0, 0, 0]], target) == (0.5, 0.5, 0.0)


def test_abundances_are_judged_by_samples_that_they_speak_for():
    """They err less where ASVs are familiar, and are left out where they are not."""
    target, parts = held_out(False, (1.0, 1.0, 0.1))
    parts[2, :100] = 50
    trust = np.repeat([0.0, 1.0], 100)
    assert chosen(parts, target, trust=trust)[2] >= 0.8
    assert chosen(parts, target)[2] == 0


def test_groups_of_the_samples_are_those_that_are_given():
    given, level = samples()
    groups = np.array(list("abcde")).repeat(8)
    assert inner_folds(level, groups, 0).members.tolist() == np.arange(5).repeat(8).tolist()
    assert inner_folds(level, None, 0).members.tolist() == list(range(N))
