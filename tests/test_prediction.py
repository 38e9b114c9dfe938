import os
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from q2_aam.encoder import asv_cache
from q2_aam.prediction import encode_samples, predict_targets
from q2_aam.study.communities import Communities
from tests import tiny

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def network():
    """A regressor to which samples are quite different."""
    network = tiny.network(1)
    network.asv_encoder.anchor_on(torch.from_numpy(tiny.survey().tokens))
    torch.nn.init.constant_(network.sample_encoder.membership.bias, -3.0)
    assert encode_samples(network, tiny.survey()).embedding.std(0).mean() > 0.02
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
    expected = encode_samples(network, tiny.survey())
    found = encode_samples(network, tiny.survey(), batch_size=batch_size)
    assert found.presence.shape == found.share.shape == (tiny.SAMPLES, 8)
    assert torch.allclose(found.presence, expected.presence, atol=1e-5)
    assert torch.allclose(found.share, expected.share, atol=1e-5)
    assert np.allclose(predict_targets(network, found), predict_targets(network, expected), atol=1e-5)


@pytest.mark.parametrize("token_limit", [1024, 5])
def test_shuffled_rows_and_columns_change_nothing(network, token_limit):
    expected = encode_samples(network, tiny.survey(), token_limit=token_limit).embedding
    table, rows = shuffled(tiny.survey())
    found = encode_samples(network, table, token_limit=token_limit, batch_size=6).embedding
    assert torch.allclose(found, expected[torch.from_numpy(rows)], atol=1e-5)


def test_other_samples_of_the_table_change_nothing(network):
    communities = tiny.survey()
    expected = encode_samples(network, communities).embedding
    for rows in ([4], [17, 2, 9]):
        found = encode_samples(network, communities.subset(rows)).embedding
        assert torch.allclose(found, expected[rows], atol=1e-5)


def test_prediction_and_training_see_the_same_embedding(network):
    run = tiny.Run("", kind="numeric")
    batch = run.dataset[tiny.key([5, 1, 8])]
    trained = network(batch.tokens, batch.asv_index, batch.abundance, batch.mask).sample
    found = encode_samples(network, tiny.survey().subset([5, 1, 8]))
    assert torch.allclose(found.embedding, trained.embedding, atol=1e-5)
    with torch.no_grad():
        expected = network.target_head(trained.embedding).numpy()
    assert np.allclose(predict_targets(network, found), expected, atol=1e-5)


def test_each_distinct_asv_is_encoded_once_and_those_of_no_sample_never(network):
    communities = tiny.survey().subset(np.arange(3))
    present = len(communities.present_asvs())
    assert present < len(communities.tokens)
    sizes = []
    network.asv_encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    encode_samples(network, communities, batch_size=1)
    assert sum(sizes) == present


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("rows", [np.arange(tiny.SAMPLES), [7, 2, 3]])
def test_embeddings_kept_on_disk_give_the_same_numbers(network, temporary, monkeypatch, precision, rows):
    communities = tiny.survey().subset(rows)
    network.asv_encoder.anchor_on(torch.from_numpy(communities.tokens[::2]))
    monkeypatch.setattr(asv_cache, "CHUNK", 7)
    where = {"precision": precision, "batch_size": 6, "token_limit": 9}
    expected = encode_samples(network, communities, **where)
    sizes = []
    network.sample_encoder.register_forward_pre_hook(
        lambda *_: sizes.extend(path.stat().st_size for path in temporary.glob("*/*"))
    )
    found = encode_samples(network, communities, asv_cache="disk", **where)
    assert torch.equal(found.presence, expected.presence) and torch.equal(found.share, expected.share)
    # Four bytes a number, for the ASVs that are there; and nothing is left behind.
    assert set(sizes) == {len(communities.present_asvs()) * 16 * 4}
    assert os.listdir(temporary) == []


def test_the_file_is_gone_after_an_error_too(network, temporary):
    network.sample_encoder.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encode_samples(network, tiny.survey(), asv_cache="disk")
    assert os.listdir(temporary) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_disk_is_told_in_a_sentence(network, temporary, monkeypatch):
    monkeypatch.setattr(asv_cache, "open", lambda _, *how, **more: open("/dev/full", *how, **more), raising=False)
    message = (
        r"The embeddings of 36 ASVs cannot be written to .*/q2-aam-\w+ \(No space left on device\). Set TMPDIR to a "
        r"directory with 2.15e-06 GB to spare, or asv_cache to 'memory'."
    )
    with pytest.raises(ValueError, match=message):
        encode_samples(network, tiny.survey(), asv_cache="disk")
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
        where = {"precision": "32", "device": "cpu"}
        with asv_cache.asv_embeddings(network, communities, cache=cache, **where) as look_up:
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

    def embedding(index, kept):
        rooms.add(len(kept))
        return torch.nn.functional.embedding(index, kept)

    monkeypatch.setattr(asv_cache, "F", SimpleNamespace(embedding=embedding))
    found = encode_samples(network, many, asv_cache=cache)
    assert torch.equal(found.presence, encode_samples(network, few).presence)
    assert rooms == {len(few.present_asvs())}


def test_nothing_is_learnt_and_dropout_is_off():
    network = tiny.network(dropout=0.5).train()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    first, again = (encode_samples(network, tiny.survey()).embedding for _ in range(2))
    assert torch.equal(first, again) and not first.requires_grad
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_bf16_is_used_where_it_is_asked_for_and_gives_float32(network):
    expected = encode_samples(network, tiny.survey())
    types = set()
    network.asv_encoder.transformer.blocks[0].feed_forward[0].register_forward_hook(
        lambda _, __, output: types.add(output.dtype)
    )
    found = encode_samples(network, tiny.survey(), precision="bf16")
    assert types == {torch.bfloat16}
    assert found.presence.dtype == found.share.dtype == torch.float32
    assert torch.allclose(found.presence, expected.presence, atol=0.05)
    assert not torch.equal(found.presence, expected.presence)


def test_predictions_are_float32_with_a_column_an_output():
    network = tiny.network(3)
    found = predict_targets(network, encode_samples(network, tiny.survey()))
    assert found.shape == (tiny.SAMPLES, 3) and found.dtype == np.float32
