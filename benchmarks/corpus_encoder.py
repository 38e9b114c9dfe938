"""An encoder of other studies: pretrained on the studies of `../shared/data/corpus`, none of which `skill.py` judges.

Of each study the samples and the commonest ASVs that the options allow, the first 150 nucleotides of each. A region of
the gene has a tree of its own (mafft, FastTree, midpoint), and the trees hang from one root: sequences that do not
overlap cannot be aligned. Alignment and tree are kept in the directory, so that only what is missing is made.

    python benchmarks/corpus_encoder.py DIRECTORY
    python benchmarks/skill.py --encoder DIRECTORY/encoder
"""

import argparse
import os
import subprocess
from pathlib import Path

import biom
import numpy as np
import skbio
from skill import DATA

from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Optimization, Runtime, Training
from q2_aam.study.communities import read_sequences
from q2_aam.study.study import read_study

REGIONS = {
    "v12": ["feces-v12-192people"],
    "v34": ["feces-v34-192people", "horse-topography", "iga-bariatric-v3v4", "tonsil-oral-v3v4"],
    "v4": [
        "bees-umelliferae", "bronx-river-sediment-water", "crc-udca-stool", "cron-diet-gut", "dog-wolf-feces",
        "dust-israel", "exercise-gut", "hiv-hnrc-gut", "mackerel-bodysites", "nasopharynx-lowbiomass", "thdmi-gut",
        "vulture-carrion",
    ],
}  # fmt: skip
LENGTH = 150


def read_part(name: str, samples: int, asvs: int, seed: int) -> biom.Table:
    """Some samples of a study with its commonest ASVs, named by the study and by the sequences themselves."""
    folder = DATA / "corpus" / name
    table, sequences = biom.load_table(str(folder / "table.biom")), read_sequences(str(folder / "sequences.fasta"))
    table = table.collapse(lambda feature, _: sequences[feature][:LENGTH], axis="observation", norm=False)
    if table.shape[1] > samples:
        chosen = np.random.default_rng(seed).choice(table.ids(), samples, replace=False)
        table.filter(set(chosen), inplace=True)
    prevalence = np.diff(table.matrix_data.tocsr().indptr)
    # The commonest, ties in the order of the sequences: the same on every machine.
    ids = table.ids("observation")
    commonest = ids[np.lexsort((ids, -prevalence))[:asvs]]
    table.filter(set(commonest), axis="observation", inplace=True).remove_empty()
    return table.update_ids({sample: f"{name}.{sample}" for sample in table.ids()}, inplace=False)


def tree_of(sequences: list[str], path: Path, threads: int) -> skbio.TreeNode:
    """Rooted tree of sequences of one region; its tips are the sequences."""
    fasta, aligned, newick = (path.with_suffix(kind) for kind in (".fasta", ".aligned.fasta", ".nwk"))
    if not newick.exists():
        fasta.write_text("".join(f">{number}\n{sequence}\n" for number, sequence in enumerate(sequences)))
        with open(aligned, "w") as out:
            command = ["mafft", "--quiet", "--retree", "1", "--thread", str(threads), fasta]
            subprocess.run(command, stdout=out, check=True)
        part = path.with_suffix(".part")
        with open(part, "w") as out:
            command = ["fasttreeMP", "-quiet", "-nosupport", "-gtr", "-gamma", "-fastest", "-nt", aligned]
            subprocess.run(command, stdout=out, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        part.rename(newick)
    tree = skbio.TreeNode.read(str(newick)).root_at_midpoint()
    for tip in tree.tips():
        tip.name = sequences[int(tip.name)]
    for node in tree.traverse(include_self=True):
        node.length = max(node.length or 0.0, 0.0)
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--samples", type=int, default=300, help="at most, of a study")
    parser.add_argument("--asvs", type=int, default=2000, help="at most, of a study")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    root, tables = skbio.TreeNode(), []
    for region, names in REGIONS.items():
        parts = [read_part(name, given.samples, given.asvs, given.seed) for name in names]
        sequences = sorted(set().union(*(part.ids("observation") for part in parts)))
        print(f"{region}: {sum(part.shape[1] for part in parts)} samples, {len(sequences)} ASVs", flush=True)
        root.append(tree_of(sequences, given.directory / region, given.threads))
        tables += parts
    tree, fasta = given.directory / "tree.nwk", given.directory / "sequences.fasta"
    root.write(str(tree))
    table = tables[0].concat(tables[1:])
    fasta.write_text("".join(f">{name}\n{name}\n" for name in table.ids("observation")))
    study = read_study(table, sequences=str(fasta), phylogeny=str(tree))
    runtime = Runtime(random_seed=given.seed, threads=given.threads)
    settings = Training(Optimization(epochs=given.epochs), runtime=runtime)
    encoder = Encoder.pretrain(study, settings, run_dir=given.directory / "run")
    encoder.save(given.directory / "encoder")


if __name__ == "__main__":
    main()
