"""Studies of simulated communities on the reference tree, as one survey after the other would see them."""

import biom
import numpy as np
import scipy.sparse as sp
from communities import clades, draw_clades, simulate_communities
from greengenes import Greengenes

from q2_aam.study.phylogeny import Phylogeny
from q2_aam.study.study import Study, read_study

# The same communities seen in several ways, side by side.
MIXED = (
    (("v4", 150, 0), ("v34", 150, 0)),
    (("v4", 150, 0), ("v4", 250, 0), ("v4", 100, 0)),
    (("v12", 150, 0), ("v34", 150, 0)),
)

# Regions by how often surveys sequence them, and shortest and longest read of each.
REGIONS = {"v4": (0.6, 90, 254), "v34": (0.25, 120, 430), "v12": (0.15, 120, 320)}
# Share of sets that begin at the primer; the others begin up to so many nucleotides late.
AT_PRIMER, LATEST = 0.6, 13
# Samples of one sequence each in a study of these, and tips of a clade among them.
ALONE, TIPS_OF_A_CLADE = 512, 60


def draw_view(rng: np.random.Generator) -> tuple[str, int, int]:
    """A region, a length of reads and where they begin, as somebody's survey may have them."""
    name = rng.choice(list(REGIONS), p=[share for share, *_ in REGIONS.values()])
    start = 0 if rng.random() < AT_PRIMER else rng.integers(1, LATEST + 1)
    # Most reads in the wild are of 150.
    usual = rng.random() < 0.4
    return str(name), 150 if usual else int(rng.integers(*REGIONS[name][1:])), int(start)


def sequence_study(reference: Greengenes, view: tuple[str, int, int], seed: int | list[int]) -> Study:
    """Samples of one sequence each, of a few large clades or of many: their distances are those in the tree."""
    rng = np.random.default_rng(seed)
    texts = reference.region(*view)
    usable = texts != ""
    first, last = clades(reference.tree, usable)
    places = np.flatnonzero(usable)
    number = min(len(first), int(np.exp(rng.uniform(np.log(8), np.log(200)))))
    drawn = draw_clades(first, last, number, rng)
    tips = np.concatenate([rng.permutation(np.arange(first[c], last[c]))[:TIPS_OF_A_CLADE] for c in drawn])
    tips = places[np.unique(rng.permutation(tips)[:ALONE])]
    names = reference.names[tips]
    table = biom.Table(sp.identity(len(tips), format="csr"), names, [f"s{name}" for name in names])
    tree = reference.tree.cut(reference.tree.tips()[tips])
    return read_study(table, dict(zip(names, texts[tips], strict=True)), phylogeny=tree)


def sequence_studies(reference: Greengenes, studies: int, seed: int) -> dict[str, Study]:
    """Studies of single sequences, each seen in a way of its own."""
    ways = [draw_view(np.random.default_rng([seed, number, 1])) for number in range(studies)]
    return {f"sequences{number}": sequence_study(reference, way, [seed, number]) for number, way in enumerate(ways)}


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


def reference_studies(reference: Greengenes, studies: int, samples: int, seed: int) -> dict[str, Study]:
    """Studies each seen in a way of its own, and some seen in several ways side by side."""
    found, ways = {}, [draw_view(np.random.default_rng([seed, number, 2])) for number in range(studies)]
    for number, views in enumerate([*((way,) for way in ways), *MIXED]):
        name = "+".join(f"{region}-{length}-{start}" for region, length, start in views)
        found[f"reference{number}-{name}"] = reference_study(reference, views, samples, [seed, number])
    return found
