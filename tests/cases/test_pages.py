"""What pages and maturity are drawn from."""

import pandas as pd
import pytest

from .inputs import outcome

CASES = {
    "predictions of other samples, in evaluate": (
        lambda g: g.evaluate(g.frame["ph"].rename(lambda one: f"t{one}")),
        "30 predicted samples are not in the metadata: ts01, ts02, ts03, ts04, ts05 and 25 more. Add them to the "
        "metadata file, or set missing_samples to 'ignore' to evaluate the others.",
    ),
    "predictions of some samples that metadata lacks, in evaluate": (
        lambda g: g.evaluate(column=g.column(g.ph[2:], "ph", g.ids[2:])),
        "2 predicted samples are not in the metadata: s01, s02. Add them to the metadata file, or set missing_samples "
        "to 'ignore' to evaluate the others.",
    ),
    "predicted classes for a numeric column": (
        lambda g: g.evaluate(g.frame["habitat"]),
        "The metadata column 'ph' is numeric, but 30 predictions are not a finite number: sample s01 is predicted "
        "'bog'. Give the numeric column that the model was fitted to; or, if 'ph' holds classes written as numbers, "
        "declare it categorical in the metadata file (a row '#q2:types' below the header).",
    ),
    "predicted numbers for a categorical column": (
        lambda g: g.evaluate(column=g.own("habitat")),
        "The metadata column 'habitat' is categorical, but the predictions are numbers and none is a class of it: "
        "sample s01 is predicted '4.0'. Give the categorical column that the model was fitted to; or, if 'habitat' "
        "holds numbers, declare it numeric in the metadata file (a row '#q2:types' below the header).",
    ),
    "a certainty of other samples": (
        lambda g: g.evaluate(certainty=pd.DataFrame({"lower": 0.0, "upper": 9.0}, index=["t1"])),
        "The certainty has no row for 30 evaluated samples: s01, s02, s03, s04, s05 and 25 more. Give the certainty "
        "that came with these predictions.",
    ),
    "a certainty that is upside down": (
        lambda g: g.evaluate(certainty=pd.DataFrame({"lower": 9.0, "upper": 0.0}, index=g.ids)),
        "The certainty of 30 samples is no interval (an end is missing, or the upper end is below the lower): s01, "
        "s02, s03, s04, s05 and 25 more.",
    ),
    "a certainty of classes for numbers": (
        lambda g: g.evaluate(certainty=pd.DataFrame({"bog": 0.5, "fen": 0.5}, index=g.ids)),
        "The metadata column 'ph' is numeric, so the certainty must hold intervals, in columns 'lower' and 'upper'; "
        "its columns are: bog, fen. Give the certainty that came with these predictions.",
    ),
    "a novelty of other samples": (
        lambda g: g.evaluate(novelty=pd.DataFrame({"unseen_read_share": 0.0}, index=["t1"])),
        "The novelty has no row for 30 evaluated samples: s01, s02, s03, s04, s05 and 25 more. Give the novelty that "
        "came with these predictions.",
    ),
    "groups of other samples, in evaluate": (
        lambda g: g.evaluate(groups=g.renamed(lambda one: f"t{one}", "site")),
        "30 evaluated samples are not in the metadata of the groups: s01, s02, s03, s04, s05 and 25 more. Add them to "
        "that metadata file, or set missing_samples to 'ignore'.",
    ),
    "a control that no cohort is called": (
        lambda g: g.maturity(control="healthy"),
        "No predicted sample has the value 'healthy' (control) of 'habitat'; there are bog, fen, heath. Name one of "
        "these.",
    ),
    "too few controls": (
        lambda g: g.maturity(),
        "Only 7 controls ('bog') of 7 subjects have a true value near which there are controls of 2 other subjects: "
        "it takes 10 of 3 to say how far controls spread. Add controls whose true values are nearer to each other.",
    ),
    "classes in place of numbers, in maturity": (
        lambda g: g.maturity(g.frame["habitat"]),
        "30 of 30 predictions are no finite numbers: sample s01 is predicted 'bog'. Give the predictions of a numeric "
        "column.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_pages(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
