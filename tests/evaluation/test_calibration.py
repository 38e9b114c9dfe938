"""Conformal intervals: the rank by hand, and the coverage that theory promises."""

import json

import numpy as np
import pytest
from scipy.special import softmax

from q2_aam.evaluation.calibration import (
    apply_interval,
    class_probabilities,
    fit_temperature,
    residual_interval,
    with_equal_priors,
)

EVEN = np.full(3, 1 / 3)


@pytest.mark.parametrize("n, rank", [(9, 9), (10, 10), (19, 18), (29, 27), (99, 90), (100, 91), (69, 63)])
def test_half_width_is_the_residual_of_the_corrected_rank(n, rank):
    # Residuals 1..n in mixed order and of both signs: the k-th smallest is k.
    residuals = np.random.default_rng(n).permutation(np.arange(1, n + 1)) * np.where(np.arange(n) % 2, 1, -1)
    interval = residual_interval(residuals, np.zeros(n))
    assert interval == {"half_width": float(rank), "coverage": 0.9, "residuals": n, "groups": None, "enough": True}


@pytest.mark.parametrize("n", [1, 8])
def test_too_few_residuals_give_the_largest_and_say_so(n):
    interval = residual_interval(np.arange(1, n + 1), np.zeros(n))
    assert interval == {"half_width": float(n), "coverage": 0.9, "residuals": n, "groups": None, "enough": False}
    assert residual_interval([0, 3], [1, 3], coverage=0.5) == {
        "half_width": 1.0,
        "coverage": 0.5,
        "residuals": 2,
        "groups": None,
        "enough": True,
    }


def test_new_samples_are_covered_as_promised():
    random = np.random.default_rng(5)
    covered = []
    for _ in range(2000):
        errors = random.standard_cauchy(20)
        half_width = residual_interval(errors[:-1], np.zeros(19))["half_width"]
        covered.append(abs(errors[-1]) <= half_width)
    # 18 of 19 + 1: exactly 90% in expectation; three standard errors of 2,000 trials
    assert np.mean(covered) == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 2000))


def test_interval_lies_around_the_prediction_also_after_json():
    interval = json.loads(json.dumps(residual_interval(np.arange(20.0), np.arange(20.0) + 0.5)))
    lower, upper = apply_interval([1, 2.5], interval)
    assert lower.tolist() == [0.5, 2.0] and upper.tolist() == [1.5, 3.0]


def test_refusals():
    with pytest.raises(ValueError, match="needs at least one out-of-fold prediction; there is none"):
        residual_interval([], [])
    with pytest.raises(ValueError, match="^1 of 2 errors of out-of-fold predictions are not finite"):
        residual_interval([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match="between 0 and 1, not 90"):
        residual_interval([1], [1], coverage=90)
    with pytest.raises(ValueError, match=r"of shapes \(2,\) and \(1,\)"):
        residual_interval([1, 2], [1])


def test_a_temperature_undoes_logits_that_are_too_extreme():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 3))
    probabilities = softmax(logits, axis=1)
    codes = np.array([rng.choice(3, p=row) for row in probabilities])
    assert fit_temperature(logits, codes, EVEN) == pytest.approx(1, abs=0.06)
    assert fit_temperature(4 * logits, codes, EVEN) == pytest.approx(4, rel=0.06)
    assert fit_temperature(logits / 10, codes, EVEN) == pytest.approx(0.1, rel=0.06)


def test_few_samples_that_are_all_right_do_not_make_it_certain():
    assert 0.2 < fit_temperature(np.array([[2.0, 0.0], [0.0, 2.0]]), [0, 1], [0.5, 0.5]) < 1
    many = np.array([[2.0, 0.0], [0.0, 2.0]] * 1000)
    assert fit_temperature(many, [0, 1] * 1000, [0.5, 0.5]) < 0.22
    # Of one class nothing can be learnt.
    assert fit_temperature(many, [0] * 2000, [0.5, 0.5]) == 1


def test_a_class_in_no_fold_does_not_pull_the_others():
    """Its share would be pushed down by certainty about the two others, of which nothing is known."""
    rng = np.random.default_rng(0)
    outputs, codes = rng.normal(size=(200, 3)), rng.integers(1, 3, 200)
    assert fit_temperature(outputs, codes, [0.5, 0.25, 0.25]) > 5


@pytest.mark.parametrize(
    ("logits", "codes"), [(np.zeros((0, 2)), []), (np.zeros((3, 2)), [0, 1]), (np.zeros(3), [0] * 3)]
)
def test_a_temperature_of_nothing_is_refused(logits, codes):
    with pytest.raises(ValueError, match="^A temperature needs a row of out-of-fold outputs for each of one or more"):
        fit_temperature(logits, codes, [0.5, 0.5])


def test_a_class_of_one_sample_is_not_likely_where_it_got_no_vote():
    """1 of 1,001: smoothing before the division would give it half of the probability in every sample."""
    frequency = np.array([1, 1000]) / 1001
    found = with_equal_priors(np.array([[0.0, 1.0], [0.5, 0.5]]), frequency)
    assert np.allclose(found, [[0.0005, 0.9995], [0.999 * 1000 / 1001 + 0.0005, 0.999 / 1001 + 0.0005]])
    assert found.min() > 0 and np.allclose(found.sum(1), 1)


def test_probabilities_are_of_classes_as_frequent_as_those_learnt_from():
    """Bayes's rule by hand: outputs are logarithms of likelihoods, whatever their sum."""
    shares, likelihoods = np.array([0.1, 0.9]), np.array([[0.7, 0.3], [0.2, 0.2]])
    found = class_probabilities(np.log(likelihoods) + 3, shares)
    assert np.allclose(found, [[0.07 / 0.34, 0.27 / 0.34], [0.1, 0.9]])
    # The higher the temperature, the nearer the shares.
    assert np.allclose(class_probabilities(np.log(likelihoods), shares, 1e6), shares, atol=1e-5)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9, 0.1], [0.98, 0.02], [0.8, 0.1, 0.04, 0.03, 0.02, 0.01]])
def test_without_a_signal_probabilities_are_the_shares(shares):
    rng = np.random.default_rng(0)
    codes = rng.choice(len(shares), 400, p=shares)
    shares = np.bincount(codes, minlength=len(shares)) / 400
    outputs = rng.normal(0, 1, (400, len(shares)))
    found = class_probabilities(outputs, shares, fit_temperature(outputs, codes, shares))
    assert -np.log(found[np.arange(400), codes]).mean() < 1.011 * -(shares * np.log(shares)).sum()


@pytest.mark.parametrize("minority", [0.5, 0.1, 0.02])
def test_with_a_signal_the_minority_has_the_probability_that_is_true(minority):
    """Samples of two classes on a line, and outputs that are twice too sure of likelihoods: all is known exactly."""
    rng = np.random.default_rng(1)
    codes = (rng.random(20000) < minority).astype(int)
    place = rng.normal(codes, 1)
    log_ratio = place - 0.5
    outputs = 2 * np.stack([np.zeros_like(place), log_ratio], 1)
    shares = np.array([1 - minority, minority])
    exact = 1 / (1 + np.exp(-(log_ratio + np.log(minority / (1 - minority)))))
    temperature = fit_temperature(outputs, codes, shares)
    assert temperature == pytest.approx(2, rel=0.15)
    assert np.abs(class_probabilities(outputs, shares, temperature)[:, 1] - exact).max() < 0.05


def test_groups_count_alike_however_many_samples_they_have():
    """Ten groups of one sample with an error of 1, one of 90 samples with an error of 5; by hand."""
    residuals, groups = np.r_[np.ones(10), np.full(90, 5.0)], np.r_[np.arange(10), np.full(90, 10)]
    # By samples nine tenths of the errors are 5; by groups 10 of 12 (one of which is still to come) are 1.
    assert residual_interval(residuals, np.zeros(100), 0.8)["half_width"] == 5
    found = residual_interval(residuals, np.zeros(100), 0.8, groups)
    assert (found["half_width"], found["groups"], found["enough"]) == (1, 11, True)
    assert residual_interval(residuals, np.zeros(100), 0.9, groups)["half_width"] == 5
    # 11 / 12 of the errors is all there is; no half width holds more.
    assert not residual_interval(residuals, np.zeros(100), 0.95, groups)["enough"]


def test_each_sample_a_group_is_no_groups():
    residuals = np.random.default_rng(0).normal(size=57)
    plain, grouped = (residual_interval(residuals, np.zeros(57), groups=each) for each in (None, np.arange(57)))
    assert {**grouped, "groups": None} == plain


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_new_groups_are_held_nine_times_in_ten(spread):
    """Groups of unequal sizes whose errors differ: by samples large groups would decide."""
    rng = np.random.default_rng(1)
    held, held_by_samples = [], []
    for _ in range(300):
        sizes = rng.integers(1, 40, 30)
        scale = np.exp(spread * rng.normal(size=31) / 2)
        # In large groups errors are smaller.
        scale[:30] = np.where(sizes > 20, scale[:30] / 3, scale[:30])
        scale[30] = scale[30] / 3 if rng.random() < 0.5 else scale[30]
        groups = np.repeat(np.arange(30), sizes)
        residuals = scale[groups] * rng.normal(size=len(groups))
        new = abs(scale[30] * rng.normal())
        held.append(new <= residual_interval(residuals, np.zeros(len(groups)), groups=groups)["half_width"])
        held_by_samples.append(new <= residual_interval(residuals, np.zeros(len(groups)))["half_width"])
    assert 0.87 <= np.mean(held) <= 0.97 and np.mean(held_by_samples) < np.mean(held)
