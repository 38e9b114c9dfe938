import copy

import pytest
import torch

from q2_aam.encoder.training import optimizers
from q2_aam.encoder.training.optimizers import EMBEDDINGS, CombinedOptimizer, Float32Muon, build_optimizer
from q2_aam.settings import Optimization
from tests import tiny


def names_of(network, group):
    chosen = {id(p) for p in group["params"]}
    return {name for name, p in network.named_parameters() if id(p) in chosen}


def test_muon_takes_what_turns_vectors_into_vectors():
    network = tiny.network(outputs=3, covariates=2)
    optimizer = build_optimizer(network, Optimization(weight_decay=0.2, learning_rate=0.1))
    muon, matrices, rest = optimizer.param_groups
    turned = names_of(network, muon)
    assert "asv_encoder.transformer.blocks.0.attention.project.weight" in turned
    assert "sample_encoder.abundance.2.weight" in turned
    assert not any(name.startswith(EMBEDDINGS) for name in turned)
    names = [name for name, _ in network.named_parameters()]
    assert all(any(name.startswith(listed) for name in names) for listed in EMBEDDINGS), "one was renamed"
    assert len(turned) == 2 * 4 + 1, "four of each block, one of the abundance"
    listed = names_of(network, matrices)
    assert {"sample_encoder.membership.weight", "target_head.linear.weight"} <= listed
    # Every parameter is in one group.
    names = [turned, listed, names_of(network, rest)]
    assert sum(map(len, names)) == len(set().union(*names)) == len(list(network.parameters()))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1] * 3
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.2, 0.0]


def test_adamw_takes_all():
    network = tiny.network()
    optimizer = build_optimizer(network, Optimization(optimizer="adamw"))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))


def both(weights):
    matrix, vector = (torch.nn.Parameter(w.clone()) for w in weights)
    parts = torch.optim.Muon([matrix], lr=0.1, adjust_lr_fn="match_rms_adamw"), torch.optim.AdamW([vector], lr=0.1)
    return CombinedOptimizer(*parts), matrix, vector


def test_both_step_as_each_would_alone():
    torch.manual_seed(0)
    weights = torch.randn(6, 4), torch.randn(4)
    optimizer, matrix, vector = both(weights)
    other_matrix, other_vector = (torch.nn.Parameter(w.clone()) for w in weights)
    alone = [
        torch.optim.Muon([other_matrix], lr=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([other_vector], lr=0.1),
    ]
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for step in range(3):
        gradients = torch.randn(6, 4), torch.randn(4)
        for one in (matrix, other_matrix):
            one.grad = gradients[0].clone()
        for one in (vector, other_vector):
            one.grad = gradients[1].clone()
        for part in alone:
            part.param_groups[0]["lr"] = 0.1 / (1 + step)
            part.step()
        assert optimizer.step(lambda: 7.0) == 7.0
        scheduler.step()
        optimizer.zero_grad()
        assert matrix.grad is None and vector.grad is None
    assert torch.equal(matrix, other_matrix) and torch.equal(vector, other_vector)


def test_both_go_on_from_a_saved_state():
    """Learning rates that a scheduler sets after loading reach the optimizers inside."""
    torch.manual_seed(0)
    weights, gradients = (torch.randn(6, 4), torch.randn(4)), (torch.randn(6, 4), torch.randn(4))

    def step(optimizer, *parameters, rate=0.1):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    optimizer, *parameters = both(weights)
    step(optimizer, *parameters)
    other, *others = both([p.detach() for p in parameters])
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(optimizer, *parameters, rate=0.01)
    step(other, *others, rate=0.01)
    assert all(torch.equal(one, two) for one, two in zip(parameters, others, strict=True))
    with pytest.raises(ValueError, match="different number of parameter groups|shorter|longer"):
        other.load_state_dict({"parts": []})


@pytest.mark.parametrize("native", [True, False])
def test_bf16_is_for_processors_that_multiply_it(native, monkeypatch):
    monkeypatch.setattr(optimizers, "multiplies_bf16", lambda device: native)
    muon, _ = build_optimizer(tiny.network(), Optimization()).parts
    assert isinstance(muon, torch.optim.Muon) and isinstance(muon, Float32Muon) != native


@pytest.mark.parametrize("other", [{}, {"adjust_lr_fn": "match_rms_adamw", "nesterov": False}])
def test_options_that_it_does_not_read_are_refused(other):
    with pytest.raises(ValueError, match="^Float32Muon has Nesterov's momentum and adjust_lr_fn 'match_rms_adamw' al"):
        Float32Muon([torch.nn.Parameter(torch.ones(2, 2))], lr=0.1, **other)


def test_muon_in_float32_is_torchs():
    """To the rounding of bf16, over steps, with momentum and decay."""
    torch.manual_seed(0)
    weights = [torch.randn(6, 4), torch.randn(4, 6), torch.randn(5, 5), torch.randn(6, 4)]
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in weights] for _ in range(2))
    options = {"lr": 0.1, "weight_decay": 0.3, "adjust_lr_fn": "match_rms_adamw"}
    both = Float32Muon(ours, **options), torch.optim.Muon(theirs, **options)
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        assert both[0].step(lambda: 7.0) == 7.0
        both[1].step()
    moved = [(one - start).norm() for one, start in zip(ours, weights, strict=True)]
    apart = [(one - other).norm() for one, other in zip(ours, theirs, strict=True)]
    assert all(away < 0.05 * way for away, way in zip(apart, moved, strict=True))
    # The state is the same one: a run may go on on another machine.
    assert {name for part in both for state in part.state.values() for name in state} == {"momentum_buffer"}
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(both[0].state[one]["momentum_buffer"], both[1].state[other]["momentum_buffer"])
