"""Folds: each sample predicted once, whole groups, every class left to learn from."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from q2_aam.study.folds import grouped_folds, never_tested


def check_cover(parts, n_samples):
    """Each sample is predicted once, and learnt from wherever it is not predicted."""
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(n_samples))
    for train, test in parts:
        assert len(train) and len(test)
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n_samples))


def uneven_groups(seed=0):
    sizes = np.random.default_rng(seed).integers(1, 9, 20)
    return np.repeat([f"subject {k}" for k in range(20)], sizes)


def test_folds_of_samples_are_scikit_learns():
    parts = grouped_folds(23, 4, random_seed=7)
    check_cover(parts, 23)
    for (train, test), (its_train, its_test) in zip(
        parts, KFold(4, shuffle=True, random_state=7).split(np.zeros(23)), strict=True
    ):
        np.testing.assert_array_equal(train, its_train)
        np.testing.assert_array_equal(test, its_test)


def test_folds_of_classes_are_scikit_learns():
    classes = np.array(["b", "a", "a"] * 10)
    parts = grouped_folds(30, 5, classes=classes, random_seed=3)
    check_cover(parts, 30)
    expected = StratifiedKFold(5, shuffle=True, random_state=3).split(np.zeros(30), classes)
    for (_, test), (_, its_test) in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(test, its_test)
        assert (classes[test] == "b").sum() == 2


@pytest.mark.parametrize("labelled", [False, True])
def test_a_group_is_on_one_side(labelled):
    groups = uneven_groups()
    classes = np.where(np.arange(len(groups)) % 3, "common", "rare") if labelled else None
    parts = grouped_folds(len(groups), 5, groups=groups, classes=classes)
    check_cover(parts, len(groups))
    for train, test in parts:
        assert not set(groups[train]) & set(groups[test])
        # nearly as even as whole groups allow: a random draw gives folds of 9 to 34
        assert abs(len(test) - len(groups) / 5) <= 6
        assert classes is None or abs(np.mean(classes[test] == "rare") - 1 / 3) < 0.2


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("groups", [uneven_groups(), np.repeat(list("abcdefghij"), 3)], ids=["uneven", "even"])
def test_seeds_part_groups_in_different_ways(groups, labelled):
    classes = np.where(np.arange(len(groups)) % 3, "common", "rare") if labelled else None
    ways = set()
    for seed in (0, 0, 1, 2):
        parts = grouped_folds(len(groups), 5, groups=groups, classes=classes, random_seed=seed)
        ways.add(frozenset(tuple(test) for _, test in parts))
        if len(groups) == 30:
            assert {len(test) for _, test in parts} == {6}
    assert len(ways) == 3


def numbers_of(parts, n_samples):
    """The number of each sample's fold, one digit each."""
    fold = np.empty(n_samples, dtype=int)
    for number, (_, test) in enumerate(parts):
        fold[test] = number
    return "".join(map(str, fold))


@pytest.mark.parametrize(
    "groups, classes, folds, expected",
    [
        (
            uneven_groups(),
            None,
            5,
            "22222221111113333344433303100000000033333322222222222221111100000000444444111111333331111144444444",
        ),
        (
            uneven_groups(),
            "abcab",
            5,
            "11111110000002222233322224433333333300000022222222000004444411111111333333000000111114444444444444",
        ),
        (np.repeat(range(12), 3), None, 4, "000333000333000111111222111222222333"),
        (np.repeat(range(12), 3), "a" * 24 + "b" * 12, 4, "111333000222000222333111111222333000"),
        (None, None, 4, "21001301320332130122"),
        (None, "abaac", 4, "03113300210123232210"),
    ],
)
def test_folds_are_the_same_everywhere(groups, classes, folds, expected):
    """Written down with NumPy 1.24 and scikit-learn 1.2; every release and processor has the same."""
    n_samples = len(expected)
    classes = None if classes is None else np.resize(list(classes), n_samples)
    assert groups is None or len(groups) == n_samples
    parts = grouped_folds(n_samples, folds, groups=groups, classes=classes, random_seed=1)
    assert numbers_of(parts, n_samples) == expected


def test_each_group_is_a_fold():
    groups = uneven_groups()
    parts = grouped_folds(len(groups), 5, groups=pd.Series(groups), leave_one_group_out=True)
    check_cover(parts, len(groups))
    assert [set(groups[test]) for _, test in parts] == [{name} for name in sorted(set(groups))]


def test_a_class_in_two_groups_is_left_to_learn_from_where_any_way_does_so():
    """Three classes of two groups each, two folds: most ways to part them lose a class."""
    groups = np.repeat([f"g{k}" for k in range(6)], 4)
    classes = np.repeat(["a", "a", "b", "b", "c", "c"], 4)
    for seed in range(10):
        parts = grouped_folds(24, 2, groups=groups, classes=classes, random_seed=seed)
        for train, _ in parts:
            assert set(classes[train]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            {"n_samples": 4, "folds": 5},
            "folds is 5, but there are 4 samples only. Give fewer folds, or more samples.",
        ),
        (
            {"n_samples": 6, "folds": 4, "groups": list("aabbcc")},
            "folds is 4, but there are 3 groups only. Give fewer folds, or more samples or a column of smaller groups.",
        ),
        (
            {"n_samples": 6, "folds": 5, "groups": ["a"] * 6, "leave_one_group_out": True},
            "leave_one_group_out needs 2 or more, but there are 1 groups only. Give fewer folds, or more samples or a "
            "column of smaller groups.",
        ),
        (
            {"n_samples": 6, "folds": 5, "leave_one_group_out": True},
            "leave_one_group_out needs groups. Give the column of the groups, or leave it out.",
        ),
        ({"n_samples": 6, "folds": 1}, "folds is 1; it must be at least 2."),
        (
            {"n_samples": 6, "folds": 2, "classes": list("aaabbc")},
            "1 classes have one sample only: c. Where these are predicted, none is left to learn the class from. Leave "
            "the samples of these classes out, or join the classes with others.",
        ),
        (
            {"n_samples": 8, "folds": 2, "classes": list("aaaabbbb"), "groups": list("wxyzuuuu")},
            "1 classes have samples in one group only: b. Where these are predicted, none is left to learn the class "
            "from. Leave the samples of these classes out, or join the classes with others.",
        ),
        (
            {"n_samples": 6, "folds": 4, "classes": list("aaabbb")},
            "folds is 4, but the largest class has 3 samples. Give fewer folds, or more samples of each class.",
        ),
        (
            {"n_samples": 4, "folds": 2, "classes": list("abab"), "groups": ["x", "x", "y", None]},
            "1 samples have no group: 3. Fill it in, or leave them out.",
        ),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(ValueError) as error:
        grouped_folds(**arguments)
    assert str(error.value) == sentence


def test_groups_that_cannot_be_parted_are_refused():
    """Class c is in two groups, and so is d; x holds samples of all classes but c's second group."""
    groups = list("xxyyzz")
    classes = list("abbcca")
    with pytest.raises(ValueError) as error:
        grouped_folds(6, 2, groups=groups, classes=classes)
    assert str(error.value) == (
        "The 3 groups cannot be parted into 2 folds such that none is empty and every class is left to learn from in "
        "each. Give fewer folds, another random_seed, or a column of smaller groups."
    )


def test_partial_folds_are_fewer_where_groups_are_few():
    folds = grouped_folds(9, 5, groups=list("aaabbbccc"), partial=True)
    assert len(folds) == 3
    assert sorted(row for _, test in folds for row in test) == list(range(9))


def test_partial_folds_always_learn_from_the_one_group_of_a_class():
    # Class y is in group a alone: where it is predicted, nothing is left to learn it from.
    groups, classes = list("aabbccdd"), list("yyxxxxxx")
    folds = grouped_folds(8, 4, groups=groups, classes=classes, partial=True)
    assert len(folds) == 3
    assert sorted(row for _, test in folds for row in test) == [2, 3, 4, 5, 6, 7]
    assert all({0, 1} <= set(train) for train, _ in folds)
    assert never_tested(classes, groups).tolist() == [True, True] + [False] * 6


def test_a_class_of_one_sample_costs_no_other_sample_its_prediction():
    classes = ["rare"] + ["common"] * 29
    folds = grouped_folds(30, 10, classes=classes, partial=True)
    assert len(folds) == 10
    assert sorted(row for _, test in folds for row in test) == list(range(1, 30))
    assert never_tested(classes).tolist() == [True] + [False] * 29


@pytest.mark.parametrize("seed", range(5))
def test_classes_of_two_groups_each_are_never_in_one_fold(seed):
    """Twenty of them: no random way of making three folds keeps all apart."""
    groups = np.repeat(np.arange(40), 3)
    classes = groups // 2
    folds = grouped_folds(120, 3, groups=groups, classes=classes, random_seed=seed, partial=True)
    assert len(folds) == 3
    assert sorted(row for _, test in folds for row in test) == list(range(120))
    for train, test in folds:
        assert set(classes[train]) == set(range(20)) and not set(groups[train]) & set(groups[test])
        assert 20 <= len(test) <= 60
    outer = grouped_folds(120, 3, groups=groups, classes=classes, random_seed=seed)
    assert all(set(classes[train]) == set(range(20)) for train, _ in outer)


def test_where_two_folds_cannot_be_made_each_group_is_one():
    """Classes that tie three groups to each other; and two groups, of which one holds a class alone."""
    folds = grouped_folds(6, 10, groups=list("112233"), classes=list("ACABBC"), partial=True)
    assert sorted(test.tolist() for _, test in folds) == [[0, 1], [2, 3], [4, 5]]
    folds = grouped_folds(3, 10, groups=list("211"), classes=list("aba"), partial=True)
    assert [(train.tolist(), test.tolist()) for train, test in folds] == [([1, 2], [0])]


def test_partial_folds_may_be_none():
    assert grouped_folds(3, 5, classes=list("abc"), partial=True) == []
    assert grouped_folds(4, 5, groups=list("aaaa"), partial=True) == []
    assert grouped_folds(1, 5, partial=True) == []
