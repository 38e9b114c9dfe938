"""Out-of-fold predictions of a cross-validation: their scores by folds, and the repeats as one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from q2_aam.evaluation.metrics import classification_scores, interval_scores, regression_scores

OURS = "q2-aam"
SCORES = {
    "numeric": ("r2", "mae", "rmse", "spearman", "coverage"),
    "categorical": ("balanced_accuracy", "accuracy", "macro_f1", "log_loss", "expected_calibration_error"),
}


@dataclass
class FoldPredictions:
    """What was predicted in a fold, of samples that nothing was learnt from.

    Parameters
    ----------
    repeat, fold : int
        From 1.
    training_samples : int
        Samples that were learnt from.
    certainty : pandas.DataFrame
        A sample a row: `lower` and `upper`, or the probability of each class.
    predicted : pandas.DataFrame
        The same samples; a column a method, ours is `q2-aam`.
    """

    repeat: int
    fold: int
    training_samples: int
    certainty: pd.DataFrame
    predicted: pd.DataFrame


def score_table(runs: list[FoldPredictions], truth: pd.Series, kind: str, groups: pd.Series | None) -> pd.DataFrame:
    """Scores of each repeat, fold and method.

    Parameters
    ----------
    runs : list of FoldPredictions
        In the order of their repeats.
    truth : pandas.Series
        True values by sample ID.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    groups : pandas.Series or None
        Groups by sample ID, to be counted.

    Returns
    -------
    pandas.DataFrame
        Columns `repeat`, `fold` (missing: all folds of the repeat together), `method`, `samples`, `training_samples`
        (missing for all folds), `groups` (missing without them), then the scores (missing where they are not defined:
        baselines give no certainty, R2 needs two true values).
    """
    rows = []
    for repeat in sorted({run.repeat for run in runs}):
        here = [run for run in runs if run.repeat == repeat]
        parts = [(run.fold, run.training_samples, run.predicted, run.certainty) for run in here]
        if len(here) > 1:
            whole = (pd.concat([run.predicted for run in here]), pd.concat([run.certainty for run in here]))
            parts.append((np.nan, np.nan, *whole))
        for fold, learnt, predicted, certainty in parts:
            ids = predicted.index
            counted = {
                "samples": len(ids),
                "training_samples": learnt,
                "groups": np.nan if groups is None else groups.loc[ids].nunique(),
            }
            for method in predicted:
                scores = _scores(truth.loc[ids], predicted[method], kind, certainty if method == OURS else None)
                rows.append({"repeat": repeat, "fold": fold, "method": method, **counted, **scores})
    return pd.DataFrame(rows)


def _scores(truth: pd.Series, predicted: pd.Series, kind: str, certainty: pd.DataFrame | None) -> dict:
    if kind == "numeric":
        found = regression_scores(truth, predicted)
        found["coverage"] = None
        if certainty is not None:
            found["coverage"] = interval_scores(truth, certainty["lower"], certainty["upper"])["coverage"]
    else:
        classes = sorted(set(truth) | set(predicted)) if certainty is None else list(certainty.columns)
        found = classification_scores(truth, predicted, certainty, classes)
    return {name: np.nan if found[name] is None else found[name] for name in SCORES[kind]}


def merge_repeats(runs: list[FoldPredictions], kind: str, sample_ids) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One prediction of each sample and method.

    Parameters
    ----------
    runs : list of FoldPredictions
        Each sample is in one fold of each repeat.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    sample_ids : sequence of str
        All samples, in the order wanted.

    Returns
    -------
    certainty : pandas.DataFrame
        Mean of the ends of a sample's intervals, or of its probabilities.
    predicted : pandas.DataFrame
        Numbers: the mean of a sample's predictions. Classes: ours is that of the highest mean probability, those of
        the others are the most frequent (of equally frequent ones the first by name).
    """
    certainty = pd.concat([run.certainty for run in runs])
    certainty = certainty.groupby(level=0, sort=False).mean().loc[list(sample_ids)]
    by_sample = pd.concat([run.predicted for run in runs]).groupby(level=0, sort=False)
    if kind == "numeric":
        predicted = by_sample.mean()
    else:
        predicted = by_sample.agg(lambda names: names.mode().iloc[0])
    predicted = predicted.loc[list(sample_ids)]
    if kind == "categorical":
        predicted[OURS] = certainty.idxmax(axis=1)
    return certainty, predicted
