import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.distance import cdist

from q2_aam.encoder.sample_encoder import SampleEncoding, lineage_distances
from q2_aam.heads import kernel as kernel_head
from q2_aam.heads.kernel import (
    DISTANCES,
    Compared,
    KernelHead,
    familiarity,
    scaled_distances,
    similarity,
    squared_hellinger,
    squared_jaccard,
    squared_unifrac,
    typical_distances,
)
from tests import tiny


def compared(seed=0, n=12, condition=False):
    """Samples of the tiny survey with made-up lineages."""
    communities = tiny.survey().subset(np.arange(n))
    presence = torch.rand(n, 5, generator=torch.Generator().manual_seed(seed))
    values = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32) if condition else None
    return communities, Compared.of(communities, SampleEncoding(presence, presence**2), values)


def head_of(samples, **changes):
    rng = np.random.default_rng(5)
    given = {
        "support": samples,
        "typical": typical_distances(samples),
        "sharpness": 0.7,
        "loudness": 2.0 if samples.condition is not None else 0.0,
        "weight": rng.normal(size=(len(samples), 3)),
        "bias": rng.normal(size=3),
    }
    return KernelHead(**{**given, **changes})


def test_distances_are_scipys_and_the_encoders():
    communities, samples = compared()
    counts = communities.counts.toarray().astype(float)
    one, other = samples.subset(np.arange(4)), samples.subset(np.arange(4, 12))
    assert np.allclose(squared_jaccard(one, other), cdist(counts[:4] > 0, counts[4:] > 0, "jaccard") ** 2)
    roots = np.sqrt(counts / counts.sum(1, keepdims=True))
    assert np.allclose(squared_hellinger(one, other), cdist(roots[:4], roots[4:], "sqeuclidean"))
    whole = lineage_distances(samples.presence).numpy()
    assert np.allclose(squared_unifrac(one, other), whole[:4, 4:] ** 2, atol=1e-6)


def test_alike_samples_are_at_0_and_distances_are_symmetric():
    _, samples = compared()
    for squared in DISTANCES.values():
        found = squared(samples, samples)
        assert np.allclose(np.diag(found), 0, atol=1e-9) and np.allclose(found, found.T, atol=1e-7)


def test_asvs_that_the_other_table_lacks_are_not_counted():
    communities, samples = compared()
    # The same samples read from a table that has all ASVs in another order, and one of them under another sequence.
    order = np.random.default_rng(1).permutation(len(communities.tokens))
    tokens = communities.tokens[order].copy()
    changed = order[0]
    tokens[0, 1:4] = [4, 4, 4] if tuple(communities.tokens[changed, 1:4]) != (4, 4, 4) else [3, 3, 3]
    other = tiny.changed(communities, tokens=tokens, counts=communities.counts[:, order])
    shuffled = Compared.of(other, SampleEncoding(samples.presence, samples.presence))
    counts = communities.counts.toarray() > 0
    mine = counts.copy()
    mine[:, changed] = False
    shared = mine.astype(int) @ mine.T.astype(int)
    either = mine.sum(1)[:, None] + counts.sum(1)[None] - shared
    assert np.allclose(squared_jaccard(samples, shuffled), (1 - shared / either) ** 2)
    assert counts[:, changed].any()
    reads = communities.counts.toarray().astype(float)
    theirs = np.sqrt(reads / reads.sum(1, keepdims=True))
    reads[:, changed] = 0
    known = np.sqrt(reads / reads.sum(1, keepdims=True))
    assert np.allclose(squared_hellinger(samples, shuffled), 2 - 2 * known @ theirs.T)


def test_new_asvs_are_read_as_far_as_familiar_ones_are_few():
    _, samples = compared()
    held = np.diff(samples.shares.indptr)
    one = samples.subset(np.argsort(-held)[:3])
    # Of the second sample half as many ASVs are familiar as a quarter of the others have at most; of the third none.
    enough = np.quantile(held, 0.25)
    parts = [one.shares[0], one.shares[1].copy(), one.shares[2] * 0]
    parts[1].data[int(enough) // 2 :] = 0
    shares = sp.vstack(parts).tocsr()
    shares.eliminate_zeros()
    found = Compared(one.presence, shares, samples.hashes.copy(), None, torch.rand(3, 5))
    weight = familiarity(found, samples)
    assert weight == pytest.approx([1, (int(enough) // 2) / enough, 0]) and 0.3 < weight[1] < 1
    whole, familiar = (
        lineage_distances(each, samples.presence).numpy() ** 2 for each in (found.presence, found.familiar)
    )
    mixed = weight[:, None] * familiar + (1 - weight[:, None]) * whole
    assert np.allclose(squared_unifrac(found, samples), mixed, atol=1e-6)
    assert np.allclose(squared_unifrac(found, samples)[0], familiar[0], atol=1e-6)


def test_what_is_compared_with_keeps_the_asvs_it_holds():
    _, samples = compared()
    few = samples.subset(np.arange(3)).as_support()
    held = np.asarray((samples.shares[:3] > 0).sum(0)).ravel() > 0
    assert 0 < held.sum() < len(held) and np.array_equal(few.hashes, samples.hashes[held])
    for squared in DISTANCES.values():
        assert np.allclose(squared(few, few), squared(samples, samples)[:3, :3], atol=1e-6)


def test_scaled_distances_are_the_mean_of_the_three_whatever_the_portions(monkeypatch):
    _, samples = compared()
    typical = typical_distances(samples)
    expected = sum(squared(samples, samples) / typical[kind] for kind, squared in DISTANCES.items()) / 3
    whole = scaled_distances(samples, samples, typical)
    monkeypatch.setattr(kernel_head, "ROWS", 5)
    assert np.allclose(whole, expected, rtol=1e-6)
    assert np.array_equal(scaled_distances(samples, samples, typical), whole)
    pairs = np.triu_indices(12, 1)
    assert np.isclose(np.median(squared_jaccard(samples, samples)[pairs]), typical["jaccard"])
    assert np.allclose(similarity(whole, 0.5), np.exp(-expected / 2), rtol=1e-5)


@pytest.mark.parametrize("condition", [False, True])
def test_a_head_kept_as_tensors_predicts_the_same(tmp_path, condition):
    _, samples = compared(condition=condition)
    head = head_of(samples)
    torch.save(head.to_tensors(), tmp_path / "head.pt")
    again = KernelHead.from_tensors(torch.load(tmp_path / "head.pt", weights_only=True))
    new = samples.subset(np.array([7, 1]))
    assert np.array_equal(again.outputs(new), head.outputs(new)) and head.outputs(new).shape == (2, 3)


def test_a_samples_prediction_does_not_depend_on_the_others():
    _, samples = compared()
    head = head_of(samples.subset(np.arange(8)))
    together = head.outputs(samples.subset(np.arange(8, 12)))
    for row in range(4):
        assert np.allclose(head.outputs(samples.subset(np.array([8 + row]))), together[row], atol=1e-6)


def test_condition_enters_in_proportion():
    _, samples = compared(condition=True)
    head = head_of(samples)
    other = Compared(samples.presence, samples.shares, samples.hashes, samples.condition + 1)
    slope = 4.0 * np.ones((12, 2)) @ samples.condition.T @ head.weight
    assert np.allclose(head.outputs(other) - head.outputs(samples), slope, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": torch.zeros(3, 1, dtype=torch.float64)},
        {"indices": torch.tensor([10**6])},
        {"typical": torch.ones(2)},
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    _, samples = compared()
    with pytest.raises(ValueError):
        KernelHead.from_tensors({**head_of(samples).to_tensors(), **change})


def test_sample_without_reads_in_known_asvs_is_still_compared():
    _, samples = compared()
    alone = Compared(samples.presence[:1], sp.csr_matrix(([1.0], [0], [0, 1]), (1, 1)), np.array([-(2**62)]))
    assert np.allclose(squared_jaccard(alone, samples), 1) and np.allclose(squared_hellinger(alone, samples), 2)
