"""The table of scores on the page of `evaluate`, from the registries of scores and baselines."""

import pandas as pd


def score_table(kind: str, needs, values: dict, beside: dict) -> pd.DataFrame:
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

    Returns
    -------
    pandas.DataFrame
        Columns `score`, `model`, those of `beside`, `meaning`.
    """
    from ..evaluation.scores import scores_of

    rows = [
        {
            "score": score.label,
            "model": values.get(score.name),
            **{column: scores.get(score.name) for column, scores in beside.items()},
            "meaning": score.meaning,
        }
        for score in scores_of(kind, place="page")
        if score.needs in needs
    ]
    return pd.DataFrame(rows, dtype=object)


def answer(gain: float) -> tuple[str, str]:
    """Whether a model is better, in a word, and the colour of it, by a gain of which 0.05 counts."""
    if gain > 0.05:
        return "yes", "success"
    return ("hardly", "warning") if gain > 0 else ("no", "danger")


def capital(label: str) -> str:
    """A label at the beginning of a line."""
    return label[0].upper() + label[1:]
