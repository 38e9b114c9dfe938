"""What the page of `evaluate` shows of predicted classes."""

import numpy as np
import pandas as pd

from ._baselines import baseline_notes, baseline_scores, baseline_verdict, gain_over
from ._class_probabilities import class_calibration, probabilities_section, single_probabilities
from ._columns import columns_section
from ._folds import folds_section
from ._groups import INTERVAL_OF_A_GROUP, group_table
from ._novelty import accuracy_section, known_section
from ._page import MAX_ROWS, number
from ._samples import listed, some
from ._scores import MODEL_COLUMNS, answer, interval_note, own_outputs_note, score_table, table_intervals
from ._threshold import threshold_section

N_WORST = 10  # mistakes that are listed, those of the highest probability first
FEW_CLASSES = 12  # whose confusion matrix is read at a glance
MANY_MISSES = 5  # samples none of whose classes the model knows: the column is another one


def classification_page(page, evaluation):
    """Fill the page of `evaluate` for predicted classes.

    Parameters
    ----------
    page : Page
        To be filled; not rendered here.
    evaluation : Evaluation
        The samples.
    """
    from ..evaluation.metrics import classification_scores

    frame, probabilities = evaluation.frame, evaluation.probabilities
    model_classes = set(frame["predicted"]) | set(() if probabilities is None else probabilities.columns)
    if len(frame) >= MANY_MISSES and not model_classes & set(frame["true"]):
        raise ValueError(
            f"No predicted class ({listed(sorted(set(frame['predicted'])))}) is a class of the metadata column "
            f"{evaluation.name!r} ({listed(sorted(set(frame['true'])))}). Give the column that was predicted."
        )
    classes = _classes(page, frame, probabilities)
    if probabilities is not None:
        probabilities = probabilities.reindex(columns=classes, fill_value=0.0)
    scores = classification_scores(frame["true"], frame["predicted"], probabilities, classes)
    samples = frame.rename_axis("sample").reset_index()
    samples["right"] = samples["true"] == samples["predicted"]
    if probabilities is not None:
        column = probabilities.columns.get_indexer(samples["predicted"])
        samples["probability"] = probabilities.to_numpy()[np.arange(len(samples)), column]
    page.write_table("predictions", samples.rename(columns={"sample": "sample-id"}))
    others = baseline_scores(evaluation, "categorical")
    if others and len(set(frame["true"])) > 1:
        baseline_verdict(page, evaluation, scores, others)
    else:
        _verdict(page, evaluation, scores)
    known_section(page, evaluation)
    _scores_table(page, evaluation, scores, others)
    if evaluation.fold_scores is not None:
        folds_section(page, evaluation.fold_scores)
    _confusion(page, scores)
    if probabilities is not None:
        threshold_section(page, samples, probabilities)
        probabilities_section(page, scores)
        class_calibration(page, samples, probabilities)
        single_probabilities(page, evaluation, samples, probabilities)
    if "group" in frame:
        _groups(page, samples, scores)
    columns_section(page, evaluation, samples["right"].astype(float), scores["accuracy"], "accuracy")
    accuracy_section(page, samples)
    _worst(page, samples)


def _classes(page, frame, probabilities):
    """All classes in order; notes for those that the model or the samples lack."""
    from natsort import natsorted

    true, predicted = set(frame["true"]), set(frame["predicted"])
    if not true & predicted:
        page.notes.append(
            "No predicted class occurs among the true ones. Is this the column that the model was fitted to?"
        )
    if probabilities is None:
        return natsorted(true | predicted)
    unknown = natsorted(true - set(probabilities.columns))
    if unknown:
        page.notes.append(
            f"True classes that the model does not know: {listed(unknown)}. It cannot predict their samples "
            "right."
        )
    return [*probabilities.columns, *unknown]


def _verdict(page, evaluation, scores):
    baseline = scores["baseline"]
    largest = baseline["value"]
    support = max(row["support"] for row in scores["per_class"])
    if support == scores["samples"]:
        page.verdict(
            "Better than always predicting the largest class: unknown.",
            f"All evaluated samples are of the class '{largest}'; {scores['accuracy']:.1%} of them are "
            "predicted right.",
            "info",
        )
        return
    gain = scores["balanced_accuracy"] - baseline["balanced_accuracy"]
    word, level, interval = answer(gain, evaluation, gain_over(evaluation, largest, numeric=False))
    page.verdict(
        f"Better than always predicting the largest class: {word}.",
        f"On average over the classes, {scores['balanced_accuracy']:.1%} of a class's samples are predicted "
        f"right (balanced accuracy). Always predicting '{largest}', the class of {support:,} of the "
        f"{scores['samples']:,} samples, would get {baseline['balanced_accuracy']:.1%}. Of all samples, "
        f"{scores['accuracy']:.1%} are predicted right; always '{largest}' would get "
        f"{baseline['accuracy']:.1%}. {interval}",
        level,
    )


def _scores_table(page, evaluation, scores, others):
    needs = ["predictions"] if evaluation.probabilities is None else ["predictions", "probabilities"]
    text = (
        "Each score stands beside that of an answer that looks at no sample: the largest class of those "
        f"evaluated here, '{scores['baseline']['value']}', for every sample"
    )
    if len(needs) > 1:
        text += " (as its probabilities, the classes' shares of the samples)"
    headers = {"always_the_largest_class": "Always the largest class"}
    if others:
        text = "Each score stands beside those of the baselines, which predicted the same samples"
        shares = scores["baseline"].get("log_loss")
        if len(needs) > 1:
            # Of a single class there is none.
            told = "; the classes' shares of these samples have a log loss of "
            text += f" (without probabilities{'' if shares is None else told + number(shares)})"
        headers = {label: label for label in others}
    intervals = table_intervals("categorical", evaluation, _arrays(evaluation, scores["classes"]))
    notes = (baseline_notes(evaluation) if others else "") + interval_note(evaluation, intervals)
    notes += own_outputs_note(evaluation)
    page.section("Scores", f"{text}.{notes} A dash is a score that these samples do not define.{_decision(evaluation)}")
    beside = {"always_the_largest_class": scores["baseline"], **others}
    table = score_table("categorical", needs, scores, beside, intervals)
    page.table("scores", table, {**MODEL_COLUMNS, **headers, "meaning": "Meaning"})
    classes = pd.DataFrame(scores["per_class"])
    headers = {"class": "Class", "support": "Samples", "predicted": "Predicted", "precision": "Precision"}
    headers.update({"recall": "Recall", "f1": "F1"})
    if len(needs) > 1:
        headers.update({"roc_auc": "ROC area", "average_precision": "PR area"})
        headers.update({"mean_probability": "Mean prob.", "calibration_error": "Calib. error"})
        headers["calibration_error_by_chance"] = "By chance"
    # Of hundreds one is searched.
    add = page.table if len(classes) <= MAX_ROWS else page.browsed_table
    add("classes", classes, headers, heading="Each class")


def _arrays(evaluation, classes) -> dict:
    """What the scores are computed from: numbers of the classes, and probabilities where there are some."""
    frame, probabilities = evaluation.frame, evaluation.probabilities
    truth, predicted = (pd.Index(classes).get_indexer(frame[name].astype(str)) for name in ("true", "predicted"))
    arrays = {"predictions": (truth, predicted)}
    if probabilities is not None:
        shares = probabilities.reindex(index=frame.index, columns=classes, fill_value=0.0).to_numpy()
        arrays["probabilities"] = (truth, predicted, shares / shares.sum(axis=1, keepdims=True))
    return arrays


def _decision(evaluation):
    """A sentence on named classes that are not the likeliest, and what naming those would score; empty without any."""
    from ..evaluation.metrics import classification_scores

    frame, probabilities = evaluation.frame, evaluation.probabilities
    if probabilities is None:
        return ""
    likeliest = probabilities.idxmax(axis=1)[frame.index]
    other = (likeliest != frame["predicted"]).sum()
    if not other:
        return ""
    scores = classification_scores(frame["true"], likeliest)
    return (
        f" Of {some(frame, 'sample')}, {other:,} {'is' if other == 1 else 'are'} said to be of a class that is not the "
        "likeliest: in the decision 'balanced' (the default) classes count alike, so that rare ones are found; repeats "
        "may disagree, too. Naming the likeliest class instead would score a balanced accuracy of "
        f"{number(scores['balanced_accuracy'])} and an accuracy of {number(scores['accuracy'])}."
    )


def _confusion(page, scores):
    from ..evaluation.class_charts import MAX_NAMED, confusion_matrix

    table = pd.DataFrame(scores["confusion_matrix"], columns=scores["classes"])
    # The heading says which way round it is, also when a class has the name of a column.
    table.insert(0, "true \\ predicted", scores["classes"], allow_duplicates=True)
    page.section("Which classes are taken for which")
    caption = "Numbers: samples. Colour: share of the true class. A perfect model fills the diagonal only."
    file = page.write_table("confusion_matrix", table)
    many = len(scores["classes"]) > MAX_NAMED
    caption += " There are too many classes for names and numbers: point at a square to see them." if many else ""
    page.chart("confusion_matrix", confusion_matrix(scores), "Confusion matrix", caption, file)
    if len(scores["classes"]) > FEW_CLASSES:
        _confusions(page, scores)


def _confusions(page, scores):
    """Which classes are taken for which most often: a large matrix is searched for them in vain."""
    classes, counts = np.array(scores["classes"], dtype=object), np.array(scores["confusion_matrix"])
    true, predicted = np.nonzero(counts * (1 - np.eye(len(classes), dtype=int)))
    frame = pd.DataFrame({"true": classes[true], "predicted": classes[predicted], "samples": counts[true, predicted]})
    if len(frame):
        frame = frame.sort_values("samples", ascending=False, kind="stable", ignore_index=True)
        headers = {"true": "True", "predicted": "Predicted", "samples": "Samples"}
        page.browsed_table("confusions", frame, headers, heading="The most common mistakes")


def _groups(page, samples, scores):
    from ..evaluation.charts import MAX_BARS, group_bars

    table = group_table(samples, "accuracy", {"right": ("right", "sum"), "accuracy": ("right", "mean")})
    if table.empty:
        return
    page.section(
        "Groups",
        "Samples of one group (a subject, a site, a study) are alike. When a few groups hold most of the "
        f"mistakes, look at what is different about them.{INTERVAL_OF_A_GROUP}",
    )
    caption = f"Lowest accuracy first. Orange line: accuracy on all samples, {number(scores['accuracy'])}."
    if len(table) > MAX_BARS:
        caption += f" The {MAX_BARS} worst of {len(table):,} groups."
    chart = group_bars(table, "accuracy", "accuracy", scores["accuracy"])
    page.chart("accuracy_by_group", chart, "Accuracy by group", caption, "groups.tsv")
    headers = {"group": "Group", "samples": "Samples", "right": "Predicted right", "accuracy": "Accuracy"}
    page.table("groups", table, {**headers, "low": "From", "high": "To"})


def _worst(page, samples):
    wrong = samples[~samples["right"]]
    if "probability" in wrong:
        wrong = wrong.sort_values("probability", ascending=False, kind="stable")
    headers = {"sample": "Sample", "true": "True", "predicted": "Predicted"}
    optional = {
        "probability": "Its probability",
        "unseen_read_share": "Reads in unseen ASVs",
        "group": "Group",
    }
    headers.update({column: heading for column, heading in optional.items() if column in wrong})
    if len(wrong):
        order = "the highest probability first" if "probability" in wrong else "in the order of the predictions"
        shown = "" if len(wrong) <= N_WORST else f" {N_WORST} of them are shown."
        page.section("Mistakes", f"{some(wrong, 'sample')} predicted wrong, {order}.{shown}")
        page.table("mistakes", wrong.head(N_WORST), headers)
    else:
        page.section("Mistakes", "Every sample is predicted right.")
    page.download("predictions.tsv", "all samples, with all columns")
