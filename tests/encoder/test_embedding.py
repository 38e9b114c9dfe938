"""Samples through an encoder that stays as it is, and the cache of its ASV embeddings."""

import os
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from q2_aam.encoder import asv_cache
from q2_aam.encoder.embedding import embed_tables
from q2_aam.settings import Embedding
from q2_aam.study.communities import Communities
from tests import tiny

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def network():
    """A regressor to which samples are quite different."""
    network = tiny.network(1)
    network.asv_encoder.anchor_on(torch.from_numpy(tiny.survey().tokens))
    torch.nn.init.constant_(network.sample_encoder.membership.bias, -3.0)
    assert tiny.embed(network, tiny.survey()).samples.std(0).mean() > 0.02
    return network


def shuffled(communities: Communities, seed=0) -> tuple[Communities, np.ndarray]:
    """The same table with its samples and its ASVs in another order; and the samples' order."""
    rng = np.random.default_rng(seed)
    columns, rows = rng.permutation(len(communities.tokens)), rng.permutation(len(communities))
    counts = communities.counts[:, columns].sorted_indices()
    tokens = np.ascontiguousarray(communities.tokens[columns])
    return tiny.changed(communities, counts=counts, tokens=tokens).subset(rows), rows


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20, 64])
def test_8_6_the_batch_size_changes_nothing(network, batch_size):
    expected = tiny.embed(network, tiny.survey())
    found = tiny.embed(network, tiny.survey(), batch_size=batch_size)
    assert found.presence.shape == found.share.shape == (tiny.SAMPLES, 8)
    assert np.allclose(found.presence, expected.presence, atol=1e-5)
    assert np.allclose(found.share, expected.share, atol=1e-5)
    assert np.allclose(tiny.outputs_of(network, found), tiny.outputs_of(network, expected), atol=1e-5)


@pytest.mark.parametrize("token_limit", [1024, 5])
def test_shuffled_rows_and_columns_change_nothing(network, token_limit):
    expected = tiny.embed(network, tiny.survey(), token_limit=token_limit).samples
    table, rows = shuffled(tiny.survey())
    found = tiny.embed(network, table, token_limit=token_limit, batch_size=6).samples
    assert np.allclose(found, expected[rows], atol=1e-5)


def test_other_samples_of_the_table_change_nothing(network):
    communities = tiny.survey()
    expected = tiny.embed(network, communities).samples
    for rows in ([4], [17, 2, 9]):
        found = tiny.embed(network, communities.subset(rows)).samples
        assert np.allclose(found, expected[rows], atol=1e-5)


def test_prediction_and_training_see_the_same_embedding(network):
    run = tiny.Run("", kind="numeric")
    batch = run.dataset[tiny.key([5, 1, 8])]
    trained = network(batch.tokens, batch.asv_index, batch.abundance, batch.mask).sample
    found = tiny.embed(network, tiny.survey().subset([5, 1, 8]))
    assert np.allclose(found.samples, trained.embedding.detach(), atol=1e-5)
    with torch.no_grad():
        expected = network.target_head(trained.embedding).numpy()
    assert np.allclose(tiny.outputs_of(network, found), expected, atol=1e-5)


def test_each_distinct_asv_is_encoded_once_and_those_of_no_sample_never(network):
    communities = tiny.survey().subset(np.arange(3))
    present = len(communities.present_asvs())
    assert present < len(communities.tokens)
    sizes = []
    network.asv_encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    tiny.embed(network, communities, batch_size=1)
    assert sum(sizes) == present


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("rows", [np.arange(tiny.SAMPLES), [7, 2, 3]])
def test_embeddings_on_disk_give_the_same_numbers(network, temporary, monkeypatch, rows):
    communities = tiny.survey().subset(rows)
    network.asv_encoder.anchor_on(torch.from_numpy(communities.tokens[::2]))
    monkeypatch.setattr(asv_cache, "CHUNK", 7)
    reading = {"batch_size": 6, "token_limit": 9}
    expected = tiny.embed(network, communities, **reading)
    sizes = []
    network.sample_encoder.register_forward_pre_hook(
        lambda *_: sizes.extend(path.stat().st_size for path in temporary.glob("*/*"))
    )
    found = tiny.embed(network, communities, asv_cache="disk", **reading)
    assert np.array_equal(found.presence, expected.presence) and np.array_equal(found.share, expected.share)
    # Four bytes a number, for the ASVs that are there; and nothing is left behind.
    assert set(sizes) == {len(communities.present_asvs()) * 16 * 4}
    assert os.listdir(temporary) == []


def test_the_file_is_gone_after_an_error_too(network, temporary):
    network.sample_encoder.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tiny.embed(network, tiny.survey(), asv_cache="disk")
    assert os.listdir(temporary) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_disk_is_told_in_a_sentence(network, temporary, monkeypatch):
    monkeypatch.setattr(asv_cache, "open", lambda _, *modes, **more: open("/dev/full", *modes, **more), raising=False)
    message = (
        r"The embeddings of 36 ASVs cannot be written to .*/q2-aam-\w+ \(No space left on device\). Set TMPDIR to a "
        r"directory with 2.15e-06 GB to spare, or asv_cache to 'memory'."
    )
    with pytest.raises(ValueError, match=message):
        tiny.embed(network, tiny.survey(), asv_cache="disk")
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_each_asv_is_looked_up_by_its_column(network, monkeypatch, cache):
    monkeypatch.setattr(asv_cache, "CHUNK", 5)
    communities = tiny.survey().subset([7, 2])
    present = communities.present_asvs()
    assert len(present) < len(communities.tokens)
    with torch.no_grad():
        network.eval()
        expected = network.asv_encoder(torch.from_numpy(communities.tokens))
        with asv_cache.asv_embeddings(network, communities, cache=cache, device="cpu") as look_up:
            index = torch.from_numpy(np.random.default_rng(0).permutation(present)[: len(present) // 2 * 2])
            found = look_up(index.view(2, -1))
    assert torch.allclose(found.flatten(0, 1), expected[index], atol=1e-6)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_absent_asvs_have_no_room(network, monkeypatch, cache):
    """A table of 100,000 ASVs of which its two samples hold a few."""
    few = tiny.survey().subset([7, 2])
    counts, rooms = few.counts.copy(), set()
    counts.resize(2, 10**5)
    many = tiny.changed(few, counts=counts, tokens=np.resize(few.tokens, (10**5, few.tokens.shape[1])))

    def embedding(index, embeddings):
        rooms.add(len(embeddings))
        return torch.nn.functional.embedding(index, embeddings)

    monkeypatch.setattr(asv_cache, "F", SimpleNamespace(embedding=embedding))
    found = tiny.embed(network, many, asv_cache=cache)
    assert np.array_equal(found.presence, tiny.embed(network, few).presence)
    assert rooms == {len(few.present_asvs())}


def test_nothing_is_learnt_and_dropout_is_off():
    network = tiny.network(dropout=0.5).train()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    first, again = (tiny.embed(network, tiny.survey()).samples for _ in range(2))
    assert np.array_equal(first, again)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_several_tables_of_the_same_asvs_are_as_each_alone_and_share_the_cache(network, cache):
    whole = tiny.survey()
    half = tiny.changed(whole, counts=whole.counts.multiply(np.arange(36) % 2).tocsr())
    half.counts.eliminate_zeros()
    sizes = []
    network.asv_encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    both = embed_tables(network, [whole, half], Embedding(asv_cache=cache, device="cpu"))
    assert sum(sizes) == len(whole.present_asvs())
    for embedding, table in zip(both, (whole, half), strict=True):
        assert np.allclose(embedding.samples, tiny.embed(network, table).samples, atol=1e-6)


def test_a_sample_without_asvs_is_zero(network):
    communities = tiny.survey()
    empty = np.isin(np.arange(tiny.SAMPLES), [3, 5])
    communities = tiny.changed(communities, counts=communities.counts.multiply(~empty[:, None]).tocsr())
    communities.counts.eliminate_zeros()
    embedding = tiny.embed(network, communities)
    assert not embedding.samples[empty].any() and embedding.samples[~empty].any(1).all()
    assert np.isfinite(embedding.distances()).all()


def test_numbers_are_float32(network):
    embedding = tiny.embed(network, tiny.survey())
    assert embedding.samples.shape == (tiny.SAMPLES, 16)
    assert {part.dtype for part in (embedding.presence, embedding.share, embedding.samples)} == {np.dtype("float32")}


def test_distances_are_unifracs_formula_on_what_samples_hold(network):
    embedding = tiny.embed(network, tiny.survey())
    branches = np.hstack([embedding.presence, embedding.terminal.toarray()])
    rows, columns = branches[:, None], branches[None]
    expected = np.abs(rows - columns).sum(-1) / np.maximum(rows, columns).sum(-1)
    assert np.allclose(embedding.distances(), expected, atol=1e-5)
    few = tiny.embed(network, tiny.survey().subset([4, 1]))
    assert np.allclose(few.distances(embedding), expected[[4, 1]], atol=1e-5)
