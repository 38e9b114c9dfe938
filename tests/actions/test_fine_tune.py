"""`fine_tune` called as QIIME 2 calls it: what it leaves, where it starts, which epoch it keeps, groups and seeds."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.encoder.encoder import Encoder
from q2_aam.framework import qiime2
from q2_aam.predictor import Predictor
from q2_aam.settings import FineTuningOptimization
from q2_aam.study.cautions import cautions

from .small import as_column, description, run_fine_tune, run_predict, told

# An epoch that changes nothing that can be seen: the linear head as it starts.
STILL = {"epochs": 1, "learning_rate": 1e-12}


def history_of(outputs):
    return pd.read_csv(outputs[3].path / "history.tsv", sep="\t").set_index("epoch")


def log_of(outputs):
    return json.loads((outputs[3].path / "log.json").read_text())


@pytest.fixture(scope="module")
def tuned_classifier(study, encoder):
    """Model, predictions, certainty and log for `habitat`."""
    return run_fine_tune(study, "habitat", encoder)


# What it leaves


def test_regressor_leaves_predictions_and_intervals_of_its_validation_samples(study, tuned):
    model, predictions, certainty, log = tuned
    model.validate("max")
    log.validate("max")
    assert len(predictions) == 12 and predictions.index.name == "SampleID" and predictions.name == "prediction"
    assert list(certainty.columns) == ["lower", "upper"] and list(certainty.index) == list(predictions.index)
    assert ((certainty["lower"] <= predictions) & (predictions <= certainty["upper"])).all()
    facts = description(model)
    assert (facts["kind"], facts["head"]) == ("regressor", "linear")
    assert facts["data"]["validation_samples"] == 12 and facts["data"]["training_samples"] == 36
    truth = study.frame["ph"][predictions.index]
    assert facts["scores"]["validation/mae"] == pytest.approx((truth - predictions).abs().mean(), rel=1e-6)
    assert log_of(tuned)["action"] == "fine-tune" and log_of(tuned)["target"] == "ph"


def test_classifier_leaves_predictions_and_probabilities(study, tuned_classifier):
    model, predictions, certainty, log = tuned_classifier
    model.validate("max")
    assert list(certainty.columns) == ["forest", "grassland", "wetland"]
    np.testing.assert_allclose(certainty.sum(axis=1), 1, atol=1e-12)
    truth = study.frame["habitat"][predictions.index]
    facts = description(model)
    weights = pd.Series(facts["target"]["class_weights"], facts["target"]["classes"])
    assert ((certainty * weights).idxmax(axis=1) == predictions).all()
    assert facts["kind"] == "classifier" and facts["intervals"] is None and facts["temperature"] > 0
    assert facts["scores"]["validation/accuracy"] == pytest.approx((truth == predictions).mean())
    assert len(list((log.path / "plots").glob("*.png"))) >= 1


@pytest.mark.parametrize("outputs", ["tuned", "tuned_classifier"])
def test_predict_says_of_validation_samples_what_tuning_said(study, outputs, request):
    model, predictions, certainty, _ = request.getfixturevalue(outputs)
    again, certain, _ = run_predict(study, model, table=study.samples(predictions.index))
    pd.testing.assert_series_equal(again, predictions, atol=1e-5, rtol=0)
    pd.testing.assert_frame_equal(certain, certainty, atol=1e-5, rtol=0)


@pytest.mark.parametrize("outputs", ["tuned", "tuned_classifier"])
def test_scores_are_those_of_the_epoch_that_was_kept(outputs, request):
    outputs = request.getfixturevalue(outputs)
    scores, best = description(outputs[0])["scores"], log_of(outputs)["best_epoch"]
    names = ("r2", "mae", "rmse") if "val/r2" in scores else ("accuracy", "balanced_accuracy")
    for name in names:
        assert scores[f"val/{name}"] == history_of(outputs).loc[best, f"val/{name}"]
        assert scores[f"validation/{name}"] == pytest.approx(scores[f"val/{name}"], abs=1e-4)


def test_the_encoder_is_tuned_and_the_one_given_stays(study, encoder, capsys):
    before = Encoder.load(encoder.path).digest()
    outputs = run_fine_tune(study, "ph", encoder, monitor="r2", learning_rate=1e-3, epochs=20)
    assert log_of(outputs)["best_epoch"] > 0, "or nothing is seen here"
    assert Predictor.load(outputs[0].path).encoder.digest() != before == Encoder.load(encoder.path).digest()
    facts = description(outputs[0])
    assert facts["encoder"]["sha256"] == description(encoder)["sha256"]
    assert facts["encoder"]["settings"] == description(encoder)["settings"]


def test_what_the_encoder_had_seen_stays_the_encoders(study, encoder):
    few = study.samples(study.table.ids()[:30])
    model = run_fine_tune(study, "ph", encoder, table=few, validation_share=0.4, **STILL)[0]
    before, after = Encoder.load(encoder.path), Predictor.load(model.path)
    assert np.array_equal(after.encoder.seen_asvs, before.seen_asvs)
    assert set(after.seen_asvs) < set(before.seen_asvs)


def test_settings_are_kept_with_the_model(tuned):
    settings = description(tuned[0])["settings"]
    assert settings["optimization"]["epochs"] == 2 and settings["sampling"]["validation_share"] == 0.25
    assert settings["objective"]["target_weight"] == 1.0 and settings["target_transform"] == "zscore"
    assert settings["metric"] is None, "without a phylogeny there are no distances"


# Where it starts, and which epoch is kept


def test_the_better_of_linear_head_and_tuning_is_kept(study, encoder, capsys):
    """8.2: steps so large that whatever tuning does, it does worse."""
    outputs = run_fine_tune(study, "ph", encoder, learning_rate=0.3, scheduler="constant")
    assert history_of(outputs)["val/total_loss"].idxmin() == log_of(outputs)["best_epoch"] == 0
    assert "None of 2 epochs did better than the linear head alone, which is kept." in capsys.readouterr().out
    still = run_fine_tune(study, "ph", encoder, **STILL)
    pd.testing.assert_series_equal(outputs[1], still[1], atol=1e-5, rtol=0)
    assert Predictor.load(outputs[0].path).encoder.digest() == Encoder.load(encoder.path).digest()


@pytest.mark.parametrize("monitor", ["r2", "mae", "target_loss"])
def test_the_metric_asked_for_picks_the_epoch(study, encoder, monitor):
    outputs = run_fine_tune(study, "ph", encoder, monitor=monitor, epochs=3)
    log, column = log_of(outputs), history_of(outputs)[f"val/{monitor}"]
    assert log["monitor"] == f"val/{monitor}" and log["mode"] == ("max" if monitor == "r2" else "min")
    assert log["best_epoch"] == (column.idxmax() if monitor == "r2" else column.idxmin())


def test_with_phylogeny_the_unifrac_loss_is_kept_beside(study, encoder, tuned):
    with told() as messages:
        outputs = run_fine_tune(study, "ph", encoder, phylogeny=study.phylogeny, unifrac_weight=2.0)
    assert messages == []
    history = history_of(outputs)
    expected = history["val/target_loss"] + 2 * history["val/unifrac_loss"]
    np.testing.assert_allclose(history["val/total_loss"], expected, rtol=1e-5)
    assert "val/unifrac_loss" not in history_of(tuned)
    without = run_fine_tune(study, "ph", encoder, phylogeny=study.phylogeny, unifrac_weight=0.0)
    pd.testing.assert_series_equal(without[1], tuned[1])


def test_the_encoders_metric_is_kept_unless_another_is_asked_for(study, weighted_encoder):
    learnt, losses = {}, {}
    for metric in ("auto", "weighted_normalized", "unweighted"):
        with told() as messages:
            outputs = run_fine_tune(
                study, "ph", weighted_encoder, phylogeny=study.phylogeny, metric=metric, **STILL
            )
        learnt[metric], losses[metric] = (
            description(outputs[0])["settings"]["metric"],
            history_of(outputs).loc[0, "val/unifrac_loss"],
        )
        assert messages == [] or metric == "unweighted"
    assert messages == [
        "The encoder has learnt weighted_normalized UniFrac, but metric is 'unweighted': what it has learnt will "
        "change. Leave metric out to go on with weighted_normalized."
    ]
    assert learnt == {**dict.fromkeys(learnt, "weighted_normalized"), "unweighted": "unweighted"}
    assert losses["auto"] == losses["weighted_normalized"] < losses["unweighted"]


# Steps and batches


@pytest.mark.parametrize("scheduler", ["onecycle", "warmup_cosine", "cosine", "plateau", "constant"])
def test_schedulers_with_a_remainder_of_accumulation(study, encoder, scheduler):
    """8.11: 36 samples in batches of 5 are 8 batches, of which accumulation over 3 leaves 2."""
    with told() as messages:
        outputs = run_fine_tune(study, "ph", encoder, scheduler=scheduler, batch_size=5, accumulation=3, epochs=3)
    assert messages == []
    rates, highest = history_of(outputs)["learning_rate"].dropna(), FineTuningOptimization.learning_rate
    assert len(rates) == 3 and (rates > 0).all() and rates.max() <= highest * (1 + 1e-9)
    if scheduler in ("onecycle", "warmup_cosine"):
        assert rates.iloc[-1] < rates.max()
    if scheduler == "constant":
        np.testing.assert_allclose(rates, highest)


def test_batch_size_changes_no_validation_score(study, encoder):
    """8.6: no validation sample is dropped, whether they are fewer than a batch or leave a remainder."""
    scores = []
    for batch_size in (1, 5, 11, 32):
        with told() as messages:
            outputs = run_fine_tune(study, "ph", encoder, batch_size=batch_size, **STILL)
        assert messages == [] and len(outputs[1]) == 12
        scores.append(history_of(outputs).loc[0, ["val/target_loss", "val/mae", "val/r2"]].astype(float))
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-4)


def test_bf16_on_a_cpu_is_really_used(study, encoder):
    exact = history_of(run_fine_tune(study, "habitat", encoder, epochs=1))
    with told() as messages:
        coarse = history_of(run_fine_tune(study, "habitat", encoder, epochs=1, precision="bf16"))
    assert messages == []
    # Training is coarse, validation is as exact as prediction: before the first step there is no difference.
    assert coarse.loc[0, "val/target_loss"] == exact.loc[0, "val/target_loss"]
    ours, theirs = coarse.loc[1, "train/target_loss"], exact.loc[1, "train/target_loss"]
    assert ours != theirs and ours == pytest.approx(theirs, rel=0.6)


# Groups and seeds


def test_groups_never_stand_on_both_sides(study, encoder, tuned):
    sites = study.frame["site"]
    for seed in range(3):
        outputs = run_fine_tune(
            study, "habitat", encoder, groups=study.column("site"), random_seed=seed, **STILL
        )
        apart, learnt_from = sites[outputs[1].index], sites.drop(outputs[1].index)
        assert not set(apart) & set(learnt_from) and len(apart) + len(learnt_from) == 48
        # Every class can be learnt.
        assert set(study.frame["habitat"].drop(outputs[1].index)) == set(study.frame["habitat"])
    assert set(sites[tuned[1].index]) & set(sites.drop(tuned[1].index)), "without groups they do"


def test_the_same_seed_gives_the_same_model_and_another_seed_another_split(study, encoder, tuned):
    again = run_fine_tune(study, "ph", encoder)
    pd.testing.assert_series_equal(again[1], tuned[1])
    pd.testing.assert_frame_equal(again[2], tuned[2])
    assert (again[0].path / "best_model.pt").read_bytes() == (tuned[0].path / "best_model.pt").read_bytes()
    other = run_fine_tune(study, "ph", encoder, random_seed=1, epochs=1)
    assert set(other[1].index) != set(tuned[1].index)


def test_the_largest_seed(study, encoder):
    with told() as messages:
        outputs = run_fine_tune(study, "habitat", encoder, random_seed=2**32 - 1, epochs=1)
    assert messages == [] and description(outputs[0])["random_seed"] == 2**32 - 1


# What is read and said


def test_predictions_are_in_the_targets_own_units(study, encoder):
    """Ridge regression is the same whatever its target is shifted and scaled by; a logarithm is nearly linear here."""
    reads = as_column((1000 + 30 * study.frame["ph"]).rename("reads"))
    predicted, widths = {}, {}
    for transform in ("none", "zscore", "minmax", "log1p"):
        outputs = run_fine_tune(study, reads, encoder, target_transform=transform, **STILL)
        predicted[transform], widths[transform] = outputs[1], (outputs[2]["upper"] - outputs[2]["lower"]).mean()
        assert description(outputs[0])["target"]["transform"] == transform
        # Of all samples: those that were learnt from could not hide a wrong unit.
        errors = run_predict(study, outputs[0])[0] - reads.to_series()
        assert errors.abs().mean() < 0.5 * reads.to_series().std()
    for transform, values in predicted.items():
        pd.testing.assert_series_equal(values, predicted["none"], rtol=1e-2)
        assert widths[transform] == pytest.approx(widths["none"], rel=0.1)


def test_covariates_are_read_by_the_linear_head(study, encoder):
    """With nearly the column itself among them there is little left to learn."""
    covariates = qiime2.Metadata(study.frame[["ph"]].round(1).rename(columns={"ph": "acidity"}).rename_axis("id"))
    with told() as messages:
        outputs = run_fine_tune(study, "ph", encoder, covariates=covariates, epochs=1)
        again = run_predict(study, outputs[0], covariates=covariates, table=study.samples(outputs[1].index))
    assert messages == []
    truth = study.frame["ph"][outputs[1].index]
    assert (outputs[1] - truth).abs().mean() < 0.1 * truth.std()
    pd.testing.assert_series_equal(again[0], outputs[1], atol=1e-4, rtol=0)


def test_too_few_validation_samples_for_intervals_are_warned_of(study, encoder):
    with told() as messages:
        _, predictions, certainty, _ = run_fine_tune(study, "ph", encoder, validation_share=0.1, epochs=1)
    assert messages == [
        "The samples are too few (5) for intervals of 90%: these are as wide as the largest error instead. Add samples."
    ]
    truth = study.frame["ph"][predictions.index]
    half_width = (certainty["upper"] - certainty["lower"]) / 2
    np.testing.assert_allclose(half_width, (truth - predictions).abs().max(), rtol=1e-5)


def test_cautions_come_once_and_before_training(study, encoder):
    """The study is what is judged, not its training part."""
    with told(cautions=True) as messages, pytest.raises(ValueError, match="^monitor is 'r3'"):
        run_fine_tune(study, "ph", encoder, monitor="r3", table=study.samples(study.table.ids()[:40]))
    assert messages == cautions(study.frame["ph"].iloc[:40]) and len(messages) == 1


def test_what_is_printed_is_readable(study, encoder, capsys):
    run_fine_tune(study, "ph", encoder)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and len(lines) == 8
    assert re.match(r"48 samples, \d+ distinct ASVs, \d+ a sample \(median\), \d+ at most\.$", lines[0])
    assert lines[1].endswith(("which reads them by their sequences.", "all of these ASVs in pretraining."))
    assert lines[2] == "Epoch 0 is the linear head alone, fitted to the sample embeddings."
    assert [line.split("  ")[0] for line in lines[3:6]] == ["epoch 0/2", "epoch 1/2", "epoch 2/2"]
    assert lines[6].endswith("All 2 epochs were run.")
    assert lines[7].startswith("Validation samples (ph): r2 ") and ", mae " in lines[7]
