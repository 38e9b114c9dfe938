import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import KernelCenterer
from sklearn.svm import SVC

from q2_aam.heads import ensemble_fit as joint_fit
from q2_aam.heads import kernel_fit
from q2_aam.heads.ensemble_fit import fit_joint
from q2_aam.heads.kernel import Compared, scaled_distances, similarity
from q2_aam.heads.kernel_fit import directions, familiar_to_others, fit_kernel, inner_folds
from q2_aam.prediction import compare_samples, encode_samples, predict_samples
from tests import tiny

N = 40


def samples(condition=None):
    """Communities along a gradient, and the place of each on it."""
    communities = tiny.survey(N)
    encoding = encode_samples(tiny.network(), communities)
    return Compared.of(communities, encoding, condition), (4 * tiny.gradient(N) - 2).astype(np.float32)


def fitted_to(given, target, groups, random_seed):
    return fit_kernel(given, target, inner_folds(target, groups, random_seed))


def of_gradient(level, classes=3):
    return np.digitize(level, np.quantile(level, np.arange(1, classes) / classes)).astype(np.int64)


def alike_of(given, head):
    return similarity(scaled_distances(given, head.support, head.typical), head.sharpness)


def test_numbers_are_scikit_learns_kernel_ridge():
    given, level = samples()
    fitted = fitted_to(given, level, None, 0)
    alike = alike_of(given, fitted.head)
    # Not all of the distances are Euclidean: what is left out is less than a hundredth.
    basis = alike @ directions(alike)
    assert np.abs(basis @ basis.T - alike).max() < 0.01
    centred = KernelCenterer().fit_transform(basis @ basis.T)
    errors = [
        np.abs(
            KernelRidge(alpha=penalty, kernel="precomputed").fit(centred, level - level.mean()).predict(centred)
            + level.mean()
            - fitted.head.outputs(given)[:, 0]
        ).max()
        for penalty in kernel_fit.RIDGE_PENALTIES
    ]
    # One of the penalties it was.
    assert min(errors) < 1e-3 < sorted(errors)[2]
    assert np.corrcoef(fitted.held_out[:, 0], level)[0, 1] > 0.8


def test_classes_are_scikit_learns_logistic_regression_on_the_kernel():
    given, level = samples()
    codes = of_gradient(level)
    fitted = fitted_to(given, codes, None, 0)
    alike = alike_of(given, fitted.head)
    features = alike @ directions(alike)
    assert np.abs(features @ features.T - alike).max() < 0.01
    outputs = fitted.head.outputs(given)
    found = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    errors = []
    for inverse in kernel_fit.LOGISTIC_INVERSE_PENALTIES:
        logistic = LogisticRegression(C=inverse, class_weight="balanced", max_iter=1000).fit(features, codes)
        errors.append(np.abs(logistic.predict_proba(features) - found).max())
    assert min(errors) < 0.01
    assert (fitted.held_out.argmax(1) == codes).mean() > 0.6


def test_two_classes_have_two_logits_and_stand_like_a_support_vector_machines():
    given, level = samples()
    codes = (level > 0).astype(np.int64)
    fitted = fitted_to(given, codes, None, 0)
    assert fitted.held_out.shape == (N, 2) and fitted.head.outputs(given).shape == (N, 2)
    alike = alike_of(given, fitted.head)
    machine = SVC(kernel="precomputed").fit(alike, codes).decision_function(alike)
    assert np.corrcoef(np.diff(fitted.head.outputs(given))[:, 0], machine)[0, 1] > 0.8


@pytest.mark.parametrize("classes", [False, True])
def test_held_out_predictions_are_those_of_a_head_without_the_fold(classes):
    given, level = samples()
    target = of_gradient(level) if classes else level
    groups = np.array([f"g{i // 4}" for i in range(N)])
    held_out = fitted_to(given, target, groups, 0).held_out
    assert np.isfinite(held_out).all()
    for _, test in inner_folds(target, groups, 0).splits:
        # Whatever was measured of a fold, what is said of it stays within a sharpness and a penalty the same.
        absurd = target.copy()
        absurd[test] = 0 if classes else 100.0
        with pytest.MonkeyPatch.context() as patch:
            # The choice among settings does see the folds; with one setting there is none.
            patch.setattr(kernel_fit, "SHARPNESS", (1.0,))
            patch.setattr(kernel_fit, "RIDGE_PENALTIES", [0.1])
            patch.setattr(kernel_fit, "LOGISTIC_INVERSE_PENALTIES", [1.0])
            if classes:
                absurd[test] = np.roll(target[test], 1)
            before = fitted_to(given, target, groups, 0).held_out[test]
            assert np.array_equal(fitted_to(given, absurd, groups, 0).held_out[test], before)
            other = np.setdiff1d(np.arange(N), test)
            assert not np.allclose(fitted_to(given, absurd, groups, 0).held_out[other], held_out[other])


def test_few_samples_compared_with_stand_for_many(monkeypatch):
    given, level = samples()
    monkeypatch.setattr(kernel_fit, "MOST_SUPPORT", 15)
    fitted = fitted_to(given, level, None, 0)
    assert len(fitted.head.support) == 15 and fitted.held_out.shape == (N, 1)
    assert np.corrcoef(fitted.held_out[:, 0], level)[0, 1] > 0.7


def test_a_condition_that_tells_the_target_is_used():
    rng = np.random.default_rng(3)
    condition = rng.normal(size=(N, 1)).astype(np.float32)
    given, level = samples(condition)
    target = (3 * condition[:, 0] + level).astype(np.float32)
    fitted = fitted_to(given, target, None, 0)
    blind = fitted_to(Compared(given.presence, given.shares, given.hashes), target, None, 0)
    errors = [np.mean((part.held_out[:, 0] - target) ** 2) for part in (fitted, blind)]
    assert errors[0] < 0.3 * errors[1] and fitted.head.loudness > 0 == blind.head.loudness


def test_the_seed_decides_the_folds_and_nothing_else_is_random():
    given, level = samples()
    one, again, other = (fitted_to(given, level, None, seed).held_out for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_classes_that_no_fold_can_spare_are_refused():
    given, level = samples()
    codes = (level > 0).astype(np.int64)
    with pytest.raises(ValueError, match="^The kernel head needs inner folds whose training parts hold"):
        fitted_to(given, codes, codes.astype(str), 0)


def test_a_group_is_in_one_fold_only():
    given, level = samples()
    # Groups of alike samples with one value each: a head that has seen a group would know it.
    groups = np.repeat(np.arange(8), 5)
    noise = np.random.default_rng(0).normal(size=8).astype(np.float32)[groups]
    twins = given.subset(np.repeat(np.arange(8) * 5, 5))
    honest = fitted_to(twins, noise, groups, 0).held_out[:, 0]
    told = fitted_to(twins, noise, None, 0).held_out[:, 0]
    assert np.mean((told - noise) ** 2) < 0.1 < np.mean((honest - noise) ** 2)


def test_familiar_is_what_the_folds_learnt_from_hold(monkeypatch):
    monkeypatch.setattr(kernel_fit, "MOST_SUPPORT", 30)
    communities, groups = tiny.survey(N), np.array([f"g{i // 4}" for i in range(N)])
    # Some ASVs are of one group alone.
    for column in range(5):
        communities.counts[:, column] = sp.csr_matrix((groups == f"g{column}")[:, None].astype(np.float32))
    communities.counts.eliminate_zeros()
    # Two columns of one sequence are one ASV.
    tokens = np.concatenate([communities.tokens, communities.tokens[:1]])
    twice = sp.hstack([communities.counts, communities.counts[:, :1]]).tocsr()
    communities = tiny.changed(communities, tokens=tokens, counts=twice)
    folds = inner_folds(np.arange(N).astype(np.float32), groups, 0)
    assert len(folds.support) == 30
    folds = folds._replace(splits=folds.splits[:-1])
    counts = communities.counts.toarray()
    expected = counts.copy()
    for train, test in folds.splits:
        held = (counts[np.intersect1d(train, folds.support)] > 0).any(0)
        held[[0, -1]] = held[[0, -1]].any()
        expected[np.ix_(test, ~held)] = 0
    assert (expected != counts).any()
    assert np.array_equal(familiar_to_others(communities, folds).toarray(), expected)


@pytest.mark.parametrize("fit_head", [fit_kernel, fit_joint])
def test_what_is_said_of_a_fold_is_what_predict_would_say(fit_head, monkeypatch):
    """The head of the other folds, given the fold as a new table is given to it."""
    monkeypatch.setattr(joint_fit, "TREES", 20)
    monkeypatch.setattr(joint_fit, "chosen_weights", lambda *given: (0.4, 0.3, 0.3))
    network, communities = tiny.network(), tiny.survey(N)
    # An ASV that one sample alone holds, which is new to the head of the other folds.
    communities.counts[:, 0] = 0
    communities.counts[7, 0] = 50
    communities.counts.eliminate_zeros()
    level = (4 * tiny.gradient(N) - 2).astype(np.float32)
    folds = inner_folds(level, None, 0)
    samples = compare_samples(network, communities, familiar_to_others(communities, folds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_fit, "SHARPNESS", (1.0,))
        patch.setattr(kernel_fit, "RIDGE_PENALTIES", [0.1])
        fitted = fit_head(samples, level, folds)
        kernel = getattr(fitted.head, "kernel", fitted.head)
        # Typical distances alone are of all samples.
        patch.setattr(kernel_fit, "typical_distances", lambda _: kernel.typical)
        for train, test in folds.splits:
            part = communities.subset(train)
            own = compare_samples(network, part, part.counts)
            head = fit_head(own, level[train], inner_folds(level[train], None, 0)).head
            found = predict_samples(network, head, communities.subset(test))
            assert np.allclose(found, fitted.held_out[test], atol=1e-4)
