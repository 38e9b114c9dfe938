"""Courses of the learning rate over a run of known length."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from q2_aam.encoder.training.meters import mode_of
from q2_aam.settings import Optimization


def build_scheduler(optimizer: Optimizer, settings: Optimization, steps: int) -> LRScheduler | ReduceLROnPlateau:
    """Make the scheduler that the settings name.

    Parameters
    ----------
    optimizer : Optimizer
        At its highest learning rate.
    settings : Optimization
        ``scheduler``, ``learning_rate``, ``warmup_share``, ``patience``, ``monitor``.
    steps : int
        Optimizer steps of the whole run; with accumulation, a remainder of an epoch counts as a step.

    Returns
    -------
    LRScheduler or ReduceLROnPlateau
        The latter is stepped once an epoch with the monitored metric, the others once a step.
    """
    if settings.scheduler == "plateau":
        mode = mode_of(settings.monitor)
        return ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=max(1, settings.patience // 3))
    if settings.scheduler == "onecycle":
        # One step more than the run has: the scheduler refuses to be asked beyond its end. Neither phase may be without
        # a step: it divides by their lengths.
        return OneCycleLR(
            optimizer,
            settings.learning_rate,
            total_steps=steps + 1,
            pct_start=min(max(settings.warmup_share, 2 / (steps + 1)), 0.99),
            # Momentum means another thing to each of two optimizers.
            cycle_momentum=False,
        )
    warmup = math.ceil(settings.warmup_share * steps) if settings.scheduler == "warmup_cosine" else 0

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if settings.scheduler == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

    return LambdaLR(optimizer, factor)
