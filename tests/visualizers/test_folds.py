"""Scores by folds on the page of `evaluate`."""

import numpy as np
import pandas as pd
import pytest

from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import assert_works_offline, numeric, predictions_of, read_page

IDS = [f"S{k:02d}" for k in range(30)]
R2 = {"q2-aam": [[0.5, 0.7, 0.6], [0.4, 0.8, 0.3]], "median": [[-0.1, -0.2, np.nan], [-0.3, -0.1, -0.2]]}


def scores(repeats=2, pretraining="each_fold"):
    rows = []
    for repeat in range(repeats):
        for fold in (1, 2, 3, np.nan):
            for method, values in R2.items():
                r2 = 0.55 + 0.1 * repeat if np.isnan(fold) else values[repeat][int(fold) - 1]
                rows.append({"repeat": repeat + 1, "fold": fold, "method": method, "r2": r2, "mae": 1.0})
    table = pd.DataFrame(rows).assign(pretraining=pretraining, samples=10, training_samples=20, groups=np.nan)
    return table.set_index(pd.Index([f"row {k}" for k in range(len(table))], name="id"))


def page_of(tmp_path, **changes):
    truth = dict(zip(IDS, np.linspace(4, 9, 30), strict=True))
    evaluate(str(tmp_path), predictions_of(truth), numeric(truth), scores=scores(**changes))
    return read_page(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_mean_and_spread_over_folds(tmp_path):
    page = page_of(tmp_path)
    folds, together = page.tables[1:3]
    assert folds[0] == ["Method", "R²", "Mean absolute error"]
    values = np.ravel(R2["q2-aam"])
    assert folds[1] == ["q2-aam", f"{values.mean():.3f} ± {values.std(ddof=1):.3f}", "1.000 ± 0.000"]
    # a fold that does not define a score is left out of its mean
    values = np.array([-0.1, -0.2, -0.3, -0.1, -0.2])
    assert folds[2][0] == "Median of training"
    assert folds[2][1] == f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
    assert together[1][1] == f"0.600 ± {np.std([0.55, 0.65], ddof=1):.3f}"
    assert "Over 3 folds, 2 repeats" in page.text and "All folds together, over the repeats" in page.text
    file = pd.read_csv(tmp_path / "fold_scores.tsv", sep="\t", index_col="id")
    pd.testing.assert_frame_equal(file, scores(), check_dtype=False)
    assert (
        "Each sample was predicted 2 times. The scores above the folds are those of the mean of these predictions (of "
        "classes: the one named most often). Several models together are usually better than one; the scores of one "
        "model are under Folds."
    ) in page.text
    assert_works_offline(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_one_repeat_has_no_spread_of_all_folds(tmp_path):
    page = page_of(tmp_path, repeats=1)
    assert page.tables[2][1][1] == "0.550"
    assert "Over 3 folds" in page.text and "repeats" not in page.text and "Please note" not in page.text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "pretraining, shown",
    [
        ("each_fold", (False, False, False)),
        ("none", (False, False, False)),
        ("ready", (False, False, True)),
        ("transductive", (True, False, False)),
        ("encoder+none", (False, True, False)),
        ("encoder+transductive", (True, True, False)),
    ],
)
def test_the_page_says_what_had_been_seen(tmp_path, pretraining, shown):
    text = page_of(tmp_path, pretraining=pretraining).text
    sentences = (
        "Pretraining was transductive: the encoder was pretrained on the communities of all samples, also of those "
        "that were predicted, but without their values. The scores hold for samples that are there when the encoder is "
        "pretrained, not for later ones.",
        "The cross-validation began with an encoder that was there before. If this encoder was pretrained on these "
        "samples, it has seen the communities (not the values) of samples that were predicted, and the scores do not "
        "hold for later ones.",
        "The encoder is the one that comes with q2-aam. It has not read these samples, unless they are of one of the "
        "public surveys that its page names",
    )
    assert tuple(sentence in text for sentence in sentences) == shown


@pytest.mark.filterwarnings("ignore")
def test_each_fold_has_an_interval(tmp_path):
    table = scores(repeats=1)
    ours = table["method"] == "q2-aam"
    table["mae_low"], table["mae_high"] = np.where(ours, 0.5, np.nan), np.where(ours, 1.5, np.nan)
    truth = dict(zip(IDS, np.linspace(4, 9, 30), strict=True))
    evaluate(str(tmp_path), predictions_of(truth), numeric(truth), scores=table)
    [single] = [rows for rows in read_page(tmp_path).tables if rows[0][:2] == ["Repeat", "Fold"]]
    assert single[0] == ["Repeat", "Fold", "Samples", "Mean absolute error", "From", "To"]
    assert single[1:] == [["1", str(fold), "10", "1.000", "0.500", "1.500"] for fold in (1, 2, 3)]
