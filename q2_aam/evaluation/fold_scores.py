"""Out-of-fold predictions of a cross-validation: their scores by folds, and the repeats as one."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from q2_aam.evaluation.bootstrap import mean_interval, rows_of_groups
from q2_aam.evaluation.metrics import classification_scores, interval_scores, regression_scores
from q2_aam.evaluation.scores import names_of

OURS = "q2-aam"


@dataclass
class FoldPredictions:
    """Out-of-fold predictions of the samples of one fold.

    Parameters
    ----------
    repeat, fold : int
        From 1.
    training_samples : float
        Samples that the fold's predictor was fitted to; NaN where that is not known.
    certainty : pandas.DataFrame
        A sample a row: `lower` and `upper`, or the probability of each class.
    predicted : pandas.DataFrame
        The same samples; a column a method, ours is `q2-aam`.
    """

    repeat: int
    fold: int
    training_samples: float
    certainty: pd.DataFrame
    predicted: pd.DataFrame


def with_common_methods(runs: list[FoldPredictions]) -> list[FoldPredictions]:
    """The same with the methods that all have: where some folds only have too many samples, machines are left out."""
    names = [name for name in runs[0].predicted if all(name in run.predicted for run in runs)]
    return [replace(run, predicted=run.predicted[names]) for run in runs]


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
        (missing for all folds, and where it is not known), `groups` (missing without them), then the registry's scores
        of folds (missing where they are not defined: baselines give no certainty, R2 needs two true values). Then, of
        ours alone, the ends of a 95% interval of the mean absolute error or the accuracy, groups (or samples) drawn
        anew (missing where there are fewer than 10 of them).
    """
    rows, runs = [], with_common_methods(runs)
    for repeat in sorted({run.repeat for run in runs}):
        folds = [run for run in runs if run.repeat == repeat]
        if len(folds) > 1:
            certainty = pd.concat([run.certainty for run in folds])
            predicted = pd.concat([run.predicted for run in folds])
            folds.append(FoldPredictions(repeat, np.nan, np.nan, certainty, predicted))
        for run in folds:
            ids = run.predicted.index
            counts = {
                "samples": len(ids),
                "training_samples": run.training_samples,
                "groups": np.nan if groups is None else groups.loc[ids].nunique(),
            }
            for method in run.predicted:
                certainty = run.certainty if method == OURS else None
                scores = _scores(truth.loc[ids], run.predicted[method], kind, certainty)
                if method == OURS:
                    scores |= _interval(truth.loc[ids], run.predicted[method], kind, groups)
                rows.append({"repeat": repeat, "fold": run.fold, "method": method, **counts, **scores})
    return pd.DataFrame(rows)


def _interval(truth: pd.Series, predicted: pd.Series, kind: str, groups: pd.Series | None) -> dict:
    """How far the mean error, or the share that is right, varies from one draw of groups to the next."""
    name, values = ("mae", (predicted - truth).abs()) if kind == "numeric" else ("accuracy", predicted == truth)
    units = rows_of_groups(range(len(truth)) if groups is None else groups.loc[truth.index])
    low, high = mean_interval(values, units) or (np.nan, np.nan)
    return {f"{name}_low": low, f"{name}_high": high}


def _scores(truth: pd.Series, predicted: pd.Series, kind: str, certainty: pd.DataFrame | None) -> dict:
    if kind == "numeric":
        values = regression_scores(truth, predicted)
        if certainty is not None:
            values.update(interval_scores(truth, certainty["lower"], certainty["upper"]))
    else:
        classes = sorted(set(truth) | set(predicted)) if certainty is None else list(certainty.columns)
        values = classification_scores(truth, predicted, certainty, classes)
    return {name: np.nan if values.get(name) is None else values[name] for name in names_of(kind, place="folds")}


def merge_repeats(runs: list[FoldPredictions], kind: str, sample_ids) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One prediction of each sample and method.

    Parameters
    ----------
    runs : list of FoldPredictions
        Each sample is in one fold of each repeat.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    sample_ids : sequence of str
        All samples, in the order of the result.

    Returns
    -------
    certainty : pandas.DataFrame
        Mean of the ends of a sample's intervals, or of its probabilities.
    predicted : pandas.DataFrame
        Numbers: the mean of a sample's predictions. Classes: the one named most often; of those named equally often
        ours is the one of the highest mean probability, the others' the first by name.
    """
    runs = with_common_methods(runs)
    certainty = pd.concat([run.certainty for run in runs])
    certainty = certainty.groupby(level=0, sort=False).mean().loc[list(sample_ids)]
    by_sample = pd.concat([run.predicted for run in runs]).groupby(level=0, sort=False)
    if kind == "numeric":
        predicted = by_sample.mean()
    else:
        predicted = by_sample.agg(lambda names: names.mode().iloc[0])
    predicted = predicted.loc[list(sample_ids)]
    if kind == "categorical":
        names = pd.concat([run.predicted[OURS] for run in runs])
        named = pd.crosstab(names.index, names).reindex(index=certainty.index, columns=certainty.columns, fill_value=0)
        most = named.eq(named.max(axis=1), axis=0)
        predicted[OURS] = certainty.where(most).idxmax(axis=1)
    return certainty, predicted
