"""Interactive pictures of the errors of numbers, and of scores by what is known of the samples.

Every function returns a Vega-Lite specification (a dict) that carries its data.
"""

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import BLUE, GREY, ORANGE, legend, palette, specification
from .labels import short_name

MAX_RULES = 400  # intervals drawn one by one; more are drawn as an area
MAX_COLOURS = 20


def residuals(frame: pd.DataFrame, name: str) -> dict:
    """Predicted minus true against predicted values.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `true`, `predicted`, `error`; optional: `group`.
    name : str
        Name of the target, for the axes.

    Returns
    -------
    dict
        Vega-Lite specification; the layer of the samples is called ``samples``.
    """
    zero = alt.Chart(pd.DataFrame({"error": [0.0]})).mark_rule(color=GREY, strokeDash=[6, 4]).encode(y="error:Q")
    colour = alt.value(BLUE)
    if "group" in frame and frame["group"].nunique() <= MAX_COLOURS:
        colour = alt.Color("group:N", scale=palette(frame["group"].nunique()), legend=legend(None))
    opacity = float(np.clip(8 / np.sqrt(len(frame)), 0.06, 0.8))
    columns = [name for name in ("sample", "true", "predicted", "error", "group") if name in frame]
    points = alt.Chart(frame[columns], name="samples").mark_circle(size=45, opacity=opacity)
    points = points.encode(
        x=alt.X("predicted:Q", title=f"predicted {short_name(name)}", scale=alt.Scale(zero=False)),
        y=alt.Y("error:Q", title=f"predicted − true {short_name(name)}"),
        color=colour,
        tooltip=[
            alt.Tooltip("sample:N"),
            *(alt.Tooltip(f"{column}:Q", format=".4~g") for column in ("true", "predicted", "error")),
        ],
    )
    return specification(alt.layer(zero, points).properties(width=420, height=300))


def intervals_by_width(frame: pd.DataFrame, name: str) -> dict:
    """Each sample's interval around its prediction, the narrowest first, and where the true value lies.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `true`, `predicted`, `lower`, `upper`.
    name : str
        Name of the target, for the axis.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    frame = frame.assign(width=frame["upper"] - frame["lower"])
    # Widths that differ by rounding alone are one width.
    frame = frame.assign(order=(frame["width"] / (frame["width"].max() or 1.0)).round(6))
    frame = frame.sort_values(["order", "predicted"], kind="stable", ignore_index=True)
    inside = frame["true"].between(frame["lower"], frame["upper"])
    frame = frame.assign(
        rank=np.arange(1, len(frame) + 1),
        where=np.where(inside, "inside", "outside"),
        **{column: frame[column] - frame["predicted"] for column in ("lower", "upper", "true")},
    )
    kept = [column for column in ("sample", "rank", "width", "where", "lower", "upper", "true") if column in frame]
    base = alt.Chart(frame[kept])
    title = f"{short_name(name)} − predicted"
    x = alt.X("rank:Q", title="samples, the narrowest interval first", scale=alt.Scale(nice=False))
    few = len(frame) <= MAX_RULES
    mark = base.mark_rule(color=GREY, opacity=0.5) if few else base.mark_area(color=GREY, opacity=0.3)
    bars = mark.encode(x=x, y=alt.Y("lower:Q", title=title), y2="upper:Q")
    scale = alt.Scale(domain=["inside", "outside"], range=[BLUE, ORANGE])
    opacity = float(np.clip(12 / np.sqrt(len(frame)), 0.1, 0.9))
    points = base.mark_circle(size=28, opacity=opacity).encode(
        x=x,
        y=alt.Y("true:Q", title=title),
        color=alt.Color("where:N", scale=scale, legend=legend("true value", orient="top")),
        tooltip=[
            alt.Tooltip("sample:N"),
            alt.Tooltip("width:Q", format=".4~g"),
            alt.Tooltip("where:N", title="true value"),
        ],
    )
    return specification(alt.layer(bars, points).properties(width=420, height=300))


def probabilities_of_samples(frame: pd.DataFrame, labels: list) -> dict:
    """The probability that each sample's true class was given, a row a class.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `label` (of its true class), `named`, `probability`, `right`, `lane` (-1 to
        1).
    labels : list of str
        Labels of the classes from the top.

    Returns
    -------
    dict
        Vega-Lite specification; the layer of the samples is called ``samples``.
    """
    opacity = float(np.clip(10 / np.sqrt(len(frame)), 0.1, 0.8))
    scale = alt.Scale(domain=["right", "wrong"], range=[BLUE, ORANGE])
    points = alt.Chart(frame, name="samples").mark_circle(size=30, opacity=opacity)
    points = points.encode(
        x=alt.X("probability:Q", title="probability of its true class", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("label:N", sort=labels, title="true class", axis=alt.Axis(labelLimit=0, grid=True)),
        yOffset=alt.YOffset("lane:Q", scale=alt.Scale(domain=[-1.3, 1.3])),
        color=alt.Color("right:N", scale=scale, legend=legend("predicted", orient="top")),
        tooltip=[
            alt.Tooltip("sample:N"),
            alt.Tooltip("label:N", title="true"),
            alt.Tooltip("named:N", title="predicted"),
            alt.Tooltip("probability:Q", format=".1%", title="probability of its true class"),
        ],
    )
    return specification(alt.layer(points).properties(width=420, height=alt.Step(40)))


def scores_by_value(frame: pd.DataFrame, columns, title: str, overall: float) -> dict:
    """A score of the samples with each value of a column that is chosen, with its interval.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a column and value; columns `column`, `place` (from the top), `label`, `value`, `samples`, `score`, `low`
        and `high` (missing where there is no interval).
    columns : sequence of str
        To choose from; the first is shown first.
    title : str
        Of the axis of the score.
    overall : float
        Score of all samples together.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    picked = alt.param("picked", value=columns[0], bind=alt.binding_select(options=list(columns), name="Column: "))
    # Vega warns of a layer without a row: where there is no interval, a line of no length is drawn.
    drawn = frame.assign(**{end: frame[end].fillna(frame["score"]) for end in ("low", "high")})
    base = alt.Chart(drawn).transform_filter("datum.column === picked")
    x = alt.X("score:Q", title=title, scale=alt.Scale(zero=True))
    sort = alt.EncodingSortField("place", op="min")
    y = alt.Y("label:N", sort=sort, title=None, axis=alt.Axis(labelLimit=0, grid=True))
    ends = base.mark_rule(color=BLUE, strokeWidth=2)
    points = base.mark_circle(size=70, color=BLUE, opacity=1)
    tooltip = [alt.Tooltip("value:N"), alt.Tooltip("samples:Q")]
    tooltip += [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("score", "low", "high")]
    rule = alt.Chart(pd.DataFrame({"score": [overall]})).mark_rule(color=ORANGE, size=2).encode(x=x)
    chart = alt.layer(
        rule,
        ends.encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y),
        points.encode(x=x, y=y, tooltip=tooltip),
    ).add_params(picked)
    return specification(chart.properties(width=380, height=alt.Step(22)))
