"""`fit` and `predict` with the kernel head."""

from pathlib import Path

import biom
import numpy as np
import pandas as pd
import pytest
import torch
from q2_types.feature_data import DNAFASTAFormat
from scipy.special import softmax

from q2_aam.evaluation.metrics import regression_scores
from q2_aam.model_file import load_model

from .small import as_column, description, run_fit, run_predict, shuffled, tampered


@pytest.fixture(scope="module")
def kernel_regressor(study, encoder):
    return run_fit(study, "ph", encoder, head="kernel", groups=study.column("site"))


@pytest.fixture(scope="module")
def kernel_classifier(study, encoder):
    return run_fit(study, "habitat", encoder, head="kernel")


def test_every_sample_is_learnt_from_and_predicted_without_its_group(study, kernel_regressor):
    model, predictions, certainty, _ = kernel_regressor
    assert list(predictions.index) == list(study.table.ids()) == list(certainty.index)
    assert description(model)["data"]["training_samples"] == 48
    truth = study.frame["ph"].loc[predictions.index]
    scores = regression_scores(truth, predictions)
    assert scores["r2"] > 0.3
    assert description(model)["scores"]["inner folds/r2"] == pytest.approx(scores["r2"])
    # Of samples it has learnt from, it knows more.
    again = run_predict(study, model)[0]
    assert regression_scores(truth, again)["r2"] > scores["r2"]


def test_intervals_hold_nine_in_ten_of_the_samples_held_out(study, kernel_regressor):
    _, predictions, certainty, _ = kernel_regressor
    truth = study.frame["ph"].loc[predictions.index]
    # The interval ends at one of them.
    inside = (truth >= certainty["lower"] - 1e-5) & (truth <= certainty["upper"] + 1e-5)
    # ceil(49 * 0.9) of 48
    assert inside.sum() == 45


def test_probabilities_are_the_tempered_logits_and_name_the_predicted_class(study, kernel_classifier):
    model, predictions, certainty, _ = kernel_classifier
    # Of samples that it had not learnt from.
    assert (predictions == study.frame["habitat"].loc[predictions.index]).mean() > 0.5
    temperature = description(model)["temperature"]
    assert temperature > 0 and temperature != 1
    assert np.allclose(certainty.sum(1), 1) and list(certainty.idxmax(1)) == list(predictions)
    loaded = load_model(str(model))
    logits = loaded.head.outputs(loaded.head.support)
    _, probabilities, _ = run_predict(study, model)
    assert np.allclose(probabilities, softmax(logits / temperature, axis=1), atol=1e-4)


def test_temperature_is_calibrated_on_held_out_samples(study, kernel_classifier):
    model, _, certainty, _ = kernel_classifier
    truth = study.frame["habitat"].loc[certainty.index]
    likely = np.array([certainty.loc[name, kind] for name, kind in truth.items()])
    entropy = -np.log(likely).mean()
    for factor in (0.5, 2.0):
        other = softmax(np.log(certainty.to_numpy()) / factor, axis=1)
        assert -np.log(other[np.arange(48), [list(certainty).index(kind) for kind in truth]]).mean() > entropy


@pytest.mark.parametrize("batch_size", [1, 7])
def test_predictions_do_not_depend_on_order_or_batches(study, kernel_regressor, batch_size):
    model = kernel_regressor[0]
    expected = run_predict(study, model)[0]
    found = run_predict(study, model, table=shuffled(study.table), batch_size=batch_size)[0]
    assert np.allclose(found[expected.index], expected, atol=1e-4)


def test_new_asvs_are_predicted_from_what_the_encoder_sees_in_them(study, encoder):
    """Half of the ASVs are not in the table that is fitted to."""
    known = study.table.ids("observation")[::2]
    half = study.table.filter(set(known), axis="observation", inplace=False)
    model = run_fit(study, "ph", encoder, head="kernel", table=half)[0]
    predicted = run_predict(study, model)[0]
    assert load_model(str(model)).head.support.hashes.size == len(known) == study.table.shape[0] // 2
    truth = study.frame["ph"].loc[predicted.index]
    assert np.isfinite(predicted).all() and np.corrcoef(predicted, truth)[0, 1] > 0.5


def test_a_class_of_one_group_is_learnt_from(study, encoder):
    """No fold can tell how well it is predicted, but there is no part in which it would be missing."""
    classes = pd.Series(np.where(np.arange(48) < 6, "rare", "common"), index=study.table.ids(), name="kind")
    classes[np.arange(48) % 3 == 0] = "other"
    classes[:6] = "rare"
    groups = pd.Series([f"g{i // 6}" for i in range(48)], index=study.table.ids(), name="site")
    model, predictions, certainty, _ = run_fit(
        study, as_column(classes), encoder, head="kernel", groups=as_column(groups)
    )
    assert set(predictions.index) == set(study.table.ids()[6:]) and list(certainty) == ["common", "other", "rare"]
    assert run_predict(study, model)[0].iloc[:6].eq("rare").mean() > 0.5


def test_new_asvs_beside_many_familiar_ones_change_nothing(study, kernel_regressor, tmp_path):
    """A table that was fitted to may have lost its rare ASVs; richer new samples are no other communities for that."""
    model = kernel_regressor[0]
    expected = run_predict(study, model)[0]
    rng = np.random.default_rng(0)
    new = ["".join(rng.choice(list("ACGT"), 50)) for _ in range(5)]
    reads = biom.Table(rng.integers(1, 90, (5, 48)), new, study.table.ids())
    path = tmp_path / "sequences.fasta"
    known = (study.directory / "sequences.fasta").read_text()
    path.write_text(known + "".join(f">{sequence}\n{sequence}\n" for sequence in new))
    richer, sequences = study.table.concat([reads], axis="observation"), DNAFASTAFormat(str(path), "r")
    found, _, novelty = run_predict(study, model, table=richer, sequences=sequences)
    assert (novelty["unseen_asvs"] == 5).all()
    # The poorest samples are read with the new ones.
    same = np.isclose(found[expected.index], expected, atol=1e-4)
    familiar = np.asarray((study.table.matrix_data > 0).sum(0)).ravel()
    assert np.array_equal(same, familiar >= np.quantile(familiar, 0.25)) and not same.all()


def test_a_table_without_any_familiar_asv_is_read_whole(study, encoder):
    """Every second ASV is fitted to, and all others are predicted from: only their sequences can tell."""
    ids = study.table.ids("observation")
    known, new = (
        study.table.filter(set(part), axis="observation", inplace=False).remove_empty("sample")
        for part in (ids[::2], ids[1::2])
    )
    model = run_fit(study, "ph", encoder, head="kernel", table=known)[0]
    predicted = run_predict(study, model, table=new)[0]
    assert predicted.nunique() == len(predicted) > 40


def test_a_conditioning_column_is_read(study, encoder):
    frame = study.frame.copy()
    rng = np.random.default_rng(0)
    frame["age"] = rng.normal(40, 10, len(frame))
    frame["weight"] = 3.0 * frame["age"] + frame["ph"]
    from q2_aam.framework import qiime2

    given = qiime2.Metadata(frame[["age"]].rename_axis("sample-id"))
    # The head by itself is the kernel where there are such columns.
    outputs = run_fit(study, as_column(frame["weight"]), encoder, head="auto", conditioning=given)
    assert description(outputs[0])["training"]["head"] == "kernel"
    assert regression_scores(frame["weight"].loc[outputs[1].index], outputs[1])["r2"] > 0.9
    older = qiime2.Metadata((frame[["age"]] + 5).rename_axis("sample-id"))
    before, after = (run_predict(study, outputs[0], conditioning=each)[0] for each in (given, older))
    assert np.allclose(after - before, 15, atol=3)


@pytest.mark.parametrize("head", ["kernel", "joint"])
def test_what_needs_an_encoder_is_refused_without(study, head):
    with pytest.raises(ValueError, match=f"^head '{head}' needs an encoder: it compares samples by what"):
        run_fit(study, "ph", head=head)


def test_what_only_tuning_reads_is_told(study, encoder):
    told = r"^The kernel head leaves the encoder as it is: epochs, learning_rate, phylogeny will not be read\. Set head"
    with pytest.warns(UserWarning, match=told):
        run_fit(study, "ph", encoder, head="kernel", epochs=3, learning_rate=0.1, phylogeny=study.phylogeny)


def test_what_is_printed_and_logged_speaks_of_the_kernel(study, encoder, capsys):
    model, _, _, log = run_fit(study, "ph", encoder, head="kernel")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("48 samples (48 to learn from, 0 for validation), ")
    assert lines[2] == "For comparison, a linear head fitted to 43 samples, judged by 5:"
    assert lines[4].startswith("Kernel head: samples are compared with 48 by learnt UniFrac, shared ASVs and abund")
    scores = description(model)["scores"]
    shown = ", ".join(f"{name} {scores[f'inner folds/{name}']:.4g}" for name in ("r2", "mae", "rmse", "spearman"))
    assert lines[5:] == [f"Inner folds (ph): {shown}."]
    facts = "".join(path.read_text() for path in Path(str(log)).glob("*.json"))
    assert f"the kernel head, which predicts, had in its inner folds: {shown}." in facts


def test_a_damaged_kernel_is_refused(study, kernel_regressor, tmp_path):
    def change(content):
        content["kernel_head"]["bias"] = torch.zeros(7)

    model = tampered(kernel_regressor[0], tmp_path / "model", change)
    with pytest.raises(ValueError, match="do not fit the architecture"):
        load_model(str(model))


def test_samples_of_one_value_are_no_reason_to_stop(study, encoder):
    """The scores of a constant in a fold are not defined; predictions are."""
    values = pd.Series(np.where(np.arange(48) < 24, 1.0, 2.0), index=study.table.ids(), name="step")
    predictions = run_fit(study, as_column(values), encoder, head="kernel", groups=study.column("site"))[1]
    assert np.isfinite(predictions).all()
