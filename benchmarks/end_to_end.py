"""The main job on a real study through the `qiime` program: seconds, peak memory and held-out scores.

Whole groups (a fifth of the samples) are kept apart; nothing of them is seen in pretraining or fitting. Prints and
writes what each command took, the scores on the samples kept apart beside a random forest's on the same ones, and how
well their UniFrac distances are predicted.

    python benchmarks/end_to_end.py ecam-infant-age month_of_life host_subject_id
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.encoder.sample_encoder import lineage_distances
from q2_aam.evaluation import baselines, metrics
from q2_aam.framework import Artifact, qiime2
from q2_aam.model_file import load_model
from q2_aam.prediction import encode_samples
from q2_aam.study.communities import read_communities, read_sequences
from q2_aam.study.folds import two_parts
from q2_aam.study.unifrac import UniFracDistances
from q2_aam.types import AAMModelDirectoryFormat

# The launcher beside this Python: another qiime may not have the plugin.
QIIME = str(Path(sys.executable).with_name("qiime"))
STUDIES = Path(__file__).resolve().parents[2] / "shared" / "data"


def timed(directory: Path, command: list[str]) -> dict:
    """Run a qiime command in the directory; gives its wall and CPU seconds and peak memory (GB)."""
    print("$ qiime " + shlex.join(command), flush=True)
    started = time.monotonic()
    process = subprocess.Popen([QIIME, *command], cwd=directory)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"qiime {shlex.join(command)} failed.")
    return {
        "command": " ".join(command[:2]),
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gb": usage.ru_maxrss / 2**20,
    }


def prepare(study: Path, column: str, group: str, seed: int, directory: Path) -> None:
    """Write the study's samples that have a value, whole groups of them apart, as ``train.biom`` and ``new.biom``."""
    table = biom.load_table(str(study / "table.biom"))
    metadata = qiime2.Metadata.load(str(study / "metadata.tsv"))
    frame = metadata.to_dataframe().reindex(table.ids())
    frame = frame[frame[column].notna() & frame[group].notna()]
    classes = None if metadata.get_column(column).type == "numeric" else frame[column]
    parts = two_parts(len(frame), 0.2, groups=frame[group], classes=classes, random_seed=seed)
    for name, rows in zip(("train", "new"), parts, strict=True):
        part = table.filter(frame.index[rows], inplace=False).remove_empty("observation")
        with biom.util.biom_open(str(directory / f"{name}.biom"), "w") as file:
            part.to_hdf5(file, "q2-aam")


def run_flow(study: Path, column: str, group: str, directory: Path, pretrain: list[str], fit: list[str]) -> list[dict]:
    """From `qiime tools import` to the .qzv, with what each command took."""
    metadata = str(study / "metadata.tsv")
    target = ["--m-metadata-file", metadata, "--m-metadata-column", column]
    tables = [
        ["tools", "import", "--type", "FeatureTable[Frequency]", "--input-format", "BIOMV210Format", "--input-path",
         f"{name}.biom", "--output-path", f"{name}.qza"]
        for name in ("train", "new")
    ]  # fmt: skip
    others = [
        ["tools", "import", "--type", kind, "--input-path", str(study / path), "--output-path", output]
        for kind, path, output in (
            ("FeatureData[Sequence]", "sequences.fasta", "S.qza"),
            ("Phylogeny[Rooted]", "tree.nwk", "P.qza"),
        )
    ]
    sequences = ["--i-sequences", "S.qza"]
    flow = [
        ["aam", "pretrain", "--i-table", "train.qza", *sequences, "--i-phylogeny", "P.qza", "--o-model", "encoder.qza",
         "--o-training-log", "log.qza", "--verbose", *pretrain],
        ["aam", "fit", "--i-table", "train.qza", *sequences, "--i-encoder", "encoder.qza", *target, "--m-groups-file",
         metadata, "--m-groups-column", group, "--o-model", "model.qza", "--o-predictions", "val.qza",
         "--o-certainty", "val-certainty.qza", "--o-training-log", "fit-log.qza", "--verbose", *fit],
        ["aam", "predict", "--i-table", "new.qza", *sequences, "--i-model", "model.qza", "--o-predictions", "pred.qza",
         "--o-certainty", "cert.qza", "--o-novelty", "nov.qza", "--verbose"],
        ["aam", "evaluate", "--i-predictions", "pred.qza", "--i-certainty", "cert.qza", *target,
         "--o-visualization", "pred.qzv"],
        ["aam", "summarize-training", "--i-training-log", "fit-log.qza", "--o-visualization", "fit-log.qzv"],
    ]  # fmt: skip
    return [timed(directory, command) for command in [*tables, *others, *flow]]


def scores(study: Path, column: str, directory: Path) -> dict:
    """Scores on the samples kept apart: ours, the forest's, the trivial one's, and UniFrac's."""
    truth = qiime2.Metadata.load(str(study / "metadata.tsv")).get_column(column)
    train, new = (Artifact.load(str(directory / f"{name}.qza")).view(biom.Table) for name in ("train", "new"))
    values = truth.to_series()
    predicted = Artifact.load(str(directory / "pred.qza")).view(pd.Series).loc[new.ids()]
    # A forest knows the training table's columns only.
    columns = pd.Index(train.ids("observation"))
    known = columns.get_indexer(new.ids("observation"))
    here = np.flatnonzero(known >= 0)
    chosen = sp.csr_matrix((np.ones(len(here)), (here, known[here])), shape=(len(known), len(columns)))
    new_counts = new.matrix_data.T.tocsr() @ chosen
    kind = truth.type
    given = (train.matrix_data.T.tocsr(), values[train.ids()], new_counts)
    methods = {
        "q2-aam": predicted,
        "forest": baselines.random_forest(*given, kind=kind, n_jobs=2).predicted,
        "trivial": baselines.trivial(*given, kind=kind).predicted,
    }
    score = metrics.regression_scores if kind == "numeric" else metrics.classification_scores
    names = ("r2", "mae", "spearman") if kind == "numeric" else ("balanced_accuracy", "accuracy")
    result = {m: {n: score(values[new.ids()], p)[n] for n in names} for m, p in methods.items()}

    encoder = load_model(str(Artifact.load(str(directory / "encoder.qza")).view(AAMModelDirectoryFormat)))
    communities = read_communities(
        new, read_sequences(str(study / "sequences.fasta")), max_length=encoder.network.architecture.max_length
    )
    pairs = np.triu_indices(len(communities), 1)
    found = lineage_distances(encode_samples(encoder.network, communities).presence).numpy()[pairs]
    true = UniFracDistances(new, str(study / "tree.nwk"))(np.arange(len(communities)))[pairs]
    result["unifrac"] = {
        "r": float(np.corrcoef(found, true)[0, 1]),
        "rmse": float(np.sqrt(np.mean((found - true) ** 2))),
        "samples": len(communities),
    }
    return result


def main(arguments: list[str] | None = None) -> None:
    """Run one study and write ``result.json`` and ``result.md`` beside its artifacts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help=f"a folder of {STUDIES}")
    parser.add_argument("column", help="metadata column to predict")
    parser.add_argument("group", help="metadata column whose groups stay together")
    parser.add_argument("--output", type=Path, help="directory for what is made (default: benchmarks/results/STUDY)")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--pretrain", default="", help="further options of pretrain, as one text")
    parser.add_argument("--fit", default="", help="further options of fit, as one text")
    options = parser.parse_args(arguments)
    study = STUDIES / options.study
    directory = options.output or Path(__file__).parent / "results" / options.study
    directory.mkdir(parents=True, exist_ok=True)
    prepare(study, options.column, options.group, options.seed, directory)
    directory = directory.resolve()
    took = run_flow(
        study, options.column, options.group, directory, shlex.split(options.pretrain), shlex.split(options.fit)
    )
    found = scores(study, options.column, directory)
    table = pd.DataFrame(took).round(2)
    lines = [f"## {options.study}, {options.column} by {options.group}", "", *markdown(table), ""]
    lines += markdown(pd.DataFrame(found).T.round(3).reset_index(names="method"))
    (directory / "result.json").write_text(json.dumps({"commands": took, "scores": found}, indent=1) + "\n")
    (directory / "result.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def markdown(table: pd.DataFrame) -> list[str]:
    """Lines of a Markdown table."""
    rows = [table.columns, ["---"] * len(table.columns), *table.astype(object).fillna("").to_numpy()]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]


if __name__ == "__main__":
    main()
