import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import KernelCenterer
from sklearn.svm import SVC

from q2_aam.heads import folds as folds_module
from q2_aam.heads import inner_folds, kernel
from q2_aam.heads.features import DISTANCES, squared_jaccard
from q2_aam.heads.kernel import KernelHead, directions, scaled_distances, similarity, typical_distances
from tests.heads.made_up import N, changed, fitted, samples, zones


def covariates_of(n, seed=3):
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


def head_of(features, **changes):
    rng = np.random.default_rng(5)
    parts = {
        "landmarks": features,
        "typical": typical_distances(features),
        "gamma": 0.7,
        "alpha": 0.1,
        "covariate_weight": 2.0 if features.covariates is not None else 0.0,
        "weight": rng.normal(size=(len(features), 3)),
        "bias": rng.normal(size=3),
    }
    return KernelHead(**{**parts, **changes})


def kernel_of(features, head):
    return similarity(scaled_distances(features, head.landmarks, head.typical), head.gamma)


def test_scaled_distances_are_the_mean_of_the_three_whatever_the_chunks(monkeypatch):
    features, _ = samples()
    typical = typical_distances(features)
    expected = sum(squared(features, features) / typical[kind] for kind, squared in DISTANCES.items()) / 3
    whole = scaled_distances(features, features, typical)
    monkeypatch.setattr(kernel, "ROWS", 5)
    assert np.allclose(whole, expected, rtol=1e-6)
    assert np.array_equal(scaled_distances(features, features, typical), whole)
    pairs = np.triu_indices(N, 1)
    assert np.isclose(np.median(squared_jaccard(features, features)[pairs]), typical["jaccard"])
    assert np.allclose(similarity(whole, 0.5), np.exp(-expected / 2), rtol=1e-5)


def test_a_samples_prediction_does_not_depend_on_the_others():
    features, _ = samples()
    head = head_of(features.subset(np.arange(8)))
    together = head.outputs(features.subset(np.arange(8, 12)))
    for row in range(4):
        assert np.allclose(head.outputs(features.subset(np.array([8 + row]))), together[row], atol=1e-6)


def test_covariates_enter_in_proportion():
    features, _ = samples(covariates_of(N))
    head = head_of(features)
    other = changed(features, covariates=features.covariates + 1)
    slope = 4.0 * np.ones((N, 2)) @ features.covariates.T @ head.weight
    assert np.allclose(head.outputs(other) - head.outputs(features), slope, atol=1e-4)


@pytest.mark.parametrize("covariates", [None, covariates_of(N)])
def test_a_stored_head_predicts_the_same(covariates):
    features, _ = samples(covariates)
    head = head_of(features.as_landmarks())
    again = KernelHead.from_tensors(head.to_tensors())
    new = features.subset(np.array([7, 1]))
    assert np.array_equal(again.outputs(new), head.outputs(new)) and head.outputs(new).shape == (2, 3)
    assert again.describe() == head.describe() and np.array_equal(again.known_asvs, head.known_asvs)


def part(name, place, value):
    """Tensors with one number of a part changed."""

    def change(tensors):
        tensors[name] = np.array(tensors[name])
        tensors[name][place] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update(weight=np.zeros((3, 1))),
        lambda tensors: tensors.update(weight=np.zeros((N, 0)), bias=np.zeros(0)),
        lambda tensors: tensors.update(indices=tensors["indices"][:1]),
        lambda tensors: tensors.update(indices=tensors["indices"].astype(float)),
        lambda tensors: tensors.update(typical=np.ones(2)),
        lambda tensors: tensors.update(typical=np.zeros(3)),
        lambda tensors: tensors.update(covariates=np.ones((N - 1, 2))),
        lambda tensors: tensors.update(more=np.ones(2)),
        lambda tensors: tensors.update(hashes=tensors["hashes"][::-1].copy()),
        lambda tensors: tensors.update(gamma=np.array(-1.0)),
        lambda tensors: tensors.update(gamma=np.array(np.nan)),
        part("indices", 0, 10**6),
        part("indices", 0, -1),
        # One ASV twice in a sample.
        lambda tensors: part("indices", 1, tensors["indices"][0])(tensors),
        part("indptr", 1, 10**6),
        part("presence", (0, 0), np.nan),
        part("presence", (0, 0), -1),
        part("shares", 0, -1),
        part("weight", (0, 0), np.inf),
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    features, _ = samples()
    tensors = head_of(features).to_tensors()
    KernelHead.from_tensors(tensors)
    change(tensors)
    with pytest.raises(ValueError):
        KernelHead.from_tensors(tensors)


def test_parts_that_are_missing_or_no_arrays_are_refused():
    features, _ = samples()
    tensors = head_of(features).to_tensors()
    for name in tensors:
        with pytest.raises(KeyError):
            KernelHead.from_tensors({other: part for other, part in tensors.items() if other != name})
        with pytest.raises(TypeError):
            KernelHead.from_tensors({**tensors, name: "abc"})
    with pytest.raises(TypeError):
        KernelHead.from_tensors("abc")


def test_numbers_are_scikit_learns_kernel_ridge():
    features, level = samples()
    head, out_of_fold = fitted(KernelHead, features, level)
    values = kernel_of(features, head)
    # Not all of the distances are Euclidean: what is left out is less than a hundredth.
    basis = values @ directions(values)
    assert np.abs(basis @ basis.T - values).max() < 0.01
    centred = KernelCenterer().fit_transform(basis @ basis.T)
    errors = {
        alpha: np.abs(
            KernelRidge(alpha=alpha, kernel="precomputed").fit(centred, level - level.mean()).predict(centred)
            + level.mean()
            - head.outputs(features)[:, 0]
        ).max()
        for alpha in kernel.RIDGE_ALPHAS
    }
    assert errors[head.alpha] == min(errors.values()) < 1e-3 < sorted(errors.values())[2]
    assert np.corrcoef(out_of_fold[:, 0], level)[0, 1] > 0.8


def test_classes_are_scikit_learns_logistic_regression_on_the_kernel():
    features, level = samples()
    codes = zones(level)
    head, out_of_fold = fitted(KernelHead, features, codes)
    values = kernel_of(features, head)
    coordinates = values @ directions(values)
    assert np.abs(coordinates @ coordinates.T - values).max() < 0.01
    outputs = head.outputs(features)
    probabilities = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    logistic = LogisticRegression(C=1 / head.alpha, class_weight="balanced", max_iter=1000).fit(coordinates, codes)
    assert np.abs(logistic.predict_proba(coordinates) - probabilities).max() < 0.01
    assert (out_of_fold.argmax(1) == codes).mean() > 0.6


def test_two_classes_have_two_logits_and_stand_like_a_support_vector_machines():
    features, level = samples()
    codes = (level > 0).astype(np.int64)
    head, out_of_fold = fitted(KernelHead, features, codes)
    assert out_of_fold.shape == (N, 2) and head.outputs(features).shape == (N, 2)
    values = kernel_of(features, head)
    machine = SVC(kernel="precomputed").fit(values, codes).decision_function(values)
    assert np.corrcoef(np.diff(head.outputs(features))[:, 0], machine)[0, 1] > 0.8


@pytest.mark.parametrize("classes", [False, True])
def test_out_of_fold_predictions_are_those_of_a_head_without_the_fold(classes, monkeypatch):
    features, level = samples()
    target = zones(level) if classes else level
    groups = np.array([f"g{i // 4}" for i in range(N)])
    assert np.isfinite(fitted(KernelHead, features, target, groups).out_of_fold).all()
    # The choice among settings does see the folds; with one setting there is none.
    monkeypatch.setattr(kernel, "GAMMAS", (1.0,))
    monkeypatch.setattr(kernel, "RIDGE_ALPHAS", [0.1])
    monkeypatch.setattr(kernel, "LOGISTIC_ALPHAS", [1.0])
    out_of_fold = fitted(KernelHead, features, target, groups).out_of_fold
    for _, test in inner_folds(target, groups, 0).splits:
        absurd = target.copy()
        absurd[test] = (target[test] + 1) % 3 if classes else 100.0
        others = np.setdiff1d(np.arange(N), test)
        again = fitted(KernelHead, features, absurd, groups).out_of_fold
        assert np.array_equal(again[test], out_of_fold[test])
        assert not np.allclose(again[others], out_of_fold[others])


def test_few_landmarks_stand_for_many_samples(monkeypatch):
    features, level = samples()
    monkeypatch.setattr(folds_module, "MAX_LANDMARKS", 15)
    head, out_of_fold = fitted(KernelHead, features, level)
    assert len(head.landmarks) == 15 and out_of_fold.shape == (N, 1)
    assert np.corrcoef(out_of_fold[:, 0], level)[0, 1] > 0.7


def test_the_seed_decides_the_folds_and_nothing_else_is_random():
    features, level = samples()
    one, again, other = (fitted(KernelHead, features, level, None, seed).out_of_fold for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_a_group_is_in_one_fold_only():
    features, _ = samples()
    # Groups of alike samples with one value each: a head that has seen a group would know it.
    groups = np.repeat(np.arange(8), 5)
    noise = np.random.default_rng(0).normal(size=8).astype(np.float32)[groups]
    twins = features.subset(np.repeat(np.arange(8) * 5, 5))
    honest = fitted(KernelHead, twins, noise, groups).out_of_fold[:, 0]
    leaking = fitted(KernelHead, twins, noise).out_of_fold[:, 0]
    assert np.mean((leaking - noise) ** 2) < 0.1 < np.mean((honest - noise) ** 2)


def test_it_says_what_was_chosen():
    features, level = samples(covariates_of(N))
    head = fitted(KernelHead, features, level).head
    assert head.describe() == (
        f"Kernel head: each sample is compared with 40 landmarks by predicted UniFrac, shared ASVs and abundances "
        f"(gamma {head.gamma:g}, alpha {head.alpha:g}). It also reads 2 covariates (weight {head.covariate_weight:g})."
    )


@pytest.mark.parametrize("classes", [False, True])
def test_threads_and_memory_change_no_number_and_torch_has_its_threads_again(classes, monkeypatch):
    features, target = samples()
    target = zones(target) if classes else target
    before, found = torch.get_num_threads(), []
    for threads, size in ((1, 2**31), (3, 2**31), (3, 1)):
        monkeypatch.setattr(kernel, "BYTES", size)
        torch.set_num_threads(threads)
        try:
            found.append(fitted(KernelHead, features, target))
            assert torch.get_num_threads() == threads
            with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
                patch.setattr(kernel, "directions", lambda _: 1 / 0)
                fitted(KernelHead, features, target)
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    for one in found[1:]:
        np.testing.assert_allclose(one.out_of_fold, found[0].out_of_fold, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one.head.weight, found[0].head.weight, rtol=1e-6, atol=1e-9)
