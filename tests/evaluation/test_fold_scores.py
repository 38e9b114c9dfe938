"""Scores by folds against scikit-learn's, and repeats as one."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from q2_aam.evaluation.bootstrap import TABLE_DRAWS, score_intervals
from q2_aam.evaluation.fold_scores import OURS, FoldPredictions, merge_repeats, score_table

IDS = [f"s{k}" for k in range(12)]
GROUPS = pd.Series([f"g{k // 2}" for k in range(12)], index=IDS)


def numbers(repeat, seed):
    """Two folds of a repeat, and the truth."""
    random = np.random.default_rng(seed)
    truth = pd.Series(np.arange(12.0), index=IDS)
    runs = []
    for fold, ids in ((1, IDS[8:]), (2, IDS[:8])):
        predicted = pd.DataFrame({OURS: truth[ids] + random.normal(0, 1, len(ids)), "median": 5.5}, index=ids)
        certainty = pd.DataFrame({"lower": predicted[OURS] - 1, "upper": predicted[OURS] + 1})
        runs.append(FoldPredictions(repeat, fold, 12 - len(ids), certainty, predicted))
    return runs, truth


def classes(repeat, seed):
    random = np.random.default_rng(seed)
    truth = pd.Series(list("aabbbc") * 2, index=IDS)
    runs = []
    for fold, ids in ((1, IDS[6:]), (2, IDS[:6])):
        certainty = pd.DataFrame(random.dirichlet(np.ones(3), len(ids)), index=ids, columns=list("abc"))
        predicted = pd.DataFrame({OURS: certainty.idxmax(axis=1), "largest class": "b"}, dtype=object)
        runs.append(FoldPredictions(repeat, fold, 6, certainty, predicted))
    return runs, truth


def test_scores_of_numbers_are_scikit_learns():
    runs, truth = numbers(1, 0)
    table = score_table(runs, truth, "numeric", GROUPS).set_index(["fold", "method"])
    assert len(table) == 3 * 2 and set(table["repeat"]) == {1}
    whole = pd.concat([run.predicted for run in runs])[OURS]
    for fold, predicted, n_train, groups in (
        (1, runs[0].predicted[OURS], 8, 2),
        (2, runs[1].predicted[OURS], 4, 4),
        (np.nan, whole, np.nan, 6),
    ):
        row = table.loc[[(fold, OURS)]].iloc[0]
        true = truth[predicted.index]
        assert row["samples"] == len(true) and row["groups"] == groups
        assert row["training_samples"] == pytest.approx(n_train, nan_ok=True)
        assert row["r2"] == pytest.approx(metrics.r2_score(true, predicted))
        assert row["mae"] == pytest.approx(metrics.mean_absolute_error(true, predicted))
        assert row["rmse"] == pytest.approx(np.sqrt(metrics.mean_squared_error(true, predicted)))
        assert row["coverage"] == pytest.approx((np.abs(true - predicted) <= 1).mean())
    constant = table.loc[(1, "median")]
    assert constant["mae"] == pytest.approx(np.mean([8 - 5.5, 9 - 5.5, 10 - 5.5, 11 - 5.5]))
    # a constant has no correlation, and a baseline no interval
    assert constant[["spearman", "coverage"]].isna().all()


def test_scores_of_classes_are_scikit_learns():
    runs, truth = classes(1, 0)
    table = score_table(runs, truth, "categorical", None).set_index(["fold", "method"])
    row, true, predicted = table.loc[(1, OURS)], truth[IDS[6:]], runs[0].predicted[OURS]
    assert row["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    assert row["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert row["log_loss"] == pytest.approx(metrics.log_loss(true, runs[0].certainty))
    assert table.loc[(2, "largest class"), "balanced_accuracy"] == pytest.approx(1 / 3)
    assert table["groups"].isna().all() and table.loc[(2, "largest class"), ["log_loss"]].isna().all()


def test_a_single_fold_has_no_row_of_all_folds():
    runs, truth = numbers(1, 0)
    assert score_table(runs[:1], truth, "numeric", None)["fold"].tolist() == [1, 1]


def test_numbers_of_repeats_are_averaged():
    first, second = numbers(1, 0)[0], numbers(2, 1)[0]
    certainty, predicted = merge_repeats(first + second, "numeric", IDS)
    assert predicted.index.tolist() == certainty.index.tolist() == IDS
    singles = [pd.concat([run.predicted for run in runs]).loc[IDS, OURS] for runs in (first, second)]
    assert predicted[OURS].to_numpy() == pytest.approx((singles[0] + singles[1]).to_numpy() / 2)
    assert certainty["upper"].to_numpy() == pytest.approx(predicted[OURS].to_numpy() + 1)


def test_a_class_of_repeats_is_the_one_named_most_often():
    """Which of equally many: ours by the mean of its probabilities, others by name. Ours need not be the likeliest."""
    runs = []
    said = ([0.9, 0.1], "b", "b"), ([0.8, 0.2], "b", "b"), ([0.7, 0.3], "a", "a")
    for repeat, (shares, ours, forest) in enumerate(said, 1):
        certainty = pd.DataFrame([shares], index=["s"], columns=["a", "b"])
        predicted = pd.DataFrame({OURS: [ours], "largest class": "a", "random forest": forest}, index=["s"])
        runs.append(FoldPredictions(repeat, 1, 5, certainty, predicted))
    certainty, predicted = merge_repeats(runs, "categorical", ["s"])
    assert certainty.loc["s"].tolist() == pytest.approx([0.8, 0.2])
    assert predicted.loc["s", OURS] == "b"
    assert predicted.loc["s", "random forest"] == "b" and predicted.loc["s", "largest class"] == "a"
    certainty, predicted = merge_repeats(runs[1:], "categorical", ["s"])
    assert predicted.loc["s", OURS] == predicted.loc["s", "random forest"] == "a"


@pytest.mark.parametrize("kind, made", [("numeric", numbers), ("categorical", classes)])
def test_methods_that_some_folds_lack_are_left_out(kind, made):
    """As machines are in the folds of more than 2,000 training samples, where another fold has 2,000."""
    runs, truth = made(1, 0)
    expected = score_table(runs, truth, kind, None), *merge_repeats(runs, kind, IDS)
    runs[1].predicted["SVM Jaccard"] = runs[1].predicted[OURS]
    found = score_table(runs, truth, kind, None), *merge_repeats(runs, kind, IDS)
    for before, now in zip(expected, found, strict=True):
        pd.testing.assert_frame_equal(before, now)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_fold_has_an_interval_where_its_groups_are_enough(kind):
    ids = [f"s{k:02d}" for k in range(30)]
    random = np.random.default_rng(0)
    if kind == "numeric":
        truth, predicted = (pd.Series(random.random(30), index=ids) for _ in range(2))
        name, values = "mae", (truth - predicted).abs().to_numpy()
        certainty = pd.DataFrame({"lower": predicted - 1, "upper": predicted + 1})
    else:
        truth, predicted = (pd.Series(list(text), index=ids) for text in ("abab" * 6 + "bbaaba", "ab" * 5 + "aabb" * 5))
        name, values = "accuracy", (truth == predicted).to_numpy(dtype=float)
        certainty = pd.DataFrame(0.5, index=ids, columns=["a", "b"])
    methods = pd.DataFrame({OURS: predicted, "other": predicted})
    # 12 groups in the first fold, 9 in the second one.
    groups = pd.Series([f"g{min(k, 20)}" for k in range(30)], index=ids)
    runs = [
        FoldPredictions(1, fold, 10, certainty.loc[part], methods.loc[part])
        for fold, part in ((1, ids[:12]), (2, ids[12:]))
    ]
    table = score_table(runs, truth, kind, groups).set_index(["fold", "method"])
    found = table[[f"{name}_low", f"{name}_high"]]
    rows = [np.array([k]) for k in range(12)]
    expected = score_intervals(lambda drawn: {"score": values[drawn].mean()}, rows, TABLE_DRAWS)["score"]
    assert found.loc[(1, OURS)].tolist() == pytest.approx(expected)
    assert found.loc[(2, OURS)].isna().all() and found.loc[(1, "other")].isna().all()
    both = found.loc[[(np.nan, OURS)]].iloc[0]
    assert both.iloc[0] < values.mean() < both.iloc[1]
    assert score_table(runs, truth, kind, None)[f"{name}_low"].notna().sum() == 3
