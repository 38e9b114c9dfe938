"""Interactive pictures of what predictions rest on, for pages that people open in a browser.

Every function returns a Vega-Lite specification (a dict) that carries its data. Columns of the frames have fixed names:
Vega would read a user's name such as `a.b` as a path.
"""

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import BLUE, GREY, ORANGE, legend, specification
from .labels import short_name, short_names

DIRECTIONS = {"higher": BLUE, "lower": ORANGE, "neither": GREY}
MOST_NAMED = 8  # true classes whose names stand above a heatmap
LANES = 15  # places for points beside each other, in the row of one feature


def directed(frame: pd.DataFrame, what: str) -> tuple[pd.DataFrame, alt.Color]:
    """The frame with the `direction` of its `effect`, and the colours that say it of a prediction or a probability."""
    higher, lower, neither = DIRECTIONS
    frame = frame.assign(direction=np.select([frame["effect"] > 0, frame["effect"] < 0], [higher, lower], neither))
    domain = [name for name in DIRECTIONS if name != neither or name in set(frame["direction"])]
    scale = alt.Scale(domain=domain, range=[DIRECTIONS[name] for name in domain])
    title = f"its presence makes the {what}"
    return frame, alt.Color("direction:N", scale=scale, legend=legend(title, orient="top", titleLimit=0))


def importance_bars(frame: pd.DataFrame, effects: pd.DataFrame, title: str, classes=()) -> dict:
    """Importance of each feature as a bar, coloured by its direction, with its spread.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a feature, in the order of the bars; columns `label`, `importance`, `feature`, `samples`, `prevalence`;
        optional: `spread`, `taxon`, `sequence`.
    effects : pandas.DataFrame
        A row a feature and class; columns `label`, `class`, `effect`.
    title : str
        Of the axis of the importance.
    classes : sequence of str
        To choose from, where there are some.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    effects, colour = directed(effects, "probability" if len(classes) else "prediction")
    details = [name for name in frame if name != "label"]
    base = alt.Chart(effects)
    if len(classes):
        picked = alt.param("picked", value=classes[0], bind=alt.binding_select(options=list(classes), name="Class: "))
        base = base.add_params(picked).transform_filter("datum.class === picked")
    base = base.transform_lookup("label", alt.LookupData(frame, "label", details))
    base = base.encode(y=alt.Y("label:N", sort=list(frame["label"]), title=None, axis=alt.Axis(labelLimit=0)))
    tooltip = [alt.Tooltip("label:N"), alt.Tooltip("feature:N")]
    tooltip += [alt.Tooltip(f"{name}:N") for name in ("taxon", "sequence") if name in frame]
    tooltip += [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("importance", "spread") if name in details]
    tooltip += [alt.Tooltip("class:N")] if len(classes) else []
    tooltip += [alt.Tooltip("effect:Q", format="+.4~g"), alt.Tooltip("samples:Q", title="samples that hold it")]
    tooltip += [alt.Tooltip("prevalence:Q", format=".1%")]
    bars = base.mark_bar().encode(x=alt.X("importance:Q", title=title), color=colour, tooltip=tooltip)
    layers = [bars]
    if "spread" in frame:
        ends = base.transform_calculate(
            low="max(0, datum.importance - datum.spread)", high="datum.importance + datum.spread"
        )
        line = ends.mark_rule(color="#222222", strokeWidth=1.5)
        layers.append(line.encode(x=alt.X("low:Q", title=title), x2="high:Q"))
    return specification(alt.layer(*layers).properties(width=460, height=alt.Step(18)))


def _of_class(chart: alt.Chart, classes) -> alt.Chart:
    """The rows of the class that is chosen below the picture, where there are classes."""
    if not len(classes):
        return chart
    binding = alt.binding_select(options=list(classes), name="Effects on: ")
    return chart.add_params(alt.param("of", value=classes[0], bind=binding)).transform_filter("datum.class === of")


def beeswarm(frame: pd.DataFrame, order, unit: str, classes=()) -> dict:
    """Effects of each feature in single samples, a point a sample.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a feature and sample that holds it; columns `label`, `sample`, `effect`, `prediction`.
    order : sequence of str
        Labels from the top.
    unit : str
        Title of the axis of the effects.
    classes : sequence of str
        To choose from, where there are some; the frame then has a column `class`, too.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    frame = frame.assign(lane=_lanes(frame))
    middle = LANES // 2
    points = _of_class(alt.Chart(frame), classes).mark_circle(size=22, opacity=0.75)
    points = points.encode(
        x=alt.X("effect:Q", title=unit),
        y=alt.Y("label:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=0, grid=True)),
        yOffset=alt.YOffset("lane:Q", scale=alt.Scale(domain=[-middle, middle])),
        color=alt.Color("prediction:Q", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(gradientLength=160)),
        tooltip=[
            alt.Tooltip("label:N"),
            alt.Tooltip("sample:N"),
            alt.Tooltip("effect:Q", format="+.4~g"),
            alt.Tooltip("prediction:Q", format=".4~g"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"effect": [0.0]})).mark_rule(color=GREY).encode(x="effect:Q")
    return specification(alt.layer(zero, points).properties(width=460, height=alt.Step(26)))


def _lanes(frame: pd.DataFrame) -> np.ndarray:
    """Lane of each point: points of about the same effect stand beside each other, from the middle outwards."""
    width = float(frame["effect"].max() - frame["effect"].min()) or 1.0
    bins = np.floor((frame["effect"] - frame["effect"].min()) / width * 90)
    columns = [frame[name] for name in ("label", "class") if name in frame]
    place = frame.groupby([*columns, bins]).cumcount().to_numpy() % LANES
    return np.where(place % 2, (place + 1) // 2, -(place // 2))


def heatmap(frame: pd.DataFrame, order, samples: int, unit: str, classes=(), by="prediction", parts=()) -> dict:
    """Effects of features in samples, ordered by the prediction or the true value, as colours.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a feature and sample that holds it; columns `label`, `place` (of the sample, from 0), `sample`, `effect`,
        `prediction`; optional: `true`.
    order : sequence of str
        Labels from the top.
    samples : int
        How many there are.
    unit : str
        Title of the colours.
    classes : sequence of str
        To choose from, where there are some; the frame then has a column `class`, too.
    by : str
        What the samples are ordered by.
    parts : pandas.DataFrame
        Where samples of another true class begin: columns `place`, `name`.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    # One strong effect would leave all others white.
    limit = float(frame["effect"].abs().quantile(0.99)) or 1.0
    shown = legend(unit, titleLimit=0, gradientLength=160, orient="top")
    scale = alt.Scale(domain=[-limit, 0, limit], range=[ORANGE, "#ffffff", BLUE], clamp=True, interpolate="rgb")
    axis = alt.Axis(labelLimit=0, ticks=False, domain=False)
    chart = _of_class(alt.Chart(frame), classes).mark_rect()
    chart = chart.encode(
        x=alt.X(
            "place:O", scale=alt.Scale(domain=list(range(samples))), axis=alt.Axis(labels=False, ticks=False),
            title=f"samples by their {short_name(by)}",
        ),
        y=alt.Y("label:N", sort=list(order), scale=alt.Scale(domain=list(order)), title=None, axis=axis),
        color=alt.Color("effect:Q", scale=scale, legend=shown),
        tooltip=[
            alt.Tooltip("label:N"),
            alt.Tooltip("sample:N"),
            alt.Tooltip("effect:Q", format="+.4~g"),
            alt.Tooltip("prediction:Q", format=".4~g"),
            *([alt.Tooltip("true:N", title="true value")] if "true" in frame else []),
        ],
    )  # fmt: skip
    layers = [chart]
    if len(parts):
        parts = parts.assign(short=short_names(list(parts["name"])))
        place = alt.X("place:O", bandPosition=0)
        layers.append(alt.Chart(parts).mark_rule(color="#222222", strokeWidth=1.5).encode(x=place))
        if len(parts) <= MOST_NAMED:
            names = alt.Chart(parts).mark_text(align="left", baseline="bottom", dx=2, color="#222222", clip=False)
            layers.append(names.encode(x=place, y=alt.value(-3), text="short:N"))
    width = alt.Step(min(18.0, max(2.0, 600 / samples)))
    chart = alt.layer(*layers) if len(layers) > 1 else chart
    return specification(chart.properties(width=width, height=alt.Step(16)), view_fill="#eeeeee")


def waterfall(frame: pd.DataFrame, samples, title: str, what: str, classes=()) -> dict:
    """How the features of one sample, chosen by its ID, lead to its prediction.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample and step; columns `sample`, `place` (from the top), `label`, `effect`, `start`, `end`,
        `prediction`.
    samples : sequence of str
        IDs to choose from; the first is shown first.
    title : str
        Of the axis of the predictions.
    what : {'prediction', 'probability'}
        What the effects change.
    classes : sequence of str
        To choose from, where there are some; the frame then has a column `class`, too.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    frame, colour = directed(frame, what)
    picked = alt.param("picked", value=samples[0], bind=alt.binding_select(options=list(samples), name="Sample: "))
    base = _of_class(alt.Chart(frame).add_params(picked).transform_filter("datum.sample === picked"), classes)
    x = alt.X("start:Q", title=title, scale=alt.Scale(zero=False))
    sort = alt.EncodingSortField("place", op="min")
    bars = base.mark_bar().encode(
        y=alt.Y("label:N", sort=sort, title=None, axis=alt.Axis(labelLimit=0)),
        x=x,
        x2="end:Q",
        color=colour,
        tooltip=[
            alt.Tooltip("label:N"),
            alt.Tooltip("effect:Q", format="+.4~g"),
            alt.Tooltip("prediction:Q", format=".4~g"),
        ],
    )
    rule = base.mark_rule(color=GREY, strokeDash=[4, 3]).encode(x=alt.X("mean(prediction):Q", title=title))
    return specification(alt.layer(rule, bars).properties(width=460, height=alt.Step(20)))


def deletion_curve(frame: pd.DataFrame, label: str, noun: str) -> dict:
    """The score as more and more of the most important features leave all samples, beside random ones.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns `removed`, `top`, `random`, `random_low`, `random_high`.
    label : str
        Name of the score.
    noun : str
        What leaves, many of them.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    kinds = {"top": "the most important", "random": "random ones of like prevalence and abundance"}
    lines = frame.melt(["removed"], list(kinds), "kind", "score").replace({"kind": kinds})
    x = alt.X("removed:O", title=f"{noun} removed", axis=alt.Axis(labelAngle=0))
    y = {"title": label, "scale": alt.Scale(zero=False)}
    band = alt.Chart(frame).mark_area(color=GREY, opacity=0.25)
    band = band.encode(x=x, y=alt.Y("random_low:Q", **y), y2="random_high:Q")
    curves = alt.Chart(lines).mark_line(point={"size": 45})
    scale = alt.Scale(domain=list(kinds.values()), range=[ORANGE, GREY])
    curves = curves.encode(
        x=x,
        y=alt.Y("score:Q", **y),
        color=alt.Color("kind:N", scale=scale, legend=legend(None, orient="top", direction="vertical")),
        tooltip=[alt.Tooltip("kind:N"), alt.Tooltip("removed:O"), alt.Tooltip("score:Q", format=".4~g", title=label)],
    )
    return specification(alt.layer(band, curves).properties(width=alt.Step(58), height=260))
