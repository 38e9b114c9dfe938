"""Novelty on the page of `evaluate`: which samples lie outside what the model knows, and whether it errs there."""

import numpy as np
import pandas as pd

from ._columns import equal_parts
from ._page import number
from ._samples import some

# Of new samples of the same study 0.6 to 1.8% lie beyond (12 groups: 3%), of other studies' 53 to 100%; beyond the 95th
# 3 to 9% and 80 to 100% (docs/benchmarks/scores.md, "known-ground"). With 90, one in ten would be called strange.
OUTSIDE_PERCENTILE = 99
N_BINS = 5


def outside(novelty: pd.DataFrame) -> pd.Series:
    """Whether each sample lies outside what the model knows.

    Parameters
    ----------
    novelty : pandas.DataFrame
        A row a sample; column `unseen_read_share`, and `nearest_percentile` where the model knows distances.

    Returns
    -------
    pandas.Series
        bool: farther from the samples that were learnt from than 99% of these are from each other; of models that know
        no distances, most reads are in ASVs that were never met.
    """
    from q2_aam.predictions import MUCH_NOVELTY

    if "nearest_percentile" in novelty:
        return novelty["nearest_percentile"] >= OUTSIDE_PERCENTILE
    return novelty["unseen_read_share"] > MUCH_NOVELTY


def known_section(page, evaluation) -> None:
    """Which samples lie outside what the model knows: it stands before their predictions. Nothing without novelty."""
    frame = evaluation.frame
    if "outside" not in frame:
        return
    heading, definition = known_ground_of(frame)
    joined = ": " if frame["outside"].any() else "; those that do are so called because "
    known_ground_section(page, frame, heading + joined + definition)


def known_ground_of(frame: pd.DataFrame) -> tuple[str, str]:
    """How many samples lie outside; and what that means, as the rest of a sentence.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns of the novelty, and `outside`.
    """
    distances = "nearest_percentile" in frame
    count, share = int(frame["outside"].sum()), frame["outside"].mean()
    they, their, ending = ("it is", "its", "") if count == 1 else ("they are", "their", "s")
    definition = (
        f"{they} farther from the samples that were learnt from than {OUTSIDE_PERCENTILE}% of these are from each "
        f"other (of new samples of the same study, {100 - OUTSIDE_PERCENTILE} to 3% are)"
        if distances
        else f"most of {their} reads are in ASVs that were never met (the model does not know how far samples are from "
        "those)"
    )
    if not count:
        return "No sample lies outside what the model knows", f"{definition}."
    definition += f". Doubt {their} prediction{ending}."
    verb = "lies" if count == 1 else "lie"
    return f"{some(count, 'sample')} of {len(frame):,} ({share:.1%}) {verb} outside what the model knows", definition


def known_ground_section(page, frame: pd.DataFrame, text: str, heading="Is this known ground?", more=None) -> None:
    """The picture, and the table that is searched, those outside first.

    Parameters
    ----------
    page : Page
    frame : pandas.DataFrame
        As :func:`known_ground_of` takes it.
    text, heading : str
    more : dict of str to pandas.Series, optional
        What else is known of the samples: further columns of the table.
    """
    from ..evaluation.novelty_charts import known_ground

    page.section(heading, text)
    table = frame.rename_axis("sample").reset_index()
    columns = {"sample": "Sample", "outside": "Outside", "nearest_percentile": "Percentile of the distance"}
    columns |= {"nearest_distance": "Distance to the nearest five", "unseen_read_share": "Reads in ASVs never met"}
    columns = {name: title for name, title in columns.items() if name in table}
    chart = known_ground(table[list(columns)])
    for name, values in (more or {}).items():
        while name in table:
            name += " (metadata)"
        table[name], columns[name] = values.to_numpy(), name
    order = "nearest_distance" if "nearest_distance" in table else "unseen_read_share"
    table = table.sort_values(["outside", order], ascending=False, kind="stable")
    table["outside"] = np.where(table["outside"], "yes", "no")
    page.chart("known_ground", chart, caption="Point at a sample to see its ID.", data="novelty.tsv")
    page.browsed_table("novelty", table[list(columns)], columns)


def error_section(page, samples: pd.DataFrame, name: str) -> None:
    """Whether numbers are worse predicted where more is unseen."""
    from ..evaluation.charts import error_against_novelty
    from ..evaluation.metrics import regression_scores

    measured = _section(page, samples)
    if measured is None:
        return
    correlation = regression_scores(measured["unseen_read_share"], measured["absolute_error"])["spearman"]
    caption = f"Spearman correlation: {number(correlation)} (above 0: larger errors on samples with more unseen reads)."
    chart = error_against_novelty(measured, name)
    page.chart("error_against_novelty", chart, "Error against novelty", caption, "predictions.tsv")


def accuracy_section(page, samples: pd.DataFrame) -> None:
    """Whether classes are worse predicted where more is unseen."""
    from ..evaluation.class_charts import shares_by_bin

    measured = _section(page, samples)
    if measured is None:
        return
    table = measured.groupby(equal_parts(measured["unseen_read_share"], N_BINS)).agg(
        lowest=("unseen_read_share", "min"),
        highest=("unseen_read_share", "max"),
        samples=("right", "size"),
        accuracy=("right", "mean"),
    )
    table["bin"] = [f"{low:.1%} to {high:.1%}" for low, high in zip(table["lowest"], table["highest"], strict=True)]
    file = page.write_table("accuracy_by_novelty", table.drop(columns="bin"))
    chart = shares_by_bin(table, "reads in ASVs that the model has not seen")
    caption = "Samples in order of novelty, cut into parts of about equal size."
    page.chart("accuracy_by_novelty", chart, "Accuracy against novelty", caption, file)


def _section(page, samples: pd.DataFrame):
    """Begin the section, for the samples of which novelty is known; None without any."""
    measured = samples.dropna(subset=["unseen_read_share"]) if "unseen_read_share" in samples else samples.head(0)
    if measured.empty:
        return None
    page.section(
        "Novelty",
        "Is the model worse on samples whose ASVs it has not seen in training? If so, trust its predictions of such "
        "samples less.",
    )
    return measured
