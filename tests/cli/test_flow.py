"""From artifacts to predictions and pages, by the commands of the documents."""

import json
import re

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.actions._reporting import percent

from .conftest import MATURITY, plain

NUMBER = r"-?[\d.]+(e[+-]?\d+)?"


def body(said):
    """Lines that the action printed, without those in which q2cli says what it saved."""
    return [line for line in said.lines if not line.startswith("Saved ")]


def test_outputs_are_of_their_types(flow, qiime):
    for file, semantic_type in {
        "train.qza": "FeatureTable[Frequency]",
        "test.qza": "FeatureTable[Frequency]",
        "encoder.qza": "AAMModel[Encoder]",
        "log.qza": "AAMTrainingLog",
        "ph-model.qza": "AAMModel[Regressor]",
        "ph-oof.qza": "SampleData[RegressorPredictions]",
        "ph-oof-certainty.qza": "SampleData[PredictionIntervals]",
        "habitat-model.qza": "AAMModel[Classifier]",
        "habitat-oof.qza": "SampleData[ClassifierPredictions]",
        "habitat-oof-certainty.qza": "SampleData[Probabilities]",
        "tuned.qza": "AAMModel[Regressor]",
        "tuned-val.qza": "SampleData[RegressorPredictions]",
        "tuned-log.qza": "AAMTrainingLog",
        "ph-pred.qza": "SampleData[RegressorPredictions]",
        "habitat-cert.qza": "SampleData[Probabilities]",
        "ph-nov.qza": "SampleData[Novelty]",
        "ph.qzv": "Visualization",
        "tuned-log.qzv": "Visualization",
        "importance.qza": "FeatureData[Importance]",
        "effects.qza": "SampleData[AAMEffects]",
        "vectors.qza": "SampleData[AAMEmbedding]",
        "distances.qza": "DistanceMatrix",
        "pcoa.qza": "PCoAResults",
        "asv-vectors.qza": "FeatureData[AAMEmbedding]",
        "maturity.qza": "SampleData[AAMMaturity]",
        "maturity.qzv": "Visualization",
        "novelty.qzv": "Visualization",
    }.items():
        assert str(qiime.check(file).type) == semantic_type, file


def test_every_command_says_what_it_saved(flow):
    sizes = {"split-samples": 2, "pretrain": 2, "fit": 3, "predict": 3, "fine-tune": 4, "embed": 3}
    sizes |= {"embed-vectors": 2, "explain": 2, "harmonize-regions": 2}
    for name, said in flow.items():
        saved = [line for line in said.lines if line.startswith("Saved ")]
        assert len(saved) == sizes.get(name if isinstance(name, str) else name[0], 1)


def test_nothing_but_that_without_verbose(flow):
    for action in ("fit", "predict"):
        said = flow[action, "habitat"]
        assert body(said) == [] and said.err == ""


def test_every_line_is_plain_and_fits_a_screen(flow):
    dialect = ("conditioning", "familiar", "held out", "portion", "probe", "sharpness", "support", "torch", "lightning")
    for name, said in flow.items():
        for line in (*said.lines, *said.err.splitlines()):
            assert len(line) <= 120, (name, line)
            assert [word for word in dialect if word in line.lower()] == [], (name, line)


def test_no_warning_and_no_noise_with_verbose(flow, survey):
    samples = len(survey[0].metadata)
    few = (
        f"Warning: Only {samples} samples have a value of 'ph'. With fewer than 50, scores are rough: on other samples "
        "of the same kind they may be quite different, and small differences between models mean nothing. Add samples "
        "before you build on the scores."
    )
    for name, said in flow.items():
        if name == "fine-tune":
            assert plain(said.err).startswith(few) and said.err.count("Warning: ") <= 2
        else:
            assert plain(said.err) == (few if name == ("fit", "ph") else ""), name


def test_verbose_lines_of_split_samples(flow, survey, qiime):
    train, test = (qiime.check(file).view(biom.Table).ids() for file in ("train.qza", "test.qza"))
    assert body(flow["split-samples"]) == [f"Samples to learn from: {len(train)}, to judge by: {len(test)}."]
    site = survey[0].metadata["site"]
    assert set(train) | set(test) == set(site.index) and not set(site[train]) & set(site[test])


def test_verbose_lines_of_harmonize_regions(flow):
    held, line = body(flow["harmonize-regions"])
    assert held == "120 of 120 references hold the region."
    assert re.fullmatch(
        r"\d+ features are \d+ references now\. Of a sample's reads 100\.0% have one "
        r"\(median; lowest [\d.]+%, sample \S+\)\.",
        line,
    ), line


def test_verbose_lines_of_embed(flow):
    lines = body(flow["embed"])
    assert lines[1:] == [
        "The encoder has read all of these ASVs in pretraining.", "Distances are predicted unweighted UniFrac.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "qiime emperor plot --i-pcoa pcoa.qza --m-metadata-file md.tsv --m-metadata-file vectors.qza "
        "--o-visualization emperor.qzv",
        "qiime sample-classifier classify-samples-from-dist --i-distance-matrix distances.qza --m-metadata-file md.tsv "
        "--m-metadata-column habitat --p-cv 2 --o-predictions nearest.qza --o-accuracy-results nearest.qzv",
        "qiime sample-classifier heatmap --i-table T.qza --i-importance importance.qza --m-sample-metadata-file md.tsv "
        "--m-sample-metadata-column habitat --p-group-samples --o-heatmap heatmap.qzv --o-filtered-table heat.qza",
        "qiime metadata tabulate --m-input-file effects.qza --o-visualization effects.qzv",
        "qiime metadata tabulate --m-input-file asv-vectors.qza --o-visualization asv-vectors.qzv",
        "qiime metadata tabulate --m-input-file md.tsv --m-input-file maturity.qza --o-visualization table.qzv",
    ],
)
def test_other_plugins_take_what_comes_out(flow, qiime, command):
    assert "Saved Visualization to: " in qiime(command).out


def test_verbose_lines_of_pretrain(flow, survey):
    lines = body(flow["pretrain"])
    samples = len(survey[0].metadata)
    assert re.fullmatch(rf"{samples} samples, \d+ distinct ASVs, \d+ a sample \(median\), \d+ at most\.", lines[0])
    for epoch, line in enumerate(lines[1:3], 1):
        assert re.fullmatch(
            rf"epoch {epoch}/2  total_loss {NUMBER} \(val {NUMBER}\)  unifrac_r {NUMBER} \(val {NUMBER}\)  "
            rf"[\d.]+ (s|min)  [\d.]+ (s|min) left",
            line,
        )
    assert re.fullmatch(r"Epoch [12] of 2 was best and is kept\. All 2 epochs were run\.", lines[3])
    assert re.fullmatch(rf"Predicted and true UniFrac of validation samples: r {NUMBER}, rmse {NUMBER}\.", lines[4])
    assert len(lines) == 5


def test_verbose_lines_of_fit(flow, survey):
    lines = body(flow["fit", "ph"])
    metadata = survey[0].metadata
    assert lines[0].startswith(f"{len(metadata)} samples of {metadata['site'].nunique()} groups, ")
    # validation samples alone hold them, if there are some
    few = r"\d of these ASVs, with (less than 0\.1|0\.\d)% of the reads, are new to the encoder"
    few += r", which reads them by their sequences\."
    assert re.fullmatch(rf"{few}|The encoder has read all of these ASVs in pretraining\.", lines[1])
    assert re.fullmatch(
        rf"Out-of-fold predictions \(ph\): r2 {NUMBER}, mae {NUMBER}, rmse {NUMBER}(, spearman {NUMBER})?\.", lines[-1]
    )


def test_verbose_lines_of_fine_tune(flow):
    lines = body(flow["fine-tune"])
    assert lines[2] == "Epoch 0 is the linear head alone, fitted to the sample embeddings."
    assert [line.split("  ")[0] for line in lines[3:6]] == ["epoch 0/2", "epoch 1/2", "epoch 2/2"]
    assert lines[6].endswith("All 2 epochs were run.")
    assert re.fullmatch(
        rf"Validation samples \(ph\): r2 {NUMBER}, mae {NUMBER}, rmse {NUMBER}(, spearman {NUMBER})?\.", lines[7]
    )
    assert len(lines) == 8


def test_last_line_of_predict_sums_up_novelty(flow, survey, qiime):
    lines = body(flow["predict", "ph"])
    novelty = qiime.check("ph-nov.qza").view(pd.DataFrame)
    share = (novelty["unseen_read_share"] * novelty["reads"]).sum() / novelty["reads"].sum()
    assert lines[0] == f"{survey[1].table.shape[1]} samples predicted: ph."
    last = plain(" ".join(lines[1:]))
    assert re.fullmatch(
        rf"Novelty: {percent(share)} of the reads are in ASVs that were never met in training"
        r"( \(most in sample \w+: (less than )?[\d.]+%\))?; reads cut 0, dropped 0, ambiguous 0\.",
        last,
    ), last


def test_predictions_are_of_the_new_samples_in_their_own_units(flow, survey, qiime):
    new = survey[1].metadata
    predictions = qiime.check("ph-pred.qza").view(pd.Series)
    assert set(predictions.index) == set(new.index)
    assert predictions.between(-5, 18).all() and 4 < predictions.median() < 9
    classes = qiime.check("habitat-pred.qza").view(pd.Series)
    assert set(classes.index) == set(new.index) and set(classes) <= {"forest", "grassland", "wetland"}
    probabilities = qiime.check("habitat-cert.qza").view(pd.DataFrame)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    # Named is the class that exceeds its share among those learnt from the most.
    shares = survey[0].metadata["habitat"].value_counts(normalize=True)
    assert ((probabilities / shares).idxmax(axis=1) == classes.reindex(probabilities.index)).all()


def test_validation_samples_of_fine_tune_are_of_groups_of_their_own(flow, survey, qiime):
    site = survey[0].metadata["site"]
    validation = qiime.check("tuned-val.qza").view(pd.Series).index
    assert not set(site[validation]) & set(site.drop(validation))


def test_fit_predicts_every_sample_out_of_fold(flow, survey, qiime, tmp_path):
    truth, predicted = survey[0].metadata["habitat"], qiime.check("habitat-oof.qza").view(pd.Series)
    assert set(predicted.index) == set(truth.index)
    qiime.check("habitat-model.qza").export_data(str(tmp_path))
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["head"] == "ensemble"
    right = (predicted == truth[predicted.index]).mean()
    assert description["scores"]["out-of-fold/accuracy"] == pytest.approx(right)
    assert right > 0.4


def test_pages_are_there(flow, qiime, tmp_path):
    for file in ("ph.qzv", "tuned-log.qzv", "novelty.qzv"):
        qiime.check(file).export_data(str(tmp_path / file))
        assert (tmp_path / file / "index.html").stat().st_size > 1000
    header = (tmp_path / "novelty.qzv" / "novelty.tsv").read_text().splitlines()[0].split("\t")
    assert header[:2] == ["sample", "outside"] and header[-3:] == ["prediction", "lower", "upper"]


def test_maturity_knows_where_predictions_come_from(flow, qiime):
    """By the provenance that QIIME 2 writes itself."""
    assert qiime.check("maturity.qza").view(dict)["origin"] == "out-of-fold"
    qiime(
        "qiime aam predict --i-table T.qza --i-sequences S.qza --i-model ph-model.qza --o-predictions seen.qza "
        "--o-certainty seen-certainty.qza --o-novelty seen-novelty.qza"
    )
    said = qiime(f"{MATURITY.replace('ph-oof', 'seen')} --o-maturity never.qza", ok=False)
    assert said.code == 1 and not (qiime.folder / "never.qza").exists()
    assert "These predictions are of the table that the model was fitted to" in plain(said.err)
