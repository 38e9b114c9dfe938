"""`maturity`: an artifact that other plugins take, samples that are left out, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from q2_aam.actions.maturity import maturity
from q2_aam.evaluation.maturity import measure_maturity
from q2_aam.framework import Artifact, qiime2
from q2_aam.provenance import folds_of_samples, origin_of
from q2_aam.simulation.cohorts import simulate_cohorts
from q2_aam.study.tables import name_ids
from tests.visualizers.pages import categorical, numeric, predictions_of

from .small import printed


def given(frame, control="control", **changes):
    """What the action takes, of simulated cohorts."""
    return {
        "predictions": predictions_of(frame["predicted"].to_dict()),
        "metadata": numeric(frame["true"].to_dict(), "age"),
        "cohorts": categorical(frame["cohort"].to_dict(), "diet"),
        "groups": categorical(frame["subject"].to_dict(), "infant"),
        "control": control,
        **changes,
    }


def run(frame, **changes):
    """The artifact."""
    artifact = Artifact.import_data("SampleData[AAMMaturity]", maturity(**given(frame, **changes)))
    artifact.validate("max")
    return artifact


def test_the_artifact_holds_what_was_measured(capsys):
    frame = simulate_cohorts(0)
    artifact, found = run(frame), measure_maturity(frame, "control")
    samples = artifact.view(pd.DataFrame)
    assert samples.index.name == "SampleID"
    numbers = ["true", "predicted", "control_subjects", "expected", "spread", "difference", "z"]
    np.testing.assert_allclose(samples[numbers], found.samples[numbers], rtol=1e-9)
    assert samples[["cohort", "subject", "reason"]].equals(found.samples[["cohort", "subject", "reason"]])
    about = artifact.view(dict)
    said = ("target", "cohorts", "control", "subjects", "spread_by_age", "origin", "notes")
    assert {key: about[key] for key in said} == {
        "target": "age", "cohorts": "diet", "control": "control", "subjects": "infant", "spread_by_age": True,
        "origin": "unknown", "notes": [],
    }  # fmt: skip
    for key, table in (("curve", found.curve), ("compared", found.cohorts), ("ranges", found.ranges)):
        pd.testing.assert_frame_equal(pd.DataFrame(about[key]), table, check_dtype=False)
    own, row = found.samples[found.samples["cohort"] == "control"]["z"], found.cohorts.iloc[1]
    left = found.samples["z"].isna().sum()
    said = printed(capsys)
    assert said == [
        f"What is expected of age comes from {own.notna().sum()} controls (control); their z-scores, each by other "
        f"subjects, have mean {own.mean():.2f} and standard deviation {own.std():.2f}.",
        f"Nothing is expected of {left} of 192 samples ({left} outside the range of the controls).",
        f"late: predicted minus expected {row['difference']:.3g} (95% {row['difference_low']:.3g} to "
        f"{row['difference_high']:.3g}), z {row['z']:.2f}; {row['samples']} samples of 8 subjects.",
    ]


def test_metadata_stand_beside_the_users_own():
    frame = simulate_cohorts(0)
    metadata = run(frame).view(qiime2.Metadata)
    types = {name: column.type for name, column in metadata.columns.items()}
    assert types == {
        **dict.fromkeys(
            ("true", "predicted", "control_subjects", "expected", "spread", "difference", "z"), "numeric"
        ),
        "reason": "categorical",
    }  # fmt: skip
    own = qiime2.Metadata(frame[["cohort", "subject"]].rename_axis("id"))
    assert metadata.merge(own).column_count == 10
    reasons = metadata.get_column("reason").to_series()
    assert (reasons.notna() == metadata.get_column("z").to_series().isna()).all()


def test_samples_without_what_is_needed_are_left_out_and_named():
    frame = simulate_cohorts(0)
    without_age, without_diet, without_infant = "S100", "S101", "S1"
    artifact = run(
        frame,
        metadata=numeric(frame["true"].where(frame.index != without_age).to_dict(), "age"),
        cohorts=categorical(frame["cohort"].where(frame.index != without_diet, None).to_dict(), "diet"),
        groups=categorical(frame["subject"].where(frame.index != without_infant, None).to_dict(), "infant"),
    )
    assert artifact.view(dict)["notes"] == [
        "1 of 192 predicted samples have no value of 'age' and were left out: S100.",
        "1 of 192 predicted samples have no value of 'diet' and were left out: S101.",
        "1 samples have no value of 'infant' and count as subjects of their own: S1.",
    ]
    samples = artifact.view(pd.DataFrame)
    assert set(frame.index) - set(samples.index) == {without_age, without_diet}
    assert samples.loc[without_infant, "subject"] is None


def test_samples_that_are_not_in_the_metadata():
    frame = simulate_cohorts(0)
    known = frame.drop(index=["S3", "S150"])
    changes = {
        "metadata": numeric(known["true"].to_dict(), "age"),
        "cohorts": categorical(known["cohort"].to_dict(), "diet"),
    }
    refused(
        "2 of 192 predicted samples are not in the metadata: S3, S150. Add them to it, or set missing_samples to "
        "'ignore'.",
        frame,
        **changes,
    )
    notes = run(frame, **changes, missing_samples="ignore").view(dict)["notes"]
    assert notes == ["2 of 192 predicted samples are not in the metadata and were left out: S3, S150."]


def test_without_groups_it_is_said():
    about = run(simulate_cohorts(0), groups=None).view(dict)
    assert about["subjects"] is None
    assert about["notes"] == [
        "Without groups each sample counts as a subject of its own. If subjects have several samples, intervals are "
        "too narrow and what is expected of a control comes from its own samples, too."
    ]


def test_subjects_in_two_cohorts():
    frame = simulate_cohorts(0)
    later = (frame["subject"] == "subject 2") & (frame["true"] > 12)
    frame.loc[later, "cohort"] = "late"
    artifact = run(frame)
    assert artifact.view(dict)["notes"] == [
        "1 subjects are controls in some samples and not in others: subject 2. Nothing is expected of them by their "
        "own samples. Intervals take the two parts for different subjects, and may be too wide."
    ]
    changed = frame.assign(predicted=frame["predicted"] + 50 * (frame["subject"] == "subject 2"))
    before, after = (found.view(pd.DataFrame).loc[later, "expected"] for found in (artifact, run(changed)))
    np.testing.assert_array_equal(before, after)


def test_a_gap_that_is_most_of_the_range_is_said():
    frame = simulate_cohorts(0)
    controls = frame["cohort"] == "control"
    low = frame.loc[controls, "true"].max()
    frame.loc["adult"] = ("mother", 360.0, 17.0, "control")
    assert run(frame).view(dict)["notes"] == [
        f"No control (control) has a true value between {low:g} and 360, more than half of their range. Curves are as "
        "fine, and controls count as near, by the whole range: what is expected beside such a gap may be far off. "
        "Leave out the samples on one side."
    ]
    # Controls of two ages alone have no shape that could be lost.
    two = simulate_cohorts(0)
    two["true"] = two["true"].gt(12) * 24.0
    assert run(two).view(dict)["notes"] == []


def refused(sentence, frame, **changes):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        maturity(**given(frame, **changes))


def test_what_does_not_fit_is_refused():
    frame = simulate_cohorts(0)
    refused(
        "No predicted sample has the value 'Control' (control) of 'diet'; there are control, late. Name one of these.",
        frame,
        control="Control",
    )
    refused(
        "1 of 192 predictions are no finite numbers: sample S7 is predicted 'wet'. Give the predictions of a "
        "numeric column.",
        frame.assign(predicted=frame["predicted"].astype(object).where(frame.index != "S7", "wet")),
    )
    refused(
        "No predicted sample has a value of 'age' and one of 'diet'. Are predictions and metadata of the same study?",
        frame,
        cohorts=categorical({"other": "control"}, "diet"),
    )


# Where predictions come from


def artifact_of(folder, action, plugin="aam", artifacts=None, **inputs):
    """The files of an artifact, as QIIME 2 lays them out, with the artifacts that it was made from."""
    written = {".": (action, plugin, inputs)} | {f"artifacts/{uuid}": made for uuid, made in (artifacts or {}).items()}
    for place, (action, plugin, inputs) in written.items():
        path = folder / "provenance" / place / "action"
        path.mkdir(parents=True)
        lines = "".join(f"    -   {name}: {uuid}\n" for name, uuid in inputs.items())
        (path / "action.yaml").write_text(
            "execution:\n    uuid: 1\naction:\n    type: method\n"
            f"    plugin: !ref 'environment:plugins:{plugin}'\n    action: {action}\n    inputs:\n{lines}"
            "    parameters:\n    -   metadata: !metadata 'metadata.tsv'\n    -   groups: !no-provenance 'x'\n"
        )
    (folder / "data").mkdir()
    return folder / "data"


@pytest.mark.parametrize("action", ["fit", "fine_tune", "cross_validate", "merge_folds"])
def test_these_predictions_are_out_of_fold(tmp_path, action):
    assert origin_of(artifact_of(tmp_path, action, table="t1")) == "out-of-fold"


def test_what_the_framework_makes_of_references_is_left_aside(tmp_path, monkeypatch):
    """From 2023 on the plugin is its bare name in any YAML file, and metadata are sought in the working directory."""

    def opens(loader, node):
        raise AssertionError(node.value)

    monkeypatch.setitem(yaml.SafeLoader.yaml_constructors, "!metadata", opens)
    monkeypatch.setitem(yaml.SafeLoader.yaml_constructors, "!ref", lambda loader, node: node.value.split(":")[-1])
    assert origin_of(artifact_of(tmp_path, "fit", table="t1")) == "out-of-fold"


@pytest.mark.parametrize("given_groups, known", [("!no-provenance 'x'", False), ("null", True)])
def test_folds_that_part_samples_of_a_subject_are_known_and_said(tmp_path, given_groups, known):
    frame = simulate_cohorts(0)
    data = artifact_of(tmp_path, "fit", table="t1")
    path = tmp_path / "provenance" / "action" / "action.yaml"
    path.write_text(path.read_text().replace("!no-provenance 'x'", given_groups))
    assert folds_of_samples(data) == known
    predictions = predictions_of(frame["predicted"].to_dict())
    (data / "predictions.tsv").write_bytes((predictions.path / "predictions.tsv").read_bytes())
    own = type(predictions)(str(data), "r")
    note = (
        "The model was fitted without groups: when a sample was predicted, other samples of its subject had been "
        "learnt from. Predictions are too near to true values, and delays are hidden. Fit with groups."
    )
    assert run(frame, predictions=own).view(dict)["notes"] == [note] * known
    assert note not in run(frame, predictions=own, groups=None).view(dict)["notes"]


def test_what_has_no_provenance_is_not_known_to_have_such_folds(tmp_path):
    assert not folds_of_samples(tmp_path / "imported" / "data")


@pytest.mark.parametrize("table, origin", [("t1", "learnt"), ("t2", "new")])
def test_predictions_of_the_table_that_was_fitted_are_known(tmp_path, table, origin):
    fitted = {"m": ("fit", "aam", {"table": "t1"})}
    assert origin_of(artifact_of(tmp_path, "predict", artifacts=fitted, table=table, model="m")) == origin


def test_what_is_not_known(tmp_path):
    assert origin_of(tmp_path / "imported" / "data") == "unknown"
    forest = artifact_of(tmp_path / "forest", "predict_regression", "sample-classifier", table="t1")
    assert origin_of(forest) == "unknown"
    assert origin_of(artifact_of(tmp_path / "model", "predict", table="t1", model="imported")) == "unknown"


def test_predictions_of_samples_that_were_learnt_from_are_refused(tmp_path):
    frame = simulate_cohorts(0)
    fitted = {"m": ("fit", "aam", {"table": "t1"})}
    data = artifact_of(tmp_path, "predict", artifacts=fitted, table="t1", model="m")
    predictions = predictions_of(frame["predicted"].to_dict())
    (data / "predictions.tsv").write_bytes((predictions.path / "predictions.tsv").read_bytes())
    refused(
        "These predictions are of the table that the model was fitted to: samples that were learnt from are "
        "predicted too near to their true values, and delays are hidden. Give the predictions that fit wrote "
        "(out-of-fold), or those of cross-validate.",
        frame,
        predictions=type(predictions)(str(data), "r"),
    )


def predicted_by(folder, frame, action, **inputs):
    """Predictions of some samples, with where they come from."""
    fitted = {"m": ("fit", "aam", {"table": "controls"})}
    data = artifact_of(folder, action, artifacts=fitted, **inputs)
    predictions = predictions_of(frame["predicted"].to_dict())
    (data / "predictions.tsv").write_bytes((predictions.path / "predictions.tsv").read_bytes())
    return type(predictions)(str(data), "r")


def test_a_model_of_controls_alone(tmp_path):
    """Their out-of-fold predictions, and those of predict of the others, are as one table of both."""
    frame = simulate_cohorts(0)
    own = frame["cohort"] == "control"
    parts = {
        "predictions": predicted_by(tmp_path / "own", frame[own], "fit", table="controls"),
        "further_predictions": predicted_by(tmp_path / "new", frame[~own], "predict", table="others", model="m"),
    }
    found, whole = run(frame, **parts), run(frame)
    samples = whole.view(pd.DataFrame)
    pd.testing.assert_frame_equal(found.view(pd.DataFrame).loc[samples.index], samples)
    assert found.view(dict)["origin"] == "controls"
    # Of other cohorts, too, it has learnt: it may have made up for what they differ in.
    parts["predictions"] = predicted_by(tmp_path / "all", frame[own | (frame.index == frame.index[~own][0])], "fit")
    parts["further_predictions"] = predicted_by(
        tmp_path / "rest", frame[~own].iloc[1:], "predict", table="others", model="m"
    )
    assert run(frame, **parts).view(dict)["origin"] == "out-of-fold"
    assert run(frame, **{**parts, "predictions": given(frame[own])["predictions"]}).view(dict)["origin"] == "unknown"


def test_samples_that_are_predicted_twice_are_refused(tmp_path):
    frame = simulate_cohorts(0)
    refused(
        f"192 samples are in predictions and in further_predictions: {name_ids(frame.index)}. Samples that "
        "were learnt from have out-of-fold predictions: leave them out of the table that predict is given.",
        frame,
        further_predictions=given(frame)["predictions"],
    )
