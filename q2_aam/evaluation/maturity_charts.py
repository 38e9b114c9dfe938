"""Interactive pictures of predictions beside what is expected of them, for pages that people open in a browser.

Every function returns a Vega-Lite specification (a dict) that carries its data. Columns of the frames have fixed names:
Vega would read a user's name such as `a.b` as a path.
"""

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import BLUE, GREY, legend, specification

# Controls are grey; the others in the order of the table.
COLOURS = ("#d9641e", BLUE, "#2f8f4e", "#8a4f9e", "#c9a227", "#c23b3b", "#3aa6a6", "#6b4c2a")
BAND = 1.96


def cohort_colours(cohorts) -> alt.Color:
    """Colours of the cohorts, the controls first."""
    scale = alt.Scale(domain=list(cohorts), range=[GREY, *COLOURS[: len(cohorts) - 1]])
    return alt.Color("cohort:N", scale=scale, legend=legend(None, orient="top", columns=2))


def curve_chart(frame: pd.DataFrame, curve: pd.DataFrame, cohorts, name: str) -> dict:
    """Predicted against true values, with what is expected by the controls and the band that holds 95% of them.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `true`, `predicted`, `expected`, `z`, `cohort`, `subject`.
    curve : pandas.DataFrame
        Columns `true`, `expected`, `spread`; missing where nothing is expected.
    cohorts : sequence of str
        The controls first.
    name : str
        Name of the target, for the axes.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    x = alt.X("true:Q", title=f"true {name}", scale=alt.Scale(zero=False))
    half = BAND * curve["spread"]
    curve = curve.assign(low=curve["expected"] - half, high=curve["expected"] + half)
    y = {"title": f"predicted {name}", "scale": alt.Scale(zero=False)}
    base = alt.Chart(curve)
    # Parts of a curve, between which there are no controls, are not joined.
    band = base.mark_area(color=GREY, opacity=0.2).encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q")
    line = base.mark_line(color="#222222", strokeWidth=2).encode(x=x, y=alt.Y("expected:Q", **y))
    opacity = float(np.clip(9 / np.sqrt(len(frame)), 0.15, 0.8))
    points = alt.Chart(frame).mark_circle(size=36, opacity=opacity)
    points = points.encode(x=x, y=alt.Y("predicted:Q", **y), color=cohort_colours(cohorts), tooltip=_tooltip(frame))
    return specification(alt.layer(band, points, line).properties(width=520, height=380))


def _tooltip(frame: pd.DataFrame) -> list[alt.Tooltip]:
    texts = [name for name in ("sample", "cohort", "subject") if frame[name].notna().any()]
    numbers = ("true", "predicted", "expected", "z")
    return [alt.Tooltip(f"{name}:N") for name in texts] + [alt.Tooltip(f"{n}:Q", format=".4~g") for n in numbers]


def z_boxes(frame: pd.DataFrame, order, cohorts, name: str) -> dict:
    """z-scores of each cohort by the true value, as boxes.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `range` (of true values), `z`, `cohort`.
    order : sequence of str
        Ranges from the lowest.
    cohorts : sequence of str
        The controls first.
    name : str
        Name of the target, for the axis.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    zero = alt.Chart(pd.DataFrame({"z": [0.0]})).mark_rule(color=GREY).encode(y="z:Q")
    width = max(8, min(26, 90 // len(cohorts)))
    boxes = alt.Chart(frame).mark_boxplot(size=width - 2, ticks=False, outliers={"size": 12})
    boxes = boxes.encode(
        x=alt.X("range:N", sort=list(order), title=f"true {name}", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("cohort:N", sort=list(cohorts), scale=alt.Scale(domain=list(cohorts))),
        y=alt.Y("z:Q", title="z-score"),
        color=cohort_colours(cohorts),
    )
    step = alt.Step(max(64, len(cohorts) * width + 12), **{"for": "position"})
    return specification(alt.layer(zero, boxes).properties(width=step, height=300))


def z_lines(frame: pd.DataFrame, subjects, cohorts, name: str) -> dict:
    """z-scores of each subject over the true value, one of them chosen by its name.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `true`, `predicted`, `expected`, `z`, `cohort`, `subject`.
    subjects : sequence of str
        To choose from; the first is shown first.
    cohorts : sequence of str
        The controls first.
    name : str
        Name of the target, for the axis.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    picked = alt.param("picked", value=subjects[0], bind=alt.binding_select(options=list(subjects), name="Subject: "))
    band = alt.Chart(pd.DataFrame({"low": [-BAND], "high": [BAND]})).mark_rect(color=GREY, opacity=0.15)
    y = alt.Y("z:Q", title="z-score")
    base = alt.Chart(frame).encode(
        x=alt.X("true:Q", title=f"true {name}", scale=alt.Scale(zero=False)), y=y, color=cohort_colours(cohorts)
    )
    lines = base.mark_line(strokeWidth=1).encode(detail="subject:N", opacity=alt.value(0.35))
    chosen = base.transform_filter("datum.subject === picked")
    one = chosen.mark_line(strokeWidth=3, point={"size": 50}).encode(tooltip=_tooltip(frame))
    layers = alt.layer(band.encode(y=alt.Y("low:Q", title="z-score"), y2="high:Q"), lines, one.add_params(picked))
    return specification(layers.properties(width=520, height=300))


def differences(frame: pd.DataFrame, name: str) -> dict:
    """Mean difference of each cohort from what is expected, with its interval.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a cohort, in the order from the top; columns `cohort`, `label`, `difference`, `difference_low`,
        `difference_high` (missing where there is no interval), `samples`, `subjects`.
    name : str
        Name of the target, for the axis.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    title = f"predicted minus expected {name}"
    y = alt.Y("label:N", sort=list(frame["label"]), title=None, axis=alt.Axis(labelLimit=0))
    zero = alt.Chart(pd.DataFrame({"difference": [0.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    tooltip = [alt.Tooltip("cohort:N")]
    ends = ("difference", "difference_low", "difference_high")
    tooltip += [alt.Tooltip(f"{column}:Q", format="+.4~g") for column in ends]
    tooltip += [alt.Tooltip("samples:Q"), alt.Tooltip("subjects:Q")]
    base = alt.Chart(frame).encode(y=y, tooltip=tooltip)
    low, middle = (alt.X(f"{column}:Q", title=title) for column in ("difference_low", "difference"))
    bars = base.mark_rule(color=BLUE, strokeWidth=2).encode(x=low, x2="difference_high:Q")
    points = base.mark_circle(color=BLUE, size=90, opacity=1).encode(x=middle)
    layers = alt.layer(zero.encode(x="difference:Q"), bars, points)
    return specification(layers.properties(width=420, height=alt.Step(26)))
