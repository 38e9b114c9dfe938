"""Maturity on simulated cohorts, of which curve, spread and delay are known."""

import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.evaluation.cohorts import freedom_of, half_width, range_edges
from q2_aam.evaluation.control_curve import PENALTIES, Basis, Sums, log_loss, log_variance
from q2_aam.evaluation.maturity import GAP, OUTSIDE, measure_maturity, parts_of, support
from q2_aam.simulation.cohorts import expected_at, simulate_cohorts, spread_at

DELAY = 2.0


def means(runs):
    return pd.DataFrame(runs).astype(float).mean()


@pytest.mark.parametrize("controls, others, sets, limit", [(8, 8, 40, 0.35), (24, 18, 12, 0.35)])
def test_a_delay_is_found_and_controls_have_the_z_scores_of_a_standard_normal(controls, others, sets, limit):
    runs = []
    for seed in range(sets):
        frame = simulate_cohorts(seed, controls, others)
        found = measure_maturity(frame, "control")
        own, late = (found.samples[found.samples["cohort"] == name] for name in ("control", "late"))
        row = found.cohorts.set_index("cohort").loc["late"]
        true_z = pd.Series(-DELAY / spread_at(late["true"])).groupby(late["subject"]).mean().mean()
        runs.append(
            {
                "mean": own["z"].mean(),
                "deviation": own["z"].std(),
                # Without the delay they are controls that nothing was learnt from.
                "new": (late["z"] + DELAY / late["spread"]).std(),
                "difference": row["difference"],
                "covered": row["difference_low"] <= -DELAY <= row["difference_high"],
                "z": row["z"] - true_z,
                "z covered": row["z_low"] <= true_z <= row["z_high"],
                "spread": np.abs(np.log(found.curve["spread"] / spread_at(found.curve["true"]))).mean(),
            }
        )
    found = means(runs)
    assert abs(found["mean"]) < 0.03
    assert 0.97 < found["deviation"] < 1.1
    assert 0.9 < found["new"] < 1.1
    assert abs(found["difference"] + DELAY) < limit
    assert abs(found["z"]) < 0.15
    assert found["covered"] >= 0.9 and found["z covered"] >= 0.85
    assert found["spread"] < 0.2


def test_cohorts_that_do_not_differ_are_told_apart_as_rarely_as_said():
    wrong = []
    for seed in range(60):
        row = measure_maturity(simulate_cohorts(seed, 6, 5, 8, delay=0), "control").cohorts.iloc[1]
        wrong.append(not row["difference_low"] <= 0 <= row["difference_high"])
    assert np.mean(wrong) <= 0.1


def test_a_controls_own_samples_do_not_make_its_expectation():
    frame = simulate_cohorts(0)
    before = measure_maturity(frame, "control").samples
    own = frame["subject"] == "subject 3"
    frame.loc[own, "predicted"] += 100
    after = measure_maturity(frame, "control").samples
    np.testing.assert_array_equal(before.loc[own, "expected"], after.loc[own, "expected"])
    np.testing.assert_allclose(after.loc[own, "difference"], before.loc[own, "difference"] + 100)
    late = frame["cohort"] == "late"
    assert (after.loc[late, "expected"] > before.loc[late, "expected"] + 5).all(), "they do make that of the others"
    assert not after.loc[own, "z"].isna().any()


def test_nor_their_spread():
    frame = simulate_cohorts(0)
    frame["predicted"] = expected_at(frame["true"]) + np.sin(np.arange(len(frame)))
    own = frame["subject"] == "subject 3"
    before = measure_maturity(frame, "control").samples
    frame.loc[own, "predicted"] = expected_at(frame.loc[own, "true"]) + 50 * np.sin(np.arange(own.sum()))
    after = measure_maturity(frame, "control").samples
    assert after.loc[own, "spread"].max() < 5 * before.loc[own, "spread"].max()
    assert after.loc[frame["cohort"] == "late", "spread"].min() > 5 * before["spread"].max()


def test_nor_does_a_control_move_its_own_spread_through_the_curves_of_others():
    frame = simulate_cohorts(0, controls=4)
    own = frame["subject"] == "subject 3"
    before = measure_maturity(frame, "control").samples
    after = measure_maturity(frame.assign(predicted=frame["predicted"] + 1000 * own), "control").samples
    # As the residuals of the others grow with its own, |z| would be at most three.
    np.testing.assert_allclose(after.loc[own, "spread"], before.loc[own, "spread"], rtol=1e-3)
    assert after.loc[own, "z"].min() > 100


def cohorts_of(seed, visits, others, delay, own_share):
    """Controls with so many visits each, all of one spread, and a cohort of eight visits each."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(len(visits) + others):
        late = number >= len(visits)
        age = rng.uniform(0, 24, 8 if late else visits[number])
        noise = np.sqrt(own_share) * rng.normal() + np.sqrt(1 - own_share) * rng.normal(size=len(age))
        cohort = "late" if late else "control"
        values = expected_at(age) - delay * late + noise
        rows += [(f"subject {number}", a, v, cohort) for a, v in zip(age, values, strict=True)]
    frame = pd.DataFrame(rows, columns=["subject", "true", "predicted", "cohort"])
    return frame.set_axis([f"S{row}" for row in range(len(frame))])


def test_intervals_of_z_know_that_the_spread_is_not_known():
    runs, delay = [], 8.0
    for seed in range(40):
        row = measure_maturity(cohorts_of(seed, (8,) * 6, 8, delay, 0.4), "control").cohorts.iloc[1]
        runs.append(
            {
                "difference": row["difference_low"] <= -delay <= row["difference_high"],
                "z": row["z_low"] <= -delay <= row["z_high"],
            }
        )
    assert (means(runs) >= 0.9).all()


def test_one_control_with_most_samples_makes_intervals_wide():
    even, uneven = (
        measure_maturity(cohorts_of(1, visits, 8, 0.0, 0.9), "control").cohorts.iloc[1]
        for visits in ((8,) * 6, (38, 2, 2, 2, 2, 2))
    )
    ends = ["difference_low", "difference_high"]
    # A curve through 48 samples, either way.
    assert np.diff(uneven[ends]) > 2 * np.diff(even[ends])


def test_nothing_is_expected_beyond_the_controls_or_between_them():
    frame = simulate_cohorts(1)
    controls = frame["cohort"] == "control"
    frame = frame[~controls | ~frame["true"].between(8, 19)]
    frame.loc["old"] = ("subject 9", 30.0, 9.0, "late")
    found = measure_maturity(frame, "control")
    samples = found.samples
    low, high = frame.loc[frame["cohort"] == "control", "true"].agg(["min", "max"])
    late = samples[samples["cohort"] == "late"]
    assert samples.loc["old", "reason"] == OUTSIDE
    gaps = late[late["reason"] == GAP]
    assert len(gaps) and gaps["true"].between(8, 19).all() and (gaps["control_subjects"] < 2).all()
    numbers = ["expected", "spread", "difference", "z"]
    missing = samples["reason"] != ""
    assert samples.loc[missing, numbers].isna().all(axis=None) and samples.loc[~missing, numbers].notna().all(axis=None)
    assert (found.curve["true"].min(), found.curve["true"].max()) == (low, high)
    broken = found.curve["expected"].isna()
    assert broken.any() and (broken == (found.curve["control_subjects"] < 2)).all()
    # A control at the end is beyond the others.
    last = samples.loc[controls.reindex(samples.index, fill_value=False), "true"].idxmax()
    assert samples.loc[last, "reason"] == OUTSIDE
    assert found.cohorts["samples"].sum() == (~missing).sum()


def test_near_counts_subjects_of_other_parts():
    places, parts = np.array([1.0, 2.0, 2.0]), np.array([-1, 0, -1])
    true, subjects = np.array([1.5, 2.4, 2.0, 2.5]), np.array([7, 7, 8, 9])
    counts, inside = support(places, parts, 0.5, true, subjects, np.array([0, 0, 1, 2]))
    assert list(counts) == [1, 2, 3] and list(inside) == [False, True, True]


def test_few_controls_have_one_spread_for_all_values():
    for controls, visits in ((4, 13), (5, 9)):
        found = measure_maturity(simulate_cohorts(0, controls, visits=visits), "control")
        assert not found.spread_by_age and np.ptp(found.curve["spread"].dropna()) < 1e-5
    found = measure_maturity(simulate_cohorts(0, controls=5, visits=13), "control")
    assert found.spread_by_age and np.ptp(found.curve["spread"].dropna()) > 0.1


def test_an_interval_takes_three_subjects():
    two, three = (measure_maturity(simulate_cohorts(0, others=count), "control").cohorts.iloc[1] for count in (2, 3))
    assert np.isnan(two["difference_low"]) and np.isnan(two["z_high"]) and np.isfinite(two["difference"])
    assert three["difference_low"] < three["difference"] < three["difference_high"]


def test_each_subject_counts_alike():
    frame = simulate_cohorts(2)
    late = frame.index[frame["cohort"] == "late"]
    many = frame.loc[late[:12]]
    twice = pd.concat([frame, many.set_axis([f"again {n}" for n in range(len(many))])])
    one, other = (measure_maturity(part, "control").cohorts.iloc[1] for part in (frame, twice))
    assert other["samples"] == one["samples"] + 12 and other["subjects"] == one["subjects"]
    assert other["difference"] == pytest.approx(one["difference"])


def test_without_subjects_each_sample_is_one():
    frame = simulate_cohorts(0).assign(subject=None)
    found = measure_maturity(frame, "control").cohorts
    assert (found["subjects"] == found["samples"]).all()
    by_subject = measure_maturity(simulate_cohorts(0), "control").cohorts.iloc[1]
    ends = ["difference_low", "difference_high"]
    assert np.diff(found.iloc[1][ends]) < np.diff(by_subject[ends])


def test_ranges():
    found = measure_maturity(simulate_cohorts(0), "control")
    rows = found.ranges
    late = rows[rows["cohort"] == "late"]
    known = found.samples[(found.samples["cohort"] == "late") & found.samples["z"].notna()]
    assert late["samples"].sum() == len(known)
    for row in late.itertuples():
        part = known[(known["true"] >= row.low) & (known["true"] < row.high)]
        assert row.difference == pytest.approx(part.groupby("subject")["difference"].mean().mean())
    assert late["difference_low"].notna().all() and rows.loc[rows["cohort"] == "control", "z_low"].isna().all()


@pytest.mark.parametrize(
    "values, edges",
    [
        ((0, 24.3), [0, 4, 8, 12, 16, 20, 24, 28]),
        ((20, 80), [20, 30, 40, 50, 60, 70, 80]),
        ((4.1, 8.8), None),
        ((3, 3), None),
    ],
)
def test_ends_of_ranges_are_round_and_hold_all(values, edges):
    found = range_edges(np.array(values, dtype=float))
    assert found[0] <= values[0] and found[-1] >= values[1] and 2 <= len(found) <= 9
    assert edges is None or list(found) == edges


def refused(sentence, frame, control="control"):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        measure_maturity(frame, control)


def test_too_few_controls_are_refused():
    advice = (
        " are controls ('control'): it takes 10 samples of 3 subjects or more to say what is expected. Choose another "
        "control, or add controls."
    )
    refused("24 samples of 2 subjects" + advice, simulate_cohorts(0, controls=2))
    refused("9 samples of 3 subjects" + advice, simulate_cohorts(0, controls=3, visits=3))
    refused(
        "The true value of all 96 controls ('control') is 5: there is no curve through one value. Add controls of "
        "other values, or choose another column.",
        simulate_cohorts(0).assign(true=5.0),
    )
    refused(
        "The predictions of the controls ('control') lie on one line: without a spread there is no z-score. Give the "
        "predictions of a model.",
        simulate_cohorts(0).assign(predicted=3.0),
    )
    scattered = simulate_cohorts(0, controls=3, visits=4)
    scattered.loc[scattered["cohort"] == "control", "true"] = (np.arange(12).reshape(4, 3).T.ravel()) ** 3.0
    refused(
        "Only 6 controls ('control') of 3 subjects have a true value near which there are controls of 2 other "
        "subjects: it takes 10 of 3 to say how far controls spread. Add controls whose true values are nearer to "
        "each other.",
        scattered,
    )


def test_parts_are_of_whole_subjects_and_about_as_large():
    subjects = np.repeat(np.arange(50), 4)
    controls = subjects < 45
    parts = parts_of(subjects, controls)
    assert set(parts[~controls]) == {-1} and set(parts[controls]) == set(range(20))
    assert all(len(set(parts[subjects == subject])) == 1 for subject in range(50))
    sizes = np.bincount(parts[controls])
    assert sizes.max() <= 12 and sizes.min() >= 8


def test_sums_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    design, values = Basis(0, 10)(rng.uniform(0, 10, 200)), rng.normal(size=200)
    sums = Sums(design, values, np.arange(200) % 4)
    smoothness = 0.01
    found = sums.coefficients(np.array([1.0, 1, 0, 2]), smoothness)
    weights = np.array([1.0, 1, 0, 2])[np.arange(200) % 4]
    rough = np.sqrt(weights.sum() * smoothness) * np.diff(np.eye(design.shape[1]), 2, axis=0)
    stacked = np.vstack([np.sqrt(weights)[:, None] * design, rough])
    plain = np.linalg.lstsq(stacked, np.r_[np.sqrt(weights) * values, np.zeros(len(rough))], rcond=None)[0]
    np.testing.assert_allclose(found, plain, atol=1e-6)


def test_smoothness_is_chosen_by_what_predicts_other_parts():
    rng = np.random.default_rng(1)
    age, parts = rng.uniform(0, 24, 400), np.arange(400) % 8
    design = Basis(0, 24)(age)
    straight = Sums(design, age + rng.normal(size=400), parts).smoothness(np.ones(8, dtype=bool))
    wavy = Sums(design, 5 * np.sin(age) + rng.normal(size=400), parts).smoothness(np.ones(8, dtype=bool))
    assert 10 * wavy < straight
    assert Sums(design, age, parts).smoothness(np.arange(8) == 2) == PENALTIES[-1], "one part tells nothing"


def test_the_variance_is_the_likeliest():
    from scipy.optimize import minimize

    rng = np.random.default_rng(2)
    age = rng.uniform(0, 24, 300)
    design, squares = Basis(0, 24)(age), (spread_at(age) * rng.standard_t(4, size=300)) ** 2
    smoothness = 0.01
    rough = 300 * smoothness * (lambda d: d.T @ d)(np.diff(np.eye(design.shape[1]), axis=0))

    def loss(coefficients):
        return log_loss(design @ coefficients, squares).sum() + coefficients @ rough @ coefficients / 2

    found = log_variance(design, squares, smoothness)
    best = minimize(loss, np.zeros(len(found)), method="BFGS")
    assert loss(found) <= best.fun + 1e-3
    constant = log_variance(design, squares, PENALTIES[-1])
    np.testing.assert_allclose(constant, np.log(squares.mean()), atol=1e-4)


def test_half_width_is_welchs():
    from scipy.stats import t, ttest_ind

    rng = np.random.default_rng(3)
    one, other = rng.normal(size=7), 2 * rng.normal(size=12)
    without = [one.mean() - np.delete(other, place).mean() for place in range(12)]
    interval = ttest_ind(one, other, equal_var=False)
    expected = abs(one.mean() - other.mean()) / abs(interval.statistic) * t.ppf(0.975, welch(one, other))
    assert half_width(one, np.array(without), np.full(12, 0.3)) == pytest.approx(expected)


def test_degrees_of_freedom_fall_with_how_unequally_a_curve_follows_parts():
    assert freedom_of(np.full(9, 0.2)) == pytest.approx(8)
    assert freedom_of(np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05])) == pytest.approx(1 / 0.275 - 1)
    assert freedom_of(np.array([0.9, *np.full(9, 0.01)])) == 2
    values, without = np.random.default_rng(5).normal(size=8), np.linspace(0, 1, 6)
    equal, unequal = (half_width(values, without, np.array(shares)) for shares in ([1] * 6, [9, 1, 1, 1, 1, 1]))
    assert unequal > 1.3 * equal


def test_shares_are_how_far_a_part_moves_the_curve():
    rng = np.random.default_rng(4)
    design, values, parts = Basis(0, 10)(rng.uniform(0, 10, 60)), rng.normal(size=60), np.arange(60) % 3
    every, smoothness = np.ones(3), 0.01
    before = Sums(design, values, parts).coefficients(every, smoothness)
    after = Sums(design, values + (parts == 1), parts).coefficients(every, smoothness)
    shares = Sums(design, values, parts).shares(smoothness)
    np.testing.assert_allclose(shares[1], after - before, atol=1e-9)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)


def welch(one, other):
    parts = [values.var(ddof=1) / len(values) for values in (one, other)]
    return sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (one, other), strict=True))
