"""Interactive pictures of predictions and of training, for pages that people open in a browser.

Every function returns a Vega-Lite specification (a dict) that carries its data, so that one source gives the
interactive picture, the PNG and the SVG. Columns of the frames have fixed names: Vega would read a user's
column name such as `a.b` as a path.
"""

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import BLUE, GREY, ORANGE, legend, line, lookup, palette, specification
from .labels import short_name, short_names

MAX_COLOURS = 20  # groups told apart by colour; above that only the tooltip names them
MAX_INTERVALS = 400  # samples with a bar for their interval; more bars hide each other
MAX_BARS = 40  # groups with a bar of their own


def scatter(frame: pd.DataFrame, name: str, scores: dict) -> dict:
    """Predicted against true values, with the 1:1 line and the least-squares line.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `true`, `predicted`; optional: `lower` and `upper` (drawn as bars),
        `group` (colour, up to 20 of them), `unseen_read_share` (tooltip).
    name : str
        Name of the target, for the axes.
    scores : dict
        What `metrics.regression_scores` returned for the same samples.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    spread = frame[[column for column in ("true", "predicted", "lower", "upper") if column in frame]].to_numpy()
    low, high = float(spread.min()), float(spread.max())
    margin = 0.04 * (high - low) or max(abs(high), 1.0) * 0.05
    domain = alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
    x = alt.X("true:Q", scale=domain, title=f"true {short_name(name)}")
    tooltip = [alt.Tooltip("sample:N")]
    tooltip += [alt.Tooltip(f"{column}:Q", format=".4~g") for column in ("true", "predicted")]
    shown = ("sample", "true", "predicted", "lower", "upper", "group", "unseen_read_share")
    base = alt.Chart(frame[[column for column in shown if column in frame]])
    layers = [line([low, high], [low, high], GREY, dash=[6, 4])]
    if "lower" in frame:
        tooltip += [alt.Tooltip(f"{column}:Q", format=".4~g") for column in ("lower", "upper")]
    if "lower" in frame and len(frame) <= MAX_INTERVALS:
        layers.append(
            base.mark_rule(opacity=0.35, color=GREY).encode(
                x=x, y=alt.Y("lower:Q", scale=domain), y2="upper:Q"
            )
        )
    if "unseen_read_share" in frame:
        tooltip.append(alt.Tooltip("unseen_read_share:Q", format=".1%", title="reads in unseen ASVs"))
    colour = alt.value(BLUE)
    if "group" in frame:
        tooltip.append(alt.Tooltip("group:N"))
        n_groups = frame["group"].nunique()
        if n_groups <= MAX_COLOURS:
            colour = alt.Color("group:N", scale=palette(n_groups), legend=legend(None))
    opacity = float(np.clip(8 / np.sqrt(len(frame)), 0.06, 0.8))
    # The page colours and splits this layer by what is chosen.
    points = base.mark_circle(size=45, opacity=opacity, clip=True).properties(name="samples")
    layers.append(
        points.encode(
            x=x,
            y=alt.Y("predicted:Q", scale=domain, title=f"predicted {short_name(name)}"),
            color=colour,
            tooltip=tooltip,
        )
    )
    if scores["slope"] is not None:
        ends = [float(frame["true"].min()), float(frame["true"].max())]
        layers.append(
            line(ends, [scores["slope"] * end + scores["intercept"] for end in ends], ORANGE, width=2.5)
        )
    return specification(alt.layer(*layers).properties(width=420, height=420))


def error_against_novelty(frame: pd.DataFrame, name: str) -> dict:
    """Absolute error of each sample against the share of its reads in ASVs that the model has not seen.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `true`, `predicted`, `absolute_error`, `unseen_read_share`.
    name : str
        Name of the target, for the axis.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    opacity = float(np.clip(8 / np.sqrt(len(frame)), 0.06, 0.8))
    columns = ["sample", "true", "predicted", "absolute_error", "unseen_read_share"]
    chart = alt.Chart(frame[columns]).mark_circle(size=45, color=BLUE, opacity=opacity)
    chart = chart.encode(
        x=alt.X(
            "unseen_read_share:Q",
            title="reads in ASVs that the model has not seen",
            axis=alt.Axis(format="%", tickCount=6),
        ),
        y=alt.Y("absolute_error:Q", title=f"absolute error of {short_name(name)}"),
        tooltip=[
            alt.Tooltip("sample:N"),
            alt.Tooltip("unseen_read_share:Q", format=".1%", title="reads in unseen ASVs"),
            *(alt.Tooltip(f"{column}:Q", format=".4~g") for column in ("true", "predicted")),
        ],
    )
    return specification(chart.properties(width=420, height=300))


def group_bars(frame: pd.DataFrame, column: str, title: str, overall: float) -> dict:
    """Bars of one score, a group a bar, with a line at the score of all samples.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a group, in the order of the bars; columns `group`, `samples` and `column`. The first 40 are drawn.
    column : str
        Which score: `mae` or `accuracy`.
    title : str
        Title of its axis.
    overall : float
        Score of all samples together.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    frame = frame.head(MAX_BARS)
    x = alt.X(f"{column}:Q", title=title)
    labels = {
        name: f"{short} (n = {samples:,})"
        for name, short, samples in zip(
            frame["group"], short_names(frame["group"]), frame["samples"], strict=True
        )
    }
    base = alt.Chart(frame).encode(
        y=alt.Y("group:N", sort=None, title=None, axis=alt.Axis(labelExpr=lookup(labels), labelLimit=0)),
        x=x,
        tooltip=[
            alt.Tooltip("group:N"),
            alt.Tooltip(f"{column}:Q", format=".4~g"),
            alt.Tooltip("samples:Q"),
        ],
    )
    rule = alt.Chart(pd.DataFrame({column: [overall]})).mark_rule(color=ORANGE, size=2).encode(x=x)
    chart = alt.layer(base.mark_bar(color=BLUE, opacity=0.8), rule)
    return specification(chart.properties(width=360, height=alt.Step(18)))


def nucleotide_shares(shares: np.ndarray) -> dict:
    """How frequent each nucleotide is in the first places of sequences, as stacked bars.

    Parameters
    ----------
    shares : np.ndarray
        `[P, 4]`, of A, C, G, T; each place's add up to 1.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    places = np.arange(1, len(shares) + 1)
    frame = pd.DataFrame(shares, columns=list("ACGT")).assign(place=places).melt("place", None, "nucleotide", "share")
    colours = alt.Scale(domain=list("ACGT"), range=["#2f8f4e", BLUE, "#c9a227", "#c23b3b"])
    ticks = [1, *range(10, len(shares) + 1, 10)]
    bars = alt.Chart(frame).mark_bar(stroke="white", strokeWidth=0.5).encode(
        x=alt.X("place:O", title="place in the sequence", axis=alt.Axis(values=ticks, labelAngle=0)),
        y=alt.Y("share:Q", title="share", axis=alt.Axis(format="%", tickCount=3), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("nucleotide:N", scale=colours, legend=legend(None, orient="top")),
        tooltip=["place:O", "nucleotide:N", alt.Tooltip("share:Q", format=".1%")],
    )
    return specification(bars.properties(width=alt.Step(11), height=110))


def training_curve(history: pd.DataFrame, columns: dict, best_epoch: int | None = None) -> dict:
    """One loss or metric over the epochs, the parts over one another.

    Parameters
    ----------
    history : pandas.DataFrame
        A row an epoch; column `epoch` and those of `columns`. Empty cells are not drawn.
    columns : dict
        Column -> the name of its line in the legend, such as ``{"train/r2": "train", "val/r2": "val"}``.
    best_epoch : int, optional
        Epoch to mark with a rule.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    parts = [
        pd.DataFrame({"epoch": history["epoch"], "part": part, "value": history[column]})
        for column, part in columns.items()
    ]
    frame = pd.concat(parts, ignore_index=True).dropna()
    first, last = int(history["epoch"].min()), int(history["epoch"].max())
    # A short run would get ticks at half epochs, all printed as whole numbers.
    ticks = (
        {"values": [int(epoch) for epoch in history["epoch"]]} if len(history) <= 10 else {"tickMinStep": 1}
    )
    epochs = alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[first, last] if last > first else [first - 1, last + 1], nice=False),
        axis=alt.Axis(format="d", grid=False, **ticks),
    )
    colours = {"train": BLUE, "val": ORANGE}
    names = list(columns.values())
    scale = alt.Scale(domain=names, range=[colours.get(name, BLUE) for name in names])
    shown = legend(None, orient="top") if set(names) <= set(colours) else None
    lines = alt.Chart(frame).mark_line(point={"size": 25} if len(history) <= 60 else False, clip=False)
    lines = lines.encode(
        x=epochs,
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(format=".4~g")),
        color=alt.Color("part:N", scale=scale, legend=shown),
        tooltip=[alt.Tooltip("part:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", format=".4~g")],
    )
    layers = [lines]
    if best_epoch is not None:
        mark = alt.Chart(pd.DataFrame({"epoch": [best_epoch], "label": [f"best: {best_epoch}"]})).encode(
            x=epochs
        )
        layers.append(mark.mark_rule(color=GREY, strokeDash=[4, 3]))
        side = {"align": "right", "dx": -4} if best_epoch > (first + last) / 2 else {"align": "left", "dx": 4}
        layers.append(mark.mark_text(color=GREY, **side).encode(text="label:N", y=alt.value(-7)))
    return specification(alt.layer(*layers).properties(width=300, height=200))
