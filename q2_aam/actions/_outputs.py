"""Network outputs as the tables a user gets. Imports scikit-learn: call from inside actions."""

import warnings

import numpy as np
import pandas as pd
from scipy.special import softmax

from q2_aam.actions._reporting import percent
from q2_aam.evaluation.calibration import apply_interval, fit_temperature, residual_interval
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.study.communities import Communities
from q2_aam.study.targets import Target


def prediction_series(target: Target, sample_ids: np.ndarray, outputs: np.ndarray) -> pd.Series:
    """Predictions in the target's own units, or names of classes, by sample ID; ``outputs`` is ``[N, O]``."""
    column = outputs[:, 0] if target.kind == "numeric" else outputs.argmax(1)
    return pd.Series(target.decode(column), index=pd.Index(sample_ids, name="SampleID"), name="prediction")


def interval_of(target: Target, encoded: np.ndarray, outputs: np.ndarray) -> dict | None:
    """Half width of the 90% interval, in the transform's units, from held-out samples; None for classes.

    In the transform's units, because a target that was logged is off by a factor rather than by an amount; the inverse
    keeps order, so that the interval holds as often in the target's own units.
    """
    if target.kind != "numeric":
        return None
    interval = residual_interval(encoded, outputs[:, 0])
    if not interval["enough"]:
        warnings.warn(
            f"The validation samples are too few ({interval['residuals']}) for intervals of "
            f"{interval['coverage']:.0%}, which are as wide as the largest error among them instead. Give more samples "
            "(or, to the linear head, a larger validation_share).",
            stacklevel=2,
        )
    return interval


def temperature_of(target: Target, encoded: np.ndarray, outputs: np.ndarray) -> float | None:
    """What logits are divided by before they are probabilities, from held-out samples; None for numbers."""
    return None if target.kind == "numeric" else fit_temperature(outputs, encoded)


def certainty_frame(
    target: Target,
    sample_ids: np.ndarray,
    outputs: np.ndarray,
    intervals: dict | None,
    temperature: float | None = None,
) -> pd.DataFrame:
    """Intervals (``lower``, ``upper``, own units) or probabilities (a column a class) by sample ID."""
    index = pd.Index(sample_ids, name="SampleID")
    if target.kind == "numeric":
        lower, upper = (target.decode(end) for end in apply_interval(outputs[:, 0], intervals))
        return pd.DataFrame({"lower": lower, "upper": upper}, index=index)
    logits = outputs.astype(np.float64) / (temperature or 1.0)
    return pd.DataFrame(softmax(logits, axis=1), index=index, columns=target.classes)


def held_out_scores(target: Target, truth: pd.Series, predictions: pd.Series, stage: str) -> dict[str, float]:
    """Scores on samples that were not learnt from, for ``model.json``; ``stage`` names which those are."""
    if target.kind == "numeric":
        scores, names = regression_scores(truth, predictions), ("r2", "mae", "rmse", "spearman")
    else:
        scores, names = classification_scores(truth, predictions), ("accuracy", "balanced_accuracy")
    return {f"{stage}/{name}": scores[name] for name in names if scores[name] is not None}


def novelty_frame(communities: Communities, unseen: np.ndarray) -> pd.DataFrame:
    """A sample a row: how much of it was never seen (ASVs, boolean ``[V]``), and how much was not read as it is."""
    presence = communities.counts.copy()
    presence.data = np.ones_like(presence.data)
    reads = np.asarray(communities.counts.sum(1, dtype=np.float64)).ravel()
    unseen_reads = communities.counts.astype(np.float64) @ unseen
    return pd.DataFrame(
        {
            "asvs": np.diff(communities.counts.indptr).astype(float),
            "reads": reads + communities.reads_dropped,
            "unseen_asvs": presence @ unseen.astype(np.float64),
            "unseen_read_share": unseen_reads / reads,
            "reads_cut": communities.reads_cut,
            "reads_dropped": communities.reads_dropped,
            "reads_ambiguous": communities.reads_ambiguous,
        },
        index=pd.Index(communities.sample_ids, name="SampleID"),
    )


def novelty_sentence(novelty: pd.DataFrame, n_unseen: int, n_asvs: int) -> str:
    """The same for the whole table, in one line."""
    kept = novelty["reads"] - novelty["reads_dropped"]
    share = (novelty["unseen_read_share"] * kept).sum() / kept.sum()
    worst = novelty["unseen_read_share"].idxmax()
    most = f" (most in sample {worst}: {percent(novelty.loc[worst, 'unseen_read_share'])})" if n_unseen else ""
    return (
        f"Novelty: {n_unseen} of {n_asvs} ASVs, with {percent(share)} of the reads, were never seen in training{most}; "
        f"reads cut {novelty['reads_cut'].sum():.0f}, "
        f"dropped {novelty['reads_dropped'].sum():.0f}, ambiguous {novelty['reads_ambiguous'].sum():.0f}."
    )
