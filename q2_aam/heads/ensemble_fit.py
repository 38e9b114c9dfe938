"""Fit the joint head: the kernel head, and beside it forests on the sample embedding and on abundances."""

from dataclasses import replace

import numpy as np
from scipy.stats import t as student_t
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.evaluation.calibration import with_equal_priors
from q2_aam.heads.kernel import Compared, square_root_abundances, trust_in_abundances
from q2_aam.heads.kernel_fit import InnerFolds, KernelFit, fit_kernel, held_out_losses
from q2_aam.heads.trees import ForestHead, JointHead, sample_weights, weighted_mean

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
# Of kernel, trees on the embedding and trees on abundances, where nothing tells, and all that may be chosen.
USUAL_WEIGHTS = (0.5, 0.5, 0.0)
WEIGHTS = [(k / 10, e / 10, (10 - k - e) / 10) for k in range(1, 11) for e in range(11 - k)]
# How sure one has to be, by a t-test over the groups, that other weights err less.
SURE = 0.95


def fit_joint(
    samples: Compared, target: np.ndarray, folds: InnerFolds, random_seed: int = 0, threads: int = 1
) -> KernelFit:
    """Fit all heads to all samples, and to all but each inner fold, by which their weights are chosen.

    Parameters
    ----------
    samples, target, folds
        As :func:`q2_aam.heads.kernel_fit.fit_kernel` takes them.
    random_seed : int
        Of the trees.
    threads : int
        Trees grown at a time; changes nothing but time.
    """
    fitted = fit_kernel(samples, target, folds)
    # What is learnt from is read with all of its ASVs.
    learnt = replace(samples, familiar=None, familiar_embedding=None)
    how = fitted.held_out.shape[1], random_seed, threads
    parts = np.full((3, *fitted.held_out.shape), np.nan, dtype=np.float32)
    parts[0] = fitted.held_out
    trust = np.zeros(len(target))
    for train, test in folds.splits:
        others = samples.subset(np.intersect1d(folds.support, train)).as_support()
        asked = samples.subset(test)
        for part, reads in zip(parts[1:], (None, others), strict=True):
            forest = fit_forest(learnt, target, train, *how, reads)
            part[test] = forest.outputs(asked, others)
        # The last forest is the one on abundances.
        trust[test] = trust_in_abundances(asked, others, forest.asvs)
    weights = chosen_weights(parts, trust, target, folds.members)
    everyone = np.arange(len(target))
    forests = [
        fit_forest(learnt, target, everyone, *how, reads) if weight else None
        for weight, reads in zip(weights[1:], (None, fitted.head.support), strict=True)
    ]
    held_out = weighted_mean(parts, sample_weights(weights, trust))
    return KernelFit(JointHead(fitted.head, *forests, weights), held_out)


def chosen_weights(
    parts: np.ndarray, trust: np.ndarray, target: np.ndarray, members: np.ndarray
) -> tuple[float, float, float]:
    """Weights of the heads that err least on samples that none of them was fitted to, where that is sure.

    Weights other than the usual ones have to err less even at the lower end of the (one-sided, 95%) confidence interval
    of that difference over the groups, and those are taken for which that end is highest. With few groups, weights that
    merely happen to err least are often poor ones.

    The kernel's settings were picked on the same samples, which favours it a little.

    Parameters
    ----------
    parts : np.ndarray
        ``[3, N, O]``, held-out outputs of each head; NaN for rows in no fold.
    trust : np.ndarray
        ``[N]``, see :func:`q2_aam.heads.kernel.trust_in_abundances`.
    target : np.ndarray
        ``[N]``
    members : np.ndarray
        int64 ``[N]``, number of each sample's group.

    References
    ----------
    Breiman L (1996). Stacked regressions. Machine Learning 24:49-64.
    """
    there = np.isfinite(parts[0, :, 0])
    parts, trust, target = parts[:, there], trust[there], target[there]
    _, group = np.unique(members[there], return_inverse=True)

    def losses(weights: tuple[float, float, float]) -> np.ndarray:
        return held_out_losses(weighted_mean(parts, sample_weights(weights, trust)), target)

    usual, best, most, groups = losses(USUAL_WEIGHTS), USUAL_WEIGHTS, 0.0, group.max() + 1
    if groups == 1:
        return best
    width = student_t.ppf(SURE, groups - 1) * np.sqrt(groups)
    for weights in WEIGHTS:
        gained = np.bincount(group, usual - losses(weights))
        surely = gained.sum() - width * gained.std(ddof=1)
        if surely > most:
            best, most = weights, surely
    return best


def fit_forest(
    samples: Compared,
    target: np.ndarray,
    rows: np.ndarray,
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
    rows : np.ndarray
        int, the samples to learn from; of more than ``MOST_LEARNT`` a random choice.
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
    rows = rows[np.sort(np.random.default_rng(random_seed).permutation(len(rows))[:MOST_LEARNT])]
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
