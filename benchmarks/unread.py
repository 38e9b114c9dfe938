"""Distances that an encoder predicts among samples of studies that it has not read, beside exact UniFrac.

Exact distances are by the study's own tree, or by one of mafft and FastTree, which is kept in `--trees`.

    python benchmarks/unread.py ENCODER
"""

import argparse
from pathlib import Path

import biom
import numpy as np
from corpus_encoder import tree_of
from report import RESULTS, markdown, write_section
from skill import DATA

from q2_aam.encoder.encoder import Encoder
from q2_aam.study.communities import read_sequences
from q2_aam.study.study import read_study

STUDIES = (
    "ecam-infant-age", "ibd-crohns-families", "soil88-ph", "colombia-gut-250", "pancreatitis-gut",
    "nasopharynx-children", "horse-feces-colitis", "spacecraft-cleanroom", "chronic-fatigue-gut",
)  # fmt: skip


def phylogeny_of(folder: Path, sequences: dict[str, str], trees: Path, threads: int) -> Path:
    """A study's own tree, or one that is made."""
    own, made = folder / "tree.nwk", trees / f"{folder.name}.nwk"
    if own.exists():
        return own
    if not made.exists():
        trees.mkdir(parents=True, exist_ok=True)
        names = sorted(sequences)
        tree = tree_of([sequences[name] for name in names], trees / f"{folder.name}-parts", threads)
        of = dict(zip((sequences[name] for name in names), names, strict=True))
        for tip in tree.tips():
            tip.name = of[tip.name]
        tree.write(str(made))
    return made


def judge(encoder: Encoder, folder: Path, trees: Path, most: int, threads: int) -> dict:
    """r and RMSE of the distances among a study's samples, or some of them."""
    table = biom.load_table(str(folder / "table.biom"))
    if table.shape[1] > most:
        chosen = np.random.default_rng(0).choice(table.ids(), most, replace=False)
        table = table.filter(set(chosen), inplace=False)
    table.remove_empty("observation")
    fasta = folder / "sequences.fasta"
    sequences = {name: text for name, text in read_sequences(str(fasta)).items() if table.exists(name, "observation")}
    tree = phylogeny_of(folder, read_sequences(str(fasta)), trees, threads)
    study = read_study(table, sequences=str(fasta), phylogeny=str(tree), max_length=encoder.max_length)
    pairs = np.triu_indices(len(study), 1)
    true = study.unifrac(encoder.metric_for("auto"))(np.arange(len(study)))[pairs]
    off = (predicted := encoder.embed(study).distances()[pairs]) - true
    return {
        "study": folder.name,
        "samples": len(study),
        "ASVs": len(sequences),
        "r": f"{np.corrcoef(predicted, true)[0, 1]:.3f}",
        "RMSE": f"{np.sqrt(np.mean(off**2)):.3f}",
        "mean difference": f"{off.mean():+.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--studies", nargs="+", default=STUDIES)
    parser.add_argument("--samples", type=int, default=150, help="at most, of a study")
    parser.add_argument("--trees", type=Path, default=RESULTS / "trees")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    encoder = Encoder.load(given.encoder)
    rows = []
    for name in given.studies:
        rows.append(judge(encoder, DATA / name, given.trees, given.samples, given.threads))
        print(rows[-1], flush=True)
    write_section("unread", markdown(rows))


if __name__ == "__main__":
    main()
