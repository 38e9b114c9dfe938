"""What else is known of samples, on the page of `evaluate`: columns to choose from, scores by their values, errors."""

import json

import numpy as np
import pandas as pd
import pytest

from q2_aam.evaluation.bootstrap import TABLE_DRAWS, score_intervals
from q2_aam.framework import qiime2
from q2_aam.visualizers._columns import levels_of
from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import (
    assert_works_offline,
    categorical,
    charts_of,
    numeric,
    predictions_of,
    read_page,
    read_table,
    rows_of,
)
from tests.visualizers.test_classification import classification
from tests.visualizers.test_evaluate import regression

pytestmark = pytest.mark.filterwarnings("ignore")


def metadata_of(ids, **columns):
    return qiime2.Metadata(pd.DataFrame(columns, index=pd.Index(ids, name="id")))


def page_of_numbers(folder, n=60, **more):
    """A page of numbers, with what it was made from."""
    ids, truth, predicted, *_ = regression(n)
    evaluate(
        str(folder), predictions_of(dict(zip(ids, predicted, strict=True))),
        numeric(dict(zip(ids, truth, strict=True))), **more,
    )  # fmt: skip
    return ids, truth, predicted


def widgets(folder):
    """What the page hands to its scripts."""
    script = (folder / "widgets.js").read_text(encoding="utf-8")
    return json.loads(script.removeprefix("const WIDGETS = ").removesuffix(";\n"))


def test_scores_by_the_values_of_columns_have_intervals_of_whole_groups(tmp_path):
    ids = regression(60)[0]
    country = ["France" if k % 3 else "Japan" for k in range(60)]
    age = np.r_[np.nan, np.arange(59.0)]
    subjects = [f"s{k // 3}" for k in range(60)]
    groups = categorical(dict(zip(ids, subjects, strict=True)), "subject")
    more = metadata_of(ids, country=country, age=age, same="x", own=ids)
    ids, truth, predicted = page_of_numbers(tmp_path, groups=groups, sample_metadata=more)
    table = read_table(tmp_path, "scores_by_column").set_index(["column", "value"])
    assert list(dict.fromkeys(table.index.get_level_values(0))) == ["country", "age"]
    errors = np.abs(predicted - truth)
    japan = np.array([name == "Japan" for name in country])
    row = table.loc[("country", "Japan")]
    assert row["samples"] == 20 and row["mean_absolute_error"] == pytest.approx(errors[japan].mean())
    # The score of others' code on the same draws: of the 20 subjects, the one sample in Japan of each.
    rows = [np.array([k]) for k in np.flatnonzero(japan)]
    ends = score_intervals(lambda drawn: {"mae": errors[drawn].mean()}, rows, TABLE_DRAWS)["mae"]
    assert (row["low"], row["high"]) == pytest.approx(ends)
    assert [value for column, value in table.index if column == "age"][-1] == "no value"
    assert table.loc[("age", "no value"), "samples"] == 1 and np.isnan(table.loc[("age", "no value"), "low"])
    assert table.loc["age"]["samples"].tolist() == [15, 15, 14, 15, 1]
    text = read_page(tmp_path).text
    assert (
        "From and to: 95% intervals, with the 20 groups drawn anew; a value that fewer than 10 of them have gets none."
    ) in text
    assert "or there are more than 60 columns: same, own." in text
    assert_works_offline(tmp_path)


def test_columns_to_choose_from_are_those_of_the_samples_in_the_order_of_the_charts(tmp_path):
    ids, truth, predicted, _, novelty, groups = regression(60)
    metadata = metadata_of(ids[::-1], country=[f"c{k % 2}" for k in range(60)][::-1], age=np.arange(60.0)[::-1])
    page_of_numbers(tmp_path, novelty=novelty, groups=groups, sample_metadata=metadata)
    found = widgets(tmp_path)["columns"]
    names = [column["name"] for column in found["columns"]]
    assert names == ["site (groups)", "reads in ASVs never met", "country", "age"]
    columns = dict(zip(names, found["columns"], strict=True))
    country = columns["country"]
    assert [country["levels"][code] for code in country["codes"]] == [f"c{k % 2}" for k in range(60)]
    assert columns["age"]["numbers"] == list(range(60))
    assert len(columns["age"]["levels"]) == 4
    for name in found["charts"]:
        rows = rows_of(charts_of(tmp_path)[name], "sample")
        assert [row["sample"] for row in rows] == ids


def test_without_columns_there_is_nothing_to_choose(tmp_path):
    page_of_numbers(tmp_path)
    assert not (tmp_path / "widgets.js").exists() and not (tmp_path / "scores_by_column.tsv").exists()


def test_samples_that_the_metadata_lacks_are_named(tmp_path):
    ids = regression(60)[0]
    few = metadata_of(ids[2:], age=np.arange(58.0))
    with pytest.raises(ValueError) as caught:
        page_of_numbers(tmp_path, sample_metadata=few)
    assert str(caught.value) == (
        "2 evaluated samples are not in the sample metadata: S00, S01. Add them to that metadata file, or set "
        "missing_samples to 'ignore'."
    )
    page_of_numbers(tmp_path, sample_metadata=few, missing_samples="ignore")
    assert read_table(tmp_path, "scores_by_column")["samples"].sum() == 60


def test_levels():
    many = pd.Series([f"v{k}" for k in range(30) for _ in range(k + 1)], dtype=object)
    levels, codes = levels_of(many)
    assert levels == [*(f"v{k}" for k in range(11, 30)), "11 others"]
    assert np.bincount(codes).tolist() == [*range(12, 31), sum(range(1, 12))]
    levels, codes = levels_of(pd.Series([1.0, 1.0, 1.0, 2.0, np.nan]))
    assert levels == ["1.000", "2.000", "no value"] and codes.tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("ones", [1, 20, 50, 80, 99])
def test_numbers_of_two_values_have_two_levels(ones):
    """The quarters of a column that is 0 or 1 were one level, "0 to 1"."""
    levels, codes = levels_of(pd.Series(np.repeat([0.0, 1.0], [100 - ones, ones])))
    assert levels == ["0.000", "1.000"] and np.bincount(codes).tolist() == [100 - ones, ones]


def test_a_value_that_many_samples_have_is_a_level_of_its_own():
    amounts = np.r_[np.zeros(60), np.arange(1.0, 41)]
    levels, codes = levels_of(pd.Series(amounts))
    assert levels == ["0.000", "1.000 to 15", "16 to 40"]
    assert np.bincount(codes).tolist() == [60, 15, 25]


def test_residuals_and_intervals_by_their_width(tmp_path):
    ids, truth, predicted, *_ = regression(60)
    half = np.linspace(2, 0.1, 60)
    intervals = pd.DataFrame({"lower": predicted - half, "upper": predicted + half}, index=ids)
    page_of_numbers(tmp_path, certainty=intervals)
    charts = charts_of(tmp_path)
    errors = {row["sample"]: row["error"] for row in rows_of(charts["residuals"], "sample")}
    assert [errors[name] for name in ids] == pytest.approx(predicted - truth)
    rows = rows_of(charts["intervals"], "rank")
    assert [row["sample"] for row in rows] == ids[::-1] and [row["rank"] for row in rows] == list(range(1, 61))
    inside = (np.abs(predicted - truth) <= half)[::-1]
    assert [row["where"] == "inside" for row in rows] == inside.tolist()
    assert [row["true"] for row in rows] == pytest.approx((truth - predicted)[::-1])
    table = read_table(tmp_path, "coverage_by_width")
    assert table["samples"].tolist() == [15] * 4
    assert table["coverage"].to_numpy() == pytest.approx([part.mean() for part in np.split(inside, 4)])
    text = read_page(tmp_path).text
    assert f"Errors are {(predicted - truth).mean():.3f} on average" in text
    assert "They are 0.200 to 4.000 wide." in text


def test_intervals_of_one_width(tmp_path):
    ids, _, predicted, intervals, *_ = regression(60)
    page_of_numbers(tmp_path, certainty=intervals)
    page = read_page(tmp_path)
    assert "All are 1.200 wide here." in page.text and "less the prediction, in the order of predictions." in page.text
    assert not (tmp_path / "coverage_by_width.tsv").exists()
    rows = rows_of(charts_of(tmp_path)["intervals"], "rank")
    assert [row["sample"] for row in rows] == [ids[k] for k in np.argsort(predicted)]


def test_groups_have_intervals_of_their_own_samples(tmp_path):
    ids, truth, predicted, *_, groups = regression(60)
    page_of_numbers(tmp_path, groups=groups)
    row = read_table(tmp_path, "groups").set_index("group").loc["site 2"]
    own = np.abs(predicted - truth)[2::5]
    ends = score_intervals(lambda drawn: {"mae": own[drawn].mean()}, [np.array([k]) for k in range(12)], TABLE_DRAWS)
    assert (row["low"], row["high"]) == pytest.approx(ends["mae"])
    assert "with the samples of the group drawn anew (10 or more)" in read_page(tmp_path).text


def test_small_groups_have_none(tmp_path):
    ids, *_, groups = regression(40)
    page_of_numbers(tmp_path, 40, groups=groups)
    assert read_table(tmp_path, "groups")[["low", "high"]].isna().all(axis=None)


def test_classes_by_column_and_each_ones_calibration(tmp_path):
    ids, truth, predicted, probabilities = classification(["a", "b", "c"])
    metadata = metadata_of(ids, country=[f"c{k % 2}" for k in range(60)])
    evaluate(
        str(tmp_path), predictions_of(dict(zip(ids, predicted, strict=True))),
        categorical(dict(zip(ids, truth, strict=True))), probabilities, sample_metadata=metadata,
    )  # fmt: skip
    table = read_table(tmp_path, "scores_by_column").set_index("value")
    right = truth == predicted
    assert table["accuracy"].to_dict() == pytest.approx({"c0": right[::2].mean(), "c1": right[1::2].mean()})
    # 30 samples each: more than 10 to be drawn anew. All of c0 are named right, which is not certain of others.
    assert table.loc["c0", "accuracy"] == 1 and table.loc["c0", ["low", "high"]].isna().all()
    assert table.loc["c1", "low"] < table.loc["c1", "accuracy"] <= table.loc["c1", "high"]
    bins = read_table(tmp_path, "calibration_by_class")
    for name in "abc":
        part, own = bins[bins["class"] == name], probabilities[name].to_numpy()
        assert part["samples"].sum() == 60
        assert (part["share"] * part["samples"]).sum() == pytest.approx((truth == name).sum())
        assert (part["mean_probability"] * part["samples"]).sum() == pytest.approx(own.sum())
    rows = rows_of(charts_of(tmp_path)["probabilities_of_samples"], "probability")
    given = [probabilities.loc[name, true] for name, true in zip(ids, truth, strict=True)]
    assert [row["sample"] for row in rows] == ids
    assert [row["probability"] for row in rows] == pytest.approx(given)
    assert [row["right"] == "right" for row in rows] == right.tolist()
    assert "threshold" not in widgets(tmp_path)
