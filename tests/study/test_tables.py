import warnings

import biom
import biom.err
import numpy as np
import pytest
import scipy.sparse as sp

from q2_aam.study.tables import checked_counts, keep_columns, name_ids, rarefy, without_features


def table_of(counts, features=None, samples=None):
    counts = np.array(counts, dtype=float)
    features = features or [f"f{i}" for i in range(counts.shape[0])]
    samples = samples or [f"s{i}" for i in range(counts.shape[1])]
    with biom.err.errstate(all="ignore"):
        return biom.Table(counts, features, samples)


def drawn(table, depth, seed):
    """The rarefied counts by sample and feature ID."""
    result = rarefy(table, depth, seed)
    return {
        (sample, feature): count
        for sample in result.ids()
        for feature, count in zip(result.ids(axis="observation"), result.data(sample), strict=True)
        if count
    }


def test_name_ids_lists_five():
    assert name_ids(list("abcde")) == "a, b, c, d, e"
    assert name_ids(list("abcdef")) == "a, b, c, d, e, ... (6 in all)"


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (-3, "negative", "-3"),
        (0.25, "fractional", "0.25"),
        (np.nan, "non-finite", "nan"),
        (np.inf, "non-finite", "inf"),
    ],
)
def test_counts_that_are_none_are_named(value, kind, shown):
    with pytest.raises(ValueError) as error:
        checked_counts(table_of([[1, 2, 0], [0, 5, value]]))
    assert str(error.value) == (
        f"The feature table has 1 {kind} counts ({shown} of feature f1 in sample s2). Reads are needed: "
        f"give the table as it was before it was normalized or transformed."
    )


def test_five_wrong_counts_are_named_and_all_are_counted():
    with pytest.raises(ValueError) as error:
        checked_counts(table_of(np.full((3, 4), 0.5)))
    assert "has 12 fractional counts (0.5 of feature f0 in sample s0; " in str(error.value)
    assert "0.5 of feature f1 in sample s1; ...). Reads" in str(error.value)
    assert str(error.value).count("of feature") == 5


def test_repeated_ids_are_named():
    with pytest.raises(ValueError) as error:
        checked_counts(table_of(np.ones((2, 3)), samples=["x", "y", "x"]))
    assert str(error.value) == (
        "The feature table has more than one sample of the same ID: x. Rename or merge them."
    )
    with pytest.raises(ValueError) as error:
        checked_counts(table_of(np.ones((4, 1)), features=["b", "a", "a", "b"]))
    assert str(error.value) == (
        "The feature table has more than one feature of the same ID: a, b. Rename or merge them."
    )


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (3, 0)])
def test_an_empty_table_is_refused(shape):
    with pytest.raises(ValueError) as error:
        checked_counts(table_of(np.zeros(shape)))
    assert str(error.value).startswith("The feature table is empty: it has ")


def test_checked_counts_leaves_the_table_alone():
    table = table_of([[1, 0], [2, 3]])
    counts = checked_counts(table)
    counts.data[:] = 9
    np.testing.assert_array_equal(table.matrix_data.toarray(), [[1, 0], [2, 3]])


def test_rarefy_draws_the_depth_without_replacement(survey):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        depth = int(survey.counts.sum(axis=1).min())
        result = rarefy(survey.table, depth, 0)
    assert list(result.ids()) == list(survey.table.ids())
    np.testing.assert_array_equal(result.sum("sample"), depth)
    for (sample, feature), count in drawn(survey.table, depth, 0).items():
        assert 0 < count <= survey.table.get_value_by_ids(feature, sample)
    assert result.sum("observation").min() > 0


def test_rarefy_at_a_samples_own_depth_keeps_it_whole():
    table = table_of([[3, 10], [4, 0], [0, 10]])
    result = rarefy(table, 7, 0)
    np.testing.assert_array_equal(result.data("s0")[[0, 1]], [3, 4])


def test_rarefy_means_are_those_of_the_hypergeometric_distribution():
    table = table_of(np.repeat([[60], [30], [10]], 2000, axis=1))
    counts = rarefy(table, 20, 5).matrix_data.toarray()
    # Standard error of the mean is at most 0.05; a sample's own draw differs from its neighbour's.
    np.testing.assert_allclose(counts.mean(axis=1), [12, 6, 2], atol=0.2)
    variance = 20 * 0.6 * 0.4 * (100 - 20) / (100 - 1)
    np.testing.assert_allclose(counts[0].var(), variance, rtol=0.15)


def test_rarefy_depends_on_the_seed_alone_not_on_the_tables_order(survey):
    depth = 20
    shuffled = survey.table.sort_order(survey.table.ids()[::-1]).sort_order(
        sorted(survey.features), axis="observation"
    )
    part = survey.table.filter(survey.table.ids()[3:8], inplace=False)
    whole = drawn(survey.table, depth, 7)
    assert drawn(survey.table, depth, 7) == whole
    assert drawn(shuffled, depth, 7) == whole
    assert drawn(part, depth, 7) == {k: v for k, v in whole.items() if k[0] in part.ids()}
    assert drawn(survey.table, depth, 8) != whole


def test_rarefy_names_the_samples_it_drops():
    table = table_of([[5, 1, 9, 1, 1, 1, 1, 1], [5, 1, 9, 1, 1, 1, 1, 1]])
    with pytest.warns(UserWarning) as caught:
        result = rarefy(table, 10, 0)
    assert [str(w.message) for w in caught] == [
        "6 of 8 samples have fewer than 10 reads (sampling_depth) and are dropped: "
        "s1, s3, s4, s5, s6, ... (6 in all)."
    ]
    assert list(result.ids()) == ["s0", "s2"]


def test_rarefy_refuses_a_depth_no_sample_has():
    with pytest.raises(ValueError) as error:
        rarefy(table_of([[5, 1], [5, 1]]), 11, 0)
    assert str(error.value) == (
        "None of the 2 samples has 11 reads (sampling_depth); the largest has 10. Choose a lower "
        "sampling depth."
    )
    with pytest.raises(ValueError) as error:
        rarefy(table_of([[5, 1], [5, 1]]), 0, 0)
    assert str(error.value) == "sampling_depth is 0; it must be at least 1 read."


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
