"""`split_samples`: whole groups, classes in like shares, and tables that stay of their type."""

import re

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.actions.split_samples import split_samples
from q2_aam.framework import Artifact
from q2_aam.plugin_setup import plugin

from .small import as_column, told

N = 60
IDS = [f"{k:02d}" for k in range(N)]
CLASSES = pd.Series(["rare"] * 10 + ["common"] * 50, index=IDS, name="kind")
GROUPS = pd.Series([f"site {k % 15}" for k in range(N)], index=IDS, name="site")
PH = pd.Series(np.arange(N) / 10, index=IDS, name="ph")


def table(ids=IDS):
    """A feature that all samples hold, and one of each sample's own."""
    counts = np.vstack([np.full(len(ids), 2.0), np.eye(len(ids))])
    return biom.Table(counts, ["shared", *(f"of {name}" for name in ids)], list(ids))


def parts(target=PH, groups=None, **changes):
    groups = None if groups is None else as_column(groups)
    return split_samples(**{"table": table(), "metadata": as_column(target), "groups": groups, **changes})


def test_every_sample_is_in_one_table_with_its_reads_and_no_empty_feature(capsys):
    train, test = parts()
    assert sorted([*train.ids(), *test.ids()]) == IDS and test.shape[1] == 12
    for part in (train, test):
        assert set(part.ids("observation")) == {"shared", *(f"of {name}" for name in part.ids())}
        assert part == table().filter(set(part.ids()), inplace=False).remove_empty("observation")
    assert capsys.readouterr().out == "Samples to learn from: 48, to judge by: 12.\n"


@pytest.mark.parametrize("share, size", [(0.1, 6), (0.25, 15), (0.5, 30)])
def test_the_share_is_that_of_the_test_table(share, size):
    assert parts(share=share)[1].shape[1] == size
    assert parts(groups=GROUPS, share=share)[1].shape[1] == pytest.approx(size, abs=2)


def test_groups_are_whole():
    train, test = parts(groups=GROUPS)
    assert not set(GROUPS[train.ids()]) & set(GROUPS[test.ids()]) and test.shape[1] == 12


def test_classes_are_in_like_shares():
    _, test = parts(CLASSES)
    assert CLASSES[test.ids()].value_counts().to_dict() == {"common": 10, "rare": 2}
    # numbers have no classes: any samples
    chosen = {tuple(parts(PH, random_seed=seed)[1].ids() < "10") for seed in range(8)}
    assert len({sum(rare) for rare in chosen}) > 1


def test_the_same_seed_gives_the_same_tables():
    first, again, other = (parts(random_seed=seed)[1].ids().tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_samples_without_a_value_or_group_are_in_neither_with_a_count():
    target, groups = PH.copy(), GROUPS.copy()
    target["05"], groups["06"] = np.nan, None
    with told() as messages:
        train, test = parts(target, groups)
    assert sorted([*train.ids(), *test.ids()]) == sorted(set(IDS) - {"05", "06"})
    assert messages == [
        "1 of the table's 60 samples have no value in column 'ph' and were left out: 05.",
        "1 of the table's 59 samples have no value in column 'site' and were left out: 06.",
    ]


def test_samples_that_are_not_in_the_metadata_are_refused_or_left_out():
    target = PH.drop(["05", "06"])
    message = "2 of the table's 60 samples are not in the metadata: 05, 06."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        parts(target)
    with told() as messages:
        train, test = parts(target, missing_samples="ignore")
    assert sorted([*train.ids(), *test.ids()]) == list(target.index)
    assert messages == ["2 of the table's 60 samples are not in the metadata and were left out: 05, 06."]


def test_uneven_groups_are_warned_of():
    with told() as messages:
        _, test = parts(groups=pd.Series(["a"] * 36 + ["b"] * 24, index=IDS, name="site"))
    assert test.shape[1] == 24
    assert messages == [
        "The test table has 24 of 60 samples (40% instead of 20%): the samples of a group stay together, and the 2 "
        "groups are few or uneven."
    ]


def test_one_group_or_one_sample_is_refused():
    with pytest.raises(ValueError) as error:
        parts(groups=pd.Series("a", index=IDS, name="site"))
    assert str(error.value) == (
        "The table is to be parted in two, but all its samples are of one group. Choose another group column, or leave "
        "it out."
    )
    with pytest.raises(ValueError) as error, told():
        parts(PH.where(PH.index == "03"))
    assert str(error.value) == (
        "The table is to be parted in two, but only one of its samples has a value. Give a table of more samples, or "
        "the metadata of more of them."
    )


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_shares_that_leave_a_table_empty_are_refused(share):
    with pytest.raises(ValueError, match=f"^share must be between 0 and 1, but is {share}.$"):
        parts(share=share)


@pytest.mark.parametrize("kind", ["Frequency", "RelativeFrequency", "PresenceAbsence"])
def test_tables_keep_their_type(kind):
    counts = table()
    if kind == "RelativeFrequency":
        counts = counts.norm(axis="sample", inplace=False)
    elif kind == "PresenceAbsence":
        counts = counts.pa(inplace=False)
    artifact = Artifact.import_data(f"FeatureTable[{kind}]", counts)
    made = plugin.methods["split_samples"](table=artifact, metadata=as_column(PH))
    for part in (made.train_table, made.test_table):
        assert str(part.type) == f"FeatureTable[{kind}]"
        view = part.view(biom.Table)
        assert view == counts.filter(set(view.ids()), inplace=False).remove_empty("observation")
