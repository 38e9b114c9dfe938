import warnings

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.metadata import choose_columns, is_numeric, match_metadata, metadata_column, read_metadata
from tests.study.conftest import STUDY_NAMES


def fails(message, *arguments):
    with pytest.raises(ValueError) as error:
        match_metadata(*arguments)
    assert str(error.value) == message


def test_match_metadata_keeps_the_table_s_order():
    values = pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"], name="ph")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
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


# Files

TSV = """\
# a comment before the header
#SampleID\tph \tplot\tbatch\tnothing\tsite
#q2:types\tnumeric\tcategorical\t\t\t
s1\t6.5\t1\t1\t\tgut
# s0\t1\t1\t1\t\tgut
s2\t\t2\t-2.5e1\t\t nan

s3\t.5\t\t+3\t\tNone
"""


def write(tmp_path, text):
    path = tmp_path / "metadata.tsv"
    path.write_text(text)
    return path


def test_a_file_is_read_as_qiime2_reads_it(tmp_path):
    path = write(tmp_path, TSV)
    frame = read_metadata(path)
    assert list(frame.index) == ["s1", "s2", "s3"] and list(frame) == ["ph", "plot", "batch", "nothing", "site"]
    assert frame["plot"].tolist() == ["1", "2", None] and frame["site"].tolist() == ["gut", "nan", "None"]
    np.testing.assert_array_equal(frame["ph"], [6.5, np.nan, 0.5])
    np.testing.assert_array_equal(frame["batch"], [1, -25, 3])
    assert [frame[name].dtype.kind for name in frame] == list("fOffO")
    qiime2 = pytest.importorskip("q2_aam.framework").qiime2
    pd.testing.assert_frame_equal(frame, qiime2.Metadata.load(str(path)).to_dataframe(), check_names=False)


@pytest.mark.parametrize("name", STUDY_NAMES)
def test_real_files_are_read_as_qiime2_reads_them(study, name):
    qiime2 = pytest.importorskip("q2_aam.framework").qiime2
    path = study(name).fasta.parent / "metadata.tsv"
    pd.testing.assert_frame_equal(
        read_metadata(path), qiime2.Metadata.load(str(path)).to_dataframe(), check_names=False
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be read as a metadata file (tab-separated text): "),
        ("id\tph\ns1\t1\t2\n", "cannot be read as a metadata file (tab-separated text): "),
        (
            "name\tph\ns1\t1\n",
            "cannot be read as a metadata file: the first column of its header is 'name', not the name of the ID "
            "column. Call it 'sample-id'.",
        ),
        ("id\tph\tph\ns1\t1\t2\n", "has more than one column of the same name: ph. Keep one of each."),
        (
            "id\tph\n#q2:missing\tINSDC:missing\ns1\t1\n",
            "has rows that are not understood here: #q2:missing. Remove them.",
        ),
        (
            "id\tph\n#q2:types\tordinal\ns1\t1\n",
            "has a column 'ph' of type 'ordinal'; it must be numeric or categorical.",
        ),
        (
            "id\tph\n#q2:types\tnumeric\ns1\t1\ns2\tnan\n",
            "has a column 'ph' that is declared numeric, but 1 values are no numbers: 'nan' in sample s2. Correct "
            "them, leave the cells empty, or declare the column categorical.",
        ),
    ],
)
def test_files_that_are_none_are_refused(tmp_path, text, sentence):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_metadata(path)
    assert str(error.value).startswith(f"{path} {sentence}")


# Columns


def test_columns_of_covariates_are_all_or_those_named_each_once():
    assert choose_columns(["age", "sex"], None, "ph") == ["age", "sex"]
    assert choose_columns(["age", "sex", "ph"], ["sex", "age", "sex"], "ph", "site") == ["sex", "age"]
    with pytest.raises(ValueError) as error:
        choose_columns([], None, "ph")
    assert str(error.value) == (
        "There is no column to use as covariate. Give metadata with the columns, or no covariates."
    )


def test_ids_and_names_of_columns_are_text():
    frame = pd.DataFrame({"ph": [1.0]}, index=[7])
    assert list(metadata_column(frame, "ph", "target").index) == ["7"]
    assert metadata_column(None, pd.Series([1.0], index=[7], name=3), "groups").name == "3"
    assert metadata_column(None, None, "groups") is None


def test_logical_values_are_no_numbers():
    assert is_numeric(pd.Series([1, 2])) and is_numeric(pd.Series([1.5, None]))
    assert not is_numeric(pd.Series([True, False])) and not is_numeric(pd.Series(["1"]))
