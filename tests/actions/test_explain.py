"""`explain`: artifacts that other plugins take, groups of a taxonomy, and what is said."""

import re

import numpy as np
import pandas as pd
import pytest
from q2_types.tree import NewickFormat

import q2_aam.explain
from q2_aam.actions.explain import explain
from q2_aam.explain import occlusion, trust
from q2_aam.framework import Artifact, qiime2
from q2_aam.study.phylogeny import read_phylogeny

from .small import as_column, run_fit, run_predict


def run(study, model, **changes):
    """Importance, effects and what was explained."""
    given = {"table": study.table, "sequences": study.sequences, "model": model, "threads": 1, **changes}
    importance, effects = explain(**given)
    artifact = Artifact.import_data("SampleData[AAMEffects]", effects)
    artifact.validate("max")
    return importance, artifact.view(pd.DataFrame), artifact.view(dict)


def test_what_a_regressor_rests_on(study, regressor, capsys):
    importance, effects, _ = run(study, regressor[0])
    said = " ".join(capsys.readouterr().out.split())
    first = "; ".join(f"{name} {size:.3g}" for name, size in importance["importance"].head(5).items())
    assert re.match(r"Explaining 48 of 48 samples: each of \d+ ASVs leaves each sample that holds it, and ", said)
    assert said.endswith(f"Most important (mean change of ph over 48 samples): {first}.")
    predicted = run_predict(study, regressor[0])[0]
    np.testing.assert_allclose(effects["prediction"], predicted[effects.index], rtol=1e-5)
    held = study.table.remove_empty("observation", inplace=False)
    assert set(importance.index) == set(held.ids("observation")) == set(effects.columns[1:])
    presence = pd.DataFrame((held.matrix_data.toarray() > 0).T, held.ids(), held.ids("observation"))
    assert (importance["samples"] == presence.sum()[importance.index]).all()
    absent = ~presence.loc[effects.index, effects.columns[1:]].to_numpy()
    assert not effects.drop(columns="prediction").to_numpy()[absent].any()


def test_what_a_classifier_rests_on(study, classifier, capsys):
    importance, effects, _ = run(study, classifier[0])
    assert "Most important (mean change of probability over 48 samples): " in " ".join(capsys.readouterr().out.split())
    certainty = run_predict(study, classifier[0])[1]
    assert list(importance)[1:-1] == [f"effect_{name}" for name in certainty]
    np.testing.assert_allclose(effects["prediction"], certainty.max(axis=1)[effects.index], rtol=1e-5)


def test_what_comes_out_are_artifacts(study, regressor):
    importance, effects, explained = run(study, regressor[0])
    artifact = Artifact.import_data("FeatureData[Importance]", importance)
    artifact.validate("max")
    np.testing.assert_allclose(artifact.view(pd.DataFrame)["importance"], importance["importance"])
    assert list(artifact.view(qiime2.Metadata).ids) == list(importance.index)
    assert explained == {
        "schema_version": 1,
        "target": {"name": "ph", "kind": "numeric", "classes": []},
        "samples": 48,
        "of_samples": 48,
        "alone": 0,
        "groups": None,
        "trust": None,
        "notes": [],
    }
    given = explain(study.table, regressor[0], study.sequences, threads=1)[1]
    metadata = Artifact.import_data("SampleData[AAMEffects]", given).view(qiime2.Metadata)
    pd.testing.assert_frame_equal(metadata.to_dataframe(), effects, check_names=False)


def test_trust_is_measured_where_there_are_true_values(study, classifier, capsys):
    importance, _, explained = run(
        study, classifier[0], metadata=study.column("habitat"), groups=study.column("site")
    )
    assert list(importance)[:2] == ["importance", "spread"] and (importance["spread"] >= 0).all()
    # By which the page orders samples.
    assert explained["true_values"] == study.column("habitat").to_series().dropna().to_dict()
    trust = explained["trust"]
    assert trust["metric"] == "balanced_accuracy" and trust["folds"] == 5 and trust["stability"]["top"] == 20
    assert [row["removed"] for row in trust["deletion"]] == [0, 1, 2, 5, 10, 20]
    assert trust["score"] == trust["deletion"][0]["top"] == trust["deletion"][0]["random"]
    said = " ".join(capsys.readouterr().out.split())
    row = trust["deletion"][5]
    assert (
        f"Without the 20 most important of each fold ({row['top_reads']:.0%} of the reads), balanced accuracy of "
        f"samples not learnt from goes from {trust['score']:.3f} to {row['top']:.3f}; without as many random ones of "
        f"like prevalence and abundance ({row['random_reads']:.0%} of the reads) to {row['random']:.3f} "
        f"({row['random_low']:.3f} to {row['random_high']:.3f}). Of the 20 most important of a "
        f"fold, {trust['stability']['overlap']:.0%} are among those of another fold (of models that learnt from "
        f"permuted values {trust['stability']['by_chance']:.0%})."
    ) in said


def test_true_values_of_another_column_or_kind_are_refused(study, regressor, tuned):
    with pytest.raises(ValueError, match=re.escape(
        "The model predicts the numeric column 'ph', but metadata is the categorical column 'habitat'. Give the column "
        "that the model was fitted to, or leave metadata out."
    )):  # fmt: skip
        run(study, regressor[0], metadata=study.column("habitat"))
    with pytest.raises(ValueError, match="This model's encoder was tuned to the column on the samples that it has"):
        run(study, tuned[0], metadata=study.column("ph"))


def test_groups_of_a_taxonomy(study, regressor, capsys):
    features = list(study.table.ids("observation"))
    taxa = pd.Series([f"k__B; p__{n % 3}; c__{n}" for n in range(len(features))], features, name="Taxon")
    importance, effects, explained = run(study, regressor[0], feature_groups=as_column(taxa), level=2)
    assert set(importance.index) == {"k__B; p__0", "k__B; p__1", "k__B; p__2"} == set(effects.columns[1:])
    assert "each of 3 groups leaves each sample that holds it" in " ".join(capsys.readouterr().out.split())
    whole = run(study, regressor[0], feature_groups=as_column(taxa))[0]
    pd.testing.assert_frame_equal(
        whole.set_axis([name.split("c__")[1] for name in whole.index]).sort_index(),
        run(study, regressor[0])[0].rename(index=lambda name: str(features.index(name))).sort_index(),
        check_names=False,
    )


def test_clades_of_a_phylogeny(study, regressor, capsys):
    importance, effects, explained = run(study, regressor[0], phylogeny=study.phylogeny)
    said = " ".join(capsys.readouterr().out.split())
    assert "clades and ASVs leaves each sample that holds it" in said
    assert re.search(rf"{len(importance)} of \d+ clades and ASVs say most, and share no ASV: these are kept\.", said)
    assert list(importance) == ["importance", "effect", "samples", "asvs"]
    assert set(effects.columns[1:]) == set(importance.index)
    clades = importance[importance["asvs"] > 1]
    assert len(clades) and clades.index.str.fullmatch(r"clade-\d+").all()
    name, row = clades.index[0], clades.iloc[0]
    if name in importance.index[:5]:
        assert f"{name} ({row['asvs']:.0f} ASVs) {row['importance']:.3g}" in said
    assert explained["groups"] == {"tree": "phylogeny"}
    directory = explain(study.table, regressor[0], study.sequences, phylogeny=study.phylogeny, threads=1)[1]
    members = directory.members.view(pd.DataFrame)["clade"]
    assert set(members) == set(importance.index) and set(members.index) == set(study.table.ids("observation"))
    assert (members.value_counts()[importance.index] == importance["asvs"]).all()
    tree = read_phylogeny(directory.path / "tree.nwk")
    node = list(tree.names).index(name)
    inside = tree.names[node : node + tree.sizes[node]][tree.sizes[node : node + tree.sizes[node]] == 1]
    assert set(members.index[members == name]) == set(inside)
    # They are metadata of features, by which these can be grouped again.
    again = run(study, regressor[0], feature_groups=as_column(members.rename("clade")))[0]
    np.testing.assert_allclose(again["importance"][importance.index], importance["importance"], atol=1e-5)


def test_features_that_are_no_tip_are_refused_or_leave_alone(study, regressor, tmp_path, capsys):
    features = list(study.table.ids("observation"))
    pruned = study.tree.shear(set(study.sequence_of) - set(features[:2]))
    pruned.prune()
    pruned.write(str(tmp_path / "tree.nwk"), format="newick")
    phylogeny = NewickFormat(str(tmp_path / "tree.nwk"), "r")
    with pytest.raises(ValueError, match=re.escape(
        f"2 of the {len(features)} features are no tip of the phylogeny: {', '.join(features[:2])}. Give the "
        "phylogeny of these features, or set missing_features to 'ignore': they then leave alone."
    )):  # fmt: skip
        run(study, regressor[0], phylogeny=phylogeny)
    importance, _, explained = run(study, regressor[0], phylogeny=phylogeny, missing_features="ignore")
    assert set(features[:2]) <= set(importance.index)
    assert explained["notes"] == [f"2 of {len(features)} ASVs are no tip of the phylogeny, and leave alone."]
    assert explained["notes"][0] in " ".join(capsys.readouterr().out.split())


def test_clusters_of_the_encoder(study, classifier):
    importance, _, explained = run(study, classifier[0], clusters=True)
    assert explained["groups"] == {"tree": "clusters"} and (importance["asvs"] >= 1).all()
    assert importance["asvs"].sum() == len(study.table.ids("observation"))


def test_two_kinds_of_groups_are_refused(study, regressor):
    with pytest.raises(ValueError, match="phylogeny and clusters each say which features leave together. Give one of"):
        run(study, regressor[0], phylogeny=study.phylogeny, clusters=True)


def test_clades_are_trusted_as_far_as_folds_agree(study, regressor, monkeypatch):
    monkeypatch.setattr(trust, "TOP", 5)
    importance, _, explained = run(study, regressor[0], phylogeny=study.phylogeny, metadata=study.column("ph"))
    assert list(importance)[:2] == ["importance", "spread"] and (importance["spread"] >= 0).all()
    assert 0 < explained["trust"]["stability"]["overlap"] <= 1
    assert len(explained["trust"]["deletion"]) > 4


def test_effects_on_all_classes(study, classifier):
    directory = explain(study.table, classifier[0], study.sequences, threads=1)[1]
    directory.validate("max")
    probabilities = directory.probabilities.view(pd.DataFrame)
    certainty = run_predict(study, classifier[0])[1]
    np.testing.assert_allclose(probabilities[certainty.columns], certainty.loc[probabilities.index], rtol=1e-5)
    rows = directory.class_effects.view(pd.DataFrame)
    assert list(rows) == ["sample-id", "feature-id", *probabilities]
    np.testing.assert_allclose(rows[list(probabilities)].sum(axis=1), 0, atol=1e-5)
    wide = directory.effects.view(pd.DataFrame)
    likeliest = probabilities.idxmax(axis=1)
    for _, row in rows.iloc[::97].iterrows():
        sample, feature = row["sample-id"], row["feature-id"]
        assert row[likeliest[sample]] == pytest.approx(wide.loc[sample, feature], rel=1e-4)


def test_groups_of_other_features_are_refused(study, regressor):
    strange = as_column(pd.Series(["x", "y"], ["one", "two"], name="Taxon"))
    with pytest.raises(ValueError, match=re.escape(
        "None of the table's features has a name in column 'Taxon' of the feature groups. The features are called "
    )):  # fmt: skip
        run(study, regressor[0], feature_groups=strange)


@pytest.mark.parametrize("name", ["prediction", "#b", "id", "sample_name"])
def test_names_that_no_metadata_can_have_are_refused_before_any_work(study, regressor, name):
    features = study.table.ids("observation")
    taxa = pd.Series(["x"] * (len(features) - 1) + [name], features, name="Taxon")
    with pytest.raises(ValueError, match=re.escape(
        f"1 features or groups are called what no column of metadata can be called: {name}. Rename them, or"
    )):  # fmt: skip
        run(study, regressor[0], feature_groups=as_column(taxa))


def test_trust_that_cannot_be_measured_is_refused_first_or_told_of(study, regressor, monkeypatch):
    two = pd.Series(["a"] * 24 + ["b"] * 24, study.table.ids(), name="site")
    with pytest.raises(ValueError, match="there are too few samples, groups or samples of a class for that"):
        run(study, regressor[0], metadata=study.column("ph"), groups=as_column(two))

    def fails(*_, **__):
        raise ValueError("A fold cannot be fitted.")

    monkeypatch.setattr(q2_aam.explain, "measure_trust", fails)
    with pytest.warns(UserWarning, match="could not be measured: A fold cannot be fitted."):
        importance, _, explained = run(study, regressor[0], metadata=study.column("ph"))
    assert explained["trust"] is None and "spread" not in importance
    failed = "How far the explanation can be trusted could not be measured: A fold cannot be fitted."
    assert explained["notes"] == [failed]


def test_a_model_without_skill_is_told_of(study, encoder, capsys):
    noise = pd.Series(np.random.default_rng(0).normal(size=48), study.table.ids(), name="noise")
    model = run_fit(study, as_column(noise), encoder)[0]
    trust = run(study, model, metadata=as_column(noise))[2]["trust"]
    assert trust["score"] <= trust["trivial"] == 0
    assert (
        "Models of the other folds predict these samples no better than always the same answer (r2 "
        f"{trust['score']:.3f}): what they rest on says nothing."
    ) in " ".join(capsys.readouterr().out.split())


def test_groups_that_the_model_was_fitted_with_are_missed(study, classifier, capsys):
    explained = run(study, classifier[0], metadata=study.column("habitat"))[2]
    said = "The model was fitted with groups. Without them here, trust in the explanation is too high."
    assert said in " ".join(capsys.readouterr().out.split()) and explained["notes"] == [said]


def test_effects_of_the_most_important_names_alone_are_kept(study, regressor, monkeypatch):
    monkeypatch.setattr(occlusion, "MOST_EFFECTS", 7)
    importance, effects, _ = run(study, regressor[0])
    assert list(effects) == ["prediction", *importance.index[:7]] and len(importance) > 7
    np.testing.assert_allclose(importance["importance"].iloc[:7], effects.iloc[:, 1:].abs().mean(), rtol=1e-5)


def test_covariates_are_needed_and_not_explained(study, encoder):
    frame = qiime2.Metadata(study.frame[["habitat"]].rename_axis("id"))
    model = run_fit(study, "ph", encoder, covariates=frame)[0]
    importance = run(study, model, covariates=frame)[0]
    assert set(importance.index) <= set(study.table.ids("observation"))
    with pytest.raises(ValueError, match="The model was fitted with the covariates habitat"):
        run(study, model)


def test_a_part_of_the_samples(study, regressor):
    assert len(run(study, regressor[0], most_read=1)[1]) == 10
    chosen = [list(run(study, regressor[0], most_read=1, random_seed=seed)[1].index) for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]
    for wrong in ({"most_read": 0}, {"level": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            run(study, regressor[0], **wrong)
