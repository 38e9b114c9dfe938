import numpy as np
import torch

from q2_aam.encoder.output_heads import CountHead, TargetHead
from tests import tiny


def test_target_head_is_linear_in_the_standardised_embedding():
    head = TargetHead(3, 2)
    head.start_from(
        torch.tensor([1.0, 2.0, 3.0]),
        torch.tensor([1.0, 2.0, 4.0]),
        torch.tensor([[1.0, 0.0, 0.0], [0.0, 10.0, 100.0]]),
        torch.tensor([0.5, -0.5]),
    )
    assert torch.allclose(head(torch.tensor([[2.0, 6.0, 11.0]])), torch.tensor([[1.5, 219.5]]))


def test_target_head_reads_the_covariates_beside_the_embedding_as_they_come():
    head = TargetHead(1, 1, covariates=2)
    head.start_from(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([[1.0, 10.0, 100.0]]), torch.tensor([0.5]))
    # the embedding is standardised and cut at 4, the covariates are neither
    found = head(torch.tensor([[3.0], [99.0]]), torch.tensor([[1.0, 0.0], [-7.0, 30.0]]))
    assert found.tolist() == [[1 + 10 + 0.5], [4 - 70 + 3000 + 0.5]]


def test_target_head_keeps_its_start_in_the_state_and_trains_the_linear_part_alone():
    head = TargetHead(3, 2)
    head.start_from(torch.ones(3), torch.full((3,), 2.0), torch.ones(2, 3), torch.ones(2))
    other = TargetHead(3, 2)
    other.load_state_dict(head.state_dict())
    embedding = torch.randn(4, 3)
    assert torch.equal(other(embedding), head(embedding))
    assert [name for name, _ in head.named_parameters()] == ["linear.weight", "linear.bias"]
    assert all(parameter.requires_grad for parameter in head.parameters())


def test_target_head_computes_in_float32_under_bf16():
    torch.manual_seed(0)
    head = TargetHead(64, 1)
    embedding = torch.randn(8, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = head(embedding)
    assert found.dtype == torch.float32
    assert torch.equal(found, head(embedding))


def test_count_head_gives_one_float32_number_a_vector():
    torch.manual_seed(0)
    head = CountHead(tiny.architecture())
    vectors = torch.randn(2, 5, 16)
    expected = vectors @ head.level.weight[0] + head.level.bias
    assert torch.allclose(head(vectors), expected, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert head(vectors).dtype == torch.float32
    assert head(torch.zeros(0, 16)).shape == (0,)


def test_target_head_gives_back_what_it_started_from():
    head = TargetHead(3, 2, covariates=1)
    parts = np.arange(3.0), np.arange(1.0, 4.0), np.arange(8.0).reshape(2, 4), np.arange(2.0)
    head.start_from(*parts)
    assert all(np.array_equal(one, other) for one, other in zip(head.to_arrays(), parts, strict=True))
