import pytest

from q2_aam.framework import Artifact, ValidationError
from q2_aam.types import AAMTrainingLogDirectoryFormat, EventFileFormat
from tests.types.conftest import EVENTS, HISTORY, PNG, summarize

LEVELS = pytest.mark.parametrize("level", ["min", "max"])


def refused(folder, level):
    with pytest.raises(ValidationError) as error:
        AAMTrainingLogDirectoryFormat(str(folder), mode="r").validate(level)
    return str(error.value).split("\n\n")[-1]


@LEVELS
@pytest.mark.parametrize("plots", [0, 1, 2])
def test_logs_are_accepted_with_and_without_plots(plots, level, log_folder):
    if plots == 0:
        (log_folder / "plots" / "epoch-0001.png").unlink()
        (log_folder / "plots").rmdir()
    if plots == 2:
        (log_folder / "plots" / "epoch-0012.png").write_bytes(PNG)
    Artifact.import_data("AAMTrainingLog", str(log_folder)).validate(level)


def test_what_tensorboard_writes_is_accepted(log_folder):
    writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter(log_folder / "events")
    writer.add_scalar("val/total_loss", 0.5, 1)
    writer.close()
    AAMTrainingLogDirectoryFormat(str(log_folder), mode="r").validate("max")


def test_files_find_their_places(log_folder):
    log = AAMTrainingLogDirectoryFormat()
    assert log.plots.path_maker(epoch=7).relative_to(log.path).as_posix() == "plots/epoch-0007.png"
    assert log.events.path_maker(name="events.out.tfevents.1").parent.name == "events"
    read = AAMTrainingLogDirectoryFormat(str(log_folder), mode="r")
    assert len(list(read.events.iter_views(EventFileFormat))) == 2


@LEVELS
def test_missing_files_are_refused(level, log_folder):
    for file in (log_folder / "events").rglob("events*"):
        file.unlink()
    assert refused(log_folder, level).startswith(
        "Missing one or more files for AAMTrainingLogDirectoryFormat: 'events/"
    )


@LEVELS
def test_foreign_files_are_refused(level, log_folder):
    plot = log_folder / "plots" / "epoch-0001.png"
    plot.write_bytes(b"GIF89a")
    assert refused(log_folder, level) == "plots/epoch-0001.png is not a PNG picture. Remove it."
    plot.unlink()
    (log_folder / "events" / "events.out.tfevents.1.host.2.0").write_bytes(b"")
    assert refused(log_folder, level) == (
        "events/events.out.tfevents.1.host.2.0 is not an event file of TensorBoard. Remove it."
    )
    (log_folder / "events" / "events.out.tfevents.1.host.2.0").write_bytes(EVENTS)
    (log_folder / "events" / "hparams.yaml").write_text("x")
    assert "Unrecognized file" in refused(log_folder, level)


def test_a_truncated_picture_is_refused_at_level_max(log_folder):
    (log_folder / "plots" / "epoch-0001.png").write_bytes(PNG[:-10])
    AAMTrainingLogDirectoryFormat(str(log_folder), mode="r").validate("min")
    assert refused(log_folder, "max") == "plots/epoch-0001.png is a truncated PNG picture. Remove it."


AGAIN = " Make the artifact again with q2-aam."


@LEVELS
@pytest.mark.parametrize(
    "changes, sentence",
    [
        (
            {"monitor": ..., "stopped": ...},
            "log.json lacks the keys monitor, stopped: it is incomplete." + AGAIN,
        ),
        (
            {"schema_version": 7},
            "log.json was made by a newer q2-aam (schema version 7, while this one reads up to 1): update "
            "q2-aam.",
        ),
        ({"action": "predict"}, 'log.json: action is "predict"; it must be one of pretrain, fine-tune, fit.' + AGAIN),
        ({"mode": "auto"}, 'log.json: mode is "auto"; it must be one of min, max.' + AGAIN),
        ({"stopped": None}, "log.json: stopped is null; it must be text." + AGAIN),
        ({"epochs": -1}, "log.json: epochs is -1; it must be a whole number from 0." + AGAIN),
        (
            {"best_epoch": 1.5},
            "log.json: best_epoch is 1.5; it must be the number of an epoch or null." + AGAIN,
        ),
        ({"best_epoch": 2}, "log.json: best_epoch is 2, but history.tsv has no such epoch."),
        ({"monitor": "val/r2"}, "log.json: monitor is 'val/r2', but history.tsv has no such column."),
    ],
)
def test_contradictions_in_the_summary_are_refused(changes, sentence, level, log_folder):
    summarize(log_folder, **changes)
    assert refused(log_folder, level) == sentence


@LEVELS
def test_a_run_without_a_best_epoch_is_accepted(level, log_folder):
    summarize(log_folder, best_epoch=None, target=None, action="pretrain")
    AAMTrainingLogDirectoryFormat(str(log_folder), mode="r").validate(level)


@LEVELS
@pytest.mark.parametrize(
    "old, new, sentence",
    [
        (HISTORY, "", "history.tsv is empty: it needs a header line and a row or more."),
        (
            HISTORY,
            HISTORY.partition("\n")[0] + "\n",
            "history.tsv has a header, but no rows. Add at least one.",
        ),
        (
            "epoch\t",
            "step\t",
            "history.tsv line 1 has the columns step, learning_rate, seconds, train/total_loss, "
            "val/total_loss; they must be epoch, learning_rate, seconds, then train/NAME and val/NAME, each "
            "once.",
        ),
        (
            "train/total_loss",
            "loss",
            "history.tsv line 1 has the columns epoch, learning_rate, seconds, loss, val/total_loss; they "
            "must be epoch, learning_rate, seconds, then train/NAME and val/NAME, each once.",
        ),
        (
            "train/total_loss",
            "val/total_loss",
            "history.tsv line 1 has the columns epoch, learning_rate, seconds, val/total_loss, "
            "val/total_loss; they must be epoch, learning_rate, seconds, then train/NAME and val/NAME, each "
            "once.",
        ),
        (
            "1e-05",
            "nan",
            "history.tsv line 3, column val/total_loss: 'nan' is not a finite number. Write a number such as "
            "1.5.",
        ),
        ("\n1\t", "\n1.0\t", "history.tsv line 3, column epoch: '1.0' is not a whole number from 0."),
        (
            "\n12\t",
            "\n1\t",
            "history.tsv line 4, column epoch: 1 does not come after 1. Sort the epochs and keep one row of "
            "each.",
        ),
        (
            "\t1e-05",
            "",
            "history.tsv line 3 has 4 cells, but the header has 5 columns (epoch, learning_rate, seconds, "
            "train/total_loss, val/total_loss). Separate all of them by tabs.",
        ),
    ],
)
def test_a_wrong_history_is_refused(old, new, sentence, level, log_folder):
    assert old in HISTORY
    (log_folder / "history.tsv").write_text(HISTORY.replace(old, new, 1))
    assert refused(log_folder, level) == sentence
