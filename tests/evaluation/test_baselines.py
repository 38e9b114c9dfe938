"""All baselines at once: those of the registry for which all is there that they need."""

from dataclasses import replace

import biom
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from skbio.diversity import beta_diversity
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from q2_aam.evaluation import baselines as module
from q2_aam.evaluation.baselines import BASELINES, Baseline, baselines_of, predict_by_baselines
from q2_aam.evaluation.forests import covariates_forest
from q2_aam.evaluation.kernel_baselines import support_vector_machine
from q2_aam.evaluation.merged_tables import merge_tables
from q2_aam.simulation.survey import simulate_survey
from q2_aam.study.phylogeny import read_phylogeny
from tests.scikit_bio import tips_of_columns


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
    kind = "numeric" if column == "ph" else "categorical"
    target = survey.metadata.loc[train.ids(), column]
    return predict_by_baselines(train, target, new or usual, kind=kind, phylogeny=phylogeny, **changes)


@pytest.fixture(scope="module")
def predictions(survey, phylogeny):
    return {column: baselines(survey, phylogeny, column=column) for column in ("ph", "habitat")}


@pytest.mark.parametrize("column", ["ph", "habitat"])
def test_machines_are_those_on_distances_of_scikit_bio(survey, predictions, column):
    train, new = parted(survey)
    ids = [*train.ids(), *new.ids()]
    counts = survey.table.filter(ids, inplace=False).sort_order(ids).matrix_data.T.toarray().astype(int)
    target = survey.metadata.loc[train.ids(), column].to_numpy()
    kind = "numeric" if column == "ph" else "categorical"
    oracles = {
        "SVM UniFrac": beta_diversity(
            "unweighted_unifrac", counts, ids, **tips_of_columns(survey.table.ids("observation")), tree=survey.tree
        ),
        "SVM Jaccard": beta_diversity("jaccard", counts > 0, ids),
    }
    for name, distances in oracles.items():
        distances, n = distances.data, len(target)
        expected = support_vector_machine(distances[:n, :n], target, distances[n:, :n], kind=kind)
        if kind == "numeric":
            assert predictions[column][name].to_numpy() == pytest.approx(expected, abs=0.02)
            assert np.corrcoef(predictions[column][name], survey.metadata.loc[new.ids(), "ph"])[0, 1] > 0.5
        else:
            assert predictions[column][name].tolist() == list(expected)


def test_columns_are_the_methods(survey, predictions, phylogeny):
    machines = ["log-ratios", "boosted trees", "SVM UniFrac", "SVM Jaccard"]
    assert predictions["ph"].columns.tolist() == ["median", "random forest", *machines]
    assert predictions["habitat"].columns.tolist() == ["largest class", "random forest", "balanced forest", *machines]
    assert predictions["ph"].index.tolist() == list(parted(survey)[1].ids())
    train, _ = parted(survey)
    assert set(predictions["ph"]["median"]) == {survey.metadata.loc[train.ids(), "ph"].median()}
    assert set(predictions["habitat"]["largest class"]) == {survey.metadata.loc[train.ids(), "habitat"].mode()[0]}
    assert set(predictions["habitat"].to_numpy().ravel()) <= {"forest", "grassland", "wetland"}
    assert "SVM UniFrac" not in baselines(survey, None)


def square_root_shares(survey):
    """Of the training and the new samples, in the ASVs that the former hold."""
    train, new = parted(survey)
    counts = [part.matrix_data.T.toarray() for part in (train, survey.table.filter(new.ids(), inplace=False))]
    columns = [survey.table.index(name, "observation") for name in train.ids("observation")]
    # of a new sample they are shares of all its reads, those in ASVs that are no columns included
    train_shares, new_shares = (np.sqrt(part / part.sum(1, keepdims=True)) for part in counts)
    return train, csr_matrix(train_shares), csr_matrix(new_shares[:, columns])


def test_forest_is_that_of_the_training_features(survey, predictions):
    train, train_shares, new_shares = square_root_shares(survey)
    forest = RandomForestRegressor(500, random_state=0).fit(train_shares, survey.metadata.loc[train.ids(), "ph"])
    assert predictions["ph"]["random forest"].to_numpy() == pytest.approx(forest.predict(new_shares))


def test_balanced_forest_is_the_same_forest_with_classes_counting_alike(survey, predictions):
    train, train_shares, new_shares = square_root_shares(survey)
    target = survey.metadata.loc[train.ids(), "habitat"]
    forest = RandomForestClassifier(500, random_state=0).fit(train_shares, target)
    frequent = np.array([(target == name).mean() for name in forest.classes_])
    named = forest.classes_[((forest.predict_proba(new_shares) + 0.001) / frequent).argmax(1)]
    assert predictions["habitat"]["balanced forest"].tolist() == named.tolist()
    assert predictions["habitat"]["random forest"].tolist() == forest.predict(new_shares).tolist()


@pytest.mark.parametrize("column", ["ph", "habitat"])
def test_one_new_sample_says_nothing_about_another(survey, phylogeny, predictions, column):
    """Some of the new samples alone, in another order, and one of them with other ASVs."""
    _, new = parted(survey)
    ids = list(new.ids())
    few = new.filter(ids[:5], inplace=False).sort_order(ids[4::-1])
    # the first sample gets an ASV that no other sample has, and in which the forest could draw
    strange = csr_matrix(few.matrix_data).tolil()
    strange[:, 4] = 0
    strange[:3, 4] = 1000
    few = biom.Table(strange.tocsr(), few.ids("observation"), few.ids())
    separate = baselines(survey, phylogeny, few, column)
    usual = predictions[column].loc[ids[1:5]]
    assert separate.loc[ids[0]].tolist() != predictions[column].loc[ids[0]].tolist() or column == "habitat"
    if column == "ph":
        pd.testing.assert_frame_equal(separate.loc[ids[1:5]], usual, rtol=1e-6, check_index_type=False)
    else:
        assert (separate.loc[ids[1:5]] == usual).all(axis=None)


def test_a_training_sample_is_not_predicted(survey):
    train, new = parted(survey)
    shared = survey.subset([*new.ids(), train.ids()[0]]).table
    with pytest.raises(ValueError) as error:
        baselines(survey, None, shared)
    assert str(error.value) == (
        f"1 samples are in both tables: {train.ids()[0]}. Baselines would be judged by their own training samples. "
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


@pytest.fixture(scope="module")
def covariates(survey):
    """Of all samples by ID, drawn anew: they say nothing of the communities, nor these of them."""
    random = np.random.default_rng(0)
    return pd.DataFrame(random.normal(size=(len(survey.table.ids()), 2)), index=survey.table.ids())


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_target_of_the_covariates_is_predicted_by_them_and_not_by_the_forest(survey, covariates, kind):
    train, new = parted(survey)
    number = 3 * covariates[0] + 10
    target = number if kind == "numeric" else (number > 10).map({True: "high", False: "low"})
    pair = tuple(covariates.loc[part.ids()].to_numpy() for part in (train, new))
    predicted = predict_by_baselines(train, target[train.ids()], new, kind=kind, covariates=pair)
    expected = covariates_forest(pair[0], target[train.ids()], pair[1], kind=kind)
    assert predicted["covariates"].tolist() == expected.predicted.tolist()
    true = target[new.ids()]
    if kind == "numeric":
        errors = (predicted.sub(true, axis=0) ** 2).mean() / true.var()
        assert errors["covariates"] < 0.3 and errors["random forest"] > 0.7
    else:
        right = predicted.eq(true, axis=0).mean()
        assert right["covariates"] >= 0.9 and right["random forest"] < 0.75
    # by their order, and only where there are covariates
    assert list(predicted).index("covariates") < list(predicted).index("SVM Jaccard")
    assert "covariates" not in predict_by_baselines(train, target[train.ids()], new, kind=kind)


@pytest.mark.parametrize("column", ["ph", "habitat"])
def test_relative_frequencies_and_presence_are_enough(survey, phylogeny, predictions, column):
    train, new = parted(survey)
    target, kind = survey.metadata.loc[train.ids(), column], "numeric" if column == "ph" else "categorical"
    machines = ["SVM UniFrac", "SVM Jaccard"]
    usual = predictions[column].loc[new.ids()]
    settings = {"kind": kind, "phylogeny": phylogeny}
    shares = predict_by_baselines(train.norm(inplace=False), target, new.norm(inplace=False), **settings)
    presence = predict_by_baselines(train.pa(inplace=False), target, new.pa(inplace=False), **settings)
    assert list(shares) == list(presence) == list(usual)
    for machine in machines:
        assert shares[machine].tolist() == presence[machine].tolist() == usual[machine].tolist()
    if kind == "numeric":
        assert shares["random forest"].to_numpy() == pytest.approx(usual["random forest"].to_numpy(), abs=0.05)
        assert (presence["random forest"] != usual["random forest"]).any()
    else:
        assert shares["random forest"].tolist() == usual["random forest"].tolist()


def test_tables_that_hold_no_abundances_are_refused(survey):
    train, new = parted(survey)
    wrong = biom.Table(-new.matrix_data, new.ids("observation"), new.ids())
    with pytest.raises(ValueError) as error:
        predict_by_baselines(train, np.arange(train.shape[1]), wrong, kind="numeric")
    assert str(error.value) == (
        f"The tables hold {new.matrix_data.nnz} values that are negative or not finite. Give counts, relative "
        "frequencies, or presence and absence."
    )


def test_a_baseline_is_one_entry(survey, monkeypatch):
    train, new = parted(survey)
    entry = Baseline("seven", "Always seven", lambda data: np.full(data.new.shape[0], 7.0), kinds=("numeric",))
    monkeypatch.setitem(BASELINES, "seven", entry)
    predicted = predict_by_baselines(train, np.arange(train.shape[1]), new, kind="numeric")
    assert predicted["seven"].tolist() == [7.0] * new.shape[1]
    assert entry not in baselines_of("categorical")
    assert "SVM UniFrac" in [baseline.name for baseline in baselines_of("categorical", ["phylogeny"])]
    with pytest.raises(ValueError, match="^needs of the baseline 'x' is a tree; it must be one of phylogeny, cov"):
        Baseline("x", "X", None, needs=("a tree",))


def test_beyond_so_many_samples_machines_are_left_out_with_a_sentence(survey, phylogeny, monkeypatch):
    few = {name: replace(entry, most_samples=entry.most_samples and 20) for name, entry in BASELINES.items()}
    monkeypatch.setattr(module, "BASELINES", few)
    with pytest.warns(UserWarning) as told:
        found = baselines(survey, phylogeny)
    assert [str(warning.message) for warning in told] == [
        "There are 24 samples to learn from. Left out, as they compare all pairs of these (at most 2,000): SVM "
        "UniFrac, SVM Jaccard. The random forest reads the 1,000 commonest ASVs, and each of its trees draws 2,000 of "
        "the samples, with replacement."
    ]
    assert found.columns.tolist() == ["median", "random forest", "log-ratios", "boosted trees"]


def test_new_samples_are_compared_in_parts(survey, phylogeny, predictions, monkeypatch):
    monkeypatch.setattr(module, "NEW_SAMPLES", 5)
    again = baselines(survey, phylogeny)["SVM UniFrac"]
    assert again.to_numpy() == pytest.approx(predictions["ph"]["SVM UniFrac"].to_numpy(), abs=1e-6)
