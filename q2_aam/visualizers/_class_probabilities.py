"""What the page of `evaluate` shows of the probabilities of classes."""

import numpy as np
import pandas as pd

from ._columns import columns_widget
from ._page import number

MAX_CLASSES = 40  # with a row of samples of their own


def probabilities_section(page, scores):
    """Curves of all thresholds, and whether the probability of the predicted class is right as a number."""
    from ..evaluation.class_charts import MAX_CURVES, precision_recall, reliability, roc

    page.section(
        "Probabilities",
        "How well the probabilities part a class from the rest, at every threshold, and whether they are right as "
        "numbers: they refer to classes as frequent as among the samples learnt from. Choose a class below a "
        "picture to see its curve before the others.",
    )
    curves = scores["roc_curves"]
    first = f" The {MAX_CURVES} largest classes." if len(curves) > MAX_CURVES else ""
    if curves:
        mean = " Black: their mean." if len(curves) > 2 else ""
        caption = f"One class against the rest; the dashed line is chance.{mean}{first}"
        file = page.write_table("roc_curves", _long(curves))
        page.chart("roc", roc(scores), f"ROC curves, mean area {number(scores['roc_auc'])}", caption, file)
    curves = scores["precision_recall_curves"]
    file = page.write_table("precision_recall_curves", _long(curves))
    heading = f"Precision-recall curves, mean area {number(scores['average_precision'])}"
    caption = f"One class against the rest; chance is the class's share of the samples.{first}"
    page.chart("precision_recall", precision_recall(scores), heading, caption, file)
    file = page.write_table("calibration", pd.DataFrame(scores["calibration"]))
    heading = f"Reliability, calibration error {number(scores['expected_calibration_error'])}"
    caption = (
        "The share of predictions that is right, for each range of the probability. On the dashed line the two are "
        "equal; below it the probabilities are too high. With so few samples, exact probabilities would have a "
        f"calibration error of {number(scores['calibration_error_by_chance'])} by chance alone."
    )
    page.chart("reliability", reliability(scores), heading, caption, file)


def _long(curves):
    parts = [pd.DataFrame({"class": name, **points}) for name, points in curves.items()]
    return pd.concat(parts, ignore_index=True)


def class_calibration(page, samples, probabilities):
    """Of each class, how often it is the true one where its probability is so high."""
    from ..evaluation.class_charts import class_reliability
    from ..evaluation.curves import reliability_bins

    truth = samples["true"].to_numpy()
    rows = [
        {"class": name, **row}
        for name in probabilities
        for row in reliability_bins(truth == name, probabilities[name].to_numpy())[0]
    ]
    table = pd.DataFrame(rows).rename(columns={"confidence": "mean_probability", "accuracy": "share"})
    file = page.write_table("calibration_by_class", table)
    caption = (
        "How often a class is the true one, for each range of its probability, whatever is predicted. Choose a class "
        "below the picture. Its calibration error stands in the table of classes."
    )
    chart = class_reliability(table, list(probabilities))
    page.chart("class_reliability", chart, "Reliability of each class", caption, file)


def single_probabilities(page, evaluation, samples, probabilities):
    """The probability that each sample's true class was given."""
    from ..evaluation.error_charts import probabilities_of_samples
    from ..evaluation.labels import short_names

    classes = [name for name in probabilities if (samples["true"] == name).any()]
    if len(classes) > MAX_CLASSES:
        return
    labels = dict(zip(probabilities, short_names(probabilities), strict=True))
    place = probabilities.columns.get_indexer(samples["true"])
    frame = pd.DataFrame(
        {
            "sample": samples["sample"],
            "label": samples["true"].map(labels),
            "named": samples["predicted"].map(labels),
            "probability": probabilities.to_numpy()[np.arange(len(samples)), place],
            "right": np.where(samples["right"], "right", "wrong"),
            # Points beside each other, in an order that has nothing to do with theirs.
            "lane": (np.arange(len(samples)) * 0.61803) % 1 * 2 - 1,
        }
    )
    page.section("Single samples", "The farther to the left a sample is, the surer the model was of another class.")
    columns_widget(page, evaluation, ["probabilities_of_samples"])
    chart = probabilities_of_samples(frame, [labels[name] for name in classes])
    caption = "A point is a sample. Point at it to see its ID and what was predicted."
    page.chart("probabilities_of_samples", chart, caption=caption, data="predictions.tsv")
