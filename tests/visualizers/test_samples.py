"""Samples are matched by ID, and what does not fit is said in a sentence."""

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.predictions_file import read_predictions
from q2_aam.visualizers._samples import listed, match_samples
from tests.visualizers.pages import categorical, numeric, predictions_of


def match(predicted, column, certainty=None, novelty=None, groups=None, missing_samples="error"):
    directory = predictions_of(predicted)
    predicted = read_predictions(directory.path / "predictions.tsv")
    return match_samples(predicted, column, certainty, novelty, groups, missing_samples)


def refused(*arguments, **options):
    with pytest.raises(ValueError) as error:
        match(*arguments, **options)
    return str(error.value)


def frame(rows, **columns):
    return pd.DataFrame(columns, index=pd.Index(rows, name="SampleID"))


def test_predictions_stay_text(tmp_path):
    path = tmp_path / "predictions.tsv"
    path.write_text("SampleID\tprediction\n001\t01\n002\tNA\n003\t1.50\n")
    assert read_predictions(path).to_dict() == {"001": "01", "002": "NA", "003": "1.50"}


def test_predictions_with_a_sample_twice_or_without_a_value_are_refused(tmp_path):
    path = tmp_path / "predictions.tsv"
    path.write_text("SampleID\tprediction\na\t1\nb\t2\na\t3\n")
    with pytest.raises(ValueError, match="^The predictions hold these sample IDs more than once: a.$"):
        read_predictions(path)
    path.write_text("SampleID\tprediction\na\t1\nb\t\n")
    with pytest.raises(ValueError, match="^The predictions hold samples without a prediction: b.$"):
        read_predictions(path)


def test_listed_names_five():
    assert listed("abcde") == "a, b, c, d, e"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"


def test_everything_is_matched_by_id_in_the_order_of_the_predictions():
    evaluation = match(
        {"c": 3.1, "a": 1.1, "b": 2.1},
        numeric({"a": 1, "b": 2, "c": 3, "unused": 4}),
        frame(["a", "b", "c", "d"], lower=[1, 2, 3, 0], upper=[2, 3, 4, 0]),
        frame(["b", "c", "a"], asvs=[1, 1, 1], unseen_read_share=[0.2, 0.3, 0.1]),
        categorical({"b": "y", "a": "x", "c": "x"}, "site"),
    )
    assert evaluation.frame.index.tolist() == ["c", "a", "b"]
    assert evaluation.frame.to_dict("list") == {
        "true": [3.0, 1.0, 2.0],
        "predicted": [3.1, 1.1, 2.1],
        "lower": [3.0, 1.0, 2.0],
        "upper": [4.0, 2.0, 3.0],
        "unseen_read_share": [0.3, 0.1, 0.2],
        "outside": [False, False, False],
        "group": ["x", "x", "y"],
    }
    assert evaluation.notes == []


def test_samples_absent_from_the_metadata():
    predicted = {f"S{k}": k for k in range(8)}
    column = numeric({"S0": 1.0})
    assert refused(predicted, column) == (
        "7 predicted samples are not in the metadata: S1, S2, S3, S4, S5 and 2 more. Add them to the "
        "metadata file, or set missing_samples to 'ignore' to evaluate the others."
    )
    evaluation = match(predicted, column, missing_samples="ignore")
    assert evaluation.frame.index.tolist() == ["S0"]
    assert evaluation.notes == [
        "7 predicted samples are not in the metadata and left out: S1, S2, S3, S4, S5 and 2 more."
    ]


def test_missing_true_values_are_left_out_and_counted():
    evaluation = match({"a": 1, "b": 2}, numeric({"a": np.nan, "b": 2}))
    assert evaluation.frame.index.tolist() == ["b"]
    assert evaluation.notes == ["1 sample is without a value of 'ph' and left out: a."]
    assert refused({"a": 1}, numeric({"a": np.nan, "b": 2})) == (
        "No predicted sample has a value in the metadata column 'ph', so there is nothing to evaluate. Are "
        "the predictions and the metadata of the same study?"
    )


def test_class_predictions_for_a_numeric_column():
    assert refused({"a": "1.5", "b": "forest", "c": "inf"}, numeric({"a": 1, "b": 2, "c": 3})) == (
        "The metadata column 'ph' is numeric, but 2 predictions are not a finite number: sample b is "
        "predicted 'forest'. Give the numeric column that the model was fitted to; or, if 'ph' holds "
        "classes written as numbers, declare it categorical in the metadata file (a row '#q2:types' below "
        "the header)."
    )


def test_numeric_predictions_for_a_categorical_column():
    assert refused({"a": "6.53", "b": "7"}, categorical({"a": "low", "b": "high"})) == (
        "The metadata column 'habitat' is categorical, but the predictions are numbers and none is a class "
        "of it: sample a is predicted '6.53'. Give the categorical column that the model was fitted to; "
        "or, if 'habitat' holds numbers, declare it numeric in the metadata file (a row '#q2:types' below "
        "the header)."
    )


@pytest.mark.parametrize("classes", [("1", "2"), ("1.5", "2.5"), ("01", "1")])
def test_classes_that_look_like_numbers_stay_classes(classes):
    one, two = classes
    evaluation = match({"a": one, "b": two}, categorical({"a": one, "b": one}))
    assert evaluation.frame["predicted"].tolist() == [one, two]
    assert evaluation.frame["true"].tolist() == [one, one]
    # A small test part may hold none of the predicted classes.
    assert match({"a": "1"}, categorical({"a": "2"})).frame["predicted"].tolist() == ["1"]


def test_certainty_of_the_wrong_kind():
    probabilities = frame(["a"], x=[0.5], y=[0.5])
    assert refused({"a": 1}, numeric({"a": 1}), probabilities) == (
        "The metadata column 'ph' is numeric, so the certainty must hold intervals, in columns 'lower' and "
        "'upper'; its columns are: x, y. Give the certainty that came with these predictions."
    )
    intervals = frame(["a"], lower=[6.0], upper=[8.0])
    assert refused({"a": "x"}, categorical({"a": "x"}), intervals) == (
        "The certainty of 1 sample is not a probability of each class (none negative, together 1): a. Its "
        "columns are: lower, upper. Give the certainty that came with these predictions."
    )


def test_certainty_and_novelty_of_other_samples():
    other = frame(["b"], lower=[0.0], upper=[2.0])
    assert refused({"a": 1, "c": 1}, numeric({"a": 1, "c": 1}), other) == (
        "The certainty has no row for 2 evaluated samples: a, c. Give the certainty that came with these "
        "predictions."
    )
    novelty = frame(["b"], unseen_read_share=[0.1])
    assert refused({"a": 1}, numeric({"a": 1}), novelty=novelty) == (
        "The novelty has no row for 1 evaluated sample: a. Give the novelty that came with these predictions."
    )
    assert refused({"a": 1}, numeric({"a": 1}), novelty=frame(["a"], asvs=[3])) == (
        "The novelty has no column 'unseen_read_share'; its columns are: asvs. Give the novelty that came "
        "with these predictions."
    )
    twice = frame(["a", "a"], lower=[0.0, 0.0], upper=[2.0, 2.0])
    assert refused({"a": 1}, numeric({"a": 1}), twice) == (
        "The certainty holds 1 sample ID more than once: a."
    )


def test_certainty_with_bad_values():
    bad = frame(["a", "b"], lower=[0.0, 3.0], upper=[np.nan, 2.0])
    assert refused({"a": 1, "b": 1}, numeric({"a": 1, "b": 1}), bad) == (
        "The certainty of 2 samples is no interval (an end is missing, or the upper end is below the "
        "lower): a, b."
    )
    evaluation = match({"a": 1}, numeric({"a": 1}), frame(["a"], lower=[2.0], upper=[3.0]))
    assert evaluation.notes == [
        "1 prediction is outside the interval given for the same sample: a. Did the certainty come with "
        "these predictions?"
    ]
    other_classes = frame(["a"], x=[0.5], y=[0.5])
    assert refused({"a": "z"}, categorical({"a": "z"}), other_classes) == (
        "Sample a is predicted 'z', but the certainty has no column of that name (its columns are: x, y). "
        "Give the certainty that came with these predictions."
    )


def test_samples_without_a_group():
    predicted, column = {"a": 1, "b": 2, "c": 3}, numeric({"a": 1, "b": 2, "c": 3})
    groups = categorical({"a": "x", "b": None}, "site")
    assert refused(predicted, column, groups=groups) == (
        "1 evaluated sample is not in the metadata of the groups: c. Add them to that metadata file, or set "
        "missing_samples to 'ignore'."
    )
    evaluation = match(predicted, column, groups=groups, missing_samples="ignore")
    assert evaluation.frame["group"].tolist() == ["x", None, None]
    assert evaluation.notes == [
        "2 samples are without a value of 'site' and left out of the scores by group: b, c."
    ]
