"""`summarize-training`: how a training run went."""

import json
import re
import shutil

import pandas as pd

from q2_aam.settings import LOSS_TERMS
from q2_aam.types import AAMTrainingLogDirectoryFormat

from ._page import Page, number
from ._samples import some

PARTS = ("train", "val")
# Losses first, in the order of their importance; then the metrics in the order of the file.
LOSSES = ("total_loss", *(term.loss for term in LOSS_TERMS))


def summarize_training(output_dir: str, training_log: AAMTrainingLogDirectoryFormat) -> None:
    """Write a page that shows how a training run went.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    training_log : AAMTrainingLogDirectoryFormat
        What a run of `pretrain` or `fine-tune` left to look at.
    """
    log = json.loads((training_log.path / "log.json").read_text(encoding="utf-8-sig"))
    history = pd.read_csv(training_log.path / "history.tsv", sep="\t")
    # A column that was never measured would draw an empty picture.
    history = history.dropna(axis="columns", how="all")
    target = f" for '{log['target']}'" if log.get("target") else ""
    page = Page(output_dir, f"How did the training go? ({log['action']}{target})", _lead(history))
    _verdict(page, log, history)
    if not _has_validation(history):
        page.notes.append(
            "There were no validation samples: nothing here says how good the model is on samples that it was not "
            "trained on."
        )
    _best_values(page, log, history)
    _curves(page, log, history)
    _plots(page, training_log.path / "plots", log)
    _files(page, training_log.path)
    page.render()


def _lead(history):
    # Epoch 0 is the state before the first step.
    lead = some(int((history["epoch"] > 0).sum()), "epoch")
    if "seconds" in history:
        lead += f" in {_duration(history['seconds'].sum())}"
    return f"{lead}."


def _duration(seconds):
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _verdict(page, log, history):
    """Which epoch is the best, and why the run ended."""
    best, monitor = log["best_epoch"], log["monitor"]
    if best is None:
        heading = "No epoch is marked as the best."
    else:
        value = history.loc[history["epoch"] == best, monitor].iloc[0] if monitor in history else None
        direction = "lowest" if log["mode"] == "min" else "highest"
        heading = f"The model is that of epoch {best}: {monitor} was {direction} there ({number(value)})."
    page.verdict(heading, f"Why the run ended: {log['stopped']}", "info")


def _best_values(page, log, history):
    best = log["best_epoch"]
    epoch = history["epoch"].iloc[-1] if best is None else best
    row = history[history["epoch"] == epoch].iloc[0]
    names = _names(history)
    table = pd.DataFrame(
        [{"name": name, **{part: row.get(f"{part}/{name}") for part in PARTS}} for name in names],
        columns=["name", *PARTS],
    ).dropna(axis="columns", how="all")
    page.section(f"Values at the {'last' if best is None else 'best'} epoch ({epoch})")
    headers = {"name": "Name", "train": "Training samples", "val": "Validation samples"}
    page.table("best_epoch", table, {column: headers[column] for column in table})


def _has_validation(history):
    return any(column.startswith("val/") for column in history)


def _names(history):
    """Names measured on either part."""
    columns = [column for column in history if column.startswith(("train/", "val/"))]
    names = dict.fromkeys(column.split("/", 1)[1] for column in columns)
    losses = [name for name in names if name.endswith("_loss")]
    losses.sort(key=lambda name: LOSSES.index(name) if name in LOSSES else len(LOSSES))
    return losses + [name for name in names if name not in losses]


def _curves(page, log, history):
    from ..evaluation.charts import training_curve

    best = log["best_epoch"]
    text = "Losses go down and scores such as R² go up while the model learns."
    if _has_validation(history):
        text += (
            " Where the line of the training samples (train) still improves but that of the validation samples (val) "
            "gets worse, the model begins to memorise its training samples; the saved model is that of the best epoch."
        )
    page.section("Curves", text)
    for name in _names(history):
        columns = {f"{part}/{name}": part for part in PARTS if f"{part}/{name}" in history}
        page.chart(_file_name(name), training_curve(history, columns, best), name)
    if "learning_rate" in history:
        chart = training_curve(history, {"learning_rate": "learning rate"}, best)
        page.chart("learning_rate", chart, "learning rate")


def _file_name(name):
    return "curve_" + re.sub(r"[^A-Za-z0-9_-]+", "_", name)


def _plots(page, folder, log):
    """Pictures of the validation samples, the newest first."""
    plots = sorted(folder.glob("**/*.png"), reverse=True) if folder.is_dir() else []
    if not plots:
        return
    page.section(
        "Validation samples",
        "Drawn whenever the score of the validation samples improved, the last one first. Click a picture to see it "
        "larger.",
    )
    for plot in plots:
        epoch = re.search(r"epoch-0*(\d+)", plot.name)
        caption = f"Epoch {epoch.group(1)}" if epoch else plot.stem
        if epoch and log["best_epoch"] == int(epoch.group(1)):
            caption += " (that of the model)"
        page.image(plot, f"plots/{plot.name}", caption)


def _files(page, folder):
    page.section("Files")
    shutil.copyfile(folder / "history.tsv", page.directory / "history.tsv")
    page.download("history.tsv", "all that was measured, a row an epoch")
    shutil.make_archive(str(page.directory / "events"), "zip", root_dir=folder, base_dir="events")
    page.download("events.zip", "event files for TensorBoard: unpack, then run tensorboard --logdir events")
    shutil.copyfile(folder / "log.json", page.directory / "log.json")
    page.download("log.json", "what was run, which epoch is the best, why the run ended")
