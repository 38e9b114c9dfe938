"""Forests are scikit-learn's, on shares or on covariates; the trivial answers look at no sample."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from q2_aam.evaluation.forests import (
    BaselinePredictions,
    balanced_classes,
    check_covariates,
    covariates_forest,
    random_forest,
    trivial,
)


def simulated(n=60, n_asvs=12, seed=0):
    random = np.random.default_rng(seed)
    counts = random.poisson(5, (n, n_asvs)).astype(np.float32)
    counts[:, 0] = random.integers(0, 60, n)
    return csr_matrix(counts), counts[:, 0] / counts.sum(axis=1)


def test_forest_is_scikit_learns_on_square_roots_of_shares():
    counts, target = simulated()
    predictions = random_forest(counts[:40], target[:40], counts[40:], kind="numeric", trees=10, random_state=7)
    dense = counts.toarray()
    features = np.sqrt(dense / dense.sum(axis=1, keepdims=True))
    forest = RandomForestRegressor(10, random_state=7).fit(features[:40], target[:40])
    assert predictions.predicted == pytest.approx(forest.predict(features[40:]), rel=1e-5)
    assert np.corrcoef(predictions.predicted, target[40:])[0, 1] > 0.9
    assert predictions.probabilities is None


def test_forest_looks_at_shares_not_at_depth():
    counts, target = simulated()
    settings = {"kind": "numeric", "trees": 5}
    once = random_forest(counts[:40], target[:40], counts[40:], **settings)
    deeper = random_forest(counts[:40], target[:40], csr_matrix(counts[40:] * 3), **settings)
    assert deeper.predicted == pytest.approx(once.predicted)


def test_forest_is_deterministic_in_its_seed():
    counts, target = simulated()
    first, second, other = (
        random_forest(counts[:40], target[:40], counts[40:], kind="numeric", trees=5, random_state=seed)
        for seed in (1, 1, 2)
    )
    assert (first.predicted == second.predicted).all() and (first.predicted != other.predicted).any()


@pytest.mark.parametrize("names", [("low", "high"), (0, 1)])
def test_forest_classifies_words_and_integers(names):
    counts, target = simulated()
    labels = [names[int(value > np.median(target))] for value in target]
    predictions = random_forest(counts[:40], labels[:40], counts[40:], kind="categorical", trees=20)
    assert predictions.classes == sorted(str(name) for name in names)
    assert np.mean(predictions.predicted == np.array([str(label) for label in labels[40:]])) > 0.8
    assert predictions.probabilities.sum(axis=1) == pytest.approx(np.ones(20))
    likeliest = np.array(predictions.classes)[predictions.probabilities.argmax(axis=1)]
    assert (likeliest == predictions.predicted).mean() > 0.9


def test_balanced_forest_names_the_class_that_is_likelier_than_usual():
    # "a" is 3 of 4 in training: 0.7 is less of it than usual, 0.8 more
    forest = BaselinePredictions(np.array(["a"] * 2), np.array([[0.7, 0.3], [0.8, 0.2]]), ["a", "b"])
    assert balanced_classes(forest, ["a", "b", "a", "a"]).tolist() == ["b", "a"]
    # numbers as names; a class without a vote is not named because it is rare
    forest = BaselinePredictions(np.array(["1"]), np.array([[1.0, 0.0]]), ["1", "2"])
    assert balanced_classes(forest, [1] * 99 + [2]).tolist() == ["1"]


def test_trivial_answers():
    counts, _ = simulated(n=7)
    median = trivial(counts[:5], [1, 2, 3, 10, 20], counts[5:], kind="numeric")
    assert median.predicted.tolist() == [3.0, 3.0]
    largest = trivial(counts[:5], ["b", "b", "a", "b", "a"], counts[5:], kind="categorical")
    assert largest.predicted.tolist() == ["b", "b"]
    assert largest.probabilities == pytest.approx(np.array([[0.4, 0.6]] * 2))


def test_refusals():
    counts, target = simulated(n=6)
    with pytest.raises(ValueError, match="training table has 12 ASVs, the test table 3"):
        random_forest(counts, target, counts[:, :3], kind="numeric")
    with pytest.raises(ValueError, match="not 'regression'"):
        trivial(counts, target, counts, kind="regression")


@pytest.mark.parametrize("kind, machine", [("numeric", RandomForestRegressor), ("categorical", RandomForestClassifier)])
def test_forest_of_covariates_is_scikit_learns_on_them(kind, machine):
    random = np.random.default_rng(0)
    train, new = random.normal(size=(40, 3)), random.normal(size=(15, 3))
    number = train[:, 1] + random.normal(0, 0.1, 40)
    target = number if kind == "numeric" else np.where(number > 0, "b", "a")
    predicted = covariates_forest(train, target, new, kind=kind, trees=10, random_state=7).predicted
    expected = machine(10, random_state=7).fit(train, target).predict(new)
    assert predicted.tolist() == expected.tolist()


def test_covariates_that_do_not_fit_are_refused():
    ids = list("abc"), list("de")
    train, new = np.zeros((3, 2)), np.zeros((2, 2))
    check_covariates((train, new), ids)
    with pytest.raises(ValueError) as error:
        check_covariates((train[:2], new), ids)
    assert str(error.value) == (
        "The covariates of the training samples must have a row for each of these 3 samples, but their shape is (2, 2)."
    )
    with pytest.raises(ValueError) as error:
        check_covariates((train, np.array([[0, 1], [np.nan, 1]])), ids)
    assert str(error.value) == (
        "1 of 2 new samples have covariates that are missing or not finite: e. Fill them in, or leave these samples "
        "out."
    )
    with pytest.raises(ValueError) as error:
        covariates_forest(train, [1, 2, 3], new[:, :1], kind="numeric")
    assert str(error.value) == (
        "The training samples have 2 columns of covariates, the test samples 1. Give the same columns for both."
    )


def test_beyond_so_many_samples_trees_read_some_of_them_and_the_commonest_asvs(monkeypatch):
    """The limits reach scikit-learn, and a table at the limit is read in full."""
    from q2_aam.evaluation import forests

    seen = []
    real = forests._forest
    monkeypatch.setattr(
        forests, "_forest", lambda train, *rest, **settings: seen.append((train.shape[1], settings.get("max_samples")))
        or real(train, *rest, **settings),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    counts = csr_matrix(rng.poisson(np.linspace(0.05, 3, 40), (60, 40)))
    target = np.asarray(np.sqrt(counts[:, 39].toarray())).ravel()
    monkeypatch.setattr(forests, "MAX_ASVS", 10)
    for most in (60, 59):
        monkeypatch.setattr(forests, "MOST_SAMPLES", most)
        found = forests.random_forest(counts, target, counts, kind="numeric", trees=30).predicted
        assert np.corrcoef(found, target)[0, 1] > 0.7
    held = int((np.asarray((counts > 0).sum(0)).ravel() > 0).sum())
    assert seen == [(held, None), (10, 59)]
