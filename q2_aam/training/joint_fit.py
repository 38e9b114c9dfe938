"""Fit the joint head: the kernel head, and beside it a forest on the sample embedding."""

from dataclasses import replace

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.evaluation.calibration import with_equal_priors
from q2_aam.models.forest_head import ForestHead, JointHead, weighted_mean
from q2_aam.models.kernel_head import Compared
from q2_aam.training.kernel_fit import InnerFolds, KernelFit, fit_kernel, held_out_losses

TREES = 200
# Of the embedding's numbers, tried at each node.
TRIED = 1 / 3
# Leaves a tree has at most, about: beyond that many samples leaves hold several, so that a model grows no further.
LEAVES = 1000
# Samples that the trees learn from: beyond, a random choice, so that time grows no further.
MOST_LEARNT = 10_000
# Of the trees beside the kernel, to choose from, and what it is where nothing tells.
WEIGHTS = np.linspace(0, 1, 11)
USUAL_WEIGHT = 0.5


def fit_joint(
    samples: Compared, target: np.ndarray, folds: InnerFolds, random_seed: int = 0, threads: int = 1
) -> KernelFit:
    """Fit both heads to all samples, and to all but each inner fold, by which the trees' weight is chosen.

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
    held_out = np.full_like(fitted.held_out, np.nan)
    for train, test in folds.splits:
        others = samples.subset(np.intersect1d(folds.support, train)).as_support()
        forest = fit_forest(learnt.subset(train), target[train], held_out.shape[1], random_seed, threads)
        held_out[test] = forest.outputs(samples.subset(test), others)
    forest = fit_forest(learnt, target, held_out.shape[1], random_seed, threads)
    weight = chosen_weight(fitted.held_out, held_out, target, folds.members)
    return KernelFit(JointHead(fitted.head, forest, weight), weighted_mean(fitted.held_out, held_out, weight))


def chosen_weight(kernel: np.ndarray, trees: np.ndarray, target: np.ndarray, members: np.ndarray) -> float:
    """Weight of the trees that errs least for certain on samples that neither head has learnt from.

    A weight other than one half has to err less by more than the standard error of that difference over the groups:
    with few of them, the weight that happens to err least is often a poor one, and one half seldom is.

    Parameters
    ----------
    kernel, trees : np.ndarray
        ``[N, O]``, held-out outputs of each head; NaN for rows in no fold.
    target : np.ndarray
        ``[N]``
    members : np.ndarray
        int64 ``[N]``, number of each sample's group.

    References
    ----------
    Breiman L (1996). Stacked regressions. Machine Learning 24:49-64.
    """
    there = np.isfinite(kernel[:, 0]) & np.isfinite(trees[:, 0])
    kernel, trees, target = kernel[there], trees[there], target[there]
    _, group = np.unique(members[there], return_inverse=True)

    def losses(weight: float) -> np.ndarray:
        return held_out_losses(weighted_mean(kernel, trees, weight), target)

    usual, best, most = losses(USUAL_WEIGHT), USUAL_WEIGHT, 0.0
    if group.max() == 0:
        return best
    for weight in WEIGHTS:
        gained = np.bincount(group, usual - losses(weight))
        surely = gained.sum() - np.sqrt(len(gained)) * gained.std(ddof=1)
        if surely > most:
            best, most = float(weight), surely
    return best


def fit_forest(
    samples: Compared, target: np.ndarray, outputs: int, random_seed: int = 0, threads: int = 1
) -> ForestHead:
    """Grow extremely randomized trees on the sample embeddings.

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

    References
    ----------
    Geurts P, Ernst D, Wehenkel L (2006). Extremely randomized trees. Machine Learning 63:3-42.
    """
    rows = np.sort(np.random.default_rng(random_seed).permutation(len(target))[:MOST_LEARNT])
    embedding, target = samples.embedding.numpy()[rows], target[rows]
    kind = ExtraTreesRegressor if outputs == 1 else ExtraTreesClassifier
    grown = kind(
        TREES,
        max_features=TRIED,
        min_samples_leaf=max(1, len(rows) // LEAVES),
        n_jobs=threads,
        random_state=random_seed,
    ).fit(embedding, target)
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
    )
