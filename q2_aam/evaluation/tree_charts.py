"""A static picture of a tree whose tips matter, for pages that people open in a browser."""

import json

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import GREY, specification
from .importance_charts import directed


def clade_tree(tips: pd.DataFrame, branches: pd.DataFrame, forks: pd.DataFrame, what: str) -> dict:
    """Draw a tree from left to right, its tips as points that say how important they are, and in which direction.

    Parameters
    ----------
    tips : pandas.DataFrame
        A row a tip, from the top; columns `label`, `feature`, `x`, `y` (its row, from 0), `importance`, `effect`,
        `asvs`, `samples`; optional: `taxon`.
    branches : pandas.DataFrame
        Columns `x`, `end`, `y`.
    forks : pandas.DataFrame
        Columns `x`, `y`, `end`: lines from the first branch of a node to its last.
    what : {'prediction', 'probability'}
        What the effects change.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    tips, colour = directed(tips, what)
    # Labels as an axis: the picture is then as wide as they need.
    names = f"{json.dumps(list(tips['label']))}[datum.value]"
    axis = alt.Axis(
        orient="right", values=list(range(len(tips))), labelExpr=names, labelLimit=0, title=None, grid=False,
        domain=False, ticks=False, offset=12,
    )  # fmt: skip
    scale = alt.Scale(domain=[-0.5, len(tips) - 0.5], reverse=True, nice=False, zero=False)
    x = alt.X("x:Q", axis=None, scale=alt.Scale(nice=False))
    y = alt.Y("y:Q", axis=axis, scale=scale)
    line = {"color": GREY, "strokeWidth": 1.2}
    layers = [alt.Chart(branches).mark_rule(**line).encode(x=x, x2="end:Q", y=y)]
    layers.append(alt.Chart(forks).mark_rule(**line).encode(x=x, y=y, y2="end:Q"))
    end = float(max(tips["x"].max(), 1e-12))
    leaders = alt.Chart(tips.assign(end=end)).mark_rule(color=GREY, strokeDash=[1, 4], strokeWidth=0.8)
    layers.append(leaders.encode(x=x, x2="end:Q", y=y))
    tooltip = [alt.Tooltip("label:N"), alt.Tooltip("feature:N")]
    tooltip += [alt.Tooltip("taxon:N")] if "taxon" in tips else []
    tooltip += [alt.Tooltip("asvs:Q", title="ASVs"), alt.Tooltip("importance:Q", format=".4~g")]
    tooltip += [alt.Tooltip("effect:Q", format="+.4~g"), alt.Tooltip("samples:Q", title="samples that hold it")]
    size = alt.Size("importance:Q", legend=alt.Legend(tickCount=3), scale=alt.Scale(range=[20, 420], zero=True))
    points = alt.Chart(tips).mark_circle(opacity=1)
    layers.append(points.encode(x=x, y=y, size=size, color=colour, tooltip=tooltip))
    return specification(alt.layer(*layers).properties(width=360, height=20 * max(len(tips), 2)))


def place_nodes(sizes: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the nodes of a tree are drawn: parents (-1 of the root), distances from the root, and rows.

    Parameters
    ----------
    sizes, lengths : np.ndarray
        As :class:`q2_aam.study.phylogeny.Phylogeny` has them.

    Returns
    -------
    tuple of np.ndarray
        int64 and float64 ``[M]``; a tip's row is its place among the tips, another node's the middle of its children's.
    """
    count = len(sizes)
    parents, x, y = np.full(count, -1), np.zeros(count), np.zeros(count)
    ends, around = np.arange(count) + sizes, []
    for node in range(count):
        while around and ends[around[-1]] <= node:
            around.pop()
        parents[node] = around[-1] if around else -1
        x[node] = x[parents[node]] + max(lengths[node], 0) if around else 0.0
        around.append(node)
    y[sizes == 1] = np.arange((sizes == 1).sum())
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    for node in range(count - 1, -1, -1):
        if sizes[node] > 1:
            y[node] = (first[node] + last[node]) / 2
        if node:
            up = parents[node]
            first[up], last[up] = min(first[up], y[node]), max(last[up], y[node])
    return parents, x, y
