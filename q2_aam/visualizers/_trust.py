"""How far an explanation can be trusted, in sentences: what its removal costs, and how stable it is."""

import pandas as pd

from ._page import number

# By how bad it is, the worst first.
HEADINGS = {
    "danger": "This cannot be trusted far.",
    "info": "This can be trusted in part.",
    "success": "This passes the checks of trust.",
}
LABELS = {"r2": "R²", "balanced_accuracy": "balanced accuracy"}
NO_TRUE_VALUES = (
    "explain was given no true values. With its parameter metadata (--m-metadata-file and --m-metadata-column, the "
    "column that the model predicts) it fits the model anew without each of five folds, and measures it."
)
# Fewer than two of the 20 most important are called a small difference.
HARDLY = 0.1
DELETION = ["removed", "top", "random", "random_low", "random_high", "top_reads", "random_reads"]
JUDGED = 20  # at most so many removed features: whether they are better than random ones


def trust_verdict(page, explanation) -> None:
    """Say at the top of the page how far the explanation can be trusted.

    Parameters
    ----------
    page : Page
    explanation : q2_aam.visualizers._explanation.Explanation
    """
    trust = explanation.about["trust"]
    page.notes += explanation.about["notes"]
    if trust is None:
        # A fold that could not be fitted is noted.
        page.verdict(
            "It is not known how far this can be trusted.",
            explanation.about["notes"][-1] if explanation.about["notes"] else NO_TRUE_VALUES,
            "warning",
        )
        return
    found = [skill(explanation), removal(explanation), stability(explanation)]
    level = next(level for level in HEADINGS if level in [level for _, level in found])
    page.verdict(HEADINGS[level], " ".join(text for text, _ in found if text), level)


def skill(explanation) -> tuple[str, str]:
    """A sentence where the model predicts no better than without looking, and how bad that is."""
    trust = explanation.about["trust"]
    if trust["score"] > trust["trivial"]:
        return "", "success"
    return (
        "Models of the other folds predict no better than an answer that looks at no sample: their "
        f"{score_name(trust)} is {number(trust['score'])}. A model without skill has important {explanation.noun}s, "
        "too.",
        "danger",
    )


def removal(explanation) -> tuple[str, str]:
    """What removal of the most important features costs beside that of random ones, and how bad that is."""
    trust, noun = explanation.about["trust"], explanation.noun
    # One number of them, which is told: by the best of several, chance would pass twice as often.
    rows = [row for row in trust["deletion"] if 0 < row["removed"] <= JUDGED]
    if not rows:
        return f"There are too few {noun}s to remove some of them.", "info"
    last = rows[-1]
    numbers = (
        f"without the {last['removed']} most important ones of each fold ({last['top_reads']:.0%} of the reads) "
        f"{score_name(trust)} goes from {number(trust['score'])} to {number(last['top'])}, without as many random ones "
        f"of like prevalence and abundance ({last['random_reads']:.0%} of the reads) to {number(last['random'])} "
        f"({number(last['random_low'])} to {number(last['random_high'])})"
    )
    if last["top"] >= last["random_low"]:
        return (
            f"Removal of the most important {noun}s costs no more than that of random ones, so that predictions do not "
            f"rest on them: {numbers}.",
            "danger",
        )
    return f"Predictions rest on the most important {noun}s: {numbers}.", "success"


def stability(explanation) -> tuple[str, str]:
    """How many of the most important features two folds share beside chance, and how bad that is."""
    values, noun = explanation.about["trust"]["stability"], explanation.noun
    if values["overlap"] is None or values["by_chance"] is None:
        few = f"there are fewer than {2 * values['top']} {noun}s, or values cannot be permuted"
        return f"How stable the ranks are is not known: {few}.", "info"
    numbers = (
        f"of the {values['top']} most important ones of a fold {values['overlap']:.0%} are among those of another one, "
        f"of models that learnt from permuted values {values['by_chance']:.0%}"
    )
    if values["overlap"] <= values["by_chance"]:
        return f"No single {noun} should be believed: {numbers}.", "danger"
    if values["overlap"] < values["by_chance"] + HARDLY:
        return f"The ranks are hardly more stable than by chance; a single {noun} says little: {numbers}.", "info"
    return f"The ranks are more stable than by chance: {numbers}.", "success"


def score_name(trust: dict) -> str:
    """What the score is called on the page."""
    return LABELS.get(trust["metric"], str(trust["metric"]))


def deletion_table(trust: dict) -> pd.DataFrame:
    """The scores by how many features were removed."""
    return pd.DataFrame(trust["deletion"], columns=DELETION)
