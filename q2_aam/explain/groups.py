"""What leaves a sample as one: single ASVs, named groups of them, or the clades of a tree."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.study.phylogeny import Phylogeny
from q2_aam.study.study import Study
from q2_aam.study.tables import name_ids

# A clade of more of the ASVs does not leave (of few ASVs: of more than five, or half of them): to know that a phylum
# matters helps nobody, and without it a sample is like none that was learnt from.
LARGEST_CLADE, SMALL_CLADE = 0.1, 5
# A clade stands for its parts where its leaving does at least this share of what theirs do, added up,
AS_MUCH = 0.9
# none of them does more than this share of what it does,
LARGEST_PART = 2 / 3
# and it pushes predictions the same way in most samples. Without that, large clades stand as one in a model whose every
# prediction is certain: little changes before much has left (decision 0034).
SAME_WAY = 0.9
CLADE = re.compile(r"clade-\d+")


@dataclass(frozen=True)
class Groups:
    """Sets of ASVs, each of which leaves a sample as one.

    Attributes
    ----------
    names : np.ndarray
        Object (str) ``[G]``.
    members : sp.csr_matrix
        bool ``[G, V]``, the ASVs of each.
    parents : np.ndarray or None
        int64 ``[G]``, of the clades of a tree the smallest clade around each, -1 where none is, in an order in which it
        comes first; None of groups that share no ASV.
    """

    names: np.ndarray
    members: sp.csr_matrix
    parents: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> np.ndarray:
        """ASVs of each, int64 ``[G]``."""
        return np.diff(self.members.indptr).astype(np.int64)

    def subset(self, chosen: np.ndarray) -> "Groups":
        """Some of them, by ascending number."""
        parents = None
        if self.parents is not None:
            number = np.full(len(self) + 1, -1)
            number[chosen] = np.arange(len(chosen))
            for group in np.setdiff1d(np.arange(len(self)), chosen):
                number[group] = number[self.parents[group]]
            parents = number[self.parents[chosen]]
        return Groups(self.names[chosen], self.members[chosen], parents)

    def any_of(self, chosen: np.ndarray) -> np.ndarray:
        """Which ASVs are in one of some groups, bool ``[V]``."""
        return np.asarray(self.members[chosen].sum(0)).ravel() > 0

    def cut(self, importance: np.ndarray, same_way: np.ndarray) -> np.ndarray:
        """Numbers of the clades ``[K]`` that say most with the fewest names; each ASV is in one of them.

        A clade stands for its parts where they stand in for each other, or push the same way, so that its leaving does
        about as much as theirs do, added up, and the same in most samples; and where no part alone does most of that.

        Parameters
        ----------
        importance : np.ndarray
            ``[G]``; of those of 0 nothing is known, and they are left out.
        same_way : np.ndarray
            ``[G]``, from 0 to 1: size of the mean change over the samples that hold it, as a share of the mean size.
        """
        if self.parents is None:
            return np.flatnonzero(importance > 0)
        added, largest = np.zeros(len(self)), np.zeros(len(self))
        stands = np.zeros(len(self), dtype=bool)
        for group in range(len(self) - 1, -1, -1):
            own, parent = importance[group], self.parents[group]
            alone = added[group] == 0
            stands[group] = own > 0 and (
                alone
                or same_way[group] >= SAME_WAY
                and own >= AS_MUCH * added[group]
                and largest[group] <= LARGEST_PART * own
            )
            if parent >= 0:
                added[parent] += max(added[group], own) if stands[group] else added[group]
                largest[parent] = max(largest[parent], own if stands[group] else largest[group])
        inside = np.zeros(len(self), dtype=bool)
        for group, parent in enumerate(self.parents):
            inside[group] = parent >= 0 and (inside[parent] or stands[parent])
        return np.flatnonzero(stands & ~inside)


def groups_of(study: Study, groups: pd.Series | Phylogeny | None) -> Groups:
    """What leaves the samples of a study.

    Parameters
    ----------
    study : Study
    groups : pd.Series or Phylogeny, optional
        Name of the group that each feature (by its ID) is in; or a tree of which features are tips, whose clades and
        single ASVs leave. Features that are in no group do not leave, those that are no tip leave alone. By default
        each ASV leaves alone, and is called by its first feature.

    Raises
    ------
    ValueError
        If no feature is in a group, or a tip.
    """
    features, n_asvs = study.asv_of_feature, len(study.communities.tokens)
    if isinstance(groups, Phylogeny):
        return _clades(study, groups)
    labels = features.index.to_numpy()
    if groups is not None:
        known = groups.reindex(features.index).dropna().astype(str)
        if not len(known):
            raise ValueError(
                f"None of the table's features has a name in column {groups.name!r} of the feature groups. The "
                f"features are called {name_ids(features.index)}, those of the groups {name_ids(groups.index)}."
            )
        features, labels = features[known.index], known.to_numpy()
    first = ~features.duplicated().to_numpy()
    asvs, labels = features.to_numpy()[first], labels[first]
    codes, names = pd.factorize(labels)
    return Groups(np.asarray(names, dtype=object), _members(codes, asvs, (len(names), n_asvs)))


def clades_of(study: Study, tree: Phylogeny) -> Phylogeny:
    """A tree cut to the ASVs of a study, each as the tip of its first feature; its clades get names, which they keep.

    Raises
    ------
    ValueError
        If no feature is a tip.
    """
    features = study.asv_of_feature[~study.asv_of_feature.duplicated()].index
    tips = tree.nodes_of(features)
    if (tips < 0).all():
        raise ValueError(
            f"None of the table's features is a tip of the phylogeny. The features are called {name_ids(features)}, "
            f"the tips {name_ids(tree.names[tree.tips()])}. Give the phylogeny of these features."
        )
    cut = tree.cut(tips[tips >= 0])
    if all(CLADE.fullmatch(str(name)) for name in cut.names[cut.sizes > 1]):
        return cut
    # A tree has numbers, such as support, or names that are there twice.
    inner = [f"clade-{node}" for node in range(len(cut))]
    return replace(cut, names=np.where(cut.sizes == 1, cut.names, inner).astype(object))


def _clades(study: Study, tree: Phylogeny) -> Groups:
    """The clades of a tree that are small enough, and its tips, as groups; features that are no tip behind them."""
    features, n_asvs = study.asv_of_feature, len(study.communities.tokens)
    features, tree = features[~features.duplicated()], clades_of(study, tree)
    nodes = tree.nodes_of(features.index)
    held = features.to_numpy()[nodes >= 0][np.argsort(nodes[nodes >= 0])]
    tips = tree.tips()
    starts, ends = (np.searchsorted(tips, np.arange(len(tree)) + behind) for behind in (0, tree.sizes))
    largest = max(1, LARGEST_CLADE * n_asvs, min(SMALL_CLADE, n_asvs / 2))
    chosen = np.flatnonzero(ends - starts <= largest)
    number, parents = np.full(len(tree) + 1, -1), _parents(tree)
    number[chosen] = np.arange(len(chosen))
    alone = features[nodes < 0]
    members = [held[starts[node] : ends[node]] for node in chosen] + [[asv] for asv in alone]
    codes = np.repeat(np.arange(len(members)), [len(asvs) for asvs in members])
    names = np.concatenate([tree.names[chosen], alone.index.to_numpy(dtype=object)])
    around = np.concatenate([number[parents[chosen]], np.full(len(alone), -1)])
    return Groups(names, _members(codes, np.concatenate(members).astype(np.int64), (len(names), n_asvs)), around)


def _parents(tree: Phylogeny) -> np.ndarray:
    """Number of the node around each node, int64 ``[M]``; -1 of the root."""
    parents, open_nodes = np.full(len(tree), -1), []
    ends = np.arange(len(tree)) + tree.sizes
    for node in range(len(tree)):
        while open_nodes and ends[open_nodes[-1]] <= node:
            open_nodes.pop()
        parents[node] = open_nodes[-1] if open_nodes else -1
        open_nodes.append(node)
    return parents


def groups_at(names: pd.Series, level: int) -> pd.Series:
    """Names of groups, those of a taxonomy (ranks apart by ``;``) cut to so many ranks; blank ones are none."""
    cut = names.dropna().map(lambda name: "; ".join(rank.strip() for rank in str(name).split(";")[:level]))
    return cut[cut.str.strip("; ") != ""].rename(names.name)


def _members(groups: np.ndarray, asvs: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    return sp.csr_matrix((np.ones(len(asvs), dtype=bool), (groups, asvs)), shape)


@dataclass(frozen=True)
class Leaving:
    """What leaves one sample that holds ``n`` ASVs.

    Attributes
    ----------
    groups : np.ndarray
        int64 ``[K]``, the groups of which the sample holds something.
    sets : np.ndarray
        int64 ``[K]``, what of it leaves with each: clades may be the same in a sample, and are read once.
    stays : np.ndarray
        bool ``[S, n]``, what is left without each of these sets.
    """

    groups: np.ndarray
    sets: np.ndarray
    stays: np.ndarray


class Departures:
    """What leaves each sample of a study when each of some groups does.

    Parameters
    ----------
    groups : Groups
    """

    def __init__(self, groups: Groups):
        self.groups = groups
        self._of_asv = groups.members.tocsc()
        # The sum of the members' keys tells sets of ASVs apart.
        size = groups.members.shape[1]
        self._keys = np.random.default_rng(0).integers(0, 2**63, size, dtype=np.uint64)

    def of(self, asvs: np.ndarray) -> Leaving:
        """What leaves a sample of these ASVs ``[n]``."""
        own, place, sets, first = self._sets(asvs)
        stays = np.ones((len(first), len(asvs)), dtype=bool)
        starts = np.append(np.flatnonzero(np.diff(own, prepend=-1)), len(own))
        for row, group in enumerate(first):
            stays[row, place[starts[group] : starts[group + 1]]] = False
        return Leaving(own[starts[:-1]], sets, stays)

    def counts(self, counts: sp.csr_matrix) -> np.ndarray:
        """Sets of ASVs that leave each sample, int64 ``[N]``."""
        return np.array([len(self._sets(asvs)[3]) for asvs in _rows(counts)], dtype=np.int64)

    def _sets(self, asvs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Pairs of a group and a place among the ASVs, by group; the set of each group; a group of each set."""
        indptr = self._of_asv.indptr
        lengths = indptr[asvs + 1] - indptr[asvs]
        place = np.repeat(np.arange(len(asvs)), lengths)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        own = self._of_asv.indices[np.repeat(indptr[asvs], lengths) + within].astype(np.int64)
        order = np.argsort(own, kind="stable")
        own, place = own[order], place[order]
        if not len(own):
            return own, place, own, own
        sums = np.add.reduceat(self._keys[asvs[place]], np.flatnonzero(np.diff(own, prepend=-1)))
        _, first, sets = np.unique(sums, return_index=True, return_inverse=True)
        return own, place, sets, first


def _rows(counts: sp.csr_matrix) -> Iterator[np.ndarray]:
    yield from np.split(counts.indices, counts.indptr[1:-1])
