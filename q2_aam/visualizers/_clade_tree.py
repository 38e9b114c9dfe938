"""The section of the page of `show-importance` that shows where in the tree the most important clades are."""

import numpy as np
import pandas as pd

from ._importance_sections import first_of

N_TREE = 25


def clade_tree_section(page, explanation) -> None:
    """Draw the tree of the most important clades; nothing where there is no tree."""
    if explanation.tree is None or len(explanation.frame) < 2:
        return
    from ..evaluation.tree_charts import clade_tree

    tips, branches, forks = drawn_tree(explanation, N_TREE)
    what = "phylogeny" if explanation.about["groups"]["tree"] == "phylogeny" else "encoder's tree of sequences"
    page.section(
        "Where they are in the tree",
        f"The {what}, cut to the most important {explanation.noun}s: branches that lead to none of them are left out, "
        "and each is drawn as one tip. The size of a point is the importance, its colour the direction"
        + (f" (of '{explanation.classes[0]}')." if explanation.classes else "."),
    )
    caption = f"{first_of(len(explanation.frame), len(tips), explanation.noun + 's')}Point at one to see more of it."
    changed = "probability" if explanation.classes else "prediction"
    page.chart("tree", clade_tree(tips, branches, forks, changed), caption=caption, data="importance.tsv")


def drawn_tree(explanation, most: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tips, branches and forks of the tree of the most important clades, as they are drawn."""
    from ..evaluation.tree_charts import place_nodes

    tree, frame = explanation.tree, explanation.frame
    node_of = pd.Series(np.arange(len(tree)), tree.names)
    node_of = node_of[~node_of.index.duplicated()]
    # Features that are no tip leave, too, but are nowhere in the tree.
    names = frame.index[frame.index.isin(node_of.index)][:most]
    collapsed = collapse(tree, node_of[names].to_numpy())
    parents, x, y = place_nodes(collapsed.sizes, collapsed.lengths)
    tips = np.flatnonzero(collapsed.sizes == 1)
    shown = frame.loc[collapsed.names[tips]]
    columns = [name for name in ("label", "importance", "samples", "asvs", "taxon") if name in shown]
    first = next(iter(explanation.effect_columns))
    table = shown[columns].assign(feature=shown.index, effect=shown[first], x=x[tips], y=y[tips])
    branches = pd.DataFrame({"x": x[parents[1:]], "end": x[1:], "y": y[1:]})
    ends = pd.DataFrame({"node": parents[1:], "y": y[1:]}).groupby("node")["y"].agg(["min", "max"])
    forks = pd.DataFrame({"x": x[ends.index], "y": ends["min"].to_numpy(), "end": ends["max"].to_numpy()})
    return table.reset_index(drop=True), branches, forks


def collapse(tree, nodes: np.ndarray):
    """A tree with some nodes, none inside another, as its only tips."""
    from ..study.phylogeny import Phylogeny

    kept = np.ones(len(tree), dtype=bool)
    for node in nodes:
        kept[node + 1 : node + tree.sizes[node]] = False
    before = np.append(0, np.cumsum(kept))
    number = np.flatnonzero(kept)
    sizes = before[number + tree.sizes[number]] - before[number]
    return Phylogeny(sizes, tree.lengths[kept], tree.names[kept]).cut(np.sort(before[nodes]))
