"""How far cohorts are from controls, with intervals by drawing subjects anew."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from q2_aam.evaluation.bootstrap import CONFIDENCE
from q2_aam.evaluation.control_curve import Sums

# With fewer, how subjects differ is not known.
FEWEST_OF_A_COHORT = 3
DRAWS = 1000
MOST_RANGES = 8


@dataclass
class Cohorts:
    """Means of cohorts over their subjects, each of which counts alike, whatever the number of its samples.

    Subjects of a cohort are drawn anew, and so are those of the controls, to which the curve is then fitted: an
    interval knows how uncertain the curve is. It is the estimate plus and minus the standard error from both times a
    quantile of Student's t, with Welch's degrees of freedom: percentiles are too narrow where subjects are few. The
    spread, by which z-scores are divided, is taken as known.

    Parameters
    ----------
    samples : pandas.DataFrame
        What :func:`q2_aam.evaluation.maturity.measure_maturity` made of them.
    control : str
        The cohort of the controls.
    subjects : np.ndarray
        int ``[N]``.
    design : np.ndarray
        float64 ``[N, K]``, splines at the true values.
    smoothness : float
        That of the curve.
    random_state : int
        Seed of the draws.
    """

    samples: pd.DataFrame
    control: str
    subjects: np.ndarray
    design: np.ndarray
    smoothness: float
    random_state: int

    def __post_init__(self):
        controls = (self.samples["cohort"] == self.control).to_numpy()
        names, numbers = np.unique(self.subjects[controls], return_inverse=True)
        sums = Sums(self.design[controls], self.samples["predicted"].to_numpy()[controls], numbers)
        self._controls, self._generator = len(names), np.random.default_rng(self.random_state)
        self._curve = sums.coefficients(np.ones(len(names)), self.smoothness)
        self._curves = sums.coefficients(self._drawn(len(names)).astype(np.float64), self.smoothness)

    def _drawn(self, count: int) -> np.ndarray:
        """How often each of some subjects was drawn, ``[D, S]``."""
        return self._generator.multinomial(count, np.full(count, 1 / count), DRAWS)

    def compare(self, chosen=None) -> pd.DataFrame:
        """Mean difference and z-score of each cohort.

        Parameters
        ----------
        chosen : np.ndarray, optional
            bool ``[N]``: the samples that are looked at.

        Returns
        -------
        pandas.DataFrame
            A row a cohort, the controls first: `cohort`, `samples` and `subjects` (with an expectation), `difference`,
            `z`, and `difference_low`, `difference_high`, `z_low`, `z_high`, missing of controls and where subjects are
            too few. Of controls, out-of-fold means.
        """
        known = self.samples["z"].notna().to_numpy() & (True if chosen is None else chosen)
        cohorts = self.samples["cohort"].to_numpy()
        names = [self.control, *sorted(set(cohorts) - {self.control})]
        return pd.DataFrame([self._row(name, known & (cohorts == name)) for name in names])

    def by_range(self) -> pd.DataFrame:
        """The same by ranges of the true value, the lowest first, with their ends `low` and `high`.

        Cohorts without a sample in a range are left out there.
        """
        true, parts = self.samples["true"].to_numpy(), []
        edges = range_edges(true[self.samples["z"].notna()])
        for place, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
            last = place == len(edges) - 2
            rows = self.compare((true >= low) & ((true < high) | (last & (true <= high))))
            rows.insert(0, "high", high)
            rows.insert(0, "low", low)
            parts.append(rows[rows["samples"] > 0])
        return pd.concat(parts, ignore_index=True)

    def _row(self, cohort: str, own: np.ndarray) -> dict:
        subjects, places = np.unique(self.subjects[own], return_inverse=True)
        row = {"cohort": cohort, "samples": int(own.sum()), "subjects": len(subjects)}
        predicted = self.samples["predicted"].to_numpy()[own]
        scales = {"difference": np.ones(len(predicted)), "z": self.samples["spread"].to_numpy()[own]}
        for name, scale in scales.items():
            row |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
            if not own.any():
                continue
            row[name] = float(by_subject(self.samples[name].to_numpy()[own], places).mean())
            if cohort == self.control or len(subjects) < FEWEST_OF_A_COHORT:
                continue
            # A subject's mean is linear in the curve: no draw needs the samples.
            levels = by_subject(predicted / scale, places)
            slopes = by_subject(self.design[own] / scale[:, None], places)
            means = self._drawn(len(subjects)) @ (levels - slopes @ self._curve) / len(subjects)
            half = half_width(means, len(subjects), self._curves @ slopes.mean(0), self._controls)
            row |= {f"{name}_low": row[name] - half, f"{name}_high": row[name] + half}
        return row


def range_edges(values: np.ndarray) -> np.ndarray:
    """Round ends of at most eight ranges of values."""
    from matplotlib.ticker import MaxNLocator

    # Where they do not begin at a round value, one more is needed.
    ticks = MaxNLocator(MOST_RANGES - 1, steps=[1, 2, 2.5, 4, 5, 10]).tick_values(values.min(), values.max())
    first = np.searchsorted(ticks, values.min(), side="right") - 1
    last = np.searchsorted(ticks, values.max(), side="left")
    return ticks[max(first, 0) : last + 1] if last > first else np.repeat(values.min(), 2)


def by_subject(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mean of each subject's values, ``[S]`` or ``[S, K]``."""
    means = pd.DataFrame(values).groupby(places).mean().to_numpy()
    return means[:, 0] if values.ndim == 1 else means


def half_width(means: np.ndarray, count: int, levels: np.ndarray, controls: int) -> float:
    """Half of an interval.

    Parameters
    ----------
    means : np.ndarray
        float64 ``[D]``, of a cohort's subjects that were drawn anew.
    count : int
        How many subjects these are.
    levels : np.ndarray
        float64 ``[D]``, what the curves of controls that were drawn anew expect of the cohort.
    controls : int
        How many subjects these are.
    """
    from scipy.stats import t

    counts = np.array([count, controls])
    # Draws vary about the subjects' mean, (count - 1) / count as much as subjects about the truth.
    variances = np.array([means.var(), levels.var()]) * counts / (counts - 1)
    if not variances.any():
        return 0.0
    freedom = variances.sum() ** 2 / (variances**2 / (counts - 1)).sum()
    return float(np.sqrt(variances.sum()) * t.ppf((1 + CONFIDENCE) / 2, freedom))
