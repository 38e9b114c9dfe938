"""Public surveys that the encoder reads, each with a tree of its own: its source's, or one of mafft and FastTree."""

import hashlib
import os
import subprocess
from pathlib import Path

import biom
import numpy as np
import skbio

from q2_aam.study.communities import read_sequences
from q2_aam.study.phylogeny import read_phylogeny
from q2_aam.study.study import Study, read_study

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
# Nucleotides of longer reads that make another study of the same samples.
USUAL = 150


def folders(data: Path = DATA) -> dict[str, Path]:
    """Folder of each survey that may be read, by its name. The evaluation studies are not among them."""
    found = sorted(path for path in (data / "corpus").iterdir() if path.is_dir())
    return {path.name: path for path in [*found, data / "moving-pictures-bodysite", data / "oral-saliva-ph"]}


def tree_of(sequences: dict[str, str], path: Path, threads: int) -> Path:
    """A rooted tree of sequences of one region by mafft and FastTree, made where there is none of them yet."""
    names = sorted(sequences)
    text = "".join(f">{name}\n{sequences[name]}\n" for name in names)
    path = path.with_suffix(f".{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}.nwk")
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    fasta, aligned, part = (path.with_suffix(kind) for kind in (".fasta", ".aligned.fasta", ".part"))
    fasta.write_text("".join(f">{number}\n{sequences[name]}\n" for number, name in enumerate(names)))
    many = ["--retree", "1"] if len(names) > 3000 else []
    with open(aligned, "w") as out:
        command = ["mafft", "--quiet", *many, "--thread", str(threads), fasta]
        subprocess.run(command, stdout=out, check=True)
    with open(part, "w") as out:
        fast = ["-fastest"] if many else []
        command = ["fasttreeMP", "-quiet", "-nosupport", "-gtr", *fast, "-nt", aligned]
        subprocess.run(command, stdout=out, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    tree = skbio.TreeNode.read(str(part)).root_at_midpoint()
    for node in tree.traverse(include_self=True):
        node.length = max(node.length or 0.0, 0.0)
        node.name = names[int(node.name)] if node.is_tip() else None
    tree.write(str(part))
    part.rename(path)
    return path


def survey(
    folder: Path,
    trees: Path,
    most: int,
    seed: int,
    threads: int,
    length: int | None = None,
    half: int | None = None,
    source_tree: bool = True,
) -> Study:
    """A survey's samples, or some of them, with its tree; its sequences cut to a length where one is given.

    The samples of `half` 0 are not among those of `half` 1. Where the source has no tree, or its own is not wanted, it
    is one of mafft and FastTree.
    """
    table = biom.load_table(str(folder / "table.biom"))
    sequences = read_sequences(str(folder / "sequences.fasta"))
    name, own = folder.name, folder / "tree.nwk"
    if length is not None:
        table = table.collapse(lambda feature, _: sequences[feature][:length], axis="observation", norm=False)
        sequences, name = {text: text for text in table.ids("observation")}, f"{folder.name}-{length}"
    if length is not None or not own.exists() or not source_tree:
        # Of all samples, so that the tree does not depend on which are drawn.
        own = tree_of(sequences, trees / f"{name}.nwk", threads)
    chosen = np.random.default_rng(seed).permutation(table.ids())
    if half is not None:
        chosen = chosen[half::2]
    table.filter(set(chosen[:most]), inplace=True).remove_empty()
    return read_study(table, sequences, phylogeny=read_phylogeny(str(own)))


def surveys(directory: Path, most: int, seed: int, threads: int, without: list[str]) -> dict[str, Study]:
    """Studies of all surveys but some; those of long reads also as reads of the usual length."""
    found = {}
    for name, folder in folders().items():
        if name in without:
            continue
        common = folder, directory / "trees", most, seed, threads
        lengths = [len(text) for text in read_sequences(str(folder / "sequences.fasta")).values()]
        if np.median(lengths) > USUAL + 20:
            # Other samples, so that none is both learnt from and validated by.
            found[name] = survey(*common, half=0)
            found[f"{name}-{USUAL}"] = survey(*common, USUAL, half=1)
        else:
            found[name] = survey(*common)
    return found
