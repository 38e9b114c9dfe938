import json

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from q2_aam.settings import TRANSFORMS
from q2_aam.study.targets import Target


def column(values, name="ph"):
    return pd.Series(values, index=[f"s{i}" for i in range(len(values))], name=name)


def random_column(seed=0, n=50):
    rng = np.random.default_rng(seed)
    return column(rng.lognormal(sigma=2, size=n) * 10.0 ** rng.integers(-3, 4) - 0.5)


def fails(message, function, *arguments):
    with pytest.raises(ValueError) as error:
        function(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_decode_undoes_encode(transform, seed):
    values = random_column(seed)
    target = Target.fit_numeric(values, transform)
    encoded = target.encode(values)
    assert encoded.dtype == np.float32 and encoded.shape == (50,)
    decoded = target.decode(encoded)
    assert decoded.dtype == np.float64
    # What float32 can hold: errors of 1e-7 of the encoded numbers, in the logarithm for log1p.
    if transform == "log1p":
        np.testing.assert_allclose(np.log1p(decoded), np.log1p(values), atol=1e-6 * target.scale * 10)
    else:
        np.testing.assert_allclose(decoded, values, rtol=1e-6, atol=1e-6 * target.scale * 10)


@pytest.mark.parametrize("seed", range(3))
def test_transforms_are_those_of_scikit_learn(seed):
    values = random_column(seed)
    x = values.to_numpy()[:, None]
    oracles = {
        "none": x,
        "zscore": StandardScaler().fit_transform(x),
        "minmax": MinMaxScaler().fit_transform(x),
        "log1p": StandardScaler().fit_transform(np.log1p(x)),
    }
    for transform, expected in oracles.items():
        encoded = Target.fit_numeric(values, transform).encode(values)
        np.testing.assert_allclose(encoded, expected[:, 0], rtol=1e-5, atol=1e-6)


def test_the_transform_is_fitted_on_the_training_part_alone():
    train, held_out = column([1.0, 3.0]), column([100.0])
    target = Target.fit_numeric(train, "zscore")
    assert (target.location, target.scale) == (2.0, 1.0)
    assert target.encode(held_out).tolist() == [98.0]
    assert Target.fit_numeric(train, "minmax").encode(held_out).tolist() == [49.5]


def test_decode_takes_any_shape():
    target = Target.fit_numeric(column([1.0, 3.0]), "zscore")
    np.testing.assert_array_equal(target.decode([[0.0, 1.0], [-1.0, 2.0]]), [[2.0, 3.0], [1.0, 4.0]])
    assert target.decode(np.zeros((0,), dtype=np.float32)).shape == (0,)


def test_numbers_given_as_text_or_integers_are_numbers():
    assert Target.fit_numeric(column(["1", "3"])).encode(column([5])).tolist() == [3.0]


def test_encoding_no_samples_gives_none():
    assert Target.fit_numeric(column([1.0, 3.0])).encode(column([1.0])[:0]).shape == (0,)
    assert Target.fit_categorical(column(["a", "a", "b", "b"])).encode(column(["a"])[:0]).shape == (0,)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_constant_target_is_refused(transform):
    fails(
        "column 'ph' has the same value (7) in all 3 training samples: there is nothing to learn. Choose "
        "another column.",
        Target.fit_numeric,
        column([7, 7, 7]),
        transform,
    )
    with pytest.raises(ValueError, match="the same value"):
        Target.fit_numeric(column([0.1 + 0.2, 0.3, 0.3]), transform)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_values_that_are_no_finite_number_are_refused_by_sample(bad):
    message = "column 'ph': 1 samples have no finite number: s1. Leave them out or mend their values."
    fails(message, Target.fit_numeric, column([1.0, bad, 3.0]))
    fails(message, Target.fit_numeric(column([1.0, 2.0])).encode, column([1.0, bad, 3.0]))


def test_a_number_beyond_float32_is_refused():
    fails(
        "column 'ph': 1 samples have numbers too large for float32: s1. Rescale the column.",
        Target.fit_numeric,
        column([1.0, 1e39]),
    )


def test_log1p_refuses_values_without_logarithm():
    message = (
        "column 'ph': 7 samples have values of -1 or less, of which log(1 + x) is not defined: s1, s2, s3, "
        "s4, s5, ... (7 in all). Use another target_transform, such as 'zscore'."
    )
    fails(message, Target.fit_numeric, column([1.0, *[-1.0] * 6, -2.0]), "log1p")
    fails(message, Target.fit_numeric(column([-0.5, 1.0]), "log1p").encode, column([1.0, *[-1.0] * 6, -2.0]))


def test_an_unknown_transform_is_refused():
    fails(
        "transform is 'log'; it must be one of none, zscore, minmax, log1p.",
        Target.fit_numeric,
        column([1.0, 2.0]),
        "log",
    )


def test_no_samples_are_refused():
    fails("column 'ph': there are no samples to learn from.", Target.fit_numeric, column([1.0])[:0])
    fails("column 'ph': there are no samples to learn from.", Target.fit_categorical, column(["a"])[:0])


def test_classes_as_words():
    values = column(["soil", "gut", "soil", "gut", "gut"], "habitat")
    target = Target.fit_categorical(values)
    assert target.classes == ["gut", "soil"]
    encoded = target.encode(values)
    assert encoded.dtype == np.int64 and encoded.tolist() == [1, 0, 1, 0, 0]
    assert target.decode(encoded).tolist() == values.tolist()
    np.testing.assert_allclose(target.class_weights, [5 / (2 * 3), 5 / (2 * 2)])


@pytest.mark.parametrize("values", [["1", "10", "2"] * 2, [1, 10, 2] * 2])
def test_classes_as_integers_stay_text_in_plain_order(values):
    target = Target.fit_categorical(column(values))
    assert target.classes == ["1", "10", "2"]
    assert target.encode(column(values)).tolist() == [0, 1, 2, 0, 1, 2]
    assert target.decode([2, 0]).tolist() == ["2", "1"]


def test_values_that_differ_but_are_the_same_text_are_refused():
    fails(
        "column 'ph' has different values that are printed as the same text (1, 2): they would be one "
        "class. Write all values of the column as text.",
        Target.fit_categorical,
        column([1, "1", 2, "2", "3"]).astype(object),
    )
    assert Target.fit_categorical(column([1, np.int64(1), 2]).astype(object)).classes == ["1", "2"]


def test_the_order_of_samples_changes_no_class_code():
    values = column(["b", "a", "c", "a", "b", "c"])
    assert Target.fit_categorical(values) == Target.fit_categorical(values[::-1])


def test_one_class_is_refused():
    fails(
        "column 'ph' has one class only ('a') in the 2 training samples: two or more are needed. Choose "
        "another column, or samples of more classes.",
        Target.fit_categorical,
        column(["a", "a"]),
    )


def test_samples_without_a_class_are_refused():
    message = "column 'ph': 1 samples have no class: s1. Leave them out or fill in their class."
    fails(message, Target.fit_categorical, column(["a", None, "b"]))
    fails(message, Target.fit_categorical(column(["a", "a", "b", "b"])).encode, column(["a", np.nan]))


def test_unknown_classes_are_refused():
    target = Target.fit_categorical(column(["a", "a", "b", "b"]))
    fails(
        "column 'ph': 2 samples (s1, s2) are of classes that no training sample has (c, d); known are a, b. "
        "Leave these samples out, or have some of each class in training.",
        target.encode,
        column(["a", "d", "c"]),
    )


@pytest.mark.parametrize("codes", [[0, 2], [-1]])
def test_codes_of_no_class_are_refused(codes):
    target = Target.fit_categorical(column(["a", "a", "b", "b"]))
    fails("target 'ph': codes must lie between 0 and 1.", target.decode, codes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_json_keeps_a_numeric_target_exactly(transform, seed):
    target = Target.fit_numeric(random_column(seed), transform)
    assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target


def test_json_keeps_a_categorical_target_exactly():
    target = Target.fit_categorical(column(["Ω", "1e5", "001", "Ω", "1e5", "001", "001"]))
    again = Target.from_dict(json.loads(json.dumps(target.to_dict())))
    assert again == target and again.classes == ["001", "1e5", "Ω"]


def test_from_dict_names_keys_it_cannot_use():
    values = Target.fit_numeric(column([1.0, 2.0])).to_dict()
    del values["scale"]
    fails(
        "the target's description lacks the keys ['scale'] and has the unknown keys ['sigma']. Update "
        "q2-aam, or train the model again.",
        Target.from_dict,
        {**values, "sigma": 1.0},
    )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kind": "ordinal"}, "target 'ph': kind is 'ordinal'; it must be one of numeric, categorical."),
        ({"classes": ["a", "b"]}, "target 'ph': a numeric target has no classes."),
        (
            {"scale": 0.0},
            "target 'ph': location 0.0 and scale 0.0 must be finite numbers, and the scale positive.",
        ),
        (
            {"kind": "categorical", "classes": ["a"], "class_weights": [1.0]},
            "target 'ph': two or more distinct classes are needed: ['a'].",
        ),
        (
            {"kind": "categorical", "classes": ["a", "b"]},
            "target 'ph': there must be one class weight for each class.",
        ),
        (
            {"kind": "categorical", "transform": "zscore"},
            "target 'ph': classes take no transform, but it is 'zscore'.",
        ),
    ],
)
def test_contradictions_are_refused(settings, message):
    with pytest.raises(ValueError) as error:
        Target(**{"name": "ph", "kind": "numeric", **settings})
    assert str(error.value) == message
