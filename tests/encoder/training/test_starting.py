import numpy as np
import pytest
import torch

from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.sample_encoder import lineage_distances
from q2_aam.encoder.training.losses import pairs
from q2_aam.encoder.training.starting import PRESENCE, TERMINAL, USUAL_DISTANCE, start_from_data
from q2_aam.study.communities import asv_hashes
from tests import tiny

pytestmark = pytest.mark.filterwarnings("error")


class Fixed:
    """All samples at one distance from each other."""

    def __init__(self, distance):
        self.distance = distance

    def __call__(self, rows):
        return (self.distance * (1 - np.eye(len(rows)))).astype(np.float32)


def started(unifrac, batch_size=20, rows=None, **changes):
    """A network that began with a survey's distances, and the mean distance it predicts."""
    communities, network = tiny.survey(), tiny.network(lineages=64, **changes)
    rows = np.arange(tiny.SAMPLES) if rows is None else rows
    loader = batch_loader(CommunityDataset(communities, unifrac=unifrac), rows, batch_size, 0, shuffle=True)
    start_from_data(network, loader)
    presence = torch.from_numpy(tiny.embed(network, communities.subset(rows), batch_size=batch_size).presence)
    return network, pairs(lineage_distances(presence)).mean().item()


@pytest.mark.parametrize("distance", [0.2, 0.3, 0.4])
def test_the_mean_predicted_distance_is_the_mean_unifrac(distance):
    """With lineages neither so rare nor so common that they could not be learnt."""
    network, found = started(Fixed(distance))
    assert found == pytest.approx(distance, abs=0.005)
    presence = tiny.embed(network, tiny.survey()).presence
    assert presence.mean().item() == pytest.approx(PRESENCE, abs=0.005)


def test_without_a_phylogeny_a_usual_distance_is_aimed_at():
    network, found = started(None)
    other, same = started(Fixed(USUAL_DISTANCE))
    assert found == same
    assert torch.equal(network.sample_encoder.membership.bias, other.sample_encoder.membership.bias)


def test_a_distance_out_of_reach_is_come_near_to():
    """36 ASVs that are alike can hardly make samples that share next to nothing."""
    network, found = started(Fixed(0.99))
    _, nearer = started(Fixed(0.4))
    assert nearer < found < 0.99
    presence = tiny.embed(network, tiny.survey()).presence
    assert (presence > 0).all() and np.isfinite(presence).all()


def test_8_6_batches_of_one_sample_keep_lineages_apart():
    """They have no distances to go by."""
    drawn = tiny.network(lineages=64).sample_encoder.membership.weight
    network, _ = started(tiny.Distances(tiny.survey()), batch_size=1)
    assert torch.allclose(network.sample_encoder.membership.weight, drawn)
    distances = tiny.embed(network, tiny.survey()).distances()
    assert pairs(torch.from_numpy(distances)).mean() > 0.1


def test_a_last_batch_of_one_sample_counts_for_nothing():
    _, found = started(Fixed(0.2), batch_size=19)
    assert found == pytest.approx(0.2, abs=0.02)


def test_anchors_are_asvs_of_the_samples_learnt_from():
    rows = np.arange(4)
    network, _ = started(None, rows=rows)
    communities = tiny.survey()
    own = set(asv_hashes(communities.tokens[communities.subset(rows).present_asvs()]))
    assert set(asv_hashes(network.asv_encoder.anchors.numpy())) <= own


def test_it_follows_from_the_data_alone():
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        networks.append(started(Fixed(0.2))[0].state_dict())
    assert all(torch.equal(weight, networks[1][name]) for name, weight in networks[0].items())


def test_terminal_branches_begin_as_a_share_of_what_lineages_are_long():
    network, _ = started(Fixed(0.4))
    placed = tiny.embed(network, tiny.survey())
    assert np.ptp(placed.terminal.data) < 1e-6
    assert placed.terminal.sum() == pytest.approx(TERMINAL * placed.presence.sum(), rel=0.01)
