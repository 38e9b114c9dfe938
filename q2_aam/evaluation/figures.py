"""Pictures of validation samples, drawn during training (PNG, TensorBoard).

Figures are built without pyplot: pyplot keeps every figure it made, wants a display on some machines, and is
not safe outside the main thread.
"""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .labels import short_names
from .metrics import classification_scores, regression_scores

BLUE = "#1f5f99"
ORANGE = "#d9641e"


def predicted_against_true(truth, predicted, title: str = "", units: str = "") -> Figure:
    """Scatter of predicted against true values with the 1:1 line, the least-squares line and R2.

    Parameters
    ----------
    truth, predicted : array_like of float `[N]`
        True values and predictions in the target's own units.
    title : str
        Title of the figure.
    units : str
        Name (or units) of the target, for the axes.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot: save it with ``figure.savefig``.

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, or a value is not finite.
    """
    scores = regression_scores(truth, predicted)
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    figure, axes = _figure(5.2, 5.2)
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    margin = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    limits = (low - margin, high + margin)

    axes.plot(limits, limits, linestyle="--", color="0.45", linewidth=1, label="1:1 line", zorder=1)
    # Many points overlap: fainter ones show where they crowd.
    opacity = float(np.clip(40 / np.sqrt(truth.size) / 8, 0.15, 0.75))
    axes.scatter(truth, predicted, s=22, color=BLUE, alpha=opacity, linewidths=0, zorder=2)
    if scores["slope"] is not None:
        ends = np.array([truth.min(), truth.max()])
        label = f"linear fit: {scores['slope']:.3g} · true {scores['intercept']:+.3g}"
        axes.plot(ends, scores["slope"] * ends + scores["intercept"], color=ORANGE, label=label, zorder=3)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    unit = f" ({_plain(units)})" if units else ""
    axes.set(xlabel=f"true{unit}", ylabel=f"predicted{unit}")
    r2 = "not defined" if scores["r2"] is None else f"{scores['r2']:.3f}"
    axes.set_title(
        _join(_plain(title), f"R² = {r2}   MAE = {scores['mae']:.3g}   n = {scores['samples']}"), fontsize=10
    )
    # Below the axes, where it hides no sample.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=2, fontsize=8, frameon=False)
    return figure


def confusion_matrix_figure(truth, predicted, classes=None, title: str = "") -> Figure:
    """Confusion matrix: counts as text, share of the true class as colour.

    Parameters
    ----------
    truth, predicted : array_like of str `[N]`
        True and predicted class names.
    classes : list of str, optional
        All classes in their order; by default the sorted names that occur.
    title : str
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot: save it with ``figure.savefig``. It grows with the number of classes.

    Raises
    ------
    ValueError
        When there is no sample, lengths differ, or a name is not in `classes`.
    """
    scores = classification_scores(truth, predicted, classes=classes)
    names = [_plain(name) for name in short_names(scores["classes"])]
    counts = np.array(scores["confusion_matrix"])
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)

    side = max(3.0, 0.36 * len(names))
    figure, axes = _figure(side + 2.4, side + 1.8)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label="share of the true class")
    size = 10 if len(names) <= 8 else 8
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=size - (1 if counts[row, column] > 999 else 0),
            color="white" if shares[row, column] > 0.55 else "black",
        )
    upright = len(names) > 4 or max(len(name) for name in names) > 8
    axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(
        _join(
            _plain(title), f"balanced accuracy = {scores['balanced_accuracy']:.3f}   n = {scores['samples']}"
        ),
        fontsize=10,
    )
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """A figure as an image, as TensorBoard's ``add_image(..., dataformats="HWC")`` takes it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        A figure of this module.

    Returns
    -------
    numpy.ndarray
        uint8 `[height, width, 3]`.
    """
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def _figure(width, height):
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _plain(text):
    """Text as it stands: matplotlib would read what is between two dollar signs as a formula."""
    return text.replace("$", r"\$")


def _join(*lines):
    return "\n".join(line for line in lines if line)
