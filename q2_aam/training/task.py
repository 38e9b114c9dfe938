"""What is learnt: the losses of a batch, as a Lightning module. The loop is Lightning's."""

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from q2_aam.data.batches import Batch
from q2_aam.data.targets import Target
from q2_aam.data.tokenizer import A
from q2_aam.models.aam import AAM
from q2_aam.models.asv_encoder import hide_nucleotides
from q2_aam.models.sample_encoder import lineage_distances, log_share
from q2_aam.training.config import Settings
from q2_aam.training.losses import count_loss, nucleotide_loss, pairs, target_loss, unifrac_loss
from q2_aam.training.meters import EpochMeter, describe, finite
from q2_aam.training.schedulers import build_scheduler


class NonFiniteError(ValueError):
    """A loss or a gradient was not finite."""


class Task(LightningModule):
    """Losses, metrics and optimizer of `pretrain` (no target) and `fit` (with one).

    Parameters
    ----------
    network : AAM
        Changed in place.
    settings : Settings
        Optimization and objective; losses of weight 0 are not computed.
    sample_ids : np.ndarray
        Of the whole table, for messages.
    target : Target, optional
        What ``batch.target`` is encoded with.
    """

    def __init__(self, network: AAM, settings: Settings, sample_ids: np.ndarray, target: Target | None = None):
        super().__init__()
        self.network = network
        self.settings = settings
        self.sample_ids = sample_ids
        self.target = target
        weights = None if target is None or not target.classes else torch.tensor(target.class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.meters = {"train": EpochMeter(target), "val": EpochMeter(target)}
        self.skipped_steps = 0

    # Losses

    def losses(self, batch: Batch, meter: EpochMeter) -> dict[str, tuple[Tensor, int]]:
        """Named losses of a batch, each with the number of things it is a mean over."""
        objective = self.settings.objective
        generator = torch.Generator().manual_seed(batch.seed)
        tokens, masked, hidden = batch.tokens, None, None
        if objective.nucleotide_weight:
            tokens, masked = hide_nucleotides(tokens, objective.mask_share, generator)
        if objective.count_weight:
            drawn = torch.rand(batch.mask.shape, generator=generator).to(batch.mask.device)
            hidden = (drawn < objective.mask_share) & batch.mask
        encoding = self.network(tokens, batch.asv_index, batch.abundance, batch.mask, hidden)

        losses = {}
        if objective.unifrac_weight and batch.unifrac is not None:
            distances = lineage_distances(encoding.sample.presence)
            predicted, true = pairs(distances), pairs(batch.unifrac)
            losses["unifrac_loss"] = unifrac_loss(distances, batch.unifrac), len(true)
            meter.add_distances(predicted, true)
        if masked is not None:
            logits, truth = self.network.nucleotide_head(encoding.spans, masked), batch.tokens[:, 1:][masked]
            losses["nucleotide_loss"] = nucleotide_loss(logits, truth), len(truth)
            meter.add_nucleotides(logits, truth.long() - A)
        if hidden is not None:
            guessed = self.network.count_head(encoding.sample.contextual[hidden])
            losses["count_loss"] = count_loss(guessed, log_share(batch.abundance[hidden])), len(guessed)
        if objective.target_weight and batch.target is not None:
            predicted = self.network.target_head(encoding.sample.embedding)
            losses["target_loss"] = target_loss(predicted, batch.target, self.class_weights), len(batch.target)
            meter.add_targets(predicted, batch.target)
        return losses

    def _step(self, batch: Batch, stage: str) -> Tensor:
        meter = self.meters[stage]
        losses = self.losses(batch, meter)
        objective = self.settings.objective
        total = sum(getattr(objective, name.replace("loss", "weight")) * loss for name, (loss, _) in losses.items())
        if not finite(total):
            return self._not_finite("loss", batch, {name: loss for name, (loss, _) in losses.items()}, stage)
        losses["total_loss"] = total, len(batch.rows)
        for name, (loss, count) in losses.items():
            if count:
                self.log(f"{stage}/{name}", loss.detach(), on_step=False, on_epoch=True, batch_size=count)
        self.last_losses = {name: float(loss.detach()) for name, (loss, _) in losses.items()}
        return total

    # Lightning's hooks

    def on_train_epoch_start(self) -> None:
        self.meters["train"].reset()
        self.skipped_steps = 0

    def training_step(self, batch: Batch, batch_number: int) -> Tensor | None:
        # Dropout follows from the batch too, so that a run that goes on from a checkpoint repeats itself.
        torch.manual_seed(batch.seed)
        self.last_batch = batch
        total = self._step(batch, "train")
        # Lightning divides by the accumulation; the remainder of an epoch is a mean over fewer batches.
        accumulation = self.settings.optimization.accumulation
        if total is None or accumulation == 1:
            return total
        first = batch_number // accumulation * accumulation
        return total * accumulation / min(accumulation, self.trainer.num_training_batches - first)

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"train/{name}": value for name, value in self.meters["train"].compute().items()})
        if self.settings.optimization.non_finite == "skip":
            self.log("train/skipped_steps", float(self.skipped_steps))

    def on_validation_epoch_start(self) -> None:
        self.meters["val"].reset()

    def validation_step(self, batch: Batch, batch_number: int) -> None:
        self._step(batch, "val")

    def on_validation_epoch_end(self) -> None:
        self.log_dict({f"val/{name}": value for name, value in self.meters["val"].compute().items()})

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Clip, and stop or skip when the gradient is not finite."""
        clip = self.settings.optimization.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), clip)
        if not finite(norm):
            bad = {name: p.grad for name, p in self.named_parameters() if p.grad is not None and not finite(p.grad)}
            self._not_finite("gradient", self.last_batch, dict(list(bad.items())[:3]), "train")
            # Without gradients the optimizer leaves the weights, its moments and the decay alone.
            optimizer.zero_grad(set_to_none=True)

    def _not_finite(self, what: str, batch: Batch, tensors: dict[str, Tensor], stage: str) -> None:
        """Explain and stop, or count the step as skipped."""
        if self.settings.optimization.non_finite == "skip" and stage == "train":
            self.skipped_steps += 1
            return None
        ids = [str(self.sample_ids[row]) for row in batch.rows.tolist()]
        inputs = {
            "tokens": batch.tokens,
            "abundance": batch.abundance,
            "unifrac": batch.unifrac,
            "target": batch.target,
        }
        shown = [describe(name, tensor) for name, tensor in {**tensors, **inputs}.items() if tensor is not None]
        raise NonFiniteError(
            f"The {what} is not finite in epoch {self.current_epoch}, step {self.global_step} ({stage}). Samples of the batch: "
            f"{', '.join(ids[:5])}{f' and {len(ids) - 5} more' if len(ids) > 5 else ''}. {'; '.join(shown)}. "
            "Look at these samples, lower learning_rate, or set precision to 32; set non_finite to 'skip' to go on "
            "without such steps."
        )

    def configure_optimizers(self):
        settings = self.settings.optimization
        trained = [p for p in self.parameters() if p.requires_grad]
        # Norms, biases and single vectors have nothing to gain from decay.
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        scheduler = build_scheduler(optimizer, settings, int(self.trainer.estimated_stepping_batches))
        course = {"scheduler": scheduler, "interval": "step"}
        if settings.scheduler == "plateau":
            course = {"scheduler": scheduler, "interval": "epoch", "monitor": monitored(self.trainer, settings.monitor)}
        return {"optimizer": optimizer, "lr_scheduler": course}


def monitored(trainer, metric: str) -> str:
    """Full name of the metric that picks the best epoch: of the validation part, or of training where there is none."""
    return f"{'val' if trainer.fit_loop.epoch_loop.val_loop._data_source.is_defined() else 'train'}/{metric}"
