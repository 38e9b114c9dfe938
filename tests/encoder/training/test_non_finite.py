"""What happens when a loss or a gradient is not finite (8.7)."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from q2_aam.encoder.training.non_finite import NonFiniteError
from tests import tiny
from tests.encoder.training.test_module import WatchingModule

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("undrawn")]


def broken_run(directory, row, **changes):
    communities = tiny.survey()
    return tiny.Run(directory, communities=communities, unifrac=tiny.Distances(communities, broken=row), **changes)


@pytest.mark.parametrize(("kind", "statistics"), [("numeric", "float32"), ("categorical", "int64")])
def test_8_7_a_loss_that_is_not_finite_stops_with_sample_ids_and_statistics(tmp_path, kind, statistics):
    run = broken_run(tmp_path, 6, kind=kind)
    with pytest.raises(NonFiniteError) as caught:
        run()
    number = r"-?[\d.e+-]+"
    values = rf"min {number} max {number} mean {number}"
    samples = re.fullmatch(
        r"The loss is not finite in epoch 1, after (\d) steps \(train\)\. Samples: (s\d+, s\d+, s\d+(?:, s\d+)?)\. "
        r"unifrac_loss \(\) float32, 1 not finite; "
        rf"nucleotide_loss \(\) float32 {values}; count_loss \(\) float32 {values}; target_loss \(\) float32 {values}; "
        rf"tokens \(\d+, \d+\) uint8 min 0 max 6 mean {number}; abundance \(\d, \d+\) float32 {values}; "
        rf"unifrac \((\d), \d\) float32 {values}, (\d) not finite; target \(\d,\) {statistics} {values}\. "
        r"Look at these samples, lower learning_rate, or set precision to 32; "
        r"set non_finite to 'skip' to go on without such steps\.",
        str(caught.value),
    )
    assert samples, str(caught.value)
    named = samples[2].split(", ")
    assert "s6" in named and len(named) == int(samples[3])
    assert int(samples[4]) == 2 * len(named) - 1


def test_8_7_many_samples_are_counted(tmp_path):
    run = broken_run(tmp_path, 6, batch_size=15)
    with pytest.raises(NonFiniteError, match=r"Samples: (s\d+, ){5}\.\.\. \(15 in all\)\. "):
        run()


@pytest.mark.parametrize("non_finite", ["error", "skip"])
def test_8_7_validation_that_is_not_finite_stops(tmp_path, non_finite):
    """There is no step to skip, and no such advice."""
    run = broken_run(tmp_path, 17, non_finite=non_finite)
    message = r"not finite in epoch 1, after 4 steps \(val\)\. Samples: s15, s16, s17, s18\. .* set precision to 32\.$"
    with pytest.raises(NonFiniteError, match=message):
        run()


def test_8_7_before_the_first_step_it_is_epoch_0(tmp_path):
    run = broken_run(tmp_path, 17, kind="numeric")
    with pytest.raises(NonFiniteError, match=r"not finite in epoch 0, after 0 steps \(val\)"):
        run(validate_first=True)


def burst(run, at):
    """Make the gradient of one weight infinite at some backward passes (numbered from 0)."""
    calls = []

    def hook(weight):
        calls.append(1)
        if len(calls) - 1 in at:
            weight.grad *= math.inf

    run.network.count_head.level.weight.register_post_accumulate_grad_hook(hook)


def test_8_7_a_gradient_that_is_not_finite_stops_with_all_samples_of_the_step(tmp_path):
    """The third of three batches closes the step; the first may be the one that is wrong."""
    run = tiny.Run(tmp_path, batch_size=2, accumulation=3)
    burst(run, [3])
    with pytest.raises(NonFiniteError) as caught:
        run()
    text = str(caught.value)
    assert text.startswith("The gradient is not finite in epoch 1, after 1 steps (train). Samples: s")
    assert "(6 in all). network.count_head.level.weight (1, 16) float32" in text
    assert text.count("tokens (") == 3


def test_8_7_skipped_losses_leave_the_weights_and_are_counted(tmp_path):
    run = broken_run(tmp_path, 6, kind="numeric", module=WatchingModule, non_finite="skip")
    run()
    assert run.history()["train/skipped_steps"].tolist() == [1, 1, 1]
    assert len(run.module.changes) == 12
    for rows, moved, moments in run.module.changes:
        assert moved == moments == (6 not in rows)
    assert np.isfinite(run.history().to_numpy()).all(), "a skipped step spoils no metric"
    assert len(run.module.meters["train"].targets()[0]) < 15


def test_8_7_skipped_gradients_leave_the_weights_and_are_counted(tmp_path):
    run = tiny.Run(tmp_path, module=WatchingModule, non_finite="skip")
    burst(run, [1, 4, 6])
    run()
    assert run.history()["train/skipped_steps"].tolist() == [1, 2, 0]
    assert [moved for _, moved, _ in run.module.changes] == [i not in (1, 4, 6) for i in range(12)]
    assert all(torch.isfinite(p).all() for p in run.network.parameters())


def test_8_7_nothing_to_skip_is_zero_and_not_counted_where_it_is_an_error(tmp_path):
    run = tiny.Run(tmp_path / "skip", non_finite="skip")
    run()
    assert run.history()["train/skipped_steps"].tolist() == [0, 0, 0]
    run = tiny.Run(tmp_path / "error")
    run()
    assert "train/skipped_steps" not in run.history()


class ScaledModule(WatchingModule):
    """With the scaler of half precision, which does not need a graphics card itself."""

    def on_fit_start(self):
        self.trainer.precision_plugin.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)


@pytest.mark.parametrize("non_finite", ["error", "skip"])
def test_steps_that_the_scaler_skips_are_counted(tmp_path, non_finite):
    run = tiny.Run(tmp_path, module=ScaledModule, precision="bf16", non_finite=non_finite)
    burst(run, [1, 4, 6])
    run()
    assert run.history()["train/skipped_steps"].tolist() == [1, 2, 0]
    assert [moved for _, moved, _ in run.module.changes] == [i not in (1, 4, 6) for i in range(12)]


def test_a_scaler_that_skips_step_after_step_stops_the_run(tmp_path):
    """One step in between, and it is counted anew."""
    run = tiny.Run(tmp_path, module=ScaledModule, precision="bf16", epochs=20, patience=0)
    burst(run, [*range(31), *range(32, 99)])
    message = r"^The gradient is not finite in epoch 16, after \d+ steps \(train\)\. Samples: s"
    with pytest.raises(NonFiniteError, match=message):
        run()
    assert run.history()["train/skipped_steps"].tolist() == [4] * 7 + [3] + [4] * 7


def test_to_skip_means_to_go_on_whatever_the_scaler_does(tmp_path):
    run = tiny.Run(tmp_path, module=ScaledModule, precision="bf16", epochs=10, non_finite="skip")
    burst(run, range(99))
    run()
    assert run.history()["train/skipped_steps"].tolist() == [4] * 10


def overflowing(directory, **changes):
    """Learns the logarithm: finite, but far beyond numbers whose logarithm it could be."""
    run = tiny.Run(directory, kind="numeric", **changes)
    run.target = run.module.target = replace(run.target, transform="log1p")
    for meter in run.module.meters.values():
        meter.target = run.target
    with torch.no_grad():
        run.network.target_head.linear.bias += 1e3
    return run


@pytest.mark.parametrize("validate_first", [True, False])
def test_8_7_predictions_that_are_not_finite_stop_with_sample_ids(tmp_path, validate_first):
    begin = {
        True: r"in epoch 0, after 0 steps \(val\)\. Samples: s15, s16, s17, s18\. ",
        False: r"in epoch 1, after 0 steps \(train\)\. Samples: s\d+, s\d+, s\d+, s\d+\. ",
    }[validate_first]
    with pytest.raises(NonFiniteError) as caught:
        overflowing(tmp_path)(validate_first=validate_first)
    assert re.match(
        rf"The prediction is not finite {begin}predicted ph \(4,\) float32, 4 not finite; tokens .*"
        r"Look at these samples, lower learning_rate, ",
        str(caught.value),
    ), str(caught.value)


def test_8_7_steps_whose_predictions_are_not_finite_are_skipped(tmp_path):
    run = overflowing(tmp_path, non_finite="skip", validation_rows=tiny.NO_ROWS, monitor="unifrac_loss")
    with pytest.raises(ValueError, match="^monitor is 'unifrac_loss', which was not measured in epoch 1"):
        run()
    assert run.module.skipped_steps == 4
    run = overflowing(tmp_path, non_finite="skip")
    with pytest.raises(NonFiniteError, match=r"prediction is not finite in epoch 1, .* \(val\)\. Samples: s15, s16"):
        run()
