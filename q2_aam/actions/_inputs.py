"""What the actions share: reading artifacts, reporting, packing what a run leaves."""

import contextlib
import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import biom
import numpy as np
import pandas as pd

from q2_aam.data.tables import rarefy


def settings(kind, arguments: dict):
    """Fill a settings dataclass from an action's arguments of the same names."""
    return kind(**{field.name: arguments[field.name] for field in fields(kind)})


def say(message: str) -> None:
    """A line for `--verbose`, at once also where the output goes to a file."""
    print(message, flush=True)


@contextlib.contextmanager
def readable_warnings() -> Iterator[None]:
    """Warnings as one sentence each, without the line of our code that raised them."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"Warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
        sys.stderr.flush()


def fasta_sequences(sequences) -> dict[str, str] | None:
    """Sequences by feature ID of an optional FASTA format."""
    from q2_aam.data.communities import read_sequences

    return None if sequences is None else read_sequences(str(sequences))


def drawn(table: biom.Table, sampling_depth: int | None, random_seed: int) -> biom.Table:
    """The table itself, or rarefied to a depth."""
    return table if sampling_depth is None else rarefy(table, sampling_depth, random_seed)


def keep_samples(table: biom.Table, rows: np.ndarray) -> biom.Table:
    """Some samples of a table, in its own order; a new table."""
    if len(rows) == table.shape[1]:
        return table
    return biom.Table(table.matrix_data.tocsc()[:, rows].tocsr(), table.ids("observation"), table.ids()[rows])


@contextlib.contextmanager
def run_directory(run_dir: str | None) -> Iterator[Path]:
    """The directory asked for, or one that is gone afterwards."""
    if run_dir is not None:
        yield Path(run_dir)
        return
    with tempfile.TemporaryDirectory(prefix="q2-aam-") as temporary:
        yield Path(temporary)


def pack_log(result, action: str, target: str | None, log) -> None:
    """Copy what a run left into a training log artifact's directory."""
    directory = Path(str(log))
    shutil.copy(result.directory / "history.tsv", directory / "history.tsv")
    for folder, pattern in (("events", "events.out.tfevents.*"), ("plots", "*.png")):
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
    row = history.loc[result.best_epoch].drop(["learning_rate", "seconds"]).dropna()
    return {name: float(value) for name, value in row.items()}


def data_summary(communities, train_rows: np.ndarray, validation_rows: np.ndarray) -> dict:
    """Sizes of what was learnt from, for ``model.json``."""
    return {
        "samples": len(communities),
        "training_samples": len(train_rows),
        "validation_samples": len(validation_rows),
        "features": communities.n_features,
        "asvs": len(communities.tokens),
        "features_cut": communities.n_cut,
        "reads": float(communities.counts.sum(dtype=np.float64)),
    }


def describe_data(communities, train_rows: np.ndarray, validation_rows: np.ndarray) -> str:
    """The same in words."""
    richness = np.diff(communities.counts.indptr)
    return (
        f"{len(communities)} samples ({len(train_rows)} to learn from, {len(validation_rows)} for validation), "
        f"{len(communities.tokens)} distinct ASVs, {int(np.median(richness))} a sample (median), "
        f"{richness.max()} at most."
    )
