"""What the page of `evaluate` makes of predictions of other methods for the same samples."""

import pandas as pd

from ._page import number
from ._samples import listed, rows_of

# Names for a reader; a method that is not here keeps its own.
LABELS = {
    "median": "Median of training",
    "largest class": "Largest class of training",
    "random forest": "Random forest",
    "balanced forest": "Balanced forest",
}


def add_baselines(evaluated, baselines, numeric: bool):
    """Match the baselines' predictions with the evaluated samples, or say what does not fit.

    Parameters
    ----------
    evaluated : Evaluated
        Gets them.
    baselines : pandas.DataFrame
        A sample a row, a method a column; `median` is first of numbers, `largest class` of classes.
    numeric : bool
        Whether the true values are numbers.

    Raises
    ------
    ValueError
        When samples are missing, or the baselines are of a column of the other kind.
    """
    wanted = "median" if numeric else "largest class"
    if wanted not in baselines:
        kind = "numeric" if numeric else "categorical"
        raise ValueError(
            f"The metadata column '{evaluated.name}' is {kind}, so the baselines must have a column '{wanted}'; their "
            f"columns are: {listed(baselines.columns)}. Give the baselines of the column that was predicted."
        )
    evaluated.baselines = rows_of(baselines, evaluated.frame.index, "table of baselines")


def baseline_scores(evaluated, numeric: bool) -> dict:
    """Scores of each method, by its name for a reader; empty without baselines."""
    from ..evaluation.metrics import classification_scores, regression_scores

    if evaluated.baselines is None:
        return {}
    score = regression_scores if numeric else classification_scores
    truth = evaluated.frame["true"]
    return {LABELS.get(name, name): score(truth, values) for name, values in evaluated.baselines.items()}


def verdict_beside(page, name: str, scores: dict, others: dict):
    """Say whether the model is better than the best of the baselines.

    Parameters
    ----------
    page : Page
    name : str
        The metadata column.
    scores : dict
        The model's.
    others : dict
        Those of each baseline.
    """
    numeric = "mae" in scores
    key = "mae" if numeric else "balanced_accuracy"
    best = (min if numeric else max)(others, key=lambda method: others[method][key])
    ours, bar = scores[key], others[best][key]
    gain = (1 - ours / bar if bar else -1.0 if ours else 0.0) if numeric else ours - bar
    answer, level = (
        ("yes", "success") if gain > 0.05 else ("hardly", "warning") if gain > 0 else ("no", "danger")
    )
    if numeric:
        text = (
            f"The predictions of '{name}' are off by {number(ours)} on average. Those of the best baseline, "
            f"{_in_text(best)}, are off by {number(bar)}"
        )
    else:
        text = (
            f"On average over the classes of '{name}', {ours:.1%} of a class's samples are predicted right (balanced "
            f"accuracy); by the best baseline, {_in_text(best)}, {bar:.1%}"
        )
    page.verdict(f"Better than the baselines: {answer}.", f"{text}.", level)


def _in_text(label: str) -> str:
    """A label within a sentence: no capital, unless it is an abbreviation."""
    return label if label.split()[0].isupper() else f"{label[0].lower()}{label[1:]}"


def add_columns(rows: list, keys, others: dict) -> pd.DataFrame:
    """The table of scores with a column for each baseline in place of the answer that looks at no sample.

    Parameters
    ----------
    rows : list of dict
        A score each: `score`, `model`, `meaning`, perhaps others.
    keys : sequence of str
        Key of each row's score in the dictionaries of `others`; rows beyond them are of the model alone.
    others : dict
        Scores of each baseline.
    """
    table = pd.DataFrame(rows)
    for label, found in others.items():
        values = [found[key] for key in keys]
        table[label] = pd.Series([*values, *[None] * (len(rows) - len(values))], dtype=object)
    return table
