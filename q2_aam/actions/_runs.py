"""Where a run works, and what of it goes into models and training logs."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd


@contextlib.contextmanager
def run_directory(run_dir: str | None) -> Iterator[Path]:
    """The directory asked for, made where it is not there, or one that is gone afterwards.

    Raises
    ------
    ValueError
        If nothing can be written there.
    """
    if run_dir is None:
        with tempfile.TemporaryDirectory(prefix="q2-aam-") as temporary:
            yield Path(temporary)
        return
    directory = Path(run_dir)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"run_dir {run_dir} is a file. Give a directory; it is made where it is not there.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ValueError(
            f"Nothing can be written to run_dir {run_dir} ({error.strerror}). Give another directory."
        ) from error
    yield directory


def pack_log(result, action: str, target: str | None, log) -> None:
    """Copy what a run left into a training log artifact's directory."""
    directory = Path(str(log))
    shutil.copy(result.directory / "history.tsv", directory / "history.tsv")
    for folder, pattern in (("events", "events.out.tfevents.*"), ("plots", "epoch-*.png")):
        found = sorted((result.directory / folder).glob(pattern))
        if found:
            (directory / folder).mkdir()
        for path in found:
            shutil.copy(path, directory / folder / path.name)
    summary = {
        "schema_version": 1,
        "action": action,
        "monitor": result.monitor,
        "mode": result.mode,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "stopped": result.stopped,
        "target": target,
    }
    (directory / "log.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")


def best_scores(result) -> dict[str, float]:
    """What was measured in the best epoch, by the names of ``history.tsv``."""
    history = pd.read_csv(result.directory / "history.tsv", sep="\t", index_col="epoch")
    row = history.loc[result.best_epoch].drop(["learning_rate", "seconds"]).astype(float)
    return {name: float(value) for name, value in row.items() if np.isfinite(value)}


def data_summary(communities, train_rows: np.ndarray, validation_rows: np.ndarray, dropped: dict) -> dict:
    """Sizes of what was learnt from and of what was ``dropped`` before, for ``model.json``."""
    return {
        "samples": len(communities),
        "training_samples": len(train_rows),
        "validation_samples": len(validation_rows),
        "features": communities.n_features,
        "asvs": len(communities.tokens),
        "features_cut": communities.n_cut,
        "reads": float(communities.counts.sum(dtype=np.float64)),
        **dropped,
    }


def reads_dropped(reads: float, communities) -> float:
    """Reads in features without a sequence or that are no tip, of a table that had so many ``reads``."""
    return float(reads - communities.counts.sum(dtype=np.float64))
