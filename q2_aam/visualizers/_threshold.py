"""Two classes: which one is named from which probability on, chosen on the page of `evaluate`."""

import pandas as pd

from ._page import number


def threshold_section(page, samples: pd.DataFrame, probabilities: pd.DataFrame) -> None:
    """A threshold that is moved, with the confusion matrix that it makes; nothing unless there are two classes.

    Parameters
    ----------
    page : Page
    samples : pandas.DataFrame
        A row a sample; columns `true`, `predicted`.
    probabilities : pandas.DataFrame
        The same rows; a column a class.
    """
    classes = list(probabilities.columns)
    if len(classes) != 2 or not set(samples["true"]) <= set(classes):
        return
    second = probabilities[classes[1]].to_numpy()
    named = (samples["predicted"] == classes[1]).to_numpy()
    threshold, rule = used_threshold(second, named, classes[1])
    page.section(
        "Another threshold",
        f"{rule} Another threshold finds more of a class, or names it wrongly less often. Choose it by what a mistake "
        "costs; to choose it by these samples and then to report the scores below would be too good to be true.",
    )
    page.widget("threshold", {
        "classes": classes,
        "truth": (samples["true"] == classes[1]).astype(int).tolist(),
        "probability": second.tolist(),
        "threshold": threshold,
    })  # fmt: skip


def used_threshold(probability, named, name: str) -> tuple[float, str]:
    """The threshold by which a class was named, and a sentence that says it.

    Parameters
    ----------
    probability : numpy.ndarray of float `[N]`
        That of the class.
    named : numpy.ndarray of bool `[N]`
        Whether it was named.
    name : str
        The class.

    Returns
    -------
    float
        Halfway between the highest probability at which it was not named and the lowest at which it was; 0.5 where no
        threshold says it all.
    str
    """
    lowest = probability[named].min() if named.any() else 1.0
    highest = probability[~named].max() if not named.all() else 0.0
    if highest >= lowest:
        return 0.5, f"No single threshold names '{name}' as these predictions do (repeats may disagree)."
    if not named.any() or named.all():
        which = "never" if not named.any() else "always"
        return 0.5, f"These predictions {which} name '{name}'."
    between = f"somewhere between {number(float(highest))} and {number(float(lowest))}"
    threshold = 0.5 if highest < 0.5 <= lowest else float((lowest + highest) / 2)
    kind = (
        "as the likeliest class is named"
        if threshold == 0.5
        else "as in the decision 'balanced', where a class is named when it stands out against its share of the "
        "samples that were learnt from"
    )
    return threshold, f"These predictions name '{name}' from a probability on that lies {between}, {kind}."
