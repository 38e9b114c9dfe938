"""Learning from many samples: seconds and memory of `fit`, `predict` and `predict-baselines` of a simulated survey.

Four fifths of the samples are learnt from, the others predicted, a number and three classes. Each action runs in a
process of its own, from files, as `qiime` runs it; the encoder was pretrained on 300 samples for an epoch.

    python benchmarks/many_samples.py --samples 20000
"""

import argparse
import tempfile
from pathlib import Path

import biom
import numpy as np
import pandas as pd
from large_survey import simulate
from report import markdown, measured, write_results, write_section

from q2_aam.framework import qiime2

SECTION = "many-samples"
KINDS = {"numeric": "amount", "categorical": "kind"}


def write_study(directory: Path, samples: int) -> dict:
    """The survey as files, its columns told by how much of a sample the commonest ASVs are; gives its sizes."""
    survey = simulate(samples)
    survey.write(directory)
    presence = (survey.table.matrix_data > 0).astype(np.float64)
    common = np.argsort(-np.asarray(presence.sum(1)).ravel(), kind="stable")[:40]
    rng = np.random.default_rng(0)
    amount = rng.normal(size=40) @ presence.tocsr()[common].toarray()
    amount = amount / amount.std() + rng.normal(size=samples)
    kind = pd.cut(amount, np.quantile(amount, [0, 0.5, 0.85, 1]), labels=["a", "b", "c"], include_lowest=True)
    columns = {"amount": amount, "kind": kind.astype(str)}
    pd.DataFrame(columns, index=pd.Index(survey.table.ids(), name="sample-id")).to_csv(
        directory / "metadata.tsv", sep="\t"
    )
    return {"samples": samples, "asvs": survey.table.shape[0]}


def parts(directory: Path) -> tuple[biom.Table, biom.Table]:
    """Samples to learn from, and new ones."""
    table = biom.load_table(str(directory / "table.biom"))
    ids, first = table.ids(), len(table.ids()) * 4 // 5
    return tuple(
        table.filter(set(some), inplace=False).remove_empty("observation") for some in (ids[:first], ids[first:])
    )


def column(directory: Path, name: str, table: biom.Table):
    """A column of the metadata, of a table's samples."""
    return qiime2.Metadata.load(str(directory / "metadata.tsv")).get_column(name).filter_ids(list(table.ids()))


def run_pretrain(directory: Path, threads: int) -> None:
    """An encoder of the default sizes, hardly trained."""
    from q2_types.feature_data import DNAFASTAFormat
    from q2_types.tree import NewickFormat

    from q2_aam.actions.pretrain import pretrain

    old, _ = parts(directory)
    some = old.filter(set(old.ids()[:300]), inplace=False).remove_empty("observation")
    files = DNAFASTAFormat(str(directory / "sequences.fasta"), "r"), NewickFormat(str(directory / "tree.nwk"), "r")
    encoder, _ = pretrain(some, files[1], sequences=files[0], epochs=1, threads=threads)
    encoder.save(str(directory / "encoder"))


def run_fit(directory: Path, kind: str, threads: int) -> None:
    from q2_types.feature_data import DNAFASTAFormat

    from q2_aam.actions.fit import fit
    from q2_aam.types import AAMModelDirectoryFormat

    old, _ = parts(directory)
    sequences = DNAFASTAFormat(str(directory / "sequences.fasta"), "r")
    encoder = AAMModelDirectoryFormat(str(directory / "encoder"), "r")
    model, *_ = fit(old, column(directory, KINDS[kind], old), sequences=sequences, encoder=encoder, threads=threads)
    model.save(str(directory / kind))


def run_predict(directory: Path, kind: str, threads: int) -> pd.Series:
    from q2_types.feature_data import DNAFASTAFormat

    from q2_aam.actions.predict import predict
    from q2_aam.types import AAMModelDirectoryFormat

    _, new = parts(directory)
    sequences = DNAFASTAFormat(str(directory / "sequences.fasta"), "r")
    return predict(new, AAMModelDirectoryFormat(str(directory / kind), "r"), sequences, threads=threads)[0]


def run_baselines(directory: Path, kind: str, threads: int) -> pd.DataFrame:
    from q2_types.tree import NewickFormat

    from q2_aam.actions.predict_baselines import predict_baselines

    old, new = parts(directory)
    phylogeny = NewickFormat(str(directory / "tree.nwk"), "r")
    return predict_baselines(
        old, new, metadata=column(directory, KINDS[kind], old), phylogeny=phylogeny, threads=threads
    )


def score(directory: Path, kind: str, predicted: pd.Series) -> float:
    """R2 or balanced accuracy."""
    from q2_aam.evaluation.metrics import classification_scores, regression_scores

    truth = pd.read_csv(directory / "metadata.tsv", sep="\t", index_col=0)[KINDS[kind]][predicted.index]
    if kind == "numeric":
        return regression_scores(truth, predicted)["r2"]
    return classification_scores(truth, predicted)["balanced_accuracy"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        sizes = measured(write_study, directory, given.samples).value
        measured(run_pretrain, directory, given.threads)
        for kind in given.kinds:
            for job in (run_fit, run_predict, run_baselines):
                took = measured(job, directory, kind, given.threads)
                found = took.value
                found = found.to_frame("q2-aam") if isinstance(found, pd.Series) else found
                scores = {} if found is None else {name: score(directory, kind, found[name]) for name in found}
                shown = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
                row = {"column": kind, "action": job.__name__.removeprefix("run_"), **took.row(), "scores": shown}
                rows.append({key: f"{value:,.0f}" if isinstance(value, float) else value for key, value in row.items()})
                print(rows[-1], flush=True)
    text = (
        f"`python benchmarks/many_samples.py --samples {given.samples}`, {given.threads} threads, {sizes['asvs']:,} "
        "ASVs; four fifths of the samples are learnt from.\n\n" + markdown(rows)
    )
    write_results(SECTION, {"sizes": sizes, "rows": rows})
    write_section(SECTION, text)


if __name__ == "__main__":
    main()
