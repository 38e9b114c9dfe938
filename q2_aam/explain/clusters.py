"""The ASVs of a table as a tree by what an encoder makes of their sequences, where there is no phylogeny."""

import numpy as np

from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Embedding
from q2_aam.study.phylogeny import Phylogeny
from q2_aam.study.study import Study

# Distances between all of them are kept: more would be gigabytes. The others stand alone.
MOST_CLUSTERED = 10_000


def cluster_asvs(encoder: Encoder, study: Study, settings: Embedding | None = None) -> Phylogeny:
    """Join ASVs that an encoder finds alike, and what is joined, step by step (average linkage).

    Parameters
    ----------
    encoder : Encoder
    study : Study
        Of more than 10,000 ASVs those that most samples hold are joined.
    settings : q2_aam.settings.Embedding, optional

    Returns
    -------
    Phylogeny
        Its tips are the ASVs' first features; a node's height is half the mean distance (in standard deviations of the
        ASV vectors) between the parts that it joins.

    Examples
    --------
    >>> from q2_aam.simulation.study import simulate_study
    >>> tree = cluster_asvs(Encoder.ready(), simulate_study(n_samples=12, n_asvs=40))
    >>> len(tree.tips()), len(tree)
    (40, 79)
    """
    from scipy.cluster.hierarchy import linkage

    features = study.asv_of_feature[~study.asv_of_feature.duplicated()]
    held = np.bincount(study.communities.counts.indices, minlength=len(study.communities.tokens))
    features = features.iloc[np.sort(np.argsort(-held[features.to_numpy()], kind="stable")[:MOST_CLUSTERED])]
    if len(features) < 2:
        return Phylogeny(np.ones(1, dtype=np.int64), np.zeros(1), features.index.to_numpy(dtype=object))
    vectors = encoder.embed_asvs(study, settings)[features.to_numpy()].astype(np.float64)
    spread = vectors.std(0)
    return _preorder(linkage(vectors / np.where(spread > 0, spread, 1), "average"), features.index.to_numpy())


def _preorder(joins: np.ndarray, names: np.ndarray) -> Phylogeny:
    """The tree of SciPy's linkage ``[T - 1, 4]`` of tips of these names."""
    tips = len(names)
    heights = np.concatenate([np.zeros(tips), joins[:, 2] / 2])
    order, parents, stack = [], [], [(2 * tips - 2, -1)]
    while stack:
        node, parent = stack.pop()
        parents.append(parent)
        stack += [(int(child), len(order)) for child in (joins[node - tips, [1, 0]] if node >= tips else ())]
        order.append(node)
    order, parents = np.array(order), np.array(parents)
    sizes = np.array([2 * joins[node - tips, 3] - 1 if node >= tips else 1 for node in order]).astype(np.int64)
    lengths = np.append(0.0, heights[order[parents[1:]]] - heights[order[1:]])
    inner = [names[node] if node < tips else None for node in order]
    return Phylogeny(sizes, lengths, np.array(inner, dtype=object))
