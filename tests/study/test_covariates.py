import json
import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.covariates import Conditioning, ConditioningColumn, choose_columns, rows_of_samples

IDS = ["s1", "s2", "s3", "s4", "s5"]
AGE = [1.0, 3.0, 5.0, 7.0, 0.1 + 0.2]
SEX = ["m", "f", "m", "f", "f"]
SITE = ["gut", "skin", "gut", "10", "2"]


def frame(**columns):
    return pd.DataFrame(columns, index=pd.Index(IDS[: len(next(iter(columns.values())))], dtype=object))


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.fixture
def learnt():
    return Conditioning.fit(frame(age=AGE, sex=SEX, site=SITE))


# Encoding


def test_numbers_are_standardised_and_categories_are_one_or_zero(learnt):
    encoded = learnt.encode(frame(age=AGE, sex=SEX, site=SITE))
    age = (np.array(AGE) - np.mean(AGE)) / np.std(AGE)
    sex = [[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]]
    # sorted as text: 10, 2, gut, skin
    site = [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert encoded.dtype == np.float32 and encoded.shape == (5, learnt.width) == (5, 7)
    np.testing.assert_array_equal(encoded, np.column_stack([age, sex, site]).astype(np.float32))


def test_new_samples_are_encoded_by_the_training_samples_alone(learnt):
    new = frame(site=["skin", "2"], unread=[None, "x"], age=[100.0, 3.0], sex=["f", "f"])
    expected = [
        [(100 - np.mean(AGE)) / np.std(AGE), 1, 0, 0, 0, 0, 1],
        [(3 - np.mean(AGE)) / np.std(AGE), 1, 0, 0, 1, 0, 0],
    ]
    np.testing.assert_allclose(learnt.encode(new), expected, rtol=1e-6)


def test_a_rare_category_is_as_loud_as_a_common_one():
    many = pd.DataFrame({"batch": ["a"] * 999 + ["b"]}, index=[f"s{i}" for i in range(1000)])
    encoded = Conditioning.fit(many).encode(many)
    assert encoded[-1].tolist() == [0, 1] and encoded[0].tolist() == [1, 0]


def test_categories_of_which_only_numbers_are_at_hand_are_known_again():
    learnt = Conditioning.fit(frame(batch=["1", "2", "unknown", "2.5"]))
    # QIIME 2 reads such a column as numeric
    assert learnt.encode(frame(batch=[2.0, 1.0, 2.5])).argmax(1).tolist() == [1, 0, 2]


def test_whole_numbers_and_logicals_have_their_kind():
    learnt = Conditioning.fit(frame(visit=[1, 2, 4], smoker=[True, False, True]))
    assert [column.kind for column in learnt.columns] == ["numeric", "categorical"]
    assert learnt.columns[1].categories == ["False", "True"]


def test_written_and_read_again_it_encodes_exactly_alike(learnt):
    again = Conditioning.from_dict(json.loads(json.dumps(learnt.to_dict())))
    assert again == learnt and again.columns[0].lowest == 0.1 + 0.2
    samples = frame(age=AGE, sex=SEX, site=SITE)
    assert again.encode(samples).tobytes() == learnt.encode(samples).tobytes()
    assert Conditioning.from_dict(None) is None


def test_what_was_learnt_can_be_read(learnt):
    assert learnt.names == ["age", "sex", "site"]
    assert learnt.describe() == "age (0.3 to 7); sex (f, m); site (10, 2, gut, skin)"


def test_values_far_outside_those_learnt_from_are_told(learnt):
    assert learnt.extrapolations(frame(age=AGE, sex=SEX, site=SITE)) == []
    edge = 7 + np.std(AGE)
    ages = frame(age=[0.0, -2.5, 84.0, edge - 0.01, edge + 0.01], sex=["f"] * 5, site=["2"] * 5)
    assert learnt.extrapolations(ages) == [
        "Conditioning column 'age': 3 samples have values far outside those that were learnt from (0.3 to 7): s2, s3, "
        "s5. Check that the unit is the same; their predictions are extrapolations."
    ]


# What is refused in training


@pytest.mark.parametrize("values, shown", [([4.5] * 3, "4.5"), (["f"] * 3, "'f'"), ([1e9, 1e9 + 1e-6, 1e9], "1e+09")])
def test_a_constant_column(values, shown):
    with refused(
        f"Conditioning column 'sex' has the same value ({shown}) in all 3 training samples: nothing can be learnt of "
        "it. Leave it out of conditioning_columns."
    ):
        Conditioning.fit(frame(age=[1.0, 2.0, 3.0], sex=values))


@pytest.mark.parametrize("values", [[1.0, np.nan, 2.0, np.nan], ["a", None, "b", np.nan]])
def test_missing_values_in_training_and_later(values):
    message = (
        "Conditioning column 'x' has no value in 2 of 4 samples: s2, s4. Fill them in, filter these samples from the "
        "table, or leave the column out when fitting."
    )
    with refused(message):
        Conditioning.fit(frame(x=values))
    whole = [1.0, 2.0, 3.0, 4.0] if values[0] == 1.0 else list("abab")
    with refused(message):
        Conditioning.fit(frame(x=whole)).encode(frame(x=values))


def test_infinite_numbers():
    with refused("Conditioning column 'x' holds numbers that are not finite in 1 samples: s2. Correct them."):
        Conditioning.fit(frame(x=[1.0, np.inf, 2.0]))


def test_no_column_and_no_sample():
    with refused("Conditioning needs columns and samples, but there are 0 columns of 5 samples."):
        Conditioning.fit(pd.DataFrame(index=IDS))
    with refused("Conditioning needs columns and samples, but there are 1 columns of 0 samples."):
        Conditioning.fit(frame(x=[1.0]).iloc[:0])


# What is refused later


def test_a_column_that_is_not_there(learnt):
    with refused(
        "The model needs the conditioning columns sex, site, which the conditioning metadata lacks; there are age, "
        "Sex. Add them, under these names."
    ):
        learnt.encode(frame(age=AGE, Sex=SEX))


def test_categories_that_no_training_sample_has(learnt):
    with refused(
        "Conditioning column 'site': 2 samples are of categories that no training sample has: s1 ('Gut'), s3 ('3'). "
        "Known are 10, 2, gut, skin. Correct them, leave these samples out, or fit a model with training samples of "
        "these categories."
    ):
        learnt.encode(frame(age=[1.0] * 3, sex=["f"] * 3, site=["Gut", "gut", "3"]))


def test_text_in_place_of_numbers(learnt):
    with refused(
        "Conditioning column 'age' held numbers when the model was fitted, but holds text here: 'old' in sample s1, "
        "for instance. Give the same measurement, as numbers in all samples."
    ):
        learnt.encode(frame(age=["old", "3"], sex=["f", "f"], site=["2", "2"]))


def test_numbers_too_large():
    learnt = Conditioning.fit(frame(x=[1.0, 1.5]))
    with refused("Conditioning column 'x' holds numbers too large to compute with in 1 samples: s2. Correct them."):
        learnt.encode(frame(x=[1.0, 1e300]))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kind": "ordinal"}, "kind is 'ordinal'; it must be one of numeric, categorical."),
        ({"scale": 0.0}, "location, scale, lowest and highest must be finite, and the scale positive."),
        ({"categories": ["a", "b"]}, "a numeric column has no categories."),
        ({"kind": "categorical"}, "two or more distinct categories are needed: []."),
    ],
)
def test_a_description_that_contradicts_itself(changes, message):
    with refused(f"Conditioning column 'x': {message}"):
        ConditioningColumn(**{"name": "x", "kind": "numeric", **changes})


def test_a_description_of_another_version(learnt):
    description = learnt.to_dict()
    description["columns"][1]["spline"] = description["columns"][1].pop("scale")
    with refused(
        "The description of a conditioning column lacks the keys ['scale'] and has the unknown keys ['spline']. Update "
        "q2-aam, or fit the model again."
    ):
        Conditioning.from_dict(description)


# Which columns, which samples


def test_all_columns_or_those_asked_for_each_once():
    assert choose_columns(["age", "sex"], None, "ph") == ["age", "sex"]
    assert choose_columns(["age", "sex", "ph"], ["sex", "age", "sex"], "ph", "site") == ["sex", "age"]


def test_columns_that_cannot_be_used():
    with refused(
        "The conditioning metadata has no column Age, weight; there are age, sex. Correct conditioning_columns."
    ):
        choose_columns(["age", "sex"], ["Age", "sex", "weight"], "ph")
    with refused(
        "Conditioning column 'ph' is the column to predict: the model would be given the answer. Name the columns to "
        "condition on in conditioning_columns, without it."
    ):
        choose_columns(["age", "ph"], None, "ph")
    with refused(
        "Conditioning column 'site' is the group column: new samples are of other groups, of which nothing can be "
        "learnt. Name the columns to condition on in conditioning_columns, without it."
    ):
        choose_columns(["age", "site"], ["site"], "ph", "site")
    with refused("The conditioning metadata has no columns. Give metadata with the columns to condition on."):
        choose_columns([], None, "ph")


def test_rows_are_those_of_the_tables_samples_in_its_order():
    assert rows_of_samples(frame(age=AGE), ["s4", "s1"])["age"].tolist() == [7.0, 1.0]


def test_samples_that_are_not_there_and_ids_that_are_there_twice():
    with refused(
        "6 of the table's 7 samples are not in the conditioning metadata: x0, x1, x2, x3, x4, ... (6 in all). Add them "
        "to it, or filter them from the table."
    ):
        rows_of_samples(frame(age=AGE), ["s1", *(f"x{i}" for i in range(6))])
    with refused("1 sample IDs stand more than once in the conditioning metadata: s1. Keep one row of each."):
        rows_of_samples(pd.DataFrame({"age": [1, 2]}, index=["s1", "s1"]), ["s1"])
