import itertools

import pytest
import torch

from q2_aam.encoder import chunks
from q2_aam.encoder.asv_encoder import ASVEncoder, NucleotideHead, hide_nucleotides
from q2_aam.study.tokenizer import MASK, PAD, START, A, C, G, N, T, tokenize
from tests import tiny

SPANS = (1, 3, 5)
# No length but 5 and 15 is a multiple of 3 or 5.
SEQUENCES = ["ACGTACGTACGTACG", "ACGTTGCA", "TTTTTTT", "ACGTA", "A"]


def encoder(span=3, **changes):
    torch.manual_seed(0)
    return ASVEncoder(tiny.architecture(nucleotides_per_token=span, **changes)).eval()


def tokens(sequences, width=None):
    rows = torch.from_numpy(tokenize(sequences, 30))
    return rows if width is None else torch.nn.functional.pad(rows, (0, 1 + width - rows.shape[1]), value=PAD)


@pytest.mark.parametrize("span", SPANS)
def test_width_of_padding_changes_nothing(span):
    network = encoder(span)
    together = network(tokens(SEQUENCES))
    for width in (16, 17, 29, 30):
        assert torch.allclose(network(tokens(SEQUENCES, width)), together, atol=1e-5)
    for row, sequence in enumerate(SEQUENCES):
        assert torch.allclose(network(tokens([sequence]))[0], together[row], atol=1e-5)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("length", [1, 4, 5, 6, 15, 29, 30])
def test_a_vector_a_span_and_one_for_start(span, length):
    network = encoder(span)
    rows = tokens(["ACGTTGCAAC" * 3])[:, : 1 + length]
    assert network(rows).shape == (1, 16)
    assert network.contextual(rows).shape == (1, 1 + -(-length // span), 16)


@pytest.mark.parametrize("span", SPANS)
def test_every_nucleotide_and_its_place_count(span):
    """A changed letter changes the embedding wherever it stands, an incomplete last span included; so does order."""
    network = encoder(span)
    sequence = "ACGTTGCATG"
    changed = [sequence[:i] + ("A" if sequence[i] != "A" else "C") + sequence[i + 1 :] for i in range(len(sequence))]
    embeddings = network(tokens([sequence, *changed, sequence[::-1], "CA" + sequence[2:]]))
    for other in embeddings[1:]:
        assert (other - embeddings[0]).abs().max() > 1e-3


@pytest.mark.parametrize("span", SPANS)
def test_n_and_mask_are_tokens_of_their_own(span):
    network = encoder(span)
    rows = tokens(["ACGTACGTAA"]).repeat(6, 1)
    for row, letter in enumerate((A, C, G, T, N, MASK)):
        rows[row, 5] = letter
    embeddings = network(rows)
    assert torch.isfinite(embeddings).all()
    apart = torch.cdist(embeddings, embeddings) + torch.eye(6)
    assert apart.min() > 1e-3


def test_8_8_an_asv_is_what_start_has_become():
    network = encoder()
    rows = tokens(SEQUENCES)
    expected = network.norm(network.contextual(rows)[:, 0])
    assert torch.allclose(network(rows), expected, atol=1e-5)
    with torch.no_grad():
        network.start += torch.linspace(-1, 1, 16)
    assert ((network(rows) - expected).abs().max(1).values > 1e-3).all()


@pytest.mark.parametrize("span", SPANS)
def test_8_9_a_row_of_padding_alone_gives_zeros_and_finite_gradients(span):
    network = encoder(span)
    network.anchor_on(tokens(SEQUENCES))
    rows = torch.cat([tokens(SEQUENCES), torch.full((2, 16), PAD, dtype=torch.uint8)])
    embeddings = network(rows)
    assert torch.equal(embeddings[-2:], torch.zeros(2, 16))
    (embeddings.square().sum() + network.contextual(rows)[:-2].square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_a_row_of_padding_changes_no_other_row():
    network = encoder()
    rows = torch.cat([tokens(SEQUENCES), torch.full((1, 16), PAD, dtype=torch.uint8)])
    assert torch.allclose(network(rows)[:-1], network(tokens(SEQUENCES)), atol=1e-5)


def test_the_anchors_mean_is_taken_away():
    """Encoded with the weights of the moment, and the same whatever else is encoded."""
    network = encoder()
    network.anchor_on(tokens(SEQUENCES[:3]))
    seen = []
    network.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(network.anchors)
    assert torch.allclose(seen[-1].mean(0), torch.zeros(16), atol=1e-6)
    assert seen[-1].abs().max() > 1e-3
    assert torch.allclose(network(tokens(SEQUENCES[3:])), network(tokens(SEQUENCES))[3:], atol=1e-5)


def test_anchors_are_some_of_the_asvs_and_travel_with_the_weights():
    network, other = encoder(), encoder()
    assert network.centre().abs().max() == 0, "before it has met data, nothing is taken away"
    network.anchor_on(tokens(SEQUENCES))
    rows = {tuple(row.tolist()) for row in tokens(SEQUENCES, 30)}
    assert {tuple(row.tolist()) for row in network.anchors} == rows
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(tokens(SEQUENCES)), network(tokens(SEQUENCES)))


@pytest.mark.parametrize("span", SPANS)
def test_nucleotide_head_picks_exactly_the_masked_places(span):
    """Against the logits of all places, computed and then picked from; one row has nothing hidden."""
    architecture = tiny.architecture(nucleotides_per_token=span)
    torch.manual_seed(0)
    head, network = NucleotideHead(architecture), encoder(span)
    rows = tokens(SEQUENCES)
    _, masked = hide_nucleotides(rows, 0.4, torch.Generator().manual_seed(1))
    masked[2] = False
    hidden = torch.cat([rows[:, :1], rows[:, 1:].masked_fill(masked, MASK)], 1)
    full = head.logits(head.norm(network.contextual(hidden)[:, 1:])).reshape(len(hidden), -1, 4)
    assert masked.sum() > 5
    expected = torch.stack([full[row, place] for row, place in masked.nonzero().tolist()])
    assert torch.allclose(head(network, hidden, masked), expected, atol=1e-5)


def test_nucleotide_head_of_no_masked_place_is_empty():
    head = NucleotideHead(tiny.architecture())
    for rows in (tokens(SEQUENCES), torch.full((2, 16), PAD, dtype=torch.uint8), torch.full((2, 1), START)):
        logits = head(encoder(), rows, torch.zeros(len(rows), rows.shape[1] - 1, dtype=torch.bool))
        assert logits.shape == (0, 4) and logits.requires_grad


def hide(share=0.3, seed=0):
    rows = tokens(["ACGTNRYACGTACGTACGTACGTACGTACG", "acgunACGT"] * 200)
    return rows, *hide_nucleotides(rows, share, torch.Generator().manual_seed(seed))


def test_hide_nucleotides_hides_letters_alone_and_nothing_else_changes():
    rows, hidden, masked = hide()
    chosen = rows[:, 1:][masked]
    assert set(chosen.tolist()) == {A, C, G, T}
    assert (hidden[:, 1:][masked] == MASK).all()
    assert torch.equal(hidden[:, 1:][~masked], rows[:, 1:][~masked])
    assert (hidden[:, 0] == START).all()
    assert torch.equal(hidden == N, rows == N)
    assert torch.equal(hidden == PAD, rows == PAD)
    assert masked.shape == (400, 30)
    assert hidden.dtype == rows.dtype


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_hide_nucleotides_hides_about_the_share(share):
    rows, _, masked = hide(share)
    letters = (rows[:, 1:] >= A) & (rows[:, 1:] <= T)
    found = masked.sum() / letters.sum()
    # Four standard errors of a share among the letters there are.
    assert abs(found - share) < 4 * (share * (1 - share) / letters.sum()) ** 0.5


def test_hide_nucleotides_follows_from_its_generator_alone():
    torch.manual_seed(1)
    _, first, _ = hide()
    torch.manual_seed(2)
    _, again, _ = hide()
    _, other, _ = hide(seed=3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_hidden_nucleotide_cannot_be_told_from_the_input():
    """Rows that differ in the hidden place alone give the same logits for it."""
    network, head = encoder(), NucleotideHead(tiny.architecture())
    rows = tokens(["ACGTACGTAA", "ACGTTCGTAA", "ACGTGCGTAA"])
    masked = torch.zeros(3, 10, dtype=torch.bool)
    masked[:, 4] = True
    hidden = torch.cat([rows[:, :1], rows[:, 1:].masked_fill(masked, MASK)], 1)
    logits = head(network, hidden, masked)
    assert torch.allclose(logits[0], logits[1]) and torch.allclose(logits[0], logits[2])


def test_the_longest_sequence_fits_and_the_shortest_too():
    network = encoder(7)
    assert network.positions.shape == (1 + 5, 16)
    rows = tokens(["ACGTTGCAAC" * 3, "A"])
    assert network.contextual(rows).shape[1] == 6
    embeddings = network(rows)
    assert torch.isfinite(embeddings).all()


@pytest.mark.parametrize("chunk", [2**13, 8])
def test_gradients_through_some_asvs_are_on_average_those_of_all(chunk, monkeypatch):
    monkeypatch.setitem(chunks.CHUNK, "cpu", chunk)
    network = encoder(anchors=3)
    rows = tokens([*SEQUENCES[:3], "GGATTACA"])
    network.anchor_on(rows)

    def outcome(learnt):
        network.zero_grad()
        embeddings = network(rows, learnt=learnt)
        (embeddings + torch.arange(4.0)[:, None]).square().sum().backward()
        return embeddings.detach(), {name: p.grad.clone() for name, p in network.named_parameters()}

    whole, expected = outcome(None)
    summed = dict.fromkeys(expected, 0.0)
    for pair in itertools.combinations(range(4), 2):
        embeddings, slopes = outcome(torch.tensor([row in pair for row in range(4)]))
        # The numbers are those of all, whatever is learnt from.
        torch.testing.assert_close(embeddings, whole)
        summed = {name: total + slopes[name] / 6 for name, total in summed.items()}
    for name, slope in expected.items():
        torch.testing.assert_close(summed[name], slope, rtol=1e-4, atol=1e-4)
    embeddings, slopes = outcome(torch.ones(4, dtype=torch.bool))
    torch.testing.assert_close(slopes, expected)


def test_only_some_asvs_are_stored_for_the_backward_pass():
    """And all are encoded at once where nothing is learnt."""
    network, rows, learnt = encoder(anchors=1), tokens(SEQUENCES), torch.arange(5) == 1

    def stored(learnt):
        sizes = {}

        def note(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(rows, learnt=learnt)
        return sum(sizes.values())

    assert stored(learnt) < 0.6 * stored(None)
    with torch.no_grad():
        torch.testing.assert_close(network(rows, learnt=learnt), network(rows))
