"""Covariates through `fit` and `predict`: that they help with every head, what is refused, what is kept."""

import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.framework import qiime2
from q2_aam.predictor import Predictor
from q2_aam.settings import HEADS

from .small import as_column, description, run_fit, run_predict, told


def metadata(frame):
    return qiime2.Metadata(frame.rename_axis("sample-id"))


@pytest.fixture(scope="module")
def frame(study):
    """A target that follows from `age` and `sex` (and hardly from the community), beside them."""
    rng = np.random.default_rng(5)
    age, sex = rng.uniform(0, 40, 48), rng.choice(["female", "male"], 48)
    weight = 3 + 0.4 * age + 3 * (sex == "male") + rng.normal(0, 0.5, 48)
    return pd.DataFrame({"age": age, "sex": sex, "weight": weight}, index=study.frame.index)


def fit_weight(study, encoder, frame, head="kernel", **changes):
    """Learn `weight` from 36 of 48 samples, with both covariates."""
    inputs = {"table": study.samples(frame.index[:36]), "covariates": metadata(frame)}
    inputs |= {"covariate_columns": ["age", "sex"], "head": head, **changes}
    return run_fit(study, as_column(frame["weight"]), encoder, **inputs)


@pytest.fixture(scope="module")
def models(study, encoder, frame):
    """Outputs of `fit` with each head."""
    return {head: fit_weight(study, encoder, frame, head) for head in HEADS}


@pytest.fixture(scope="module")
def fitted(models):
    return models["kernel"]


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def r2(truth, predictions):
    truth = truth[predictions.index]
    return 1 - ((truth - predictions) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()


# That they help


@pytest.mark.parametrize("head", HEADS)
def test_a_target_that_depends_on_them_is_predicted(study, encoder, frame, models, head):
    new = study.samples(frame.index[36:])
    with told() as messages:
        predicted = run_predict(study, models[head][0], table=new, covariates=metadata(frame[["sex", "age"]]))[0]
    assert messages == []
    # Trees are rough on so few samples.
    enough = 0.9 if head in ("kernel", "linear") else 0.35
    assert r2(frame["weight"], predicted) > enough
    assert description(models[head][0])["scores"]["out-of-fold/r2"] > enough
    without = run_fit(study, as_column(frame["weight"]), encoder, head=head, table=study.samples(frame.index[:36]))
    assert r2(frame["weight"], run_predict(study, without[0], table=new)[0]) < 0.3
    males, females = (
        run_predict(study, models[head][0], covariates=metadata(frame.assign(sex=sex)))[0] for sex in ("male", "female")
    )
    assert (males - females).mean() > (2 if head in ("kernel", "linear") else 0.1)


@pytest.mark.parametrize("head", HEADS)
def test_the_head_says_that_it_reads_them(models, head):
    loaded = Predictor.load(str(models[head][0]))
    # One number of age, two of sex.
    assert loaded.covariates.width == 3
    named = {"kernel": "It also reads 3 covariates (weight ", "ensemble": "It also reads 3 covariates (weight "}
    assert named.get(head, "the sample embedding and 3 covariates") in loaded.head.describe()


@pytest.mark.parametrize("head", ["kernel", "linear"])
def test_classes_that_depend_on_them_are_predicted(study, encoder, frame, head):
    size = (frame["weight"] > frame["weight"].median()).map({True: "large", False: "small"}).rename("size")
    outputs = run_fit(study, as_column(size), encoder, covariates=metadata(frame[["age", "sex"]]), head=head)
    assert description(outputs[0])["scores"]["out-of-fold/balanced_accuracy"] >= 0.85
    again = run_predict(study, outputs[0], covariates=metadata(frame))[0]
    assert (again == size[again.index]).mean() > 0.9


# What is kept and said


def test_the_model_knows_its_columns_as_the_samples_have_them(frame, fitted):
    training = frame.iloc[:36]
    facts = description(fitted[0])
    age, sex = facts["covariates"]["columns"]
    assert (age["name"], sex["name"]) == ("age", "sex") and sex["categories"] == ["female", "male"]
    assert age["location"] == pytest.approx(training["age"].mean(), rel=1e-12)
    assert age["scale"] == pytest.approx(training["age"].std(ddof=0), rel=1e-12)
    assert facts["data"]["missing_covariates"] == {"age": 0, "sex": 0}
    fitted[0].validate("max")


def test_covariates_are_printed(study, encoder, frame, capsys):
    fit_weight(study, encoder, frame, head="linear")
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Covariates: age \(\S+ to \S+\); sex \(female, male\)\.", lines[2])


def test_samples_that_they_lack_are_left_out_with_a_count(study, encoder, frame):
    with told() as messages:
        inputs = {"covariates": metadata(frame.iloc[2:]), "missing_samples": "ignore"}
        outputs = fit_weight(study, encoder, frame, "linear", **inputs)
    assert messages == [
        "2 of the table's 36 samples are not in the metadata of the covariates and were left out: S01, S02."
    ]
    data = description(outputs[0])["data"]
    assert (data["samples"], data["samples_not_in_metadata"]) == (34, 2)


def test_values_far_outside_are_told(study, frame, fitted):
    months = frame.assign(age=frame["age"] + 12 * 40)
    age = Predictor.load(str(fitted[0])).covariates.columns[0]
    with told() as messages:
        run_predict(study, fitted[0], covariates=metadata(months))
    assert messages == [
        f"Covariate 'age': 48 samples have values far outside those of the training samples ({age.lowest:g} to "
        f"{age.highest:g}): S01, S02, S03, S04, S05, ... (48 in all). Check that the unit is the same; their "
        "predictions are extrapolations."
    ]


# Missing values


def gaps(frame):
    """Without some values: 3 of age, 5 of sex."""
    sex = frame["sex"].where((frame.index < "S10") | (frame.index > "S14"))
    return frame.assign(age=frame["age"].where(frame.index > "S03"), sex=sex)


MISSING = (
    "Covariate 'age' has no value in 3 of 36 samples: S01, S02, S03. Fill them in, filter these samples from the "
    "table, leave the covariate out, or set missing_covariates to 'impute'."
)


@pytest.mark.parametrize("head", HEADS)
def test_missing_values_are_imputed_with_a_count(study, encoder, frame, head, capsys):
    with told() as messages:
        inputs = {"covariates": metadata(gaps(frame)), "missing_covariates": "impute"}
        model = fit_weight(study, encoder, frame, head, **inputs)[0]
    assert messages == []
    model.validate("max")
    facts = description(model)
    assert facts["data"]["missing_covariates"] == {"age": 3, "sex": 5}
    age, sex = facts["covariates"]["columns"]
    assert (age["missing"], sex["missing"]) == (3, 5) and sex["categories"] == ["female", "male", None]
    assert age["imputed"] == pytest.approx(frame["age"].iloc[3:36].median())
    assert f"missing in 3 samples, read as the median {age['imputed']:g})" in capsys.readouterr().out
    with told() as messages:
        unknown = run_predict(study, model, covariates=metadata(frame.assign(age=np.nan)))
        # In another order: they go by sample ID.
        median = run_predict(study, model, covariates=metadata(frame[::-1].assign(age=age["imputed"])))
    assert messages == []
    pd.testing.assert_series_equal(unknown[0], median[0])


def test_missing_values_are_refused_where_they_are_not_imputed(study, encoder, frame):
    with refused(MISSING):
        fit_weight(study, encoder, frame, covariates=metadata(gaps(frame)))
    # Of no account where the sample is none of the table's.
    fit_weight(study, encoder, frame, "linear", covariates=metadata(gaps(frame)), table=study.samples(frame.index[14:]))


def test_a_category_that_was_never_missing_is_told(study, encoder, frame):
    model = fit_weight(study, encoder, frame, "linear", missing_covariates="impute")[0]
    with told() as messages:
        predicted = run_predict(study, model, covariates=metadata(gaps(frame)))[0]
    assert np.isfinite(predicted).all()
    assert messages == [
        "Covariate 'sex' has no value in 5 of 48 samples: S10, S11, S12, S13, S14. No training sample lacked one, so "
        "that the model has not learnt what this means; their predictions are extrapolations."
    ]


# What `fit` refuses


def test_columns_without_metadata(study, encoder, frame):
    with refused(
        "covariate_columns names columns of the covariates' metadata, but there is none. Give it as covariates, or "
        "leave covariate_columns out."
    ):
        fit_weight(study, encoder, frame, covariates=None)


def test_a_column_that_is_not_there(study, encoder, frame):
    with refused(
        "The metadata of the covariates has no column height; there are age, sex, weight. Correct the names of the "
        "covariates."
    ):
        fit_weight(study, encoder, frame, covariate_columns=["height"])


def test_the_target_and_the_groups_as_covariates(study, encoder, frame):
    remedy = "Name the columns to use as covariates, without it."
    with refused(f"Covariate 'weight' is the column to predict: the model would be given the answer. {remedy}"):
        fit_weight(study, encoder, frame, covariate_columns=None)
    with refused(
        "Covariate 'site' is the group column: new samples are of other groups, of which nothing can be learnt. "
        f"{remedy}"
    ):
        sites = metadata(frame.assign(site=study.frame["site"]))
        fit_weight(study, encoder, frame, covariates=sites, covariate_columns=["site"], groups=study.column("site"))


def test_samples_that_they_lack(study, encoder, frame):
    with refused(
        "6 of the table's 36 samples are not in the metadata of the covariates: S01, S02, S03, S04, S05, ... (6 in "
        "all). Add them to the metadata of the covariates, filter them from the table, or set missing_samples to "
        "'ignore'."
    ):
        fit_weight(study, encoder, frame, covariates=metadata(frame.iloc[6:]))


def test_a_constant_covariate(study, encoder, frame):
    with refused(
        "Covariate 'sex' has the same value ('male') in all 36 training samples that have one: nothing can be learnt "
        "of it. Leave it out of the covariates."
    ):
        fit_weight(study, encoder, frame, covariates=metadata(frame.assign(sex="male")))


# What `predict` refuses


def test_prediction_without_covariates(study, fitted):
    with refused(
        "The model was fitted with the covariates age, sex, and needs them of the new samples, too. Give metadata that "
        "has these columns."
    ):
        run_predict(study, fitted[0])


def test_further_columns_are_not_read(study, frame, fitted):
    further = frame.assign(note=None, other=1.0)
    with told() as messages:
        predicted = run_predict(study, fitted[0], covariates=metadata(further))[0]
    assert messages == []
    assert predicted.equals(run_predict(study, fitted[0], covariates=metadata(frame[["age", "sex"]]))[0])


def test_covariates_for_a_model_without_them(study, regressor, frame):
    with refused(
        "The model was fitted without covariates: those that are given would not be read. Leave them out, or fit a "
        "model with them."
    ):
        run_predict(study, regressor[0], covariates=metadata(frame))


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda frame: frame.iloc[6:],
            "6 of the table's 48 samples are not in the metadata of the covariates: S01, S02, S03, S04, S05, ... (6 in "
            "all). Add them to it, or filter them from the table.",
        ),
        (
            lambda frame: frame[["sex"]],
            "The model needs the covariates age, which the metadata of the covariates lacks; there are sex. Add them, "
            "under these names.",
        ),
        (
            lambda frame: frame.assign(age=frame["age"].where(frame.index > "S02")),
            "Covariate 'age' has no value in 2 of 48 samples: S01, S02. The model was fitted to samples that all have "
            "one: fill them in, or filter these samples from the table.",
        ),
        (
            lambda frame: frame.assign(sex=["intersex"] + ["male"] * 47),
            "Covariate 'sex': 1 samples are of categories that no training sample has: S01 ('intersex'). Known are "
            "female, male. Correct them, leave these samples out, or fit a model with training samples of these "
            "categories.",
        ),
        (
            lambda frame: frame.assign(age="adult"),
            "Covariate 'age' held numbers when the model was fitted, but holds text here: 'adult' in sample S01, for "
            "instance. Give the same measurement, as numbers in all samples.",
        ),
    ],
)
def test_prediction_with_covariates_that_do_not_fit(study, frame, fitted, change, message):
    with refused(message):
        run_predict(study, fitted[0], covariates=metadata(change(frame)))
