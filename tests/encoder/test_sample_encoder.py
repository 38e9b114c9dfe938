import numpy as np
import pytest
import torch

from q2_aam.encoder.sample_encoder import SampleEncoder, lineage_distances, log_share
from tests import tiny
from tests.scikit_bio import tips_of_columns

LENGTHS = torch.tensor([6, 4, 1, 0])


def encoder(**changes):
    torch.manual_seed(0)
    network = SampleEncoder(tiny.architecture(**changes)).eval()
    # As rare as they are set at first, lineages would hide in the tolerances below.
    torch.nn.init.constant_(network.membership.bias, -1.0)
    return network


def samples():
    """Four samples of 6, 4, 1 and 0 ASVs."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(6) < LENGTHS[:, None]
    abundance = torch.rand(4, 6, generator=generator) * mask
    abundance = abundance / abundance.sum(1, keepdim=True).clamp_min(1e-9)
    return torch.randn(4, 6, 16, generator=generator), abundance, mask


def test_presence_and_share_of_a_lineage_are_what_they_are_said_to_be():
    """Presence: one minus the chance that no ASV belongs, times the branch length; share: expected share of reads."""
    network = encoder()
    with torch.no_grad():
        network.log_branch_length += torch.linspace(-1, 1, 8)
    embeddings, abundance, mask = samples()
    found, contextual = network(embeddings, abundance, mask), network.contextual(embeddings, abundance, mask)
    for row in range(4):
        asvs = contextual[row][mask[row]]
        belongs = (asvs @ network.membership.weight.T + network.membership.bias).sigmoid().double()
        presence = (1 - (1 - belongs).prod(0)) * network.log_branch_length.double().exp()
        share = (abundance[row][mask[row]][:, None].double() * belongs).sum(0)
        assert torch.allclose(found.presence[row].double(), presence, atol=1e-5)
        assert torch.allclose(found.share[row].double(), share, atol=1e-5)


def test_contextual_vectors_see_the_other_asvs_and_the_abundance():
    network = encoder()
    embeddings, abundance, mask = samples()
    before = network.contextual(embeddings, abundance, mask)
    other = embeddings.clone()
    other[0, 5] *= -1
    assert (network.contextual(other, abundance, mask)[0, 0] - before[0, 0]).abs().max() > 1e-4
    doubled = abundance.clone()
    doubled[0, 0] *= 2
    assert (network.contextual(embeddings, doubled, mask)[0, 0] - before[0, 0]).abs().max() > 1e-4


@pytest.mark.parametrize("half", ["presence", "share"])
def test_both_halves_of_the_embedding_teach_the_lineages_and_what_is_before_them(half):
    network = encoder()
    embeddings, abundance, mask = samples()
    embeddings.requires_grad_()
    getattr(network(embeddings, abundance, mask), half).square().sum().backward()
    for gradient in (network.membership.weight.grad, network.transformer.blocks[0].attention.project.weight.grad):
        assert gradient.abs().max() > 1e-4
    assert (embeddings.grad[mask].abs().max(1).values > 1e-6).all()


def test_8_9_a_sample_without_asvs_gives_zeros_and_finite_gradients():
    network = encoder()
    embeddings, abundance, mask = samples()
    embeddings.requires_grad_()
    found = network(embeddings, abundance, mask)
    assert torch.equal(found.presence[3], torch.zeros(8))
    assert torch.equal(found.share[3], torch.zeros(8))
    assert torch.equal(found.embedding[3], torch.zeros(16))
    assert torch.equal(found.embedding[:3, 8:], found.share[:3].sqrt())
    (found.embedding.square().sum() + lineage_distances(found.presence).sum()).backward()
    assert torch.isfinite(embeddings.grad).all()
    for name, parameter in network.named_parameters():
        # What these read is not in it.
        if name != "hidden_abundance" and not name.startswith("terminal_branch"):
            assert torch.isfinite(parameter.grad).all(), name


def test_8_9_padding_and_its_width_change_nothing():
    network = encoder()
    embeddings, abundance, mask = samples()
    found = network(embeddings, abundance, mask)
    noise = torch.where(mask[..., None], embeddings, torch.full_like(embeddings, 9.0))
    pad = torch.nn.functional.pad
    wide = network(pad(noise, (0, 0, 0, 5), value=-4.0), pad(abundance, (0, 5)), pad(mask, (0, 5)))
    assert torch.allclose(wide.presence, found.presence, atol=1e-5)
    assert torch.allclose(wide.share, found.share, atol=1e-5)


def test_the_order_of_asvs_changes_nothing():
    network = encoder()
    embeddings, abundance, mask = samples()
    order = torch.tensor([4, 0, 3, 5, 1, 2])
    given, shuffled = (embeddings, abundance, mask), (embeddings[:, order], abundance[:, order], mask[:, order])
    assert torch.allclose(network(*shuffled).embedding, network(*given).embedding, atol=1e-5)
    assert torch.allclose(network.contextual(*shuffled)[0], network.contextual(*given)[0, order], atol=1e-5)


def test_the_other_samples_of_a_batch_change_nothing():
    network = encoder()
    embeddings, abundance, mask = samples()
    together = network(embeddings, abundance, mask).embedding
    for row, length in enumerate(LENGTHS.tolist()):
        part = slice(row, row + 1), slice(0, max(1, length))
        alone = network(embeddings[part], abundance[part], mask[part]).embedding
        assert torch.allclose(alone[0], together[row], atol=1e-5)


def test_a_withheld_abundance_is_not_seen_where_it_has_to_be_guessed():
    network = encoder()
    embeddings, abundance, mask = samples()
    hidden = torch.zeros_like(mask)
    hidden[0, 2] = True
    other = abundance.clone()
    other[0, 2] = 0.9
    first = network.contextual(embeddings, abundance, mask, hidden)
    assert torch.equal(first, network.contextual(embeddings, other, mask, hidden))
    assert not torch.allclose(network.contextual(embeddings, abundance, mask)[0], first[0], atol=1e-4)


def test_log_share_is_finite_for_every_share():
    shares = torch.tensor([0.0, 1e-12, 1e-6, 0.5, 1.0])
    found = log_share(shares)
    assert torch.isfinite(found).all()
    assert found[0] == found[1]
    assert torch.allclose(found[2:], (shares[2:].log() + 6) / 3)


def test_lineage_distances_are_the_formula_written_out():
    """Sum of |a - b| over sum of max(a, b), one pair at a time."""
    presence = torch.rand(7, 12, generator=torch.Generator().manual_seed(0)) ** 3
    distances = lineage_distances(presence)
    for i, a in enumerate(presence.double().numpy()):
        for j, b in enumerate(presence.double().numpy()):
            assert distances[i, j].item() == pytest.approx(np.abs(a - b).sum() / np.maximum(a, b).sum(), abs=1e-6)
    assert torch.equal(distances, distances.T)
    assert torch.equal(distances.diagonal(), torch.zeros(7))
    assert distances.min() >= 0 and distances.max() <= 1


def test_lineage_distances_are_unweighted_unifrac_where_lineages_are_branches():
    """Against scikit-bio: a branch is held or not, and weighs as much as it is long."""
    from skbio import TreeNode
    from skbio.diversity import beta_diversity

    tree = TreeNode.read(["(((a:1,b:.5):.25,c:2):.75,(d:.1,(e:.3,f:1.5):.6):1):0;"])
    tips = list("abcdef")
    counts = np.random.default_rng(0).integers(0, 2, (5, 6)) + np.eye(5, 6, dtype=int)
    branches = [node for node in tree.traverse() if node.length]
    below = [{tip.name for tip in node.tips(include_self=True)} for node in branches]
    pairs = list(zip(branches, below, strict=True))
    presence = [
        [node.length * any(sample[tips.index(tip)] for tip in names) for node, names in pairs] for sample in counts
    ]
    expected = beta_diversity("unweighted_unifrac", counts, **tips_of_columns(tips), tree=tree).data
    assert np.allclose(lineage_distances(torch.tensor(presence)).numpy(), expected, atol=1e-6)


def test_lineage_distances_at_their_ends():
    presence = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    distances = lineage_distances(presence)
    assert distances[0, 1] == 1 and distances[0, 2] == 1
    assert distances[2, 3] == 0


def test_8_6_one_sample_has_a_distance_matrix_of_one_zero():
    presence = torch.rand(1, 8, requires_grad=True)
    distances = lineage_distances(presence)
    assert torch.equal(distances, torch.zeros(1, 1))
    distances.sum().backward()
    assert torch.isfinite(presence.grad).all()


def test_lineage_distances_have_finite_gradients_between_equal_and_empty_samples():
    presence = torch.tensor([[0.5, 0.25], [0.5, 0.25], [0.0, 0.0]], requires_grad=True)
    lineage_distances(presence).sum().backward()
    assert torch.isfinite(presence.grad).all()


def test_distances_are_float32_under_bf16():
    network = encoder()
    with torch.autocast("cpu", torch.bfloat16):
        found = network(*samples())
        distances = lineage_distances(found.presence)
    assert found.presence.dtype == found.share.dtype == distances.dtype == torch.float32
    assert torch.allclose(distances, lineage_distances(encoder()(*samples()).presence), atol=0.03)
