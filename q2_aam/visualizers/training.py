"""`summarize-training`: how a training run went."""

import json
import re
import shutil

import pandas as pd

from q2_aam.types import AAMTrainingLogDirectoryFormat

from ._page import Page, number
from ._samples import some

PARTS = ("train", "val")
# Losses first, in the order of their importance; then the metrics in the order of the file.
LOSSES = ("total_loss", "target_loss", "unifrac_loss", "nucleotide_loss", "count_loss")


def summarize_training(output_dir: str, training_log: AAMTrainingLogDirectoryFormat) -> None:
    """Write a page that shows how a training run went.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    training_log : AAMTrainingLogDirectoryFormat
        What the run left to look at.
    """
    log = json.loads((training_log.path / "log.json").read_text(encoding="utf-8-sig"))
    history = pd.read_csv(training_log.path / "history.tsv", sep="\t")
    # A column that was never measured would draw an empty picture.
    history = history.dropna(axis="columns", how="all")
    about = f" for '{log['target']}'" if log.get("target") else ""
    page = Page(output_dir, f"How did the training go? ({log['action']}{about})", _lead(history))
    _verdict(page, log, history)
    if not _held_out(history):
        page.notes.append(
            "No sample was held out: there are no validation scores, and nothing here says how good the "
            "model is on new samples."
        )
    _best_values(page, log, history)
    if _trained(history):
        _curves(page, log, history)
    _plots(page, training_log.path / "plots", log)
    _files(page, training_log.path)
    page.render()


def _trained(history):
    """Epochs without the state at the start, which is epoch 0."""
    return int((history["epoch"] > 0).sum())


def _lead(history):
    if not _trained(history):
        return "Nothing was trained."
    lead = some(_trained(history), "epoch")
    if "seconds" in history:
        lead += f" in {_duration(history['seconds'].sum())}"
    return f"{lead}."


def _duration(seconds):
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _verdict(page, log, history):
    """Which epoch was kept, and why the run ended."""
    best, monitor = log["best_epoch"], log["monitor"]
    if best is None:
        kept = "No epoch was marked as the best."
    else:
        value = history.loc[history["epoch"] == best, monitor].iloc[0] if monitor in history else None
        direction = "lowest" if log["mode"] == "min" else "highest"
        kept = f"Epoch {best} was kept: {monitor} was {direction} there ({number(value)})."
    page.verdict(kept, f"Why the run ended: {log['stopped']}", "info")


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
    headers = {"name": "Name", "train": "Training samples", "val": "Held-out samples"}
    page.table("best_epoch", table, {column: headers[column] for column in table})


def _held_out(history):
    return any(column.startswith("val/") for column in history)


def _names(history):
    """Names measured on either part."""
    found = list(
        dict.fromkeys(column.split("/", 1)[1] for column in history if column.startswith(("train/", "val/")))
    )
    known = [name for name in LOSSES if name in found]
    losses = [name for name in found if name.endswith("_loss") and name not in known]
    return known + losses + [name for name in found if not name.endswith("_loss")]


def _curves(page, log, history):
    from ..evaluation.charts import training_curve

    best = log["best_epoch"]
    text = "Losses go down and scores such as R² go up while the model learns."
    if _held_out(history):
        text += (
            " When the training line still improves but the held-out one (val) gets worse, the model has "
            "begun to learn its samples by heart; the epoch before that is kept."
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
    """Pictures of the held-out samples, the newest first."""
    plots = sorted(folder.glob("**/*.png"), reverse=True) if folder.is_dir() else []
    if not plots:
        return
    page.section(
        "Held-out samples",
        "Drawn whenever the score on the held-out samples improved, the last one first. Click a picture to "
        "enlarge it.",
    )
    for plot in plots:
        found = re.search(r"epoch-0*(\d+)", plot.name)
        caption = f"Epoch {found.group(1)}" if found else plot.stem
        if found and log["best_epoch"] == int(found.group(1)):
            caption += " (the one that was kept)"
        page.image(plot, f"plots/{plot.name}", caption)


def _files(page, folder):
    page.section("Files")
    shutil.copyfile(folder / "history.tsv", page.directory / "history.tsv")
    page.download("history.tsv", "all that was measured, a row an epoch")
    shutil.make_archive(str(page.directory / "events"), "zip", root_dir=folder, base_dir="events")
    page.download("events.zip", "event files for TensorBoard: unpack, then run tensorboard --logdir events")
    shutil.copyfile(folder / "log.json", page.directory / "log.json")
    page.download("log.json", "what was run, which epoch was kept, why it ended")
