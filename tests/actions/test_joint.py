"""`fit` and `predict` with the joint head."""

import re
from pathlib import Path

import numpy as np
import pytest

from q2_aam.evaluation.metrics import regression_scores
from q2_aam.framework import qiime2
from q2_aam.heads import ensemble_fit as joint_fit
from q2_aam.heads.trees import JointHead
from q2_aam.model_file import load_model

from .small import description, run_fit, run_predict, shuffled, tampered


@pytest.fixture(scope="module")
def joint_regressor(study, encoder):
    """With weight for all three parts, whatever the inner folds say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint_fit, "chosen_weights", lambda *given: (0.4, 0.3, 0.3))
        return run_fit(study, "ph", encoder, head="auto", groups=study.column("site"))


@pytest.fixture(scope="module")
def joint_classifier(study, encoder):
    return run_fit(study, "habitat", encoder, head="joint")


def test_an_encoder_gets_the_joint_and_no_encoder_the_linear_head(study, joint_regressor):
    assert isinstance(load_model(str(joint_regressor[0])).head, JointHead)
    assert description(joint_regressor[0])["training"]["head"] == "joint"
    plain = run_fit(study, "ph", head="auto", epochs=1)[0]
    assert load_model(str(plain)).head is None and description(plain)["training"]["head"] == "linear"


def test_numbers_are_the_weighted_mean_of_those_of_kernel_and_trees(study, encoder, monkeypatch):
    """In the units of the target: z-scores are, but for a scale, what the heads give."""
    monkeypatch.setattr(joint_fit, "TREES", 20)

    def fitted(*weights):
        monkeypatch.setattr(joint_fit, "chosen_weights", lambda *given: weights)
        return run_fit(study, "ph", encoder, head="joint", groups=study.column("site"))

    def both(made):
        """Of samples learnt from, by the model; and the inner folds'."""
        return np.array([run_predict(study, made[0])[0][made[1].index], made[1]])

    kernel, *half = (both(fitted(*weights)) for weights in ((1, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5)))
    embedding, abundance = (2 * part - kernel for part in half)
    alone = run_fit(study, "ph", encoder, head="kernel", groups=study.column("site"))
    assert np.allclose(both(alone), kernel, atol=1e-5)
    truth = study.frame["ph"].loc[alone[1].index].to_numpy()
    # Leaves of one sample know what they were grown on.
    assert np.abs(embedding[0] - truth).max() < 0.01 < np.abs(embedding[1] - truth).max()
    made = fitted(0.4, 0.2, 0.4)
    off = np.abs(both(made) - (0.4 * kernel + 0.2 * embedding + 0.4 * abundance))
    # In inner folds some samples have an ASV or two that are new, for which abundances count a little less.
    assert off[0].max() < 1e-5 and off[1].max() < 2e-3
    head = load_model(str(made[0])).head
    assert (len(head.embedding.roots), len(head.abundance.roots)) == (20, joint_fit.ABUNDANCE_TREES)
    assert regression_scores(truth, made[1])["r2"] > 0.3


def test_classes_are_predicted_by_the_weighted_mean_probability(study, joint_classifier):
    model, predictions, certainty, _ = joint_classifier
    assert np.allclose(certainty.sum(1), 1) and list(certainty.idxmax(1)) == list(predictions)
    assert (predictions == study.frame["habitat"].loc[predictions.index]).mean() > 0.5
    again, sure, _ = run_predict(study, model)
    assert (again == study.frame["habitat"].loc[again.index]).mean() > 0.95 and np.isfinite(sure).all(axis=None)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_predictions_do_not_depend_on_order_or_batches(study, joint_regressor, batch_size):
    model = joint_regressor[0]
    expected = run_predict(study, model)[0]
    found = run_predict(study, model, table=shuffled(study.table), batch_size=batch_size)[0]
    # Rounding may lead a tree or two another way.
    assert np.allclose(found[expected.index], expected, atol=0.02)
    assert np.median(np.abs(found[expected.index] - expected)) < 1e-4


def test_new_asvs_are_predicted_from_what_the_encoder_sees_in_them(study, encoder):
    """Half of the ASVs are not in the table that is fitted to."""
    known = study.table.ids("observation")[::2]
    half = study.table.filter(set(known), axis="observation", inplace=False)
    predicted = run_predict(study, run_fit(study, "ph", encoder, head="joint", table=half)[0])[0]
    truth = study.frame["ph"].loc[predicted.index]
    assert np.isfinite(predicted).all() and np.corrcoef(predicted, truth)[0, 1] > 0.5


def test_conditioning_columns_are_refused(study, encoder):
    given = qiime2.Metadata(study.frame[["ph"]].rename_axis("sample-id"))
    with pytest.raises(ValueError, match="^head 'joint' reads no conditioning columns: its trees cannot .* 'kernel'"):
        run_fit(study, "habitat", encoder, head="joint", conditioning=given)


def test_what_is_printed_and_logged_speaks_of_both(study, encoder, capsys):
    model, _, _, log = run_fit(study, "ph", encoder, head="joint")
    lines = capsys.readouterr().out.splitlines()
    # the encoder was pretrained on these samples
    assert lines[1] == "The encoder has learnt from all of these ASVs."
    assert lines[4].startswith("Kernel head: samples are compared with 48 by learnt UniFrac, shared ASVs and abund")
    told = re.fullmatch(
        r".*(The prediction is a weighted mean: kernel head (\d+)%, trees on the sample embedding (\d+)%, "
        r"trees on abundances of ASVs (\d+)%\.)",
        lines[4],
    )
    assert [int(part) / 100 for part in told.groups()[1:]] == list(load_model(str(model)).head.weights)
    facts = "".join(path.read_text() for path in Path(str(log)).glob("*.json"))
    r2 = description(model)["scores"]["inner folds/r2"]
    assert f"the joint head, which predicts, had in its inner folds: r2 {r2:.4g}" in facts
    assert told.group(1) in facts


def test_what_only_tuning_reads_is_told(study, encoder):
    with pytest.warns(UserWarning, match="^The joint head leaves the encoder as it is: epochs will not be read"):
        run_fit(study, "ph", encoder, head="auto", epochs=3)


def test_a_model_of_version_2_is_the_mean_of_kernel_and_trees_on_the_embedding(study, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(joint_fit, "chosen_weights", lambda *given: (0.5, 0.5, 0.0))
    model = run_fit(study, "ph", encoder, head="joint")[0]

    def older(content):
        content["forest_head"] = content.pop("joint_head")["embedding"]

    before = tampered(model, tmp_path / "before", older, schema_version=2)
    assert load_model(str(before)).head.weights == (0.5, 0.5, 0.0)
    assert np.array_equal(run_predict(study, before)[0], run_predict(study, model)[0])


@pytest.mark.parametrize("damage", ["kernel", "trees", "weights", "all"])
def test_a_damaged_forest_is_refused(joint_regressor, tmp_path, damage):
    def change(content):
        if damage == "kernel":
            del content["kernel_head"]
        elif damage == "weights":
            content["joint_head"]["weights"] += 0.5
        elif damage == "all":
            del content["joint_head"]
        else:
            content["joint_head"]["embedding"]["place"] += 10**6

    model = tampered(joint_regressor[0], tmp_path / "model", change)
    with pytest.raises(ValueError, match="do not fit the architecture"):
        load_model(str(model))
