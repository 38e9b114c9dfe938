import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesRegressor

from q2_aam.heads import Features, ensemble, inner_folds
from q2_aam.heads import folds as folds_module
from q2_aam.heads import trees as trees_module
from q2_aam.heads.ensemble import AbundanceTrees, EnsembleHead, common_asvs, sample_weights, weighted_mean
from q2_aam.heads.kernel import KernelHead
from q2_aam.heads.trees import Trees, TreesHead
from tests import tiny
from tests.heads.made_up import N, changed, features_of, fold_features, level_of, samples, zones


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(trees_module, "TREES", 20)
    monkeypatch.setattr(ensemble, "ABUNDANCE_TREES", 10)


def fixed(monkeypatch, *weights):
    monkeypatch.setattr(ensemble, "ensemble_weights", lambda *arguments: weights)


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (0.1, 0.5, 0.4)])
def test_outputs_are_the_weighted_mean_of_all_heads(classes, weights, monkeypatch):
    fixed(monkeypatch, *weights)
    features, level = samples()
    target = zones(level) if classes else level
    folds = inner_folds(target, None, 0)
    fit, kernel = EnsembleHead.fit(features, target, folds), KernelHead.fit(features, target, folds)

    def trees(train, new):
        landmarks = features.subset(train)
        heads = (kind.grow(landmarks, target[train], landmarks) for kind in (TreesHead, AbundanceTrees))
        return [next(heads).outputs(new), next(heads).outputs(new, landmarks)]

    # Every ASV is in nearly all of the samples.
    everyone = np.arange(N)
    assert AbundanceTrees(None, features.hashes).relevance(features, features).min() == 1
    expected = weighted_mean([kernel.head.outputs(features), *trees(everyone, features)], weights)
    assert np.allclose(fit.head.outputs(features), expected, atol=1e-5)
    for train, test in folds.splits:
        expected = weighted_mean([kernel.out_of_fold[test], *trees(train, features.subset(test))], weights)
        assert np.allclose(fit.out_of_fold[test], expected, atol=1e-5)
    if classes:
        assert np.allclose(softmax(fit.out_of_fold, axis=1), np.exp(fit.out_of_fold), atol=1e-5)
    else:
        assert np.corrcoef(fit.out_of_fold[:, 0], level)[0, 1] > 0.8


def test_weights_are_chosen_by_groups_and_by_asvs_that_are_known_to_other_folds(monkeypatch):
    """Samples 7 and 8 hold two ASVs each, of which one is in no other sample."""
    communities = tiny.survey(N)
    communities.counts[[7, 8]] = 0
    communities.counts[:, [0, 1]] = 0
    communities.counts[[7, 7, 8, 8], [0, 5, 1, 6]] = 50
    communities.counts.eliminate_zeros()
    groups, level = np.arange(N) // 4, level_of()
    folds, calls = inner_folds(level, groups, 0), []

    def chosen(*arguments):
        calls.append(arguments)
        return 0.3, 0.3, 0.4

    monkeypatch.setattr(ensemble, "ensemble_weights", chosen)
    out_of_fold = EnsembleHead.fit(fold_features(communities, folds), level, folds).out_of_fold
    ((parts, relevance, target, numbers, seed),) = calls
    assert seed == 0 and np.array_equal(numbers, groups) and np.array_equal(target, level)
    assert relevance[[7, 8]].tolist() == [0.5, 0.5] and (np.delete(relevance, [7, 8]) == 1).all()
    weights = np.array([0.3, 0.3, 0.4 * 0.5]) / 0.8
    assert np.allclose(out_of_fold[[7, 8], 0], weights @ parts[:, [7, 8], 0], atol=1e-5)
    assert np.allclose(out_of_fold[0, 0], np.array([0.3, 0.3, 0.4]) @ parts[:, 0, 0], atol=1e-5)


def test_beyond_so_many_landmarks_folds_are_predicted_as_new_samples_are(monkeypatch):
    """Abundances are of ASVs that the landmarks hold, which are not all that are learnt from."""
    monkeypatch.setattr(folds_module, "MAX_LANDMARKS", 15)
    fixed(monkeypatch, 0.3, 0.3, 0.4)
    communities, level = tiny.survey(N), level_of()
    folds = inner_folds(level, None, 0)
    communities.counts[folds.landmarks[:, None], np.arange(5)] = 0
    communities.counts.eliminate_zeros()
    features = features_of(communities)
    kernel, fit = KernelHead.fit(features, level, folds), EnsembleHead.fit(features, level, folds)
    assert len(fit.head.landmarks) == 15
    assert len(fit.head.abundance_trees.asvs) <= len(features.hashes) - 5
    for train, test in folds.splits:
        landmarks = features.subset(np.intersect1d(train, folds.landmarks)).as_landmarks()
        old, new = features.subset(train), features.subset(test)
        abundance = AbundanceTrees.grow(old, level[train], landmarks)
        parts = [kernel.out_of_fold[test], TreesHead.grow(old, level[train], landmarks).outputs(new)]
        parts.append(abundance.outputs(new, landmarks))
        weights = sample_weights((0.3, 0.3, 0.4), abundance.relevance(new, landmarks))
        assert np.allclose(fit.out_of_fold[test], weighted_mean(parts, weights), atol=1e-5)


def test_threads_change_nothing_and_the_seed_does():
    features, level = samples()
    folds = inner_folds(level, None, 0)
    one, two, other = (
        EnsembleHead.fit(features, level, folds, random_seed=seed, threads=threads).out_of_fold
        for seed, threads in ((0, 1), (0, 2), (1, 1))
    )
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def of_asvs(n=60, seed=0, asvs=9):
    """Samples with random lineages, each holding some ASVs."""
    rng = np.random.default_rng(seed)
    presence, share = (rng.random((n, 4), dtype=np.float32) for _ in range(2))
    held = rng.random((n, asvs)) < 0.6
    held[:, 0] = True
    return Features(presence, share, sp.csr_matrix(held / held.sum(1, keepdims=True)), np.arange(asvs))


def grow_abundances(features, target):
    return AbundanceTrees.grow(features, target, features.as_landmarks())


def test_abundances_are_scikit_learns():
    """The square root of relative abundance, of ASVs whose order is another in the new table."""
    features, new = of_asvs(), of_asvs(25, 1)
    target = features.asv_shares.toarray() @ np.arange(9.0)
    head = grow_abundances(features, target)
    settings = {
        "max_features": trees_module.TRIED,
        "random_state": 0,
        "min_samples_leaf": ensemble.ABUNDANCE_LEAF,
    }
    forest = ExtraTreesRegressor(ensemble.ABUNDANCE_TREES, **settings)
    expected = forest.fit(np.sqrt(features.asv_shares.toarray()), target).predict(np.sqrt(new.asv_shares.toarray()))
    assert np.allclose(head.outputs(new, features)[:, 0], expected, atol=1e-5)
    assert head.asvs.tolist() == list(range(9)) and len(head.trees.roots) == ensemble.ABUNDANCE_TREES
    hashes = np.array([-5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 20])
    strange = sp.csr_matrix(np.full((25, 1), 3.0))
    more = changed(new, asv_shares=sp.hstack([strange, new.asv_shares, strange]).tocsr(), hashes=hashes)
    # Reads in new ASVs make the known ones no fewer.
    assert np.allclose(head.outputs(more, features)[:, 0], expected, atol=1e-5)


def test_the_commonest_asvs_are_read(monkeypatch):
    monkeypatch.setattr(ensemble, "MAX_ASVS", 3)
    held = np.array([[1, 0, 1, 1, 0], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1]])
    shares = sp.csr_matrix(held / held.sum(1, keepdims=True))
    features = Features(np.zeros((3, 1)), np.zeros((3, 1)), shares, np.array([-4, -1, 0, 3, 9]))
    # -1, 3 and 9 are each in one sample.
    assert common_asvs(features).tolist() == [-4, -1, 0]


def test_abundances_say_little_of_a_sample_with_few_known_asvs():
    features, new = of_asvs(), of_asvs(4, 1)
    rich = new.asv_shares[0]
    parts = [rich, rich.multiply(np.arange(9) < 2).tocsr(), new.asv_shares[2] * 0, rich]
    parts[1].eliminate_zeros()
    parts[2].eliminate_zeros()
    # Each with three new ones beside.
    shares = sp.hstack([sp.vstack(parts), np.full((4, 3), 0.1)]).tocsr()
    mixed = changed(new, asv_shares=shares, hashes=np.arange(12))
    enough = np.quantile(np.diff(features.asv_shares.indptr), 0.25)
    held = np.diff(sp.vstack(parts).tocsr().indptr)
    expected = np.minimum(1, held / np.minimum(enough, held + 3))
    relevance = AbundanceTrees(None, np.arange(9)).relevance(mixed, features)
    assert np.allclose(relevance, expected) and expected[2] == 0 < expected[1] < 1
    weights = sample_weights((0.2, 0.2, 0.6), expected)
    assert np.allclose(weights[:, 2], [0.5, 0.5, 0]) and np.allclose(weights.sum(0), 1)
    assert np.allclose(weights[2] / weights[0], 3 * expected)
    # A poor sample without new ASVs is read in full.
    poor = changed(new.subset(np.arange(1)), asv_shares=parts[1], hashes=np.arange(9))
    assert AbundanceTrees(None, np.arange(9)).relevance(poor, features).tolist() == [1]
    # Where its known ASVs are not among those that are read, not at all.
    assert AbundanceTrees(None, np.arange(6, 9)).relevance(poor, features).tolist() == [0]


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


def parts_of(features):
    """A kernel head whose outputs do not matter, and trees of both kinds."""
    target, n = features.embedding[:, 0], len(features)
    landmarks = features.as_landmarks()
    typical = {"unifrac": 1.0, "jaccard": 1.0, "hellinger": 1.0}
    kernel = KernelHead(landmarks, typical, 0.5, 0.1, 0.0, np.ones((n, 1)) / n, np.zeros(1))
    return kernel, TreesHead.grow(features, target, landmarks), grow_abundances(features, target)


def head_of(features, weights):
    return EnsembleHead(*parts_of(features), weights)


def test_an_ensemble_is_the_weighted_mean_of_its_parts():
    features, new = of_asvs(), of_asvs(12, 1)
    kernel, embedding, abundance = parts_of(features)
    parts = [kernel.outputs(new), embedding.outputs(new), abundance.outputs(new, kernel.landmarks)]
    for weights in ((0.5, 0.2, 0.3), (0.1, 0.6, 0.3)):
        head = head_of(features, weights)
        assert head.landmarks is head.kernel.landmarks and head.known_asvs is head.landmarks.hashes
        expected = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        assert np.allclose(head.outputs(new), expected, atol=1e-6)
    # Where all ASVs are new, the others stand in for abundances.
    strange = changed(new, hashes=new.hashes + 100)
    expected = 0.5 * kernel.outputs(strange) + 0.2 * embedding.outputs(strange)
    assert np.allclose(head_of(features, (0.5, 0.2, 0.3)).outputs(strange), expected / 0.7, atol=1e-6)


def test_it_says_what_was_chosen():
    assert head_of(of_asvs(), (0.5, 0.2, 0.3)).describe() == (
        "Ensemble head: the weighted mean of the kernel head (50%), trees on the sample embedding (20%) and trees on "
        "abundances of ASVs (30%). Kernel head: each sample is compared with 60 landmarks by predicted UniFrac, shared "
        "ASVs and abundances (gamma 0.5, alpha 0.1)."
    )


@pytest.mark.parametrize("weights", [(0.5, 0.2, 0.3), (0.05, 0.55, 0.4)])
def test_a_stored_ensemble_predicts_the_same(weights):
    features, new = of_asvs(), of_asvs(12, 1)
    head = head_of(features, weights)
    tensors = head.to_tensors()
    again = EnsembleHead.from_tensors(tensors)
    assert again.weights == weights and np.array_equal(again.outputs(new), head.outputs(new))
    assert again.describe() == head.describe()


def test_parts_of_an_ensemble_that_do_not_fit_are_refused():
    features = of_asvs()
    tensors = head_of(features, (0.5, 0.2, 0.3)).to_tensors()
    asvs = tensors["asvs"]
    codes = (features.embedding[:, 0] > 0.5).astype(np.int64)
    other = Trees.grow(features.embedding, codes, trees=2)
    narrow = Trees.grow(features.embedding[:, :7], features.embedding[:, 0], trees=2)
    wrong = [{"asvs": each} for each in (asvs * 0, asvs[::-1].copy(), asvs[:2], asvs.astype(float), asvs + 1)]
    wrong += [{"asvs": asvs.reshape(3, 3)}, {"more": asvs}]
    # The trees in each other's place, of classes, and of fewer numbers.
    wrong += [{"embedding_trees": tensors["abundance_trees"]}, {"abundance_trees": tensors["embedding_trees"]}]
    wrong += [{"embedding_trees": trees.to_tensors()} for trees in (other, narrow)]
    wrong += [{"weights": np.array([0.5, 0.2])}, {"weights": np.array([np.nan, 0.2, 0.3])}]
    wrong += [{"kernel": {**tensors["kernel"], "weight": np.ones((60, 2))}}]
    for parts in wrong:
        with pytest.raises(ValueError):
            EnsembleHead.from_tensors({**tensors, **parts})
    for name in tensors:
        with pytest.raises(KeyError):
            EnsembleHead.from_tensors({other: part for other, part in tensors.items() if other != name})
    for name in tensors:
        with pytest.raises(TypeError):
            EnsembleHead.from_tensors({**tensors, name: 1})


@pytest.mark.parametrize("weights", [(0.5, 0.2, 0.2), (0.6, -0.1, 0.5), (0, 0.5, 0.5), (np.nan, 0.5, 0.5), (0.5, 0.5)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="needs three weights above 0 that add up to 1"):
        EnsembleHead(None, None, None, weights)


def test_inner_folds_grow_a_share_of_the_trees(monkeypatch):
    """Most of the time of a fit is theirs, and they only tell what trees are worth."""
    fixed(monkeypatch, 0.4, 0.3, 0.3)
    for module in (trees_module, ensemble):
        monkeypatch.setattr(module, "INNER_SHARE", 0.5)
    grow, numbers = Trees.grow, []
    monkeypatch.setattr(Trees, "grow", lambda *args, **given: numbers.append(given["trees"]) or grow(*args, **given))
    features, level = samples()
    folds = inner_folds(level, None, 0)
    head = EnsembleHead.fit(features, level, folds).head
    assert numbers == [10, 5] * len(folds.splits) + [20, 10]
    assert (len(head.embedding_trees.trees.roots), len(head.abundance_trees.trees.roots)) == (20, 10)
