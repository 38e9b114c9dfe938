"""How far cohorts are from controls, with intervals over subjects."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from q2_aam.evaluation.bootstrap import CONFIDENCE

# With fewer, how subjects differ is not known.
FEWEST_OF_A_COHORT = 3
MOST_RANGES = 8
# With one, intervals hold the truth hardly more often (simulated), and are nearly twice as wide.
FEWEST_FREEDOM = 2.0


@dataclass
class LeftOut:
    """What controls say when a part of them is left out, in turn.

    Attributes
    ----------
    curves, log_variances : np.ndarray
        float64 ``[P, K]``, coefficients of the curve and of the logarithm of the variance.
    shares : np.ndarray
        float64 ``[P, K]``, how much the curve of all follows each part
        (:meth:`q2_aam.evaluation.control_curve.Sums.shares`).
    """

    curves: np.ndarray
    log_variances: np.ndarray
    shares: np.ndarray


@dataclass
class Cohorts:
    """Means of cohorts over their subjects, each of which counts alike, whatever the number of its samples.

    An interval is the estimate plus and minus its standard error times a quantile of Student's t. The error has two
    parts: how subjects of the cohort differ; and, by the jackknife, how the estimate changes when parts of the controls
    (each subject one, of many up to 20) are left out of curve and spread. Degrees of freedom are Welch's, of which the
    controls have the fewer the more the curve follows a few of them.

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
    left_out : LeftOut
    """

    samples: pd.DataFrame
    control: str
    subjects: np.ndarray
    design: np.ndarray
    left_out: LeftOut

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
        predicted, design = self.samples["predicted"].to_numpy()[own], self.design[own]
        spread = self.samples["spread"].to_numpy()[own]
        # The spread by all controls, and with each part of them left out.
        without_parts = np.exp(design @ self.left_out.log_variances.T / 2)
        scales = {"difference": (np.ones(len(spread)), 1), "z": (spread, without_parts)}
        for name, (scale, without) in scales.items():
            row |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
            if not own.any():
                continue
            values = by_subject(self.samples[name].to_numpy()[own], places)
            row[name] = float(values.mean())
            if cohort == self.control or len(subjects) < FEWEST_OF_A_COHORT:
                continue
            estimates = by_subject((predicted[:, None] - design @ self.left_out.curves.T) / without, places).mean(0)
            shares = by_subject(design @ self.left_out.shares.T / scale[:, None], places).mean(0)
            half = half_width(values, estimates, shares)
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


def half_width(values: np.ndarray, estimates: np.ndarray, shares: np.ndarray) -> float:
    """Half of an interval of the mean of a cohort's subjects.

    Parameters
    ----------
    values : np.ndarray
        float64 ``[S]``, of the subjects.
    estimates : np.ndarray
        float64 ``[P]``, their mean with each part of the controls left out.
    shares : np.ndarray
        float64 ``[P]``, how much what is expected of them follows each part.

    References
    ----------
    MacKinnon JG, Nielsen MO, Webb MD (2023). Cluster-robust inference: a guide to empirical practice. Journal of
    Econometrics 232(2):272-299.
    """
    from scipy.stats import t

    count, parts = len(values), len(estimates)
    variances = np.array([values.var(ddof=1) / count, (parts - 1) * estimates.var()])
    if not variances.any():
        return 0.0
    freedom = variances.sum() ** 2 / (variances**2 / [count - 1, freedom_of(shares)]).sum()
    return float(np.sqrt(variances.sum()) * t.ppf((1 + CONFIDENCE) / 2, freedom))


def freedom_of(shares: np.ndarray) -> float:
    """Degrees of freedom of the controls: how many parts that count alike would say as much, less one.

    Parameters
    ----------
    shares : np.ndarray
        float64 ``[P]``.

    References
    ----------
    Kish L (1965). Survey Sampling. Wiley; the effective number of weighted samples.
    """
    weights = np.abs(shares) / np.abs(shares).sum()
    return max(1 / (weights**2).sum() - 1, FEWEST_FREEDOM)
