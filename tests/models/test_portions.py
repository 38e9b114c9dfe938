import pytest
import torch

from q2_aam.data.batches import BatchKey, CommunityDataset
from q2_aam.data.tokenizer import PAD
from q2_aam.models import portions as module
from q2_aam.models.portions import in_order, in_portions, portions
from tests import tiny

LENGTHS = torch.tensor([3, 9, 1, 0, 9, 4, 7, 2, 2, 5])


@pytest.fixture
def small_portions(monkeypatch):
    """Portions of 12 tokens, so that a few rows are many portions."""
    monkeypatch.setitem(module.PORTION, "cpu", 12)


@pytest.mark.parametrize("tokens", [1, 8, 12, 20, 1000])
def test_every_row_is_in_one_portion_of_bounded_size(tokens):
    parts = portions(LENGTHS, tokens)
    assert sorted(torch.cat(parts).tolist()) == list(range(10))
    for rows in parts:
        longest = int(LENGTHS[rows].max())
        assert LENGTHS[rows[0]] == longest
        assert len(rows) == 1 or len(rows) * longest <= tokens


def test_rows_of_similar_length_are_together():
    """What is computed in vain is a fraction of what it would be in the order given."""
    lengths = torch.randint(1, 200, (500,), generator=torch.Generator().manual_seed(0))
    padding = sum(len(rows) * int(lengths[rows[0]]) for rows in portions(lengths, 2000)) - int(lengths.sum())
    given = sum(10 * int(part.max()) for part in lengths.split(10)) - int(lengths.sum())
    assert padding < 0.1 * given


def test_in_order_puts_results_where_their_rows_were(small_portions):
    rows, results = zip(*in_portions(lambda rows, longest: LENGTHS[rows], LENGTHS), strict=True)
    assert len(rows) > 3
    assert torch.equal(in_order(rows, results), LENGTHS)


@pytest.mark.parametrize("max_tokens", [None, 40, 0])
def test_what_is_computed_again_has_the_same_gradients(small_portions, max_tokens):
    """Beyond the budget, and only there, a portion is computed twice."""
    x = torch.rand(10, requires_grad=True)
    calls = []

    def compute(rows, longest):
        calls.append(rows)
        return x[rows].exp() * longest

    parts = list(in_portions(compute, LENGTHS, max_tokens))
    once = len(calls)
    torch.cat([result for _, result in parts]).sum().backward()
    expected = torch.empty(10)
    for rows, _ in parts:
        expected[rows] = x.detach()[rows].exp() * LENGTHS[rows[0]]
    assert torch.allclose(x.grad, expected)
    again = len(calls) - once
    assert once == len(parts)
    # Rows of 9, 9, 7, and 5 with 4 tokens fit in 40.
    assert again == {None: 0, 0: once, 40: once - 4}[max_tokens]


def batch():
    return CommunityDataset(tiny.survey())[BatchKey(range(12), 0)]


def gradients(network, max_tokens=None):
    """Outputs of everything that works in portions, and the gradients of their squares."""
    given = batch()
    masked = torch.rand(given.tokens[:, 1:].shape, generator=torch.Generator().manual_seed(0)) < 0.3
    masked &= given.tokens[:, 1:] != PAD
    hidden = given.mask & (torch.rand(given.mask.shape, generator=torch.Generator().manual_seed(1)) < 0.4)
    encoding = network(given.tokens, given.asv_index, given.abundance, given.mask, max_tokens)
    portions = network.guess_nucleotides(given.tokens, given.tokens, masked, max_tokens)
    logits, letters = map(torch.cat, zip(*portions, strict=True))
    guessed, shares = network.guess_abundances(
        encoding.asv_embeddings, given.asv_index, given.abundance, given.mask, hidden, max_tokens
    )
    outputs = [encoding.asv_embeddings, *encoding.sample]
    loss = sum(output.square().sum() for output in (*outputs, logits, guessed))
    network.zero_grad()
    loss.backward()
    # Guesses come in the order of the portions: what belongs to what is told by sorting.
    order = [torch.cat([logits, letters[:, None]], 1), torch.stack([guessed, shares], 1)]
    outputs += [rows[rows[:, 0].argsort()] for rows in order]
    return [output.detach() for output in outputs], [p.grad.clone() for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("max_tokens", [None, 100, 1])
def test_portions_and_recomputation_change_neither_outputs_nor_gradients(monkeypatch, max_tokens):
    network = tiny.network()
    network.asv_encoder.anchor_on(batch().tokens)
    torch.nn.init.constant_(network.sample_encoder.membership.bias, -1.0)
    outputs, slopes = gradients(network)
    monkeypatch.setitem(module.PORTION, "cpu", 40)
    again, other = gradients(network, max_tokens)
    for before, after in zip([*outputs, *slopes], [*again, *other], strict=True):
        assert torch.allclose(before, after, rtol=1e-3, atol=1e-4)


def test_nothing_is_kept_beyond_the_budget(monkeypatch):
    """Bytes kept for the backward pass, with all portions and with almost none."""
    monkeypatch.setitem(module.PORTION, "cpu", 40)
    network, given = tiny.network(anchors=1), batch()

    def kept(max_tokens):
        sizes = {}

        def note(tensor):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            output = network.asv_encoder(given.tokens, max_tokens=max_tokens)
        assert output.requires_grad
        return sum(sizes.values())

    assert kept(1) < 0.3 * kept(None)
