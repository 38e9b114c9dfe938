"""How far samples are from those that were learnt from, as an interactive picture."""

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import BLUE, ORANGE, legend, specification


def known_ground(frame: pd.DataFrame) -> dict:
    """Samples inside and outside what a model knows.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a sample; columns `sample`, `outside` (bool), `unseen_read_share`; optional: `nearest_percentile`,
        `nearest_distance`. Without distances the samples stand in the order of their unseen reads.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    frame = frame.assign(place=np.where(frame["outside"], "outside", "inside"))
    tooltip = [alt.Tooltip("sample:N")]
    if "nearest_distance" in frame:
        title = "distance to the nearest ones learnt from"
        x = alt.X("nearest_distance:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
        tooltip.append(alt.Tooltip("nearest_distance:Q", format=".3~g", title="distance"))
        if "nearest_percentile" in frame:
            tooltip.append(alt.Tooltip("nearest_percentile:Q", format=".1f", title="its percentile"))
    else:
        frame = frame.sort_values("unseen_read_share", kind="stable").assign(rank=np.arange(1, len(frame) + 1))
        x = alt.X("rank:Q", title="samples, in order", scale=alt.Scale(nice=False))
    tooltip.append(alt.Tooltip("unseen_read_share:Q", format=".1%", title="reads in ASVs never met"))
    opacity = float(np.clip(8 / np.sqrt(len(frame)), 0.1, 0.8))
    scale = alt.Scale(domain=["inside", "outside"], range=[BLUE, ORANGE])
    chart = alt.Chart(frame.drop(columns="outside")).mark_circle(size=45, opacity=opacity)
    chart = chart.encode(
        x=x,
        y=alt.Y("unseen_read_share:Q", title="reads in ASVs never met", axis=alt.Axis(format="%", tickCount=6)),
        color=alt.Color("place:N", scale=scale, legend=legend("what the model knows", orient="top")),
        tooltip=tooltip,
    )
    return specification(chart.properties(width=420, height=260))
