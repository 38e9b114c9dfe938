"""The simulated survey: what it promises, and that its columns can be predicted, but not perfectly."""

import hashlib
import time

import biom
import numpy as np
import pandas as pd
import pytest
import skbio

from q2_aam.simulation.phylogeny import ROOT_TO_TIP, draw_phylogeny
from q2_aam.simulation.survey import keep_sites_apart, main, simulate_survey


@pytest.fixture(scope="module")
def survey():
    return simulate_survey()


def relative_abundance(table):
    counts = table.matrix_data.T.toarray()
    return counts / counts.sum(axis=1, keepdims=True)


def test_sizes_are_those_asked_for(survey):
    features, samples = survey.table.shape
    assert samples == 200
    assert 570 <= features <= 600
    assert len(survey.sequences) == 600
    richness = survey.table.pa(inplace=False).sum("sample")
    assert richness.min() >= 30 and richness.max() <= 150
    assert survey.table.sum("sample").min() >= 1000
    counts = survey.table.matrix_data.data
    assert (counts >= 1).all() and (counts == counts.round()).all()


def test_feature_ids_are_the_md5_sums_of_distinct_sequences(survey):
    assert len(set(survey.sequences.values())) == 600
    for name, sequence in survey.sequences.items():
        assert len(sequence) == 150
        assert set(sequence) <= set("ACGT")
        assert name == hashlib.md5(sequence.encode()).hexdigest()


def test_table_tree_sequences_and_metadata_belong_together(survey):
    tips = {tip.name for tip in survey.tree.tips()}
    assert tips == set(survey.sequences)
    assert set(survey.table.ids("observation")) <= tips
    assert list(survey.metadata.index) == list(survey.table.ids())
    assert len(survey.tree.children) == 2
    assert all(node.length > 0 for node in survey.tree.traverse(include_self=False))


def test_metadata_columns(survey):
    metadata = survey.metadata
    assert list(metadata.columns) == ["ph", "habitat", "site"]
    assert metadata["ph"].between(4, 9).all() and metadata["ph"].std() > 0.7
    assert set(metadata["habitat"]) == {"forest", "grassland", "wetland"}
    assert metadata["habitat"].value_counts().min() >= 30
    assert metadata["site"].nunique() == 40
    assert metadata["site"].value_counts().min() >= 2
    # both columns hang together, but neither is a function of the other
    assert pd.cut(metadata["ph"], 5).groupby(metadata["habitat"]).nunique().min() >= 3


def test_same_seed_same_survey_and_another_seed_another():
    first, again, other = (simulate_survey(30, 50, random_seed=seed) for seed in (1, 1, 2))
    assert first.table == again.table
    assert first.sequences == again.sequences
    assert str(first.tree) == str(again.tree)
    pd.testing.assert_frame_equal(first.metadata, again.metadata)
    assert not set(first.sequences) & set(other.sequences)


def test_sequences_diverge_along_the_tree_as_v4_does(survey):
    names = sorted(survey.sequences)[:150]
    letters = np.array([list(survey.sequences[name]) for name in names])
    differences = (letters[:, None] != letters[None]).mean(axis=2)
    patristic = survey.tree.shear(names).tip_tip_distances().filter(names).data
    pairs = np.triu_indices(len(names), 1)
    assert 0.15 < np.median(differences[pairs]) < 0.3
    assert np.corrcoef(differences[pairs], patristic[pairs])[0, 1] > 0.5
    every = np.array([list(sequence) for sequence in survey.sequences.values()])
    variants = np.array([len(set(column)) for column in every.T])
    assert 0.1 < (variants == 1).mean() < 0.6, "conserved sites"
    assert (variants == 4).mean() > 0.15, "variable sites"


def test_branch_lengths_and_numbering_of_the_phylogeny():
    phylogeny = draw_phylogeny(40, np.random.default_rng(3))
    assert len(phylogeny.parents) == 79 and len(phylogeny.tips) == 40
    assert (phylogeny.parents[1:] < np.arange(1, 79)).all()
    np.testing.assert_array_equal(np.sort(np.concatenate(phylogeny.levels)), np.arange(79))
    children = np.bincount(phylogeny.parents[1:], minlength=79)
    assert set(children) == {0, 2}
    names = [f"tip{number}" for number in range(40)]
    tree = phylogeny.to_tree_node(names)
    from_root = [tip.accumulate_to_ancestor(tree) for tip in tree.tips()]
    assert np.mean(from_root) == pytest.approx(ROOT_TO_TIP)
    # an independent sum: the tree object against the arrays
    sums = phylogeny.sum_from_root(phylogeny.lengths[:, None])[phylogeny.tips, 0]
    of_name = dict(zip(names, sums, strict=True))
    for tip, distance in zip(tree.tips(), from_root, strict=True):
        assert of_name[tip.name] == pytest.approx(distance)


def test_unifrac_follows_the_gradient(survey, tmp_path):
    from skbio.stats.distance import mantel
    from unifrac import unweighted

    directory = survey.write(tmp_path)
    distances = unweighted(str(directory / "table.biom"), str(directory / "tree.nwk"))
    assert list(distances.ids) == list(survey.metadata.index)
    ph = survey.metadata["ph"].to_numpy()
    differences = skbio.DistanceMatrix(np.abs(ph[:, None] - ph), distances.ids)
    correlation, p_value, _ = mantel(distances, differences, method="spearman", permutations=99)
    assert correlation > 0.15
    assert p_value <= 0.01


def test_kept_apart_sites_share_nothing_with_the_others_and_bring_unseen_asvs(survey):
    train, new = keep_sites_apart(survey, share=0.25)
    assert not set(train.metadata["site"]) & set(new.metadata["site"])
    assert new.metadata["site"].nunique() == 10
    assert sorted([*train.metadata.index, *new.metadata.index]) == list(survey.metadata.index)
    for part in (train, new):
        assert list(part.table.ids()) == list(part.metadata.index)
        assert part.table.sum("observation").min() > 0
    unseen = set(new.table.ids("observation")) - set(train.table.ids("observation"))
    assert 10 <= len(unseen) < 100
    counts = survey.table.filter(new.table.ids(), inplace=False)
    assert counts.remove_empty("observation") == new.table


def test_forest_predicts_kept_apart_sites_but_not_perfectly(survey):
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    table, metadata = np.sqrt(relative_abundance(survey.table)), survey.metadata
    settings = {"n_estimators": 100, "max_features": "sqrt", "random_state": 0}
    folds = {"groups": metadata["site"], "cv": GroupKFold(4)}
    ph = cross_val_predict(RandomForestRegressor(**settings), table, metadata["ph"], **folds)
    r2 = 1 - ((metadata["ph"] - ph) ** 2).sum() / ((metadata["ph"] - metadata["ph"].mean()) ** 2).sum()
    assert 0.45 < r2 < 0.85
    habitat = cross_val_predict(RandomForestClassifier(**settings), table, metadata["habitat"], **folds)
    assert 0.55 < balanced_accuracy_score(metadata["habitat"], habitat) < 0.9


def test_files_read_back_as_written(tmp_path, capsys):
    options = "--samples 30 --asvs 60 --length 90 --seed 5"
    main([str(tmp_path), *options.split()])
    survey = simulate_survey(30, 60, 90, 5)
    assert biom.load_table(str(tmp_path / "table.biom")) == survey.table
    fasta = skbio.io.read(str(tmp_path / "sequences.fasta"), format="fasta", constructor=skbio.DNA)
    assert {sequence.metadata["id"]: str(sequence) for sequence in fasta} == survey.sequences
    tree = skbio.TreeNode.read(str(tmp_path / "tree.nwk"))
    assert tree.compare_rfd(survey.tree) == 0
    lines = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert lines[0] == "sample-id\tph\thabitat\tsite"
    assert lines[1] == "#q2:types\tnumeric\tcategorical\tcategorical"
    first = survey.metadata.iloc[0]
    assert lines[2] == f"{survey.metadata.index[0]}\t{first['ph']}\t{first['habitat']}\t{first['site']}"
    assert lines[2:] and "30 samples" in capsys.readouterr().out


def test_large_surveys_stay_sparse_and_quick():
    started = time.perf_counter()
    survey = simulate_survey(n_samples=2000, n_asvs=600)
    assert time.perf_counter() - started < 10
    assert survey.table.shape[1] == 2000
    assert survey.table.nnz < 2000 * 150


@pytest.mark.parametrize("name, least", [("n_samples", 10), ("n_asvs", 10), ("length", 30)])
def test_too_small_a_size_is_refused(name, least):
    with pytest.raises(ValueError, match=f"{name} is 5, but a simulated survey needs at least {least}."):
        simulate_survey(**{name: 5})


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_share_outside_of_0_and_1_is_refused(survey, share):
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        keep_sites_apart(survey, share)


def test_smallest_survey():
    survey = simulate_survey(10, 10, 30)
    assert survey.table.shape[1] == 10
    assert survey.table.sum("sample").min() >= 1000
    assert survey.metadata["site"].nunique() == 2
