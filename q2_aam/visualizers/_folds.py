"""What the page of `evaluate` shows of a cross-validation's scores by folds."""

import pandas as pd

from ._page import number

SCORES = {
    "r2": "R²",
    "mae": "Mean absolute error",
    "spearman": "Spearman correlation",
    "coverage": "True values inside the interval",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "macro_f1": "Mean F1",
    "expected_calibration_error": "Calibration error",
}


def reading_notes(scores: pd.DataFrame) -> list:
    """What the reader must know: what the encoder had seen before, and what the predictions of repeats are."""
    notes, kinds = [], {part for text in scores["pretraining"] for part in text.split("+")}
    if "transductive" in kinds:
        notes.append(
            "Pretraining was transductive: the encoder had learnt from the communities of all samples, those that were "
            "predicted included, without their values. The scores hold for samples that are there when the encoder is "
            "pretrained, not for later ones."
        )
    if "encoder" in kinds:
        notes.append(
            "An encoder was given to the cross-validation. If it was pretrained on these samples, it had seen the "
            "communities (not the values) of samples that were predicted, and the scores do not hold for later ones."
        )
    repeats = scores["repeat"].nunique()
    if repeats > 1:
        notes.append(
            f"Each sample was predicted {repeats} times. What is scored above the folds is the mean of these (of a "
            "class, the likeliest; of the baselines' classes, the most frequent): several models together are usually "
            "better than one, whose scores are under Folds."
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
    names = [name for name in SCORES if name in scores]
    apart, whole = scores[scores["fold"].notna()], scores[scores["fold"].isna()]
    repeats, folds = scores["repeat"].nunique(), int(apart.groupby("repeat")["fold"].nunique().max())
    text = (
        "Each sample was predicted by what was learnt from the other folds. The mean over the folds ± their standard "
        "deviation: two methods whose scores overlap widely cannot be told apart by these samples. A score of few "
        "samples in a fold says little; a dash is one that no fold defines."
    )
    page.section("Folds", text)
    counted = f"{folds} folds" + (f", {repeats} repeats" if repeats > 1 else "")
    page.table("scores_over_folds", *_table(apart, names), f"Over {counted}")
    if len(whole):
        page.table(
            "scores_of_repeats",
            *_table(whole, names),
            "All folds together" + (", over the repeats" if repeats > 1 else ""),
        )
    page.write_table("fold_scores", scores.rename_axis("id").reset_index())
    page.download("fold_scores.tsv", "scores of each repeat, fold and method")


def _table(rows: pd.DataFrame, names: list) -> tuple[pd.DataFrame, dict]:
    """A method a row, with the mean and, of several, the standard deviation of its scores; headings."""
    shown = []
    for method, part in rows.groupby("method", sort=False):
        cells = {"method": method}
        for name in names:
            values = part[name].dropna()
            cells[f"{name}_mean"], cells[f"{name}_sd"] = values.mean(), values.std()
            spread = f" ± {number(float(values.std()))}" if len(values) > 1 else ""
            cells[name] = number(float(values.mean())) + spread
        shown.append(cells)
    return pd.DataFrame(shown), {"method": "Method", **{name: SCORES[name] for name in names}}
