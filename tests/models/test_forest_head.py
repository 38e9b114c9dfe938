import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.models import forest_head
from q2_aam.models.forest_head import ForestHead, JointHead, weighted_mean
from q2_aam.models.kernel_head import Compared, KernelHead, familiarity, typical_distances
from q2_aam.training import joint_fit
from q2_aam.training.joint_fit import fit_forest

N, NUMBERS = 60, 7


def compared(n=N, seed=0, asvs=9):
    """Samples with made-up embeddings, each holding some ASVs."""
    rng = np.random.default_rng(seed)
    embedding = torch.from_numpy(rng.normal(size=(n, NUMBERS)).astype(np.float32))
    held = rng.random((n, asvs)) < 0.6
    held[:, 0] = True
    shares = sp.csr_matrix(held / held.sum(1, keepdims=True))
    return Compared(embedding[:, :3].sigmoid(), shares, np.arange(asvs), embedding=embedding)


def level(samples):
    return (samples.embedding[:, 0] + samples.embedding[:, 1] ** 2).numpy()


def codes(samples):
    """Three classes, of which the first is three in four samples."""
    return np.digitize(level(samples), np.quantile(level(samples), [0.75, 0.9])).astype(np.int64)


def grown(kind, samples, target, **settings):
    settings = {"max_features": joint_fit.TRIED, "random_state": 0, **settings}
    return kind(joint_fit.TREES, **settings).fit(samples.embedding.numpy(), target)


def test_numbers_are_scikit_learns():
    samples, new = compared(), compared(25, 1)
    forest = fit_forest(samples, level(samples), 1)
    expected = grown(ExtraTreesRegressor, samples, level(samples)).predict(new.embedding.numpy())
    assert np.allclose(forest.outputs(new, samples)[:, 0], expected, atol=1e-5)
    assert len(forest.roots) == joint_fit.TREES and forest.outputs(new, samples).dtype == np.float32


def test_classes_are_scikit_learns_brought_to_like_frequencies():
    samples, new = compared(), compared(25, 1)
    target = codes(samples)
    forest = fit_forest(samples, target, 3)
    expected = grown(ExtraTreesClassifier, samples, target).predict_proba(new.embedding.numpy())
    expected = (expected + 0.001) / (np.bincount(target) / N)
    outputs = forest.outputs(new, samples)
    assert np.allclose(np.exp(outputs), expected / expected.sum(1, keepdims=True), atol=1e-5)
    assert (outputs.argmax(1) != 0).sum() > (codes(new) != 0).sum() / 2


def test_a_class_that_is_not_there_is_not_named():
    samples = compared()
    target = codes(samples) * 2
    outputs = fit_forest(samples, target, 5).outputs(samples, samples)
    assert np.exp(outputs[:, [1, 3]]).max() < 0.01 and np.isfinite(outputs).all()


def test_leaves_hold_several_of_many_samples(monkeypatch):
    samples = compared()
    whole = fit_forest(samples, level(samples), 1)
    monkeypatch.setattr(joint_fit, "LEAVES", 10)
    few = fit_forest(samples, level(samples), 1)
    expected = grown(ExtraTreesRegressor, samples, level(samples), min_samples_leaf=6)
    expected = expected.predict(samples.embedding.numpy())
    assert np.allclose(few.outputs(samples, samples)[:, 0], expected, atol=1e-5)
    assert len(few.place) < len(whole.place) / 3


def test_no_more_than_so_many_samples_are_learnt_from(monkeypatch):
    monkeypatch.setattr(joint_fit, "MOST_LEARNT", 20)
    samples = compared()
    forest = fit_forest(samples, level(samples), 1)
    # Of what they have learnt, trees whose leaves hold one sample know the answer.
    known = np.isclose(forest.outputs(samples, samples)[:, 0], level(samples), atol=1e-5)
    assert known.sum() == 20


@pytest.mark.parametrize("classes", [False, True])
def test_new_asvs_are_read_as_far_as_familiar_ones_are_few(classes):
    samples = compared()
    forest = fit_forest(samples, codes(samples) if classes else level(samples), 3 if classes else 1)
    new = compared(3, 1)
    parts = [new.shares[0], new.shares[1].copy(), new.shares[2] * 0]
    parts[1].data[2:] = 0
    shares = sp.vstack(parts).tocsr()
    shares.eliminate_zeros()
    known = compared(3, 2).embedding
    mixed = Compared(new.presence, shares, new.hashes.copy(), None, known[:, :3], new.embedding, known)
    weight = familiarity(mixed, samples)[:, None]
    assert 0 < weight[1] < 1 and weight[2] == 0
    back = np.exp if classes else np.asarray
    whole, familiar = (
        back(forest.outputs(Compared(new.presence, shares, new.hashes, embedding=part), samples))
        for part in (new.embedding, known)
    )
    assert np.allclose(back(forest.outputs(mixed, samples)), weight * familiar + (1 - weight) * whole, atol=1e-6)
    assert not np.allclose(whole, familiar)


def test_kept_as_tensors_it_predicts_the_same_whatever_the_portions(tmp_path, monkeypatch):
    samples = compared()
    forest = fit_forest(samples, codes(samples), 3)
    torch.save(forest.to_tensors(), tmp_path / "head.pt")
    again = ForestHead.from_tensors(torch.load(tmp_path / "head.pt", weights_only=True), NUMBERS, 3)
    expected = forest.outputs(samples, samples)
    monkeypatch.setattr(forest_head, "ROWS", 7)
    assert np.array_equal(again.outputs(samples, samples), expected)


def damaged(name, change):
    def damage(parts):
        part = parts[name].clone()
        change(part)
        return {**parts, name: part}

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda parts: {**parts, "value": parts["value"][:-1]},
        lambda parts: {**parts, "threshold": parts["threshold"][:-1]},
        lambda parts: {**parts, "children": parts["children"][:, :1]},
        lambda parts: {**parts, "roots": parts["roots"][:0]},
        damaged("roots", lambda part: part.fill_(10**6)),
        damaged("place", lambda part: part.fill_(NUMBERS)),
        damaged("value", lambda part: part.fill_(torch.nan)),
        damaged("children", lambda part: part[0].fill_(10**6)),
        # A way back to the root has no end.
        damaged("children", lambda part: part[1].fill_(0)),
        damaged("children", lambda part: part[0, 0].fill_(0)),
    ],
)
def test_trees_that_do_not_fit_are_refused(damage):
    samples = compared()
    parts = fit_forest(samples, level(samples), 1).to_tensors()
    ForestHead.from_tensors(parts, NUMBERS, 1)
    with pytest.raises(ValueError, match="do not fit together"):
        ForestHead.from_tensors(damage(parts), NUMBERS, 1)


def test_a_class_less_likely_than_not_at_all_is_refused():
    samples = compared()
    parts = fit_forest(samples, codes(samples), 3).to_tensors()
    ForestHead.from_tensors(parts, NUMBERS, 3)
    with pytest.raises(ValueError, match="do not fit together"):
        ForestHead.from_tensors(damaged("value", lambda part: part[0].fill_(-1))(parts), NUMBERS, 3)


def test_parts_that_are_missing_or_unknown_are_refused():
    samples = compared()
    parts = fit_forest(samples, level(samples), 1).to_tensors()
    for wrong in ({**parts, "more": parts["value"]}, {name: parts[name] for name in list(parts)[1:]}):
        with pytest.raises(TypeError):
            ForestHead.from_tensors(wrong, NUMBERS, 1)


def test_the_weighted_mean_of_numbers_and_of_probabilities():
    rng = np.random.default_rng(0)
    one, other = (rng.normal(size=(5, 1)).astype(np.float32) for _ in range(2))
    assert np.allclose(weighted_mean(one, other, 0.5), (one + other) / 2)
    assert np.allclose(weighted_mean(one, other, 0.2), 0.8 * one + 0.2 * other)
    one, other = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    expected = 0.7 * softmax(one, axis=1) + 0.3 * softmax(other, axis=1)
    assert np.allclose(np.exp(weighted_mean(one, other, 0.3)), expected, atol=1e-6)
    certain = np.float32([[0, -1e4]]), np.float32([[-1e4, 0]])
    assert np.allclose(np.exp(weighted_mean(*certain, 0.2)), [[0.8, 0.2]])


@pytest.mark.filterwarnings("error")
def test_a_head_without_weight_says_nothing():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 5, 3)).astype(np.float32)
    for weight, alone in ((0, one), (1, other)):
        assert np.allclose(np.exp(weighted_mean(one, other, weight)), softmax(alone, axis=1), atol=1e-6)


def test_the_joint_head_is_the_weighted_mean_of_its_parts():
    samples, new = compared(), compared(12, 1)
    kernel = KernelHead(samples, typical_distances(samples), 0.5, 0.0, np.ones((N, 1)) / N, np.zeros(1))
    forest = fit_forest(samples, level(samples), 1)
    joint = JointHead(kernel, forest, 0.3)
    assert joint.support is samples
    expected = 0.7 * kernel.outputs(new) + 0.3 * forest.outputs(new, samples)
    assert np.allclose(joint.outputs(new), expected, atol=1e-6)
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            JointHead(kernel, forest, wrong)
