"""The actions through QIIME 2's own interface: types, provenance, and the plugins that take what they leave."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
import yaml

from q2_aam.framework import Artifact, qiime2, sdk
from tests.old_plugins import tables_of_q2templates

from .small import RUN, SHARE, SIZES

# What the calls below set, beside inputs.
SET = {"groups", "head", "threads", "epochs", "validation_share", "precision", *SIZES}


@pytest.fixture(scope="module")
def plugins():
    return sdk.PluginManager().plugins


@pytest.fixture(scope="module")
def aam(plugins):
    return plugins["aam"].actions


@pytest.fixture(scope="module")
def artifacts(study):
    return {
        "table": Artifact.import_data("FeatureTable[Frequency]", study.table),
        "sequences": Artifact.import_data("FeatureData[Sequence]", str(study.directory / "sequences.fasta")),
        "phylogeny": Artifact.import_data("Phylogeny[Rooted]", str(study.directory / "tree.nwk")),
    }


@pytest.fixture(scope="module")
def pretrained(aam, artifacts):
    return aam["pretrain"](**artifacts, epochs=1, **SIZES, **RUN, **SHARE)


@pytest.fixture(scope="module")
def fitted(aam, artifacts, pretrained, study):
    """Outputs of `fit` by column, and of `fine_tune` as 'tuned'; the classes of `code` are numbers in words."""
    names = {"forest": "0", "grassland": "1", "wetland": "10"}
    given = {"table": artifacts["table"], "sequences": artifacts["sequences"], "encoder": pretrained.model}
    frame = study.frame.assign(code=study.frame["habitat"].map(names)).rename_axis("sample-id")
    columns = {name: qiime2.Metadata(frame).get_column(name) for name in ("ph", "habitat", "code", "site")}
    outputs = {
        name: aam["fit"](**given, metadata=columns[name], groups=columns["site"], head="linear", threads=1)
        for name in ("ph", "habitat", "code")
    }
    outputs["tuned"] = aam["fine_tune"](**given, metadata=columns["ph"], epochs=1, **RUN, **SHARE)
    return outputs, columns


@pytest.fixture(scope="module")
def predicted(aam, artifacts, fitted):
    given = {"table": artifacts["table"], "sequences": artifacts["sequences"], "threads": 1}
    return {name: aam["predict"](**given, model=outputs.model) for name, outputs in fitted[0].items()}


# Types


def test_types_follow_the_column(pretrained, fitted, predicted):
    assert str(pretrained.model.type) == "AAMModel[Encoder]"
    assert str(pretrained.training_log.type) == "AAMTrainingLog"
    for column, model, predictions, certainty in (
        ("ph", "Regressor", "RegressorPredictions", "PredictionIntervals"),
        ("habitat", "Classifier", "ClassifierPredictions", "Probabilities"),
        ("code", "Classifier", "ClassifierPredictions", "Probabilities"),
        ("tuned", "Regressor", "RegressorPredictions", "PredictionIntervals"),
    ):
        for outputs in (fitted[0][column], predicted[column]):
            assert str(outputs.predictions.type) == f"SampleData[{predictions}]"
            assert str(outputs.certainty.type) == f"SampleData[{certainty}]"
        assert str(fitted[0][column].model.type) == f"AAMModel[{model}]"
        assert str(predicted[column].novelty.type) == "SampleData[Novelty]"
    assert str(fitted[0]["tuned"].training_log.type) == "AAMTrainingLog"
    assert fitted[0]["ph"]._fields == ("model", "predictions", "certainty")


def test_artifacts_pass_their_own_validation(pretrained, fitted, predicted):
    for outputs in (pretrained, *fitted[0].values(), *predicted.values()):
        for artifact in outputs:
            artifact.validate("max")


def test_encoder_is_no_model_to_predict_with(aam, artifacts, pretrained):
    with pytest.raises(TypeError, match=r"^Parameter 'model' requires .* type AAMModel\[Encoder\] was passed\.$"):
        aam["predict"](table=artifacts["table"], sequences=artifacts["sequences"], model=pretrained.model)


def test_model_is_no_encoder_to_fit_with(aam, artifacts, fitted):
    with pytest.raises(TypeError, match=r"^Parameter 'encoder' requires .* type AAMModel\[Regressor\] was passed\.$"):
        aam["fit"](table=artifacts["table"], encoder=fitted[0]["ph"].model, metadata=fitted[1]["ph"])


def test_numeric_groups_are_refused_by_type(aam, artifacts, fitted):
    with pytest.raises(TypeError, match=r"MetadataColumn\[Categorical\]"):
        aam["fit"](table=artifacts["table"], metadata=fitted[1]["ph"], groups=fitted[1]["ph"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": "forest"},
        {"target_transform": "sqrt"},
        {"foreign": "drop"},
        {"threads": 0},
        {"random_seed": -1},
        {"random_seed": 2**32},
        {"missing_samples": "drop"},
        {"missing_covariates": "drop"},
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_read(aam, artifacts, fitted, wrong):
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        aam["fit"](table=artifacts["table"], metadata=fitted[1]["ph"], **wrong)


# What is written


def written(artifact, tmp_path, name):
    artifact.export_data(tmp_path)
    return (tmp_path / name).read_text().splitlines()


def test_classes_that_are_numbers_are_written_as_they_are(fitted, predicted, tmp_path):
    lines = written(predicted["code"].predictions, tmp_path, "predictions.tsv")
    assert lines[0].split("\t")[1] == "prediction" and len(lines) == 49
    assert {line.split("\t")[1] for line in lines[1:]} <= {"0", "1", "10"}
    header, *rows = written(predicted["code"].certainty, tmp_path, "class_probabilities.tsv")
    assert header.split("\t")[1:] == ["0", "1", "10"]
    for row in rows:
        assert sum(map(float, row.split("\t")[1:])) == pytest.approx(1)


def test_novelty_and_intervals_are_written_with_all_columns(predicted, tmp_path):
    assert written(predicted["ph"].novelty, tmp_path, "novelty.tsv")[0].split("\t") == [
        "SampleID",
        "asvs",
        "reads",
        "unseen_asvs",
        "unseen_read_share",
        "reads_cut",
        "reads_dropped",
        "reads_ambiguous",
    ]
    lines = written(predicted["ph"].certainty, tmp_path, "prediction_intervals.tsv")
    assert lines[0].split("\t") == ["SampleID", "lower", "upper"] and len(lines) == 49


def test_a_saved_model_predicts_the_same(aam, artifacts, fitted, predicted, tmp_path):
    path = fitted[0]["ph"].model.save(str(tmp_path / "model"))
    again = aam["predict"](
        table=artifacts["table"], sequences=artifacts["sequences"], model=Artifact.load(path), threads=1
    )
    for ours, theirs in zip(again, predicted["ph"], strict=True):
        view = pd.Series if "Predictions]" in str(ours.type) else pd.DataFrame
        assert ours.view(view).equals(theirs.view(view))


# Provenance


def action_of(artifact):
    """The recorded action, its tags left as text."""
    text = (artifact._archiver.provenance_dir / "action" / "action.yaml").read_text()
    return yaml.safe_load(re.sub(r"!\w+", "", text))


def recorded(artifact, part):
    return {name: value for entry in action_of(artifact)["action"][part] for name, value in entry.items()}


@pytest.mark.parametrize("action", ["pretrain", "fit", "fine_tune", "predict"])
def test_provenance_records_every_parameter(action, aam, pretrained, fitted, predicted):
    outputs = {"pretrain": pretrained, "fit": fitted[0]["ph"], "fine_tune": fitted[0]["tuned"]}
    outputs["predict"] = predicted["ph"]
    signature, entries = aam[action].signature, recorded(outputs[action][0], "parameters")
    assert set(entries) == set(signature.parameters)
    for name, spec in signature.parameters.items():
        if spec.has_default() and name not in SET:
            assert entries[name] == spec.default, name
    assert entries["threads"] == 1
    if action == "fit":
        assert (entries["head"], entries["random_seed"]) == ("linear", 0)


def test_provenance_names_the_inputs(artifacts, pretrained, fitted):
    inputs = recorded(fitted[0]["ph"].predictions, "inputs")
    assert inputs["table"] == str(artifacts["table"].uuid)
    assert inputs["encoder"] == str(pretrained.model.uuid)
    assert "phylogeny" not in inputs
    assert recorded(fitted[0]["tuned"].model, "inputs")["phylogeny"] is None


def test_provenance_cites_what_was_used(pretrained, fitted):
    for outputs, word in ((pretrained, "UniFrac"), (pretrained, "Attention"), (fitted[0]["ph"], "Attention")):
        titles = [entry.fields.get("title", "") for entry in outputs[0].citations.values()]
        assert any(word in title for title in titles), titles


# Other plugins take it


@tables_of_q2templates
def test_scatterplot_of_q2_sample_classifier(plugins, predicted, fitted):
    made = plugins["sample-classifier"].visualizers["scatterplot"](
        predictions=predicted["ph"].predictions, truth=fitted[1]["ph"], missing_samples="error"
    )
    assert "Mean squared error" in (made.visualization._archiver.data_dir / "index.html").read_text()


@tables_of_q2templates
@pytest.mark.parametrize("column", ["habitat", "code"])
def test_confusion_matrix_of_q2_sample_classifier(plugins, predicted, fitted, column):
    made = plugins["sample-classifier"].visualizers["confusion_matrix"](
        predictions=predicted[column].predictions, truth=fitted[1][column], probabilities=predicted[column].certainty
    )
    data = made.visualization._archiver.data_dir
    assert (data / "index.html").exists() and (data / "roc_plot.png").exists()
    # its own overall accuracy is that of our predictions
    accuracy = (predicted[column].predictions.view(pd.Series).astype(str) == fitted[1][column].to_series()).mean()
    matrix = pd.read_csv(data / "predictive_accuracy.tsv", sep="\t", index_col=0)
    assert float(matrix.loc["Overall Accuracy"].dropna().iloc[0]) == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("name", ["log", "predictions", "intervals", "probabilities", "novelty", "model"])
def test_metadata_tabulate_shows_everything(plugins, fitted, predicted, name):
    artifact = {
        "log": fitted[0]["tuned"].training_log,
        "predictions": predicted["ph"].predictions,
        "intervals": predicted["ph"].certainty,
        "probabilities": predicted["habitat"].certainty,
        "novelty": predicted["ph"].novelty,
        "model": fitted[0]["ph"].model,
    }[name]
    metadata = artifact.view(qiime2.Metadata)
    page = plugins["metadata"].visualizers["tabulate"](input=metadata).visualization._archiver.data_dir
    text = (page / "index.html").read_text().replace("\\/", "/")
    assert metadata.id_count == {"log": 2, "model": metadata.id_count}.get(name, 48)
    for column in metadata.columns:
        assert column in text


@pytest.mark.parametrize("maker, column", [("fit", "ph"), ("predict", "code")])
def test_evaluate_takes_what_predict_and_fit_leave(aam, fitted, predicted, maker, column):
    outputs = {"fit": fitted[0], "predict": predicted}[maker][column]
    made = aam["evaluate"](predictions=outputs.predictions, certainty=outputs.certainty, metadata=fitted[1][column])
    text = (made.visualization._archiver.data_dir / "index.html").read_text()
    assert f"{len(outputs.predictions.view(pd.Series))} samples with a prediction and a true value." in text


def test_evaluate_with_everything(aam, fitted, predicted):
    made = aam["evaluate"](
        predictions=predicted["ph"].predictions,
        certainty=predicted["ph"].certainty,
        novelty=predicted["ph"].novelty,
        metadata=fitted[1]["ph"],
        groups=fitted[1]["site"],
    )
    text = (made.visualization._archiver.data_dir / "index.html").read_text()
    truth = fitted[1]["ph"].to_series()
    predictions = predicted["ph"].predictions.view(pd.Series)
    assert f"{np.abs(truth - predictions).mean():.3g}" in text


@pytest.mark.parametrize("action", ["pretrain", "ph", "habitat", "tuned"])
def test_summarize_model_takes_every_model(aam, pretrained, fitted, action):
    made = aam["summarize_model"](model=(pretrained if action == "pretrain" else fitted[0][action]).model)
    text = (made.visualization._archiver.data_dir / "index.html").read_text()
    kind = {"pretrain": "encoder", "habitat": "classifier of 'habitat'"}.get(action, "regressor of 'ph'")
    assert f"What is in this model? ({kind})" in unescape(text)
    assert ("Tuned to the column</td><td>yes" in text) == (action == "tuned")


@pytest.mark.parametrize("action", ["pretrain", "fine-tune"])
def test_summarize_training_takes_both_logs(aam, pretrained, fitted, action):
    log = {"pretrain": pretrained, "fine-tune": fitted[0]["tuned"]}[action].training_log
    made = aam["summarize_training"](training_log=log)
    text = (made.visualization._archiver.data_dir / "index.html").read_text()
    assert "total_loss" in text and f"({action}" in text
