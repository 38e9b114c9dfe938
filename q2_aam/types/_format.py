"""Formats: the files of each artifact, and what is refused in them.

At level 'min' (each time an action reads or writes an artifact) whole files are identified and contradictions
found; at level 'max' (`qiime tools import`, `qiime tools validate`) every row and record is read.
"""

from q2_aam import schema, untrusted
from q2_aam.framework import ValidationError, model
from q2_aam.types._checks import (
    check_is_file,
    check_sample_rows,
    check_torch_file,
    listed,
    number,
    read_json,
    read_rows,
    refusals,
    sha256,
)
from q2_aam.untrusted import is_integer

LOG_SCHEMA_VERSION = 1

LOG_KEYS = ("schema_version", "action", "monitor", "mode", "best_epoch", "epochs", "stopped", "target")
LOG_COLUMNS = ("epoch", "learning_rate", "seconds")
INTERVAL_COLUMNS = ("lower", "upper")
NOVELTY_COLUMNS = (
    "asvs",
    "reads",
    "unseen_asvs",
    "unseen_read_share",
    "reads_cut",
    "reads_dropped",
    "reads_ambiguous",
)
# Of models that hold training samples to compare with.
NEIGHBOUR_COLUMNS = ("nearest_distance", "nearest_percentile")
# Of whole samples, 1 or 0: novelty of earlier q2-aam lacks them, or the second.
LEARNT_COLUMNS = ("learnt_from", "near_copy")


class TorchFileFormat(model.BinaryFileFormat):
    """A file of torch.save that holds tensors and plain values."""

    def _validate_(self, level):
        check_torch_file(self.path)


class AAMModelDescriptionFormat(model.TextFileFormat):
    """All that is needed to rebuild a network and to undo its target's transform, as JSON."""

    def _validate_(self, level):
        content = read_json(self.path, level)
        with refusals():
            schema.check_description(content, self.path.name)


class AAMModelDirectoryFormat(model.DirectoryFormat):
    """A trained network: its weights and its description."""

    best_model = model.File(r"best_model\.pt", format=TorchFileFormat)
    description = model.File(r"model\.json", format=AAMModelDescriptionFormat)

    def _validate_(self, level):
        stated = read_json(self.path / "model.json", level)["sha256"]
        actual = sha256(self.path / "best_model.pt")
        if actual != stated:
            raise ValidationError(
                f"best_model.pt is not the file that model.json describes: its SHA-256 is {actual}, but "
                f"model.json states {stated}. One of them was changed or damaged: get the model again from "
                "where it comes from."
            )


class AAMTrainingSummaryFormat(model.TextFileFormat):
    """How a training run went and why it ended, as JSON."""

    def _validate_(self, level):
        name, content = self.path.name, read_json(self.path, level)
        with refusals():
            untrusted.check_schema_version(name, content, LOG_SCHEMA_VERSION)
            untrusted.check_keys(name, content, LOG_KEYS)
            for key, allowed in (("action", ("pretrain", "fine-tune", "fit")), ("mode", ("min", "max"))):
                if content[key] not in allowed:
                    untrusted.wrong_value(name, key, content[key], f"one of {', '.join(allowed)}")
            for key in ("monitor", "stopped"):
                if not isinstance(content[key], str):
                    untrusted.wrong_value(name, key, content[key], "text")
            if not is_integer(content["epochs"]) or content["epochs"] < 0:
                untrusted.wrong_value(name, "epochs", content["epochs"], "a whole number from 0")
            if not (content["best_epoch"] is None or is_integer(content["best_epoch"])):
                untrusted.wrong_value(name, "best_epoch", content["best_epoch"], "the number of an epoch or null")


class AAMTrainingHistoryFormat(model.TextFileFormat):
    """An epoch a row: learning rate, seconds, what was measured on training and validation part."""

    def _validate_(self, level):
        previous = -1
        for line, cells in read_rows(self.path, level, self._check_header):
            text = cells["epoch"]
            if not text.isascii() or not text.isdigit():
                raise ValidationError(
                    f"{self.path.name} line {line}, column epoch: {text!r} is not a whole number from 0."
                )
            if int(text) <= previous:
                raise ValidationError(
                    f"{self.path.name} line {line}, column epoch: {text} does not come after {previous}. "
                    "Sort the epochs and keep one row of each."
                )
            previous = int(text)
            for column, cell in cells.items():
                if cell:
                    number(self.path, line, column, cell)

    def _check_header(self, header):
        odd = [name for name in header[3:] if not name.startswith(("train/", "val/")) or name.endswith("/")]
        if tuple(header[:3]) != LOG_COLUMNS or odd or len(set(header)) != len(header):
            raise ValidationError(
                f"{self.path.name} line 1 has the columns {listed(header)}; they must be "
                f"{', '.join(LOG_COLUMNS)}, then train/NAME and val/NAME, each once."
            )


class EventFileFormat(model.BinaryFileFormat):
    """An event file of TensorBoard."""

    def _validate_(self, level):
        check_is_file(self.path)
        with self.open() as file:
            start = file.read(64)
        # The first record states the version of the format.
        if b"brain.Event:" not in start:
            raise ValidationError(f"events/{self.path.name} is not an event file of TensorBoard. Remove it.")


class PNGFormat(model.BinaryFileFormat):
    """A picture."""

    def _validate_(self, level):
        check_is_file(self.path)
        with self.open() as file:
            start = file.read(8)
            file.seek(max(8, self.path.stat().st_size - 12))
            end = file.read()
        if start != b"\x89PNG\r\n\x1a\n":
            raise ValidationError(f"plots/{self.path.name} is not a PNG picture. Remove it.")
        if level == "max" and b"IEND" not in end:
            raise ValidationError(f"plots/{self.path.name} is a truncated PNG picture. Remove it.")


class AAMTrainingLogDirectoryFormat(model.DirectoryFormat):
    """What a training run leaves to look at."""

    summary = model.File(r"log\.json", format=AAMTrainingSummaryFormat)
    history = model.File(r"history\.tsv", format=AAMTrainingHistoryFormat)
    # In folders of their own, runs overlay in TensorBoard.
    events = model.FileCollection(r"events/(.+/)?events\.out\.tfevents\..+", format=EventFileFormat)
    plots = model.FileCollection(r"plots/.+\.png", format=PNGFormat, optional=True)

    @events.set_path_maker
    def events_path_maker(self, name):
        return f"events/{name}"

    @plots.set_path_maker
    def plots_path_maker(self, epoch):
        return f"plots/epoch-{epoch:04d}.png"

    def _validate_(self, level):
        summary = read_json(self.path / "log.json", level)
        epochs, columns = set(), []
        for _, cells in read_rows(self.path / "history.tsv", "max", columns.extend):
            epochs.add(int(cells["epoch"]))
        best, monitor = summary["best_epoch"], summary["monitor"]
        if best is not None and best not in epochs:
            raise ValidationError(f"log.json: best_epoch is {best}, but history.tsv has no such epoch.")
        if monitor not in columns:
            raise ValidationError(f"log.json: monitor is {monitor!r}, but history.tsv has no such column.")


class PredictionIntervalsFormat(model.TextFileFormat):
    """A sample a row: between which values, in the target's own units, it is expected to lie."""

    def _validate_(self, level):
        for line, sample_id, values in check_sample_rows(self.path, level, INTERVAL_COLUMNS):
            if values["lower"] > values["upper"]:
                raise ValidationError(
                    f"{self.path.name} line {line}, sample {sample_id!r}: lower ({values['lower']:g}) is "
                    f"above upper ({values['upper']:g}). Swap them."
                )


PredictionIntervalsDirectoryFormat = model.SingleFileDirectoryFormat(
    "PredictionIntervalsDirectoryFormat", "prediction_intervals.tsv", PredictionIntervalsFormat
)


class NoveltyFormat(model.TextFileFormat):
    """A sample a row: how much of it the model had never seen, and how much of it the model could not "
    "read."""

    def _validate_(self, level):
        for line, sample_id, values in check_sample_rows(
            self.path, level, NOVELTY_COLUMNS, (*NEIGHBOUR_COLUMNS, *LEARNT_COLUMNS)
        ):
            where = f"{self.path.name} line {line}, sample {sample_id!r}"
            for column, value in values.items():
                if value < 0:
                    raise ValidationError(f"{where}, column {column}: {value:g} is negative.")
                if column.endswith("asvs") and value != int(value):
                    raise ValidationError(f"{where}, column {column}: {value:g} is not a whole number.")
            if values["unseen_asvs"] > values["asvs"]:
                raise ValidationError(
                    f"{where}: unseen_asvs ({values['unseen_asvs']:g}) is above asvs ({values['asvs']:g})."
                )
            if values.get("nearest_percentile", 0) > 100:
                raise ValidationError(
                    f"{where}, column nearest_percentile: {values['nearest_percentile']:g} is not from 0 to 100."
                )
            for column in LEARNT_COLUMNS:
                if values.get(column, 0) not in (0, 1):
                    raise ValidationError(f"{where}, column {column}: {values[column]:g} is not 0 or 1.")
            if values["unseen_read_share"] > 1:
                raise ValidationError(
                    f"{where}, column unseen_read_share: {values['unseen_read_share']:g} is not a share from "
                    "0 to 1."
                )


NoveltyDirectoryFormat = model.SingleFileDirectoryFormat(
    "NoveltyDirectoryFormat", "novelty.tsv", NoveltyFormat
)
