import ast
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.distance import cdist

import q2_aam.heads
from q2_aam.encoder.distances import predicted_unifrac
from q2_aam.encoder.sample_encoder import SampleEncoding, lineage_distances
from q2_aam.heads import Features, inner_folds, known_to_others
from q2_aam.heads import folds as folds_module
from q2_aam.heads.features import (
    DISTANCES,
    known_weight,
    poor_richness,
    squared_hellinger,
    squared_jaccard,
    squared_unifrac,
)
from tests import tiny
from tests.heads.made_up import N, changed, encoding, features_of, fold_features


def of_survey(n=12, covariates=None):
    communities = tiny.survey().subset(np.arange(n))
    return communities, features_of(communities, covariates)


def test_no_head_imports_torch():
    for path in Path(q2_aam.heads.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "lightning"}, path


def test_the_embedding_is_the_encoders():
    share = np.float32([[0, 1e-14, 1e-5, 0.5, 1]])
    _, features = of_survey(1)
    features = changed(features, presence=share + 1, share=share, known_presence=share * 2, known_share=share / 2)
    assert np.array_equal(features.embedding, SampleEncoding(*map(torch.tensor, (share + 1, share))).embedding.numpy())
    known = SampleEncoding(*map(torch.tensor, (share * 2, share / 2))).embedding.numpy()
    assert np.array_equal(features.known_embedding, known) and features.embedding.dtype == np.float32
    assert features.without_known().known_embedding is None


def test_features_are_of_sorted_asvs():
    communities, _ = of_survey()
    values = np.ones((12, 2), dtype=np.float32)
    features = features_of(communities, values, sp.csr_matrix(communities.counts.shape))
    assert (np.diff(features.hashes) > 0).all() and set(features.hashes) == set(communities.hashes)
    counts = communities.counts.toarray().astype(float)[:, np.argsort(communities.hashes)]
    assert np.allclose(features.asv_shares.toarray(), counts / counts.sum(1, keepdims=True))
    assert features.covariates is values and not features.known_presence.any()
    few = features.subset(np.array([3, 1]))
    for name in ("presence", "share", "covariates", "known_presence", "known_share"):
        assert np.array_equal(getattr(few, name), getattr(features, name)[[3, 1]])
    assert len(few) == 2 and np.array_equal(few.asv_shares.toarray(), features.asv_shares.toarray()[[3, 1]])


def test_distances_are_scipys_and_the_encoders():
    communities, features = of_survey()
    counts = communities.counts.toarray().astype(float)
    one, other = features.subset(np.arange(4)), features.subset(np.arange(4, 12))
    assert np.allclose(squared_jaccard(one, other), cdist(counts[:4] > 0, counts[4:] > 0, "jaccard") ** 2)
    roots = np.sqrt(counts / counts.sum(1, keepdims=True))
    assert np.allclose(squared_hellinger(one, other), cdist(roots[:4], roots[4:], "sqeuclidean"))
    whole = lineage_distances(torch.from_numpy(features.presence)).numpy()
    assert np.allclose(squared_unifrac(one, other), whole[:4, 4:] ** 2, atol=1e-6)


def test_alike_samples_are_at_0_and_distances_are_symmetric():
    _, features = of_survey()
    for squared in DISTANCES.values():
        distances = squared(features, features)
        assert np.allclose(np.diag(distances), 0, atol=1e-9) and np.allclose(distances, distances.T, atol=1e-7)


def test_asvs_that_the_other_table_lacks_are_not_counted():
    communities, features = of_survey()
    # The same samples read from a table that has all ASVs in another order, and one of them under another sequence.
    order = np.random.default_rng(1).permutation(len(communities.tokens))
    tokens = communities.tokens[order].copy()
    changed_asv = order[0]
    tokens[0, 1:4] = [4, 4, 4] if tuple(communities.tokens[changed_asv, 1:4]) != (4, 4, 4) else [3, 3, 3]
    other = tiny.changed(communities, tokens=tokens, counts=communities.counts[:, order])
    shuffled = Features.of(other, encoding(communities))
    counts = communities.counts.toarray() > 0
    mine = counts.copy()
    mine[:, changed_asv] = False
    shared = mine.astype(int) @ mine.T.astype(int)
    either = mine.sum(1)[:, None] + counts.sum(1)[None] - shared
    assert np.allclose(squared_jaccard(features, shuffled), (1 - shared / either) ** 2)
    assert counts[:, changed_asv].any()
    reads = communities.counts.toarray().astype(float)
    theirs = np.sqrt(reads / reads.sum(1, keepdims=True))
    reads[:, changed_asv] = 0
    known = np.sqrt(reads / reads.sum(1, keepdims=True))
    assert np.allclose(squared_hellinger(features, shuffled), 2 - 2 * known @ theirs.T)


def test_new_asvs_are_read_as_far_as_known_ones_are_few():
    _, landmarks = of_survey()
    richness = np.diff(landmarks.asv_shares.indptr)
    one = landmarks.subset(np.argsort(-richness)[:3])
    # Of the second sample half as many ASVs are known as a quarter of the others have at most; of the third none.
    enough = np.quantile(richness, 0.25)
    parts = [one.asv_shares[0], one.asv_shares[1].copy(), one.asv_shares[2] * 0]
    parts[1].data[int(enough) // 2 :] = 0
    shares = sp.vstack(parts).tocsr()
    shares.eliminate_zeros()
    known = np.random.default_rng(0).random(one.presence.shape, dtype=np.float32)
    features = Features(one.presence, one.share, shares, landmarks.hashes.copy(), None, known, known)
    weight = known_weight(features, landmarks.hashes, poor_richness(landmarks))
    assert weight == pytest.approx([1, (int(enough) // 2) / enough, 0]) and 0.3 < weight[1] < 1
    whole, known = (predicted_unifrac(each, landmarks.presence) ** 2 for each in (features.presence, known))
    mixed = weight[:, None] * known + (1 - weight[:, None]) * whole
    assert np.allclose(squared_unifrac(features, landmarks), mixed, atol=1e-6)
    assert np.allclose(squared_unifrac(features, landmarks)[0], known[0], atol=1e-6)


def test_landmarks_are_of_the_asvs_they_hold():
    _, features = of_survey()
    few = features.subset(np.arange(3)).as_landmarks()
    held = np.asarray((features.asv_shares[:3] > 0).sum(0)).ravel() > 0
    assert 0 < held.sum() < len(held) and np.array_equal(few.hashes, features.hashes[held])
    for squared in DISTANCES.values():
        assert np.allclose(squared(few, few), squared(features, features)[:3, :3], atol=1e-6)


def test_sample_without_reads_in_known_asvs_is_still_compared():
    _, features = of_survey()
    shares = sp.csr_matrix(([1.0], [0], [0, 1]), (1, 1))
    alone = Features(features.presence[:1], features.share[:1], shares, np.array([-(2**62)]))
    assert np.allclose(squared_jaccard(alone, features), 1) and np.allclose(squared_hellinger(alone, features), 2)


def test_covariates_have_to_be_as_many_as_were_learnt_from():
    _, features = of_survey(3)
    assert features.covariate_columns(0).shape == (3, 0)
    with pytest.raises(ValueError, match="fitted with 2 covariates .* these samples have 0"):
        features.covariate_columns(2)
    with pytest.raises(ValueError, match="fitted with 0 covariates .* these samples have 1"):
        changed(features, covariates=np.ones((3, 1), dtype=np.float32)).covariate_columns(0)


def test_known_asvs_are_those_of_the_landmarks_of_other_folds(monkeypatch):
    monkeypatch.setattr(folds_module, "MAX_LANDMARKS", 30)
    communities, groups = tiny.survey(N), np.array([f"g{i // 4}" for i in range(N)])
    # Some ASVs are of one group alone.
    for column in range(5):
        communities.counts[:, column] = sp.csr_matrix((groups == f"g{column}")[:, None].astype(np.float32))
    communities.counts.eliminate_zeros()
    # Two columns of one sequence are one ASV.
    tokens = np.concatenate([communities.tokens, communities.tokens[:1]])
    twice = sp.hstack([communities.counts, communities.counts[:, :1]]).tocsr()
    communities = tiny.changed(communities, tokens=tokens, counts=twice)
    folds = inner_folds(np.arange(N).astype(np.float32), groups, 0)
    assert len(folds.landmarks) == 30
    folds = changed(folds, splits=folds.splits[:-1])
    counts = communities.counts.toarray()
    expected = counts.copy()
    for train, test in folds.splits:
        held = (counts[np.intersect1d(train, folds.landmarks)] > 0).any(0)
        held[[0, -1]] = held[[0, -1]].any()
        expected[np.ix_(test, ~held)] = 0
    assert (expected != counts).any()
    assert np.array_equal(known_to_others(communities, folds).toarray(), expected)
    assert np.allclose(fold_features(communities, folds).known_presence, encoding(communities, expected).presence)
