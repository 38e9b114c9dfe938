"""`merge_folds`: what the folds of a cross-validation come to."""

import numpy as np
import pandas as pd
from q2_sample_classifier._format import PredictionsDirectoryFormat

from q2_aam.actions._reporting import say
from q2_aam.framework import qiime2
from q2_aam.study.tables import name_ids


def merge_folds(
    predictions: PredictionsDirectoryFormat,
    certainty: pd.DataFrame,
    novelty: pd.DataFrame,
    baselines: pd.DataFrame,
    metadata: qiime2.MetadataColumn,
    pretraining: str,
    groups: qiime2.CategoricalMetadataColumn = None,
) -> (pd.Series, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame):
    """Merge folds; the parameters are described where they are registered.

    Each input is a list with an entry a fold.
    """
    from q2_aam.evaluation.fold_scores import OURS, FoldPredictions, merge_repeats, score_table
    from q2_aam.study.predictions_file import read_predictions

    # Not by q2-sample-classifier's transformer, which would make a number of the class '01'.
    predictions = [read_predictions(part.path / "predictions.tsv") for part in predictions]
    numeric = metadata.type == "numeric"
    values = metadata.to_series()
    _refuse_what_does_not_fit(predictions, certainty, novelty, baselines)
    ids = [list(part.index) for part in certainty]
    predicted_ids = pd.Index([name for part in ids for name in part]).unique()
    _refuse_without_value(predicted_ids, values)
    runs = []
    places = _places(ids, set(values.dropna().index))
    for place, values_of_fold, shares, others in zip(places, predictions, certainty, baselines, strict=True):
        ours = values_of_fold.loc[shares.index]
        ours = ours.astype(float) if numeric else ours
        runs.append(FoldPredictions(*place, shares, pd.DataFrame({OURS: ours}).join(others)))
    # In the order of the metadata, as folds have an order of their own.
    sample_ids = values.index[values.index.isin(predicted_ids)]
    members = None if groups is None else groups.to_series()
    scores = score_table(runs, values, metadata.type, members)
    scores.insert(3, "pretraining", pretraining)
    scores.index = _row_names(scores)
    for line in _describe_scores(scores, metadata.name, numeric):
        say(line)
    merged_certainty, predicted = merge_repeats(runs, metadata.type, sample_ids)
    merged_certainty.index.name = predicted.index.name = "SampleID"
    ours = predicted.pop(OURS).rename("prediction")
    # Novelty is no mean of repeats, of which each had other samples to learn from: that of the first one stands.
    first = [part for part, run in zip(novelty, runs, strict=True) if run.repeat == 1]
    return ours, merged_certainty, pd.concat(first).loc[sample_ids], predicted, scores


def _refuse_what_does_not_fit(predictions, certainty, novelty, baselines) -> None:
    parts = {"predictions": predictions, "certainty": certainty, "novelty": novelty, "baselines": baselines}
    sizes = {name: len(entries) for name, entries in parts.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{size} of {name}" for name, size in sizes.items())
        raise ValueError(
            f"Each fold must have one of each, but there are {counts}. Give as many of each, in one order."
        )
    for fold, entries in enumerate(zip(*parts.values(), strict=True), 1):
        for name, part in zip(parts, entries, strict=True):
            odd = entries[0].index.symmetric_difference(part.index)
            if len(odd):
                raise ValueError(
                    f"Number {fold} of the {name} is not of the samples of number {fold} of the predictions: "
                    f"{name_ids(odd)} are in one of them only. Give all in the same order of the folds."
                )


def _refuse_without_value(predicted_ids: pd.Index, values: pd.Series) -> None:
    without = predicted_ids[values.reindex(predicted_ids).isna()]
    if len(without):
        raise ValueError(
            f"{len(without)} of {len(predicted_ids)} predicted samples have no value in the metadata column "
            f"{values.name!r}: {name_ids(without)}. Give the column that was predicted, with the values of all of them."
        )


def _places(ids: list[list], valued: set) -> list[tuple[int, int, float]]:
    """Repeat, fold and number of training samples of each entry; a sample that comes again begins a new repeat.

    Training samples are those of the other folds. Where some of the folds are given only, so that samples with a value
    are in none, their number is not known: NaN.
    """
    repeats = []
    for part in ids:
        if not repeats or repeats[-1][1] & set(part):
            repeats.append(([], set()))
        sizes, predicted = repeats[-1]
        sizes.append(len(part))
        predicted |= set(part)
    return [
        (repeat, fold, len(predicted) - size if valued <= predicted else np.nan)
        for repeat, (sizes, predicted) in enumerate(repeats, 1)
        for fold, size in enumerate(sizes, 1)
    ]


def _row_names(scores: pd.DataFrame) -> pd.Index:
    folds = ["all folds" if pd.isna(fold) else f"fold {fold:.0f}" for fold in scores["fold"]]
    rows = zip(scores["repeat"], folds, scores["method"], strict=True)
    return pd.Index([f"repeat {repeat:.0f}, {fold}, {method}" for repeat, fold, method in rows], name="id")


def _describe_scores(scores: pd.DataFrame, name: str, numeric: bool) -> list[str]:
    """The scores over all folds in words, a method a line; of several repeats their mean."""
    from q2_aam.evaluation.scores import names_of

    whole = scores[scores["fold"].isna()].groupby("method", sort=False).mean(numeric_only=True)
    shown = names_of("numeric" if numeric else "categorical", place="line")
    return [
        f"{method} ({name}): " + ", ".join(f"{score} {row[score]:.4g}" for score in shown) + "."
        for method, row in whole.iterrows()
    ]
