"""The main job on a real study through the `qiime` program: seconds, peak memory and scores of new samples.

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

from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation import baselines, metrics
from q2_aam.framework import Artifact, qiime2
from q2_aam.study.study import read_study
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


def run_flow(
    study: Path, column: str, group: str, seed: int, directory: Path, pretrain: list[str], fit: list[str]
) -> list[dict]:
    """From `qiime tools import` to the .qzv, with what each command took."""
    metadata = str(study / "metadata.tsv")
    target = ["--m-metadata-file", metadata, "--m-metadata-column", column]
    groups = ["--m-groups-file", metadata, "--m-groups-column", group]
    imports = [
        ["tools", "import", "--type", kind, "--input-path", str(study / path), "--output-path", output]
        for kind, path, output in (
            ("FeatureTable[Frequency]", "table.biom", "all.qza"),
            ("FeatureData[Sequence]", "sequences.fasta", "S.qza"),
            ("Phylogeny[Rooted]", "tree.nwk", "P.qza"),
        )
    ]
    imports[0] += ["--input-format", "BIOMV210Format"]
    sequences = ["--i-sequences", "S.qza"]
    flow = [
        ["aam", "split-samples", "--i-table", "all.qza", *target, *groups, "--p-share", "0.2", "--p-random-seed",
         str(seed), "--p-missing-samples", "ignore", "--o-train-table", "train.qza", "--o-test-table", "new.qza"],
        ["aam", "pretrain", "--i-table", "train.qza", *sequences, "--i-phylogeny", "P.qza", "--o-model", "encoder.qza",
         "--o-training-log", "log.qza", "--verbose", *pretrain],
        ["aam", "fit", "--i-table", "train.qza", *sequences, "--i-encoder", "encoder.qza", *target, *groups,
         "--o-model", "model.qza", "--o-predictions", "oof.qza", "--o-certainty", "oof-certainty.qza", "--verbose",
         *fit],
        ["aam", "predict", "--i-table", "new.qza", *sequences, "--i-model", "model.qza", "--o-predictions", "pred.qza",
         "--o-certainty", "cert.qza", "--o-novelty", "nov.qza", "--verbose"],
        ["aam", "evaluate", "--i-predictions", "pred.qza", "--i-certainty", "cert.qza", *target,
         "--o-visualization", "pred.qzv"],
        ["aam", "summarize-training", "--i-training-log", "log.qza", "--o-visualization", "log.qzv"],
    ]  # fmt: skip
    return [timed(directory, command) for command in [*imports, *flow]]


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
    counts = (train.matrix_data.T.tocsr(), values[train.ids()], new_counts)
    methods = {
        "q2-aam": predicted,
        "forest": baselines.random_forest(*counts, kind=kind, n_jobs=2).predicted,
        "trivial": baselines.trivial(*counts, kind=kind).predicted,
    }
    score = metrics.regression_scores if kind == "numeric" else metrics.classification_scores
    names = ("r2", "mae", "spearman") if kind == "numeric" else ("balanced_accuracy", "accuracy")
    result = {m: {n: score(values[new.ids()], p)[n] for n in names} for m, p in methods.items()}

    encoder = Encoder.load(str(Artifact.load(str(directory / "encoder.qza")).view(AAMModelDirectoryFormat)))
    files = {"sequences": study / "sequences.fasta", "phylogeny": study / "tree.nwk"}
    read = read_study(new, **files, max_length=encoder.max_length)
    pairs = np.triu_indices(len(read), 1)
    distances, true = encoder.embed(read).distances()[pairs], read.unifrac()(np.arange(len(read)))[pairs]
    result["unifrac"] = {
        "r": float(np.corrcoef(distances, true)[0, 1]),
        "rmse": float(np.sqrt(np.mean((distances - true) ** 2))),
        "samples": len(read),
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
    directory = directory.resolve()
    further = shlex.split(options.pretrain), shlex.split(options.fit)
    took = run_flow(study, options.column, options.group, options.seed, directory, *further)
    scored = scores(study, options.column, directory)
    table = pd.DataFrame(took).round(2)
    lines = [f"## {options.study}, {options.column} by {options.group}", "", *markdown(table), ""]
    lines += markdown(pd.DataFrame(scored).T.round(3).reset_index(names="method"))
    (directory / "result.json").write_text(json.dumps({"commands": took, "scores": scored}, indent=1) + "\n")
    (directory / "result.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def markdown(table: pd.DataFrame) -> list[str]:
    """Lines of a Markdown table."""
    rows = [table.columns, ["---"] * len(table.columns), *table.astype(object).fillna("").to_numpy()]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]


if __name__ == "__main__":
    main()
