import math

import torch

from q2_aam.models.attention_pooling import AttentionPooling
from tests.models.test_attention import rows_with_padding


def pooling():
    torch.manual_seed(0)
    return AttentionPooling(16, 2)


def test_each_head_pools_with_its_own_weights():
    """Against the sum written out, one row and one head at a time."""
    layer = pooling()
    x, mask = rows_with_padding(3)
    pooled = layer(x, mask)
    for row in range(3):
        vectors = layer.norm(x[row][mask[row]])
        scores, values = layer.score(vectors) / math.sqrt(16), layer.value(vectors)
        heads = [scores[:, head].softmax(0) @ values[:, 8 * head : 8 * head + 8] for head in range(2)]
        assert torch.allclose(pooled[row], layer.merge(torch.cat(heads)), atol=1e-6)


def test_8_9_a_row_of_padding_alone_gives_zeros_and_finite_gradients():
    layer = pooling()
    x, mask = rows_with_padding()
    x.requires_grad_()
    pooled = layer(x, mask)
    assert torch.equal(pooled[3], torch.zeros(16))
    assert (pooled[:3] != 0).any(1).all()
    pooled.sum().backward()
    for tensor in (x, *layer.parameters()):
        assert torch.isfinite(tensor.grad).all()
    assert torch.equal(x.grad[3], torch.zeros(6, 16))


def test_what_padding_holds_changes_nothing():
    layer = pooling()
    x, mask = rows_with_padding()
    other = torch.where(mask[..., None], x, torch.full_like(x, -3.0))
    assert torch.allclose(layer(x, mask), layer(other, mask), atol=1e-6)


def test_order_changes_nothing():
    layer = pooling()
    x, mask = rows_with_padding()
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    assert torch.allclose(layer(x, mask), layer(x[:, order], mask[:, order]), atol=1e-6)
