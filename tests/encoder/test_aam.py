import numpy as np
import pytest
import torch

from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.sample_encoder import lineage_distances
from q2_aam.encoder.sampler import BatchKey
from tests import tiny


def encode(network, rows, communities=None):
    batch = CommunityDataset(communities or tiny.survey())[BatchKey(np.asarray(rows), 0)]
    return network(batch.tokens, batch.asv_index, batch.abundance, batch.mask)


@pytest.fixture(params=[1, 3, 5])
def network(request):
    """With lineages common enough to tell samples apart."""
    network = tiny.network(nucleotides_per_token=request.param).eval()
    torch.nn.init.constant_(network.sample_encoder.membership.bias, -1.0)
    return network


def test_8_6_the_batch_a_sample_is_in_changes_nothing(network):
    """Other samples bring other ASVs, more padding, another number in the batch."""
    whole = encode(network, np.arange(tiny.SAMPLES)).sample.embedding
    assert (whole.std(0) > 1e-4).any()
    for rows in ([3], [3, 7], [7, 3, 0], [19, 3, 2, 11, 5]):
        assert torch.allclose(encode(network, rows).sample.embedding, whole[rows], atol=1e-5)


def test_the_order_of_the_tables_asvs_changes_nothing(network):
    communities = tiny.survey()
    order = np.random.default_rng(0).permutation(len(communities.tokens))
    counts = communities.counts[:, order].sorted_indices()
    shuffled = tiny.changed(communities, counts=counts, tokens=communities.tokens[order])
    rows = np.arange(6)
    found, expected = (encode(network, rows, table).sample for table in (shuffled, communities))
    assert torch.allclose(found.embedding, expected.embedding, atol=1e-5)
    assert torch.allclose(lineage_distances(found.presence), lineage_distances(expected.presence), atol=1e-5)


def test_only_a_network_with_a_target_has_a_target_head():
    assert tiny.network().target_head is None
    head = tiny.network(3).target_head.linear
    # Presence and root of the share of each of 8 lineages.
    assert (head.in_features, head.out_features) == (16, 3)


def test_a_batchs_asvs_are_encoded_once_each():
    network = tiny.network().eval()
    batch = CommunityDataset(tiny.survey())[BatchKey(np.arange(6), 0)]
    sizes = []
    network.asv_encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    encoding = network(batch.tokens, batch.asv_index, batch.abundance, batch.mask)
    assert sizes == [len(batch.tokens)] and len(batch.tokens) < batch.mask.sum()
    assert torch.allclose(encoding.asv_embeddings, network.asv_encoder(batch.tokens), atol=1e-6)
