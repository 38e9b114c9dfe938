"""`fit` called as QIIME 2 calls it, with the default head: both kinds of column, IDs, groups, units, seeds."""

import inspect
import json
from dataclasses import replace

import biom
import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat
from scipy.special import softmax

from q2_aam import fine_tuning
from q2_aam import predictor as core
from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation.metrics import regression_scores
from q2_aam.predictor import Predictor
from q2_aam.settings import FOREIGN
from q2_aam.types import AAMModelDirectoryFormat

from .small import as_column, description, printed, run_fine_tune, run_fit, run_predict, shuffled, told

# Both kinds of column


def test_regressor_leaves_predictions_and_intervals_of_all_samples(study, regressor):
    model, predictions, certainty = regressor
    model.validate("max")
    assert list(predictions.index) == list(certainty.index) == list(study.table.ids())
    assert predictions.index.name == "SampleID" and predictions.name == "prediction"
    assert list(certainty.columns) == ["lower", "upper"]
    assert ((certainty["lower"] <= predictions) & (predictions <= certainty["upper"])).all()
    facts = description(model)
    assert (facts["schema_version"], facts["kind"], facts["head"]) == (5, "regressor", "ensemble")
    assert facts["data"]["samples"] == facts["data"]["training_samples"] == 48
    assert facts["data"]["validation_samples"] == 0 and facts["target"]["name"] == "ph"
    truth = study.frame["ph"][predictions.index]
    assert facts["scores"]["out-of-fold/mae"] == pytest.approx((truth - predictions).abs().mean(), rel=1e-9)
    assert set(facts["scores"]) >= {f"out-of-fold/{name}" for name in ("r2", "mae", "rmse", "spearman")}
    # Of samples it has learnt from, it knows more.
    score, again = (regression_scores(truth, each)["r2"] for each in (predictions, run_predict(study, model)[0]))
    assert again > score > 0.3


def test_intervals_hold_nine_in_ten_of_the_out_of_fold_predictions(study, regressor):
    model, predictions, certainty = regressor
    truth = study.frame["ph"].loc[predictions.index]
    # The interval ends at one of them.
    inside = (truth >= certainty["lower"] - 1e-5) & (truth <= certainty["upper"] + 1e-5)
    # ceil(49 * 0.9) of 48
    assert inside.sum() == 45
    intervals, target = description(model)["intervals"], description(model)["target"]
    half_width = (certainty["upper"] - certainty["lower"]) / 2
    np.testing.assert_allclose(half_width, intervals["half_width"] * target["scale"], rtol=1e-6)


def test_nothing_of_a_sample_is_in_its_out_of_fold_prediction(study, encoder):
    """Of numbers drawn at random nothing can be known, but of samples that were learnt from."""
    drawn = pd.Series(np.random.default_rng(0).normal(size=48), index=study.frame.index, name="drawn")
    model, predictions, _ = run_fit(study, as_column(drawn), encoder)
    assert description(model)["scores"]["out-of-fold/r2"] < 0.1
    again, before = (
        np.corrcoef(values, drawn[values.index])[0, 1] for values in (run_predict(study, model)[0], predictions)
    )
    assert before < 0.2 and again > before + 0.2


def test_classifier_leaves_predictions_and_probabilities(study, classifier):
    model, predictions, certainty = classifier
    model.validate("max")
    assert list(predictions.index) == list(study.table.ids())
    assert list(certainty.columns) == ["forest", "grassland", "wetland"]
    np.testing.assert_allclose(certainty.sum(axis=1), 1, atol=1e-12)
    shares = study.frame["habitat"].value_counts(normalize=True)
    assert ((certainty / shares).idxmax(axis=1) == predictions).all()
    truth = study.frame["habitat"][predictions.index]
    facts = description(model)
    assert facts["kind"] == "classifier" and facts["intervals"] is None and facts["temperature"] > 0
    assert facts["scores"]["out-of-fold/accuracy"] == pytest.approx((truth == predictions).mean())
    for name, weight in zip(facts["target"]["classes"], facts["target"]["class_weights"], strict=True):
        assert weight == pytest.approx(48 / 3 / (study.frame["habitat"] == name).sum())


def test_temperature_is_calibrated_on_out_of_fold_predictions(study, classifier):
    certainty = classifier[2]
    truth = study.frame["habitat"].loc[certainty.index]
    code = [list(certainty).index(name) for name in truth]
    entropy = -np.log(certainty.to_numpy()[np.arange(48), code]).mean()
    for factor in (0.5, 2.0):
        other = softmax(np.log(certainty.to_numpy()) / factor, axis=1)
        assert -np.log(other[np.arange(48), code]).mean() > entropy


@pytest.mark.parametrize("names", [["1", "2", "10"], ["0", "1", "01"], ["yes no", "ja/nein", "é"]])
def test_classes_are_whatever_text_they_are(study, encoder, names):
    column = study.frame["habitat"].map(dict(zip(["forest", "grassland", "wetland"], names, strict=True)))
    with told() as messages:
        model, predictions, certainty = run_fit(study, as_column(column), encoder, head="linear")
        again, probabilities, _ = run_predict(study, model)
    assert messages == []
    assert set(predictions) <= set(names) and set(again) <= set(names)
    assert list(certainty.columns) == list(probabilities.columns) == sorted(names)


def test_a_class_of_one_group_is_learnt_from(study, encoder):
    """No fold can tell how well it is predicted, but there is no part in which it would be missing."""
    classes = pd.Series(np.where(np.arange(48) % 3 == 0, "other", "common"), index=study.table.ids(), name="kind")
    classes[:6] = "rare"
    groups = pd.Series([f"g{i // 6}" for i in range(48)], index=study.table.ids(), name="plot")
    with told() as messages:
        model, predictions, certainty = run_fit(study, as_column(classes), encoder, groups=as_column(groups))
    ids = list(study.table.ids()[:6])
    assert messages == [
        f"6 of 48 samples have no out-of-fold prediction: {', '.join(ids[:5])}, ... (6 in all). Their groups "
        "(plot) hold all of a class (rare), which could not be learnt without them: how well it is predicted is not "
        "known, and scores leave it out."
    ]
    assert set(predictions.index) == set(study.table.ids()[6:]) and list(certainty) == ["common", "other", "rare"]
    assert run_predict(study, model)[0].iloc[:6].eq("rare").mean() > 0.5


def test_a_class_of_one_sample_leaves_all_others_their_out_of_fold_prediction(study, encoder):
    classes = pd.Series(np.where(np.arange(48) % 3 == 0, "other", "common"), index=study.table.ids(), name="kind")
    classes.iloc[7] = "only"
    with told() as messages:
        model, predictions, certainty = run_fit(study, as_column(classes), encoder)
    [message] = messages
    name = study.table.ids()[7]
    assert message == (
        f"1 of 48 samples have no out-of-fold prediction: {name}. Each is the only one of its class (only), which "
        "could not be learnt without it: how well it is predicted is not known, and scores leave it out."
    )
    assert set(predictions.index) == set(study.table.ids()) - {name} and (certainty["only"] < 0.5).all()


# In the target's own units


@pytest.mark.parametrize("transform", ["none", "zscore", "minmax", "log1p"])
def test_predictions_are_in_the_targets_own_units(study, encoder, transform):
    counts = (100 + 30 * study.frame["ph"]).rename("counts")
    with told() as messages:
        model, out_of_fold, certainty = run_fit(study, as_column(counts), encoder, target_transform=transform)
        predicted = run_predict(study, model)[0]
    assert messages == []
    target = description(model)["target"]
    assert target["transform"] == transform
    if transform == "zscore":
        assert target["location"] == pytest.approx(counts.mean(), rel=1e-12)
        assert target["scale"] == pytest.approx(counts.std(ddof=0), rel=1e-12)
    low, high = counts.min(), counts.max()
    for values in (predicted, out_of_fold):
        assert values.between(low - (high - low), high + (high - low)).all()
    # The samples are fitted closely, so that a wrong unit could not hide.
    assert (predicted - counts[predicted.index]).abs().mean() < 0.35 * counts.std()
    assert (certainty["upper"] - certainty["lower"]).between(0.01, 10 * (high - low)).all()
    if transform == "log1p":
        factor = (1 + certainty["upper"]) / (1 + out_of_fold)
        np.testing.assert_allclose(factor, factor.iloc[0], rtol=1e-6)
        np.testing.assert_allclose((1 + out_of_fold) / (1 + certainty["lower"]), factor.iloc[0], rtol=1e-6)


# By ID


def test_order_of_features_sequences_and_metadata_changes_nothing(study, encoder, regressor, tmp_path):
    rng = np.random.default_rng(3)
    table = study.table.sort_order(rng.permutation(study.table.ids("observation")), axis="observation")
    names = rng.permutation(list(study.sequence_of))
    path = tmp_path / "shuffled.fasta"
    path.write_text("".join(f">{name}\n{study.sequence_of[name]}\n" for name in names))
    inputs = {"table": table, "sequences": DNAFASTAFormat(str(path), "r")}
    column = as_column(study.frame["ph"].sample(frac=1, random_state=1))
    model, predictions, certainty = run_fit(study, column, encoder, **inputs)
    off = (predictions - regressor[1]).abs()
    # Rounding may lead a tree or two another way.
    assert list(predictions.index) == list(regressor[1].index) and off.max() < 0.1 and off.median() < 1e-3
    ours, theirs = (run_predict(study, each)[0] for each in (model, regressor[0]))
    assert (ours - theirs).abs().median() < 1e-3
    np.testing.assert_allclose(certainty["upper"] - certainty["lower"], np.ptp(regressor[2], axis=1), rtol=0.05)


def test_order_of_samples_changes_the_folds_only(study, encoder, regressor):
    model, predictions, _ = run_fit(study, "ph", encoder, table=shuffled(study.table))
    assert list(predictions.index) != list(regressor[1].index)
    truth = study.frame["ph"].loc[predictions.index]
    assert regression_scores(truth, predictions)["r2"] > description(regressor[0])["scores"]["out-of-fold/r2"] - 0.15
    ours, theirs = (run_predict(study, each)[0] for each in (model, regressor[0]))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95


def test_groups_never_stand_on_both_sides(study, encoder, monkeypatch):
    """By ID, whatever the order of the metadata."""
    calls = []

    def watch(*args, **kwargs):
        calls.append((inspect.signature(before).bind(*args, **kwargs).arguments, before(*args, **kwargs)))
        return calls[-1][1]

    before = core.inner_folds
    monkeypatch.setattr(core, "inner_folds", watch)
    groups = as_column(study.frame["site"].sample(frac=1, random_state=2))
    for seed in range(3):
        run_fit(study, "habitat", encoder, groups=groups, head="linear", random_seed=seed)
        sites = study.frame["site"][study.table.ids()].to_numpy()
        given, folds = calls[-1]
        assert list(given["groups"]) == list(sites) and given["random_seed"] == seed
        for train, test in folds.splits:
            assert not set(sites[train]) & set(sites[test]) and len(train) + len(test) == 48
    run_fit(study, "habitat", encoder, head="linear")
    given, folds = calls[-1]
    assert given["groups"] is None
    assert any(set(sites[train]) & set(sites[test]) for train, test in folds.splits)


def test_the_same_seed_gives_the_same_model_and_another_seed_other_folds(study, encoder, regressor):
    again = run_fit(study, "ph", encoder)
    pd.testing.assert_series_equal(again[1], regressor[1])
    pd.testing.assert_frame_equal(again[2], regressor[2])
    other = run_fit(study, "ph", encoder, random_seed=2**32 - 1)
    assert not np.allclose(other[1], regressor[1]) and description(other[0])["random_seed"] == 2**32 - 1


# The encoder


def test_the_encoder_stays_and_keeps_what_it_has_seen(study, encoder):
    few = study.samples(study.table.ids()[:30])
    model = run_fit(study, "ph", encoder, table=few, head="linear")[0]
    before, after = Encoder.load(str(encoder)), Predictor.load(str(model))
    weights = after.encoder.network.state_dict()
    assert all((value == weights[name]).all() for name, value in before.network.state_dict().items())
    assert np.array_equal(before.seen_asvs, after.encoder.seen_asvs) and set(after.seen_asvs) < set(before.seen_asvs)
    assert description(model)["encoder"] == json.loads(json.dumps(before.summary()))


def test_threads_change_nothing(study, encoder, regressor):
    off = (run_fit(study, "ph", encoder, threads=2)[1] - regressor[1]).abs()
    assert off.median() < 1e-3 and off.max() < 0.1


def test_the_encoders_token_limit_is_the_models(study, encoder, tmp_path):
    """The pretraining's: what an encoder has learnt to read is what it reads."""
    limited = Encoder.load(str(encoder))
    limited.description = replace(limited.description, token_limit=5)
    limited.save(tmp_path)
    model, predictions, _ = run_fit(study, "ph", AAMModelDirectoryFormat(tmp_path, "r"), head="trees")
    assert description(model)["token_limit"] == 5
    # The encoder reads the five most abundant ASVs, of which the shares are.
    counts = study.table.matrix_data.toarray()
    order = np.sort(counts, axis=0)
    table = biom.Table(np.where(counts >= order[-5], counts, 0), study.table.ids("observation"), study.table.ids())
    ours, theirs = (run_predict(study, model, table=each)[0] for each in (study.table, table))
    untied = order[-5] > order[-6]
    assert untied.sum() > 20 and np.corrcoef(ours[untied], theirs[untied])[0, 1] > 0.95


def test_what_is_printed_is_readable(study, encoder, regressor, capsys):
    with told():
        run_fit(study, "ph", encoder, groups=study.column("site"), head="kernel")
    lines = printed(capsys)
    assert len(lines) == 4
    assert lines[0].startswith("48 samples of 9 groups, 120 distinct ASVs, ")
    assert lines[1] == "The encoder has read all of these ASVs in pretraining."
    assert lines[2].startswith("Kernel head: ")
    assert lines[3].startswith("Out-of-fold predictions (ph): r2 ") and ", mae " in lines[3]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_foreign_sequences_do_reaches_the_core(study, encoder, regressor, monkeypatch, foreign):
    asked = []
    for module in (core, fine_tuning):
        monkeypatch.setattr(module, "cautions_to_learn", lambda *some: asked.append(some[-1]) or ("They are odd.",))
    told = lambda _, table, *some: asked.append(some[-1]) or (table, ("They are odd.",))  # noqa: E731
    monkeypatch.setattr(core, "judged", told)
    for work, times in (
        (lambda: run_fit(study, "ph", encoder, head="kernel", foreign=foreign), 1),
        (lambda: run_predict(study, regressor[0], foreign=foreign), 2),
        (lambda: run_fine_tune(study, "ph", encoder, foreign=foreign), 3),
    ):
        with pytest.warns(UserWarning, match=r"^They are odd\.$"):
            work()
        assert asked == [foreign] * times
