"""`qiime aam pretrain`, killed and repeated with the same run_dir."""

import csv
import shlex
import signal
import subprocess
import sys
import time

import torch

from q2_aam.encoder.files import read_tensors

from .conftest import SIZES

EPOCHS = 12
COMMAND = (
    "qiime aam pretrain --i-table T.qza --i-sequences S.qza --i-phylogeny P.qza --verbose --p-batch-size 8 "
    "--p-token-limit 20 "
    + SIZES.replace("--p-epochs 2", f"--p-epochs {EPOCHS} --p-patience 0")
)


def command(name):
    return f"{COMMAND} --p-run-dir {name} --o-model {name}.qza --o-training-log {name}-log.qza"


def rows(path):
    """The history without how long its epochs took."""
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in lines]


def kill_after(epochs, qiime, name):
    """Start the command, and end it by SIGKILL once the history shows so many epochs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "q2cli", *shlex.split(command(name))[1:]],
        cwd=qiime.folder,
        env=qiime.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    history, until = qiime.folder / name / "history.tsv", time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        if history.exists() and len(rows(history)) >= epochs:
            break
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert epochs <= len(rows(history)) < EPOCHS, "killed in the midst of it"


def test_a_killed_pretrain_repeated_ends_as_if_it_had_not_been(survey, qiime):
    kill_after(3, qiime, "killed")
    assert not (qiime.folder / "killed.qza").exists()
    epochs_before = len(rows(qiime.folder / "killed" / "history.tsv"))
    said = qiime(command("killed"))
    assert said.err == ""
    epochs = [line.split("  ")[0] for line in said.lines if line.startswith("epoch ")]
    # That of the last row may not have been saved yet.
    assert epochs[0] in (f"epoch {epochs_before}/{EPOCHS}", f"epoch {epochs_before + 1}/{EPOCHS}")
    assert epochs[-1] == f"epoch {EPOCHS}/{EPOCHS}"
    qiime(command("whole"))
    ends = []
    for name in ("killed", "whole"):
        qiime.check(f"{name}.qza").export_data(str(qiime.folder / f"{name}-model"))
        qiime.check(f"{name}-log.qza").export_data(str(qiime.folder / f"{name}-log"))
        ends.append(
            (
                read_tensors(qiime.folder / name / "last.ckpt")["state_dict"],
                read_tensors(qiime.folder / f"{name}-model" / "best_model.pt")["model"],
                rows(qiime.folder / f"{name}-log" / "history.tsv"),
            )
        )
    *killed, killed_rows = ends[0]
    *whole, whole_rows = ends[1]
    torch.testing.assert_close(killed, whole, rtol=0, atol=0)
    assert killed_rows == whole_rows and len(whole_rows) == EPOCHS
