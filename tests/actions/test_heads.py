"""`fit` and `predict` with each of the heads: what is described, what is kept, what may not change a prediction."""

import json
import re
from dataclasses import fields

import biom
import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat
from scipy.special import softmax

from q2_aam.evaluation.metrics import regression_scores
from q2_aam.predictor import Predictor
from q2_aam.settings import HEADS, Fitting

from .small import description, run_fit, run_predict, shuffled, told

NUMBER = r"[\d.e+-]+"
KERNEL = (
    rf"Kernel head: each sample is compared with 48 landmarks by predicted UniFrac, shared ASVs and abundances \(gamma "
    rf"{NUMBER}, alpha {NUMBER}\)\."
)
DESCRIPTIONS = {
    "ensemble": r"Ensemble head: the weighted mean of the kernel head \(\d+%\), trees on the sample embedding \(\d+%\) "
    rf"and trees on abundances of ASVs \(\d+%\)\. {KERNEL}",
    "kernel": KERNEL,
    "trees": r"Trees head: the mean of 20 extremely randomized trees on the 32 numbers of the sample embedding\.",
    "linear": rf"Linear head: a weighted sum of the 32 numbers of the sample embedding \(alpha {NUMBER}\)\.",
}


@pytest.fixture(scope="module", params=HEADS)
def fitted(request, study, encoder, regressor):
    """Name of a head, and what `fit` made with it."""
    head = request.param
    return head, regressor if head == "ensemble" else run_fit(study, "ph", encoder, head=head)


def test_every_head_has_a_test():
    assert set(DESCRIPTIONS) == set(HEADS)


def test_every_sample_is_learnt_from_and_predicted_out_of_fold(study, fitted):
    head, (model, predictions, certainty) = fitted
    model.validate("max")
    facts = description(model)
    assert facts["head"] == facts["settings"]["head"] == head and facts["kind"] == "regressor"
    assert list(predictions.index) == list(study.table.ids()) == list(certainty.index)
    truth = study.frame["ph"].loc[predictions.index]
    scores = regression_scores(truth, predictions)
    assert scores["r2"] > 0.2
    assert facts["scores"]["out-of-fold/r2"] == pytest.approx(scores["r2"])
    # Of samples it has learnt from, it knows more.
    assert regression_scores(truth, run_predict(study, model)[0])["r2"] > scores["r2"]
    inside = (truth >= certainty["lower"] - 1e-5) & (truth <= certainty["upper"] + 1e-5)
    # ceil(49 * 0.9) of 48
    assert inside.sum() == 45


def test_what_was_chosen_is_printed_and_stays(study, fitted, encoder, capsys):
    head, (model, _, _) = fitted
    run_fit(study, "ph", encoder, head=head)
    lines = capsys.readouterr().out.replace("\n  ", " ").splitlines()
    assert re.fullmatch(DESCRIPTIONS[head], lines[2])
    assert Predictor.load(str(model)).head.describe() == lines[2]
    shares = [int(share) for share in re.findall(r"(\d+)%", lines[2])]
    # each rounded
    assert abs(sum(shares) - (100 if head == "ensemble" else 0)) <= 1


@pytest.mark.parametrize("batch_size", [1, 7])
def test_predictions_do_not_depend_on_order_or_batches(study, fitted, batch_size):
    model = fitted[1][0]
    expected = run_predict(study, model)[0]
    again = run_predict(study, model, table=shuffled(study.table), batch_size=batch_size)[0]
    off = np.abs(again[expected.index] - expected)
    # Rounding may lead a tree or two another way.
    assert off.max() < 0.1 and np.median(off) < 1e-4


def test_a_model_that_was_copied_predicts_the_same(study, fitted, tmp_path):
    model = fitted[1][0]
    Predictor.load(str(model)).save(tmp_path)
    for ours, theirs in zip(run_predict(study, tmp_path), run_predict(study, model), strict=True):
        assert ours.equals(theirs)


def test_new_asvs_are_predicted_from_what_the_encoder_sees_in_them(study, encoder, fitted):
    """Every second ASV is fitted to; a table of all, and one of the others alone, are predicted."""
    head = fitted[0]
    ids = study.table.ids("observation")
    known, new = (study.table.filter(set(part), axis="observation", inplace=False) for part in (ids[::2], ids[1::2]))
    model = run_fit(study, "ph", encoder, head=head, table=known)[0]
    predicted, _, novelty = run_predict(study, model)
    truth = study.frame["ph"].loc[predicted.index]
    assert np.isfinite(predicted).all() and np.corrcoef(predicted, truth)[0, 1] > 0.45
    predicted, _, novelty = run_predict(study, model, table=new.remove_empty("sample"))
    assert predicted.nunique() > 40 and np.isfinite(predicted).all()
    # The encoder has read them all in pretraining, but nothing was fitted to them.
    assert (novelty["unseen_read_share"] == 1).all()


@pytest.mark.parametrize("head", HEADS)
def test_classes(study, encoder, classifier, head):
    model, predictions, certainty = classifier if head == "ensemble" else run_fit(study, "habitat", encoder, head=head)
    truth = study.frame["habitat"].loc[predictions.index]
    assert list(predictions.index) == list(study.table.ids()) and (predictions == truth).mean() > 0.4
    facts, shares = description(model), study.frame["habitat"].value_counts(normalize=True)
    assert facts["temperature"] > 0 and facts["head"] == head and facts["intervals"] is None
    assert facts["scores"]["out-of-fold/accuracy"] == pytest.approx((predictions == truth).mean())
    assert np.allclose(certainty.sum(axis=1), 1) and list((certainty / shares).idxmax(axis=1)) == list(predictions)
    again, probabilities, _ = run_predict(study, model)
    assert (again == study.frame["habitat"].loc[again.index]).mean() > (predictions == truth).mean() - 0.05
    assert list((probabilities / shares).idxmax(axis=1)) == list(again)
    if head == "kernel":
        loaded = Predictor.load(str(model))
        logits = loaded.head.outputs(loaded.head.landmarks)
        logits = logits / facts["temperature"] + np.log(shares[list(probabilities)].to_numpy())
        assert np.allclose(probabilities, softmax(logits, axis=1), atol=1e-4)


def test_the_ensemble_is_the_default(study, encoder, regressor):
    assert Fitting().head == "ensemble" == description(regressor[0])["head"]
    again = run_fit(study, "ph", encoder, head="ensemble")
    pd.testing.assert_series_equal(again[1], regressor[1])


def test_a_head_that_there_is_not_is_refused(study, encoder):
    with pytest.raises(ValueError, match=r"^head must be one of ensemble, kernel, trees, linear, but is 'joint'\.$"):
        run_fit(study, "ph", encoder, head="joint")


def test_new_asvs_beside_many_known_ones_change_little(study, regressor, tmp_path):
    """A table that was fitted to may have lost its rare ASVs; richer new samples are no other communities for that."""
    model = regressor[0]
    expected = run_predict(study, model)[0]
    rng = np.random.default_rng(0)
    new = ["".join(rng.choice(list("ACGT"), 50)) for _ in range(5)]
    reads = biom.Table(rng.integers(1, 90, (5, 48)), new, study.table.ids())
    path = tmp_path / "sequences.fasta"
    known = (study.directory / "sequences.fasta").read_text()
    path.write_text(known + "".join(f">{sequence}\n{sequence}\n" for sequence in new))
    richer, sequences = study.table.concat([reads], axis="observation"), DNAFASTAFormat(str(path), "r")
    with told():
        predicted, _, novelty = run_predict(study, model, table=richer, sequences=sequences)
    assert (novelty["unseen_asvs"] == 5).all()
    # The poorest samples are read with the new ones.
    richness = np.asarray((study.table.matrix_data > 0).sum(0)).ravel()
    off = np.abs(predicted[expected.index] - expected).to_numpy()
    assert off[richness >= np.quantile(richness, 0.25)].max() < 1e-3


def test_model_json_is_of_schema_5(fitted):
    facts = json.loads((fitted[1][0].path / "model.json").read_text())
    assert facts["schema_version"] == 5 and facts["token_limit"] == Fitting.token_limit
    assert set(facts["settings"]) == {entry.name for entry in fields(Fitting)} and "training" not in facts
