import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from q2_aam.encoder import chunks
from q2_aam.encoder.sample_encoder import unifrac_distances
from q2_aam.encoder.sampler import BatchKey
from q2_aam.encoder.training.losses import pairs
from q2_aam.encoder.training.meters import EpochMeter
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.objectives import terminal_branches
from q2_aam.study.tokenizer import MASK, A, T
from tests import tiny

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("undrawn")]


class WatchingModule(TrainingModule):
    """Notes the norm of each step's gradient before and after clipping, and which batches changed the weights."""

    def setup(self, stage):
        self.norms, self.changes = [], []

    def configure_gradient_clipping(self, optimizer, **options):
        before = self.norm()
        super().configure_gradient_clipping(optimizer, **options)
        self.norms.append((before, self.norm()))

    def norm(self):
        return math.sqrt(sum(float(p.grad.double().square().sum()) for p in self.parameters() if p.grad is not None))

    def on_train_batch_start(self, batch, batch_number):
        self.before = {name: p.detach().clone() for name, p in self.named_parameters()}
        self.moments = self.moments_now()

    def on_train_batch_end(self, outputs, batch, batch_number):
        moved = any(not torch.equal(self.before[name], p) for name, p in self.named_parameters())
        self.changes.append((batch.rows.tolist(), moved, self.moments_now() != self.moments))

    def moments_now(self):
        kept = ("momentum_buffer", "exp_avg")
        return [float(state[k].sum()) for state in tiny.states(self.trainer.optimizers[0]) for k in kept if k in state]


class ComparingModule(TrainingModule):
    """Compares each step's gradient with that of the plain mean of its batches' losses."""

    def setup(self, stage):
        self.group, self.groups = [], []

    def training_step(self, batch, batch_number):
        self.group.append(batch)
        return super().training_step(batch, batch_number)

    def configure_gradient_clipping(self, optimizer, **options):
        trained = {name: p for name, p in self.named_parameters() if p.grad is not None}
        with torch.enable_grad():
            mean = torch.stack([total_loss(self, batch) for batch in self.group]).mean()
        expected = torch.autograd.grad(mean, list(trained.values()))
        for (name, parameter), gradient in zip(trained.items(), expected, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-6, rtol=1e-4), name
        self.groups.append(len(self.group))
        self.group = []
        super().configure_gradient_clipping(optimizer, **options)


def total_loss(module, batch):
    objective = module.settings.objective
    losses = module.losses(batch, EpochMeter(module.target))
    return sum(getattr(objective, name.replace("loss", "weight")) * loss for name, (loss, _) in losses.items())


def alone(run, rows=(0, 3, 4, 9), seed=5):
    """One batch of a run, outside of training."""
    return run.dataset[BatchKey(np.array(rows), seed)]


def test_losses_by_name_with_what_each_is_a_mean_over(tmp_path):
    run = tiny.Run(tmp_path, kind="numeric")
    batch = alone(run)
    losses = run.module.losses(batch, EpochMeter(run.target))
    assert list(losses) == ["unifrac_loss", "nucleotide_loss", "count_loss", "target_loss"]
    letters = int(((batch.tokens >= A) & (batch.tokens <= T)).sum())
    assert losses["unifrac_loss"][1] == 6 and losses["target_loss"][1] == 4
    assert 0 < losses["nucleotide_loss"][1] < 0.3 * letters
    assert 0 < losses["count_loss"][1] < batch.mask.sum()
    for loss, _ in losses.values():
        assert loss.dtype == torch.float32 and torch.isfinite(loss)


def test_every_weight_learns(tmp_path):
    """One without a gradient would be dead freight in every model file."""
    run = tiny.Run(tmp_path, kind="numeric", mask_share=0.5)
    run.network.asv_encoder.anchor_on(torch.from_numpy(run.communities.tokens))
    total_loss(run.module, alone(run)).backward()
    still = [name for name, p in run.network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []


def test_classes_of_unequal_size_are_weighted_in_the_loss(tmp_path):
    run = tiny.Run(tmp_path, kind="categorical", classes=3)
    weights = [0.5, 1.0, 4.0]
    target = replace(run.target, class_weights=weights)
    module = TrainingModule(run.network, run.settings, run.communities.sample_ids, target)
    batch = alone(run, np.arange(12))
    inputs = batch.tokens, batch.asv_index, batch.abundance, batch.mask
    logits = run.network.target_head(run.network(*inputs).sample.embedding)
    errors = -logits.log_softmax(1)[torch.arange(12), batch.target]
    found = module.losses(batch, EpochMeter(target))["target_loss"][0]
    assert len(batch.target.unique()) == 3
    torch.testing.assert_close(found, (errors * torch.tensor(weights)[batch.target]).mean())
    assert abs(found - errors.mean()) > 0.01


@pytest.mark.parametrize("name", ["unifrac", "nucleotide", "count", "target"])
def test_a_loss_of_weight_0_is_not_computed(tmp_path, name):
    weights = {f"{other}_weight": float(other == name) for other in ("unifrac", "nucleotide", "count", "target")}
    run = tiny.Run(tmp_path, kind="numeric", **weights)
    assert list(run.module.losses(alone(run), EpochMeter(run.target))) == [f"{name}_loss"]


def test_losses_follow_from_the_batchs_seed(tmp_path):
    run = tiny.Run(tmp_path)
    torch.manual_seed(1)
    first = total_loss(run.module, alone(run))
    torch.manual_seed(2)
    assert total_loss(run.module, alone(run)) == first
    assert total_loss(run.module, alone(run, seed=6)) != first


def test_the_count_head_is_scored_on_withheld_abundances_alone(tmp_path):
    """Batches that differ in withheld abundances have the same guesses, and another loss."""
    run = tiny.Run(tmp_path, mask_share=0.5, count_weight=1.0, nucleotide_weight=0.0)
    guesses, asked, contextual = [], [], run.network.sample_encoder.contextual

    def noting(*inputs):
        asked.append(inputs)
        return contextual(*inputs)

    run.network.count_head.register_forward_hook(lambda _, inputs, output: guesses.append(output))
    run.network.sample_encoder.contextual = noting
    batch = alone(run)
    first = run.module.losses(batch, EpochMeter(None))["count_loss"]
    _, abundance, _, hidden = asked[-1]
    other = batch.abundance.clone()
    for shares, withheld in zip(abundance, hidden, strict=True):
        [row] = (batch.abundance[:, : len(shares)] == shares).all(1).nonzero()
        other[row, withheld.nonzero()] *= 0.01
    second = run.module.losses(replace(batch, abundance=other), EpochMeter(None))["count_loss"]
    assert first[1] == second[1] == int(hidden.sum()) > 2
    assert torch.equal(guesses[0], guesses[1]) and first[0] != second[0]


def test_8_6_a_batch_of_one_sample_has_a_defined_loss(tmp_path):
    run = tiny.Run(tmp_path, nucleotide_weight=0.0, count_weight=0.0)
    total = total_loss(run.module, alone(run, [4]))
    assert total == 0
    total.backward()
    assert all(torch.isfinite(p.grad).all() for p in run.network.parameters() if p.grad is not None)


@pytest.mark.parametrize(("batch_size", "accumulation", "groups"), [(4, 3, [3, 1]), (6, 2, [2, 1]), (4, 4, [4])])
def test_8_11_gradients_of_an_accumulated_remainder_are_the_plain_mean(tmp_path, batch_size, accumulation, groups):
    run = tiny.Run(tmp_path, module=ComparingModule, batch_size=batch_size, accumulation=accumulation, epochs=2)
    run()
    assert run.module.groups == groups * 2


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_8_7_clipping_is_on_and_the_norm_never_above(tmp_path, precision):
    run = tiny.Run(tmp_path, module=WatchingModule, gradient_clip=0.05, accumulation=2, precision=precision)
    run()
    assert len(run.module.norms) == 6
    for before, after in run.module.norms:
        assert before > 0.05
        assert after == pytest.approx(0.05, rel=1e-4)


def test_8_7_a_gradient_below_the_limit_is_left_alone(tmp_path):
    for clip in (0.0, 1e6):
        run = tiny.Run(tmp_path / str(clip), module=WatchingModule, gradient_clip=clip, epochs=1)
        run()
        assert all(before == pytest.approx(after, rel=1e-6) for before, after in run.module.norms)


def test_bf16_on_a_cpu_is_really_used_while_distances_and_losses_are_float32(tmp_path):
    run = tiny.Run(tmp_path, kind="numeric", precision="bf16", epochs=1, module=DtypeModule)
    inside, validated = {}, set()

    def note(name):
        def hook(module, inputs, output):
            if module.training:
                inside[name] = output.dtype
            else:
                validated.add(output.dtype)

        return hook

    for name, module in run.network.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(note(name))
    run()
    for name in ("target_head.linear", "sample_encoder.terminal_branch"):
        assert inside.pop(name) == torch.float32
    assert len(inside) > 10 and set(inside.values()) == {torch.bfloat16}
    assert validated == {torch.float32}, "validated as it will predict"
    assert len(run.module.dtypes) == 2 * 5, "presence and four losses, in training and validation"
    assert {dtype for _, _, dtype in run.module.dtypes} == {torch.float32}
    assert all(p.dtype == torch.float32 for p in run.network.parameters())


class DtypeModule(TrainingModule):
    """Notes in which types the distances and the losses of either stage come."""

    def setup(self, stage):
        self.dtypes = set()
        self.network.sample_encoder.register_forward_hook(self.note_presence)

    def note_presence(self, module, inputs, output):
        self.dtypes.add((self.training, "presence", output.presence.dtype))

    def losses(self, batch, meter):
        losses = super().losses(batch, meter)
        self.dtypes |= {(self.training, name, loss.dtype) for name, (loss, _) in losses.items()}
        return losses


def test_precision_16_on_a_cpu_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^precision 16 needs a GPU\. On a CPU set precision to"):
        tiny.Run(tmp_path, precision="16")()


def test_validation_masks_and_is_the_same_every_epoch_for_the_same_weights(tmp_path):
    """So that accuracy cannot be copied from the input. A learning rate of nothing keeps the weights."""
    run = tiny.Run(
        tmp_path, learning_rate=1e-30, weight_decay=0.0, mask_share=0.3, token_limit=4, token_choice="random"
    )
    asked = []

    def note(module, inputs):
        if not module.training:
            asked.append(inputs[1:])

    run.network.nucleotide_head.register_forward_pre_hook(note)
    run()
    assert len(asked) == 6, "two batches in each of three epochs"
    for tokens, masked in asked:
        assert torch.equal(tokens[:, 1:] == MASK, masked), "what is asked for was hidden"
        letters = ((tokens >= A) & (tokens <= T)).sum() + masked.sum()
        assert 0.15 < masked.sum() / letters < 0.45
    for first, second, third in zip(asked[:2], asked[2:4], asked[4:], strict=True):
        assert torch.equal(first[0], second[0]) and torch.equal(first[0], third[0])
    validation = run.history().filter(like="val/")
    assert validation.shape == (3, 7)
    assert (validation == validation.iloc[0]).all(axis=None)
    training = run.history()["train/nucleotide_loss"]
    assert training.nunique() == 3, "training masks anew"


def test_weight_decay_is_on_matrices_only(tmp_path):
    run = tiny.Run(tmp_path, weight_decay=0.3, epochs=1)
    run()
    turned, rest = run.result.state["optimizer"][0]["parts"]
    groups = [*turned["param_groups"], *rest["param_groups"]]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.3, 0]
    shapes = [p.ndim for p in run.network.parameters()]
    assert len(groups[0]["params"]) + len(groups[1]["params"]) == sum(ndim >= 2 for ndim in shapes)
    assert len(groups[2]["params"]) == sum(ndim < 2 for ndim in shapes)


def test_sub_communities_are_learnt_from_as_samples_but_only_whole_ones_are_judged(tmp_path):
    run = tiny.Run(tmp_path, kind="numeric", subcommunities=2)
    batch, meter = alone(run), EpochMeter(run.target)
    assert batch.mask.shape[0] == 12
    losses = run.module.losses(batch, meter)
    encoding = run.network(batch.tokens, batch.asv_index, batch.abundance, batch.mask)
    lengths = run.network.sample_encoder.terminal_lengths(encoding.asv_embeddings)
    distances = unifrac_distances(encoding.sample.presence, terminal_branches(batch, lengths))
    # 66 pairs of 12 communities, and the 6 of the whole samples.
    assert losses["unifrac_loss"][1] == 66
    error = (pairs(distances) - pairs(batch.unifrac)).square().mean()
    torch.testing.assert_close(losses["unifrac_loss"][0], error)
    whole = (pairs(distances[::3, ::3]) - pairs(batch.unifrac[::3, ::3])).detach().square().mean().sqrt()
    assert meter.compute()["unifrac_rmse"] == pytest.approx(float(whole), rel=1e-5)
    assert abs(whole - error.detach().sqrt()) > 1e-3
    # Nothing but the distances is learnt from parts.
    only = alone(tiny.Run(tmp_path, kind="numeric"))
    expected = run.module.losses(replace(only, unifrac=None), EpochMeter(run.target))
    for name in ("count_loss", "target_loss"):
        assert losses[name][1] == expected[name][1]
        torch.testing.assert_close(losses[name][0], expected[name][0], rtol=1e-4, atol=1e-5)


def test_losses_that_nothing_is_known_for_are_refused(tmp_path):
    run = tiny.Run(tmp_path, unifrac=None, nucleotide_weight=0.0, count_weight=0.0)
    message = (
        "There is nothing to learn: the losses whose weight is above 0 need a phylogeny or a target, and there is none."
        " Give it, or set another weight above 0."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run()


@pytest.mark.parametrize("kind", [None, "numeric"])
def test_the_total_is_the_weighted_sum_of_the_epochs_losses(tmp_path, kind):
    """Also where the last batch is of one sample, which has no UniFrac loss rather than one of zero; and in epoch 0."""
    rows = {"train_rows": np.arange(9), "validation_rows": np.arange(9, 18)}
    weights = {"unifrac_weight": 10.0, "nucleotide_weight": 0.3, "count_weight": 0.2}
    run = tiny.Run(tmp_path, kind=kind, **rows, **weights, epochs=2)
    run(validate_first=True)
    assert_total(run.history(), {**weights, "target_weight": 0.0 if kind is None else 1.0})


def assert_total(history, weights):
    for stage, epochs in (("train", history.index[history.index > 0]), ("val", history.index)):
        row = history.loc[epochs]
        named = {name: weight for name, weight in weights.items() if weight}
        total = sum(weight * row[f"{stage}/{name.replace('weight', 'loss')}"] for name, weight in named.items())
        assert row[f"{stage}/total_loss"].tolist() == pytest.approx(total.tolist(), rel=1e-6, abs=0)


def test_gradients_go_through_a_share_of_the_asvs_which_each_batch_draws_anew(tmp_path, monkeypatch):
    run, drawn = tiny.Run(tmp_path, gradient_share=0.4), []
    whole = tiny.Run(tmp_path)
    encode = run.network.asv_encoder.forward

    def watch(tokens, max_tokens=None, learnt=None):
        drawn.append(learnt)
        return encode(tokens, max_tokens, learnt)

    monkeypatch.setattr(run.network.asv_encoder, "forward", watch)
    losses = [run.module.losses(alone(run, seed=seed), EpochMeter(None)) for seed in (5, 5, 6)]
    asvs = len(alone(run).tokens)
    assert [int(learnt.sum()) for learnt in drawn] == [round(0.4 * asvs)] * 3
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    # What is learnt from changes no loss.
    expected = whole.module.losses(alone(whole), EpochMeter(None))
    torch.testing.assert_close(losses[0]["unifrac_loss"], expected["unifrac_loss"])
    with torch.no_grad():
        run.module.losses(alone(run), EpochMeter(None))
    assert drawn[-1] is None, "validation is of all"


def test_gradients_go_through_as_many_asvs_as_there_is_room_for(tmp_path):
    """And half at least; all where all fit. Room is tokens, and more for long rows."""
    options = {"gradient_share": "auto", "sizes": {"nucleotides_per_token": 1}}
    whole = tiny.Run(tmp_path, **options)
    batch = alone(whole)
    lengths = whole.network.asv_encoder.lengths(batch.tokens)
    needed = sum(length * (1 + length / 256) for length in lengths.tolist())
    assert needed > 1.07 * lengths.sum(), "or what long rows take could be left out"
    for share, expected in ((1.06, None), (0.8, 0.76), (0.1, 0.5)):
        run, drawn = tiny.Run(tmp_path, max_tokens=int(share * needed), **options), []
        run.network.asv_encoder.register_forward_pre_hook(lambda _, given, kept=drawn: kept.append(given[2]))
        run.module.losses(alone(run), EpochMeter(None))
        found = [None if learnt is None else int(learnt.sum()) for learnt in drawn]
        assert found == [expected and round(expected * len(batch.tokens))]


@pytest.mark.parametrize("alone_too, budgets, times", [(True, 1, 2), (True, 2, 1), (False, 1, 1)])
def test_guesses_are_stored_where_the_encoder_leaves_room(tmp_path, monkeypatch, alone_too, budgets, times):
    """Else they are computed again in the backward pass; side by side they have their gradients before that."""
    if alone_too:
        monkeypatch.setattr(chunks, "one_by_one", lambda network: True)
    run = tiny.Run(tmp_path, gradient_share=1.0)
    batch = alone(run)
    lengths = run.network.asv_encoder.lengths(batch.tokens)
    needed = sum(length * (1 + length / 256) for length in lengths.tolist())
    run, calls = tiny.Run(tmp_path, gradient_share=1.0, max_tokens=int(budgets * needed) + 1), []
    run.network.nucleotide_head.register_forward_pre_hook(lambda *_: calls.append(1))
    total = total_loss(run.module, alone(run))
    once = len(calls)
    total.backward()
    assert once > 0 and len(calls) == times * once
