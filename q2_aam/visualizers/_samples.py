"""The evaluated samples: predictions beside true values, certainty, novelty and groups, by sample ID."""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass
class Evaluation:
    """Samples with a prediction and a true value.

    Parameters
    ----------
    name : str
        The metadata column.
    frame : pandas.DataFrame
        Index sample IDs, in the order of the predictions; columns `true`, `predicted`; optional: `lower`,
        `upper`, `unseen_read_share`, `nearest_distance`, `nearest_percentile`, `outside` (bool: of what the model
        knows), `group` (None where a sample has no group).
    probabilities : pandas.DataFrame or None
        A row a sample, a column a class.
    baselines : pandas.DataFrame or None
        Predictions of other methods for the same samples, a column a method.
    fold_scores : pandas.DataFrame or None
        Scores of a cross-validation, a row a repeat, fold and method.
    group_name : str
        The column of the groups.
    columns : dict of str to pandas.Series
        What else is known of the samples, numbers as float64.
    columns_left_out : list of str
        Others, which tell nothing.
    notes : list of str
        What the reader should know of the samples, such as which are left out.
    """

    name: str
    frame: pd.DataFrame
    probabilities: pd.DataFrame | None = None
    baselines: pd.DataFrame | None = None
    fold_scores: pd.DataFrame | None = None
    group_name: str = ""
    columns: dict = field(default_factory=dict)
    columns_left_out: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def units(self) -> list[np.ndarray]:
        """Rows of each group, where there are groups; else each sample alone: what is drawn anew for intervals."""
        from ..evaluation.bootstrap import rows_of_groups

        return rows_of_groups(self.frame["group"] if "group" in self.frame else range(len(self.frame)))

    def _groups(self) -> pd.Series:
        return self.frame["group"].dropna() if "group" in self.frame else pd.Series(dtype=object)

    def enough_units(self) -> bool:
        """Whether groups (where there are some, else samples) are enough to be drawn anew."""
        from ..evaluation.bootstrap import FEWEST_GROUPS

        groups = self._groups()
        return (groups.nunique() if len(groups) else len(self.frame)) >= FEWEST_GROUPS

    def described_units(self) -> str:
        """'34 groups', '60 samples', or '30 groups and 5 samples without one'."""
        groups = self._groups()
        if not len(groups):
            return some(self.frame, "sample")
        rest = len(self.frame) - len(groups)
        return some(groups.nunique(), "group") + (f" and {some(rest, 'sample')} without one" if rest else "")


def match_samples(predicted, column, certainty, novelty, groups, missing_samples) -> Evaluation:
    """Match predictions and what came with them by sample ID, or say what does not fit.

    Parameters
    ----------
    predicted : pandas.Series of str
        What `read_predictions` returned.
    column : qiime2.MetadataColumn
        The true values; a numeric column makes it a regression, a categorical one a classification.
    certainty, novelty : pandas.DataFrame or None
    groups : qiime2.CategoricalMetadataColumn or None
    missing_samples : {'error', 'ignore'}
        What to do with predicted samples that are not in the metadata.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        A sentence that names the samples and columns that do not fit, and what to do.
    """
    truth = column.to_series()
    predicted, notes = _with_truth(predicted, truth, column.name, missing_samples)
    truth = truth.reindex(predicted.index)
    numeric = column.type == "numeric"
    if numeric:
        values = _numbers(predicted, column.name)
        frame = pd.DataFrame({"true": truth.astype(float), "predicted": values})
    else:
        _refuse_numbers(predicted, column)
        frame = pd.DataFrame({"true": truth.astype(str), "predicted": predicted}, dtype=object)
    evaluation = Evaluation(column.name, frame, notes=notes)
    if certainty is not None:
        certainty = rows_of(certainty, predicted.index, "certainty")
        if numeric:
            _add_intervals(evaluation, certainty)
        else:
            evaluation.probabilities = _probabilities(certainty, predicted)
    if novelty is not None:
        _add_novelty(evaluation, rows_of(novelty, predicted.index, "novelty"))
    if groups is not None:
        _add_groups(evaluation, groups, missing_samples)
    return evaluation


def listed(names) -> str:
    """The first five of some names, and how many more there are."""
    names = [str(name) for name in names]
    rest = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def some(things, noun, verb: bool = False) -> str:
    """'1 sample' or '3 samples'; with `verb`, '1 sample is' or '3 samples are'."""
    count = things if isinstance(things, int) else len(things)
    ending = "" if count == 1 else "s"
    return f"{count:,} {noun}{ending}" + (" are" if verb and ending else " is" if verb else "")


def _with_truth(predicted, truth, name, missing_samples):
    notes = []
    absent = predicted.index.difference(truth.index, sort=False)
    if len(absent) and missing_samples != "ignore":
        raise ValueError(
            f"{some(absent, 'predicted sample', True)} not in the metadata: {listed(absent)}. Add them to "
            "the metadata file, or set missing_samples to 'ignore' to evaluate the others."
        )
    if len(absent):
        notes.append(
            f"{some(absent, 'predicted sample', True)} not in the metadata and left out: {listed(absent)}."
        )
    predicted = predicted.drop(absent)
    unknown = predicted.index[truth.reindex(predicted.index).isna()]
    if len(unknown):
        notes.append(
            f"{some(unknown, 'sample', True)} without a value of '{name}' and left out: {listed(unknown)}."
        )
    predicted = predicted.drop(unknown)
    if predicted.empty:
        raise ValueError(
            f"No predicted sample has a value in the metadata column '{name}', so there is nothing to "
            "evaluate. Are the predictions and the metadata of the same study?"
        )
    return predicted, notes


def _numbers(predicted, name):
    values = pd.to_numeric(predicted, errors="coerce")
    bad = predicted.index[~np.isfinite(values.astype(float))]
    if len(bad):
        raise ValueError(
            f"The metadata column '{name}' is numeric, but {some(bad, 'prediction', True)} not "
            f"a finite number: sample {bad[0]} is predicted '{predicted[bad[0]]}'. Give the numeric "
            f"column that the model was fitted to; or, if '{name}' holds classes written as numbers, "
            "declare it categorical in the metadata file (a row '#q2:types' below the header)."
        )
    return values.astype(float)


def _refuse_numbers(predicted, column):
    """Refuse a regressor's predictions for a categorical column: decimal numbers, none of them a class."""
    classes = set(column.to_series().dropna())
    decimal = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+")
    all_numbers = pd.to_numeric(predicted, errors="coerce").notna().all()
    any_decimal = predicted.map(lambda text: bool(decimal.fullmatch(text))).any()
    if all_numbers and any_decimal and not classes & set(predicted):
        sample = predicted.index[0]
        raise ValueError(
            f"The metadata column '{column.name}' is categorical, but the predictions are numbers and none "
            f"is a class of it: sample {sample} is predicted '{predicted[sample]}'. Give the categorical "
            f"column that the model was fitted to; or, if '{column.name}' holds numbers, declare it "
            "numeric in the metadata file (a row '#q2:types' below the header)."
        )


def rows_of(table, samples, what):
    """The rows of the evaluated samples in a table that came with the predictions, or a refusal that names them."""
    absent = samples.difference(table.index, sort=False)
    if len(absent):
        raise ValueError(
            f"The {what} has no row for {some(absent, 'evaluated sample')}: {listed(absent)}. Give the "
            f"{what} that came with these predictions."
        )
    table = table.loc[samples]
    twice = table.index[table.index.duplicated()].unique()
    if len(twice):
        raise ValueError(f"The {what} holds {some(twice, 'sample ID')} more than once: {listed(twice)}.")
    return table


def _add_intervals(evaluation, certainty):
    if not {"lower", "upper"} <= set(certainty.columns):
        raise ValueError(
            f"The metadata column '{evaluation.name}' is numeric, so the certainty must hold intervals, in "
            f"columns 'lower' and 'upper'; its columns are: {listed(certainty.columns)}. Give the certainty "
            "that came with these predictions."
        )
    ends = certainty[["lower", "upper"]].astype(float)
    bad = ends.index[~np.isfinite(ends).all(axis=1) | (ends["upper"] < ends["lower"])]
    if len(bad):
        raise ValueError(
            f"The certainty of {some(bad, 'sample')} is no interval (an end is missing, or the upper end is "
            f"below the lower): {listed(bad)}."
        )
    frame = evaluation.frame
    frame[["lower", "upper"]] = ends
    # Text files round: a prediction may sit on an end.
    slack = 1e-6 * (1 + frame["predicted"].abs())
    outside = frame.index[
        (frame["predicted"] < frame["lower"] - slack) | (frame["predicted"] > frame["upper"] + slack)
    ]
    if len(outside):
        evaluation.notes.append(
            f"{some(outside, 'prediction', True)} outside the interval given for the same sample: "
            f"{listed(outside)}. Did the certainty come with these predictions?"
        )


def _probabilities(certainty, predicted):
    classes = [str(name) for name in certainty.columns]
    table = pd.DataFrame(certainty.to_numpy(dtype=float), index=certainty.index, columns=classes)
    bad = table.index[~((table >= 0).all(axis=1) & ((table.sum(axis=1) - 1).abs() <= 0.01))]
    if len(bad):
        raise ValueError(
            f"The certainty of {some(bad, 'sample')} is not a probability of each class (none negative, "
            f"together 1): {listed(bad)}. Its columns are: {listed(classes)}. Give the certainty that came "
            "with these predictions."
        )
    strange = predicted.index[~predicted.isin(classes)]
    if len(strange):
        raise ValueError(
            f"Sample {strange[0]} is predicted '{predicted[strange[0]]}', but the certainty has no column "
            f"of that name (its columns are: {listed(classes)}). Give the certainty that came with these "
            "predictions."
        )
    return table


def _add_novelty(evaluation, novelty):
    from ._novelty import outside

    if "unseen_read_share" not in novelty:
        raise ValueError(
            f"The novelty has no column 'unseen_read_share'; its columns are: {listed(novelty.columns)}. "
            "Give the novelty that came with these predictions."
        )
    for name in ("unseen_read_share", "nearest_distance", "nearest_percentile"):
        if name in novelty:
            evaluation.frame[name] = novelty[name].astype(float)
    evaluation.frame["outside"] = outside(novelty)


def _add_groups(evaluation, groups, missing_samples):
    values = groups.to_series()
    evaluation.group_name = groups.name
    samples = evaluation.frame.index
    absent = samples.difference(values.index, sort=False)
    if len(absent) and missing_samples != "ignore":
        raise ValueError(
            f"{some(absent, 'evaluated sample', True)} not in the metadata of the groups: {listed(absent)}. "
            "Add them to that metadata file, or set missing_samples to 'ignore'."
        )
    values = values.reindex(samples)
    without = samples[values.isna()]
    if len(without):
        evaluation.notes.append(
            f"{some(without, 'sample', True)} without a value of '{groups.name}' and left out of the scores "
            f"by group: {listed(without)}."
        )
    evaluation.frame["group"] = values.astype(object).where(values.notna(), None)
