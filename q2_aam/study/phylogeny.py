"""The phylogeny: read once, kept as a few arrays, cut down to the tips that are needed."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from q2_aam.study.tables import name_ids, repeated


@dataclass(frozen=True)
class Phylogeny:
    """A rooted tree of M nodes, in the order in which they open in its Newick text.

    Attributes
    ----------
    sizes : np.ndarray
        int64 ``[M]``, nodes of the sub-tree of each node, itself included; the root's is M, a tip's 1.
    lengths : np.ndarray
        float64 ``[M]``, length of the branch above each node. The root's is in no distance.
    names : np.ndarray
        Object (str or None) ``[M]``.
    """

    sizes: np.ndarray
    lengths: np.ndarray
    names: np.ndarray

    @classmethod
    def from_bp(cls, tree) -> "Phylogeny":
        """The same tree of a ``bp.BP``."""
        # What it is pickled by: the only way to its arrays but a call for every node.
        _, (parentheses, lengths, names) = tree.__reduce__()
        opens = parentheses.astype(bool)
        depth = np.cumsum(np.where(opens, 1, -1)) + ~opens
        # At each depth nodes open and close in turns.
        first, last = np.argsort(depth, kind="stable").reshape(-1, 2).T
        order = np.argsort(first)
        first, last = first[order], last[order]
        return cls((last - first + 1) // 2, lengths[first], names[first])

    def to_bp(self):
        """The same tree as a ``bp.BP``."""
        import bp

        closed_before = np.cumsum(np.bincount(self._ends, minlength=len(self) + 1))[: len(self)]
        opens = np.arange(len(self)) + closed_before
        parentheses = np.zeros(2 * len(self), dtype=np.uint8)
        parentheses[opens] = 1
        lengths = np.zeros(len(parentheses))
        lengths[opens] = self.lengths
        names = np.full(len(parentheses), None, dtype=object)
        names[opens] = self.names
        return bp.BP(parentheses, lengths, names)

    def __len__(self) -> int:
        return len(self.sizes)

    def to_newick(self) -> str:
        """The same tree as text, all names in quotes."""
        ends, text = self._ends, []
        open_nodes: list = []
        for node in range(len(self) + 1):
            while open_nodes and (node == len(self) or ends[open_nodes[-1]] <= node):
                last = open_nodes.pop()
                name = "" if self.names[last] is None else "'" + str(self.names[last]).replace("'", "''") + "'"
                closed = ")" if self.sizes[last] > 1 else ""
                text.append(f"{closed}{name}" + (f":{self.lengths[last]:.7g}" if open_nodes else ";\n"))
            if node < len(self):
                # A node that follows a closed one is its sibling.
                text.append("," if text and text[-1] != "(" else "")
                text.append("(" if self.sizes[node] > 1 else "")
                open_nodes.append(node)
        return "".join(text)

    def digest(self) -> str:
        """Hexadecimal BLAKE2b hash of the tree, to know it again."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.sizes, self.lengths):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\n".join(map(str, self.names)).encode())
        return digest.hexdigest()

    @cached_property
    def _ends(self) -> np.ndarray:
        """Number of the first node behind each node's sub-tree, int64 ``[M]``."""
        return np.arange(len(self)) + self.sizes

    def tips(self) -> np.ndarray:
        """Numbers of the tips, int64, ascending."""
        return np.flatnonzero(self.sizes == 1)

    def nodes_of(self, names: Collection[str]) -> np.ndarray:
        """Numbers of the tips of these names, int64; -1 where there is none. Tips' names must all be different."""
        tips = self.tips()
        tips = tips[~pd.isna(self.names[tips])]
        places = pd.Index(self.names[tips]).get_indexer(names)
        return np.where(places < 0, -1, tips[places])

    def cut(self, tips: np.ndarray) -> "Phylogeny":
        """The tree of some of its tips: branches with nothing between them become one; the root stays.

        Parameters
        ----------
        tips : np.ndarray
            int ``[K]``, numbers of tips; at least one.

        Returns
        -------
        Phylogeny
            Its tips are in the same order. The way from each of them to the root is as long as before.
        """
        selection = np.zeros(len(self), dtype=bool)
        selection[tips] = True
        before = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(selection, out=before[1:])
        nodes = np.flatnonzero(before[self._ends] > before[:-1])
        below = before[self._ends[nodes]] - before[nodes]
        # A node with an only child is followed by it, with the same tips below.
        has_only_child = np.append((below[1:] == below[:-1]) & (self.sizes[nodes[:-1]] > 1), False)
        has_only_child[0] = False  # the root: it stays, and its length is in no distance
        remaining = nodes[~has_only_child]
        sizes = np.searchsorted(remaining, self._ends[remaining]) - np.arange(len(remaining))
        # A row of only children stands together; the last of them takes the sum of their lengths.
        begins = np.flatnonzero(np.append(True, ~has_only_child[:-1]))
        return Phylogeny(sizes, np.add.reduceat(self.lengths[nodes], begins), self.names[remaining])


def read_phylogeny(path: str) -> Phylogeny:
    """Read a rooted tree.

    Parameters
    ----------
    path : str
        Newick file.

    Returns
    -------
    Phylogeny
        Where no branch has a length, all are 0.

    Raises
    ------
    ValueError
        If the file is no Newick tree or holds several, some branches have no length, or several tips have the same
        name.

    References
    ----------
    https://phylipweb.github.io/phylip/newicktree.html
    """
    with open(path, "rb") as file:
        if not file.read(10_000).strip():
            raise ValueError(f"{path} cannot be read as a Newick tree: it is empty.")
    import bp

    path = str(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            text, n_lengths = _checked(file.read().strip())
        tree = Phylogeny.from_bp(bp.parse_newick(text))
        if 0 < n_lengths < len(tree) - 1:
            # The reader would take them for 0: the features below would be in no distance.
            raise ValueError(f"{len(tree) - 1 - n_lengths} of its {len(tree) - 1} branches have no length")
    except (AssertionError, ValueError) as error:
        # Unbalanced parentheses are an AssertionError without a word.
        reason = str(error).rstrip(".") or "its parentheses do not match"
        raise ValueError(f"{path} cannot be read as a Newick tree: {reason}.") from error
    if "''" in text:
        # A quote in a name in quotes is written twice.
        names = [None if name is None else name.replace("''", "'") for name in tree.names]
        tree = replace(tree, names=np.array(names, dtype=object))
    again = repeated(tip_names(tree))
    if again:
        raise ValueError(
            f"{path} has more than one tip of the same name: {name_ids(again)}. Keep one tip of each."
        )
    return tree


def _checked(text: str) -> tuple[str, int]:
    """A Newick text without comments, and how many branches below the root have a length.

    What its reader would pass over is refused.
    """
    if text[:6].lower() == "#nexus":
        raise ValueError("it is a NEXUS file; write the tree as Newick")
    text = re.sub(rf"({_QUOTED})|\[[^\]]*\]", lambda found: found[1] or "", text)
    bare = re.sub(_QUOTED, "", text)
    if "'" in bare:
        raise ValueError("a name has an apostrophe that is not in quotes")
    if (trees := bare.count(";")) > 1:
        raise ValueError(f"it holds {trees} trees; keep one")
    lengths = re.findall(r":\s*([^(),;:]*)", bare)
    if wrong := [length.strip() for length in lengths if not _is_length(length)]:
        raise ValueError(f"{len(wrong)} lengths are no numbers: {name_ids([repr(length) for length in wrong])}")
    # The root's is in no distance.
    return text, len(lengths) - bool(re.search(r":[^(),;]*;$", bare))


# A name in single quotes; those in it are doubled.
_QUOTED = r"(?<=[(),\]])\s*'(?:[^']|'')*'"


def _is_length(text: str) -> bool:
    """Whether a text is a number, a number of the branch in braces behind it or not."""
    try:
        float(text.split("{")[0])
    except ValueError:
        return False
    return True


def tip_names(tree: Phylogeny) -> list[str]:
    """Names of a tree's tips, in the tree's order; tips without a name are left out."""
    names = tree.names[tree.tips()]
    return names[~pd.isna(names)].tolist()


def check_lengths(tree: Phylogeny) -> None:
    """Stop unless a tree's branch lengths can be used.

    Parameters
    ----------
    tree : Phylogeny
        Cut down to the tips that are needed: what is wrong elsewhere harms nobody.

    Raises
    ------
    ValueError
        If lengths are negative or not finite, or all are 0.
    """
    lengths = tree.lengths[1:]
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths < 0))
    if len(wrong):
        names = [name or "an inner node" for name in tree.names[1:][wrong]]
        raise ValueError(
            f"{len(wrong)} branches of the phylogeny have a length that is negative or not finite: "
            f"{name_ids(names)}. Give a phylogeny with lengths of at least 0."
        )
    if not lengths.any():
        raise ValueError("The phylogeny has no branch lengths. Give one that has: UniFrac sums them up.")
