"""Simulated predictions of an age: controls about a known curve, and a cohort that is a known delay behind it."""

import numpy as np
import pandas as pd

MONTHS = 24.0


def expected_at(age):
    """What controls are predicted on average: a curve that levels out."""
    return 2 + 14 * (1 - np.exp(-age / 9))


def spread_at(age):
    """The standard deviation of controls."""
    return 0.8 + 0.12 * age


def simulate_cohorts(
    random_seed: int,
    controls: int = 8,
    others: int = 8,
    visits: int = 12,
    delay: float = 2.0,
    own_share: float = 0.4,
) -> pd.DataFrame:
    """Simulate predictions of subjects that are seen over 24 months.

    Parameters
    ----------
    random_seed : int
    controls, others : int
        Subjects of either cohort.
    visits : int
        Samples of each.
    delay : float
        How far the other cohort's predictions lie below those of controls, months.
    own_share : float
        Share of the variance that a subject has throughout.

    Returns
    -------
    pandas.DataFrame
        By sample ID: `subject`, `true`, `predicted`, `cohort` ('control' or 'late').

    Examples
    --------
    >>> frame = simulate_cohorts(0, controls=2, others=1, visits=3)
    >>> list(frame["cohort"].unique()), len(frame)
    (['control', 'late'], 9)
    """
    rng, rows = np.random.default_rng(random_seed), []
    for number in range(controls + others):
        age = np.clip(np.linspace(0, MONTHS, visits) + rng.normal(0, 0.4, visits), 0, MONTHS + 0.5)
        noise = np.sqrt(own_share) * rng.normal() + np.sqrt(1 - own_share) * rng.normal(size=visits)
        late = number >= controls
        value = expected_at(age) - delay * late + spread_at(age) * noise
        cohort = "late" if late else "control"
        rows += [(f"subject {number}", a, v, cohort) for a, v in zip(age, value, strict=True)]
    frame = pd.DataFrame(rows, columns=["subject", "true", "predicted", "cohort"])
    return frame.set_axis([f"S{row}" for row in range(len(frame))])
