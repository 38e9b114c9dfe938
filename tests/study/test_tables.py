import biom
import biom.err
import numpy as np
import pytest
import scipy.sparse as sp

from q2_aam.study.tables import check_table, keep_columns, keep_samples, name_ids, sample_counts, without_features


def table_of(counts, features=None, samples=None):
    counts = np.array(counts, dtype=float)
    features = features or [f"f{i}" for i in range(counts.shape[0])]
    samples = samples or [f"s{i}" for i in range(counts.shape[1])]
    with biom.err.errstate(all="ignore"):
        return biom.Table(counts, features, samples)


def test_name_ids_lists_five():
    assert name_ids(list("abcde")) == "a, b, c, d, e"
    assert name_ids(list("abcdef")) == "a, b, c, d, e, ... (6 in all)"


@pytest.mark.parametrize(
    ("value", "kind", "shown"), [(-3, "negative", "-3"), (np.nan, "non-finite", "nan"), (np.inf, "non-finite", "inf")]
)
def test_counts_that_are_none_are_named(value, kind, shown):
    with pytest.raises(ValueError) as error:
        check_table(table_of([[1, 2, 0], [0, 5, value]]))
    assert str(error.value) == (
        f"The feature table has 1 {kind} counts ({shown} of feature f1 in sample s2). Reads are needed: "
        f"give the table as it was before it was normalized or transformed."
    )


def test_fractional_counts_are_named():
    with pytest.raises(ValueError) as error:
        check_table(table_of([[1, 2, 0], [0, 5, 0.25]]))
    assert str(error.value) == (
        "The feature table has 1 fractional counts (0.25 of feature f1 in sample s2). Give counts of reads, relative "
        "frequencies or presence and absence: the table as it was before it was transformed otherwise."
    )


def test_shares_that_do_not_sum_to_one_are_named():
    with pytest.raises(ValueError) as error:
        check_table(table_of([[0.5, 0.75, 0.002], [0.5, 0.125, 1.0]]))
    assert str(error.value) == (
        "The feature table holds shares of reads, but in 2 of 3 samples they do not sum to 1: s1 (0.875), s2 (1.002). "
        "Filter the table of counts first, then compute the relative frequencies."
    )


@pytest.mark.parametrize(
    ("counts", "values"),
    [
        ([[1, 2, 0], [0, 5, 3]], "counts"),
        ([[1, 1, 0], [0, 1, 1]], "presence"),
        ([[0.5, 1, 0.2509], [0.5, 0, 0.75]], "shares"),
        (np.full((3, 4), np.float32(1 / 3)), "shares"),
    ],
)
def test_what_a_table_holds(counts, values):
    assert check_table(table_of(counts)) == values


@pytest.mark.parametrize("share", [1, 0.5])
def test_empty_samples_are_named(share):
    with pytest.raises(ValueError) as error:
        check_table(table_of([[share, 0, 0, share], [share, 0, 0, share]]))
    assert str(error.value) == "2 of 4 samples have no reads: s1, s2. Remove them from the feature table."


def test_five_wrong_counts_are_named_and_all_are_counted():
    with pytest.raises(ValueError) as error:
        check_table(table_of(np.full((3, 4), 1.5)))
    assert "has 12 fractional counts (1.5 of feature f0 in sample s0; " in str(error.value)
    assert "1.5 of feature f1 in sample s1; ...). Give" in str(error.value)
    assert str(error.value).count("of feature") == 5


def test_repeated_ids_are_named():
    with pytest.raises(ValueError) as error:
        check_table(table_of(np.ones((2, 3)), samples=["x", "y", "x"]))
    assert str(error.value) == (
        "The feature table has more than one sample of the same ID: x. Rename or merge them."
    )
    with pytest.raises(ValueError) as error:
        check_table(table_of(np.ones((4, 1)), features=["b", "a", "a", "b"]))
    assert str(error.value) == (
        "The feature table has more than one feature of the same ID: a, b. Rename or merge them."
    )


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (3, 0)])
def test_an_empty_table_is_refused(shape):
    with pytest.raises(ValueError) as error:
        check_table(table_of(np.zeros(shape)))
    assert str(error.value).startswith("The feature table is empty: it has ")


def test_sample_counts_leave_the_table_alone():
    table = table_of([[1, 0], [2, 3]])
    counts = sample_counts(table)
    counts.data[:] = 9
    np.testing.assert_array_equal(table.matrix_data.toarray(), [[1, 0], [2, 3]])


def test_without_features_leaves_samples_and_all_other_counts():
    table = biom.Table(np.array([[1, 0, 2], [0, 3, 4], [5, 0, 0]]), ["a", "b", "c"], ["x", "y", "z"])
    left = without_features(table, np.array(["b", "unknown"], dtype=object))
    assert list(left.ids()) == ["x", "y", "z"] and list(left.ids("observation")) == ["a", "c"]
    np.testing.assert_array_equal(left.matrix_data.toarray(), [[1, 0, 2], [5, 0, 0]])
    assert without_features(table, []) is table


def test_columns_that_are_kept_keep_their_place():
    counts = sp.random(9, 12, 0.4, format="csr", random_state=0)
    kept = np.arange(12) % 3 == 0
    found = keep_columns(counts, kept)
    assert np.array_equal(found.toarray(), counts.toarray() * kept) and found.nnz < counts.nnz
    assert keep_columns(counts, np.zeros(12, dtype=bool)).nnz == 0


def test_samples_are_taken_in_any_order():
    table = table_of([[1, 0, 2], [0, 3, 4]])
    part = keep_samples(table, np.array([2, 0]))
    assert list(part.ids()) == ["s2", "s0"] and list(part.ids("observation")) == ["f0", "f1"]
    np.testing.assert_array_equal(part.matrix_data.toarray(), [[2, 1], [4, 0]])
    assert keep_samples(table, np.arange(3)) is table
    assert list(keep_samples(table, np.array([2, 1, 0])).ids()) == ["s2", "s1", "s0"]
