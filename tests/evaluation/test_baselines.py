"""The baselines learn what can be learnt, and nothing else."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.ensemble import RandomForestRegressor

from q2_aam.evaluation.baselines import random_forest, trivial


def simulated(n=60, n_asvs=12, seed=0):
    random = np.random.default_rng(seed)
    counts = random.poisson(5, (n, n_asvs)).astype(np.float32)
    counts[:, 0] = random.integers(0, 60, n)
    return csr_matrix(counts), counts[:, 0] / counts.sum(axis=1)


def test_forest_is_scikit_learns_on_square_roots_of_shares():
    counts, target = simulated()
    found = random_forest(counts[:40], target[:40], counts[40:], kind="regression", trees=10, random_state=7)
    dense = counts.toarray()
    features = np.sqrt(dense / dense.sum(axis=1, keepdims=True))
    forest = RandomForestRegressor(10, random_state=7).fit(features[:40], target[:40])
    assert found.predicted == pytest.approx(forest.predict(features[40:]), rel=1e-5)
    assert np.corrcoef(found.predicted, target[40:])[0, 1] > 0.9
    assert found.probabilities is None


def test_forest_looks_at_shares_not_at_depth():
    counts, target = simulated()
    settings = {"kind": "regression", "trees": 5}
    once = random_forest(counts[:40], target[:40], counts[40:], **settings)
    deeper = random_forest(counts[:40], target[:40], csr_matrix(counts[40:] * 3), **settings)
    assert deeper.predicted == pytest.approx(once.predicted)


def test_forest_is_deterministic_in_its_seed():
    counts, target = simulated()
    first, second, other = (
        random_forest(counts[:40], target[:40], counts[40:], kind="regression", trees=5, random_state=seed)
        for seed in (1, 1, 2)
    )
    assert (first.predicted == second.predicted).all() and (first.predicted != other.predicted).any()


@pytest.mark.parametrize("names", [("low", "high"), (0, 1)])
def test_forest_classifies_words_and_integers(names):
    counts, target = simulated()
    labels = [names[int(value > np.median(target))] for value in target]
    found = random_forest(counts[:40], labels[:40], counts[40:], kind="classification", trees=20)
    assert found.classes == sorted(str(name) for name in names)
    assert np.mean(found.predicted == np.array([str(label) for label in labels[40:]])) > 0.8
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(20))
    assert (np.array(found.classes)[found.probabilities.argmax(axis=1)] == found.predicted).mean() > 0.9


def test_trivial_answers():
    counts, _ = simulated(n=7)
    median = trivial(counts[:5], [1, 2, 3, 10, 20], counts[5:], kind="regression")
    assert median.predicted.tolist() == [3.0, 3.0]
    largest = trivial(counts[:5], ["b", "b", "a", "b", "a"], counts[5:], kind="classification")
    assert largest.predicted.tolist() == ["b", "b"]
    assert largest.probabilities == pytest.approx(np.array([[0.4, 0.6]] * 2))


def test_refusals():
    counts, target = simulated(n=6)
    with pytest.raises(ValueError, match="training table has 12 ASVs, the test table 3"):
        random_forest(counts, target, counts[:, :3], kind="regression")
    with pytest.raises(ValueError, match="not 'numeric'"):
        trivial(counts, target, counts, kind="numeric")
