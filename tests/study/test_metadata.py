import warnings

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.metadata import match_metadata


def fails(message, *arguments):
    with pytest.raises(ValueError) as error:
        match_metadata(*arguments)
    assert str(error.value) == message


def test_match_metadata_keeps_the_table_s_order():
    values = pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"], name="ph")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = match_metadata(["c", "a"], values)
    assert rows.dtype == np.int64 and rows.tolist() == [0, 1]


def test_samples_without_a_value_are_left_out_and_counted():
    values = pd.Series([1.0, np.nan, 3.0], index=["a", "b", "c"], name="ph")
    with pytest.warns(UserWarning) as caught:
        assert match_metadata(["c", "b", "a"], values).tolist() == [0, 2]
    assert [str(entry.message) for entry in caught] == [
        "1 of the table's 3 samples have no value in column 'ph' and were left out: b."
    ]
    text = pd.Series(["x", None], index=["a", "b"], name="habitat")
    with pytest.warns(UserWarning, match="have no value in column 'habitat'"):
        assert match_metadata(["a", "b"], text).tolist() == [0]


def test_samples_absent_from_the_metadata():
    values = pd.Series([1.0, 3.0], index=["a", "c"], name="ph")
    ids = ["x1", "c", "x2", "x3", "x4", "x5", "x6"]
    fails(
        "6 of the table's 7 samples are not in the metadata: x1, x2, x3, x4, x5, ... (6 in all). Add them to the "
        "metadata, filter them from the table, or set missing_samples to 'ignore'.",
        ids,
        values,
    )
    with pytest.warns(UserWarning) as caught:
        assert match_metadata(ids, values, "ignore").tolist() == [1]
    assert [str(entry.message) for entry in caught] == [
        "6 of the table's 7 samples are not in the metadata and were left out: x1, x2, x3, x4, x5, ... (6 in all)."
    ]


def test_metadata_that_leaves_no_sample_is_refused():
    values = pd.Series([1.0, np.nan], index=["a", "b"], name="ph")
    fails(
        "none of the table's 1 samples (x) is in the metadata (a, b). Check that both name their samples "
        "alike.",
        ["x"],
        values,
        "ignore",
    )
    fails(
        "no sample of the table has a value in the metadata column 'ph'. Choose another column.",
        ["b"],
        values,
    )


def test_duplicate_ids_in_the_metadata_are_refused():
    fails(
        "1 sample IDs stand more than once in the metadata: a. Keep one row of each.",
        ["a"],
        pd.Series([1.0, 2.0], index=["a", "a"]),
    )


def test_an_unknown_answer_for_missing_samples_is_refused():
    fails(
        "missing_samples is 'drop'; it must be one of error, ignore.",
        ["a"],
        pd.Series([1.0], index=["a"]),
        "drop",
    )
