"""Features without a network: each ASV belongs to made-up lineages, by its nucleotides."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp

from q2_aam.heads import Features, inner_folds, known_to_others
from q2_aam.study.tables import keep_columns
from tests import tiny

N, LINEAGES = 40, 8


def encoding(communities, counts=None):
    """Presence and share of made-up lineages, as an encoder computes them from ASVs and their counts."""
    counts = communities.counts if counts is None else sp.csr_matrix(counts)
    tokens = communities.tokens[:, 1:].astype(np.float64)
    code = np.random.default_rng(7).normal(size=(64, LINEAGES))[: tokens.shape[1]]
    member = 1 / (1 + np.exp(3 - 2 * np.sin(tokens @ code)))
    absent = np.exp((counts > 0).astype(np.float64) @ np.log1p(-member))
    reads = np.maximum(np.asarray(counts.sum(1)), 1)
    share = (counts @ member) / reads
    return SimpleNamespace(presence=(1 - absent).astype(np.float32), share=np.asarray(share, dtype=np.float32))


def features_of(communities, covariates=None, known=None):
    """Features, with known ASVs alone beside where they are not all."""
    part = None if known is None or known.nnz == communities.counts.nnz else encoding(communities, known)
    return Features.of(communities, encoding(communities), covariates, part)


def new_features(communities, head, covariates=None):
    """Features of new samples for a fitted head."""
    if head.known_asvs is None:
        return features_of(communities, covariates)
    known = keep_columns(communities.counts, np.isin(communities.hashes, head.known_asvs))
    return features_of(communities, covariates, known)


def fold_features(communities, folds, covariates=None):
    return features_of(communities, covariates, known_to_others(communities, folds))


def samples(covariates=None, n=N):
    """Features of communities along a gradient, and the place of each on it."""
    return features_of(tiny.survey(n), covariates), level_of(n)


def level_of(n=N):
    return (4 * tiny.gradient(n) - 2).astype(np.float32)


def zones(level, classes=3):
    return np.digitize(level, np.quantile(level, np.arange(1, classes) / classes)).astype(np.int64)


def fitted(head, features, target, groups=None, random_seed=0, **settings):
    return head.fit(features, target, inner_folds(target, groups, random_seed), random_seed=random_seed, **settings)


def changed(features, **changes):
    return replace(features, **changes)
