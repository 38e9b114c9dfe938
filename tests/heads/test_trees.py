import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.heads import Features, inner_folds
from q2_aam.heads import trees as trees_module
from q2_aam.heads.features import known_weight
from q2_aam.heads.trees import Trees, TreesHead

N, LINEAGES = 60, 4


def made_up(n=N, seed=0, asvs=9):
    """Samples with random lineages, each holding some ASVs."""
    rng = np.random.default_rng(seed)
    presence, share = (rng.random((n, LINEAGES), dtype=np.float32) for _ in range(2))
    held = rng.random((n, asvs)) < 0.6
    held[:, 0] = True
    shares = sp.csr_matrix(held / held.sum(1, keepdims=True))
    return Features(presence, share, shares, np.arange(asvs))


def level(features):
    return features.embedding[:, 0] + features.embedding[:, 1] ** 2


def codes(features):
    """Three classes, of which the first is three in four samples."""
    return np.digitize(level(features), np.quantile(level(features), [0.75, 0.9])).astype(np.int64)


def grow(features, target, **settings):
    return TreesHead.grow(features, target, features.as_landmarks(), **settings)


def scikit_learns(kind, features, target, **settings):
    settings = {"max_features": trees_module.TRIED, "random_state": 0, **settings}
    return kind(trees_module.TREES, **settings).fit(features.embedding, target)


def test_numbers_are_scikit_learns():
    features, new = made_up(), made_up(25, 1)
    head = grow(features, level(features))
    expected = scikit_learns(ExtraTreesRegressor, features, level(features)).predict(new.embedding)
    assert np.allclose(head.outputs(new)[:, 0], expected, atol=1e-5)
    assert len(head.trees.roots) == trees_module.TREES and head.outputs(new).dtype == np.float32


def test_classes_are_scikit_learns_brought_to_like_frequencies():
    features, new = made_up(), made_up(25, 1)
    target = codes(features)
    head = grow(features, target)
    expected = scikit_learns(ExtraTreesClassifier, features, target).predict_proba(new.embedding)
    expected = expected / (np.bincount(target) / N)
    expected = 0.999 * expected / expected.sum(1, keepdims=True) + 0.001 / 3
    outputs = head.outputs(new)
    assert np.allclose(np.exp(outputs), expected, atol=1e-5)
    assert (outputs.argmax(1) != 0).sum() > (codes(new) != 0).sum() / 2


def test_a_class_that_is_not_there_is_not_named():
    features = made_up()
    outputs = grow(features, codes(features) * 2).outputs(features)
    assert np.exp(outputs[:, [1, 3]]).max() < 0.01 and np.isfinite(outputs).all()


def test_leaves_hold_several_of_many_samples(monkeypatch):
    features = made_up()
    whole = grow(features, level(features))
    monkeypatch.setattr(trees_module, "MAX_LEAVES", 10)
    few = grow(features, level(features))
    expected = scikit_learns(ExtraTreesRegressor, features, level(features), min_samples_leaf=6)
    assert np.allclose(few.outputs(features)[:, 0], expected.predict(features.embedding), atol=1e-5)
    assert len(few.trees.column) < len(whole.trees.column) / 3


def test_no_more_than_so_many_samples_are_learnt_from(monkeypatch):
    monkeypatch.setattr(trees_module, "MAX_SAMPLES", 20)
    features = made_up()
    outputs = grow(features, level(features)).outputs(features)[:, 0]
    # Of what they have learnt, trees whose leaves hold one sample know the answer.
    assert np.isclose(outputs, level(features), atol=1e-5).sum() == 20


@pytest.mark.parametrize("classes", [False, True])
def test_new_asvs_are_read_as_far_as_known_ones_are_few(classes):
    features = made_up()
    head = grow(features, codes(features) if classes else level(features))
    new, other = made_up(3, 1), made_up(3, 2)
    parts = [new.asv_shares[0], new.asv_shares[1].copy(), new.asv_shares[2] * 0]
    parts[1].data[2:] = 0
    shares = sp.vstack(parts).tocsr()
    shares.eliminate_zeros()
    mixed = Features(new.presence, new.share, shares, new.hashes.copy(), None, other.presence, other.share)
    weight = known_weight(mixed, head.known_asvs, head.richness)[:, None]
    assert head.richness == np.quantile(np.diff(features.asv_shares.indptr), 0.25)
    assert weight[0] == 1 and 0 < weight[1] < 1 and weight[2] == 0
    back = np.exp if classes else np.asarray
    whole, known = (back(head.outputs(each)) for each in (new, other))
    assert np.allclose(back(head.outputs(mixed)), weight * known + (1 - weight) * whole, atol=1e-6)
    assert not np.allclose(whole, known)


def test_out_of_fold_predictions_are_those_of_trees_without_the_fold(monkeypatch):
    monkeypatch.setattr(trees_module, "TREES", 20)
    features = made_up()
    target, settings = codes(features), {"random_seed": 3, "threads": 2}
    folds = inner_folds(target, None, 0)
    head, out_of_fold = TreesHead.fit(features, target, folds, **settings)
    assert np.array_equal(head.outputs(features), grow(features, target, random_seed=3).outputs(features))
    for train, test in folds.splits:
        part = grow(features.subset(train), target[train], random_seed=3)
        assert np.array_equal(out_of_fold[test], part.outputs(features.subset(test)))
    assert not np.array_equal(TreesHead.fit(features, target, folds).out_of_fold, out_of_fold)


def test_it_says_what_it_is():
    features = made_up()
    text = "Trees head: the mean of 100 extremely randomized trees on the 8 numbers of the sample embedding"
    assert grow(features, level(features)).describe() == f"{text}."
    values = np.ones((N, 3), dtype=np.float32)
    features = Features(features.presence, features.share, features.asv_shares, features.hashes, values)
    assert grow(features, level(features)).describe() == f"{text} and 3 covariates."


def test_a_stored_head_predicts_the_same_whatever_the_chunks(monkeypatch):
    features = made_up()
    head = grow(features, codes(features))
    again = TreesHead.from_tensors(head.to_tensors())
    expected = head.outputs(features)
    monkeypatch.setattr(trees_module, "ROWS", 7)
    assert np.array_equal(again.outputs(features), expected)
    assert np.array_equal(again.known_asvs, features.hashes) and again.richness == head.richness


def test_samples_of_another_width_are_refused():
    features = made_up()
    head = grow(features, level(features))
    wide = Features(np.ones((2, 5)), np.ones((2, 5)), features.asv_shares[:2], features.hashes)
    with pytest.raises(ValueError, match="read 8 numbers a sample, but these samples have 10"):
        head.outputs(wide)


def changed(name, change):
    def change_part(tensors):
        part = tensors[name].copy()
        change(part)
        return {**tensors, name: part}

    return change_part


def put(value, place=...):
    return lambda part: part.__setitem__(place, value)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {**tensors, "value": tensors["value"][:-1]},
        lambda tensors: {**tensors, "value": tensors["value"][:, :0]},
        lambda tensors: {**tensors, "threshold": tensors["threshold"][:-1]},
        lambda tensors: {**tensors, "children": tensors["children"][:, :1]},
        lambda tensors: {**tensors, "roots": tensors["roots"][:0]},
        lambda tensors: {**tensors, "column": tensors["column"].astype(float)},
        lambda tensors: {**tensors, "width": np.array(7)},
        lambda tensors: {**tensors, "more": tensors["value"]},
        changed("roots", put(10**6)),
        changed("roots", put(-1)),
        changed("column", put(2 * LINEAGES)),
        changed("column", put(-1)),
        changed("value", put(np.nan)),
        changed("threshold", put(np.nan, 0)),
        changed("children", put(10**6, 0)),
        # A way back to the root has no end.
        changed("children", put(0, 1)),
        changed("children", put(0, (0, 0))),
    ],
)
def test_trees_that_do_not_fit_are_refused(change):
    features = made_up()
    tensors = grow(features, level(features)).trees.to_tensors()
    Trees.from_tensors(tensors)
    # Also where it is a head that holds them.
    for read, wrong in ((Trees.from_tensors, change(tensors)), (TreesHead.from_tensors, stored(change(tensors)))):
        with pytest.raises(ValueError, match="stored head"):
            read(wrong)


def stored(trees, **parts):
    asvs = np.arange(9)
    return {"trees": trees, "known_asvs": asvs, "richness": np.array(4.0), "n_covariates": np.array(0), **parts}


def test_a_class_less_likely_than_not_at_all_is_refused():
    features = made_up()
    tensors = grow(features, codes(features)).trees.to_tensors()
    with pytest.raises(ValueError, match="trees of a stored head do not fit together"):
        Trees.from_tensors(changed("value", put(-1, 0))(tensors))


def test_parts_of_a_head_that_do_not_fit_are_refused():
    features = made_up()
    tensors = grow(features, level(features)).to_tensors()
    asvs = tensors["known_asvs"]
    TreesHead.from_tensors(tensors)
    for wrong in (
        {"known_asvs": asvs[::-1].copy()},
        {"known_asvs": asvs * 0},
        {"known_asvs": asvs.astype(float)},
        {"known_asvs": asvs.reshape(3, 3)},
        {"richness": np.array(np.inf)},
        {"richness": np.array(-1.0)},
        {"n_covariates": np.array(-1)},
        {"n_covariates": np.array(8)},
        {"more": asvs},
    ):
        with pytest.raises(ValueError, match="of a stored head|stored trees head|A stored head"):
            TreesHead.from_tensors({**tensors, **wrong})
    for name in tensors:
        with pytest.raises(KeyError):
            TreesHead.from_tensors({other: part for other, part in tensors.items() if other != name})
        with pytest.raises(TypeError):
            TreesHead.from_tensors({**tensors, name: None})
    with pytest.raises(TypeError):
        TreesHead.from_tensors({**tensors, "trees": {**tensors["trees"], "roots": [0]}})
