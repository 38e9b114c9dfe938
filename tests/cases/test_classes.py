"""Columns of classes: what no one means to learn from is refused or told of, before any work."""

import pytest

from .inputs import GoesOn, outcome

CASES = {
    "words for missing values": (
        lambda g: g.fit(g.classes("bog", "fen", "not collected")),
        "column 'x' has words for a missing value in 10 of 30 samples: 'not collected' (s03, s06, s09, s12, s15, ... "
        "(10 in all)). They would be read as a class. Leave these cells empty; if a class is really meant, give it "
        "another name.",
    ),
    "classes that say unknown": (
        lambda g: g.fit(g.classes("bog", "fen", "unknown")),
        GoesOn(
            "'x' has classes that seem to say that nothing is known: 'unknown' (10). They are learnt as classes like "
            "any other. If nothing is known of these samples, leave their cells empty.",
        ),
    ),
    "a class that is a question mark": (
        lambda g: g.fit(g.classes("bog", "fen", "?")),
        GoesOn(
            "'x' has classes that seem to say that nothing is known: '?' (10). They are learnt as classes like any "
            "other. If nothing is known of these samples, leave their cells empty.",
        ),
    ),
    "a class that is called NA": (
        lambda g: g.fit(g.classes("bog", "NA")),
        GoesOn(
            "'x' has classes that other programs read as missing values: 'NA' (15). Here they are classes like any "
            "other. If they mean that nothing is known, leave these cells empty.",
        ),
    ),
    "a class that is called null": (
        lambda g: g.fit(g.classes("bog", "null")),
        GoesOn(
            "'x' has classes that other programs read as missing values: 'null' (15). Here they are classes like any "
            "other. If they mean that nothing is known, leave these cells empty.",
        ),
    ),
    "capitals": (
        lambda g: g.fit(g.classes("Forest", "forest", "bog")),
        "column 'x' has values that differ in capitals, blanks, hyphens or underscores alone: 'Forest' (s01, s04, "
        "s07, s10, s13, ... (10 in all)), 'forest' (s02, s05, s08, s11, s14, ... (10 in all)). They would be "
        "different classes. Write them alike.",
    ),
    "underscores": (
        lambda g: g.fit(g.classes("sea water", "sea_water", "bog")),
        "column 'x' has values that differ in capitals, blanks, hyphens or underscores alone: 'sea water' (s01, s04, "
        "s07, s10, s13, ... (10 in all)), 'sea_water' (s02, s05, s08, s11, s14, ... (10 in all)). They would be "
        "different classes. Write them alike.",
    ),
    "blanks that do not break": (
        lambda g: g.fit(g.classes("sea water", "sea\u00a0water", "bog")),
        "column 'x' has values that differ in capitals, blanks, hyphens or underscores alone: 'sea water' (s01, s04, "
        "s07, s10, s13, ... (10 in all)), 'sea\\xa0water' (s02, s05, s08, s11, s14, ... (10 in all)). They would be "
        "different classes. Write them alike.",
    ),
    "signs that are not seen": (
        lambda g: g.fit(g.classes("fen", "f\u200ben", "bog")),
        "column 'x' has values that look the same, but for quotes or signs that are not seen: 'fen' (s01, s04, s07, "
        "s10, s13, ... (10 in all)), 'f\\u200ben' (s02, s05, s08, s11, s14, ... (10 in all)). They would be different "
        "classes. Write them alike.",
    ),
    "letters of two signs": (
        lambda g: g.fit(g.classes("f\u00fcr", "fu\u0308r", "bog")),
        "column 'x' has values that look the same, but for quotes or signs that are not seen: 'fu\\u0308r' (s02, s05, "
        "s08, s11, s14, ... (10 in all)), 'f\\xfcr' (s01, s04, s07, s10, s13, ... (10 in all)). They would be "
        "different classes. Write them alike.",
    ),
    "quotes": (
        lambda g: g.fit(g.classes('"fen"', "fen", "bog")),
        "column 'x' has values that look the same, but for quotes or signs that are not seen: '\"fen\"' (s01, s04, "
        "s07, s10, s13, ... (10 in all)), 'fen' (s02, s05, s08, s11, s14, ... (10 in all)). They would be different "
        "classes. Write them alike.",
    ),
    "a line break": (
        lambda g: g.fit(g.classes("bog\nfen", "heath")),
        "column 'x' has values with a line break or tab in them: 'bog\\nfen' (s01, s03, s05, s07, s09, ... (15 in "
        "all)). Files of predictions could not hold such a name. Rename them in the metadata.",
    ),
    "a tab": (
        lambda g: g.fit(g.classes("bog\tfen", "heath")),
        "column 'x' has values with a line break or tab in them: 'bog\\tfen' (s01, s03, s05, s07, s09, ... (15 in "
        "all)). Files of predictions could not hold such a name. Rename them in the metadata.",
    ),
    "a class that is called as IDs are": (
        lambda g: g.fit(g.classes("id", "bog")),
        "1 classes of column 'x' are called what QIIME 2 calls a column of IDs: id. No metadata can have a column of "
        "that name, and the probabilities of the classes could not be read. Rename these classes in the metadata.",
    ),
    "a class of 300 letters": (
        lambda g: g.fit(g.classes("x" * 300, "bog")),
        GoesOn(),
    ),
    "one class": (
        lambda g: g.fit(g.classes("bog")),
        "column 'x' has one class only ('bog') in the 30 training samples: two or more are needed. Choose another "
        "column, or samples of more classes.",
    ),
    "a class in each sample": (
        lambda g: g.fit(g.column(g.ids)),
        "The head needs inner folds whose training samples hold every class, but each class is of one sample only. "
        "Choose a column whose classes several samples share.",
    ),
    "a class of one sample": (
        lambda g: g.fitted(g.column(["bog"] + ["fen", "heath"] * 14 + ["fen"])),
        GoesOn(
            "1 of 3 classes of 'x' has fewer than 10 samples: bog (1). A model learns little from so few, and scores "
            "on so few are largely chance; so is balanced accuracy, in which such a class weighs as much as a large "
            "one. Add samples of it, merge it with a class that it resembles, or leave its samples out.",
            "1 of 30 samples have no out-of-fold prediction: s01. Each is the only one of its class (bog), which "
            "could not be learnt without it: how well it is predicted is not known, and scores leave it out.",
        ),
    ),
    "fifteen classes of two": (
        lambda g: g.fit(g.column([f"plot {n // 2}" for n in range(30)])),
        GoesOn(
            "15 of 15 classes of 'x' have fewer than 10 samples: plot 0 (2), plot 1 (2), plot 10 (2), plot 11 (2), "
            "plot 12 (2), ... (15 in all). A model learns little from so few, and scores on so few are largely "
            "chance; so is balanced accuracy, in which such a class weighs as much as a large one. Add samples of it, "
            "merge it with a class that it resembles, or leave its samples out.",
        ),
    ),
    "classes that are the groups": (
        lambda g: g.fit(g.own("site"), groups=g.own("site")),
        "The head needs inner folds whose training samples hold every class, but each class is in one group (or one "
        "sample) only. Leave groups out, or choose groups that hold several classes.",
    ),
    "a transform of classes": (
        lambda g: g.fit(g.own("habitat"), target_transform="log1p"),
        GoesOn(
            "target_transform is 'log1p', but the column is categorical: classes take no transform. Leave "
            "target_transform out.",
            "1 of 3 classes of 'habitat' has fewer than 10 samples: heath (9). A model learns little from so few, and "
            "scores on so few are largely chance; so is balanced accuracy, in which such a class weighs as much as a "
            "large one. Add samples of it, merge it with a class that it resembles, or leave its samples out.",
        ),
    ),
    "one class, in cross-validate": (
        lambda g: g.cross_validate(g.classes("bog")),
        "column 'x' has one class only ('bog') in the 30 training samples: two or more are needed. Choose another "
        "column, or samples of more classes.",
    ),
    "capitals, in split-samples": (
        lambda g: g.split(metadata=g.classes("Forest", "forest", "bog")),
        "column 'x' has values that differ in capitals, blanks, hyphens or underscores alone: 'Forest' (s01, s04, "
        "s07, s10, s13, ... (10 in all)), 'forest' (s02, s05, s08, s11, s14, ... (10 in all)). They would be "
        "different classes. Write them alike.",
    ),
    "words for missing values, in predict-baselines": (
        lambda g: g.baselines(metadata=g.classes("bog", "fen", "not collected")),
        "column 'x' has words for a missing value in 10 of 30 samples: 'not collected' (s03, s06, s09, s12, s15, ... "
        "(10 in all)). They would be read as a class. Leave these cells empty; if a class is really meant, give it "
        "another name.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_classes(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
