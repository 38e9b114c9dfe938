"""Simulated cohorts are what they are said to be."""

import doctest

import numpy as np
import pytest

from q2_aam.simulation import cohorts
from q2_aam.simulation.cohorts import expected_at, simulate_cohorts, spread_at


def test_curve_spread_and_delay_are_as_said():
    frame = simulate_cohorts(0, controls=400, others=400, visits=6, delay=3.0)
    z = (frame["predicted"] - expected_at(frame["true"])) / spread_at(frame["true"])
    own = frame["cohort"] == "control"
    assert z[own].mean() == pytest.approx(0, abs=0.1) and z[own].std() == pytest.approx(1, abs=0.05)
    assert z[own].groupby(frame["subject"]).mean().var() == pytest.approx(0.4 + 0.6 / 6, abs=0.06)
    late = frame[~own]
    assert (late["predicted"] - expected_at(late["true"])).mean() == pytest.approx(-3, abs=0.3)
    assert frame["subject"].nunique() == 800 and np.isfinite(frame["predicted"]).all()


def test_its_example():
    assert doctest.testmod(cohorts).failed == 0
