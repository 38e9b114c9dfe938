"""Predicted distances against the formula, against scikit-bio's UniFrac, and in torch against NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from skbio import TreeNode
from skbio.diversity import beta_diversity

from q2_aam.encoder.distances import predicted_unifrac, predicted_weighted_unifrac
from q2_aam.encoder.embedding import Embedding
from q2_aam.encoder.sample_encoder import lineage_distances, unifrac_distances, weighted_distances
from tests.scikit_bio import tips_of_columns

TREE = "(((a:1,b:.5):.25,c:2):.75,(d:.1,(e:.3,f:1.5):.6):1):0;"


def drawn(shape: tuple[int, int], asvs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Presence of lineages, and terminal branches of a length each; the first sample is empty."""
    rng = np.random.default_rng(seed)
    presence = rng.gamma(0.5, 1, shape).astype(np.float32)
    terminal = (rng.gamma(2, 1, asvs) * (rng.random((shape[0], asvs)) < 0.4)).astype(np.float32)
    presence[0] = terminal[0] = 0
    return presence, terminal


@pytest.mark.parametrize("shape", [(7, 5), (40, 256)])
@pytest.mark.parametrize("asvs", [0, 30])
def test_numpy_and_torch_agree(shape, asvs):
    presence, terminal = drawn(shape, asvs)
    expected = unifrac_distances(torch.from_numpy(presence), torch.from_numpy(terminal)).numpy()
    sparse = sp.csr_matrix(terminal)
    distances = predicted_unifrac(presence, presence[:5], sparse, sparse[:5])
    assert distances.dtype == np.float32 and distances.shape == (shape[0], 5)
    assert np.allclose(distances, expected[:, :5], atol=1e-5) and 0 <= distances.min() <= distances.max() <= 1
    assert distances[0, 0] == 0 and (distances[1:, 0] == 1).all()
    if not asvs:
        assert np.array_equal(expected, lineage_distances(torch.from_numpy(presence)).numpy())
        assert np.allclose(predicted_unifrac(presence, presence), expected, atol=1e-5)


def test_they_are_unweighted_unifrac_where_terminal_branches_are_told_apart():
    tips, tree = list("abcdef"), TreeNode.read([TREE])
    counts = np.random.default_rng(0).integers(0, 2, (5, 6)) + np.eye(5, 6, dtype=int)
    inner = [node for node in tree.traverse() if node.length and not node.is_tip()]
    below = [[tips.index(tip.name) for tip in node.tips()] for node in inner]
    presence = np.array([[n.length * sample[b].any() for n, b in zip(inner, below, strict=False)] for sample in counts])
    terminal = (counts > 0) * np.array([tree.find(tip).length for tip in tips])
    expected = beta_diversity("unweighted_unifrac", counts, **tips_of_columns(tips), tree=tree).data
    assert np.allclose(unifrac_distances(torch.tensor(presence), torch.tensor(terminal)), expected, atol=1e-6)
    sparse = sp.csr_matrix(terminal)
    assert np.allclose(predicted_unifrac(presence, presence, sparse, sparse), expected, atol=1e-6)


def test_weighted_ones_are_normalized_weighted_unifrac_where_branches_are_right():
    tips, tree = list("abcdef"), TreeNode.read([TREE])
    counts = np.random.default_rng(0).integers(0, 9, (5, 6)) + np.eye(5, 6, dtype=int)
    shares = counts / counts.sum(1, keepdims=True)
    inner = [node for node in tree.traverse() if node.length and not node.is_tip()]
    below = [[tips.index(tip.name) for tip in node.tips()] for node in inner]
    lineages = np.array([[n.length * sample[b].sum() for n, b in zip(inner, below, strict=True)] for sample in shares])
    terminal = shares * np.array([tree.find(tip).length for tip in tips])
    expected = beta_diversity("weighted_unifrac", counts, **tips_of_columns(tips), tree=tree, normalized=True).data
    sparse = sp.csr_matrix(terminal)
    assert np.allclose(predicted_weighted_unifrac(lineages, lineages, sparse, sparse), expected, atol=1e-6)
    assert np.allclose(weighted_distances(torch.tensor(np.hstack([lineages, terminal]))), expected, atol=1e-5)


def embedding(presence: np.ndarray, terminal: np.ndarray, hashes: np.ndarray) -> Embedding:
    """Samples whose reads are spread evenly over their ASVs."""
    held = sp.csr_matrix((terminal > 0).astype(np.float32))
    share = sp.diags(1 / np.maximum(np.asarray(held.sum(1)).ravel(), 1)) @ held
    lengths = np.arange(1, presence.shape[1] + 1, dtype=np.float32)
    return Embedding(presence, presence / 10, lengths, share.tocsr(), terminal.max(0), hashes)


@pytest.mark.parametrize("method", ["distances", "weighted_distances"])
def test_samples_of_two_tables_are_compared_by_the_asvs_that_both_hold(method):
    """Tables may hold other ASVs, in another order."""
    presence, terminal = drawn((9, 6), 12)
    hashes = np.random.default_rng(3).integers(-(2**62), 2**62, 12)
    whole = embedding(presence, terminal, hashes)
    held = np.flatnonzero((terminal[4:] > 0).any(0))[::-1]
    part = embedding(presence[4:], terminal[4:][:, held], hashes[held])
    expected = getattr(whole, method)()
    assert np.array_equal(expected, expected.T) and not expected.diagonal().any() and expected.max() <= 1
    assert np.allclose(getattr(whole, method)(part), expected[:, 4:], atol=1e-6)
    assert np.allclose(getattr(part, method)(whole), expected[4:], atol=1e-6)


def test_gradients_are_finite_between_equal_and_empty_samples():
    presence = torch.tensor([[0.5, 0.25], [0.5, 0.25], [0.0, 0.0]], requires_grad=True)
    terminal = torch.tensor([[0.5, 0.0], [0.5, 0.0], [0.0, 0.0]], requires_grad=True)
    unifrac_distances(presence, terminal).sum().backward()
    assert torch.isfinite(presence.grad).all() and torch.isfinite(terminal.grad).all()
