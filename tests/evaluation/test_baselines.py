"""The baselines learn what can be learnt, and nothing else."""

import biom
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from skbio.diversity import beta_diversity
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from q2_aam.evaluation.baselines import (
    BaselinePredictions,
    balanced_classes,
    merge_tables,
    predict_by_baselines,
    random_forest,
    trivial,
)
from q2_aam.evaluation.kernel_baselines import support_vector_machine
from q2_aam.simulation.survey import simulate_survey
from q2_aam.study.phylogeny import read_phylogeny


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


def test_balanced_forest_names_the_class_that_is_likelier_than_usual():
    # "a" is 3 of 4 in training: 0.7 is less of it than usual, 0.8 more
    forest = BaselinePredictions(np.array(["a"] * 2), np.array([[0.7, 0.3], [0.8, 0.2]]), ["a", "b"])
    assert balanced_classes(forest, ["a", "b", "a", "a"]).tolist() == ["b", "a"]
    # numbers as names; a class without a vote is not named because it is rare
    forest = BaselinePredictions(np.array(["1"]), np.array([[1.0, 0.0]]), ["1", "2"])
    assert balanced_classes(forest, [1] * 99 + [2]).tolist() == ["1"]


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


# All of them, on a survey with a phylogeny


@pytest.fixture(scope="module")
def survey():
    return simulate_survey(36, 60, 40)


@pytest.fixture(scope="module")
def phylogeny(survey, tmp_path_factory):
    path = tmp_path_factory.mktemp("tree") / "tree.nwk"
    survey.tree.write(str(path), format="newick")
    return read_phylogeny(str(path))


def parted(survey, n_new=12):
    """Training and new samples, each without the features that it lacks, and in an order of its own."""
    ids = list(survey.table.ids())
    train, new = survey.subset(ids[n_new:]).table, survey.subset(ids[:n_new]).table
    return train, new.sort_order(sorted(new.ids("observation")), axis="observation")


def baselines(survey, phylogeny, new=None, column="ph", **changes):
    train, usual = parted(survey)
    kind = "regression" if column == "ph" else "classification"
    target = survey.metadata.loc[train.ids(), column]
    return predict_by_baselines(train, target, new or usual, kind=kind, phylogeny=phylogeny, **changes)


@pytest.fixture(scope="module")
def found(survey, phylogeny):
    return {column: baselines(survey, phylogeny, column=column) for column in ("ph", "habitat")}


@pytest.mark.parametrize("column", ["ph", "habitat"])
def test_machines_are_those_on_distances_of_scikit_bio(survey, found, column):
    train, new = parted(survey)
    ids = [*train.ids(), *new.ids()]
    counts = survey.table.filter(ids, inplace=False).sort_order(ids).matrix_data.T.toarray().astype(int)
    target = survey.metadata.loc[train.ids(), column].to_numpy()
    kind = "regression" if column == "ph" else "classification"
    oracles = {
        "SVM UniFrac": beta_diversity(
            "unweighted_unifrac", counts, ids, otu_ids=survey.table.ids("observation"), tree=survey.tree
        ),
        "SVM Jaccard": beta_diversity("jaccard", counts > 0, ids),
    }
    for name, distances in oracles.items():
        distances, n = distances.data, len(target)
        expected = support_vector_machine(distances[:n, :n], target, distances[n:, :n], kind=kind)
        if kind == "regression":
            assert found[column][name].to_numpy() == pytest.approx(expected, abs=0.02)
            assert np.corrcoef(found[column][name], survey.metadata.loc[new.ids(), "ph"])[0, 1] > 0.5
        else:
            assert found[column][name].tolist() == list(expected)


def test_columns_are_the_methods(survey, found, phylogeny):
    machines = ["SVM UniFrac", "SVM Jaccard"]
    assert found["ph"].columns.tolist() == ["median", "random forest", *machines]
    assert found["habitat"].columns.tolist() == ["largest class", "random forest", "balanced forest", *machines]
    assert found["ph"].index.tolist() == list(parted(survey)[1].ids())
    train, _ = parted(survey)
    assert set(found["ph"]["median"]) == {survey.metadata.loc[train.ids(), "ph"].median()}
    assert set(found["habitat"]["largest class"]) == {survey.metadata.loc[train.ids(), "habitat"].mode()[0]}
    assert set(found["habitat"].to_numpy().ravel()) <= {"forest", "grassland", "wetland"}
    assert "SVM UniFrac" not in baselines(survey, None)


def square_root_shares(survey):
    """Of the training and the new samples, in the ASVs that the former hold."""
    train, new = parted(survey)
    counts = [part.matrix_data.T.toarray() for part in (train, survey.table.filter(new.ids(), inplace=False))]
    known = [survey.table.index(name, "observation") for name in train.ids("observation")]
    # of a new sample they are shares of all its reads, those in ASVs that are no columns included
    learnt, asked = (np.sqrt(part / part.sum(1, keepdims=True)) for part in counts)
    return train, csr_matrix(learnt), csr_matrix(asked[:, known])


def test_forest_is_that_of_the_training_features(survey, found):
    train, learnt, asked = square_root_shares(survey)
    forest = RandomForestRegressor(500, random_state=0).fit(learnt, survey.metadata.loc[train.ids(), "ph"])
    assert found["ph"]["random forest"].to_numpy() == pytest.approx(forest.predict(asked))


def test_balanced_forest_is_the_same_forest_with_classes_counting_alike(survey, found):
    train, learnt, asked = square_root_shares(survey)
    target = survey.metadata.loc[train.ids(), "habitat"]
    forest = RandomForestClassifier(500, random_state=0).fit(learnt, target)
    frequent = np.array([(target == name).mean() for name in forest.classes_])
    named = forest.classes_[((forest.predict_proba(asked) + 0.001) / frequent).argmax(1)]
    assert found["habitat"]["balanced forest"].tolist() == named.tolist()
    assert found["habitat"]["random forest"].tolist() == forest.predict(asked).tolist()


@pytest.mark.parametrize("column", ["ph", "habitat"])
def test_one_new_sample_says_nothing_about_another(survey, phylogeny, found, column):
    """Some of the new samples alone, in another order, and one of them with other ASVs."""
    _, new = parted(survey)
    ids = list(new.ids())
    few = new.filter(ids[:5], inplace=False).sort_order(ids[4::-1])
    # the first sample gets an ASV that no other sample has, and in which the forest could draw
    strange = csr_matrix(few.matrix_data).tolil()
    strange[:, 4] = 0
    strange[:3, 4] = 1000
    few = biom.Table(strange.tocsr(), few.ids("observation"), few.ids())
    alone = baselines(survey, phylogeny, few, column)
    usual = found[column].loc[ids[1:5]]
    assert alone.loc[ids[0]].tolist() != found[column].loc[ids[0]].tolist() or column == "habitat"
    if column == "ph":
        pd.testing.assert_frame_equal(alone.loc[ids[1:5]], usual, rtol=1e-6, check_index_type=False)
    else:
        assert (alone.loc[ids[1:5]] == usual).all(axis=None)


def test_a_sample_that_is_learnt_from_is_not_predicted(survey):
    train, new = parted(survey)
    shared = survey.subset([*new.ids(), train.ids()[0]]).table
    with pytest.raises(ValueError) as error:
        baselines(survey, None, shared)
    assert str(error.value) == (
        f"1 samples are in both tables: {train.ids()[0]}. Baselines would be judged by samples that they learnt from. "
        "Take these samples out of one of the tables."
    )


def test_features_that_are_no_tips(survey, tmp_path):
    _, new = parted(survey)
    absent = new.ids("observation")[0]
    tree = survey.tree.shear(set(survey.table.ids("observation")) - {absent})
    tree.write(str(tmp_path / "tree.nwk"), format="newick")
    phylogeny = read_phylogeny(str(tmp_path / "tree.nwk"))
    with pytest.raises(ValueError, match=f"1 of .* features are no tips of the phylogeny: {absent}."):
        baselines(survey, phylogeny)
    with pytest.warns(UserWarning, match="are no tips of the phylogeny and are left out"):
        assert baselines(survey, phylogeny, missing_features="ignore").notna().all(axis=None)


def test_tables_are_merged_by_the_names_of_features(survey):
    train, new = parted(survey)
    merged = merge_tables(train, new)
    assert list(merged.ids()) == [*train.ids(), *new.ids()]
    whole = survey.table.remove_empty("observation", inplace=False)
    expected = whole.sort_order(merged.ids()).sort_order(merged.ids("observation"), axis="observation")
    assert (merged.matrix_data != expected.matrix_data).nnz == 0
