"""`merge_folds` called as QIIME 2 calls it: which folds are of which repeat, and what does not fit."""

import numpy as np
import pandas as pd
import pytest

from q2_aam.actions.merge_folds import merge_folds
from tests.visualizers.pages import predictions_of

from .small import as_column

IDS = [f"{k:02d}" for k in range(9)]
TRUTH = pd.Series(np.arange(9.0), index=IDS, name="ph")
COLUMNS = ("asvs", "reads", "unseen_asvs", "unseen_read_share", "reads_cut", "reads_dropped", "reads_ambiguous")


def fold(ids, off=1.0):
    """Predictions of some samples, all off by so much."""
    ours = TRUTH[ids] + off
    return {
        "predictions": predictions_of(ours),
        "certainty": pd.DataFrame({"lower": ours - 2, "upper": ours + 2}),
        "novelty": pd.DataFrame(off, index=ids, columns=list(COLUMNS)),
        "baselines": pd.DataFrame({"median": 4.0, "random forest": TRUTH[ids] - off}, index=ids),
    }


def merged(*folds, **changes):
    given = {name: [part[name] for part in folds] for name in folds[0]}
    return merge_folds(**{**given, "metadata": as_column(TRUTH), "pretraining": "none", **changes})


def test_a_sample_that_comes_again_begins_a_repeat():
    """Two repeats, the first of two folds and the second of three."""
    groups = as_column(pd.Series(list("aabbccdde"), index=IDS, name="site"))
    parts = [fold(IDS[5:], 1), fold(IDS[:5], 2), fold(IDS[6:], 3), fold(IDS[:3], 3), fold(IDS[3:6], 3)]
    ours, certainty, novelty, baselines, scores = merged(*parts, groups=groups, pretraining="encoder+each_fold")
    rows = scores[scores["method"] == "q2-aam"]
    assert rows["repeat"].tolist() == [1, 1, 1, 2, 2, 2, 2]
    assert rows["fold"].fillna(0).tolist() == [1, 2, 0, 1, 2, 3, 0]
    assert rows["samples"].tolist() == [4, 5, 9, 3, 3, 3, 9]
    assert rows["training_samples"].fillna(0).tolist() == [5, 4, 0, 6, 6, 6, 0]
    assert rows["groups"].tolist() == [3, 3, 5, 2, 2, 2, 5]
    assert rows["mae"].tolist() == pytest.approx([1, 2, 14 / 9, 3, 3, 3, 3])
    assert set(scores["pretraining"]) == {"encoder+each_fold"}
    assert scores.index[:3].tolist() == [f"repeat 1, fold 1, {name}" for name in ("q2-aam", "median", "random forest")]
    # means of the repeats, in the order of the metadata
    assert ours.index.tolist() == certainty.index.tolist() == baselines.index.tolist() == IDS
    off = np.repeat([2.5, 2.0], [5, 4])
    assert (ours - TRUTH).tolist() == pytest.approx(off)
    assert (certainty["upper"] - TRUTH).tolist() == pytest.approx(off + 2)
    assert (TRUTH - baselines["random forest"]).tolist() == pytest.approx(off)
    # novelty of the first repeat
    assert novelty.index.tolist() == IDS and novelty["reads"].tolist() == [2.0] * 5 + [1.0] * 4


@pytest.mark.parametrize("other", [[], [fold(IDS[:5]), fold(IDS[5:])]])
def test_of_some_folds_only_the_training_samples_are_not_known(other):
    *_, scores = merged(*other, fold(IDS[:2]), fold(IDS[2:6]))
    rows = scores[(scores["method"] == "q2-aam") & scores["fold"].notna()]
    assert rows["samples"].tolist() == [5, 4] * bool(other) + [2, 4]
    assert rows["training_samples"].fillna(-1).tolist() == [4, 5] * bool(other) + [-1, -1]


def test_scores_are_told(capsys):
    merged(fold(IDS[:4]), fold(IDS[4:]))
    assert capsys.readouterr().out.splitlines() == [
        "q2-aam (ph): r2 0.85, mae 1.",
        "median (ph): r2 0, mae 2.222.",
        "random forest (ph): r2 0.85, mae 1.",
    ]


def test_what_does_not_fit_is_refused():
    one, two = fold(IDS[:4]), fold(IDS[4:])
    with pytest.raises(ValueError) as error:
        merged(one, two, baselines=[one["baselines"]])
    assert str(error.value) == (
        "Each fold must have one of each, but there are 2 of predictions, 2 of certainty, 2 of novelty, 1 of "
        "baselines. Give as many of each, in one order."
    )
    with pytest.raises(ValueError) as error:
        merged(one, two, baselines=[two["baselines"], one["baselines"]])
    assert str(error.value) == (
        "Number 1 of the baselines is not of the samples of number 1 of the predictions: 00, 01, 02, 03, 04, ... (9 in "
        "all) are in one of them only. Give all in the same order of the folds."
    )
    with pytest.raises(ValueError) as error:
        merged(one, two, metadata=as_column(TRUTH.drop("03")))
    assert str(error.value) == (
        "1 of 9 predicted samples have no value in the metadata column 'ph': 03. Give the column that was predicted, "
        "with the values of all of them."
    )


def test_the_classes_that_were_named_are_scored_and_kept():
    """The decision is the model's: a rare class is named below half of it. Names that look like numbers stay text."""
    rare = pd.Series([0.4, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], index=IDS)
    truth = pd.Series(["01", "01", *["1"] * 7], index=IDS, name="kind")
    named = truth.copy()
    named.iloc[2] = "01"
    part = {
        "predictions": predictions_of(named),
        "certainty": pd.DataFrame({"01": rare, "1": 1 - rare}),
        "novelty": pd.DataFrame(0.0, index=IDS, columns=list(COLUMNS)),
        "baselines": pd.DataFrame({"largest class": "1", "random forest": "1"}, index=IDS),
    }
    ours, _, _, _, scores = merged(part, metadata=as_column(truth))
    assert ours.to_dict() == named.to_dict()
    [whole] = scores[(scores["method"] == "q2-aam")].to_dict("records")
    assert whole["balanced_accuracy"] == pytest.approx((1 + 6 / 7) / 2)
