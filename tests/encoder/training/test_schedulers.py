import math

import pytest
import torch

from q2_aam.encoder.training.schedulers import build_scheduler
from q2_aam.settings import SCHEDULERS, Optimization

HIGHEST = 0.5


def course(scheduler, steps, warmup_share=0.1):
    """Learning rate of each step of a run."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=HIGHEST)
    settings = Optimization(scheduler=scheduler, learning_rate=HIGHEST, warmup_share=warmup_share)
    built = build_scheduler(optimizer, settings, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        built.step()
    return rates


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name != "plateau"])
def test_8_11_no_run_is_too_short_nor_any_warmup_too_long(scheduler):
    for steps in [*range(1, 25), 100]:
        for share in (0.0, 0.1, 0.5, 0.99):
            rates = course(scheduler, steps, share)
            assert len(rates) == steps
            assert 0 < min(rates) and max(rates) <= HIGHEST * (1 + 1e-9)


def test_8_11_warmup_cosine():
    rates = course("warmup_cosine", 40, 0.1)
    assert rates[:5] == pytest.approx([HIGHEST * n / 5 for n in (1, 2, 3, 4, 5)])
    assert rates[4:] == pytest.approx([HIGHEST * (1 + math.cos(math.pi * n / 36)) / 2 for n in range(36)])
    assert rates[-1] < 0.01 * HIGHEST


@pytest.mark.parametrize("steps", [5, 20, 400])
def test_8_11_warmup_is_a_share_of_the_run(steps):
    """So that a short run reaches the highest rate too, and spends most of its steps near it."""
    rates = course("warmup_cosine", steps, 0.2)
    assert rates.index(max(rates)) == math.ceil(0.2 * steps)
    assert max(rates) == HIGHEST
    assert sum(rates) / steps > 0.4 * HIGHEST


def test_8_11_cosine_has_no_warmup():
    rates = course("cosine", 10, 0.5)
    assert rates == pytest.approx([HIGHEST * (1 + math.cos(math.pi * n / 10)) / 2 for n in range(10)])


def test_8_11_constant():
    assert course("constant", 7, 0.5) == [HIGHEST] * 7


def test_8_11_onecycle_rises_for_the_warmup_share_and_ends_near_zero():
    rates = course("onecycle", 50, 0.3)
    assert rates[0] == pytest.approx(HIGHEST / 25)
    assert max(rates) == pytest.approx(HIGHEST, rel=0.01)
    assert rates.index(max(rates)) in (14, 15)
    assert rates[-1] < 0.01 * HIGHEST


def plateau(metrics, **changes):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=HIGHEST)
    settings = Optimization(scheduler="plateau", learning_rate=HIGHEST, **changes)
    scheduler = build_scheduler(optimizer, settings, 100)
    rates = []
    for value in metrics:
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"] / HIGHEST)
    return rates


def test_8_11_plateau_halves_the_rate_when_the_metric_stalls():
    """With a patience of 6, after more than 2 epochs without improvement: before the run is stopped."""
    assert plateau([3, 2, 1, 1, 1, 1, 1, 1, 1], patience=6) == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert plateau([3, 2, 1, 0.5, 0.4, 0.3], patience=0) == [1] * 6


def test_8_11_plateau_knows_metrics_of_which_more_is_better():
    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert plateau(rising, patience=3, monitor="r2") == [1] * 6
    assert plateau(rising[::-1], patience=3, monitor="r2")[-1] < 1
    assert plateau(rising, patience=3, monitor="mae")[-1] < 1
