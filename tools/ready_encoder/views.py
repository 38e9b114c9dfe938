"""Studies of simulated communities on the reference tree, as one survey after the other would see them."""

import biom
import numpy as np
import scipy.sparse as sp
from communities import simulate_communities
from greengenes import Greengenes

from q2_aam.study.phylogeny import Phylogeny
from q2_aam.study.study import Study, read_study

# Region, nucleotides, and nucleotides left out where it begins (sets in the wild begin up to 13 late).
VIEWS = (
    ("v4", 150, 0), ("v4", 150, 0), ("v4", 150, 0), ("v4", 100, 0), ("v4", 250, 0), ("v4", 120, 5), ("v4", 150, 13),
    ("v34", 150, 0), ("v34", 150, 0), ("v34", 250, 0), ("v34", 400, 0), ("v12", 150, 0), ("v12", 250, 0),
)  # fmt: skip
# The same communities seen in several ways, side by side.
MIXED = (
    (("v4", 150, 0), ("v34", 150, 0)),
    (("v4", 150, 0), ("v4", 250, 0), ("v4", 100, 0)),
    (("v12", 150, 0), ("v34", 150, 0)),
)


def split_tips(tree: Phylogeny, parts: int) -> Phylogeny:
    """Each tip as a node with so many tips of length 0 below, named by the tip and a number."""
    is_tip = tree.sizes == 1
    before = np.concatenate([[0], np.cumsum(is_tip)])
    tips_below = before[np.arange(len(tree)) + tree.sizes] - before[:-1]
    repeats = np.where(is_tip, 1 + parts, 1)
    place = np.cumsum(repeats) - repeats
    sizes, lengths = np.ones(repeats.sum(), dtype=np.int64), np.zeros(repeats.sum())
    names = np.full(repeats.sum(), None, dtype=object)
    sizes[place], lengths[place] = tree.sizes + parts * tips_below, tree.lengths
    for part in range(parts):
        names[place[is_tip] + 1 + part] = [f"{name}.{part}" for name in tree.names[is_tip]]
    return Phylogeny(sizes, lengths, names)


def reference_study(reference: Greengenes, views: tuple, samples: int, seed: int | list[int]) -> Study:
    """Communities of which each sample is seen in one of some ways, in turn.

    Tips that are not there in all of these are in no sample.
    """
    seen = [reference.region(*view) for view in views]
    usable = np.logical_and.reduce([texts != "" for texts in seen])
    counts = simulate_communities(reference.tree, usable, samples, seed)
    tips = np.unique(counts.indices)
    tree = reference.tree.cut(reference.tree.tips()[tips])
    # Cut, the tips are in the same order.
    tree = split_tips(tree, len(views))
    blocks, sequences = [], {}
    for part, texts in enumerate(seen):
        kept = np.arange(samples) % len(views) == part
        blocks.append(sp.diags(kept.astype(float)) @ counts[:, tips])
        sequences |= {f"{reference.names[tip]}.{part}": texts[tip] for tip in tips}
    table = biom.Table(sp.hstack(blocks).T.tocsr(), list(sequences), [f"s{number}" for number in range(samples)])
    return read_study(table.remove_empty(), sequences, phylogeny=tree)


def reference_studies(reference: Greengenes, samples: int, seed: int) -> dict[str, Study]:
    """A study of each view, and of those side by side."""
    found = {}
    for number, views in enumerate([*((view,) for view in VIEWS), *MIXED]):
        name = "+".join(f"{region}-{length}-{start}" for region, length, start in views)
        found[f"reference{number}-{name}"] = reference_study(reference, views, samples, [seed, number])
    return found
