"""Predictions of baselines and scores: what is refused, and that tables come back exactly."""

import numpy as np
import pandas as pd
import pytest

from q2_aam.framework import Artifact, ValidationError, qiime2
from q2_aam.types import AAMScoresFormat, BaselinePredictionsFormat

LEVELS = pytest.mark.parametrize("level", ["min", "max"])
NUMBERS = "SampleID\tmedian\trandom forest\n001\t1.5\t2\n1e5\t1.5\t0\n"
CLASSES = "SampleID\tlargest class\tSVM Jaccard\n001\t1\tNA\n1e5\t1\t1.0\n"
HEADER = "id\trepeat\tfold\tmethod\tpretraining\tsamples\ttraining_samples\tgroups\tr2\tmae\n"
SCORES = HEADER + "a\t1\t1\tq2-aam\teach_fold\t5\t20\t2\t\t0.5\nb\t1\t\tq2-aam\teach_fold\t25\t\t9\t-0.5\t0.25\n"
IDS = ["001", "1e5", "NA", "1.10", 'a "quoted" one', "ß"]


def check(file_format, text, path, level):
    path.write_text(text)
    file_format(str(path), mode="r").validate(level)


def refused(file_format, text, path, level):
    with pytest.raises(ValidationError) as error:
        check(file_format, text, path, level)
    return str(error.value).split("\n\n")[-1]


@LEVELS
def test_whole_files_are_accepted(level, tmp_path):
    for text in (NUMBERS, CLASSES):
        check(BaselinePredictionsFormat, text, tmp_path / "x.tsv", level)
    check(AAMScoresFormat, SCORES, tmp_path / "x.tsv", level)


@LEVELS
@pytest.mark.parametrize(
    "text, old, new, sentence",
    [
        (
            NUMBERS,
            "\t2\n",
            "\thigh\n",
            "b.tsv line 2, column random forest: 'high' is not a finite number. Write a number such as 1.5.",
        ),
        (NUMBERS, "1e5", "001", "b.tsv line 3: the ID '001' stands in line 2 already. Keep one row of each."),
        (NUMBERS, "1e5", " a", "b.tsv line 3: ' a' is no ID. Give each row an ID without blanks around it."),
        (
            NUMBERS,
            "median\trandom forest",
            "random forest\tmedian",
            "b.tsv line 1 has the columns SampleID, random forest, median; they must be SampleID, then median (of "
            "numbers) or largest class, then other methods, each once, separated by tabs.",
        ),
        (
            NUMBERS,
            "random forest",
            "median",
            "b.tsv line 1 has the columns SampleID, median, median; they must be SampleID, then median (of numbers) or "
            "largest class, then other methods, each once, separated by tabs.",
        ),
        (
            CLASSES,
            "NA",
            "",
            "b.tsv line 2, column SVM Jaccard: '' is no name of a class. Write one without blanks around it.",
        ),
    ],
)
def test_wrong_predictions_are_refused(text, old, new, sentence, level, tmp_path):
    assert old in text
    assert refused(BaselinePredictionsFormat, text.replace(old, new), tmp_path / "b.tsv", level) == sentence


@LEVELS
@pytest.mark.parametrize(
    "old, new, sentence",
    [
        (
            "each_fold\t5",
            "each_fold\t",
            "s.tsv line 2, column samples: '' is not a finite number. Write a number such as 1.5.",
        ),
        ("a\t1\t1\t", "a\t1\t1.5\t", "s.tsv line 2, column fold: 1.5 is not a whole number from 1."),
        ("a\t1\t1\t", "a\t0\t1\t", "s.tsv line 2, column repeat: 0 is not a whole number from 1."),
        ("\t0.5\n", "\tnan\n", "s.tsv line 2, column mae: 'nan' is not a finite number. Write a number such as 1.5."),
        ("b\t1\t\tq2-aam", "b\t1\t\t", "s.tsv line 3, column method is empty. Fill it in."),
        ("b\t1", "a\t1", "s.tsv line 3: the ID 'a' stands in line 2 already. Keep one row of each."),
        (
            "repeat\tfold",
            "fold\trepeat",
            "s.tsv line 1 has the columns id, fold, repeat, method, pretraining, samples, training_samples, groups, "
            "r2, mae; they must be id, repeat, fold, method, pretraining, samples, training_samples, groups, then "
            "scores, each once, separated by tabs.",
        ),
    ],
)
def test_wrong_scores_are_refused(old, new, sentence, level, tmp_path):
    assert old in SCORES
    assert refused(AAMScoresFormat, SCORES.replace(old, new), tmp_path / "s.tsv", level) == sentence


def test_scores_without_a_score_are_refused(tmp_path):
    text = SCORES.replace("\tr2\tmae", "").replace("\t\t0.5\n", "\n").replace("\t-0.5\t0.25\n", "\n")
    assert refused(AAMScoresFormat, text, tmp_path / "s.tsv", "min") == (
        "s.tsv line 1 names no score after groups. Add at least one."
    )


def test_numbers_come_back_exactly(tmp_path):
    values = np.random.default_rng(0).random((len(IDS), 3)) / 3
    given = pd.DataFrame(values, columns=["random forest", "median", "SVM Jaccard"], index=IDS)
    path = Artifact.import_data("SampleData[BaselinePredictions]", given).save(str(tmp_path / "x.qza"))
    artifact = Artifact.load(path)
    artifact.validate("max")
    # the answer that looks at no sample comes first
    expected = given[["median", "random forest", "SVM Jaccard"]]
    pd.testing.assert_frame_equal(artifact.view(pd.DataFrame), expected.rename_axis("SampleID"), check_exact=True)
    metadata = artifact.view(qiime2.Metadata)
    assert {column.type for column in metadata.columns.values()} == {"numeric"}
    pd.testing.assert_frame_equal(metadata.to_dataframe(), expected.rename_axis("id"), check_exact=True)


def test_names_of_classes_stay_text():
    given = pd.DataFrame({"largest class": "1", "random forest": ["1", "01", "NA", "1.0", "a b", "ß"]}, index=IDS)
    artifact = Artifact.import_data("SampleData[BaselinePredictions]", given)
    found = artifact.view(pd.DataFrame)
    assert found["random forest"].tolist() == ["1", "01", "NA", "1.0", "a b", "ß"]
    assert set(found["largest class"]) == {"1"}
    assert {c.type for c in artifact.view(qiime2.Metadata).columns.values()} == {"categorical"}


def test_scores_come_back_exactly(tmp_path):
    (tmp_path / "s.tsv").write_text(SCORES)
    artifact = Artifact.import_data("AAMScores", str(tmp_path / "s.tsv"))
    found = artifact.view(pd.DataFrame)
    assert found.index.tolist() == ["a", "b"] and found["method"].tolist() == ["q2-aam"] * 2
    assert found["fold"].isna().tolist() == [False, True]
    assert found.loc["b", ["samples", "r2", "mae"]].tolist() == [25, -0.5, 0.25]
    again = Artifact.import_data("AAMScores", found).view(pd.DataFrame)
    pd.testing.assert_frame_equal(again, found, check_exact=True)
    kinds = {name: column.type for name, column in artifact.view(qiime2.Metadata).columns.items()}
    assert kinds.pop("method") == kinds.pop("pretraining") == "categorical" and set(kinds.values()) == {"numeric"}
    with pytest.raises(ValueError, match="^the table lacks the columns repeat, groups; it has id, fold, method, "):
        Artifact.import_data("AAMScores", found.drop(columns=["repeat", "groups"]))
