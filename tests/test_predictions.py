"""Calibration, novelty and cautions of predictions, by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from q2_aam.predictions import (
    Calibration,
    Predictions,
    depth_caution,
    novelty_caution,
    novelty_of,
    prediction_scores,
    refuse_other_values,
)
from q2_aam.study.targets import Target
from tests import tiny

IDS = np.array([f"s{number}" for number in range(40)], dtype=object)


def numeric(transform="zscore"):
    values = pd.Series(np.random.default_rng(0).uniform(1, 9, 40), index=IDS, name="ph")
    target = Target.fit_numeric(values, transform)
    return target, values, target.encode(values)


def classes():
    values = pd.Series(list("abcc") * 10, index=IDS, name="zone")
    target = Target.fit_categorical(values)
    return target, values, target.encode(values)


@pytest.mark.parametrize("transform", ["none", "zscore", "minmax", "log1p"])
def test_intervals_hold_nine_in_ten_in_the_targets_own_units(transform):
    target, values, encoded = numeric(transform)
    outputs = (encoded + 0.3 * encoded.std() * np.random.default_rng(1).normal(size=40)).astype(np.float32)[:, None]
    predicted = Predictions.of(target, Calibration.fit(target, encoded, outputs, "balanced"), IDS, outputs)
    np.testing.assert_allclose(predicted.values, target.decode(outputs[:, 0]))
    assert predicted.values.name == "prediction" and predicted.values.index.name == "SampleID"
    lower, upper = predicted.certainty["lower"], predicted.certainty["upper"]
    # ceil(41 * 0.9) of 40; the one that sets the width lies on its end, where rounding decides
    inside = (values >= lower - 1e-5) & (values <= upper + 1e-5)
    assert inside.sum() == 37 and (lower < predicted.values).all() and (predicted.values < upper).all()
    if transform == "log1p":
        np.testing.assert_allclose((1 + upper) / (1 + lower), ((1 + upper) / (1 + lower)).iloc[0], rtol=1e-6)
    else:
        np.testing.assert_allclose(upper - lower, (upper - lower).iloc[0], rtol=1e-6)


def test_too_few_samples_for_intervals_are_told():
    target, _, encoded = numeric()
    few = Calibration.fit(target, encoded[:5], encoded[:5, None] + np.float32(0.1), "balanced")
    assert few.caution() == (
        "The samples are too few (5) for intervals of 90%: these are as wide as the largest error instead. Add samples."
    )
    of_groups = Calibration.fit(target, encoded, encoded[:, None], "balanced", np.arange(40) // 8)
    assert of_groups.caution() == (
        "The groups are too few (5) for intervals of 90%: these are as wide as the largest error instead. Add groups."
    )
    assert few.intervals["half_width"] == pytest.approx(0.1, rel=1e-4)
    assert Calibration.fit(target, encoded, encoded[:, None], "balanced").caution() is None
    assert Calibration(temperature=1.0).caution() is None


def classified(decision):
    target, _, encoded = classes()
    outputs = np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32)
    outputs[np.arange(40), encoded] += 1
    calibration = Calibration.fit(target, encoded, outputs, decision)
    return target, encoded, outputs, calibration, Predictions.of(target, calibration, IDS, outputs)


def test_probabilities_are_tempered_outputs_and_the_shares_of_the_classes():
    target, encoded, outputs, calibration, predicted = classified("balanced")
    assert list(predicted.certainty.columns) == ["a", "b", "c"]
    np.testing.assert_allclose(target.class_shares, [0.25, 0.25, 0.5])

    def probabilities(temperature):
        return softmax(outputs / temperature + np.log([0.25, 0.25, 0.5]), axis=1)

    def log_loss(temperature):
        return -np.log(probabilities(temperature)[np.arange(40), encoded]).mean()

    np.testing.assert_allclose(predicted.certainty, probabilities(calibration.temperature), rtol=1e-6)
    best = log_loss(calibration.temperature)
    assert best < log_loss(0.7 * calibration.temperature) and best < log_loss(1.5 * calibration.temperature)


def test_the_class_that_is_named_is_a_decision_apart():
    target, _, outputs, _, balanced = classified("balanced")
    likeliest = classified("likeliest")[-1]
    pd.testing.assert_frame_equal(balanced.certainty, likeliest.certainty)
    assert list(balanced.values) == [target.classes[code] for code in outputs.argmax(1)]
    # The largest factor by which a probability exceeds the class's share.
    assert list(balanced.values) == list((balanced.certainty / target.class_shares).idxmax(axis=1))
    assert list(likeliest.values) == list(likeliest.certainty.idxmax(axis=1))
    assert (likeliest.values == "c").sum() > (balanced.values == "c").sum()


def test_scores_that_samples_do_not_define_are_left_out():
    truth, predicted = (pd.Series(values, index=IDS[:3]) for values in ([2.0, 2.0, 2.0], [1.0, 2.0, 4.0]))
    scores = prediction_scores(numeric()[0], truth, predicted)
    assert scores["mae"] == 1 and "r2" not in scores and all(np.isfinite(list(scores.values())))
    labels = pd.Series(["a", "b", "b"], index=IDS[:3], name="kind")
    two = Target.fit_categorical(labels)
    scores = prediction_scores(two, labels, pd.Series(["a", "b", "a"], index=IDS[:3]))
    assert scores["balanced_accuracy"] == 0.75 and scores["accuracy"] == pytest.approx(2 / 3)
    # A mean over the classes that happen to be there is no score of the model.
    scores = prediction_scores(two, labels[1:], labels[1:])
    assert scores == {"accuracy": 1}


def test_novelty_is_what_is_counted():
    communities = tiny.survey()
    counts = communities.counts.toarray()
    new = np.arange(36) % 5 == 0
    dropped = np.arange(20.0)
    novelty = novelty_of(tiny.changed(communities, reads_dropped=dropped), new)
    np.testing.assert_array_equal(novelty["asvs"], (counts > 0).sum(1))
    np.testing.assert_array_equal(novelty["reads"], counts.sum(1) + dropped)
    np.testing.assert_array_equal(novelty["reads_dropped"], dropped)
    np.testing.assert_array_equal(novelty["unseen_asvs"], (counts[:, new] > 0).sum(1))
    # Of the reads that are read.
    np.testing.assert_allclose(novelty["unseen_read_share"], counts[:, new].sum(1) / counts.sum(1))


def samples(depths, values="counts"):
    """Stands in for a study of samples of some depths."""
    ids = IDS[: len(depths)]
    return SimpleNamespace(
        values=values, depths=lambda: np.array(depths, dtype=float), communities=SimpleNamespace(sample_ids=ids)
    )


DATA = {"values": "counts", "depth": {"lowest": 1000.0, "median": 2000.0, "highest": 5000.0}}


def test_depths_far_outside_those_learnt_from_are_named_with_numbers():
    # Twice as far is far.
    assert depth_caution(samples([500, 1000, 10000]), DATA) is None
    assert depth_caution(samples([499, 2000, 10001, 30]), DATA) == (
        "3 of 4 samples have far fewer or far more reads (30 to 10001) than those that were learnt from (1000 to "
        "5000): s0, s2, s3. With other depths, other rare ASVs are met: rarefy both tables alike (`qiime feature-table "
        "rarefy`), or doubt these predictions."
    )


@pytest.mark.parametrize(
    "values, data",
    [
        ("shares", {**DATA, "values": "shares"}),
        ("counts", {**DATA, "values": "shares"}),
        ("shares", DATA),
        ("presence", {**DATA, "values": "presence"}),
        ("counts", {"values": "counts"}),
    ],
)
def test_depths_that_are_none_are_not_compared(values, data):
    assert depth_caution(samples([1], values), data) is None


@pytest.mark.parametrize(
    "values, learnt, ours, theirs",
    [
        ("presence", "counts", "presence and absence", "counts of reads"),
        ("presence", "shares", "presence and absence", "relative frequencies"),
        ("counts", "presence", "counts of reads", "presence and absence"),
        ("shares", "presence", "relative frequencies", "presence and absence"),
    ],
)
def test_presence_and_abundance_are_not_taken_for_each_other(values, learnt, ours, theirs):
    message = (
        f"The table holds {ours}, but the model has learnt from {theirs}. Give a table of the same kind, or fit a "
        "model to such a table."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        refuse_other_values(samples([1], values), {"values": learnt})


@pytest.mark.parametrize("values, learnt", [("counts", "shares"), ("shares", "counts"), ("presence", "presence")])
def test_counts_and_shares_say_the_same(values, learnt):
    refuse_other_values(samples([1], values), {"values": learnt})
    refuse_other_values(samples([1], "counts"), {})


def test_most_of_most_samples_being_new_is_said():
    novelty = pd.DataFrame({"unseen_read_share": [0.9, 0.6, 0.1]})
    assert novelty_caution(novelty) == (
        "2 of 3 samples have most of their reads in ASVs that were never met in training. If the table is of another "
        "region of the gene or trimmed to another length than the training table, its predictions mean nothing."
    )
    assert novelty_caution(pd.DataFrame({"unseen_read_share": [0.9, 0.1]})) is None
