"""The page of `summarize-training`."""

import json
import zipfile
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from q2_aam.evaluation.figures import predicted_against_true
from q2_aam.types import AAMTrainingLogDirectoryFormat
from q2_aam.visualizers.training import summarize_training
from tests.visualizers.pages import assert_works_offline, charts_of, read_page


def training_log(history, plots=(), **log):
    """A training log as a run leaves it."""
    directory = AAMTrainingLogDirectoryFormat()
    pd.DataFrame(history).to_csv(directory.path / "history.tsv", sep="\t", index=False)
    columns = [column for column in history if "/" in column]
    content = {
        "schema_version": 1,
        "action": "fine-tune",
        "monitor": columns[-1],
        "mode": "min",
        "best_epoch": None,
        "epochs": len(history["epoch"]),
        "stopped": "all epochs were run",
        "target": "ph",
        **log,
    }
    (directory.path / "log.json").write_text(json.dumps(content))
    (directory.path / "events").mkdir()
    (directory.path / "events" / "events.out.tfevents.1").write_bytes(b"\x18brain.Event:2")
    if plots:
        (directory.path / "plots").mkdir()
    for epoch in plots:
        figure = predicted_against_true([1, 2, 3], [1, 2, 4], f"epoch {epoch}")
        figure.savefig(directory.path / "plots" / f"epoch-{epoch:04d}.png", dpi=30)
    directory.validate("max")
    return directory


HISTORY = {
    "epoch": [0, 1, 2],
    "learning_rate": [0.001, 0.0005, 0.00025],
    "seconds": [60.0, 60.0, 30.0],
    "train/unifrac_loss": [0.3, 0.2, 0.1],
    "train/total_loss": [3.0, 2.0, 1.0],
    "val/unifrac_loss": [0.35, 0.25, 0.27],
    "val/r2": [np.nan, 0.5, 0.4],
    "val/total_loss": [3.5, 2.5, 2.7],
}


def test_page_shows_the_best_epoch_and_why_the_run_ended(tmp_path):
    log = training_log(HISTORY, plots=(1, 0), best_epoch=1, stopped="no improvement for 1 epoch")
    summarize_training(str(tmp_path), log)
    page = read_page(tmp_path)
    assert "How did the training go? (fine-tune for 'ph')" in page.text
    assert "2 epochs in 2.5 minutes." in page.text, "0 is the start"
    assert "The model is that of epoch 1: val/total_loss was lowest there (2.500)." in page.text
    assert "Why the run ended: no improvement for 1 epoch" in page.text
    assert page.tables[0] == [
        ["Name", "Training samples", "Validation samples"],
        ["total_loss", "2.000", "2.500"],
        ["unifrac_loss", "0.200", "0.250"],
        ["r2", "–", "0.500"],
    ]
    assert "Please note" not in page.text
    assert_works_offline(tmp_path)


def test_train_and_val_overlay_and_the_best_epoch_is_marked(tmp_path):
    """8.1"""
    summarize_training(str(tmp_path), training_log(HISTORY, best_epoch=1))
    charts = charts_of(tmp_path).items()
    arguments = {name: [row for rows in chart["datasets"].values() for row in rows] for name, chart in charts}
    assert list(arguments) == [
        "curve_total_loss",
        "curve_unifrac_loss",
        "curve_r2",
        "learning_rate",
    ]
    drawn = arguments["curve_total_loss"]
    assert [row["value"] for row in drawn if row.get("part") == "train"] == [3.0, 2.0, 1.0]
    assert [row["value"] for row in drawn if row.get("part") == "val"] == [3.5, 2.5, 2.7]
    assert {"epoch": 1, "label": "best: 1"} in drawn
    assert [row["value"] for row in arguments["curve_r2"] if "part" in row] == [0.5, 0.4]
    assert [row["value"] for row in arguments["learning_rate"] if "part" in row] == [
        0.001,
        0.0005,
        0.00025,
    ]


def test_validation_plots_are_shown_newest_first_with_their_epoch(tmp_path):
    """8.4"""
    summarize_training(str(tmp_path), training_log(HISTORY, plots=(0, 1), best_epoch=1))
    page = read_page(tmp_path)
    plots = [path for path in page.fetched if "plots/" in path]
    assert plots == ["./plots/epoch-0001.png", "./plots/epoch-0000.png"]
    assert "Epoch 1 (that of the model)" in page.text and "Epoch 0" in page.text
    assert_works_offline(tmp_path)


def test_downloads_are_what_the_run_left(tmp_path):
    log = training_log(HISTORY)
    summarize_training(str(tmp_path), log)
    assert (tmp_path / "history.tsv").read_bytes() == (log.path / "history.tsv").read_bytes()
    with zipfile.ZipFile(tmp_path / "events.zip") as archive:
        assert "events/events.out.tfevents.1" in archive.namelist()
    assert {"./history.tsv", "./events.zip", "./curve_total_loss.png"} <= set(read_page(tmp_path).links)


def test_run_without_validation_samples(tmp_path):
    history = {name: values for name, values in HISTORY.items() if not name.startswith("val/")}
    # A column that exists but was never measured is the same as none.
    history["val/r2"] = [np.nan] * 3
    history["train/mae"] = [3, 2, 1]
    log = training_log(history, action="pretrain", target=None, monitor="train/total_loss", best_epoch=2)
    summarize_training(str(tmp_path), log)
    page = read_page(tmp_path)
    assert "How did the training go? (pretrain)" in page.text
    assert "There were no validation samples: nothing here says how good the model is" in page.text
    assert page.tables[0][0] == ["Name", "Training samples"]
    assert not list(tmp_path.glob("curve_r2*"))
    assert_works_offline(tmp_path)


@pytest.mark.parametrize("best_epoch", [1, None])
def test_run_of_one_epoch(tmp_path, best_epoch):
    history = {name: values[1:2] for name, values in HISTORY.items()}
    summarize_training(str(tmp_path), training_log(history, best_epoch=best_epoch))
    page = read_page(tmp_path)
    assert "1 epoch in 60 seconds." in page.text
    if best_epoch is None:
        assert "No epoch is marked as the best." in page.text
        assert "Values at the last epoch (1)" in page.text
    assert "Curves" in page.text and list(tmp_path.glob("curve_total_loss*"))
    assert_works_offline(tmp_path)


def test_logs_of_fit_from_before_are_shown(tmp_path):
    summarize_training(str(tmp_path), training_log(HISTORY, action="fit"))
    assert "How did the training go? (fit for 'ph')" in read_page(tmp_path).text


def test_names_of_files_and_columns_stay_text(tmp_path):
    """A picture may have any name that a file can have."""
    name = 'epoch-0001" onerror="alert(1)#?%41<b>.png'
    log = training_log({**HISTORY, "val/<script>alert(1)": [1.0, 2.0, 3.0]}, plots=(1,), target="<script>alert(1)")
    (log.path / "plots" / "epoch-0001.png").rename(log.path / "plots" / name)
    summarize_training(str(tmp_path), log)
    source = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in source and 'onerror="' not in source and "<b>" not in source
    shown = [unquote(path) for path in read_page(tmp_path).fetched if "plots/" in path]
    assert shown == [f"./plots/{name}"] and (tmp_path / "plots" / name).is_file()
