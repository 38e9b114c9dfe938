"""The network in training, as a Lightning module: losses, metrics, optimizer. The loop is Lightning's."""

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.batches import Batch
from q2_aam.encoder.chunks import room
from q2_aam.encoder.training.distributed import no_loss, share_losses
from q2_aam.encoder.training.meters import EpochMeter, epoch_of
from q2_aam.encoder.training.non_finite import finite, non_finite_error
from q2_aam.encoder.training.objectives import JOINT_LOSSES, OBJECTIVES, Loss, LossInput, random_rows
from q2_aam.encoder.training.optimizers import build_optimizer
from q2_aam.encoder.training.schedulers import build_scheduler
from q2_aam.settings import Training
from q2_aam.study.targets import Target

# At least this share of a batch's ASVs is learnt from; what `max_tokens` has no room for is then computed again.
LEAST_AUTO_SHARE = 0.5
# The scaler of half precision halves its scale at each step it skips: after so many, that is not what is too large.
MOST_SCALER_STEPS = 32


class TrainingModule(LightningModule):
    """Losses, metrics and optimizer of `pretrain` (no target) and `fine-tune` (with one).

    Parameters
    ----------
    network : AAM
        Changed in place.
    settings : Training
        Optimization and objective; losses of weight 0 are not computed.
    sample_ids : np.ndarray
        Of the whole table, for messages.
    target : Target, optional
        What ``batch.target`` is encoded with.
    """

    def __init__(self, network: AAM, settings: Training, sample_ids: np.ndarray, target: Target | None = None):
        super().__init__()
        self.network = network
        self.settings = settings
        self.sample_ids = sample_ids
        self.target = target
        weights = None if target is None or not target.classes else torch.tensor(target.class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.meters = {"train": EpochMeter(target), "val": EpochMeter(target)}
        self.last_losses: dict[str, float] = {}
        self.skipped_steps = 0
        self.skipped_in_a_row = 0
        self.step_batches: list[Batch] = []

    # Losses

    def losses(self, batch: Batch, meter: EpochMeter) -> dict[str, Loss]:
        """Named losses of a batch, each with the number of things it is a mean over."""
        generator = torch.Generator().manual_seed(batch.seed)
        rows = self._gradient_rows(batch.tokens, generator) if torch.is_grad_enabled() else None
        inputs = batch.tokens, batch.asv_index, batch.abundance, batch.mask
        encoding = self.network(*inputs, self.settings.runtime.max_tokens, rows)
        data = LossInput(self.network, batch, encoding, self.settings, generator, meter, self.class_weights)
        return {o.term.loss: o.compute(data) for o in OBJECTIVES if o.applies(self.settings, batch)}

    def _gradient_rows(self, tokens: Tensor, generator: torch.Generator) -> Tensor | None:
        """Which of the ASVs ``tokens [U, 1 + L]`` gradients are computed through, boolean ``[U]``; None: all."""
        share = self.settings.optimization.gradient_share
        if share == "auto":
            needed = float(room(self.network.asv_encoder.lengths(tokens)).sum())
            # A little less, so that a draw of longer ones fits, too.
            share = max(LEAST_AUTO_SHARE, 0.95 * self.settings.runtime.max_tokens / needed)
        if share >= 1:
            return None
        rows = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        rows[random_rows(len(rows), generator, share)] = True
        return rows

    def _shared_step(self, batch: Batch, stage: str) -> Tensor | None:
        """The loss that this process learns from; None where it is not finite and the step is skipped."""
        meter = EpochMeter(self.target)
        losses = self.losses(batch, meter)
        tensors, quantity = {name: loss for name, (loss, _) in losses.items()}, "loss"
        predicted = meter.predicted()
        if predicted is not None and not finite(predicted) and finite(tensors["target_loss"]):
            # The loss is of transformed numbers, too large to be transformed back.
            loss, count = losses["target_loss"]
            # That is seen by all processes.
            losses["target_loss"] = loss * float("nan"), count
            tensors, quantity = {f"predicted {self.target.name}": predicted}, "prediction"
        losses, parts = share_losses(losses, JOINT_LOSSES)
        total = self._total(losses)
        if not finite(total):
            self._refuse_or_skip(quantity, [batch], tensors, stage)
            return None
        # Not before: what a skipped step saw would spoil the epoch's metrics.
        self.meters[stage].merge(meter)
        self.last_losses = {name: float(loss.detach()) for name, (loss, _) in losses.items()}
        for name, (_, count) in losses.items():
            self.meters[stage].add_loss(name, self.last_losses[name], count)
        self.last_losses["total_loss"] = float(total.detach())
        return total if parts is losses else self._total(parts)

    def _total(self, losses: dict[str, Loss]) -> Tensor:
        """The weighted sum of the named losses."""
        return sum(self.settings.objective.weight_of(name) * loss for name, (loss, _) in losses.items())

    def _log_epoch(self, stage: str) -> None:
        """Log an epoch's losses, their weighted sum and the other metrics."""
        metrics = self.meters[stage].metrics()
        weights = {name: self.settings.objective.weight_of(name) for name in metrics if name.endswith("_loss")}
        if weights:
            # Not a mean over batches: one of a single sample has no UniFrac loss, and would count as without error.
            metrics = {"total_loss": sum(weight * metrics[name] for name, weight in weights.items()), **metrics}
        self.log_dict({f"{stage}/{name}": value for name, value in metrics.items()})

    # Lightning's hooks

    def on_train_start(self) -> None:
        # A run that had ended by early stopping, and is started again, is at its end.
        stopping = self.trainer.early_stopping_callback
        self.trainer.should_stop = bool(stopping and stopping.stopped_epoch)

    def on_train_epoch_start(self) -> None:
        self.meters["train"].reset()
        self.skipped_steps = 0

    def training_step(self, batch: Batch, batch_number: int) -> Tensor | None:
        # Dropout follows from the batch too, so that a run that goes on from a checkpoint repeats itself.
        torch.manual_seed(batch.seed)
        accumulation = self.settings.optimization.accumulation
        self.step_batches = [*self.step_batches, batch] if batch_number % accumulation else [batch]
        total = self._shared_step(batch, "train")
        if total is None:
            return no_loss(self.device)
        if accumulation == 1:
            return total
        # Lightning divides by the accumulation; the remainder of an epoch is a mean over fewer batches.
        first = batch_number // accumulation * accumulation
        return total * accumulation / min(accumulation, self.trainer.num_training_batches - first)

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")
        if self.settings.optimization.non_finite == "skip" or self._scaler is not None:
            self.log("train/skipped_steps", float(self.skipped_steps))
        if self.settings.optimization.scheduler == "plateau":
            metric = self._monitor()
            if metric in self.trainer.callback_metrics:
                self.lr_schedulers().step(self.trainer.callback_metrics[metric])

    def lr_scheduler_step(self, scheduler, metric) -> None:
        # Lightning steps a plateau only after the epoch's state is saved, and a run that goes on from there would lack
        # that step: `on_train_epoch_end` has taken it.
        if metric is None:
            scheduler.step()

    def on_validation_epoch_start(self) -> None:
        self.meters["val"].reset()

    def validation_step(self, batch: Batch, batch_number: int) -> None:
        # At the precision of prediction, so that the best epoch is the one that predicts best.
        with torch.autocast(self.device.type, enabled=False):
            self._shared_step(batch, "val")

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val")

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Clip, and stop or skip when the gradient is not finite."""
        clip = self.settings.optimization.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), clip)
        if finite(norm):
            self.skipped_in_a_row = 0
            return
        self.skipped_in_a_row += 1
        if self._scaler is not None and self.skipped_in_a_row < MOST_SCALER_STEPS:
            # It meets infinite gradients on its way to a scale, and skips those steps itself.
            self.skipped_steps += 1
            return
        bad = {name: p.grad for name, p in self.named_parameters() if p.grad is not None and not finite(p.grad)}
        self._refuse_or_skip("gradient", self.step_batches, dict(list(bad.items())[:3]), "train")
        if self._scaler is None:
            # Without gradients the optimizer leaves the weights, its moments and the decay alone.
            optimizer.zero_grad(set_to_none=True)

    def configure_optimizers(self):
        settings = self.settings.optimization
        optimizer = build_optimizer(self.network, settings)
        scheduler = build_scheduler(optimizer, settings, int(self.trainer.estimated_stepping_batches))
        schedule = {"scheduler": scheduler, "interval": "step"}
        if settings.scheduler == "plateau":
            schedule = {"scheduler": scheduler, "interval": "epoch", "monitor": self._monitor()}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    @property
    def _scaler(self):
        """What scales the loss of half precision; None otherwise."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def _monitor(self) -> str:
        """Metric that picks the best epoch, with its stage."""
        validated = self.trainer.fit_loop.epoch_loop.val_loop._data_source.is_defined()
        return f"{'val' if validated else 'train'}/{self.settings.optimization.monitor}"

    def _refuse_or_skip(self, quantity: str, batches: list[Batch], tensors: dict[str, Tensor], stage: str) -> None:
        """Explain and stop, or count the step as skipped."""
        if self.settings.optimization.non_finite == "skip" and stage == "train":
            self.skipped_steps += 1
            return
        moment = f"epoch {epoch_of(self.trainer)}, after {self.global_step} steps"
        raise non_finite_error(quantity, batches, tensors, self.sample_ids, moment, stage)
