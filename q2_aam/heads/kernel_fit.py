"""Fit the kernel head: kernel ridge or kernel logistic regression, its settings chosen by inner cross-validation."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from q2_aam.heads.kernel import (
    Compared,
    KernelHead,
    alike_condition,
    scaled_distances,
    similarity,
    typical_distances,
)
from q2_aam.heads.linear import inner_splits
from q2_aam.heads.trees import JointHead
from q2_aam.study.communities import Communities
from q2_aam.study.tables import held_columns, keep_columns

SHARPNESS = (0.03, 0.1, 0.3, 1.0, 3.0)
RIDGE_PENALTIES = np.logspace(-3, 2, 11)
LOGISTIC_INVERSE_PENALTIES = np.logspace(-2, 3, 6)
# Heads fitted to nine tenths are nearly as good, and as sure, as the one that is kept: what they get right and wrong is
# what its intervals and probabilities are calibrated on.
FOLDS = 10
# Units in which conditioning columns enter: as one of many, or as good as free of the penalty.
LOUDNESS = (0.5, 2.0, 8.0)
# Samples that others are compared with: beyond, a random choice of them stands for all (Nystroem's method), so that
# time and memory stay in proportion to the number of samples.
MOST_SUPPORT = 2000
# Directions with less of the kernel than that share of the largest are noise of rounding.
SMALLEST_DIRECTION = 1e-6
# One sample that is wrong for certain does not decide alone.
LEAST_LOG_PROBABILITY = -9.0


class InnerFolds(NamedTuple):
    """What the settings of the kernel head, and the weights of a joint one, are chosen by."""

    support: np.ndarray
    """Ascending, samples that all are compared with: ``L`` of ``N``."""
    splits: list[tuple[np.ndarray, np.ndarray]]
    """Rows fitted to and rows predicted of each fold; a row is predicted once at most."""
    members: np.ndarray
    """int64 ``[N]``, number of each sample's group: its own where there are no groups."""


class KernelFit(NamedTuple):
    """A fitted head, and what heads that had not seen a sample say of it."""

    head: KernelHead | JointHead
    held_out: np.ndarray
    """float32 ``[N, O]``, each row by a head fitted to other folds (other groups); NaN for a row in no fold."""


def inner_folds(target: np.ndarray, groups: np.ndarray | None, random_seed: int) -> InnerFolds:
    """Choose folds, and the samples to be compared with.

    Parameters
    ----------
    target : np.ndarray
        ``[N]`` float32 in the transform's units, or int64 codes of classes.
    groups : np.ndarray, optional
        ``[N]``; a group is never on both sides of an inner split.
    random_seed : int
        Of the splits, and of the samples compared with where there are more than ``MOST_SUPPORT``.

    Raises
    ------
    ValueError
        If every inner split would leave a class without training samples.
    """
    classes = not np.issubdtype(target.dtype, np.floating)
    splits = inner_splits(target if classes else None, len(target), groups, random_seed, FOLDS)
    if not splits:
        raise ValueError(
            "The kernel head needs inner folds whose training parts hold every class, but each class is in one group "
            "(or one sample) only. Set head to 'linear', or leave groups out."
        )
    rows = np.random.default_rng(random_seed).permutation(len(target))[:MOST_SUPPORT]
    members = np.arange(len(target)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return InnerFolds(np.sort(rows), splits, members)


def familiar_to_others(communities: Communities, folds: InnerFolds) -> sp.csr_matrix:
    """Counts ``[N, V]`` of the ASVs alone that the samples hold which a sample's fold is compared with."""
    _, sequence = np.unique(communities.hashes, return_inverse=True)
    counts, rows = communities.counts.tocsr(), np.arange(len(communities))
    order, parts = [], []
    for train, test in folds.splits:
        held = sequence[held_columns(counts[np.intersect1d(train, folds.support)])]
        order.append(test)
        parts.append(keep_columns(counts[test], np.isin(sequence, held)))
    order.append(np.setdiff1d(rows, np.concatenate(order)))
    parts.append(counts[order[-1]])
    return sp.vstack(parts).tocsr()[np.argsort(np.concatenate(order))]


def fit_kernel(samples: Compared, target: np.ndarray, folds: InnerFolds) -> KernelFit:
    """Fit the kernel head to all samples.

    Sharpness and penalty are those that predict best in the inner folds, whose predictions come out, too: they are
    of samples not fitted to, but picked two or three numbers.

    Parameters
    ----------
    samples : Compared
        ``N`` samples; what is familiar of them as in :func:`familiar_to_others`.
    target : np.ndarray
        ``[N]`` float32 in the transform's units, or int64 codes of classes.
    folds : InnerFolds
        Of this target.

    References
    ----------
    Williams CKI, Seeger M (2001). Using the Nystroem method to speed up kernel machines. NIPS 13:682-688.
    """
    classes = not np.issubdtype(target.dtype, np.floating)
    rows = folds.support
    support = samples.subset(rows).as_support()
    typical = typical_distances(support)
    # Samples beyond the support are learnt from with all of their ASVs.
    learnt = replace(samples, familiar=None)
    scaled = scaled_distances(learnt, support, typical)
    parts = []
    for train, test in folds.splits:
        here = np.flatnonzero(np.isin(rows, train))
        others = support.subset(here).as_support()
        # As `predict` would compare them.
        parts.append((train, test, here, others, scaled_distances(samples.subset(test), others, typical)))
    solve, penalties = (_logistic, LOGISTIC_INVERSE_PENALTIES) if classes else (_ridge, RIDGE_PENALTIES)
    outputs = int(target.max()) + 1 if classes else 1
    best = None
    for loudness in (0.0,) if samples.condition is None else LOUDNESS:
        for sharpness in SHARPNESS:
            alike = similarity(scaled, sharpness) + alike_condition(learnt, support, loudness)
            held_out = np.full((len(penalties), len(target), outputs), np.nan, dtype=np.float32)
            for train, test, here, others, apart in parts:
                basis = directions(alike[np.ix_(rows[here], here)])
                known = alike[np.ix_(train, here)] @ basis
                new = similarity(apart, sharpness) + alike_condition(samples.subset(test), others, loudness)
                new = new @ basis
                for place, (weight, bias) in enumerate(solve(known, target[train], penalties)):
                    held_out[place, test] = new @ weight + bias
            there = np.isfinite(held_out[0, :, 0])
            losses = [held_out_losses(part[there], target[there]).mean() for part in held_out]
            place = int(np.argmin(losses))
            if best is None or losses[place] < best[0]:
                best = losses[place], sharpness, loudness, penalties[place], held_out[place]
    _, sharpness, loudness, penalty, held_out = best
    alike = similarity(scaled, sharpness) + alike_condition(learnt, support, loudness)
    basis = directions(alike[rows])
    ((weight, bias),) = solve(alike @ basis, target, [penalty])
    return KernelFit(KernelHead(support, typical, sharpness, loudness, basis @ weight, bias), held_out)


def directions(alike: np.ndarray) -> np.ndarray:
    """Map from similarities with the support ``[L]`` to coordinates ``[Q]`` whose products are the kernel again."""
    values, vectors = np.linalg.eigh(alike)
    kept = values > SMALLEST_DIRECTION * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])


def _ridge(features: np.ndarray, target: np.ndarray, penalties) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight ``[Q, 1]`` and bias ``[1]`` of a ridge regression for each penalty, from one decomposition."""
    mean, centre = features.mean(0), target.mean(dtype=np.float64)
    values, vectors = np.linalg.eigh((features - mean).T @ (features - mean))
    turned = vectors.T @ ((features - mean).T @ (target - centre))
    weights = [vectors @ (turned / (np.maximum(values, 0) + penalty)) for penalty in penalties]
    return [(weight[:, None], np.array([centre - mean @ weight])) for weight in weights]


def _logistic(features: np.ndarray, target: np.ndarray, penalties) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight ``[Q, O]`` and bias ``[O]`` of a logistic regression for each inverse penalty; classes count alike."""
    found = []
    for penalty in penalties:
        logistic = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000).fit(features, target)
        weight, bias = logistic.coef_.T, logistic.intercept_
        if weight.shape[1] == 1:
            # scikit-learn keeps one row for two classes: the difference of their logits.
            weight, bias = np.concatenate([-weight, weight], 1) / 2, np.concatenate([-bias, bias]) / 2
        found.append((weight, bias))
    return found


def held_out_losses(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How far off outputs ``[N, O]`` are, float64 ``[N]``: squared errors, or minus the log probability of the class.

    Classes count alike, as they do in the fit: the mean over samples is that over classes. Not by accuracy, which few
    samples measure in coarse steps, and which does not care how sure the wrong answers were.
    """
    outputs = outputs.astype(np.float64)
    if outputs.shape[1] == 1:
        return (outputs[:, 0] - target) ** 2
    log_probabilities = outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
    likely = np.maximum(log_probabilities[np.arange(len(target)), target], LEAST_LOG_PROBABILITY)
    _, code, sizes = np.unique(target, return_inverse=True, return_counts=True)
    return -likely * len(target) / (len(sizes) * sizes[code])
