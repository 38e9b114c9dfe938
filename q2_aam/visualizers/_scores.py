"""The table of scores on the page of `evaluate`, from the registries of scores and baselines."""

import numpy as np
import pandas as pd

from ._page import number

# Groups (or samples) that hold a class, with fewer of which most of its intervals are of draws that happen to hold it.
FEWEST_OF_A_CLASS = 3
# Headings of the first columns of a table of scores.
MODEL_COLUMNS = {"score": "Score", "model": "Model", "low": "From", "high": "To"}


def score_table(kind: str, needs, values: dict, beside: dict, intervals: dict) -> pd.DataFrame:
    """The scores that a page shows, a row each.

    Parameters
    ----------
    kind : {'numeric', 'categorical'}
        Kind of the target.
    needs : collection of {'predictions', 'probabilities', 'intervals'}
        What there is to compute scores from.
    values : dict
        The model's scores, by name.
    beside : dict
        Those of what stands beside the model, by the name of its column; a score that is not there is None.
    intervals : dict
        Lower and upper end of the model's scores, by name; empty where there are none.

    Returns
    -------
    pandas.DataFrame
        Columns `score`, `model`, `low`, `high`, those of `beside`, `meaning`.
    """
    from ..evaluation.scores import scores_of

    rows = [
        {
            "score": score.label,
            "model": values.get(score.name),
            **dict(zip(("low", "high"), intervals.get(score.name) or (None, None), strict=True)),
            **{column: scores.get(score.name) for column, scores in beside.items()},
            "meaning": score.meaning,
        }
        for score in scores_of(kind, place="page")
        if score.needs in needs
    ]
    return pd.DataFrame(rows, dtype=object)


def table_intervals(kind: str, evaluation, arrays: dict) -> dict:
    """95% intervals of the model's scores, by name: groups (or samples) are drawn anew.

    Parameters
    ----------
    kind : {'numeric', 'categorical'}
    evaluation : Evaluation
    arrays : dict
        What the scores are computed from, by what they need (:func:`q2_aam.evaluation.scores.values_of`).
    """
    from ..evaluation.bootstrap import TABLE_DRAWS, score_intervals
    from ..evaluation.scores import scores_of, values_of

    shown = {score.name for score in scores_of(kind, place="page") if score.interval}
    truth = arrays["predictions"][0]
    units = evaluation.units
    if kind == "categorical":
        held = np.bincount(np.concatenate([np.unique(truth[rows]) for rows in units]))
        if held[held > 0].min() < FEWEST_OF_A_CLASS:
            return {}

    def scores(rows) -> dict:
        found = {}
        if kind == "categorical" and len(np.unique(truth[rows])) < (held > 0).sum():
            # Means over fewer classes are another score.
            return dict.fromkeys(shown)
        for needs, parts in arrays.items():
            found.update(values_of(kind, needs, *(part[rows] for part in parts)))
        return {name: found.get(name) for name in shown}

    found = score_intervals(scores, units, TABLE_DRAWS) if evaluation.enough_units() else {}
    # What does not differ, such as a share of 1, would seem to be certain.
    return {name: None if ends is None or ends[0] == ends[1] else ends for name, ends in found.items()}


def interval_note(evaluation, intervals: dict) -> str:
    """A sentence on the intervals of a table, after a blank."""
    from ..evaluation.bootstrap import FEWEST_GROUPS

    if not intervals:
        return (
            f" There are no intervals: they take {FEWEST_GROUPS} groups (or samples) or more, and "
            f"{FEWEST_OF_A_CLASS} of each class."
        )
    return (
        f" From and to: 95% intervals of the model's scores, with the {evaluation.described_units()} drawn anew. A "
        "score that is the same in all draws has none."
    )


def own_outputs_note(evaluation) -> str:
    """A sentence on intervals or probabilities that may have come with a model, after a blank; else nothing.

    Those of `predict` come with novelty, those of `cross-validate` with the scores of its folds.
    """
    certain = evaluation.probabilities is not None or "lower" in evaluation.frame
    if not certain or evaluation.fold_scores is not None or "unseen_read_share" in evaluation.frame:
        return ""
    what = "intervals" if "lower" in evaluation.frame else "probabilities"
    return (
        f" If these predictions came with a model (from 'fit' or 'fine-tune'), its settings and {what} were chosen on "
        "these very samples: expect somewhat worse of new ones, which 'cross-validate' measures."
    )


def answer(gain: float, evaluation, gain_of) -> tuple[str, str, str]:
    """Whether the model is better: a word, its colour, and a sentence with the interval of the gain.

    Parameters
    ----------
    gain : float
        How much better the model is.
    evaluation : Evaluation
    gain_of : callable
        Of rows the gain, None where they do not define it.
    """
    from ..evaluation.bootstrap import FEWEST_GROUPS, score_intervals

    units = evaluation.described_units()
    ends = None
    if evaluation.enough_units():
        ends = score_intervals(lambda rows: {"gain": gain_of(rows)}, evaluation.units).get("gain")
    if ends is None:
        fewer = f"it takes {FEWEST_GROUPS}" if not evaluation.enough_units() else "a class is in too few of them"
        return "cannot tell", "warning", f"From {units} nothing can be said of the next ones: {fewer}."
    low, high = ends
    word, level = ("yes", "success") if low > 0 else ("no", "danger") if high < 0 else ("cannot tell", "warning")
    return word, level, (
        f"The difference is {number(gain)} (95% interval {number(low)} to {number(high)}, with the {units} drawn anew)."
    )


def capital(label: str) -> str:
    """A label at the beginning of a line."""
    return label[0].upper() + label[1:]
