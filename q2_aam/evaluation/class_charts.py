"""Interactive pictures of predicted classes, for pages that people open in a browser.

Every function returns a Vega-Lite specification (a dict) that carries its data, so that one source gives the
interactive picture, the PNG and the SVG. Columns of the frames have fixed names: Vega would read a user's
column name such as `a.b` as a path.
"""

import altair as alt
import numpy as np
import pandas as pd

from .chart_style import BLUE, GREY, legend, line, lookup, palette, specification, thinned
from .labels import short_names

MAX_CURVES = 30  # classes with a curve of their own
MAX_NAMED = 60  # classes with a name and numbers in the confusion matrix
MATRIX_SIDE = 900  # pixels of a larger one


def confusion_matrix(scores: dict) -> dict:
    """Confusion matrix: counts as text, share of the true class as colour.

    Parameters
    ----------
    scores : dict
        What `metrics.classification_scores` returned.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    classes = scores["classes"]
    rows = [
        {"true": classes[i], "predicted": classes[j], "samples": count, "share": count / sum(counts)}
        for i, counts in enumerate(scores["confusion_matrix"])
        for j, count in enumerate(counts)
        if count  # empty cells are the background: a matrix of many classes stays small
    ]
    named = len(classes) <= MAX_NAMED
    cell = 70 if len(classes) <= 4 else 44 if len(classes) <= 12 else 26 if named else MATRIX_SIDE / len(classes)
    labels = dict(zip(classes, short_names(classes), strict=True))
    axis = {
        "labelExpr": lookup(labels),
        "labelLimit": 0,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "labels": named,
    }
    scale = alt.Scale(domain=classes)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("predicted:N", scale=scale, sort=None, axis=alt.Axis(labelAngle=-45, **axis)),
        y=alt.Y("true:N", scale=scale, sort=None, axis=alt.Axis(**axis)),
        tooltip=[
            alt.Tooltip("true:N"),
            alt.Tooltip("predicted:N"),
            alt.Tooltip("samples:Q"),
            alt.Tooltip("share:Q", format=".1%", title="share of the true class"),
        ],
    )
    colour = alt.Color(
        "share:Q",
        scale=alt.Scale(domain=[0, 0.5, 1], range=["#f7fbff", "#6baed6", "#08306b"]),
        legend=alt.Legend(title=["share of the", "true class"], format=".0%", gradientLength=160),
    )
    text = base.mark_text(fontSize=14 if cell > 30 else 10).encode(
        text="samples:Q", color=alt.condition("datum.share > 0.55", alt.value("white"), alt.value("black"))
    )
    chart = alt.layer(base.mark_rect().encode(color=colour), *([text] if named else []))
    return specification(
        chart.properties(width=cell * len(classes), height=cell * len(classes)), view_fill="#f7fbff"
    )


def roc(scores: dict) -> dict:
    """ROC curve of each class against the rest, with areas, and their mean.

    Parameters
    ----------
    scores : dict
        What `metrics.classification_scores` returned with probabilities; at least one curve is defined.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    curves = dict(scores["roc_curves"])
    frame = _curve_frame(scores, curves, "false_positive_rate", "true_positive_rate", "roc_auc")
    chart = _curves(frame, "false positive rate", "true positive rate", "linear")
    layers = [line([0, 1], [0, 1], GREY, dash=[6, 4]), chart]
    if len(curves) > 2:
        mean = scores["mean_roc_curve"]
        keep = thinned(len(mean["true_positive_rate"]))
        x, y = (np.array(mean[name])[keep] for name in ("false_positive_rate", "true_positive_rate"))
        layers.append(line(x, y, "black", width=3))
    return specification(alt.layer(*layers).properties(width=330, height=330))


def precision_recall(scores: dict) -> dict:
    """Precision-recall curve of each class against the rest, with areas.

    Parameters and the return value are those of `roc`.
    """
    frame = _curve_frame(
        scores, scores["precision_recall_curves"], "recall", "precision", "average_precision"
    )
    # Average precision is the area under steps that take a new precision before they go on to the next
    # recall.
    chart = _curves(frame, "recall", "precision", "step-before")
    return specification(chart.properties(width=330, height=330))


def reliability(scores: dict) -> dict:
    """How often predictions of a given probability are right.

    Parameters
    ----------
    scores : dict
        What `metrics.classification_scores` returned with probabilities.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    unit = alt.Scale(domain=[0, 1])
    frame = pd.DataFrame(scores["calibration"])
    largest = int(frame["samples"].max())
    sizes = sorted({1, (largest + 1) // 2, largest})
    base = alt.Chart(frame).encode(
        x=alt.X(
            "confidence:Q",
            scale=unit,
            title="mean probability of the predicted class",
            axis=alt.Axis(format="%", tickCount=5),
        ),
        y=alt.Y("accuracy:Q", scale=unit, title="share that is right", axis=alt.Axis(format="%")),
    )
    points = base.mark_circle(color=BLUE, opacity=1).encode(
        size=alt.Size(
            "samples:Q", scale=alt.Scale(range=[40, 400]), legend=alt.Legend(title="samples", values=sizes)
        ),
        tooltip=[
            alt.Tooltip("confidence:Q", format=".1%", title="mean probability"),
            alt.Tooltip("accuracy:Q", format=".1%", title="share that is right"),
            alt.Tooltip("samples:Q"),
        ],
    )
    layers = [line([0, 1], [0, 1], GREY, dash=[6, 4]), base.mark_line(color=BLUE), points]
    return specification(alt.layer(*layers).properties(width=330, height=330))


def class_reliability(frame: pd.DataFrame, classes) -> dict:
    """How often a class that is chosen is the true one, where its probability is so high.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a class and bin; columns `class`, `mean_probability`, `share`, `samples`.
    classes : sequence of str
        To choose from; the first is shown first.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    picked = alt.param("picked", value=classes[0], bind=alt.binding_select(options=list(classes), name="Class: "))
    unit = alt.Scale(domain=[0, 1])
    base = alt.Chart(frame).transform_filter("datum.class === picked")
    base = base.encode(
        x=alt.X(
            "mean_probability:Q",
            scale=unit,
            title="mean probability of the class",
            axis=alt.Axis(format="%", tickCount=5),
        ),
        y=alt.Y("share:Q", scale=unit, title="share that is of the class", axis=alt.Axis(format="%")),
    )
    points = base.mark_circle(color=BLUE, opacity=1).encode(
        size=alt.Size("samples:Q", scale=alt.Scale(range=[40, 400]), legend=None),
        tooltip=[
            alt.Tooltip("mean_probability:Q", format=".1%", title="mean probability"),
            alt.Tooltip("share:Q", format=".1%", title="share of the class"),
            alt.Tooltip("samples:Q"),
        ],
    )
    layers = [line([0, 1], [0, 1], GREY, dash=[6, 4]), base.mark_line(color=BLUE), points]
    return specification(alt.layer(*layers).add_params(picked).properties(width=330, height=330))


def shares_by_bin(frame: pd.DataFrame, title: str) -> dict:
    """Bars of accuracy, one for each range of novelty.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a bin, in order; columns `bin` (its name), `accuracy`, `samples`.
    title : str
        Title of the bins' axis.

    Returns
    -------
    dict
        Vega-Lite specification.
    """
    base = alt.Chart(frame).encode(
        x=alt.X(
            "bin:N",
            sort=None,
            title=title,
            axis=alt.Axis(labelAngle=0, labelExpr="split(replace(datum.label, ' to ', '|to '), '|')"),
        ),
        y=alt.Y("accuracy:Q", scale=alt.Scale(domain=[0, 1]), title="accuracy", axis=alt.Axis(format="%")),
        tooltip=[
            alt.Tooltip("bin:N", title=title),
            alt.Tooltip("accuracy:Q", format=".1%"),
            alt.Tooltip("samples:Q"),
        ],
    )
    text = base.transform_calculate(label="'n = ' + datum.samples").mark_text(dy=-8).encode(text="label:N")
    return specification(alt.layer(base.mark_bar(color=BLUE), text).properties(width=420, height=300))


def _curve_frame(scores, curves, x, y, area):
    """Long frame of the curves of the largest classes, each labelled with its area."""
    areas = {row["class"]: row[area] for row in scores["per_class"]}
    support = {row["class"]: row["support"] for row in scores["per_class"]}
    short = dict(zip(scores["classes"], short_names(scores["classes"]), strict=True))
    largest = set(sorted(curves, key=lambda name: -support[name])[:MAX_CURVES])
    parts = []
    for name, curve in curves.items():
        if name in largest:
            keep = thinned(len(curve[x]))
            part = {"x": np.array(curve[x])[keep], "y": np.array(curve[y])[keep], "position": keep}
            parts.append(pd.DataFrame({"class": f"{short[name]} ({areas[name]:.2f})", **part}))
    return pd.concat(parts, ignore_index=True)


def _curves(frame, x, y, interpolate):
    names = list(frame["class"].unique())
    # A legend that is clicked is nothing for a keyboard.
    choices = alt.binding_select(options=[None, *names], labels=["all", *names], name="Class: ")
    pick = alt.selection_point(fields=["class"], bind=choices)
    unit = alt.Scale(domain=[0, 1])
    chart = alt.Chart(frame).mark_line(interpolate=interpolate, strokeWidth=2)
    return chart.encode(
        x=alt.X("x:Q", title=x, scale=unit),
        y=alt.Y("y:Q", title=y, scale=unit),
        # Without an order Vega-Lite sorts a line by x and mixes up its vertical parts.
        order="position:Q",
        color=alt.Color("class:N", sort=names, scale=palette(len(names)), legend=legend("class (area)")),
        opacity=alt.condition(pick, alt.value(0.9), alt.value(0.08)),
    ).add_params(pick)
