import warnings

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.two_parts import two_parts


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        yield


def uneven_groups(seed, n_groups=20):
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"g{i}" for i in range(n_groups)], rng.integers(1, 15, n_groups))
    return rng.permutation(groups)


def check(n, train, validation):
    assert train.dtype == validation.dtype == np.int64
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(n))
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()


def fails(message, *arguments, **options):
    with pytest.raises(ValueError) as error:
        two_parts(*arguments, **options)
    assert str(error.value) == message


@pytest.mark.parametrize("n", [2, 3, 7, 100])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_the_share_is_kept_and_no_side_is_empty(n, share):
    train, validation = two_parts(n, share, random_seed=3)
    check(n, train, validation)
    assert len(validation) == min(max(round(n * share), 1), n - 1)


@pytest.mark.parametrize("options", [{}, {"groups": list("aabb")}, {"classes": list("aabb")}])
def test_no_share_gives_an_empty_validation_part(options):
    train, validation = two_parts(4, 0, **options)
    check(4, train, validation)
    assert train.tolist() == [0, 1, 2, 3] and validation.shape == (0,)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.7])
def test_groups_stay_together_and_the_share_is_near(share, seed):
    groups = uneven_groups(seed)
    train, validation = two_parts(len(groups), share, groups=groups, random_seed=seed)
    check(len(groups), train, validation)
    assert not set(groups[train]) & set(groups[validation])
    assert len(validation) / len(groups) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("seed", range(10))
def test_groups_and_classes_together(seed):
    groups = uneven_groups(seed)
    rng = np.random.default_rng(seed)
    class_of = {group: rng.choice(["sick", "well"], p=[0.3, 0.7]) for group in np.unique(groups)}
    classes = np.array([class_of[group] for group in groups])
    train, validation = two_parts(len(groups), 0.2, groups=groups, classes=classes, random_seed=seed)
    assert not set(groups[train]) & set(groups[validation])
    assert len(validation) / len(groups) == pytest.approx(0.2, abs=0.07)
    assert set(classes[train]) == set(classes)
    assert (classes[validation] == "sick").mean() == pytest.approx((classes == "sick").mean(), abs=0.2)


def test_a_class_of_one_group_stays_in_training():
    groups = np.repeat([f"g{i}" for i in range(10)], 3)
    classes = np.where(groups == "g7", "rare", "common")
    for seed in range(20):
        train, _ = two_parts(30, 0.2, groups=groups, classes=classes, random_seed=seed)
        assert "rare" in classes[train]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.2, 0.25, 0.5])
def test_classes_keep_their_shares(share, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(["a", "b", "c"], [60, 28, 12]))
    train, validation = two_parts(100, share, classes=classes, random_seed=seed)
    check(100, train, validation)
    assert len(validation) == 100 * share
    for name, count in (("a", 60), ("b", 28), ("c", 12)):
        assert abs((classes[validation] == name).sum() - count * share) < 1


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6, 0.9, 0.98])
@pytest.mark.parametrize("counts", [[40, 9, 1], [46, 2, 2], [1, 1, 48], [20, 20, 10], [48, 2]])
def test_every_class_stays_in_training_however_large_the_share(counts, share):
    classes = np.repeat(["a", "b", "c"][: len(counts)], counts)
    for seed in range(5):
        train, validation = two_parts(50, share, classes=classes, random_seed=seed)
        check(50, train, validation)
        assert set(classes[train]) == set(classes)
        assert len(validation) == min(max(round(50 * share), 1), 50 - len(counts))


@pytest.mark.parametrize(
    "classes, n_validation", [(["a", "b"], 1), (["a", "a"], 1), (["a", "a", "b"], 1), (list("abcd"), 1)]
)
def test_tiny_inputs(classes, n_validation):
    train, validation = two_parts(len(classes), 0.2, classes=classes)
    check(len(classes), train, validation)
    assert len(validation) == n_validation


def test_two_samples_of_two_groups():
    with pytest.warns(UserWarning) as caught:
        train, validation = two_parts(2, 0.2, groups=["x", "y"], classes=["a", "b"], name="validation part")
    check(2, train, validation)
    assert len(validation) == 1
    assert [str(entry.message) for entry in caught] == [
        "The validation part has 1 of 2 samples (50% instead of 20%): the samples of a group stay together, "
        "and the 2 groups are few or uneven."
    ]


def test_one_large_group_leaves_the_nearest_share():
    groups = np.array(["large"] * 85 + [f"g{i}" for i in range(15)])
    with pytest.warns(UserWarning, match="instead of 30%"):
        train, validation = two_parts(100, 0.3, groups=groups)
    check(100, train, validation)
    assert "large" in groups[train] and len(validation) >= 4


@pytest.mark.parametrize("with_groups", [False, True])
@pytest.mark.parametrize("with_classes", [False, True])
def test_the_seed_decides(with_groups, with_classes):
    groups = uneven_groups(0)
    options = {
        "groups": groups if with_groups else None,
        "classes": np.resize(["a", "b"], len(groups)) if with_classes else None,
    }
    splits = [two_parts(len(groups), 0.2, random_seed=seed, **options)[1] for seed in (1, 1, 2, 3)]
    np.testing.assert_array_equal(splits[0], splits[1])
    assert any(splits[0].tolist() != other.tolist() for other in splits[2:])


def test_names_of_groups_and_classes_may_be_of_any_type():
    groups = np.repeat(np.arange(10), 3)
    expected = two_parts(30, 0.2, groups=[str(group) for group in groups], classes=["x", "y"] * 15)
    for parts in (
        two_parts(30, 0.2, groups=groups, classes=[False, True] * 15),
        two_parts(30, 0.2, groups=pd.Series(groups, dtype="category"), classes=pd.Series([0, 1] * 15)),
    ):
        np.testing.assert_array_equal(parts[1], expected[1])


def test_too_few_groups_or_samples_are_refused():
    fails(
        "All samples are of one group: two parts need two groups or more. Choose another group column, leave it out, "
        "or set the share of the second part to 0.",
        4,
        0.2,
        groups=["x"] * 4,
    )
    fails(
        "Two parts need two samples or more, but there is 1. Set the share of the test part to 0, or add samples.",
        1,
        0.2,
        name="test part",
    )


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    fails(f"The share of the second part is {share}; it must be at least 0 and below 1.", 4, share)


def test_samples_without_group_or_class_are_refused():
    groups = pd.Series(["x", None, "y", np.nan], index=["s1", "s2", "s3", "s4"])
    fails("2 samples have no group: s2, s4. Fill it in, or leave them out.", 4, 0.2, groups=groups)
    fails(
        "6 samples have no class: 0, 1, 2, 3, 4, ... (6 in all). Fill it in, or leave them out.",
        6,
        0.2,
        classes=[None] * 6,
    )
    fails("There are 4 samples, but a group for 3.", 4, 0.2, groups=["x", "y", "z"])
