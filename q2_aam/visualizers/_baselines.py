"""What the page of `evaluate` makes of predictions of baselines for the same samples."""

import numpy as np

from ._page import number
from ._samples import listed, rows_of
from ._scores import answer


def add_baselines(evaluation, baselines, kind: str):
    """Match the baselines' predictions with the evaluated samples, or say what does not fit.

    Parameters
    ----------
    evaluation : Evaluation
        Gets them.
    baselines : pandas.DataFrame
        A sample a row, a method a column; the answer that looks at no sample is among them.
    kind : {'numeric', 'categorical'}
        Kind of the target.

    Raises
    ------
    ValueError
        When samples are missing, or the baselines are of a column of the other kind.
    """
    from ..evaluation.baselines import baselines_of

    trivial = baselines_of(kind)[0].name
    if trivial not in baselines:
        raise ValueError(
            f"The metadata column '{evaluation.name}' is {kind}, so the baselines must have a column '{trivial}'; "
            f"their columns are: {listed(baselines.columns)}. Give the baselines of the column that was predicted."
        )
    evaluation.baselines = rows_of(baselines, evaluation.frame.index, "table of baselines")


def baseline_scores(evaluation, kind: str) -> dict:
    """Scores of each baseline by its label, or by its name if it is not in the registry; empty without any."""
    from ..evaluation.baselines import label_of
    from ..evaluation.metrics import classification_scores, regression_scores

    if evaluation.baselines is None:
        return {}
    score = regression_scores if kind == "numeric" else classification_scores
    truth = evaluation.frame["true"]
    return {label_of(name): score(truth, values) for name, values in evaluation.baselines.items()}


def baseline_notes(evaluation) -> str:
    """Sentences on those baselines whose labels do not say what they are, or that are left out, each after a blank."""
    from ..evaluation.baselines import BASELINES, baselines_of, many_samples_sentence

    entries = [BASELINES[name] for name in evaluation.baselines if name in BASELINES]
    notes = "".join(f" {entry.note}" for entry in entries if entry.note)
    # All that needs nothing but the table was predicted, unless there were too many samples.
    kind = "numeric" if "median" in evaluation.baselines else "categorical"
    plain = [entry for entry in baselines_of(kind) if not entry.most_samples]
    left_out = [entry for entry in baselines_of(kind, ["phylogeny"]) if entry.most_samples and entry not in entries]
    if len(left_out) > 1 and all(entry in entries for entry in plain):
        notes += f" There were many samples to learn from. {many_samples_sentence(left_out)}"
    return notes


def baseline_verdict(page, evaluation, scores: dict, others: dict):
    """Say whether the model is better than the best of the baselines.

    Parameters
    ----------
    page : Page
    evaluation : Evaluation
    scores : dict
        The model's.
    others : dict
        Those of each baseline.
    """
    numeric = "mae" in scores
    key = "mae" if numeric else "balanced_accuracy"
    best = (min if numeric else max)(others, key=lambda method: others[method][key])
    own, bar, name = scores[key], others[best][key], evaluation.name
    rival = evaluation.baselines.iloc[:, list(others).index(best)]
    gain = bar - own if numeric else own - bar
    word, level, interval = answer(gain, evaluation, gain_over(evaluation, rival, numeric))
    if numeric:
        text = (
            f"The predictions of '{name}' are off by {number(own)} on average. Those of the best baseline, "
            f"{_in_text(best)}, are off by {number(bar)}"
        )
    else:
        text = (
            f"On average over the classes of '{name}', {own:.1%} of a class's samples are predicted right (balanced "
            f"accuracy); by the best baseline, {_in_text(best)}, {bar:.1%}"
        )
    page.verdict(f"Better than the baselines: {word}.", f"{text}. {interval}", level)


def gain_over(evaluation, rival, numeric: bool):
    """By how much the model is better than other predictions (a value, or one a sample), as a function of rows.

    Of numbers, how much smaller the mean absolute error is; of classes, how much higher the balanced accuracy.
    """
    frame = evaluation.frame
    truth, mine = frame["true"].to_numpy(), frame["predicted"].to_numpy()
    theirs = np.broadcast_to(np.asarray(rival, dtype=mine.dtype), mine.shape)
    if numeric:
        gains = np.abs(theirs - truth) - np.abs(mine - truth)
        return lambda rows: gains[rows].mean()
    gains = (mine == truth).astype(float) - (theirs == truth)
    names, codes = np.unique(truth.astype(str), return_inverse=True)

    def balanced(rows) -> float | None:
        sizes = np.bincount(codes[rows], minlength=len(names))
        # A mean over fewer classes is another score.
        return (np.bincount(codes[rows], gains[rows], len(names)) / sizes).mean() if sizes.all() else None

    return balanced


def _in_text(label: str) -> str:
    """A label within a sentence: no capital, unless it is an abbreviation."""
    return label if label.split()[0].isupper() else f"{label[0].lower()}{label[1:]}"
