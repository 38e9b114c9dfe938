"""The look that all charts share."""

import json

import altair as alt
import numpy as np
import pandas as pd

BLUE, ORANGE, GREY = "#1f5f99", "#d9641e", "#777777"
CURVE_POINTS = 300


def specification(chart, view_fill=None):
    """Vega-Lite specification of a chart, in the look that all charts share.

    Parameters
    ----------
    chart : altair.Chart or altair.LayerChart
    view_fill : str, optional
        Colour behind the marks.

    Returns
    -------
    dict
    """
    chart = chart.configure(background="white", padding=8)
    chart = chart.configure_axis(
        labelFontSize=12,
        titleFontSize=13,
        gridColor="#ececec",
        titleFontWeight="normal",
        # Vega would write the title over labels that are longer than 200 pixels.
        maxExtent=1000,
    )
    # Flush labels of the first and last tick would crowd their neighbours.
    chart = chart.configure_axisX(labelFlush=False)
    chart = chart.configure_legend(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
    chart = chart.configure_view(stroke="#cccccc", **({"fill": view_fill} if view_fill else {}))
    # altair refuses more than 5,000 rows by default.
    with alt.data_transformers.enable("default", max_rows=None):
        return chart.to_dict()


def line(x, y, colour, dash=(), width=1.5):
    """A line through points, in their order.

    Parameters
    ----------
    x, y : sequence of float
    colour : str
    dash : sequence of int
        Lengths of strokes and gaps, pixels; empty for an unbroken line.
    width : float
        Pixels.

    Returns
    -------
    altair.Chart
    """
    frame = pd.DataFrame({"x": list(x), "y": list(y), "position": range(len(x))})
    chart = alt.Chart(frame).mark_line(color=colour, strokeDash=list(dash), strokeWidth=width)
    return chart.encode(x="x:Q", y="y:Q", order="position:Q")


def lookup(labels: dict) -> str:
    """Vega expression that writes other labels on an axis: full name -> label."""
    return f"({json.dumps(labels)})[datum.label]"


def palette(n):
    """Colour scale for `n` names."""
    return alt.Scale(scheme="tableau10" if n <= 10 else "tableau20")


def legend(title, **more):
    """Legend that names everything."""
    # Vega cuts a legend at 30 entries and a name at 160 pixels by default, and draws its symbols as faint as the marks:
    # those of thousands of points could not be seen. Names of hundreds of letters would widen the picture beyond any
    # window; the tooltip has them whole.
    return alt.Legend(title=title, symbolLimit=0, labelLimit=300, symbolOpacity=1, **more)


def thinned(n):
    """Positions of at most 300 of a curve's `n` points, ends included: more cannot be seen."""
    return np.unique(np.linspace(0, n - 1, min(n, CURVE_POINTS)).round().astype(int))
