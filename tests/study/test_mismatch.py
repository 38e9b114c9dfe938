"""Why the features of a table are not found elsewhere: both sides shown, the likely cause named."""

import hashlib

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.study.mismatch import how_to_find, likely_cause
from q2_aam.study.study import read_study

from .small import refused

TEXTS = ["ACGTACGTACGTACGTACGTAC", "ACGTACGTACGTACGTACGTGG", "ACGTACGTACGTACGTACGTTT"]


def hashes(kind):
    return [kind(text.encode()).hexdigest() for text in TEXTS]


SPELLING = "They are there in another spelling: 'ASV_1' is 'asv 1' in the tree. Name them alike."
HASHED = "They are hashes, while the names in the tree are the sequences themselves. Name them alike."
UNHASHED = "They are sequences, while the names in the tree are their hashes. Name them alike."
TAXA = "They are names of taxa, as of a collapsed table: give the table of ASVs that it was made from."


@pytest.mark.parametrize(
    ("missing", "known", "cause"),
    [
        (["k__Bacteria;p__Firmicutes", "d__Bacteria; p__X", "Unassigned"], ["f0"], TAXA),
        (["g__Blautia"], [], TAXA),
        (["ASV_1", "asv_2"], ["asv 1", "ASV 2"], SPELLING),
        (["f0"], ["'f0'"], "They are there in another spelling: 'f0' is \"'f0'\" in the tree. Name them alike."),
        (hashes(hashlib.md5), TEXTS, HASHED),
        (hashes(hashlib.sha1), TEXTS, HASHED),
        (TEXTS, hashes(hashlib.md5), UNHASHED),
        (hashes(hashlib.md5), hashes(hashlib.sha1), ""),
        (["f0", "f1", "k__Bacteria"], ["g0"], ""),
        (TEXTS, ["f0"], ""),
    ],
)  # fmt: skip
def test_the_likely_cause(missing, known, cause):
    assert likely_cause(missing, known, "the tree") == cause


def test_leaving_out_is_offered_only_where_something_is_left():
    give = "Give the phylogeny that was made for this table"
    assert how_to_find(["f1"], {"f0"}, "the phylogeny", False) == (
        f"{give}, or set missing_features to 'ignore' to leave these features out."
    )
    assert how_to_find(["f1"], ["g0", "g1"], "the phylogeny", True) == f"None of them is there, but g0, g1. {give}."


def test_samples_in_another_spelling():
    table = biom.Table(np.ones((1, 2)), [TEXTS[0]], ["S-1", "S-2"])
    column = pd.Series([1.0, 2.0], index=["s_1", "s_2"], name="ph")
    with refused(
        "none of the table's 2 samples (S-1, S-2) is in the metadata (s_1, s_2). They are there in another spelling: "
        "'S-1' is 's_1' in the metadata. Name them alike."
    ):
        read_study(table, target=column)


def test_a_table_of_taxa_is_told_so():
    names = ["k__Bacteria;p__Firmicutes", "k__Bacteria;p__Bacteroidota"]
    table = biom.Table(np.ones((2, 2)), names, ["s0", "s1"])
    with refused(
        f"2 of 2 features have no sequence: {names[0]}, {names[1]}. Their IDs are no nucleotide sequences and are not "
        f"among the sequences. None of them is there, but f0. {TAXA}"
    ):
        read_study(table, {"f0": "ACGT"})
    with refused(
        f"2 of 2 features have no sequence: {names[0]}, {names[1]}. Their IDs are no nucleotide sequences and no "
        f"sequences were given. {TAXA}"
    ):
        read_study(table)
