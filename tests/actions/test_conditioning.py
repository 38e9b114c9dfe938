"""Conditioning columns through `fit` and `predict`: that they help, what is refused, what is kept."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from q2_aam.encoder.training import trainer
from q2_aam.framework import qiime2
from q2_aam.model_file import load_model

from .small import as_column, run_fit, run_predict, told


def metadata(frame):
    return qiime2.Metadata(frame.rename_axis("sample-id"))


@pytest.fixture(scope="module")
def frame(study):
    """A target that follows from `age` and `sex` (and hardly from the community), beside them."""
    rng = np.random.default_rng(5)
    age, sex = rng.uniform(0, 40, 48), rng.choice(["female", "male"], 48)
    weight = 3 + 0.4 * age + 3 * (sex == "male") + rng.normal(0, 0.5, 48)
    return pd.DataFrame({"age": age, "sex": sex, "weight": weight}, index=study.frame.index)


@pytest.fixture(scope="module")
def fitted(study, encoder, frame):
    """Learnt on 36 of 48 samples; tuned, so that the condition passes through training, too."""
    return run_fit(
        study,
        as_column(frame["weight"]),
        encoder,
        table=study.samples(frame.index[:36]),
        conditioning=metadata(frame),
        conditioning_columns=["age", "sex"],
    )


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def r2(truth, predictions):
    truth = truth[predictions.index]
    return 1 - ((truth - predictions) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()


# That they help


def test_a_target_that_depends_on_them_is_found(study, encoder, frame, fitted):
    new = study.samples(frame.index[36:])
    with told() as messages:
        with_them = run_predict(study, fitted[0], table=new, conditioning=metadata(frame[["sex", "age"]]))[0]
    assert messages == []
    without = run_fit(study, as_column(frame["weight"]), encoder, table=study.samples(frame.index[:36]))
    assert r2(frame["weight"], run_predict(study, without[0], table=new)[0]) < 0.3
    assert r2(frame["weight"], with_them) > 0.9
    assert json.loads((fitted[0].path / "model.json").read_text())["scores"]["validation/r2"] > 0.9


def test_one_column_among_all_lineages_does_as_well_as_a_plain_regression_on_it(study, encoder, frame):
    """It would be drowned if the probe's penalty held it as weak as a lineage."""
    rng = np.random.default_rng(6)
    target = (0.4 * frame["age"] + rng.normal(0, 1, 48)).rename("height")
    given = {"conditioning": metadata(frame[["age"]]), "validation_share": 0.4}
    outputs = run_fit(study, as_column(target), encoder, freeze_encoder=True, **given)
    held_out = outputs[1].index
    line = linregress(frame["age"].drop(held_out), target.drop(held_out))
    plain = line.intercept + line.slope * frame["age"][held_out]
    assert r2(target, outputs[1]) > r2(target, plain) - 0.05 > 0.85


def test_classes_that_depend_on_them_are_found(study, encoder, frame):
    size = (frame["weight"] > frame["weight"].median()).map({True: "large", False: "small"}).rename("size")
    outputs = run_fit(study, as_column(size), encoder, conditioning=metadata(frame[["age", "sex"]]))
    assert json.loads((outputs[0].path / "model.json").read_text())["scores"]["validation/balanced_accuracy"] >= 0.75
    again = run_predict(study, outputs[0], conditioning=metadata(frame))[0]
    assert list(again[outputs[1].index]) == list(outputs[1])


def test_other_values_of_the_same_samples_give_other_predictions(study, frame, fitted):
    males, females = (
        run_predict(study, fitted[0], conditioning=metadata(frame.assign(sex=sex)))[0] for sex in ("male", "female")
    )
    assert (males - females).between(2, 4).all()


def test_predict_says_of_validation_samples_what_fit_said(study, frame, fitted):
    _, predictions, certainty, _ = fitted
    table = study.samples(predictions.index)
    again, certain, _ = run_predict(study, fitted[0], table=table, conditioning=metadata(frame[::-1]))
    pd.testing.assert_series_equal(again, predictions, atol=1e-5, rtol=0)
    pd.testing.assert_frame_equal(certain, certainty, atol=1e-5, rtol=0)


# What is kept and said


def test_the_model_knows_its_columns_as_the_training_samples_have_them(frame, fitted):
    training = frame.iloc[:36].drop(fitted[1].index)
    kept = json.loads((fitted[0].path / "model.json").read_text())["conditioning"]["columns"]
    assert [column["name"] for column in kept] == ["age", "sex"]
    assert kept[0]["location"] == pytest.approx(training["age"].mean(), rel=1e-12)
    assert kept[0]["scale"] == pytest.approx(training["age"].std(ddof=0), rel=1e-12)
    assert kept[1]["categories"] == ["female", "male"]
    fitted[0].validate("max")
    assert load_model(str(fitted[0])).network.target_head.linear.in_features == 2 * 16 + 3


def test_what_it_is_conditioned_on_is_printed(study, encoder, frame, capsys):
    run_fit(
        study, as_column(frame["weight"]), encoder, conditioning=metadata(frame[["age", "sex"]]), freeze_encoder=True
    )
    assert re.fullmatch(
        r"Conditioned on age \(\S+ to \S+\); sex \(female, male\)\.", capsys.readouterr().out.splitlines()[2]
    )


def test_samples_that_they_lack_are_ignored_with_a_count(study, encoder, frame):
    with told() as messages:
        outputs = run_fit(
            study,
            as_column(frame["weight"]),
            encoder,
            conditioning=metadata(frame[["age"]].iloc[2:]),
            missing_samples="ignore",
            freeze_encoder=True,
        )
    assert messages == ["2 of the table's 48 samples are not in the conditioning metadata and were left out: S01, S02."]
    assert json.loads((outputs[0].path / "model.json").read_text())["data"]["samples"] == 46


def test_values_beyond_those_learnt_from_are_told(study, frame, fitted):
    months = frame.assign(age=frame["age"] + 12 * 40)
    learnt = load_model(str(fitted[0])).conditioning.columns[0]
    with told() as messages:
        run_predict(study, fitted[0], conditioning=metadata(months))
    assert messages == [
        f"Conditioning column 'age': 48 samples have values far outside those that were learnt from ({learnt.lowest:g} "
        f"to {learnt.highest:g}): S01, S02, S03, S04, S05, ... (48 in all). Check that the unit is the same; their "
        "predictions are extrapolations."
    ]


def test_run_dir_with_other_conditioning_columns(study, encoder, frame, tmp_path):
    given = {"metadata": as_column(frame["weight"]), "run_dir": str(tmp_path), "epochs": 1}

    def fit(**conditioning):
        return run_fit(study, given["metadata"], encoder, run_dir=given["run_dir"], epochs=1, **conditioning)

    first = fit(conditioning=metadata(frame[["age"]]))
    pd.testing.assert_series_equal(fit(conditioning=metadata(frame[["age"]]))[1], first[1])
    for other in (
        {"conditioning": metadata(frame[["age"]].assign(age=frame["age"].to_numpy()[::-1]))},
        {"conditioning": metadata(frame[["age", "sex"]])},
        {},
    ):
        with refused(
            f"run_dir {tmp_path} holds a run that was begun with other input: the conditioning columns. Repeat it with "
            "the same input to go on with it, or give another run_dir."
        ):
            fit(**other)


# What is refused


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(trainer, "train", lambda *args, **kwargs: pytest.fail("training began"))


def conditioned(study, encoder, frame, **changes):
    given = {"conditioning": metadata(frame), "conditioning_columns": ["age", "sex"], **changes}
    return run_fit(study, as_column(frame["weight"]), encoder, **given)


def test_columns_without_metadata(study, encoder, frame, no_training):
    with refused(
        "conditioning_columns names columns of the conditioning metadata, but there is none. Give it as conditioning, "
        "or leave conditioning_columns out."
    ):
        conditioned(study, encoder, frame, conditioning=None)


def test_a_column_that_is_not_there(study, encoder, frame, no_training):
    with refused(
        "The conditioning metadata has no column height; there are age, sex, weight. Correct conditioning_columns."
    ):
        conditioned(study, encoder, frame, conditioning_columns=["height"])


def test_the_target_and_the_groups_as_conditioning_columns(study, encoder, frame, no_training):
    remedy = "Name the columns to condition on in conditioning_columns, without it."
    with refused(
        f"Conditioning column 'weight' is the column to predict: the model would be given the answer. {remedy}"
    ):
        conditioned(study, encoder, frame, conditioning_columns=None)
    with refused(
        "Conditioning column 'site' is the group column: new samples are of other groups, of which nothing can be "
        f"learnt. {remedy}"
    ):
        conditioned(
            study,
            encoder,
            frame.assign(site=study.frame["site"]),
            conditioning_columns=["age", "site"],
            groups=study.column("site"),
        )


def test_samples_that_they_lack(study, encoder, frame, no_training):
    with refused(
        "6 of the table's 48 samples are not in the conditioning metadata: S01, S02, S03, S04, S05, ... (6 in all). "
        "Add them to the conditioning metadata, filter them from the table, or set missing_samples to 'ignore'."
    ):
        conditioned(study, encoder, frame, conditioning=metadata(frame.iloc[6:]))


def test_values_that_are_missing(study, encoder, frame, no_training):
    gaps = frame.assign(sex=frame["sex"].where(frame.index > "S07"))
    with refused(
        "Conditioning column 'sex' has no value in 7 of 48 samples: S01, S02, S03, S04, S05, ... (7 in all). Fill them "
        "in, filter these samples from the table, or leave the column out when fitting."
    ):
        conditioned(study, encoder, frame, conditioning=metadata(gaps))
    # of no account where the sample is none of the table's
    with pytest.raises(BaseException, match="training began"):
        conditioned(study, encoder, frame, conditioning=metadata(gaps), table=study.samples(frame.index[7:]))


def test_a_constant_column(study, encoder, frame, no_training):
    with refused(
        "Conditioning column 'sex' has the same value ('male') in all 36 training samples: nothing can be learnt of "
        "it. Leave it out of conditioning_columns."
    ):
        conditioned(study, encoder, frame, conditioning=metadata(frame.assign(sex="male")))


def test_prediction_without_them(study, fitted):
    with refused(
        "The model was fitted with the conditioning columns age, sex, and needs them of the new samples, too. Give "
        "metadata that has them as conditioning."
    ):
        run_predict(study, fitted[0])


def test_prediction_with_what_is_not_read(study, regressor, frame):
    with refused(
        "The model was fitted without conditioning columns: the conditioning metadata would not be read. Leave it out, "
        "or fit a model with it."
    ):
        run_predict(study, regressor[0], conditioning=metadata(frame))


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda frame: frame.iloc[6:],
            "6 of the table's 48 samples are not in the conditioning metadata: S01, S02, S03, S04, S05, ... (6 in "
            "all). Add them to it, or filter them from the table.",
        ),
        (
            lambda frame: frame[["sex"]],
            "The model needs the conditioning columns age, which the conditioning metadata lacks; there are sex. Add "
            "them, under these names.",
        ),
        (
            lambda frame: frame.assign(age=frame["age"].where(frame.index > "S02")),
            "Conditioning column 'age' has no value in 2 of 48 samples: S01, S02. Fill them in, filter these samples "
            "from the table, or leave the column out when fitting.",
        ),
        (
            lambda frame: frame.assign(sex=["intersex"] + ["male"] * 47),
            "Conditioning column 'sex': 1 samples are of categories that no training sample has: S01 ('intersex'). "
            "Known are female, male. Correct them, leave these samples out, or fit a model with training samples of "
            "these categories.",
        ),
        (
            lambda frame: frame.assign(age="adult"),
            "Conditioning column 'age' held numbers when the model was fitted, but holds text here: 'adult' in sample "
            "S01, for instance. Give the same measurement, as numbers in all samples.",
        ),
    ],
)
def test_prediction_with_metadata_that_does_not_fit(study, frame, fitted, change, message):
    with refused(message):
        run_predict(study, fitted[0], conditioning=metadata(change(frame)))
