"""Which samples lie outside what the model knows: said before anything of their predictions."""

import numpy as np
import pandas as pd
import pytest

from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.novelty import show_novelty
from tests.visualizers.pages import (
    assert_works_offline,
    categorical,
    charts_of,
    predictions_of,
    read_page,
    read_table,
    rows_of,
)
from tests.visualizers.test_classification import classification
from tests.visualizers.test_columns import metadata_of, page_of_numbers, widgets
from tests.visualizers.test_evaluate import regression

pytestmark = pytest.mark.filterwarnings("ignore")
IDS = regression(60)[0]


def novelty_of(**columns):
    return pd.DataFrame({"asvs": 10.0, **columns}, index=IDS)


def test_samples_outside_come_first(tmp_path):
    percentile = np.linspace(1, 60, 60)
    percentile[[7, 9]] = 100, 99
    percentile[11] = 98.9
    distance = percentile / 200
    novelty = novelty_of(unseen_read_share=0.9, nearest_distance=distance, nearest_percentile=percentile)
    page_of_numbers(tmp_path, novelty=novelty)
    page = read_page(tmp_path)
    assert (
        "2 samples of 60 (3.3%) lie outside what the model knows: they are farther from the samples that were "
        "learnt from than 99% of these are from each other (of new samples of the same study, 1 to 3% are). Doubt "
        "their predictions."
    ) in page.text
    assert page.text.index("Is this known ground?") < page.text.index("Scores")
    table = read_table(tmp_path, "novelty")
    assert table["sample"].tolist()[:3] == ["S07", "S09", "S11"]
    assert table["outside"].tolist() == ["yes"] * 2 + ["no"] * 58
    rows = rows_of(charts_of(tmp_path)["known_ground"], "place")
    assert [row["sample"] for row in rows if row["place"] == "outside"] == ["S07", "S09"]
    names = [column["name"] for column in widgets(tmp_path)["columns"]["columns"]]
    assert names == ["outside what the model knows"]
    by_column = read_table(tmp_path, "scores_by_column").set_index("value")
    assert by_column["samples"].to_dict() == {"inside": 58, "outside": 2}


def test_models_that_know_no_distances(tmp_path):
    shares = np.where(np.arange(60) == 5, 0.51, 0.5)
    page_of_numbers(tmp_path, novelty=novelty_of(unseen_read_share=shares))
    assert (
        "1 sample of 60 (1.7%) lies outside what the model knows: most of its reads are in ASVs that were never met "
        "(the model does not know how far samples are from those). Doubt its prediction."
    ) in read_page(tmp_path).text
    assert read_table(tmp_path, "novelty")["sample"].iloc[0] == "S05"


def test_samples_of_which_there_is_no_true_value_do_not_count(tmp_path):
    """They lay far, and the caution counted them among those that were evaluated."""
    percentile = np.r_[np.full(60, 50.0), np.full(60, 100.0)]
    both = pd.DataFrame({"asvs": 10.0, "unseen_read_share": 0.1, "nearest_percentile": percentile})
    (tmp_path / "few").mkdir()
    page_of_numbers(tmp_path / "few", novelty=both.set_axis([*IDS, *(f"X{k}" for k in range(60))]))
    assert "seem to be of another study" not in read_page(tmp_path / "few").text
    (tmp_path / "far").mkdir()
    page_of_numbers(tmp_path / "far", novelty=both.iloc[60:].set_axis(IDS))
    assert "60 of 60 samples lie farther" in read_page(tmp_path / "far").text


def test_samples_without_unseen_reads_are_a_part_of_their_own(tmp_path):
    shares = np.r_[np.zeros(30), np.linspace(0.01, 0.3, 30)]
    ids, truth, predicted, probabilities = classification(["a", "b"])
    evaluate(
        str(tmp_path), predictions_of(dict(zip(ids, predicted, strict=True))),
        categorical(dict(zip(ids, truth, strict=True))), probabilities,
        pd.DataFrame({"asvs": 10.0, "unseen_read_share": shares}, index=ids),
    )  # fmt: skip
    table = read_table(tmp_path, "accuracy_by_novelty")
    assert table["samples"].tolist() == [30, 6, 12, 12] and table["highest"].iloc[0] == 0


def test_no_sample_outside(tmp_path):
    page_of_numbers(tmp_path, novelty=novelty_of(unseen_read_share=0.1))
    text = "No sample lies outside what the model knows; those that do are so called because most of their reads"
    assert text in read_page(tmp_path).text


def test_a_page_without_true_values(tmp_path):
    percentile = np.linspace(1, 60, 60)
    percentile[7] = 100
    novelty = novelty_of(unseen_read_share=0.9, nearest_distance=percentile / 200, nearest_percentile=percentile)
    predicted = metadata_of(IDS[1:], prediction=np.arange(59.0), outside=["x"] * 59)
    show_novelty(str(tmp_path), novelty, predicted)
    page = read_page(tmp_path)
    assert "1 sample of 60 (1.7%) lies outside what the model knows." in page.text
    assert "It is farther from the samples that were learnt from than 99% of these" in page.text
    assert "1 sample is not in the sample metadata: S00." in page.text
    table = read_table(tmp_path, "novelty")
    assert table.iloc[0][["sample", "outside", "prediction", "outside (metadata)"]].tolist() == ["S07", "yes", 6, "x"]
    assert table.set_index("sample")["prediction"].isna()["S00"] and len(table) == 60
    assert_works_offline(tmp_path)


def test_a_page_of_samples_that_are_known(tmp_path):
    show_novelty(str(tmp_path), novelty_of(unseen_read_share=0.1))
    page = read_page(tmp_path)
    text = "No sample lies outside what the model knows. Those that do are so called because most of their reads"
    assert text in page.text
    with pytest.raises(ValueError, match="None of the samples of the novelty is in the sample metadata: S00, S01"):
        show_novelty(str(tmp_path), novelty_of(unseen_read_share=0.1), metadata_of(["other"], age=[1.0]))


def test_a_table_of_strangers_is_told(tmp_path):
    novelty = novelty_of(unseen_read_share=1.0, nearest_distance=0.5, nearest_percentile=100.0)
    show_novelty(str(tmp_path), novelty.assign(learnt_from=np.arange(60) == 3))
    text = read_page(tmp_path).text
    assert "60 of 60 samples lie farther" in text and "1 of 60 samples are the very communities" in text


def test_without_novelty_nothing_is_said(tmp_path):
    page_of_numbers(tmp_path)
    assert "known ground" not in read_page(tmp_path).text and not (tmp_path / "novelty.tsv").exists()
