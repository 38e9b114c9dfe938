"""`fit` called as QIIME 2 calls it: both kinds of column, every way to start, groups, units, seeds."""

import inspect
import json
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest

from q2_aam import fitting
from q2_aam.heads.linear import fit_probe
from q2_aam.model_file import load_model
from q2_aam.settings import FineTuning
from q2_aam.study.cautions import Caution, cautions
from q2_aam.study.tokenizer import PAD, tokenize

from .small import as_column, run_fit, run_predict, told


def description_of(outputs):
    return json.loads((outputs[0].path / "model.json").read_text())


def history_of(outputs):
    return pd.read_csv(outputs[3].path / "history.tsv", sep="\t").set_index("epoch")


# Both kinds of column


def test_regressor_leaves_predictions_and_intervals_of_its_validation_samples(study, regressor):
    model, predictions, certainty, log = regressor
    model.validate("max")
    log.validate("max")
    assert len(predictions) == 12 and predictions.index.name == "SampleID" and predictions.name == "prediction"
    assert list(certainty.columns) == ["lower", "upper"] and list(certainty.index) == list(predictions.index)
    assert ((certainty["lower"] <= predictions) & (predictions <= certainty["upper"])).all()
    description = description_of(regressor)
    assert description["kind"] == "regressor"
    assert description["data"]["validation_samples"] == 12 and description["data"]["training_samples"] == 36
    truth = study.frame["ph"][predictions.index]
    assert description["scores"]["validation/mae"] == pytest.approx((truth - predictions).abs().mean(), rel=1e-9)


def test_intervals_hold_the_share_of_validation_samples_that_they_promise(study, regressor):
    _, predictions, certainty, _ = regressor
    truth = study.frame["ph"][predictions.index]
    inside = ((certainty["lower"] <= truth) & (truth <= certainty["upper"])).sum()
    # the sample that sets the width lies on the end itself, where rounding decides
    rank = math.ceil(13 * 0.9)
    assert inside in (rank - 1, rank)
    half_width = (certainty["upper"] - certainty["lower"]) / 2
    np.testing.assert_allclose(half_width, np.sort((truth - predictions).abs())[rank - 1], rtol=1e-5)


def test_classifier_leaves_predictions_and_probabilities(study, classifier):
    model, predictions, certainty, log = classifier
    model.validate("max")
    assert list(certainty.columns) == ["forest", "grassland", "wetland"]
    np.testing.assert_allclose(certainty.sum(axis=1), 1, atol=1e-12)
    assert (certainty.idxmax(axis=1) == predictions).all()
    truth = study.frame["habitat"][predictions.index]
    description = description_of(classifier)
    assert description["kind"] == "classifier" and description["intervals"] is None
    assert description["scores"]["validation/accuracy"] == pytest.approx((truth == predictions).mean())
    assert len(list((log.path / "plots").glob("*.png"))) >= 1


def test_classes_of_unequal_size_are_weighted(study, classifier):
    training = study.frame["habitat"].drop(classifier[1].index)
    target = description_of(classifier)["target"]
    for name, weight in zip(target["classes"], target["class_weights"], strict=True):
        assert weight == pytest.approx(len(training) / 3 / (training == name).sum())


@pytest.mark.parametrize("names", [["1", "2", "10"], ["0", "1", "01"], ["yes no", "ja/nein", "é"]])
def test_classes_are_whatever_text_they_are(study, encoder, names):
    column = study.frame["habitat"].map(dict(zip(["forest", "grassland", "wetland"], names, strict=True)))
    with told() as messages:
        model, predictions, certainty, _ = run_fit(study, as_column(column), encoder, epochs=1)
        again, probabilities, _ = run_predict(study, model)
    assert messages == []
    assert set(predictions) <= set(names) and set(again) <= set(names)
    assert list(certainty.columns) == list(probabilities.columns) == sorted(names)


def test_the_penalty_of_the_probe_is_searched_by_group(study, encoder, monkeypatch):
    """The groups of the training samples, in their order; none where none are given."""
    found = []

    def watching(*args, **kwargs):
        found.append(inspect.signature(fit_probe).bind(*args, **kwargs).arguments["groups"])
        return fit_probe(*args, **kwargs)

    monkeypatch.setattr(fitting, "fit_probe", watching)
    for groups in (study.column("site"), None):
        outputs = run_fit(study, "ph", encoder, groups=groups, freeze_encoder=True)
        sites = study.frame["site"][study.table.ids()].drop(outputs[1].index)
        assert found[-1] is None if groups is None else list(found[-1]) == list(sites)
    assert len(found) == 2


@pytest.mark.parametrize("names", [["id", "SampleID", "soil"], ["Feature-ID", "#OTU ID", "sample_name"]])
def test_classes_that_are_called_like_a_column_of_ids_are_refused(study, encoder, names, tmp_path):
    column = study.frame["habitat"].map(dict(zip(["forest", "grassland", "wetland"], names, strict=True)))
    refused = sorted(set(names) - {"soil"})
    message = (
        f"{len(refused)} classes of column 'habitat' are called what QIIME 2 calls a column of IDs: "
        f"{', '.join(refused)}. No metadata can have a column of that name, and the probabilities of the classes could "
        "not be read. Rename these classes in the metadata."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run_fit(study, as_column(column), encoder, freeze_encoder=True, run_dir=str(tmp_path))
    assert list(tmp_path.iterdir()) == [], "refused before training"


# In the target's own units


@pytest.mark.parametrize("transform", ["none", "zscore", "minmax", "log1p"])
def test_predictions_are_in_the_targets_own_units(study, encoder, transform):
    counts = (100 + 30 * study.frame["ph"]).rename("counts")
    with told() as messages:
        outputs = run_fit(study, as_column(counts), encoder, target_transform=transform, freeze_encoder=True)
        predicted, certainty, _ = run_predict(study, outputs[0])
    assert messages == []
    assert description_of(outputs)["target"]["transform"] == transform
    low, high = counts.min(), counts.max()
    assert predicted.between(low - (high - low), high + (high - low)).all()
    # the training samples are fitted closely, so that a wrong unit could not hide
    training = predicted.drop(outputs[1].index)
    assert (training - counts[training.index]).abs().mean() < 0.35 * counts.std()
    assert (certainty["upper"] - certainty["lower"]).between(0.01, 10 * (high - low)).all()


def test_the_transform_is_fitted_on_the_training_part_alone(study, regressor):
    target = description_of(regressor)["target"]
    training = study.frame["ph"].drop(regressor[1].index)
    assert target["location"] == pytest.approx(training.mean(), rel=1e-12)
    assert target["scale"] == pytest.approx(training.std(ddof=0), rel=1e-12)


def test_logged_target_has_intervals_that_are_factors(study, encoder):
    column = as_column(np.expm1(study.frame["ph"]).rename("counts"))
    _, predictions, certainty, _ = run_fit(study, column, encoder, target_transform="log1p", freeze_encoder=True)
    factor = (1 + certainty["upper"]) / (1 + predictions)
    np.testing.assert_allclose(factor, factor.iloc[0], rtol=1e-6)
    np.testing.assert_allclose((1 + predictions) / (1 + certainty["lower"]), factor.iloc[0], rtol=1e-6)


# Predict with what fit just wrote


@pytest.mark.parametrize("fitted", ["regressor", "classifier"])
def test_predict_says_of_validation_samples_what_fit_said(study, fitted, request):
    model, predictions, certainty, _ = request.getfixturevalue(fitted)
    again, certain, _ = run_predict(study, model, table=study.samples(predictions.index))
    pd.testing.assert_series_equal(again, predictions, atol=1e-5, rtol=0)
    pd.testing.assert_frame_equal(certain, certainty, atol=1e-5, rtol=0)


# Where it starts


def test_without_encoder(study):
    with told() as messages:
        outputs = run_fit(study, "ph")
    assert messages == []
    assert description_of(outputs)["training"]["encoder"] is None
    assert description_of(outputs)["architecture"]["dim"] == 16


def test_with_encoder_what_it_had_seen_counts_as_seen(study, encoder):
    few = study.samples(study.table.ids()[:30])
    model = run_fit(study, "ph", encoder, table=few, freeze_encoder=True, validation_share=0.4)[0]
    assert set(load_model(str(encoder)).seen_asvs) <= set(load_model(str(model)).seen_asvs)
    sha256 = json.loads((encoder.path / "model.json").read_text())["sha256"]
    assert json.loads((model.path / "model.json").read_text())["training"]["encoder"] == sha256


def test_frozen_encoder_is_left_as_it_was(study, encoder, capsys):
    outputs = run_fit(study, "habitat", encoder, freeze_encoder=True)
    printed = capsys.readouterr().out.splitlines()
    assert printed[4] == "The encoder was frozen: only the head was fitted."
    assert list(history_of(outputs).index) == [0]
    summary = json.loads((outputs[3].path / "log.json").read_text())
    assert (summary["best_epoch"], summary["epochs"]) == (0, 0)
    before = load_model(str(encoder)).network.state_dict()
    after = load_model(str(outputs[0])).network.state_dict()
    for name in before:
        assert (before[name] == after[name]).all(), name
    assert set(after) - set(before) == {name for name in after if name.startswith("target_head.")}


def test_without_encoder_the_start_is_taken_from_the_data(study):
    """A network whose anchors were never chosen has none but PAD."""
    model = run_fit(study, "ph", epochs=1)[0]
    anchors = load_model(str(model)).network.asv_encoder.anchors
    known = {tuple(row) for row in tokenize(list(study.sequence_of.values()), 60).tolist()}
    assert (anchors[:, 1] != PAD).any()
    assert {tuple(row[:61]) for row in anchors.tolist() if row[1] != PAD} <= known


def first_unifrac_loss(outputs):
    return history_of(outputs).loc[0, "val/unifrac_loss"]


def test_the_metric_asked_for_is_the_one_that_is_measured(study, encoder):
    losses = {
        metric: first_unifrac_loss(
            run_fit(study, "ph", phylogeny=study.phylogeny, metric=metric, epochs=1, validation_share=0.25)
        )
        for metric in ("auto", "unweighted", "weighted_normalized")
    }
    assert losses["auto"] == losses["unweighted"] != losses["weighted_normalized"]


def test_the_encoders_metric_is_kept_unless_another_is_asked_for(study, weighted_encoder):
    given = {"phylogeny": study.phylogeny, "freeze_encoder": True}
    with told() as messages:
        kept = run_fit(study, "ph", weighted_encoder, **given)
        same = run_fit(study, "ph", weighted_encoder, **given, metric="weighted_normalized")
    assert messages == []
    assert description_of(kept)["training"]["metric"] == "weighted_normalized"
    assert first_unifrac_loss(kept) == first_unifrac_loss(same)
    with told() as messages:
        other = run_fit(study, "ph", weighted_encoder, **given, metric="unweighted")
    assert messages == [
        "The encoder learnt weighted_normalized UniFrac, but metric is 'unweighted': what it learnt will be changed. "
        "Leave metric out to go on with weighted_normalized."
    ]
    assert description_of(other)["training"]["metric"] == "unweighted"
    assert first_unifrac_loss(other) > first_unifrac_loss(kept)


def test_what_is_asked_for_without_use_is_told(study, encoder):
    with told() as messages:
        run_fit(study, "habitat", encoder, freeze_encoder=True, target_transform="log1p")
    assert messages == [
        "target_transform is 'log1p', but the column is categorical: classes take no transform. Leave target_transform "
        "out."
    ]
    with told() as messages:
        run_fit(study, "ph", encoder, freeze_encoder=True, metric="generalized", unifrac_weight=5.0)
    assert messages == [
        f"{name}, but there is no phylogeny, without which no distances are learnt. Give the phylogeny, or leave "
        f"{name.split()[0]} out."
        for name in ("metric is 'generalized'", "unifrac_weight is 5.0")
    ]
    with told() as messages:
        run_fit(study, "ph", encoder, freeze_encoder=True, target_transform="log1p", unifrac_weight=0.0)
    assert messages == []


def test_which_asvs_are_read_of_a_long_sample_is_as_asked_for(study, encoder):
    history = [
        history_of(run_fit(study, "ph", encoder, token_limit=5, token_choice=choice, epochs=1))
        for choice in ("abundant", "random", "random")
    ]
    first, second, third = (epochs.loc[1, "train/target_loss"] for epochs in history)
    assert first != second == third


def test_with_phylogeny_the_unifrac_loss_is_kept_beside(study, encoder):
    with told() as messages:
        outputs = run_fit(study, "ph", encoder, phylogeny=study.phylogeny)
    assert messages == []
    history = history_of(outputs)
    np.testing.assert_allclose(
        history["val/total_loss"], history["val/target_loss"] + history["val/unifrac_loss"], rtol=1e-5
    )
    assert "val/unifrac_loss" not in history_of(run_fit(study, "ph", encoder, epochs=1))


def test_the_better_of_probe_and_tuning_is_kept(study, encoder):
    # steps so large that whatever tuning does, it does worse than the probe
    outputs = run_fit(study, "ph", encoder, learning_rate=0.3, scheduler="constant")
    history = history_of(outputs)
    assert history["val/total_loss"].idxmin() == 0
    assert json.loads((outputs[3].path / "log.json").read_text())["best_epoch"] == 0
    frozen = run_fit(study, "ph", encoder, freeze_encoder=True)
    pd.testing.assert_series_equal(outputs[1], frozen[1])


# Groups and seeds


def test_groups_never_stand_on_both_sides(study, encoder):
    for seed in range(3):
        outputs = run_fit(study, "habitat", encoder, groups=study.column("site"), freeze_encoder=True, random_seed=seed)
        held_out = study.frame["site"][outputs[1].index]
        learnt_from = study.frame["site"].drop(outputs[1].index)
        assert not set(held_out) & set(learnt_from)
        assert len(held_out) + len(learnt_from) == 48
        assert description_of(outputs)["training"]["groups"] == "site"


def test_without_groups_sites_stand_on_both_sides(study, regressor):
    assert set(study.frame["site"][regressor[1].index]) & set(study.frame["site"].drop(regressor[1].index))


def test_the_same_seed_gives_the_same_model_and_another_seed_another_split(study, encoder, regressor):
    again = run_fit(study, "ph", encoder)
    pd.testing.assert_series_equal(again[1], regressor[1])
    pd.testing.assert_frame_equal(again[2], regressor[2])
    other = run_fit(study, "ph", encoder, random_seed=1, epochs=1)
    assert set(other[1].index) != set(regressor[1].index)


# Steps and batches


@pytest.mark.parametrize("scheduler", ["onecycle", "warmup_cosine", "cosine", "plateau", "constant"])
def test_schedulers_with_a_remainder_of_accumulation(study, encoder, scheduler):
    """8.11: 36 samples in batches of 5 are 8 batches, of which accumulation over 3 leaves 2."""
    with told() as messages:
        outputs = run_fit(
            study, "ph", encoder, scheduler=scheduler, batch_size=5, accumulation=3, epochs=3, warmup_share=0.4
        )
    assert messages == []
    rates = history_of(outputs)["learning_rate"].dropna()
    assert len(rates) == 3 and (rates > 0).all() and rates.max() <= FineTuning.learning_rate * (1 + 1e-9)
    if scheduler in ("onecycle", "warmup_cosine"):
        assert rates.iloc[-1] < rates.max()
    if scheduler == "constant":
        np.testing.assert_allclose(rates, FineTuning.learning_rate)


def test_batch_size_changes_no_validation_score(study, encoder):
    """8.6: no sample of the validation part is dropped, whether it is smaller than a batch or leaves a remainder."""
    scores = []
    for batch_size in (1, 5, 7, 11, 32):
        with told() as messages:
            outputs = run_fit(study, "ph", encoder, batch_size=batch_size, freeze_encoder=True)
        assert messages == [] and len(outputs[1]) == 12
        scores.append(history_of(outputs).loc[0, ["val/target_loss", "val/mae", "val/r2"]].astype(float))
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-4)


def test_bf16_on_a_cpu_is_really_used(study, encoder):
    exact = history_of(run_fit(study, "habitat", encoder, epochs=1))
    with told() as messages:
        coarse = history_of(run_fit(study, "habitat", encoder, epochs=1, precision="bf16"))
    assert messages == []
    # Training is coarse, validation is as exact as prediction: before the first step there is no difference.
    assert coarse.loc[0, "val/target_loss"] == exact.loc[0, "val/target_loss"]
    ours, theirs = coarse.loc[1, "train/target_loss"], exact.loc[1, "train/target_loss"]
    assert ours != theirs and ours == pytest.approx(theirs, rel=0.3)


# What the study cannot support


def test_cautions_are_warned_of_once_and_before_training(study, encoder):
    """The study is what is judged, not its training part, and only the samples that are learnt or validated."""
    with told(cautions=True) as messages:
        run_fit(study, "ph", encoder, freeze_encoder=True, table=study.samples(study.table.ids()[:40]))
    assert messages == cautions(study.frame["ph"].iloc[:40])
    assert messages[0].startswith("Only 40 samples have a value of 'ph'.") and len(messages) == 1
    site = study.frame["site"]
    region = site.map(lambda name: "east" if int(name[-1]) % 2 else "west").rename("region")
    with told(cautions=True) as messages:
        run_fit(study, as_column(region), encoder, freeze_encoder=True, groups=as_column(site))
    assert messages == cautions(region, site)
    assert "the 48 samples are 9 independent values" in messages[-1] and len(messages) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error", Caution)
        with pytest.raises(Caution, match="^Only 48 samples"):
            run_fit(study, "habitat", encoder, epochs=10**6)


def test_what_is_refused_is_not_warned_of_beside(study, encoder):
    one = as_column(study.frame["site"].map(lambda _: "site-1"))
    same = as_column(study.frame["ph"].map(lambda _: 7.0))
    with told(cautions=True) as messages:
        for column, groups in (("ph", one), (same, study.column("site"))):
            with pytest.raises(ValueError, match="all samples are of one group|the same value"):
                run_fit(study, column, encoder, groups=groups)
    assert messages == []


# Samples and features that are missing


def test_table_that_lacks_samples_of_the_metadata(study, encoder, capsys):
    with told() as messages:
        run_fit(study, "ph", encoder, table=study.samples(study.table.ids()[:40]), freeze_encoder=True)
    assert messages == []
    assert capsys.readouterr().out.startswith("40 samples (30 to learn from, 10 for validation)")


def test_samples_that_the_metadata_lacks_are_ignored_with_a_count(study, encoder):
    known = as_column(study.frame["ph"].iloc[4:])
    with told() as messages:
        outputs = run_fit(study, known, encoder, missing_samples="ignore", freeze_encoder=True)
    assert messages == ["4 of the table's 48 samples are not in the metadata and were left out: S01, S02, S03, S04."]
    assert description_of(outputs)["data"]["samples"] == 44


def test_missing_values_of_the_target_and_of_the_groups_are_dropped_with_a_count(study, encoder):
    frame = study.frame.copy()
    frame.iloc[:7, frame.columns.get_loc("ph")] = np.nan
    frame.iloc[7, frame.columns.get_loc("site")] = None
    with told() as messages:
        outputs = run_fit(study, as_column(frame["ph"]), encoder, groups=as_column(frame["site"]), freeze_encoder=True)
    assert messages == [
        "7 of the table's 48 samples have no value in column 'ph' and were left out: "
        "S01, S02, S03, S04, S05, ... (7 in all).",
        "1 of the table's 41 samples have no value in column 'site' and were left out: S08.",
    ]
    assert description_of(outputs)["data"]["samples"] == 40


def test_what_was_left_out_is_kept_with_the_model(study, encoder):
    """The warnings are seen with --verbose only."""
    frame = study.frame.copy()
    frame.iloc[:7, frame.columns.get_loc("ph")] = np.nan
    frame.iloc[7, frame.columns.get_loc("site")] = None
    frame = frame.drop(index=["S10", "S11"])
    left = frame.index[8:]
    depth = int(np.sort(study.samples(left).sum("sample"))[2])
    groups = as_column(frame["site"].drop(index=["S12"]))
    how = {"missing_samples": "ignore", "sampling_depth": depth, "freeze_encoder": True}
    with told() as messages:
        outputs = run_fit(study, as_column(frame["ph"]), encoder, groups=groups, **how)
    assert len(messages) == 5
    data, training = description_of(outputs)["data"], description_of(outputs)["training"]
    assert (data["samples_not_in_metadata"], data["samples_without_value"]) == (3, 8)
    below = int((study.samples(left.drop("S12")).sum("sample") < depth).sum())
    assert data["samples_below_sampling_depth"] == below > 0
    assert data["samples"] == 48 - 3 - 8 - below
    assert data["reads_dropped"] == 0
    assert (training["missing_samples"], training["missing_features"]) == ("ignore", "error")
    outputs[0].validate("max")


def test_nothing_left_out_is_kept_as_nothing(regressor):
    data = description_of(regressor)["data"]
    assert [data[name] for name in data if name.startswith(("samples_", "reads_dropped"))] == [0, 0, 0, 0]


def test_the_largest_seed(study, encoder):
    with told() as messages:
        outputs = run_fit(study, "habitat", encoder, random_seed=2**32 - 1, epochs=1)
    assert messages == []
    assert description_of(outputs)["random_seed"] == 2**32 - 1


def test_rarefied(study, encoder):
    depth = int(np.sort(study.table.sum("sample"))[3])
    with told() as messages:
        outputs = run_fit(study, "ph", encoder, sampling_depth=depth, freeze_encoder=True)
    assert len(messages) == 1
    assert messages[0].startswith(f"3 of 48 samples have fewer than {depth} reads (sampling_depth) and are dropped: ")
    assert description_of(outputs)["data"]["reads"] == 45 * depth
    assert description_of(outputs)["training"]["sampling_depth"] == depth


def test_too_few_validation_samples_for_intervals_are_told(study, encoder):
    with told() as messages:
        outputs = run_fit(study, "ph", encoder, validation_share=0.1, freeze_encoder=True)
    assert messages == [
        "The validation samples are too few (5) for intervals of 90%, which are as wide as the largest error among "
        "them instead. Give more samples (or, to the linear head, a larger validation_share)."
    ]
    _, predictions, certainty, _ = outputs
    truth = study.frame["ph"][predictions.index]
    half_width = (certainty["upper"] - certainty["lower"]) / 2
    np.testing.assert_allclose(half_width, (truth - predictions).abs().max(), rtol=1e-5)


# What is said and left


def test_scores_of_the_model_are_those_of_the_epoch_that_was_kept(regressor, classifier):
    for outputs, names in ((regressor, ("r2", "mae", "rmse")), (classifier, ("accuracy", "balanced_accuracy"))):
        scores = description_of(outputs)["scores"]
        best = json.loads((outputs[3].path / "log.json").read_text())["best_epoch"]
        for name in names:
            assert scores[f"val/{name}"] == history_of(outputs).loc[best, f"val/{name}"]
            assert scores[f"validation/{name}"] == pytest.approx(scores[f"val/{name}"], abs=1e-4)


@pytest.mark.parametrize("monitor", ["r2", "mae", "target_loss"])
def test_the_metric_asked_for_picks_the_epoch(study, encoder, monitor):
    outputs = run_fit(study, "ph", encoder, monitor=monitor, epochs=3)
    summary = json.loads((outputs[3].path / "log.json").read_text())
    column = history_of(outputs)[f"val/{monitor}"]
    assert summary["monitor"] == f"val/{monitor}"
    assert summary["mode"] == ("max" if monitor == "r2" else "min")
    assert summary["best_epoch"] == (column.idxmax() if monitor == "r2" else column.idxmin())


def test_what_is_printed_is_readable(study, encoder, capsys):
    run_fit(study, "ph", encoder)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].startswith("48 samples (36 to learn from, 12 for validation), ")
    assert lines[1] == "The encoder has learnt from all of these ASVs."
    assert lines[2] == "Epoch 0 is the probe: the linear head alone, fitted to the sample embeddings."
    assert [line.split(",")[0] for line in lines[3:6]] == ["epoch 0/2", "epoch 1/2", "epoch 2/2"]
    assert "target_loss val" in lines[3] and "target_loss train" in lines[4]
    assert lines[6].endswith("All 2 epochs were run.")
    assert lines[7].startswith("Validation samples (ph): r2 ") and ", mae " in lines[7]
    assert len(lines) == 8


def test_run_dir_keeps_what_the_log_holds(study, encoder, tmp_path):
    outputs = run_fit(study, "ph", encoder, run_dir=str(tmp_path / "made" / "run"))
    kept = tmp_path / "made" / "run"
    assert (kept / "history.tsv").read_text() == (outputs[3].path / "history.tsv").read_text()
    assert list((kept / "events").glob("events.out.tfevents.*"))
    assert (kept / "best_model.pt").exists()


def test_run_that_is_finished_is_not_run_again(study, encoder, regressor, tmp_path, capsys):
    first = run_fit(study, "ph", encoder, run_dir=str(tmp_path))
    capsys.readouterr()
    with told() as messages:
        second = run_fit(study, "ph", encoder, run_dir=str(tmp_path))
    assert messages == []
    assert "epoch 1/2" not in capsys.readouterr().out
    pd.testing.assert_series_equal(first[1], second[1])
    pd.testing.assert_series_equal(first[1], regressor[1])
    second[3].validate("max")
