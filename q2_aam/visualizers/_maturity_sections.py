"""The sections of the page of `show-maturity`."""

import numpy as np
import pandas as pd

from ._page import number
from ._samples import some

MAX_COHORTS = 7  # with a colour, beside the controls; the tables have all
MAX_SUBJECTS = 300  # with a line
MAX_BARS = 40
SEED = 0


def curve(page, comparison) -> None:
    """Predicted against true values, with the curve and the band of the controls."""
    from ..evaluation.maturity_charts import curve_chart

    own = comparison.known[comparison.known["cohort"] == comparison.control]
    page.section(
        "Predicted and expected",
        "The line is what is expected: a curve through the predictions of controls, as smooth as predicts other "
        f"{comparison.unit}s best. In the grey band 95% of the controls should lie; of few {comparison.unit}s it is "
        "not well known. A control would be its own expectation, in part: for it another curve is "
        f"taken, through the controls of other {comparison.unit}s, which may lie a little beside the line.",
        points=[check_of(own)],
    )
    frame, cohorts, note = coloured(comparison, comparison.samples)
    beyond = "" if comparison.curve["expected"].notna().all() else " It is broken where there are too few controls."
    near = number(comparison.about["near"])
    caption = (
        f"It is not drawn beyond the controls.{beyond} Something is expected where 2 {comparison.unit}s or more have a "
        f"control within {near}.{note}"
    )
    file = page.write_table("curve", comparison.curve)
    picture = curve_chart(frame, comparison.curve, cohorts, comparison.target)
    page.chart("predicted_and_expected", picture, "", caption, file)


def check_of(own: pd.DataFrame) -> str:
    """Whether the z-scores of controls are what z-scores should be."""
    from ..evaluation.maturity_charts import BAND

    inside = (own["z"].abs() <= BAND).mean()
    return (
        f"As a check, the z-scores of the {some(own, 'control')} by such curves: mean {number(own['z'].mean())} "
        f"(should be 0), standard deviation {number(own['z'].std())} (1), between −{BAND} and {BAND} {inside:.0%} "
        "(95%)."
    )


def by_cohort(page, comparison) -> None:
    """How far cohorts are from controls."""
    from ..evaluation.labels import short_names
    from ..evaluation.maturity_charts import differences

    unit = comparison.unit
    page.section(
        "Cohorts",
        f"Predicted minus expected, and z-scores (the same in standard deviations of controls), means in which each "
        f"{unit} counts alike. From and to: 95% intervals, by how {unit}s of the cohort differ, and by how curve and "
        f"spread change when {unit}s of the controls are left out. A prediction below what is expected need not be a "
        "delay: whatever makes a community unlike that of controls can move it.",
    )
    frame = comparison.others.dropna(subset=["difference"]).head(MAX_BARS)
    if len(frame):
        picture = differences(frame.assign(label=short_names(frame["cohort"])), comparison.target)
        caption = "Dashed: what is expected of controls. A point without a line has no interval."
        page.chart("differences", picture, "", caption, "cohorts.tsv")
    table = comparison.cohorts.astype({"samples": int, "subjects": int})
    page.table("cohorts", table, cohort_headers(unit))


def cohort_headers(unit: str) -> dict:
    """Headings of a table of cohorts."""
    headers = {"cohort": "Cohort", "samples": "Samples"} | ({"subjects": "Subjects"} if unit == "subject" else {})
    headers |= {"difference": "Predicted − expected", "difference_low": "From", "difference_high": "To"}
    return headers | {"z": "z-score", "z_low": "From", "z_high": "To"}


def by_value(page, comparison) -> None:
    """Differences and z-scores by ranges of the true value."""
    from ..evaluation.maturity_charts import z_boxes

    ends = comparison.ranges.drop_duplicates("range")[["range", "low"]]
    places = np.searchsorted(ends["low"], comparison.known["true"], side="right") - 1
    frame, cohorts, note = coloured(comparison, comparison.known)
    frame["range"] = ends["range"].to_numpy()[pd.Series(places, comparison.known.index)[frame.index]]
    smooth = comparison.about["spread_by_age"]
    spread = "The spread of controls, by which z-scores are divided, is "
    spread += "a smooth curve, too." if smooth else "one for all values."
    page.section(
        f"By {comparison.target}",
        "At which true values do cohorts differ? Means, intervals and boxes are of samples in a range; each has fewer "
        f"{comparison.unit}s, and one interval in twenty misses by chance. {spread}",
    )
    caption = f"Box: the middle half of the samples; line in it: the median; points: far ones. {note}".strip()
    picture = z_boxes(frame, list(ends["range"]), cohorts, comparison.target)
    page.chart("z_scores", picture, "", caption, "maturity.tsv")
    table = comparison.ranges.drop(columns=["low", "high"]).astype({"samples": int, "subjects": int})
    page.table("ranges", table, {"range": comparison.target, **cohort_headers(comparison.unit)})


def by_subject(page, comparison) -> None:
    """z-scores of single subjects; nothing where subjects are not known or have one sample."""
    from natsort import natsorted

    from ..evaluation.maturity_charts import z_lines

    known = comparison.known.dropna(subset=["subject"])
    counts = known["subject"].value_counts()
    names = natsorted(counts.index[counts > 1])
    if not names:
        return
    chosen = names
    if len(names) > MAX_SUBJECTS:
        places = np.random.default_rng(SEED).permutation(len(names))[:MAX_SUBJECTS]
        chosen = [names[place] for place in sorted(places)]
    frame, cohorts, note = coloured(comparison, known[known["subject"].isin(chosen)])
    shown = set(frame["subject"])
    chosen = [name for name in chosen if name in shown]
    text = "A line is a subject. Choose one below the picture to see it in bold, and point at its samples."
    page.section("Subjects", text)
    caption = f"Grey band: where 95% of the controls should lie. PNG and SVG are of the subject {chosen[0]}.{note}"
    if len(chosen) < len(names):
        caption += f" {len(chosen)} of {some(names, 'subject')} are drawn at random (seed {SEED})."
    page.chart("subjects", z_lines(frame, chosen, cohorts, comparison.target), "", caption, "maturity.tsv")


def samples_table(page, comparison) -> None:
    """The table that is searched and sorted."""
    table = comparison.samples.astype({"control_subjects": int})
    headers = {"sample": "Sample", "cohort": "Cohort"}
    headers |= {"subject": "Subject"} if comparison.unit == "subject" else {}
    headers |= {"true": "True", "predicted": "Predicted", "expected": "Expected", "spread": "Spread of controls"}
    headers |= {"difference": "Predicted − expected", "z": "z-score", "control_subjects": "Control subjects near"}
    headers |= {"reason": "Nothing expected: why"} if (table["reason"] != "").any() else {}
    page.section("All samples", "Click a heading to sort. Words are searched in all columns.")
    page.browsed_table("maturity", table.assign(subject=table["subject"].fillna("")), headers)


def coloured(comparison, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str], str]:
    """Samples of the cohorts that get a colour, the names of these, and a sentence on the others."""
    others = comparison.others.sort_values("samples", ascending=False, kind="stable")
    kept = [comparison.control, *others["cohort"].head(MAX_COHORTS)]
    note = ""
    if len(others) > MAX_COHORTS:
        note = f" Shown are the {MAX_COHORTS} cohorts of the most samples, of {len(others)}; the tables have all."
    columns = ["sample", "true", "predicted", "expected", "z", "cohort", "subject"]
    return frame.loc[frame["cohort"].isin(kept), columns], kept, note
