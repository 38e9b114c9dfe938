import pytest
import torch

from q2_aam.encoder.attention import Attention, Block, Transformer, at, attend, fused_attend


def rows_with_padding(rows=4, length=6, dim=16, seed=0):
    """Random rows of 6, 4, 1 and 0 vectors."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([6, 4, 1, 0])[:rows]
    return torch.randn(rows, length, dim, generator=generator), torch.arange(length) < lengths[:, None]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("function", [attend, fused_attend])
def test_attention_is_its_formula(function, masked, monkeypatch):
    """On a CPU as on a graphics card, of all places and of some; row by row and head by head."""
    monkeypatch.setattr("q2_aam.encoder.attention.attend", function)
    torch.manual_seed(0)
    attention = Attention(16, 4)
    x, mask = rows_with_padding(3)
    places = torch.tensor([[0, 5], [2, 2], [0, 0]])
    expected = []
    for row, allowed in zip(x, mask, strict=True):
        present = row[allowed] if masked else row
        query, key, value = (
            vectors @ part.T
            for vectors, part in zip((row, present, present), attention.project.weight.split(16), strict=True)
        )
        heads = [slice(start, start + 4) for start in range(0, 16, 4)]
        mixed = [(query[:, h] @ key[:, h].T / 2).softmax(1) @ value[:, h] for h in heads]
        expected.append(torch.cat(mixed, 1) @ attention.merge.weight.T)
    expected, mask = torch.stack(expected), mask if masked else None
    assert torch.allclose(attention(x, mask), expected, atol=1e-6)
    assert torch.allclose(attention(x, mask, places), at(expected, places), atol=1e-6)


@pytest.mark.parametrize("queries", [7, 2])
@pytest.mark.parametrize("masked", [True, False])
def test_both_kernels_have_the_same_results_and_gradients(queries, masked):
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randn(3, 2, length, 4, generator=generator, dtype=torch.float64, requires_grad=True)
        for length in (queries, 7, 7)
    ]
    mask = torch.arange(7) < torch.tensor([7, 3, 1])[:, None] if masked else None
    results = [function(*parts, mask) for function in (attend, fused_attend)]
    torch.testing.assert_close(*results)
    weights = torch.randn(3, 2, queries, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(*(torch.autograd.grad((weights * result).sum(), parts) for result in results))


@pytest.mark.parametrize("padded", [True, False])
def test_some_places_are_as_among_all(padded):
    """Also in the gradients of the others, and when a place is there twice."""
    torch.manual_seed(0)
    transformer = Transformer(2, 16, 2, 2)
    x, mask = rows_with_padding()
    if not padded:
        x, mask = x[:2], None
    places = torch.tensor([[0, 3], [2, 1], [0, 0], [0, 0]])[: len(x)]
    gradients = []
    for compute in (lambda: transformer(x, mask, places), lambda: at(transformer(x, mask), places)):
        x.grad = None
        x.requires_grad_()
        transformer.zero_grad()
        result = compute()
        (result * torch.linspace(-1, 1, 16)).sum().backward()
        gradients.append([result.detach(), x.grad, *(p.grad for p in transformer.parameters())])
    assert gradients[0][0].abs().max() > 0.1
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_last_block_computes_the_places_alone():
    transformer = Transformer(2, 16, 2, 2)
    widths = []
    for block in transformer.blocks:
        block.feed_forward.register_forward_pre_hook(lambda _, inputs: widths.append(inputs[0].shape[1]))
    transformer(*rows_with_padding(), torch.zeros(4, 1, dtype=torch.long))
    assert widths == [6, 1]


def test_attention_in_bf16_is_near_that_in_float32():
    torch.manual_seed(0)
    attention = Attention(32, 4)
    x = torch.randn(5, 31, 32)
    with torch.autocast("cpu", torch.bfloat16):
        half, some = attention(x), attention(x, None, torch.tensor([[3, 0]] * 5))
    assert half.dtype == some.dtype == torch.bfloat16
    assert torch.allclose(half.float(), attention(x), atol=0.02)
    assert torch.allclose(some.float(), attention(x)[:, [3, 0]], atol=0.02)


def test_what_padding_holds_reaches_no_vector():
    torch.manual_seed(0)
    transformer = Transformer(2, 16, 2, 2)
    x, mask = rows_with_padding()
    other = torch.where(mask[..., None], x, torch.full_like(x, 7.0))
    assert torch.allclose(transformer(x, mask)[mask], transformer(other, mask)[mask], atol=1e-6)


def test_a_row_is_computed_alike_with_and_without_padding():
    torch.manual_seed(0)
    transformer = Transformer(2, 16, 2, 2)
    x, mask = rows_with_padding()
    padded = transformer(x, mask)
    assert torch.allclose(padded[1, :4], transformer(x[1:2, :4])[0], atol=1e-5)
    assert torch.allclose(padded[0], transformer(x[:1], mask[:1])[0], atol=1e-5)


def test_8_9_a_row_of_padding_alone_has_finite_gradients():
    torch.manual_seed(0)
    transformer = Transformer(2, 16, 2, 2)
    x, mask = rows_with_padding()
    x.requires_grad_()
    transformer(x, mask).square().sum().backward()
    for tensor in (x, *transformer.parameters()):
        assert torch.isfinite(tensor.grad).all()


def test_attention_keeps_zeros():
    """Norms and projections carry no bias, so that nothing comes of nothing."""
    torch.manual_seed(0)
    block = Block(16, 2, 2)
    zeros = torch.zeros(1, 3, 16)
    assert torch.equal(block.attention(block.norm_attention(zeros)), zeros)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    block = Block(16, 2, 2, dropout=0.5)
    x, _ = rows_with_padding(1)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
