"""`cross_validate` by the real actions, at tiny sizes: what is cross-validated is what is fitted."""

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam import cross_validation
from q2_aam.actions.fit import fit
from q2_aam.actions.predict import predict
from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation.baselines import label_of
from q2_aam.framework import Artifact, qiime2
from q2_aam.plugin_setup import plugin
from q2_aam.settings import CrossValidation, Fitting
from q2_aam.study.folds import grouped_folds
from q2_aam.study.study import read_study

from .small import as_column, told


def really(study, table, column="ph", frame=None, kind="Frequency", **changes):
    """Outputs of the registered pipeline."""
    frame = study.frame if frame is None else frame
    with told():
        return plugin.pipelines["cross_validate"](
            table=Artifact.import_data(f"FeatureTable[{kind}]", table),
            sequences=Artifact.import_data("FeatureData[Sequence]", str(study.directory / "sequences.fasta")),
            metadata=as_column(frame[column]),
            folds=2,
            threads=1,
            **changes,
        )


def phylogeny(study):
    return Artifact.import_data("Phylogeny[Rooted]", str(study.directory / "tree.nwk"))


def joined(outputs, ids):
    """Predictions, certainty and baselines of each sample."""
    predicted = outputs.predictions.view(pd.Series).rename("ours")
    parts = [predicted, outputs.certainty.view(pd.DataFrame), outputs.baselines.view(pd.DataFrame)]
    return pd.concat(parts, axis=1).loc[list(ids)]


@pytest.fixture(scope="module")
def survey(study):
    """16 samples, of which the last eight are a fold; of the last four values and communities can be changed."""
    ids = list(study.table.ids()[:16])
    return study.samples(ids).remove_empty("observation"), study.frame.loc[ids, ["ph"]].copy()


def other_samples(table, frame):
    """Absurd values of the last eight samples, and other communities of the last four of these."""
    counts, values = table.matrix_data.toarray(), frame.copy()
    counts[:, -4:] = counts[::-1, -4:] * 3 + (np.arange(len(counts)) % 3 == 0)[:, None]
    values.iloc[-8:, 0] = 1e6 * np.arange(1, 9)
    return biom.Table(counts, table.ids("observation"), table.ids()), values


@pytest.mark.parametrize("leaking", [False, True])
def test_what_is_predicted_is_unseen_by_the_real_actions(study, survey, monkeypatch, leaking):
    first, second = np.arange(8), np.arange(8, 16)
    folds = [(first, second), (second, first)]
    if leaking:
        # planted: one of the samples that are to be unseen is learnt from
        train = np.append(first, 15)
        folds = [(train, second[:-1]), (second[:-1], train)]
    monkeypatch.setattr("q2_aam.study.folds.grouped_folds", lambda *_, **__: folds)
    each_fold = {"pretraining": "each_fold", "pretrain_epochs": 1}
    before, after = (
        joined(really(study, table, frame=frame, phylogeny=phylogeny(study), **each_fold), table.ids())
        for table, frame in (survey, other_samples(*survey))
    )
    # the samples of the fold whose own communities are the same
    unseen = before.index[8:12]
    for name in before:
        moved = not np.allclose(after.loc[unseen, name], before.loc[unseen, name], rtol=1e-4, atol=1e-4)
        assert moved == leaking or (leaking and name == "median"), name
    # those that were predicted by what was learnt from absurd values
    assert (np.abs(after.iloc[:8] - before.iloc[:8]) > 1e3).all(axis=None)


@pytest.fixture(scope="module")
def validated(study, encoder):
    """With covariates and groups: outputs of the pipeline, and its folds as rows."""
    outputs = really(
        study,
        study.table,
        encoder=Artifact.import_data("AAMModel[Encoder]", str(encoder)),
        groups=study.column("site"),
        covariates=qiime2.Metadata(study.frame.rename_axis("id")),
        covariate_columns=["habitat"],
        random_seed=3,
    )
    frame = study.frame.loc[study.table.ids()]
    return outputs, grouped_folds(len(frame), 2, groups=frame["site"], random_seed=3)


def test_each_folds_model_is_the_one_that_fit_makes(study, encoder, validated):
    outputs, folds = validated
    covariates = qiime2.Metadata(study.frame.rename_axis("id"))
    shared = {"sequences": study.sequences, "covariates": covariates, "threads": 1}
    predictions, certainty = outputs.predictions.view(pd.Series), outputs.certainty.view(pd.DataFrame)
    for train, test in folds:
        train_ids, test_ids = study.table.ids()[train], study.table.ids()[test]
        with told():
            model, *_ = fit(
                study.samples(train_ids).remove_empty("observation"),
                as_column(study.frame.loc[train_ids, "ph"]),
                encoder=encoder,
                groups=as_column(study.frame.loc[train_ids, "site"]),
                covariate_columns=["habitat"],
                random_seed=3,
                **shared,
            )
            values, intervals, _ = predict(study.samples(test_ids).remove_empty("observation"), model, **shared)
        assert predictions[test_ids].to_numpy() == pytest.approx(values[test_ids].to_numpy(), abs=1e-9)
        assert certainty.loc[test_ids].to_numpy() == pytest.approx(intervals.loc[test_ids].to_numpy(), abs=1e-9)


def test_the_library_cross_validates_as_the_pipeline_does(study, encoder, validated):
    read = read_study(
        study.table,
        str(study.sequences),
        metadata=study.frame,
        target="ph",
        groups="site",
        covariates=["habitat"],
        max_length=Encoder.load(str(encoder)).max_length,
    )
    with told():
        same = cross_validation.cross_validate(
            read,
            Encoder.load(str(encoder)),
            CrossValidation(folds=2),
            Fitting(random_seed=3, threads=1),
            baselines=False,
        )
    ours = validated[0].predictions.view(pd.Series)
    assert same.predictions[ours.index].to_numpy() == pytest.approx(ours.to_numpy(), abs=1e-3)


def test_the_covariates_baseline_is_in_scores_and_report(validated, tmp_path):
    outputs, _ = validated
    methods = ["q2-aam", "median", "random forest", "covariates", "log-ratios", "boosted trees", "SVM Jaccard"]
    assert outputs.baselines.view(pd.DataFrame).columns.tolist() == methods[1:]
    scores = outputs.scores.view(pd.DataFrame)
    assert set(scores["method"]) == set(methods) and set(scores["pretraining"]) == {"encoder+none"}
    outputs.report.export_data(str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert [label for label in map(label_of, methods) if label not in page] == []


@pytest.mark.parametrize("kind", ["RelativeFrequency", "PresenceAbsence"])
def test_other_tables_are_cross_validated_with_an_encoder(study, encoder, kind):
    table = study.table.norm(inplace=False) if kind == "RelativeFrequency" else study.table.pa(inplace=False)
    encoder = Artifact.import_data("AAMModel[Encoder]", str(encoder))
    outputs = really(study, table, "habitat", kind=kind, encoder=encoder, head="linear")
    assert set(outputs.predictions.view(pd.Series).index) == set(table.ids())
    assert "q2-aam" in set(outputs.scores.view(pd.DataFrame)["method"])
