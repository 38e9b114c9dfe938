"""Greengenes 13_8, 97% (`qiime-default-reference` of PyPI): a tree of 99,322 16S genes, and regions of these.

Any two sequences have an exact place in one tree, also where they are of different regions of the gene.
"""

import gzip
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import skbio

from q2_aam.encoder.plausibility import PRIMERS
from q2_aam.study.communities import read_sequences
from q2_aam.study.phylogeny import Phylogeny, read_phylogeny

PACKAGE = "qiime-default-reference==0.1.3"
INSIDE = "qiime-default-reference-0.1.3/qiime_default_reference/gg_13_8_otus"
FILES = {"tree": "trees/97_otus.tree.gz", "sequences": "rep_set/97_otus.fasta.gz"}
# Where a region begins: behind the forward primer.
FORWARD = {"v12": "27F", "v34": "341F", "v4": "515F"}
# And where it ends at the latest: before the reverse primer, as the sequence reads there.
ENDS = {
    "v12": "ACTCCTACGGGAGGCAGC",  # 338R
    "v34": "GGATTAGATACCCBDGTAGTC",  # 805R
    "v4": "ATTAGAWACCCBNGTAGTCC",  # 806R
}


@dataclass(frozen=True)
class Greengenes:
    """The tree, and the sequence of each of its tips.

    Attributes
    ----------
    tree : Phylogeny
    sequences : np.ndarray
        Object (str) ``[T]``, in the order of the tree's tips.
    """

    tree: Phylogeny
    sequences: np.ndarray

    def without(self, fasta: Path) -> "Greengenes":
        """The same without the tips that a study holds: by their IDs, and those of the same V4 region.

        soil88's features are tips of this tree, and its phylogeny is this tree's.
        """
        theirs = read_sequences(str(fasta))
        known = np.isin(self.names, list(theirs))
        known |= np.isin(self.region("v4", max(map(len, theirs.values()))), list(theirs.values()))
        return Greengenes(self.tree.cut(self.tree.tips()[~known]), self.sequences[~known])

    @cached_property
    def names(self) -> np.ndarray:
        """Names of the tips, object (str) ``[T]``."""
        return self.tree.names[self.tree.tips()]

    def region(self, name: str, length: int, start: int = 0) -> np.ndarray:
        """A region of each sequence, object (str) ``[T]``; empty where its primer is not found or it is shorter.

        Parameters
        ----------
        name : {'v12', 'v34', 'v4'}
        length : int
            Nucleotides at most.
        start : int
            Nucleotides left out behind the primer.
        """
        found = []
        for whole, ended in self._whole[name]:
            text = whole[start : start + length]
            # A region that is not reached to its end, or that no primer ends, is not what a survey would hold.
            found.append(text if (len(text) == length or ended) and set(text) <= set("ACGT") else "")
        return np.array(found, dtype=object)

    @cached_property
    def _whole(self) -> dict[str, list[tuple[str, bool]]]:
        """Each sequence behind the primer of each region, and whether the region's end was found."""
        found = {}
        for name, primer in FORWARD.items():
            begin, end = (skbio.DNA(text).to_regex() for text in (PRIMERS[primer], ENDS[name]))
            found[name] = []
            for sequence in self.sequences:
                at = begin.search(sequence)
                last = at and end.search(sequence, at.end())
                stop = last.start() if last else len(sequence)
                found[name].append((sequence[at.end() : stop] if at else "", bool(last)))
        return found


def download(directory: Path) -> Path:
    """The files of PyPI's package, unpacked into a directory; nothing is done where they are."""
    folder = directory / INSIDE
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--dest", str(directory), PACKAGE], check=True)
        (archive,) = directory.glob("qiime-default-reference-*.tar.gz")
        with tarfile.open(archive) as files:
            files.extractall(directory)
    return folder


def read(directory: Path) -> Greengenes:
    """The reference, downloaded into a directory where it is not there."""
    folder = download(directory)
    newick = directory / "97_otus.nwk"
    if not newick.exists():
        newick.write_bytes(gzip.decompress((folder / FILES["tree"]).read_bytes()))
    tree = read_phylogeny(str(newick))
    texts = gzip.decompress((folder / FILES["sequences"]).read_bytes()).decode().split(">")[1:]
    sequences = {head: "".join(lines) for head, *lines in (text.split("\n") for text in texts)}
    return Greengenes(tree, np.array([sequences[name] for name in tree.names[tree.tips()]], dtype=object))
