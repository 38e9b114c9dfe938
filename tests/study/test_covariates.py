import json
import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.covariates import Covariate, Covariates

IDS = ["s1", "s2", "s3", "s4", "s5"]
AGE = [1.0, 3.0, 5.0, 7.0, 0.1 + 0.2]
SEX = ["m", "f", "m", "f", "f"]
SITE = ["gut", "skin", "gut", "10", "2"]


def frame(**columns):
    return pd.DataFrame(columns, index=pd.Index(IDS[: len(next(iter(columns.values())))], dtype=object))


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.fixture
def covariates():
    return Covariates.fit(frame(age=AGE, sex=SEX, site=SITE))


# Encoding


def test_numbers_are_standardised_and_categories_are_one_or_zero(covariates):
    encoded = covariates.encode(frame(age=AGE, sex=SEX, site=SITE))
    age = (np.array(AGE) - np.mean(AGE)) / np.std(AGE)
    sex = [[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]]
    # sorted as text: 10, 2, gut, skin
    site = [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert encoded.dtype == np.float32 and encoded.shape == (5, covariates.width) == (5, 7)
    np.testing.assert_array_equal(encoded, np.column_stack([age, sex, site]).astype(np.float32))


def test_new_samples_are_encoded_by_the_training_samples_alone(covariates):
    new = frame(site=["skin", "2"], unread=[None, "x"], age=[100.0, 3.0], sex=["f", "f"])
    expected = [
        [(100 - np.mean(AGE)) / np.std(AGE), 1, 0, 0, 0, 0, 1],
        [(3 - np.mean(AGE)) / np.std(AGE), 1, 0, 0, 1, 0, 0],
    ]
    np.testing.assert_allclose(covariates.encode(new), expected, rtol=1e-6)


def test_a_rare_category_is_as_loud_as_a_common_one():
    many = pd.DataFrame({"batch": ["a"] * 999 + ["b"]}, index=[f"s{i}" for i in range(1000)])
    encoded = Covariates.fit(many).encode(many)
    assert encoded[-1].tolist() == [0, 1] and encoded[0].tolist() == [1, 0]


def test_categories_of_which_only_numbers_are_at_hand_are_known_again():
    covariates = Covariates.fit(frame(batch=["1", "2", "unknown", "2.5"]))
    # QIIME 2 reads such a column as numeric
    assert covariates.encode(frame(batch=[2.0, 1.0, 2.5])).argmax(1).tolist() == [1, 0, 2]


def test_whole_numbers_and_logicals_have_their_kind():
    covariates = Covariates.fit(frame(visit=[1, 2, 4], smoker=[True, False, True]))
    assert [column.kind for column in covariates.columns] == ["numeric", "categorical"]
    assert covariates.columns[1].categories == ["False", "True"]


def test_written_and_read_again_it_encodes_exactly_alike(covariates):
    again = Covariates.from_dict(json.loads(json.dumps(covariates.to_dict())))
    assert again == covariates and again.columns[0].lowest == 0.1 + 0.2
    samples = frame(age=AGE, sex=SEX, site=SITE)
    assert again.encode(samples).tobytes() == covariates.encode(samples).tobytes()
    assert Covariates.from_dict(None) is None


def test_what_was_learnt_can_be_read(covariates):
    assert covariates.names == ["age", "sex", "site"]
    assert covariates.describe() == "age (0.3 to 7); sex (f, m); site (10, 2, gut, skin)"


def test_values_far_outside_those_learnt_from_are_told(covariates):
    assert covariates.extrapolations(frame(age=AGE, sex=SEX, site=SITE)) == []
    edge = 7 + np.std(AGE)
    ages = frame(age=[0.0, -2.5, 84.0, edge - 0.01, edge + 0.01], sex=["f"] * 5, site=["2"] * 5)
    assert covariates.extrapolations(ages) == [
        "Covariate 'age': 3 samples have values far outside those of the training samples (0.3 to 7): s2, "
        "s3, s5. Check that the unit is the same; their predictions are extrapolations."
    ]


# What is refused in training


@pytest.mark.parametrize("values, shown", [([4.5] * 3, "4.5"), (["f"] * 3, "'f'"), ([1e9, 1e9 + 1e-6, 1e9], "1e+09")])
def test_a_constant_column(values, shown):
    with refused(
        f"Covariate 'sex' has the same value ({shown}) in all 3 training samples that have one: nothing can be learnt "
        "of it. Leave it out of the covariates."
    ):
        Covariates.fit(frame(age=[1.0, 2.0, 3.0], sex=values))


@pytest.mark.parametrize("values", [[1.0, np.nan, 2.0, np.nan], ["a", None, "b", np.nan]])
def test_missing_values_in_training_and_later(values):
    sentence = "Covariate 'x' has no value in 2 of 4 samples: s2, s4. "
    with refused(
        sentence + "Fill them in, filter these samples from the table, leave the covariate out, or set "
        "missing_covariates to 'impute'."
    ):
        Covariates.fit(frame(x=values))
    whole = [1.0, 2.0, 3.0, 4.0] if values[0] == 1.0 else list("abab")
    with refused(
        sentence + "The model was fitted to samples that all have one: fill them in, or filter these samples from the "
        "table."
    ):
        Covariates.fit(frame(x=whole)).encode(frame(x=values))


def test_infinite_numbers():
    with refused("Covariate 'x' holds numbers that are not finite in 1 samples: s2. Correct them."):
        Covariates.fit(frame(x=[1.0, np.inf, 2.0]))


def test_no_column_and_no_sample():
    with refused("Covariates need columns and samples, but there are 0 columns of 5 samples."):
        Covariates.fit(pd.DataFrame(index=IDS))
    with refused("Covariates need columns and samples, but there are 1 columns of 0 samples."):
        Covariates.fit(frame(x=[1.0]).iloc[:0])


@pytest.mark.parametrize("values", [[np.nan] * 3, [None] * 3])
def test_a_column_without_any_value(values):
    with refused("Covariate 'x' has no value in any of 3 training samples: leave it out of the covariates."):
        Covariates.fit(frame(x=values), "impute")


def test_an_unknown_rule_for_missing_values():
    with refused("missing_covariates is 'mean'; it must be one of error, impute."):
        Covariates.fit(frame(x=[1.0, 2.0]), "mean")


# What is imputed


def test_missing_numbers_are_the_median_of_the_training_samples():
    covariates = Covariates.fit(frame(age=[1.0, np.nan, 2.0, 9.0, np.nan]), "impute")
    [age] = covariates.columns
    # of the samples that have one: what is filled in changes neither mean nor spread
    assert (age.location, age.imputed, age.missing, age.width) == (4.0, 2.0, 2, 1)
    assert age.scale == np.std([1, 2, 9])
    encoded = covariates.encode(frame(age=[np.nan, 4.0, 2.0]))
    assert encoded[0] == encoded[2] == np.float32(-2 / age.scale) and encoded[1] == 0
    nothing = covariates.encode(frame(age=[None, None]))
    assert nothing.tolist() == [[encoded[0, 0]]] * 2
    assert covariates.describe() == "age (1 to 9; missing in 2 samples, read as the median 2)"
    assert covariates.extrapolations(frame(age=[np.nan, 4.0])) == []


def test_missing_categories_are_a_category_of_their_own_and_text_stays_text():
    site = ["gut", None, "nan", "None", ""]
    covariates = Covariates.fit(frame(site=site), "impute")
    [column] = covariates.columns
    assert column.categories == ["", "None", "gut", "nan", None] and column.missing == 1
    assert covariates.encode(frame(site=site)).argmax(1).tolist() == [2, 4, 3, 1, 0]
    assert covariates.encode(frame(site=[np.nan, "gut"])).argmax(1).tolist() == [4, 2]
    assert covariates.describe() == "site (, None, gut, nan; missing in 1 samples, read as a category of their own)"
    assert covariates.extrapolations(frame(site=site)) == []


def test_a_category_beside_missing_values_is_enough_to_learn_from():
    covariates = Covariates.fit(frame(smoker=["yes", None, "yes"]), "impute")
    assert covariates.encode(frame(smoker=["yes", None])).tolist() == [[1, 0], [0, 1]]
    with refused(
        "Covariate 'smoker' has the same value ('yes') in all 3 training samples that have one: nothing can be learnt "
        "of it. Leave it out of the covariates."
    ):
        Covariates.fit(frame(smoker=["yes"] * 3), "impute")


def test_a_missing_category_that_no_training_sample_lacked_is_told():
    covariates = Covariates.fit(frame(sex=["f", "m"], age=[1.0, 2.0]), "impute")
    new = frame(sex=["f", None], age=[np.nan, 1.5])
    assert covariates.encode(new)[:, :3].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert covariates.extrapolations(new) == [
        "Covariate 'sex' has no value in 1 of 2 samples: s2. No training sample lacked one, so that the model has not "
        "learnt what this means; their predictions are extrapolations."
    ]


def test_an_imputing_model_written_and_read_again_encodes_exactly_alike():
    samples = frame(age=[1.0, np.nan, 2.0, 4.0], sex=["f", "m", None, "f"])
    covariates = Covariates.fit(samples, "impute")
    again = Covariates.from_dict(json.loads(json.dumps(covariates.to_dict(), allow_nan=False)))
    assert again == covariates
    assert again.encode(samples).tobytes() == covariates.encode(samples).tobytes()


# What is refused later


def test_a_column_that_is_not_there(covariates):
    with refused(
        "The model needs the covariates sex, site, which the metadata of the covariates lacks; there are age, Sex. Add "
        "them, under these names."
    ):
        covariates.encode(frame(age=AGE, Sex=SEX))


def test_categories_that_no_training_sample_has(covariates):
    with refused(
        "Covariate 'site': 2 samples are of categories that no training sample has: s1 ('Gut'), s3 ('3'). "
        "Known are 10, 2, gut, skin. Correct them, leave these samples out, or fit a model with training samples of "
        "these categories."
    ):
        covariates.encode(frame(age=[1.0] * 3, sex=["f"] * 3, site=["Gut", "gut", "3"]))


def test_text_in_place_of_numbers(covariates):
    with refused(
        "Covariate 'age' held numbers when the model was fitted, but holds text here: 'old' in sample s1, "
        "for instance. Give the same measurement, as numbers in all samples."
    ):
        covariates.encode(frame(age=["old", "3"], sex=["f", "f"], site=["2", "2"]))


def test_numbers_too_large():
    covariates = Covariates.fit(frame(x=[1.0, 1.5]))
    with refused("Covariate 'x' holds numbers too large to compute with in 1 samples: s2. Correct them."):
        covariates.encode(frame(x=[1.0, 1e300]))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kind": "ordinal"}, "kind is 'ordinal'; it must be one of numeric, categorical."),
        ({"scale": 0.0}, "location, scale, lowest, highest and imputed must be finite, and the scale positive."),
        ({"categories": ["a", "b"]}, "a numeric column has no categories."),
        ({"kind": "categorical"}, "two or more distinct categories are needed: []."),
    ],
)
def test_a_description_that_contradicts_itself(changes, message):
    with refused(f"Covariate 'x': {message}"):
        Covariate(**{"name": "x", "kind": "numeric", **changes})


def test_a_description_of_another_version(covariates):
    description = covariates.to_dict()
    description["columns"][1]["spline"] = description["columns"][1].pop("scale")
    with refused(
        "The description of a covariate lacks the keys ['scale'] and has the unknown keys ['spline']. Update "
        "q2-aam, or fit the model again."
    ):
        Covariates.from_dict(description)


# A part of the samples


def test_a_category_that_a_part_lacks_is_known_and_says_nothing():
    everywhere = frame(site=["gut", "skin", "gut", "nose", None])
    part = Covariates.fit(everywhere.iloc[:3], "impute", everywhere)
    [column] = part.columns
    assert column.categories == ["gut", "skin", None] and column.unlearnt == ["nose"]
    # No number of the head depends on other samples.
    encoded = part.encode(everywhere)
    assert encoded.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
    alone = Covariates.fit(everywhere.iloc[:3], "impute")
    assert alone.encode(everywhere.iloc[:3]).tobytes() == encoded[:3].tobytes()
    assert part.cautions() == [] and part.describe() == "site (gut, skin)"
    assert part.extrapolations(everywhere.iloc[:4]) == [
        "Covariate 'site': 1 samples are of categories that no training sample is of: s4 ('nose'). This covariate says "
        "nothing of them."
    ]
    assert Covariates.from_dict(json.loads(json.dumps(part.to_dict()))) == part
    with refused(
        "Covariate 'site': 1 samples are of categories that no training sample has: s1 ('ear'). Known are gut, "
        "skin. Correct them, leave these samples out, or fit a model with training samples of these categories."
    ):
        part.encode(frame(site=["ear"]))


@pytest.mark.parametrize(
    ("values", "encoded"),
    [
        ([2.0, 2.0, 2.0, 5.0], [0, 0, 0, 3]),
        ([np.nan, np.nan, np.nan, 5.0, 6.0], [0, 0, 0, 5, 6]),
        (["gut", "gut", "gut", "nose"], [[1, 0]] * 3 + [[0, 0]]),
    ],
)
def test_a_column_that_is_the_same_in_a_part_alone_is_read_and_told(values, encoded):
    everywhere = frame(x=values)
    part = Covariates.fit(everywhere.iloc[:3], "impute", everywhere)
    np.testing.assert_array_equal(part.encode(everywhere), np.array(encoded, dtype=np.float32).reshape(len(values), -1))
    assert part.cautions() == [
        "Covariate 'x' is the same in all training samples: nothing was learnt of it. Leave it out, or add samples in "
        "which it differs."
    ]
    with pytest.raises(ValueError, match="^Covariate 'x' has "):
        Covariates.fit(everywhere.iloc[:3], "impute", everywhere.iloc[:3])


@pytest.mark.parametrize(
    ("unlearnt", "message"),
    [
        ("m", "unlearnt must be a list of categories: m."),
        (None, "unlearnt must be a list of categories: None."),
        (["m"], "two or more distinct categories are needed: ['f', 'm', 'm']."),
    ],
)
def test_what_was_not_learnt_is_no_category_that_was(covariates, unlearnt, message):
    changed = covariates.to_dict()
    changed["columns"][1]["unlearnt"] = unlearnt
    with refused(f"Covariate 'sex': {message}"):
        Covariates.from_dict(changed)


def test_models_of_before_knew_no_categories_but_those_of_their_samples(covariates):
    before = covariates.to_dict()
    for column in before["columns"]:
        del column["unlearnt"]
    assert Covariates.from_dict(before) == covariates
