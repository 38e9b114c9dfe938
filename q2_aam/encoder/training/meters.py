"""Losses and metrics of an epoch."""

import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from q2_aam.encoder.training.distributed import gather, on_first
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.evaluation.scores import higher_is_better
from q2_aam.settings import TARGET_METRICS
from q2_aam.study.targets import Target
from q2_aam.study.tokenizer import A

# Metrics of training alone, of which more is better; of those of the target the registry of scores tells.
HIGHER_IS_BETTER = ("unifrac_r", "nucleotide_accuracy")


def mode_of(metric: str) -> str:
    """'max' or 'min', for a metric with or without its ``train/`` or ``val/``."""
    name = metric.split("/")[-1]
    return "max" if name in HIGHER_IS_BETTER or higher_is_better(name) else "min"


def epoch_of(trainer) -> int:
    """Number of the epoch that has just been learnt, from 1; 0 is the state before the first step."""
    return trainer.current_epoch + (trainer.state.fn == TrainerFn.FITTING)


class EpochMeter:
    """Collects predictions and truth of an epoch.

    Parameters
    ----------
    target : Target, optional
        Predictions are scored in its own units.
    """

    def __init__(self, target: Target | None):
        self.target = target
        self.reset()

    def reset(self) -> None:
        """Begin an epoch."""
        self._distances: list[tuple[np.ndarray, np.ndarray]] = []
        self._nucleotides = [0, 0]
        self._targets: list[tuple[np.ndarray, np.ndarray]] = []
        self._losses: dict[str, list[float]] = {}

    def add_loss(self, name: str, loss: float, count: int) -> None:
        """A named loss of a batch, of all processes' samples, and the number of things it is a mean over."""
        summed = self._losses.setdefault(name, [0.0, 0])
        summed[0] += loss * count
        summed[1] += count

    def add_distances(self, predicted: Tensor, true: Tensor) -> None:
        """Distances of ``[M]`` pairs."""
        self._distances.append((predicted.detach().cpu().numpy(), true.cpu().numpy()))

    def add_nucleotides(self, logits: Tensor, tokens: Tensor) -> None:
        """Logits ``[M, 4]`` of masked nucleotides and their tokens ``[M]``."""
        self._nucleotides[0] += int((logits.argmax(1) == tokens - A).sum())
        self._nucleotides[1] += len(tokens)

    def add_targets(self, predicted: Tensor, target: Tensor) -> None:
        """Network outputs ``[B, O]`` and encoded targets ``[B]``."""
        self._targets.append((predicted.detach().float().cpu().numpy(), target.cpu().numpy()))

    def merge(self, other: "EpochMeter") -> None:
        """Add what another meter holds."""
        self._distances += other._distances
        self._nucleotides = [own + added for own, added in zip(self._nucleotides, other._nucleotides, strict=True)]
        self._targets += other._targets
        for name, (total, count) in other._losses.items():
            self.add_loss(name, total / max(1, count), count)

    def predicted(self) -> Tensor | None:
        """Predictions of a numeric target in own units, as float32 ``[N]``, infinite beyond it; None without any."""
        if not self._targets or self.target.kind != "numeric":
            return None
        with np.errstate(over="ignore"):
            numbers = self.target.decode(np.concatenate([predicted[:, 0] for predicted, _ in self._targets]))
            return torch.from_numpy(numbers.astype(np.float32))

    def targets(self) -> tuple[np.ndarray, np.ndarray] | None:
        """True and predicted target of the epoch's samples in own units or class names; None without a target."""
        if not self._targets:
            return None
        predicted, true = (np.concatenate(part) for part in zip(*self._targets, strict=True))
        column = predicted[:, 0] if self.target.kind == "numeric" else predicted.argmax(1)
        return self.target.decode(true), self.target.decode(column)

    def metrics(self) -> dict[str, float]:
        """Losses and metrics of the samples of all processes, the same in every process.

        Distances and losses stay as they are: each process has met all pairs, and the losses of all.
        """
        nucleotides, targets = zip(*gather((self._nucleotides, self._targets)), strict=True)
        self._nucleotides = [sum(counts) for counts in zip(*nucleotides, strict=True)]
        self._targets = [batch for part in targets for batch in part]
        return on_first(self.compute)

    def compute(self) -> dict[str, float]:
        """Losses and metrics of what was collected; one that is undefined (a correlation of two points) is left out."""
        metrics = {name: total / count for name, (total, count) in self._losses.items() if count}
        if self._distances:
            predicted, true = (np.concatenate(part).astype(np.float64) for part in zip(*self._distances, strict=True))
            if len(true):
                metrics["unifrac_rmse"] = float(np.sqrt(np.mean((predicted - true) ** 2)))
            if len(true) > 2 and predicted.std() > 0 and true.std() > 0:
                metrics["unifrac_r"] = float(np.corrcoef(predicted, true)[0, 1])
        if self._nucleotides[1]:
            metrics["nucleotide_accuracy"] = self._nucleotides[0] / self._nucleotides[1]
        targets = self.targets()
        if targets is not None:
            scores = (regression_scores if self.target.kind == "numeric" else classification_scores)(*targets)
            names = TARGET_METRICS[self.target.kind]
            metrics.update({name: scores[name] for name in names if scores.get(name) is not None})
        return metrics
