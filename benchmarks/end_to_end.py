"""The main job on a real study through the `qiime` program: seconds, peak memory and scores of new samples.

Whole groups (a fifth of the samples) are kept apart; nothing of them is seen in fitting. Prints and writes what each
command took, those of q2-sample-classifier on the same tables beside them, the scores of both on the samples kept
apart, and how well their UniFrac distances are predicted. With `--pretrain` an encoder is pretrained first.

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

from q2_aam.evaluation import baselines, metrics
from q2_aam.framework import Artifact, qiime2
from q2_aam.predictor import Predictor
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
    study: Path, column: str, group: str, seed: int, directory: Path, pretrain: list[str] | None, fit: list[str]
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
    numeric = qiime2.Metadata.load(metadata).get_column(column).type == "numeric"
    forest_fit, forest_predict = (
        ("fit-regressor", "predict-regression") if numeric else ("fit-classifier", "predict-classification")
    )
    encoder, log = [], []
    if pretrain is None:
        imports.pop()
    else:
        encoder = ["--i-encoder", "encoder.qza"]
        log = [["aam", "summarize-training", "--i-training-log", "log.qza", "--o-visualization", "log.qzv"]]
    flow = [
        ["aam", "split-samples", "--i-table", "all.qza", *target, *groups, "--p-share", "0.2", "--p-random-seed",
         str(seed), "--p-missing-samples", "ignore", "--o-train-table", "train.qza", "--o-test-table", "new.qza"],
        ["aam", "pretrain", "--i-table", "train.qza", *sequences, "--i-phylogeny", "P.qza", "--o-model", "encoder.qza",
         "--o-training-log", "log.qza", "--verbose", *(pretrain or [])],
        ["aam", "fit", "--i-table", "train.qza", *sequences, *encoder, *target, *groups,
         "--o-model", "model.qza", "--o-predictions", "oof.qza", "--o-certainty", "oof-certainty.qza", "--verbose",
         *fit],
        ["aam", "predict", "--i-table", "new.qza", *sequences, "--i-model", "model.qza", "--o-predictions", "pred.qza",
         "--o-certainty", "cert.qza", "--o-novelty", "nov.qza", "--verbose"],
        ["aam", "evaluate", "--i-predictions", "pred.qza", "--i-certainty", "cert.qza", *target,
         "--o-visualization", "pred.qzv"],
        *log,
        ["sample-classifier", forest_fit, "--i-table", "train.qza", *target, "--p-random-state", "0", "--p-n-jobs", "2",
         "--p-missing-samples", "ignore", "--o-sample-estimator", "rf.qza", "--o-feature-importance", "imp.qza"],
        ["sample-classifier", forest_predict, "--i-table", "new.qza", "--i-sample-estimator", "rf.qza", "--p-n-jobs",
         "2", "--o-predictions", "rf-pred.qza", *([] if numeric else ["--o-probabilities", "rf-prob.qza"])],
    ]  # fmt: skip
    if pretrain is None:
        flow.pop(1)
    return [timed(directory, command) for command in [*imports, *flow]]


def scores(study: Path, column: str, directory: Path) -> dict:
    """Scores on the samples kept apart: ours, those of q2-sample-classifier and the trivial one, and UniFrac's."""
    truth = qiime2.Metadata.load(str(study / "metadata.tsv")).get_column(column)
    train, new = (Artifact.load(str(directory / f"{name}.qza")).view(biom.Table) for name in ("train", "new"))
    values = truth.to_series()
    kind = truth.type
    methods = {
        name: Artifact.load(str(directory / file)).view(pd.Series).loc[new.ids()]
        for name, file in (("q2-aam", "pred.qza"), ("q2-sample-classifier", "rf-pred.qza"))
    }
    counts = train.matrix_data.T.tocsr(), values[train.ids()], sp.csr_matrix((len(new.ids()), train.shape[0]))
    methods["trivial"] = baselines.trivial(*counts, kind=kind).predicted
    score = metrics.regression_scores if kind == "numeric" else metrics.classification_scores
    names = ("r2", "mae", "spearman") if kind == "numeric" else ("balanced_accuracy", "accuracy")
    result = {m: {n: score(values[new.ids()], p)[n] for n in names} for m, p in methods.items()}

    model = Artifact.load(str(directory / "model.qza")).view(AAMModelDirectoryFormat)
    encoder = Predictor.load(str(model)).encoder
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
    parser.add_argument("--pretrain", help="pretrain an encoder first, with these further options, as one text")
    parser.add_argument("--fit", default="", help="further options of fit, as one text")
    options = parser.parse_args(arguments)
    study = STUDIES / options.study
    directory = options.output or Path(__file__).parent / "results" / options.study
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    pretrain = None if options.pretrain is None else shlex.split(options.pretrain)
    further = pretrain, shlex.split(options.fit)
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
