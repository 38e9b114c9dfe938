"""Covariates that tell nothing or too much, or that the model does not know."""

import numpy as np
import pytest

from q2_aam.framework import qiime2

from .inputs import GoesOn, outcome

CASES = {
    "a covariate that is the same everywhere": (
        lambda g: g.fit(covariates=g.metadata(depth=[1.0] * 30)),
        "Covariate 'depth' has the same value (1) in all 30 training samples that have one: nothing can be learnt of "
        "it. Leave it out of the covariates.",
    ),
    "a covariate of a category in each sample": (
        lambda g: g.fit(covariates=g.metadata(plot=g.ids)),
        "Covariate 'plot' has another category in each of 30 training samples: nothing can be learnt of it, and those "
        "of new samples would not be known. Leave it out of the covariates; if it is a measurement, declare it "
        "numeric in the metadata file (a row '#q2:types' below the header).",
    ),
    "a covariate that is the column in other units": (
        lambda g: g.fit(covariates=g.metadata(acidity=14 - g.ph)),
        "Covariate 'acidity' says the same of every sample as the column to predict, 'ph': the model would be given "
        "the answer. Leave it out of the covariates.",
    ),
    "a covariate that is the column in other words": (
        lambda g: g.fit(g.own("habitat"), covariates=g.metadata(code=g.frame["habitat"].str[:1].tolist())),
        "Covariate 'code' says the same of every sample as the column to predict, 'habitat': the model would be given "
        "the answer. Leave it out of the covariates.",
    ),
    "the column among the covariates": (
        lambda g: g.fit(covariates=qiime2.Metadata(g.frame.rename_axis("id"))),
        "Covariate 'ph' is the column to predict: the model would be given the answer. Name the columns to use as "
        "covariates, without it.",
    ),
    "the groups among the covariates": (
        lambda g: g.fit(groups=g.own("site"), covariates=g.metadata(site=g.frame["site"].tolist())),
        "Covariate 'site' is the group column: new samples are of other groups, of which nothing can be learnt. Name "
        "the columns to use as covariates, without it.",
    ),
    "columns of covariates without covariates": (
        lambda g: g.fit(covariate_columns=["depth"]),
        "covariate_columns names columns of the covariates' metadata, but there is none. Give it as covariates, or "
        "leave covariate_columns out.",
    ),
    "a column that covariates lack": (
        lambda g: g.fit(covariates=g.metadata(depth=g.ph), covariate_columns=["height"]),
        "The metadata of the covariates has no column height; there are depth. Correct the names of the covariates.",
    ),
    "covariates of other samples": (
        lambda g: g.fit(covariates=g.metadata(ids=[f"t{one}" for one in g.ids], depth=g.ph)),
        "none of the table's 30 samples (s01, s02, s03, s04, s05, ... (30 in all)) is in the metadata of the "
        "covariates (ts01, ts02, ts03, ts04, ts05, ... (30 in all)). Those in the metadata of the covariates have 't' "
        "before the same names. Name them alike.",
    ),
    "a covariate without a value": (
        lambda g: g.fit(covariates=g.metadata(depth=[np.nan, *range(29)])),
        "Covariate 'depth' has no value in 1 of 30 samples: s01. Fill them in, filter these samples from the table, "
        "leave the covariate out, or set missing_covariates to 'impute'.",
    ),
    "a covariate without any value": (
        lambda g: g.fit(covariates=g.metadata(depth=[np.nan] * 30), missing_covariates="impute"),
        "Covariate 'depth' has no value in any of 30 training samples: leave it out of the covariates.",
    ),
    "a covariate with a code for missing values": (
        lambda g: g.fit(covariates=g.metadata(depth=[-9999.0, *range(29)])),
        "column 'depth' has numbers far beyond all others (0 to 28), as codes for missing values are: -9999 (s01). "
        "Leave these cells empty. If they were measured, leave them empty all the same: such a value alone would "
        "decide what is fitted.",
    ),
    "a covariate with words for missing values": (
        lambda g: g.fit(covariates=g.metadata(soil=["missing", "clay", "sand"] * 10)),
        "column 'soil' has words for a missing value in 10 of 30 samples: 'missing' (s01, s04, s07, s10, s13, ... (10 "
        "in all)). They would be read as a class. Leave these cells empty; if a class is really meant, give it "
        "another name.",
    ),
    "a covariate with a unit": (
        lambda g: g.fit(covariates=g.metadata(depth=[f"{n} cm" for n in range(30)])),
        "column 'depth' has numbers with a unit (cm) in 30 of 30 samples: '0 cm' (s01), '1 cm' (s02), '10 cm' (s11), "
        "'11 cm' (s12), '12 cm' (s13), ... (30 in all). They would be read as classes. Write the numbers alone, and "
        "declare the column numeric in the metadata file (a row '#q2:types' below the header).",
    ),
    "covariates that the model needs and are not given": (
        lambda g: g.predict(model=g.with_covariates),
        "The model was fitted with the covariates depth, soil, and needs them of the new samples, too. Give metadata "
        "that has these columns.",
    ),
    "one of two covariates": (
        lambda g: g.predict(model=g.with_covariates, covariates=g.metadata(depth=g.ph)),
        "The model needs the covariates soil, which the metadata of the covariates lacks; there are depth. Add them, "
        "under these names.",
    ),
    "a covariate that has become text": (
        lambda g: g.predict(
            model=g.with_covariates, covariates=g.metadata(depth=["deep"] * 30, soil=["clay", "sand"] * 15)
        ),
        "Covariate 'depth' held numbers when the model was fitted, but holds text here: 'deep' in sample s01, for "
        "instance. Give the same measurement, as numbers in all samples.",
    ),
    "a category that was not learnt": (
        lambda g: g.predict(model=g.with_covariates, covariates=g.metadata(depth=g.ph, soil=["clay", "peat"] * 15)),
        "Covariate 'soil': 15 samples are of categories that no training sample has: s02 ('peat'), s04 ('peat'), s06 "
        "('peat'), s08 ('peat'), s10 ('peat'), ... (15 in all). Known are clay, sand. Correct them, leave these "
        "samples out, or fit a model with training samples of these categories.",
    ),
    "a covariate without a value, in predict": (
        lambda g: g.predict(
            model=g.with_covariates, covariates=g.metadata(depth=[np.nan, *g.ph[1:]], soil=["clay", "sand"] * 15)
        ),
        "Covariate 'depth' has no value in 1 of 30 samples: s01. The model was fitted to samples that all have one: "
        "fill them in, or filter these samples from the table.",
    ),
    "a covariate in another unit": (
        lambda g: g.predict(
            model=g.with_covariates, covariates=g.metadata(depth=1000 * g.ph, soil=["clay", "sand"] * 15)
        ),
        GoesOn(
            "Covariate 'depth': 30 samples have values far outside those of the training samples (0 to 29): s01, s02, "
            "s03, s04, s05, ... (30 in all). Check that the unit is the same; their predictions are extrapolations.",
        ),
    ),
    "covariates of some samples, in predict": (
        lambda g: g.predict(
            model=g.with_covariates, covariates=g.metadata(ids=g.ids[:25], depth=g.ph[:25], soil=["clay"] * 25)
        ),
        "5 of the table's 30 samples are not in the metadata of the covariates: s26, s27, s28, s29, s30. Add them to "
        "it, or filter them from the table.",
    ),
    "covariates that the model does not read": (
        lambda g: g.predict(covariates=g.metadata(depth=g.ph)),
        "The model was fitted without covariates: those that are given would not be read. Leave them out, or fit a "
        "model with them.",
    ),
    "covariates that are the column, in cross-validate": (
        lambda g: g.cross_validate(covariates=g.metadata(acidity=14 - g.ph)),
        "Covariate 'acidity' says the same of every sample as the column to predict, 'ph': the model would be given "
        "the answer. Leave it out of the covariates.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_covariates(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
