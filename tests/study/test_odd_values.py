"""Values of metadata columns that are hardly what they would be read as."""

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.cautions import cautions
from q2_aam.study.odd_values import refuse_odd_values
from q2_aam.study.study import read_study

from .small import IDS, SEQUENCES, refused, table_of

SEVERAL = "They would be different classes. Write them alike."


def column(values, name="ph"):
    values = list(values)
    return pd.Series(values, index=[f"s{i}" for i in range(len(values))], name=name, dtype=object)


def numbers(values, name="ph"):
    return column(values, name).astype(float)


def measured(n=50):
    return [f"{4 + i / 10:.1f}" for i in range(n)]


FIFTY = "column 'ph' has numbers in 50"
DECLARE = (
    "All would be read as classes. Correct these cells or leave them empty, and declare the column numeric in the "
    "metadata file (a row '#q2:types' below the header)."
)
COMMA = "They would be read as classes. Write points for decimal commas, and nothing between thousands."
MISSING = (
    "They would be read as a class. Leave these cells empty; if a class is really meant, give it another name."
)
CODES = (
    "Leave these cells empty. If they were measured, leave them empty all the same: such a value alone would decide "
    "what is fitted."
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([*measured(), "NA"], f"{FIFTY} of 51 samples, but no number in 1: 'NA' (s50). {DECLARE}"),
        (
            [*measured(), "<20", "not applicable", "<20"],
            f"{FIFTY} of 53 samples, but no number in 3: '<20' (s50, s52), 'not applicable' (s51). {DECLARE}",
        ),
        ([*measured(), "inf"], f"{FIFTY} of 51 samples, but no number in 1: 'inf' (s50). {DECLARE}"),
        ([*measured(), "#VALUE!"], f"{FIFTY} of 51 samples, but no number in 1: '#VALUE!' (s50). {DECLARE}"),
        ([*measured(), "6,5"], f"column 'ph' has numbers with a comma in 1 of 51 samples: '6,5' (s50). {COMMA}"),
        (
            ["71,093", *(f"{n},5" for n in range(12))],
            "column 'ph' has numbers with a comma in 13 of 13 samples: '0,5' (s1), '1,5' (s2), '10,5' (s11), '11,5' "
            f"(s12), '2,5' (s3), ... (13 in all). {COMMA}",
        ),
        (
            ["bog"] * 5 + ["not collected"] * 2 + ["Missing"],
            "column 'ph' has words for a missing value in 3 of 8 samples: 'not collected' (s5, s6), 'Missing' (s7). "
            f"{MISSING}",
        ),
        (
            ["bog", "fen", "missing: control sample", "not_provided", "restricted access"],
            "column 'ph' has words for a missing value in 3 of 5 samples: 'missing: control sample' (s2), "
            f"'not_provided' (s3), 'restricted access' (s4). {MISSING}",
        ),
        (
            ["Forest", "forest", "bog", "forest"],
            "column 'ph' has values that differ in capitals, blanks, hyphens or underscores alone: 'forest' (s1, s3), "
            f"'Forest' (s0). {SEVERAL}",
        ),
        (
            ["sea water", "sea_water", "sea  water", "bog"],
            "column 'ph' has values that differ in capitals, blanks, hyphens or underscores alone: 'sea  water' (s2), "
            f"'sea water' (s0), 'sea_water' (s1). {SEVERAL}",
        ),
        (
            ["bog\nfen", "bog", "a\tb"],
            "column 'ph' has values with a line break or tab in them: 'a\\tb' (s2), 'bog\\nfen' (s0). Files of "
            "predictions could not hold such a name. Rename them in the metadata.",
        ),
    ],
)
def test_text_that_nobody_means_is_refused_with_its_samples(values, message):
    with refused(message):
        refuse_odd_values(column(values))


@pytest.mark.parametrize(
    "values",
    [
        ["bog", "fen", "NA", "nan", "None", " ", "n/a"],
        # Names of plots.
        ["1", "2", "3", "control"] * 10,
        [f"P{i}" for i in range(30)] + ["1", "2"],
        ["12", "7", "3"] * 5,
        ["fen", "fens", "bog"],
        ["missing link", "not applicable here"],
        ["Zürich", "zurich"],
        ["vélo", None, np.nan],
    ],
)
def test_classes_stay_what_they_are(values):
    refuse_odd_values(column(values))


def test_groups_may_be_numbers_and_words():
    mixed = column([*map(str, range(40)), "A7"], "subject")
    refuse_odd_values(mixed, numbers=False)
    with pytest.raises(ValueError, match="^column 'subject' has numbers in 40 of 41 samples"):
        refuse_odd_values(mixed)


@pytest.mark.parametrize(
    ("code", "shown"), [(-999, "-999"), (-9999, "-9999"), (999, "999"), (99, "99"), (1e9, "1e+09"), (-99, "-99")]
)
def test_codes_for_missing_values_are_refused(code, shown):
    values = numbers([4.5, 5.5, 6.5, 7, 8.5, 8, code, code])
    with refused(
        f"column 'ph' has numbers far beyond all others (4.5 to 8.5), as codes for missing values are: {shown} (s6, "
        f"s7). {CODES}"
    ):
        refuse_odd_values(values)


def test_several_codes():
    with refused(
        "column 'ph' has numbers far beyond all others (4 to 8), as codes for missing values are: -9999 (s5), 999 "
        f"(s6). {CODES}"
    ):
        refuse_odd_values(numbers([4, 5, 6, 7, 8, -9999, 999]))


@pytest.mark.parametrize(
    "values",
    [
        # Inside, or beside what others have.
        [0, 200, 500, 999, 1500, 1800],
        [10, 400, 800, 600, 300, 999],
        [90, 95, 92, 97, 99, 98],
        # No code, however far: that is told, not refused.
        [4, 5, 6, 7, 8, 80],
        # Of so few nobody can tell.
        [4, 5, 999],
        [999] * 8,
        [],
    ],
)
def test_numbers_stay_what_they_are(values):
    refuse_odd_values(numbers(values))


@pytest.mark.parametrize("role", ["target", "groups", "covariates"])
def test_a_study_refuses_them_in_every_column_that_it_reads(role):
    frame = pd.DataFrame({"ph": [1.0, 2, 3, 4], "site": ["Bog", "bog", "fen", "fen"]}, index=IDS)
    given = {"target": "ph", role: ["site"] if role == "covariates" else "site"}
    with refused(
        "column 'site' has values that differ in capitals, blanks, hyphens or underscores alone: 'Bog' (s0), 'bog' "
        f"(s1). {SEVERAL}"
    ):
        read_study(table_of(), SEQUENCES, metadata=frame, **given)


def test_a_study_reads_its_own_samples_alone():
    frame = pd.DataFrame({"site": ["bog", "fen", "bog", "fen", "Bog"]}, index=[*IDS, "elsewhere"])
    assert len(read_study(table_of(), SEQUENCES, metadata=frame, target="site")) == 4


# What is told


def test_two_values_of_a_numeric_column():
    sentence = (
        "'case' has two values only, 0 and 1, and is read as numbers: predictions will lie anywhere between and beyond "
        "them. If they stand for classes, declare the column categorical in the metadata file (a row '#q2:types' below "
        "the header)."
    )
    assert cautions(numbers([0, 1] * 30, "case")) == [sentence]
    assert cautions(numbers([0, 1, 2] * 20, "case")) == []
    assert cautions(column(["0", "1"] * 30, "case")) == []


def test_values_far_beyond_all_others():
    values = np.random.default_rng(0).normal(7, 1, 99).round(2)
    assert cautions(numbers(values)) == []
    (sentence,) = cautions(numbers([*values, 5000]))
    low, high = np.quantile([*values, 5000], [0.1, 0.9])
    assert sentence == (
        f"1 of 100 values of 'ph' lie far beyond all others, of which four fifths are between {low:g} and {high:g}: "
        "5000 (s99). They decide what is fitted, and scores such as R2. If they are mistakes, mend them or leave the "
        "cells empty; if values range over magnitudes, set target_transform to 'log1p'."
    )
    # Many zeros, and what is skewed throughout, are no mistakes.
    assert cautions(numbers([0] * 95 + [1, 2, 3, 4, 5])) == []
    assert cautions(numbers(np.random.default_rng(0).exponential(1, 200))) == []


@pytest.mark.parametrize(
    "dates",
    [
        ["2020-03-01", "2020-03-02", "2021-12-31"],
        ["1.3.2020", "2.3.2020", "3/4/20"],
        ["2020-03-01T10:00", "2019/4", "2018-1"],
    ],
)
def test_dates(dates):
    assert cautions(column(dates * 20, "day")) == [
        "The values of 'day' look like dates, which are read as classes without order. To predict a time, give "
        "numbers, such as days since the first sample; if samples of a day are a class, nothing is wrong."
    ]
    assert cautions(column([*dates[:2] * 30], "day")) == []


def test_classes_that_other_programs_read_as_missing():
    assert cautions(column(["NA", "bog", "None"] * 20, "habitat")) == [
        "'habitat' has classes that other programs read as missing values: 'NA' (20), 'None' (20). Here they are "
        "classes like any other. If they mean that nothing is known, leave these cells empty."
    ]
