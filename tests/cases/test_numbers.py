"""Columns of numbers: what no one means to learn from is refused or told of, before any work."""

import numpy as np
import pytest

from .inputs import GoesOn, outcome

CASES = {
    "the same number everywhere": (
        lambda g: g.fit(g.column([5] * 30)),
        "column 'x' has the same value (5) in all 30 training samples: there is nothing to learn. Choose another "
        "column.",
    ),
    "numbers as large as 1e300": (
        lambda g: g.fit(g.column([1e300, *g.ph[1:]])),
        "column 'x': 1 samples have numbers too large for float32: s01. Rescale the column.",
    ),
    "two numbers": (
        lambda g: g.fit(g.column([0, 1] * 15)),
        GoesOn(
            "'x' has two values only, 0 and 1, and is read as numbers: predictions will lie anywhere between and "
            "beyond them. If they stand for classes, declare the column categorical in the metadata file (a row "
            "'#q2:types' below the header).",
        ),
    ),
    "a code for missing values": (
        lambda g: g.fit(g.column([-999, *g.ph[1:]])),
        "column 'x' has numbers far beyond all others (4.16 to 9.47), as codes for missing values are: -999 (s01). "
        "Leave these cells empty. If they were measured, leave them empty all the same: such a value alone would "
        "decide what is fitted.",
    ),
    "a number far beyond all others": (
        lambda g: g.fit(g.column([1000, *g.ph[1:]])),
        GoesOn(
            "1 of 30 values of 'x' lie far beyond all others, of which four fifths are between 4.769 and 8.545: 1000 "
            "(s01). They decide what is fitted, and scores such as R2. If they are mistakes, mend them or leave the "
            "cells empty; if values range over magnitudes, set target_transform to 'log1p'.",
        ),
    ),
    "a row number": (
        lambda g: g.fit(g.column(range(1, 31))),
        GoesOn(
            "'x' looks like a row number: 30 samples have different whole numbers, from 1 to 30 almost without a gap. "
            "If they were merely counted up, they are no property of a sample, and scores of them mean at best that "
            "samples were numbered in some order: choose another column. If they were measured (days in a row, say), "
            "nothing is wrong.",
        ),
    ),
    "a value in one sample alone": (
        lambda g: g.fit(g.column([5] + [np.nan] * 29)),
        "column 'x': there is 1 sample to learn from (s01); two or more are needed.",
    ),
    "no value at all": (
        lambda g: g.fit(g.column([np.nan] * 30 + [5], ids=[*g.ids, "elsewhere"])),
        "no sample of the table has a value in the metadata column 'x'. Choose another column.",
    ),
    "a logarithm of -1": (
        lambda g: g.fit(g.column([-1, *g.ph[1:]]), target_transform="log1p"),
        "column 'x': 1 samples have values of -1 or less, of which log(1 + x) is not defined: s01. Use another "
        "target_transform, such as 'zscore'.",
    ),
    "numbers with NA among them": (
        lambda g: g.fit(g.column([*map(str, g.ph[1:]), "NA"])),
        "column 'x' has numbers in 29 of 30 samples, but no number in 1: 'NA' (s30). All would be read as classes. "
        "Correct these cells or leave them empty, and declare the column numeric in the metadata file (a row "
        "'#q2:types' below the header).",
    ),
    "numbers with <4 among them": (
        lambda g: g.fit(g.column([*map(str, g.ph[1:]), "<4"])),
        "column 'x' has numbers in 29 of 30 samples, but no number in 1: '<4' (s30). All would be read as classes. "
        "Correct these cells or leave them empty, and declare the column numeric in the metadata file (a row "
        "'#q2:types' below the header).",
    ),
    "numbers with inf among them": (
        lambda g: g.fit(g.column([*map(str, g.ph[1:]), "inf"])),
        "column 'x' has numbers in 29 of 30 samples, but no number in 1: 'inf' (s30). All would be read as classes. "
        "Correct these cells or leave them empty, and declare the column numeric in the metadata file (a row "
        "'#q2:types' below the header).",
    ),
    "decimal commas": (
        lambda g: g.fit(g.column([str(value).replace(".", ",") for value in g.ph])),
        "column 'x' has numbers with a comma in 30 of 30 samples: '4,0' (s01), '4,16' (s24), '4,26' (s06), '4,31' "
        "(s19), '4,82' (s15), ... (30 in all). They would be read as classes. Write points for decimal commas, and "
        "nothing between thousands.",
    ),
    "numbers with a unit": (
        lambda g: g.fit(g.column([f"{value} mg/l" for value in g.ph])),
        "column 'x' has numbers with a unit (mg/l) in 30 of 30 samples: '4.0 mg/l' (s01), '4.16 mg/l' (s24), '4.26 "
        "mg/l' (s06), '4.31 mg/l' (s19), '4.82 mg/l' (s15), ... (30 in all). They would be read as classes. Write the "
        "numbers alone, and declare the column numeric in the metadata file (a row '#q2:types' below the header).",
    ),
    "percentages": (
        lambda g: g.fit(g.column([f"{value}%" for value in g.ph])),
        "column 'x' has numbers with a unit (%) in 30 of 30 samples: '4.0%' (s01), '4.16%' (s24), '4.26%' (s06), "
        "'4.31%' (s19), '4.82%' (s15), ... (30 in all). They would be read as classes. Write the numbers alone, and "
        "declare the column numeric in the metadata file (a row '#q2:types' below the header).",
    ),
    "measurements that are declared categorical": (
        lambda g: g.fit(g.column([f"{value:.2f}" for value in g.ph])),
        "The head needs inner folds whose training samples hold every class, but each class is of one sample only. "
        "Choose a column whose classes several samples share.",
    ),
    "days": (
        lambda g: g.fit(g.column([f"2020-03-{1 + n % 15:02d}" for n in range(30)])),
        GoesOn(
            "The values of 'x' look like dates, which are read as classes without order. To predict a time, give "
            "numbers, such as days since the first sample; if samples of a day are a class, nothing is wrong.",
            "15 of 15 classes of 'x' have fewer than 10 samples: 2020-03-01 (2), 2020-03-02 (2), 2020-03-03 (2), "
            "2020-03-04 (2), 2020-03-05 (2), ... (15 in all). A model learns little from so few, and scores on so few "
            "are largely chance; so is balanced accuracy, in which such a class weighs as much as a large one. Add "
            "samples of it, merge it with a class that it resembles, or leave its samples out.",
        ),
    ),
    "days as a spreadsheet makes them": (
        lambda g: g.fit(g.column([f"{1 + n % 3}-Mar" for n in range(30)])),
        GoesOn(
            "The values of 'x' look like dates, which are read as classes without order. To predict a time, give "
            "numbers, such as days since the first sample; if samples of a day are a class, nothing is wrong.",
        ),
    ),
    "numbers with NA among them, in fine-tune": (
        lambda g: g.fine_tune(g.column([*map(str, g.ph[1:]), "NA"])),
        "column 'x' has numbers in 29 of 30 samples, but no number in 1: 'NA' (s30). All would be read as classes. "
        "Correct these cells or leave them empty, and declare the column numeric in the metadata file (a row "
        "'#q2:types' below the header).",
    ),
    "numbers with NA among them, in cross-validate": (
        lambda g: g.cross_validate(g.column([*map(str, g.ph[1:]), "NA"])),
        "column 'x' has numbers in 29 of 30 samples, but no number in 1: 'NA' (s30). All would be read as classes. "
        "Correct these cells or leave them empty, and declare the column numeric in the metadata file (a row "
        "'#q2:types' below the header).",
    ),
    "the same number everywhere, in cross-validate": (
        lambda g: g.cross_validate(g.column([5] * 30)),
        "column 'x' has the same value (5) in all 30 training samples: there is nothing to learn. Choose another "
        "column.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
