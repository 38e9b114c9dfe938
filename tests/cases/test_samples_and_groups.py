"""Samples that metadata lacks, and groups."""

import pytest

from .inputs import GoesOn, outcome

CASES = {
    "no sample in common": (
        lambda g: g.fit(g.renamed(lambda one: f"t{one[1:]}5")),
        "none of the table's 30 samples (s01, s02, s03, s04, s05, ... (30 in all)) is in the metadata (t015, t025, "
        "t035, t045, t055, ... (30 in all)). Check that both name their samples alike.",
    ),
    "names in capitals": (
        lambda g: g.fit(g.renamed(str.upper)),
        "none of the table's 30 samples (s01, s02, s03, s04, s05, ... (30 in all)) is in the metadata (S01, S02, S03, "
        "S04, S05, ... (30 in all)). They are there in another spelling: 's01' is 'S01' in the metadata. Name them "
        "alike.",
    ),
    "names with a prefix": (
        lambda g: g.fit(g.renamed(lambda one: f"run1.{one}")),
        "none of the table's 30 samples (s01, s02, s03, s04, s05, ... (30 in all)) is in the metadata (run1.s01, "
        "run1.s02, run1.s03, run1.s04, run1.s05, ... (30 in all)). Those in the metadata have 'run1.' before the same "
        "names. Name them alike.",
    ),
    "names with a suffix": (
        lambda g: g.fit(g.renamed(lambda one: f"{one}_L001")),
        "none of the table's 30 samples (s01, s02, s03, s04, s05, ... (30 in all)) is in the metadata (s01_L001, "
        "s02_L001, s03_L001, s04_L001, s05_L001, ... (30 in all)). Those in the metadata have '_L001' behind the same "
        "names. Name them alike.",
    ),
    "names without the table's prefix": (
        lambda g: g.fit(table=g.samples_called(lambda one: f"run1.{one}")),
        "none of the table's 30 samples (run1.s01, run1.s02, run1.s03, run1.s04, run1.s05, ... (30 in all)) is in the "
        "metadata (s01, s02, s03, s04, s05, ... (30 in all)). Those in the metadata lack 'run1.' before the same "
        "names. Name them alike.",
    ),
    "one sample in common": (
        lambda g: g.fit(g.renamed(lambda one: one if one == "s01" else f"t{one}"), missing_samples="ignore"),
        "column 'ph': there is 1 sample to learn from (s01); two or more are needed.",
    ),
    "two samples lack": (
        lambda g: g.fit(g.column(g.ph[2:], ids=g.ids[2:])),
        "2 of the table's 30 samples are not in the metadata: s01, s02. Add them to the metadata, filter them from "
        "the table, or set missing_samples to 'ignore'.",
    ),
    "two samples lack and are left out": (
        lambda g: g.fit(g.column(g.ph[2:], ids=g.ids[2:]), missing_samples="ignore"),
        GoesOn(
            "2 of the table's 30 samples are not in the metadata and were left out: s01, s02.",
            "Only 28 samples have a value of 'x'. With fewer than 50, scores are rough: on other samples of the same "
            "kind they may be quite different, and small differences between models mean nothing. Add samples before "
            "you build on the scores.",
        ),
    ),
    "groups of other samples": (
        lambda g: g.fit(groups=g.renamed(lambda one: f"t{one}", "site")),
        "none of the table's 30 samples (s01, s02, s03, s04, s05, ... (30 in all)) is in the metadata (ts01, ts02, "
        "ts03, ts04, ts05, ... (30 in all)). Those in the metadata have 't' before the same names. Name them alike.",
    ),
    "groups of some samples": (
        lambda g: g.fit(groups=g.column(g.frame["site"][:25], "site")),
        "5 of the table's 30 samples are not in the metadata: s26, s27, s28, s29, s30. Add them to the metadata, "
        "filter them from the table, or set missing_samples to 'ignore'.",
    ),
    "one group": (
        lambda g: g.fit(groups=g.column(["here"] * 30, "site")),
        "All 30 samples are of one group ('here'): settings and errors are learnt from groups that are left out, "
        "which takes two or more. Leave groups out, or choose another column.",
    ),
    "one group, in fine-tune": (
        lambda g: g.fine_tune(groups=g.column(["here"] * 30, "site")),
        "All samples are of one group: two parts need two groups or more. Choose another group column, leave it out, "
        "or set the share of the validation part to 0.",
    ),
    "one group, in split-samples": (
        lambda g: g.split(groups=g.column(["here"] * 30, "site")),
        "The table is to be parted in two, but all its samples are of one group. Choose another group column, or "
        "leave it out.",
    ),
    "two groups": (
        lambda g: g.fitted(groups=g.column(["here", "there"] * 15, "site")),
        GoesOn(
            "The groups are too few (2) for intervals of 90%: these are as wide as the largest error instead. Add "
            "groups.",
        ),
    ),
    "groups that differ in capitals": (
        lambda g: g.fit(groups=g.column(["S1", "s1", "S2"] * 10, "subject")),
        "column 'subject' has values that differ in capitals, blanks, hyphens or underscores alone: 'S1' (s01, s04, "
        "s07, s10, s13, ... (10 in all)), 's1' (s02, s05, s08, s11, s14, ... (10 in all)). They would be different "
        "classes. Write them alike.",
    ),
    "groups with a word for missing values": (
        lambda g: g.fit(groups=g.column(["not collected", "S1", "S2"] * 10, "subject")),
        "column 'subject' has words for a missing value in 10 of 30 samples: 'not collected' (s01, s04, s07, s10, "
        "s13, ... (10 in all)). They would be read as a class. Leave these cells empty; if a class is really meant, "
        "give it another name.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_samples_and_groups(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
