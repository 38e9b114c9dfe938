"""Fit the joint head: the kernel head, and beside it forests on the sample embedding and on abundances."""

from dataclasses import replace

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.evaluation.calibration import with_equal_priors
from q2_aam.models.forest_head import ForestHead, JointHead, familiar_share, sample_weights, weighted_mean
from q2_aam.models.kernel_head import Compared, square_root_abundances
from q2_aam.training.kernel_fit import InnerFolds, KernelFit, fit_kernel, held_out_losses

TREES, ABUNDANCE_TREES = 200, 100
# Of a sample's numbers, tried at each node.
TRIED = 1 / 3
# Samples that a leaf of trees on abundances has at least. Trees on embeddings grow to the end.
ABUNDANCE_LEAF = 3
# Leaves a tree has at most, about: beyond that many samples leaves hold several, so that a model grows no further.
LEAVES = 1000
# Samples that the trees learn from, and ASVs whose abundances they read: beyond, a random choice, and those that most
# samples hold, so that time grows no further.
MOST_LEARNT = 10_000
MOST_ASVS = 2_000
# Of kernel, trees on the embedding and trees on abundances, where nothing tells. Not without the kernel, or there would
# be nothing to choose where samples hold new ASVs alone.
USUAL_WEIGHTS = (0.5, 0.5, 0.0)
WEIGHTS = [(k / 10, e / 10, (10 - k - e) / 10) for k in range(1, 11) for e in range(11 - k)]


def fit_joint(
    samples: Compared, target: np.ndarray, folds: InnerFolds, random_seed: int = 0, threads: int = 1
) -> KernelFit:
    """Fit all heads to all samples, and to all but each inner fold, by which their weights are chosen.

    Parameters
    ----------
    samples, target, folds
        As :func:`q2_aam.training.kernel_fit.fit_kernel` takes them.
    random_seed : int
        Of the trees.
    threads : int
        Trees grown at a time; changes nothing but time.
    """
    fitted = fit_kernel(samples, target, folds)
    # What is learnt from is read with all of its ASVs.
    learnt = replace(samples, familiar=None, familiar_embedding=None)
    how = fitted.held_out.shape[1], random_seed, threads
    parts = np.stack([fitted.held_out, *np.full_like([fitted.held_out] * 2, np.nan)])
    familiar = np.zeros(len(target))
    for train, test in folds.splits:
        others = samples.subset(np.intersect1d(folds.support, train)).as_support()
        asked, known = samples.subset(test), learnt.subset(train)
        familiar[test] = familiar_share(asked, others)
        for part, reads in zip(parts[1:], (None, others), strict=True):
            part[test] = fit_forest(known, target[train], *how, reads).outputs(asked, others)
    weights = chosen_weights(parts, familiar, target, folds.members)
    embedding = fit_forest(learnt, target, *how)
    abundance = fit_forest(learnt, target, *how, fitted.head.support) if weights[2] else None
    held_out = weighted_mean(parts, sample_weights(weights, familiar))
    return KernelFit(JointHead(fitted.head, embedding, abundance, weights), held_out)


def chosen_weights(
    parts: np.ndarray, familiar: np.ndarray, target: np.ndarray, members: np.ndarray
) -> tuple[float, float, float]:
    """Weights of the heads that err least, for certain, on samples that none of them has learnt from.

    Weights other than the usual ones have to err less by more than the standard error of that difference over the
    groups: with few groups, the weights that happen to err least are often poor ones, and the usual ones seldom are.

    Parameters
    ----------
    parts : np.ndarray
        ``[3, N, O]``, held-out outputs of each head; NaN for rows in no fold.
    familiar : np.ndarray
        ``[N]``, see :func:`q2_aam.models.forest_head.familiar_share`.
    target : np.ndarray
        ``[N]``
    members : np.ndarray
        int64 ``[N]``, number of each sample's group.

    References
    ----------
    Breiman L (1996). Stacked regressions. Machine Learning 24:49-64.
    """
    there = np.isfinite(parts[0, :, 0])
    parts, familiar, target = parts[:, there], familiar[there], target[there]
    _, group = np.unique(members[there], return_inverse=True)

    def losses(weights: tuple[float, float, float]) -> np.ndarray:
        return held_out_losses(weighted_mean(parts, sample_weights(weights, familiar)), target)

    usual, best, most = losses(USUAL_WEIGHTS), USUAL_WEIGHTS, 0.0
    if group.max() == 0:
        return best
    for weights in WEIGHTS:
        gained = np.bincount(group, usual - losses(weights))
        surely = gained.sum() - np.sqrt(len(gained)) * gained.std(ddof=1)
        if surely > most:
            best, most = weights, surely
    return best


def fit_forest(
    samples: Compared,
    target: np.ndarray,
    outputs: int,
    random_seed: int = 0,
    threads: int = 1,
    support: Compared | None = None,
) -> ForestHead:
    """Grow extremely randomized trees on the sample embeddings, or on abundances.

    Classes count alike, as in the kernel head: the share of a class in a leaf is divided by its share of all samples.

    Parameters
    ----------
    samples : Compared
        ``N`` samples.
    target : np.ndarray
        ``[N]`` float32 in the transform's units, or int64 codes of classes.
    outputs : int
        1, or the number of classes.
    random_seed, threads : int
        As in :func:`fit_joint`.
    support : Compared, optional
        Samples compared with: abundances of the ASVs that most of them hold are read, not embeddings.

    References
    ----------
    Geurts P, Ernst D, Wehenkel L (2006). Extremely randomized trees. Machine Learning 63:3-42.
    """
    rows = np.sort(np.random.default_rng(random_seed).permutation(len(target))[:MOST_LEARNT])
    target, asvs = target[rows], None if support is None else common_asvs(support)
    if support is None:
        numbers = samples.embedding.numpy()[rows]
    else:
        numbers = square_root_abundances(samples.subset(rows), support, asvs).toarray()
    kind = ExtraTreesRegressor if outputs == 1 else ExtraTreesClassifier
    grown = kind(
        TREES if support is None else ABUNDANCE_TREES,
        max_features=TRIED,
        min_samples_leaf=max(1 if support is None else ABUNDANCE_LEAF, len(rows) // LEAVES),
        n_jobs=threads,
        random_state=random_seed,
    ).fit(numbers, target)
    trees = [estimator.tree_ for estimator in grown.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    children, values = [], []
    for root, tree in zip(roots, trees, strict=True):
        pair = np.stack([tree.children_left, tree.children_right], 1)
        # scikit-learn's leaves have -1 for children.
        children.append(root + np.where(pair < 0, np.arange(tree.node_count)[:, None], pair))
        values.append(tree.value[:, 0])
    value = np.concatenate(values)
    if outputs > 1:
        codes, sizes = np.unique(target, return_counts=True)
        shares = np.zeros((len(value), outputs))
        shares[:, codes] = value / value.sum(1, keepdims=True)
        frequency = np.ones(outputs)
        frequency[codes] = sizes / len(target)
        value = with_equal_priors(shares, frequency)
    return ForestHead(
        roots,
        np.concatenate(children).astype(np.int32),
        np.maximum(np.concatenate([tree.feature for tree in trees]), 0).astype(np.int32),
        np.concatenate([tree.threshold for tree in trees]),
        value.astype(np.float32),
        asvs,
    )


def common_asvs(samples: Compared) -> np.ndarray:
    """Sorted hashes of the ASVs that most samples hold, ``MOST_ASVS`` of them at most."""
    held = np.bincount(samples.shares.indices, minlength=len(samples.hashes))
    # Ties fall to the hash, that is to the sequence.
    return samples.hashes[np.sort(np.argsort(-held, kind="stable")[:MOST_ASVS])]
