"""From artifacts to predictions and pages, by the commands of the documents."""

import json
import re

import numpy as np
import pandas as pd
import pytest

NUMBER = r"-?[\d.]+(e[+-]?\d+)?"


def body(said):
    """Lines that the action printed, without those in which q2cli says what it saved."""
    return [line for line in said.lines if not line.startswith("Saved ")]


def test_outputs_are_of_their_types(flow, qiime):
    for file, wanted in {
        "encoder.qza": "AAMModel[Encoder]",
        "log.qza": "AAMTrainingLog",
        "ph-model.qza": "AAMModel[Regressor]",
        "ph-val.qza": "SampleData[RegressorPredictions]",
        "ph-val-certainty.qza": "SampleData[PredictionIntervals]",
        "habitat-model.qza": "AAMModel[Classifier]",
        "habitat-val.qza": "SampleData[ClassifierPredictions]",
        "habitat-val-certainty.qza": "SampleData[Probabilities]",
        "habitat-fit-log.qza": "AAMTrainingLog",
        "ph-pred.qza": "SampleData[RegressorPredictions]",
        "habitat-cert.qza": "SampleData[Probabilities]",
        "ph-nov.qza": "SampleData[Novelty]",
        "ph.qzv": "Visualization",
        "fit-log.qzv": "Visualization",
    }.items():
        assert str(qiime.check(file).type) == wanted, file


def test_every_command_says_what_it_saved(flow):
    for name, said in flow.items():
        saved = [line for line in said.lines if line.startswith("Saved ")]
        assert len(saved) == {"pretrain": 2, "fit": 4, "predict": 3}.get(name[0] if len(name) == 2 else name, 1)


def test_nothing_but_that_without_verbose(flow):
    for action in ("fit", "predict"):
        said = flow[action, "habitat"]
        assert body(said) == [] and said.err == ""


def test_no_warning_and_no_noise_with_verbose(flow):
    for name, said in flow.items():
        if name != ("fit", "ph"):
            assert said.err == "", name


def test_what_the_study_cannot_support_is_warned_of_once_with_verbose(flow, survey):
    samples = len(survey[0].metadata)
    assert flow["fit", "ph"].err == (
        f"Warning: Only {samples} samples have a value of 'ph'. With fewer than 50, scores are rough: on other samples "
        "of the same kind they may be quite different, and small differences between models mean nothing. Add samples "
        "before you build on the scores.\n"
    )


def test_verbose_lines_of_pretrain(flow, survey):
    lines = body(flow["pretrain"])
    samples = len(survey[0].metadata)
    validation = round(0.2 * samples)
    assert re.fullmatch(
        rf"{samples} samples \({samples - validation} to learn from, {validation} for validation\), \d+ distinct ASVs, "
        r"\d+ a sample \(median\), \d+ at most\.",
        lines[0],
    )
    for epoch, line in enumerate(lines[1:3], 1):
        assert line.startswith(f"epoch {epoch}/2, ")
        losses = {found[0] for found in re.findall(rf"(\w+_loss) train {NUMBER} val {NUMBER}", line)}
        assert losses == {"count_loss", "nucleotide_loss", "total_loss", "unifrac_loss"}
        assert re.search(rf", learning rate {NUMBER}, {NUMBER} s, at most \d+ s left$", line)
    assert re.fullmatch(r"Epoch [12] of 2 was best and is kept\. All 2 epochs were run\.", lines[3])
    assert re.fullmatch(rf"Predicted and true UniFrac of validation samples: r {NUMBER}, rmse {NUMBER}\.", lines[4])
    assert len(lines) == 5


def test_verbose_lines_of_fit(flow):
    lines = body(flow["fit", "ph"])
    # validation samples alone hold them
    share = r"(less than 0\.1|0\.\d)%"
    assert re.fullmatch(
        rf"Of these ASVs the encoder has not learnt from \d, which hold {share} of the reads\.", lines[1]
    )
    assert lines[2] == "Epoch 0 is the probe: the linear head alone, fitted to the sample embeddings."
    assert [line.split(",")[0] for line in lines[3:6]] == ["epoch 0/2", "epoch 1/2", "epoch 2/2"]
    assert lines[6].endswith("All 2 epochs were run.")
    assert re.fullmatch(
        rf"Validation samples \(ph\): r2 {NUMBER}, mae {NUMBER}, rmse {NUMBER}(, spearman {NUMBER})?\.", lines[7]
    )
    assert len(lines) == 8


def test_last_line_of_predict_sums_up_novelty(flow, survey, qiime):
    said = flow["predict", "ph"]
    novelty = qiime.check("ph-nov.qza").view(pd.DataFrame)
    share = (novelty["unseen_read_share"] * novelty["reads"]).sum() / novelty["reads"].sum()
    last = body(said)[-1]
    match = re.fullmatch(
        r"Novelty: (\d+) of (\d+) ASVs, with ([\d.]+)% of the reads, were never seen in training"
        r"( \(most in sample \w+: [\d.]+%\))?; reads cut 0, dropped 0, ambiguous 0\.",
        last,
    )
    assert match, last
    new = survey[1].table
    assert int(match[2]) == new.shape[0]
    assert float(match[3]) == pytest.approx(100 * share, abs=0.05)
    assert body(said)[0] == f"{new.shape[1]} samples predicted: ph."


def test_predictions_are_of_the_new_samples_in_their_own_units(flow, survey, qiime):
    new = survey[1].metadata
    predictions = qiime.check("ph-pred.qza").view(pd.Series)
    assert set(predictions.index) == set(new.index)
    assert predictions.between(-5, 18).all() and 4 < predictions.median() < 9
    classes = qiime.check("habitat-pred.qza").view(pd.Series)
    assert set(classes.index) == set(new.index) and set(classes) <= {"forest", "grassland", "wetland"}
    probabilities = qiime.check("habitat-cert.qza").view(pd.DataFrame)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert (probabilities.idxmax(axis=1) == classes.reindex(probabilities.index)).all()


def test_validation_samples_are_of_groups_of_their_own(flow, survey, qiime):
    site = survey[0].metadata["site"]
    validation = qiime.check("ph-val.qza").view(pd.Series).index
    assert not set(site[validation]) & set(site.drop(validation))


def right(qiime, file, survey):
    """Share of a survey's samples whose habitat is the predicted one; all of them are predicted."""
    true, held_out = survey[0].metadata["habitat"], qiime.check(file).view(pd.Series)
    assert set(held_out.index) == set(true.index)
    return (held_out == true[held_out.index]).mean()


def test_the_joint_head_predicts_every_sample_from_others(flow, survey, qiime, tmp_path):
    qiime.check("habitat-model.qza").export_data(str(tmp_path))
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["training"]["head"] == "joint"
    assert facts["scores"]["inner folds/accuracy"] == pytest.approx(right(qiime, "habitat-val.qza", survey))


def test_the_kernel_head_predicts_every_sample_from_others(flow, survey, qiime):
    qiime(
        r"""qiime aam fit --i-table T.qza --i-sequences S.qza --i-encoder encoder.qza --p-head kernel \
        --m-metadata-file md.tsv --m-metadata-column habitat --m-groups-file md.tsv --m-groups-column site \
        --o-model kernel-model.qza --o-predictions kernel-val.qza --o-certainty kernel-certainty.qza \
        --o-training-log kernel-log.qza"""
    )
    assert right(qiime, "kernel-val.qza", survey) > 0.4


def test_pages_are_there(flow, qiime, tmp_path):
    for file in ("ph.qzv", "fit-log.qzv"):
        qiime.check(file).export_data(str(tmp_path / file))
        assert (tmp_path / file / "index.html").stat().st_size > 1000
