import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.heads import ensemble_fit as joint_fit
from q2_aam.heads import trees as forest_head
from q2_aam.heads.ensemble_fit import common_asvs, fit_forest
from q2_aam.heads.kernel import Compared, KernelHead, familiarity, trust_in_abundances, typical_distances
from q2_aam.heads.trees import ForestHead, JointHead, sample_weights, weighted_mean

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


def grow(samples, target, outputs, **how):
    return fit_forest(samples, target, np.arange(len(target)), outputs, **how)


def kernel_of(samples, outputs=1):
    """A kernel head whose outputs do not matter."""
    n = len(samples)
    weight, bias = np.ones((n, outputs)) / n, np.zeros(outputs)
    return KernelHead(samples, typical_distances(samples), 0.5, 0.0, weight, bias)


def read(parts, samples, outputs=1):
    return ForestHead.from_tensors(parts, kernel_of(samples, outputs), NUMBERS)


def grown(kind, samples, target, **settings):
    settings = {"max_features": joint_fit.TRIED, "random_state": 0, **settings}
    return kind(joint_fit.TREES, **settings).fit(samples.embedding.numpy(), target)


def test_numbers_are_scikit_learns():
    samples, new = compared(), compared(25, 1)
    forest = grow(samples, level(samples), 1)
    expected = grown(ExtraTreesRegressor, samples, level(samples)).predict(new.embedding.numpy())
    assert np.allclose(forest.outputs(new, samples)[:, 0], expected, atol=1e-5)
    assert len(forest.roots) == joint_fit.TREES and forest.outputs(new, samples).dtype == np.float32


def test_classes_are_scikit_learns_brought_to_like_frequencies():
    samples, new = compared(), compared(25, 1)
    target = codes(samples)
    forest = grow(samples, target, 3)
    expected = grown(ExtraTreesClassifier, samples, target).predict_proba(new.embedding.numpy())
    expected = (expected + 0.001) / (np.bincount(target) / N)
    outputs = forest.outputs(new, samples)
    assert np.allclose(np.exp(outputs), expected / expected.sum(1, keepdims=True), atol=1e-5)
    assert (outputs.argmax(1) != 0).sum() > (codes(new) != 0).sum() / 2


def test_a_class_that_is_not_there_is_not_named():
    samples = compared()
    target = codes(samples) * 2
    outputs = grow(samples, target, 5).outputs(samples, samples)
    assert np.exp(outputs[:, [1, 3]]).max() < 0.01 and np.isfinite(outputs).all()


def test_leaves_hold_several_of_many_samples(monkeypatch):
    samples = compared()
    whole = grow(samples, level(samples), 1)
    monkeypatch.setattr(joint_fit, "LEAVES", 10)
    few = grow(samples, level(samples), 1)
    expected = grown(ExtraTreesRegressor, samples, level(samples), min_samples_leaf=6)
    expected = expected.predict(samples.embedding.numpy())
    assert np.allclose(few.outputs(samples, samples)[:, 0], expected, atol=1e-5)
    assert len(few.place) < len(whole.place) / 3


def test_no_more_than_so_many_samples_are_learnt_from(monkeypatch):
    monkeypatch.setattr(joint_fit, "MOST_LEARNT", 20)
    samples = compared()
    forest = grow(samples, level(samples), 1)
    # Of what they have learnt, trees whose leaves hold one sample know the answer.
    known = np.isclose(forest.outputs(samples, samples)[:, 0], level(samples), atol=1e-5)
    assert known.sum() == 20


@pytest.mark.parametrize("classes", [False, True])
def test_new_asvs_are_read_as_far_as_familiar_ones_are_few(classes):
    samples = compared()
    forest = grow(samples, codes(samples) if classes else level(samples), 3 if classes else 1)
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
    forest = grow(samples, codes(samples), 3)
    torch.save(forest.to_tensors(), tmp_path / "head.pt")
    again = read(torch.load(tmp_path / "head.pt", weights_only=True), samples, 3)
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
        damaged("threshold", lambda part: part[0].fill_(torch.nan)),
        lambda parts: {**parts, "place": parts["place"].double()},
        damaged("children", lambda part: part[0].fill_(10**6)),
        # A way back to the root has no end.
        damaged("children", lambda part: part[1].fill_(0)),
        damaged("children", lambda part: part[0, 0].fill_(0)),
    ],
)
def test_trees_that_do_not_fit_are_refused(damage):
    samples = compared()
    parts = grow(samples, level(samples), 1).to_tensors()
    read(parts, samples)
    with pytest.raises(ValueError, match="do not fit together"):
        read(damage(parts), samples)


def test_a_class_less_likely_than_not_at_all_is_refused():
    samples = compared()
    parts = grow(samples, codes(samples), 3).to_tensors()
    read(parts, samples, 3)
    with pytest.raises(ValueError, match="do not fit together"):
        read(damaged("value", lambda part: part[0].fill_(-1))(parts), samples, 3)


def test_parts_that_are_missing_or_unknown_are_refused():
    samples = compared()
    parts = grow(samples, level(samples), 1).to_tensors()
    for wrong in ({**parts, "more": parts["value"]}, {name: parts[name] for name in list(parts)[1:]}):
        with pytest.raises(TypeError):
            read(wrong, samples)


def test_asvs_that_do_not_fit_are_refused():
    samples = compared()
    parts = grow(samples, level(samples), 1, support=samples).to_tensors()
    asvs = parts["asvs"]
    assert read(parts, samples).asvs.tolist() == list(range(9))
    # in no order, too few, of other numbers, in a square, that no sample holds
    for wrong in (asvs * 0, asvs.flip(0), asvs[:2], asvs.double(), asvs.reshape(3, 3), asvs + 1):
        with pytest.raises(ValueError, match="do not fit together"):
            read({**parts, "asvs": wrong}, samples)


def test_abundances_are_scikit_learns():
    """The square root of relative abundance, of ASVs whose order is another in the new table."""
    samples, new = compared(), compared(25, 1)
    target = samples.shares.toarray() @ np.arange(9.0)
    forest = grow(samples, target, 1, support=samples)
    settings = {"max_features": joint_fit.TRIED, "random_state": 0, "min_samples_leaf": joint_fit.ABUNDANCE_LEAF}
    trees = ExtraTreesRegressor(joint_fit.ABUNDANCE_TREES, **settings).fit(np.sqrt(samples.shares.toarray()), target)
    expected = trees.predict(np.sqrt(new.shares.toarray()))
    assert np.allclose(forest.outputs(new, samples)[:, 0], expected, atol=1e-5)
    assert forest.asvs.tolist() == list(range(9)) and len(forest.roots) == joint_fit.ABUNDANCE_TREES
    hashes = np.array([-5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 20])
    strange = sp.csr_matrix(np.full((25, 1), 3.0))
    more = Compared(new.presence, sp.hstack([strange, new.shares, strange]).tocsr(), hashes, embedding=new.embedding)
    # reads in new ASVs make the familiar ones no fewer
    assert np.allclose(forest.outputs(more, samples)[:, 0], expected, atol=1e-5)


def test_the_commonest_asvs_are_read(monkeypatch):
    monkeypatch.setattr(joint_fit, "MOST_ASVS", 3)
    held = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1]])
    shares = sp.csr_matrix(held / held.sum(1, keepdims=True))
    samples = Compared(torch.zeros(3, 1), shares, np.array([-4, -1, 0, 3, 9]))
    # -1, 3 and 9 are each in one sample
    assert common_asvs(samples).tolist() == [-4, -1, 0]


def test_a_sample_without_familiar_asvs_is_not_told_by_abundances():
    samples, new = compared(), compared(4, 1)
    rich = new.shares[0]
    parts = [rich, rich.multiply(np.arange(9) < 2).tocsr(), new.shares[2] * 0, rich]
    parts[1].eliminate_zeros()
    parts[2].eliminate_zeros()
    # each with three new ones beside
    shares = sp.hstack([sp.vstack(parts), np.full((4, 3), 0.1)]).tocsr()
    mixed = Compared(new.presence, shares, np.arange(12), embedding=new.embedding)
    enough = np.quantile(np.diff(samples.shares.indptr), 0.25)
    held = np.diff(sp.vstack(parts).tocsr().indptr)
    expected = np.minimum(1, held / np.minimum(enough, held + 3))
    trust = trust_in_abundances(mixed, samples, np.arange(9))
    assert np.allclose(trust, expected) and expected[2] == 0 < expected[1] < 1
    weights = sample_weights((0.2, 0.2, 0.6), expected)
    assert np.allclose(weights[:, 2], [0.5, 0.5, 0]) and np.allclose(weights.sum(0), 1)
    assert np.allclose(weights[2] / weights[0], 3 * expected)
    # a poor sample without new ASVs is read in full
    poor = Compared(new.presence[:1], parts[1], np.arange(9), embedding=new.embedding[:1])
    assert trust_in_abundances(poor, samples, np.arange(9)).tolist() == [1]
    # and one whose familiar ASVs are not among those that are read, not at all
    assert trust_in_abundances(poor, samples, np.arange(6, 9)).tolist() == [0]


def test_the_weighted_mean_of_numbers_and_of_probabilities():
    rng = np.random.default_rng(0)
    parts = list(rng.normal(size=(3, 5, 1)).astype(np.float32))
    weights = rng.dirichlet(np.ones(3), 5).T
    assert np.allclose(weighted_mean(parts, (0.5, 0.2, 0.3)), 0.5 * parts[0] + 0.2 * parts[1] + 0.3 * parts[2])
    assert np.allclose(weighted_mean(parts, weights)[:, 0], (np.stack(parts)[:, :, 0] * weights).sum(0))
    parts = list(rng.normal(size=(2, 5, 3)).astype(np.float32))
    expected = 0.7 * softmax(parts[0], axis=1) + 0.3 * softmax(parts[1], axis=1)
    assert np.allclose(np.exp(weighted_mean(parts, (0.7, 0.3))), expected, atol=1e-6)
    certain = [np.float32([[0, -1e4]]), np.float32([[-1e4, 0]])]
    assert np.allclose(np.exp(weighted_mean(certain, (0.8, 0.2))), [[0.8, 0.2]])


@pytest.mark.filterwarnings("error")
def test_a_head_without_weight_says_nothing():
    parts = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    for weights, alone in (((1, 0), parts[0]), ((0, 1), parts[1])):
        assert np.allclose(np.exp(weighted_mean(list(parts), weights)), softmax(alone, axis=1), atol=1e-6)


def both_forests(samples):
    return [grow(samples, level(samples), 1, support=which) for which in (None, samples)]


def test_the_joint_head_is_the_weighted_mean_of_its_parts():
    samples, new = compared(), compared(12, 1)
    kernel, (embedding, abundance) = kernel_of(samples), both_forests(samples)
    joint = JointHead(kernel, embedding, abundance, (0.5, 0.2, 0.3))
    assert joint.support is samples
    parts = [kernel.outputs(new), embedding.outputs(new, samples), abundance.outputs(new, samples)]
    assert np.allclose(joint.outputs(new), 0.5 * parts[0] + 0.2 * parts[1] + 0.3 * parts[2], atol=1e-6)
    assert np.allclose(JointHead(kernel, embedding, None, (0.4, 0.6, 0)).outputs(new), 0.4 * parts[0] + 0.6 * parts[1])
    assert np.allclose(JointHead(kernel, None, abundance, (0.4, 0, 0.6)).outputs(new), 0.4 * parts[0] + 0.6 * parts[2])
    assert np.allclose(JointHead(kernel, None, None, (1, 0, 0)).outputs(new), parts[0])
    # where all ASVs are new, the others stand in for abundances
    strange = Compared(new.presence, new.shares, new.hashes + 100, embedding=new.embedding)
    expected = 0.5 * kernel.outputs(strange) + 0.2 * embedding.outputs(strange, samples)
    assert np.allclose(joint.outputs(strange), expected / 0.7, atol=1e-6)


@pytest.mark.parametrize("weights", [(0.5, 0.2, 0.3), (0.4, 0.6, 0.0), (0.4, 0.0, 0.6)])
def test_a_joint_head_kept_as_tensors_predicts_the_same(weights, tmp_path):
    samples, new = compared(), compared(12, 1)
    forests = [forest if weight else None for forest, weight in zip(both_forests(samples), weights[1:], strict=True)]
    joint = JointHead(kernel_of(samples), *forests, weights)
    torch.save(joint.to_tensors(), tmp_path / "head.pt")
    parts = torch.load(tmp_path / "head.pt", weights_only=True)
    again = JointHead.from_tensors(parts, joint.kernel, NUMBERS)
    assert again.weights == weights and np.array_equal(again.outputs(new), joint.outputs(new))
    del parts["abundance" if weights[2] else "embedding"]
    with pytest.raises(ValueError, match="where these have weight, and not otherwise"):
        JointHead.from_tensors(parts, joint.kernel, NUMBERS)


def test_trees_in_each_others_place_are_refused():
    samples = compared()
    for wrong in (both_forests(samples)[::-1], both_forests(samples)[:1] * 2, both_forests(samples)[1:] * 2):
        with pytest.raises(ValueError, match="read the embedding and abundances, in that order"):
            JointHead(kernel_of(samples), *wrong, (0.5, 0.2, 0.3))


@pytest.mark.parametrize("weights", [(0.5, 0.2, 0.2), (0.6, -0.1, 0.5), (0, 0.5, 0.5), (np.nan, 0.5, 0.5), (0.5, 0.5)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="needs three weights that add up to 1"):
        JointHead(None, None, None, weights)
