"""Phylogeny, sequences and niches of a simulated survey (see `simulate.py`)."""

from dataclasses import dataclass

import numpy as np
import skbio

ROOT_TO_TIP = 0.22  # substitutions a site, mean over tips: phyla differ at a quarter of V4's sites
CLOCK_SD = 0.4  # spread (log scale) of the rate of evolution among branches
NUCLEOTIDES = np.frombuffer(b"ACGT", dtype=np.uint8)
# How frequent A, C, G and T are at each place of the V4 region behind primer 515F, in ninths: counted in the alignments
# of two public surveys (sediment, and bees beyond 150), so that an encoder of real sequences can read simulated ones.
PROFILE = (
    "0901171111006910000520011860090000000099911001000900000112220880004150000999010021200009900112278000051002859001124"
    "3300408114121180710345111089001122010090120018990001070909014126309908005621000991005201240021322432700090300091116"
    "00999001100009006990600",
    "1091001001190008000013900000205000071000004051702001700321102100071011000000076623009160086220001400921230000900431"
    "0090000002400100000100030000107730000000600000000190100000042110000070890000090000090062329001255011170009080200050"
    "90000080000000090007000",
    "1007627862703080810400088000000099906000083906090098089101440009012822908000400024780000000436720218021027100007212"
    "4300091811067409289333718900000016809109179081000607009020022551690001004306909008903610110077310321000900600707713"
    "09000907099970803000299",
    "7001200015001001088066000139704900022900000041207000210465237000822026091000412221000830003231000271016750040080333"
    "1209500072410310000310050010882131080800000900009101820070932201000020100072000000000025320900112245129000009002021"
    "00000011700020100001000",
)
PHYLOGENETIC_SIGNAL = 0.8  # share of a niche's variance that was inherited


@dataclass(frozen=True)
class Phylogeny:
    """A rooted binary tree of T tips as arrays over its M nodes.

    Parameters
    ----------
    parents : numpy.ndarray of int, [M]
        Node 0 is the root, with parent -1; a parent's number is smaller than its children's.
    lengths : numpy.ndarray of float, [M]
        Length of the branch above each node, in expected substitutions a site.
    levels : list of numpy.ndarray
        Node numbers by how many branches lie between them and the root, so that whole generations are
        computed at once.
    """

    parents: np.ndarray
    lengths: np.ndarray
    levels: list

    @property
    def tips(self):
        """Node numbers of the tips, [T], increasing."""
        return np.setdiff1d(np.arange(len(self.parents)), self.parents)

    def sum_from_root(self, steps):
        """Sum what happens on each branch, [M, K], from the root to every node.

        Parameters
        ----------
        steps : numpy.ndarray, [M, K]

        Returns
        -------
        numpy.ndarray, [M, K]
        """
        sums = np.zeros_like(steps)
        for nodes in self.levels[1:]:
            sums[nodes] = sums[self.parents[nodes]] + steps[nodes]
        return sums

    def to_tree_node(self, names):
        """Build the scikit-bio tree.

        Parameters
        ----------
        names : sequence of str, [T]
            Of the tips, in the order of `tips`.

        Returns
        -------
        skbio.TreeNode
        """
        name_of = dict(zip(self.tips, names, strict=True))
        nodes = [skbio.TreeNode(name_of.get(node), float(length)) for node, length in enumerate(self.lengths)]
        nodes[0].length = None
        for node, parent in zip(nodes[1:], self.parents[1:], strict=True):
            node.parent = nodes[parent]
            nodes[parent].children.append(node)
        return nodes[0]


def draw_phylogeny(n_tips, rng):
    """Draw a pure-birth tree whose branches evolve at rates of their own.

    Parameters
    ----------
    n_tips : int
        At least 2.
    rng : numpy.random.Generator

    Returns
    -------
    Phylogeny
    """
    n_nodes = 2 * n_tips - 1
    parents = np.full(n_nodes, -1)
    starts, ends = np.zeros(n_nodes), np.zeros(n_nodes)
    depth = np.zeros(n_nodes, dtype=int)
    lineages = np.arange(1, n_tips + 1)
    picks = rng.integers(0, lineages[:-1])
    waits = rng.exponential(1 / lineages)
    waits[0] = 0  # the root has no branch
    times = np.cumsum(waits)
    alive = [0]
    for split, pick in enumerate(picks):
        node, first = alive[pick], 2 * split + 1
        children = slice(first, first + 2)
        parents[children], depth[children] = node, depth[node] + 1
        ends[node] = starts[children] = times[split]
        alive[pick] = first
        alive.append(first + 1)
    ends[alive] = times[-1]
    lengths = (ends - starts) * rng.lognormal(0, CLOCK_SD, n_nodes)  # the root's is 0
    order = np.argsort(depth, kind="stable")
    levels = np.split(order, np.cumsum(np.bincount(depth))[:-1])
    from_root = Phylogeny(parents, lengths, levels).sum_from_root(lengths[:, None])
    return Phylogeny(parents, lengths * (ROOT_TO_TIP / from_root[alive].mean()), levels)


def profile(length):
    """How frequent A, C, G and T are at each place, float [length, 4]; longer sequences begin anew behind V4's end."""
    ninths = np.array([list(map(int, row)) for row in PROFILE], dtype=float).T
    return np.resize(ninths / ninths.sum(axis=1, keepdims=True), (length, 4))


def draw_sequences(phylogeny, length, rng):
    """Evolve nucleotides of the V4 region along the tree, where they vary in nature, to what is there in nature.

    Parameters
    ----------
    phylogeny : Phylogeny
    length : int
        Nucleotides of a sequence.
    rng : numpy.random.Generator

    Returns
    -------
    list of str, [T]
        In the order of `phylogeny.tips`; all are distinct.
    """
    parents, frequencies = phylogeny.parents, profile(length)
    # How often a drawn nucleotide is another one: substitutions a site are then the branches' lengths in the mean.
    changing = 1 - (frequencies**2).sum(axis=1)
    bounds = frequencies.cumsum(axis=1)[:, :3]
    states = np.empty((len(parents), length), dtype=np.uint8)
    states[0] = frequencies.argmax(axis=1)
    for nodes in phylogeny.levels[1:]:
        changed = rng.random((len(nodes), length)) < -np.expm1(-phylogeny.lengths[nodes, None] / changing.mean())
        drawn = (rng.random((len(nodes), length, 1)) > bounds).sum(axis=2)
        states[nodes] = np.where(changed, drawn, states[parents[nodes]])
    states = states[phylogeny.tips]
    while True:
        # ASVs are distinct by definition: siblings that did not diverge get as many substitutions as it takes
        _, first = np.unique(states, axis=0, return_index=True)
        twins = np.setdiff1d(np.arange(len(states)), first)
        if not len(twins):
            return [row.tobytes().decode() for row in NUCLEOTIDES[states]]
        where = rng.choice(length, len(twins), p=changing / changing.sum())
        states[twins, where] = (states[twins, where] + rng.integers(1, 4, len(twins))) % 4


def draw_niche_optima(phylogeny, rng):
    """Draw where on two gradients each tip lives best: Brownian motion along the tree, and some chance.

    Parameters
    ----------
    phylogeny : Phylogeny
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of float, [T, 2]
        In standard deviations, in the order of `phylogeny.tips`.
    """
    steps = rng.standard_normal((len(phylogeny.parents), 2)) * np.sqrt(phylogeny.lengths)[:, None]
    inherited = phylogeny.sum_from_root(steps)[phylogeny.tips]
    inherited = (inherited - inherited.mean(axis=0)) / inherited.std(axis=0)
    chance = rng.standard_normal(inherited.shape)
    return np.sqrt(PHYLOGENETIC_SIGNAL) * inherited + np.sqrt(1 - PHYLOGENETIC_SIGNAL) * chance
