"""`evaluate`: how good predictions are, beside the answer that looks at no sample at all."""

import pandas as pd
from q2_sample_classifier._format import PredictionsDirectoryFormat

from q2_aam.framework import qiime2
from q2_aam.interface import speaking
from q2_aam.provenance import folds_of_samples
from q2_aam.settings import Reading
from q2_aam.study.cautions import cautions, copied_caution, distance_caution, learnt_caution
from q2_aam.study.predictions_file import read_predictions

from ._baselines import add_baselines
from ._classification import classification_page
from ._columns import add_columns
from ._folds import reading_notes
from ._page import Page
from ._regression import regression_page
from ._samples import listed, match_samples, some

NO_GROUPS = (
    "These predictions were made without groups. Where samples are near copies of one another (technical replicates), "
    "they are too good: fit says so in its last line, and the page of its model (summarize-model) at the top."
)


def evaluate(
    output_dir: str,
    predictions: PredictionsDirectoryFormat,
    metadata: qiime2.MetadataColumn,
    certainty: pd.DataFrame = None,
    novelty: pd.DataFrame = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    missing_samples: str = Reading.missing_samples,
    baselines: pd.DataFrame = None,
    scores: pd.DataFrame = None,
    sample_metadata: qiime2.Metadata = None,
) -> None:
    """Write a page that shows how good predictions are.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    predictions : PredictionsDirectoryFormat
        Predictions by sample ID.
    metadata : qiime2.MetadataColumn
        True values. A numeric column makes it a regression, a categorical one a classification.
    certainty : pandas.DataFrame, optional
        Regression: prediction intervals (columns `lower`, `upper`). Classification: class probabilities.
    novelty : pandas.DataFrame, optional
        What the model had not seen of each sample (column `unseen_read_share`).
    groups : qiime2.CategoricalMetadataColumn, optional
        Groups to score one by one.
    missing_samples : {'error', 'ignore'}
        What to do with predicted samples that are not in the metadata.
    baselines : pandas.DataFrame, optional
        Predictions of other methods for the same samples, a column a method.
    scores : pandas.DataFrame, optional
        Scores of a cross-validation, a row a repeat, fold and method.
    sample_metadata : qiime2.Metadata, optional
        What else is known of the samples, to colour and split pictures by and to score by its values.

    Raises
    ------
    ValueError
        A sentence that names the samples and columns that do not fit, and what to do.
    """
    with speaking(evaluate):
        predicted = read_predictions(predictions.path / "predictions.tsv")
        evaluation = match_samples(predicted, metadata, certainty, novelty, groups, missing_samples)
        if baselines is not None:
            add_baselines(evaluation, baselines, metadata.type)
        add_columns(evaluation, sample_metadata, missing_samples)
    lead = f"{some(evaluation.frame, 'sample')} with a prediction and a true value."
    lead += without_prediction(predicted, metadata)
    page = Page(output_dir, f"How good are the predictions of '{evaluation.name}'?", lead)
    page.notes += evaluation.notes
    truth = evaluation.frame["true"].rename(evaluation.name)
    page.cautions = cautions(truth, None if groups is None else groups.to_series())
    known = None if novelty is None else novelty.reindex(evaluation.frame.index)
    own = copied = None
    if known is not None:
        own, copied = learnt_caution(known), copied_caution(known)
    elif folds_of_samples(predictions.path):
        page.notes.append(NO_GROUPS)
    if known is not None and (far := distance_caution(known)):
        page.cautions.append(far)
    if scores is not None:
        evaluation.fold_scores = scores
        page.notes += reading_notes(scores)
    if metadata.type == "numeric":
        regression_page(page, evaluation)
    else:
        classification_page(page, evaluation)
    if own:
        page.verdict("No verdict: there are samples that were learnt from.", own, "warning")
    elif copied:
        page.verdict("No verdict: there are near copies of samples that were learnt from.", copied, "warning")
    page.render()


def without_prediction(predicted, column) -> str:
    """A sentence on the samples of the metadata that were not predicted, after a blank; empty without any."""
    truth = column.to_series().dropna()
    others = truth.index.difference(predicted.index, sort=False)
    if not len(others):
        return ""
    why = ""
    if column.type == "categorical":
        why = (
            " Either they were not given to 'predict'; or, out of fold, 'fit' cannot predict them: their group (or "
            "they, without groups) alone holds a class."
        )
    have = "has" if len(others) == 1 else "have"
    return f" {some(others, 'other sample')} of the metadata {have} a true value only: {listed(others)}.{why}"
