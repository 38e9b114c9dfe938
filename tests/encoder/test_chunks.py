import pytest
import torch

from q2_aam.encoder import chunks as module
from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.chunks import chunk_size, chunks, even_chunks, in_chunks, in_order, room
from q2_aam.encoder.sampler import BatchKey
from q2_aam.study.tokenizer import PAD
from tests import tiny

LENGTHS = torch.tensor([3, 9, 1, 0, 9, 4, 7, 2, 2, 5])


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 12 tokens, so that a few rows are many chunks."""
    monkeypatch.setitem(module.CHUNK, "cpu", 24)


@pytest.mark.parametrize("tokens", [1, 8, 12, 20, 1000])
def test_every_row_is_in_one_chunk_of_bounded_size(tokens):
    parts = chunks(LENGTHS, tokens)
    assert sorted(torch.cat(parts).tolist()) == list(range(10))
    for rows in parts:
        longest = int(LENGTHS[rows].max())
        assert LENGTHS[rows[0]] == longest
        assert len(rows) == 1 or len(rows) * longest <= tokens


def test_rows_of_similar_length_are_together():
    """What is computed in vain is a fraction of what it would be in the order data."""
    lengths = torch.randint(1, 200, (500,), generator=torch.Generator().manual_seed(0))
    padding = sum(len(rows) * int(lengths[rows[0]]) for rows in chunks(lengths, 2000)) - int(lengths.sum())
    unsorted = sum(10 * int(part.max()) for part in lengths.split(10)) - int(lengths.sum())
    assert padding < 0.1 * unsorted


class Exponentials(torch.nn.Module):
    """A row's weight and its input, each as an exponential, times the longest row of the chunk."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(10, generator=torch.Generator().manual_seed(0)))
        self.calls = []

    def compute(self, rows, longest, inputs):
        self.calls.append(rows)
        return self.weight[rows].exp() * longest, inputs[rows].exp() * longest


def test_in_order_puts_results_where_their_rows_were(small_chunks, threads):
    parts = in_chunks(lambda rows, longest: (LENGTHS[rows],), LENGTHS, torch.nn.Identity())
    rows, results = zip(*parts, strict=True)
    assert len(rows) > 3
    assert torch.equal(in_order(rows, [result for (result,) in results]), LENGTHS)


@pytest.mark.parametrize("max_tokens", [None, 40, 0])
def test_what_is_computed_again_has_the_same_gradients(small_chunks, threads, max_tokens):
    """Beyond the budget, less what other threads work on, and only there, a chunk is computed twice."""
    network, inputs = Exponentials(), torch.rand(10, requires_grad=True)
    # The inputs may be the end of a graph, into which gradients go on.
    parts = in_chunks(network.compute, LENGTHS, network, max_tokens, [inputs * 2])
    once = len(network.calls)
    own, others = (torch.cat(part) for part in zip(*(results for _, results in parts), strict=True))
    (own.sum() + others.sum()).backward()
    expected = torch.empty(2, 10)
    for rows, _ in parts:
        expected[0][rows] = network.weight.detach()[rows].exp() * LENGTHS[rows[0]]
        expected[1][rows] = 2 * (2 * inputs.detach()[rows]).exp() * LENGTHS[rows[0]]
    assert torch.allclose(network.weight.grad, expected[0])
    assert torch.allclose(inputs.grad, expected[1])
    assert once == len(parts)
    largest = max(float(room(LENGTHS[rows]).sum()) for rows, _ in parts)
    budget = max(20, int(40 - (threads - 1) * largest))
    fit = sum(tokens <= budget for tokens in room_of(parts))
    assert 0 < fit < once
    assert len(network.calls) - once == {None: 0, 0: once, 40: once - fit}[max_tokens]


def room_of(parts):
    """What the chunks up to each one take of ``max_tokens``."""
    return torch.stack([room(LENGTHS[rows]).sum() for rows, _ in parts]).cumsum(0).tolist()


def test_results_that_are_not_used_have_no_part_in_gradients(small_chunks, threads):
    network, inputs = Exponentials(), torch.rand(10, requires_grad=True)
    parts = in_chunks(network.compute, LENGTHS, network, None, [inputs])
    # Of the first chunk both, of the second the inputs, of the others nothing.
    (parts[0][1][0].sum() + parts[0][1][1].sum() + parts[1][1][1].sum()).backward()
    assert set(network.weight.grad.nonzero().flatten().tolist()) == set(parts[0][0].tolist())
    assert set(inputs.grad.nonzero().flatten().tolist()) == set(torch.cat([parts[0][0], parts[1][0]]).tolist())


def test_nothing_has_no_chunks(threads):
    network = Exponentials()
    for max_tokens in (None, 0):
        assert in_chunks(network.compute, LENGTHS[:0], network, max_tokens, [torch.zeros(0)]) == []


@pytest.mark.parametrize(
    "rows, longest", [(1351, 31), (7, 151), (600, 27), (1, 151), (9000, 31), (160, 149), (3, 9000)]
)
@pytest.mark.parametrize("spread", [0.0, 0.7])
@pytest.mark.parametrize("half", [True, False])
def test_threads_have_as_many_chunks_each(threads, rows, longest, spread, half):
    """At either precision: half as many rows in float32, whose chunks are half as large."""
    with torch.autocast("cpu", torch.bfloat16, half):
        check_even_chunks(threads, rows if half else -(-rows // 2), longest, spread)
    assert chunk_size("cpu") == 2**12 and chunk_size("cuda") == 2**17


def check_even_chunks(threads, rows, longest, spread):
    lengths = (longest * (1 - spread * torch.rand(rows, generator=torch.Generator().manual_seed(0)))).long()
    parts = even_chunks(lengths)
    assert sorted(torch.cat(parts).tolist()) == list(range(rows))
    most = chunk_size("cpu")
    sizes = [len(part) * int(lengths[part[0]]) for part in parts]
    assert max(sizes) <= 1.3 * max(most, longest)
    if rows * longest > 2 * threads * most // 4 and rows > 3:
        assert len(parts) % threads == 0
        # None is left with a row or two.
        assert min(sizes) > 0.3 * max(sizes)
    # Nor are there more than it takes.
    assert len(parts) <= max(1, -(-rows * longest // most) + threads - 1)


@pytest.mark.parametrize("lengths", [9000 * [0], [5000] + 300 * [10], [9000, 1], 600 * [4100]])
def test_a_long_row_is_not_what_all_others_are_filled_up_to(threads, lengths):
    lengths = torch.tensor(lengths)
    parts = even_chunks(lengths)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(lengths)))
    assert sum(len(part) * int(lengths[part[0]]) for part in parts) <= 2 * lengths.sum()


def test_little_work_is_shared_out_without_idle_threads():
    """Some 21 chunks that are large enough would leave 11 of 32 threads without work."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(32)
        parts = even_chunks(torch.full((700,), 31))
    finally:
        torch.set_num_threads(before)
    assert len(parts) == 16


def test_dropout_is_drawn_for_one_chunk_after_the_other(small_chunks, threads):
    """The same in each run; and what is computed again draws the same again."""
    network = torch.nn.Sequential(torch.nn.Linear(1, 50), torch.nn.Dropout(0.5))

    def slopes(max_tokens):
        torch.manual_seed(3)
        parts = in_chunks(lambda rows, longest: (network(LENGTHS[rows, None].float()),), LENGTHS, network, max_tokens)
        network.zero_grad()
        result = torch.cat([result for _, (result,) in parts])
        result.sum().backward()
        return result.detach(), network[0].weight.grad.clone()

    expected = slopes(None)
    for max_tokens in (None, 0):
        for result, first in zip(slopes(max_tokens), expected, strict=True):
            assert torch.equal(result, first)
    assert 0.3 < (expected[0] == 0).float().mean() < 0.7


def batch():
    return CommunityDataset(tiny.survey())[BatchKey(range(12), 0)]


def gradients(network, max_tokens=None):
    """Outputs of everything that works in chunks, and the gradients of their squares."""
    data = batch()
    masked = torch.rand(data.tokens[:, 1:].shape, generator=torch.Generator().manual_seed(0)) < 0.3
    masked &= data.tokens[:, 1:] != PAD
    hidden = data.mask & (torch.rand(data.mask.shape, generator=torch.Generator().manual_seed(1)) < 0.4)
    encoding = network(data.tokens, data.asv_index, data.abundance, data.mask, max_tokens)
    total, logits, letters = network.guess_nucleotides(
        data.tokens, data.tokens, masked, lambda logits, truth: logits.square().sum(), max_tokens
    )
    guessed, shares = network.guess_abundances(
        encoding.asv_embeddings, data.asv_index, data.abundance, data.mask, hidden, max_tokens
    )
    assert torch.allclose(total, logits.square().sum(), rtol=1e-3) and not logits.requires_grad
    outputs = [encoding.asv_embeddings, *encoding.sample]
    loss = sum(output.square().sum() for output in (*outputs, guessed)) + 0.5 * total
    network.zero_grad()
    loss.backward()
    # Guesses come in the order of the chunks: sorting shows what belongs to what.
    order = [torch.cat([logits, letters[:, None]], 1), torch.stack([guessed, shares], 1)]
    outputs += [rows[rows[:, 0].argsort()] for rows in order]
    return [output.detach() for output in outputs], [p.grad.clone() for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("max_tokens", [None, 100, 1])
def test_chunks_and_recomputation_change_neither_outputs_nor_gradients(monkeypatch, threads, max_tokens):
    network = tiny.network()
    network.asv_encoder.anchor_on(batch().tokens)
    torch.nn.init.constant_(network.sample_encoder.membership.bias, -1.0)
    # Plain chunks, one after the other, are the oracle of those side by side.
    monkeypatch.setattr(module, "one_by_one", lambda network: True)
    outputs, slopes = gradients(network)
    monkeypatch.undo()
    monkeypatch.setitem(module.CHUNK, "cpu", 40)
    again, other = gradients(network, max_tokens)
    for before, after in zip([*outputs, *slopes], [*again, *other], strict=True):
        assert torch.allclose(before, after, rtol=1e-3, atol=1e-4)


def test_nothing_is_stored_beyond_the_budget(monkeypatch):
    """Bytes stored for the backward pass, with all chunks and with almost none."""
    monkeypatch.setitem(module.CHUNK, "cpu", 40)
    network, data = tiny.network(anchors=1), batch()

    def stored(max_tokens):
        sizes = {}

        def note(tensor):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            output = network.asv_encoder(data.tokens, max_tokens=max_tokens)
        assert output.requires_grad
        return sum(sizes.values())

    assert stored(1) < 0.3 * stored(None)
