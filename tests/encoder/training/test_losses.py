import math

import pytest
import torch

from q2_aam.encoder.training.losses import count_loss, mean_or_zero, nucleotide_errors, pairs, target_loss, unifrac_loss


def symmetric(ab, ac, bc):
    return torch.tensor([[0, ab, ac], [ab, 0, bc], [ac, bc, 0.0]])


def test_pairs_has_each_pair_once():
    assert pairs(symmetric(0.1, 0.2, 0.3)).tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert pairs(torch.zeros(1, 1)).tolist() == []


def test_unifrac_loss_by_hand():
    found = unifrac_loss(symmetric(0.5, 0.2, 0.9), symmetric(0.4, 0.4, 0.9))
    assert found.item() == pytest.approx((0.1**2 + 0.2**2 + 0) / 3, rel=1e-5)


def test_8_6_one_sample_has_a_defined_loss():
    """It has no pair: zero, with a gradient of zero."""
    predicted = torch.zeros(1, 1, requires_grad=True)
    loss = unifrac_loss(predicted * 2, torch.zeros(1, 1))
    assert loss.item() == 0
    loss.backward()
    assert predicted.grad.tolist() == [[0.0]]


def test_mean_or_zero_of_nothing_is_part_of_the_graph():
    nothing = torch.zeros(0, requires_grad=True)
    loss = mean_or_zero(nothing)
    assert loss.item() == 0 and loss.requires_grad
    assert mean_or_zero(torch.tensor([1.0, 2.0])).item() == 1.5


def test_nucleotide_errors_by_hand():
    """A, C, G, T are tokens 1 to 4 and logits 0 to 3."""
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [math.log(3), 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, math.log(3)]])
    tokens = torch.tensor([2, 1, 4], dtype=torch.uint8)
    assert nucleotide_errors(logits, tokens).item() == pytest.approx(math.log(4) + 2 * math.log(2), rel=1e-5)
    wrong = nucleotide_errors(logits[2:], torch.tensor([1], dtype=torch.uint8))
    assert wrong.item() == pytest.approx(math.log(6), rel=1e-5)
    assert nucleotide_errors(torch.zeros(0, 4), torch.zeros(0, dtype=torch.uint8)).item() == 0


def test_nucleotide_errors_is_float32_of_bf16_logits():
    assert nucleotide_errors(torch.zeros(1, 4, dtype=torch.bfloat16), torch.tensor([1])).dtype == torch.float32


def test_count_loss_by_hand():
    assert count_loss(torch.tensor([1.0, -1.0]), torch.tensor([0.5, 1.0])).item() == pytest.approx((0.25 + 4) / 2)
    assert count_loss(torch.zeros(0), torch.zeros(0)).item() == 0


def test_target_loss_of_numbers_by_hand():
    """Column by row would broadcast to a matrix, and be wrong without a word."""
    found = target_loss(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 0.0, 1.0]), None)
    assert found.item() == pytest.approx((0 + 4 + 9) / 3)
    assert target_loss(torch.tensor([[3.0]]), torch.tensor([1.0]), None).item() == 4


def test_target_loss_of_classes_by_hand():
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    codes = torch.tensor([0, 1])
    assert target_loss(logits, codes, None).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, rel=1e-5)
    weights = torch.tensor([0.5, 2.0])
    expected = (0.5 * math.log(4 / 3) + 2 * math.log(2)) / 2
    assert target_loss(logits, codes, weights).item() == pytest.approx(expected, rel=1e-5)


def test_weighted_batches_add_up_to_the_whole():
    """Which torch's own weighted mean does not do: it divides by the batch's weights."""
    torch.manual_seed(0)
    logits, codes, weights = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([2 / 3, 1.0, 2.0])
    whole = target_loss(logits, codes, weights)
    parts = [target_loss(logits[part], codes[part], weights) for part in (slice(0, 3), slice(3, 6))]
    assert whole.item() == pytest.approx(sum(parts).item() / 2, rel=1e-5)
