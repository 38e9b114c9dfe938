"""How far predictions are from what is expected at that true value, by a curve fitted on controls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from q2_aam.evaluation.bootstrap import rows_of_groups
from q2_aam.evaluation.cohorts import Cohorts, LeftOut
from q2_aam.evaluation.control_curve import MOST_PARTS, PENALTIES, Basis, Sums, log_variance, variance_smoothness

# With two, what is expected of one would be what the other one was.
FEWEST_SUBJECTS, FEWEST_SAMPLES = 3, 10
# Controls with fewer of which the spread is taken as the same at all ages.
SUBJECTS_FOR_SPREAD, SAMPLES_FOR_SPREAD = 5, 50
# Share of the range of the controls, to both sides, in which some must lie for an expectation; and how many subjects.
NEAR, FEWEST_NEAR = 0.1, 2
GRID = 101
OUTSIDE, GAP = "outside the range of the controls", "too few controls of about this value"


@dataclass
class Maturity:
    """Predictions beside what is expected of them.

    Attributes
    ----------
    samples : pandas.DataFrame
        What was given, and `control_subjects` (how many have samples near it; of a control, others), `expected`,
        `spread`, `difference`, `z` (missing where nothing can be expected) and `reason` (why not; else empty).
    curve : pandas.DataFrame
        `true` from the lowest to the highest of the controls, `control_subjects` near it, `expected` and `spread`
        (missing where these are too few).
    cohorts, ranges : pandas.DataFrame
        How far each cohort is from the controls (:meth:`q2_aam.evaluation.cohorts.Cohorts.compare`), in all and by
        ranges of the true value.
    near : float
        How far a control may be to count as near, in the units of the true values.
    spread_by_age : bool
        Whether there are controls enough for a spread that changes with the true value.
    """

    samples: pd.DataFrame
    curve: pd.DataFrame
    cohorts: pd.DataFrame
    ranges: pd.DataFrame
    near: float
    spread_by_age: bool


def measure_maturity(samples: pd.DataFrame, control: str) -> Maturity:
    """Fit a curve and a spread on controls, and say how far each sample is from them.

    What is expected of a control, and its spread, come from other subjects: parts of the controls (each subject one, of
    many up to 20) are left out in turn, and smoothness of the curve is chosen anew without them. How smooth the spread
    is, is chosen once.

    Parameters
    ----------
    samples : pandas.DataFrame
        By sample ID: `true`, `predicted` (numbers), `cohort` (str), `subject` (None where a sample has none, so that
        it is a subject of its own).
    control : str
        The cohort of the controls.

    Returns
    -------
    Maturity

    Raises
    ------
    ValueError
        A sentence, when there are too few controls or nothing to compare with.

    References
    ----------
    Subramanian S et al. (2014). Persistent gut microbiota immaturity in malnourished Bangladeshi children. Nature
    510:417-421, where expectation and spread are median and standard deviation of controls of the same month.
    """
    controls = (samples["cohort"] == control).to_numpy()
    true, predicted = (samples[name].to_numpy(dtype=np.float64) for name in ("true", "predicted"))
    # Numbers of subjects are of controls and others alike, so that one who is in both is left out as one.
    subjects = numbered(rows_of_groups(samples["subject"]), len(samples))
    refuse_few(true[controls], subjects[controls], control)
    parts = parts_of(subjects, controls)
    near = NEAR * np.ptp(true[controls])
    basis = Basis(true[controls].min(), true[controls].max())
    design = basis(true)
    sums = Sums(design[controls], predicted[controls], parts[controls])
    expected, coefficients, smoothness = expectations(sums, design, parts)
    makers = (true[controls], subjects[controls], parts[controls])
    counts, inside = support(true, parts, near, *makers)
    enough = inside & (counts >= FEWEST_NEAR)
    residuals = predicted - expected
    known = controls & enough
    refuse_unspread(residuals[known], parts[known], np.abs(predicted[controls]).max(), control)
    others = [predicted - without(sums, design, parts, part, smoothness[part]) for part in range(len(smoothness) - 1)]
    log_variances, at, by_age = spreads(design, residuals, others, parts, known, subjects)

    grid = np.linspace(basis.low, basis.high, GRID)
    beside = support(grid, np.full(GRID, -1), near, *makers)[0]
    on_grid = basis(grid)
    curve = pd.DataFrame({"expected": on_grid @ coefficients, "spread": np.exp(on_grid @ at[-1] / 2)})
    curve = curve.where(pd.Series(beside >= FEWEST_NEAR), np.nan).assign(true=grid, control_subjects=beside)
    scored = samples.assign(
        control_subjects=counts,
        expected=np.where(enough, expected, np.nan),
        spread=np.where(enough, np.exp(log_variances / 2), np.nan),
        difference=np.where(enough, residuals, np.nan),
        reason=np.where(enough, "", np.where(inside, GAP, OUTSIDE)),
    )
    scored["z"] = scored["difference"] / scored["spread"]
    left_out = LeftOut(without_each(sums, smoothness[-1]), at[:-1], sums.shares(smoothness[-1]))
    cohorts = Cohorts(scored, control, subjects, design, left_out)
    return Maturity(scored, curve, cohorts.compare(), cohorts.by_range(), float(near), by_age)


def numbered(groups: list[np.ndarray], count: int) -> np.ndarray:
    """Number of the group of each row, int ``[N]``."""
    numbers = np.empty(count, dtype=np.int64)
    for number, rows in enumerate(groups):
        numbers[rows] = number
    return numbers


def refuse_few(true: np.ndarray, subjects: np.ndarray, control: str) -> None:
    """Stop where controls are too few for a curve."""
    count = len(np.unique(subjects))
    if count < FEWEST_SUBJECTS or len(true) < FEWEST_SAMPLES:
        raise ValueError(
            f"{len(true)} samples of {count} subjects are controls ({control!r}): it takes {FEWEST_SAMPLES} samples of "
            f"{FEWEST_SUBJECTS} subjects or more to say what is expected. Choose another control, or add controls."
        )
    if np.ptp(true) <= 1e-9 * np.abs(true).max():
        raise ValueError(
            f"The true value of all {len(true)} controls ({control!r}) is {true[0]:g}: there is no curve through one "
            "value. Add controls of other values, or choose another column."
        )


def refuse_unspread(residuals: np.ndarray, parts: np.ndarray, largest: float, control: str) -> None:
    """Stop where nothing can be expected of controls themselves, or where they do not spread."""
    count = len(np.unique(parts))
    if len(residuals) < FEWEST_SAMPLES or count < FEWEST_SUBJECTS:
        raise ValueError(
            f"Only {len(residuals)} controls ({control!r}) of {count} subjects have a true value near which there are "
            f"controls of {FEWEST_NEAR} other subjects: it takes {FEWEST_SAMPLES} of {FEWEST_SUBJECTS} to say how far "
            "controls spread. Add controls whose true values are nearer to each other."
        )
    if np.abs(residuals).max() <= 1e-6 * largest:
        raise ValueError(
            f"The predictions of the controls ({control!r}) lie on one line: without a spread there is no z-score. "
            "Give the predictions of a model."
        )


def parts_of(subjects: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Part of each sample of a subject that has controls, from 0; -1 of the others. Parts are about equally large."""
    names, counts = np.unique(subjects[controls], return_counts=True)
    sizes, of_subject = np.zeros(min(len(names), MOST_PARTS)), {}
    for place in np.argsort(-counts, kind="stable"):
        part = int(np.argmin(sizes))
        sizes[part] += counts[place]
        of_subject[names[place]] = part
    return np.array([of_subject.get(subject, -1) for subject in subjects])


def expectations(sums: Sums, design: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """What is expected of each sample, the curve of all controls, and smoothness without each part and of all."""
    every = np.ones(len(sums.samples), dtype=bool)
    chosen = [sums.smoothness(np.arange(len(every)) != part) for part in range(len(every))]
    chosen.append(sums.smoothness(every))
    coefficients = sums.coefficients(every.astype(np.float64), chosen[-1])
    expected = design @ coefficients
    for part in range(len(every)):
        own, others = parts == part, np.arange(len(every)) != part
        expected[own] = design[own] @ sums.coefficients(others.astype(np.float64), chosen[part])
    return expected, coefficients, chosen


def without_each(sums: Sums, smoothness: float, part: int | None = None) -> np.ndarray:
    """Curves without each part in turn, and never with another one, float64 ``[P, K]``."""
    weights = 1 - np.eye(len(sums.samples))
    if part is not None:
        weights[:, part] = 0
    return sums.coefficients(weights, smoothness)


def without(sums: Sums, design: np.ndarray, parts: np.ndarray, part: int, smoothness: float) -> np.ndarray:
    """What is expected of each control by parts that are neither its own nor a given one, float64 ``[N]``.

    Residuals from that say how controls spread without the given part having moved the curve.
    """
    return np.einsum("nk,nk->n", design, without_each(sums, smoothness, part)[parts])


def support(places, parts, near, true, subjects, parts_of_controls) -> tuple[np.ndarray, np.ndarray]:
    """Whether something can be expected at true values, by the controls that say what.

    Parameters
    ----------
    places : np.ndarray
        float64 ``[N]``, true values.
    parts : np.ndarray
        int ``[N]``: the part of the controls that does not count there, or -1.
    near : float
    true, subjects, parts_of_controls : np.ndarray
        ``[C]``, of the controls.

    Returns
    -------
    counts : np.ndarray
        int ``[N]``, subjects that have a control near it.
    inside : np.ndarray
        bool ``[N]``, whether it is in the range of the controls.
    """
    counts, inside = np.zeros(len(places), dtype=np.int64), np.zeros(len(places), dtype=bool)
    for row, (place, part) in enumerate(zip(places, parts, strict=True)):
        others = parts_of_controls != part
        counts[row] = len(np.unique(subjects[others & (np.abs(true - place) <= near)]))
        inside[row] = true[others].min() <= place <= true[others].max()
    return counts, inside


def spreads(design, residuals, others, parts, known, subjects) -> tuple[np.ndarray, np.ndarray, bool]:
    """Logarithm of the variance at each sample, its coefficients, and whether it changes with the true value.

    Parameters
    ----------
    design : np.ndarray
        float64 ``[N, K]``.
    residuals : np.ndarray
        float64 ``[N]``.
    others : list of np.ndarray
        Of each part, residuals ``[N]`` from curves that the part has no share in.
    parts, subjects : np.ndarray
        int ``[N]``.
    known : np.ndarray
        bool ``[N]``, controls of which something is expected.

    Returns
    -------
    log_variances : np.ndarray
        float64 ``[N]``; of a control, by other parts.
    coefficients : np.ndarray
        float64 ``[P + 1, K]``: without each part, and of all.
    by_age : bool
    """
    # On the curve by chance; the logarithm of nothing is not defined.
    least = 1e-9 * (residuals[known] ** 2).mean()
    squares = np.maximum(residuals**2, least)
    by_age = bool(len(np.unique(subjects[known])) >= SUBJECTS_FOR_SPREAD and known.sum() >= SAMPLES_FOR_SPREAD)
    smoothness = variance_smoothness(design[known], squares[known], parts[known]) if by_age else PENALTIES[-1]
    found = []
    for part, without_it in enumerate(others):
        rest = known & (parts != part)
        found.append(log_variance(design[rest], np.maximum(without_it[rest] ** 2, least), smoothness))
    found.append(log_variance(design[known], squares[known], smoothness))
    coefficients = np.array(found)
    # Of samples in no part (-1) the last ones, of all.
    return np.einsum("nk,nk->n", design, coefficients[parts]), coefficients, by_age
