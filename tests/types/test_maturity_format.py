"""The format of `maturity`: what is refused, by line and column."""

import json

import pytest

from q2_aam.framework import ValidationError
from q2_aam.types import AAMMaturityDescriptionFormat, AAMMaturityFormat
from q2_aam.types._maturity import MATURITY, MATURITY_COLUMNS

HEADER = "SampleID\t" + "\t".join(MATURITY_COLUMNS) + "\n"
KNOWN = "a\t1\t2.5\tcontrol\tinfant\t3\t2\t0.5\t0.5\t1\t\n"
UNKNOWN = "b\t90\t2.5\tlate\t\t0\t\t\t\t\tbeyond\n"


def check(text, path, kind=AAMMaturityFormat):
    path.write_text(text)
    kind(str(path), mode="r").validate("max")


def refused(text, path, kind=AAMMaturityFormat):
    with pytest.raises(ValidationError) as error:
        check(text, path, kind)
    return str(error.value).split("\n\n")[-1]


def test_a_whole_file_is_accepted(tmp_path):
    check(HEADER + KNOWN + UNKNOWN, tmp_path / "maturity.tsv")


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("\t0.5\t0.5\t1\t", "\t0\t0.5\t1\t", "maturity.tsv line 2, column spread: 0 is not above 0."),
        (
            "2.5",
            "much",
            "maturity.tsv line 2, column predicted: 'much' is not a finite number. Write a number such as 1.5.",
        ),
        ("\tcontrol\t", "\t\t", "maturity.tsv line 2, column cohort is empty. Fill it in."),
        (
            "\t0.5\t1\t\n",
            "\t0.5\t\t\n",
            "maturity.tsv line 2: expected, spread, difference, z must all be there, or be empty with a reason.",
        ),
        (
            "\t1\t\n",
            "\t1\tbeyond\n",
            "maturity.tsv line 2: expected, spread, difference, z must all be there, or be empty with a reason.",
        ),
        ("b\t90", "a\t90", "maturity.tsv line 3: the ID 'a' stands in line 2 already. Keep one row of each."),
        (
            "\tspread\t",
            "\tsd\t",
            "maturity.tsv line 1 has the columns "
            + ", ".join(["SampleID", *MATURITY_COLUMNS]).replace("spread", "sd")
            + f"; they must be SampleID, {', '.join(MATURITY_COLUMNS)}, separated by tabs.",
        ),
    ],
)
def test_what_is_refused(tmp_path, old, new, sentence):
    text = HEADER + KNOWN + UNKNOWN
    assert old in text
    assert refused(text.replace(old, new, 1), tmp_path / "maturity.tsv") == sentence


def test_what_its_description_must_hold(tmp_path):
    texts = dict.fromkeys(("target", "cohorts", "control"), "x")
    lists = dict.fromkeys(("curve", "compared", "ranges", "notes"), [])
    whole = {"schema_version": 1, **texts, **lists, "subjects": None, "near": 1, "spread_by_age": True, "origin": None}
    path, kind = tmp_path / "maturity.json", AAMMaturityDescriptionFormat
    check(json.dumps(whole), path, kind)
    keys = f"maturity.json must have schema_version 1 and the keys {', '.join(MATURITY)}"
    assert refused(json.dumps({k: whole[k] for k in whole if k != "curve"}), path, kind) == f"{keys}; it lacks curve."
    assert refused(json.dumps(whole | {"schema_version": 2}), path, kind) == f"{keys}, but has 2."
