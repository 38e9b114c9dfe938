"""Support-vector machines on distances: scikit-learn's own, chosen among the training samples alone."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.svm import SVC, SVR

from q2_aam.evaluation import kernel_baselines
from q2_aam.evaluation.kernel_baselines import COSTS, GAMMAS, jaccard_distances, support_vector_machine


@pytest.fixture
def points():
    """60 points in the plane, of which the last 15 are new, and a number and a class of each."""
    random = np.random.default_rng(0)
    places = random.normal(size=(60, 2))
    number = 10 + 3 * np.sin(2 * places[:, 0]) + random.normal(0, 0.2, 60)
    distances = cdist(places, places)
    return distances, number, np.where(number > 10, "high", "low").astype(object)


def grid(distances, machine, target, splitter, score):
    """Scores of scikit-learn's machines with its own Gaussian kernel computed outside, by gamma and C."""
    median = np.median(distances[np.triu_indices(len(distances), 1)])
    scores = {}
    for gamma in GAMMAS:
        for cost in COSTS:
            kernel = np.exp(-gamma * (distances / median) ** 2)
            scores[gamma, cost] = score(target, cross_val_predict(machine(cost), kernel, target, cv=splitter)), median
    return scores


def test_regression_is_scikit_learns_with_the_best_of_the_grid(points):
    distances, number, _ = points
    among, target = distances[:45, :45], number[:45]
    scaled = (target - target.mean()) / target.std()
    scores = grid(
        among,
        lambda cost: SVR(kernel="precomputed", C=cost, epsilon=0.1),
        scaled,
        KFold(5, shuffle=True, random_state=4),
        lambda true, predicted: -np.mean((true - predicted) ** 2),
    )
    (gamma, cost), (_, median) = max(scores.items(), key=lambda item: item[1][0])
    # not at a corner of the grid, where the choice would say little
    assert (gamma, cost) not in [(0.25, 0.3), (1.0, 1.0)]
    machine = SVR(kernel="precomputed", C=cost, epsilon=0.1).fit(np.exp(-gamma * (among / median) ** 2), scaled)
    expected = machine.predict(np.exp(-gamma * (distances[45:, :45] / median) ** 2)) * target.std() + target.mean()
    predicted = support_vector_machine(among, target, distances[45:, :45], kind="numeric", random_state=4)
    assert predicted == pytest.approx(expected)
    assert np.corrcoef(predicted, number[45:])[0, 1] > 0.9


def test_classification_is_scikit_learns_with_the_best_of_the_grid(points):
    distances, _, classes = points
    among, target = distances[:45, :45], classes[:45]
    scores = grid(
        among,
        lambda cost: SVC(kernel="precomputed", C=cost, class_weight="balanced"),
        target.astype(str),
        StratifiedKFold(5, shuffle=True, random_state=4),
        balanced_accuracy_score,
    )
    (gamma, cost), (_, median) = max(scores.items(), key=lambda item: item[1][0])
    machine = SVC(kernel="precomputed", C=cost, class_weight="balanced")
    machine.fit(np.exp(-gamma * (among / median) ** 2), target.astype(str))
    predicted = support_vector_machine(among, target, distances[45:, :45], kind="categorical", random_state=4)
    assert predicted.tolist() == machine.predict(np.exp(-gamma * (distances[45:, :45] / median) ** 2)).tolist()
    assert (predicted == classes[45:]).mean() > 0.8


def test_the_grid_is_the_one_that_is_documented():
    assert GAMMAS == (0.25, 1, 4) and COSTS == (0.3, 1, 3, 10, 30)


def test_a_number_s_units_change_nothing(points):
    distances, number, _ = points
    learn = {"kind": "numeric"}
    once = support_vector_machine(distances[:45, :45], number[:45], distances[45:, :45], **learn)
    other = support_vector_machine(distances[:45, :45], 1e6 * number[:45] - 7, distances[45:, :45], **learn)
    # but for what the machine takes as solved
    assert other == pytest.approx(1e6 * once - 7, rel=1e-3)
    # nor do those of the distances: gamma is relative to them
    scaled = support_vector_machine(distances[:45, :45] / 9, number[:45], distances[45:, :45] / 9, **learn)
    assert scaled == pytest.approx(once, rel=1e-3)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_settings_are_chosen_by_training_samples_alone(points, monkeypatch, kind):
    distances, number, classes = points
    target = number if kind == "numeric" else classes
    chosen = []
    best = kernel_baselines._best_of_grid
    monkeypatch.setattr(
        kernel_baselines, "_best_of_grid", lambda *arguments: chosen.append(best(*arguments)) or chosen[-1]
    )
    whole = support_vector_machine(distances[:45, :45], target[:45], distances[45:, :45], kind=kind)
    one = support_vector_machine(distances[:45, :45], target[:45], 3 * distances[50:51, :45], kind=kind)
    again = support_vector_machine(distances[:45, :45], target[:45], distances[:44:-1, :45], kind=kind)
    assert len(one) == 1 and len(set(chosen)) == 1
    assert again[::-1].tolist() == whole.tolist()
    # and of other training samples others can be chosen
    support_vector_machine(distances[45:, 45:], np.roll(target[45:], 3), distances[:2, 45:], kind=kind)
    assert len(set(chosen)) == 2


def test_inner_folds_keep_groups_together(points, monkeypatch):
    distances, number, _ = points
    groups = np.repeat([f"g{k}" for k in range(9)], 5)
    folds, part = [], kernel_baselines.grouped_folds
    monkeypatch.setattr(
        kernel_baselines, "grouped_folds", lambda *a, **k: folds.append(part(*a, **k)) or folds[-1]
    )
    support_vector_machine(distances[:45, :45], number[:45], distances[45:, :45], kind="numeric", groups=groups)
    for train, test in folds[0]:
        assert not set(groups[train]) & set(groups[test])


def test_few_samples_are_enough_for_an_answer(points):
    distances, number, classes = points
    for n, groups in ((2, None), (3, None), (6, ["g"] * 6), (6, list("aabbcc"))):
        pair = distances[:n, :n], distances[45:, :n]
        predicted = support_vector_machine(pair[0], number[:n], pair[1], kind="numeric", groups=groups)
        assert np.isfinite(predicted).all() and len(predicted) == 15
        named = classes[:n].copy()
        named[0] = "alone"
        predicted = support_vector_machine(pair[0], named, pair[1], kind="categorical", groups=groups)
        assert set(predicted) <= set(named)
    one = support_vector_machine(pair[0], np.array(["a"] * 6, dtype=object), pair[1], kind="categorical")
    assert one.tolist() == ["a"] * 15
    level = support_vector_machine(pair[0], np.full(6, 2.5), pair[1], kind="numeric")
    assert level == pytest.approx(np.full(15, 2.5))


def test_samples_that_are_all_alike_get_one_answer():
    predicted = support_vector_machine(np.zeros((6, 6)), np.arange(6.0), np.zeros((2, 6)), kind="numeric")
    assert np.isfinite(predicted).all() and predicted[0] == predicted[1]


def test_jaccard_is_scipys():
    random = np.random.default_rng(0)
    counts = random.poisson(0.7, (9, 20))
    counts[3] = 0
    expected = cdist(counts[:4] > 0, counts > 0, "jaccard")
    assert jaccard_distances(csr_matrix(counts[:4]), csr_matrix(counts)) == pytest.approx(expected)
    assert jaccard_distances(csr_matrix(counts)) == pytest.approx(cdist(counts > 0, counts > 0, "jaccard"))
    # zeros that are stored are no ASVs
    stored = csr_matrix(np.ones((2, 3)))
    stored.data[0] = 0
    assert jaccard_distances(stored)[0, 1] == pytest.approx(1 / 3)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="is for a 'numeric' or a 'categorical' target, not 'regression'.$"):
        support_vector_machine(np.zeros((2, 2)), np.zeros(2), np.zeros((1, 2)), kind="regression")
