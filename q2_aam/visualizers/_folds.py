"""What the page of `evaluate` shows of a cross-validation's scores by folds."""

import pandas as pd

from ._page import number
from ._scores import capital


def reading_notes(scores: pd.DataFrame) -> list:
    """What the reader must know: which samples the encoder has seen, and what the predictions of repeats are."""
    notes, kinds = [], {part for text in scores["pretraining"] for part in text.split("+")}
    if "transductive" in kinds:
        notes.append(
            "Pretraining was transductive: the encoder was pretrained on the communities of all samples, also of those "
            "that were predicted, but without their values. The scores hold for samples that are there when the "
            "encoder is pretrained, not for later ones."
        )
    if "ready" in kinds:
        notes.append(
            "The encoder is the one that comes with q2-aam. It has not read these samples, unless they are of one of "
            "the public surveys that its page names (docs/reference/ready-encoder.md)."
        )
    if "encoder" in kinds:
        notes.append(
            "The cross-validation began with an encoder that was there before. If this encoder was pretrained on these "
            "samples, it has seen the communities (not the values) of samples that were predicted, and the scores do "
            "not hold for later ones."
        )
    repeats = scores["repeat"].nunique()
    if repeats > 1:
        notes.append(
            f"Each sample was predicted {repeats} times. The scores above the folds are those of the mean of these "
            "predictions (of classes: the one named most often). Several "
            "models together are usually better than one; the scores of one model are under Folds."
        )
    return notes


def folds_section(page, scores: pd.DataFrame):
    """Show mean and spread over the folds of each method's scores, and offer all of them.

    Parameters
    ----------
    page : Page
        To be filled; not rendered here.
    scores : pandas.DataFrame
        A row a repeat, fold and method; without a fold, all folds of the repeat together.
    """
    from ..evaluation.scores import scores_of

    labels = {score.name: capital(score.label) for score in scores_of(place="folds") if score.name in scores}
    by_fold, whole = scores[scores["fold"].notna()], scores[scores["fold"].isna()]
    repeats, folds = scores["repeat"].nunique(), int(by_fold.groupby("repeat")["fold"].nunique().max())
    text = (
        "Each sample was predicted by a model that was fitted to the other folds. Shown is the mean over the folds ± "
        "their standard deviation: where the scores of two methods overlap widely, these samples cannot say which one "
        "is better. A fold of few samples says little; a dash is a score that no fold defines."
    )
    page.section("Folds", text)
    counts = f"{folds} folds" + (f", {repeats} repeats" if repeats > 1 else "")
    page.table("scores_over_folds", *_table(by_fold, labels), f"Over {counts}", labels)
    if len(whole):
        heading = "All folds together" + (", over the repeats" if repeats > 1 else "")
        page.table("scores_of_repeats", *_table(whole, labels), heading, labels)
    _single_folds(page, by_fold, labels)
    page.write_table("fold_scores", scores.rename_axis("id").reset_index())
    page.download("fold_scores.tsv", "scores of each repeat, fold and method")


def _single_folds(page, scores: pd.DataFrame, labels: dict):
    """Each fold of the model, with an interval; nothing for scores of an earlier q2-aam, which have none."""
    from ..evaluation.fold_scores import OURS

    known = [name for name in ("mae", "accuracy") if f"{name}_low" in scores and scores[f"{name}_low"].notna().any()]
    if not known:
        return
    frame, headers = scores[scores["method"] == OURS], {"repeat": "Repeat", "fold": "Fold", "samples": "Samples"}
    if frame["groups"].notna().any():
        headers["groups"] = "Groups"
    for name in known:
        headers |= {name: labels[name], f"{name}_low": "From", f"{name}_high": "To"}
    frame = frame.astype(dict.fromkeys(("repeat", "fold", "samples"), int))
    heading = "q2-aam in each fold (from, to: 95% intervals, with 10 or more groups or samples of the fold drawn anew)"
    page.table("single_folds", frame.reset_index(drop=True), headers, heading)


def _table(scores: pd.DataFrame, labels: dict) -> tuple[pd.DataFrame, dict]:
    """A method a row, with the mean and, of several, the standard deviation of its scores; headings."""
    from ..evaluation.baselines import label_of

    rows = []
    for method, part in scores.groupby("method", sort=False):
        cells = {"method": label_of(method)}
        for name in labels:
            values = part[name].dropna()
            cells[f"{name}_mean"], cells[f"{name}_sd"] = values.mean(), values.std()
            spread = f" ± {number(float(values.std()))}" if len(values) > 1 else ""
            cells[name] = number(float(values.mean())) + spread
        rows.append(cells)
    return pd.DataFrame(rows), {"method": "Method", **labels}
