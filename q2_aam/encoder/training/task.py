"""What is learnt: the losses of a batch, as a Lightning module. The loop is Lightning's."""

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.asv_encoder import hide_nucleotides
from q2_aam.encoder.chunks import room
from q2_aam.encoder.sample_encoder import lineage_distances
from q2_aam.encoder.training.distributed import gather, gather_rows, no_loss, share_losses
from q2_aam.encoder.training.losses import count_loss, nucleotide_loss, pairs, target_loss, unifrac_loss
from q2_aam.encoder.training.meters import EpochMeter, describe, finite
from q2_aam.encoder.training.optimizers import build_optimizer
from q2_aam.encoder.training.schedulers import build_scheduler
from q2_aam.settings import Settings
from q2_aam.study.batches import Batch
from q2_aam.study.tables import name_ids
from q2_aam.study.targets import Target

# Share of a batch's ASVs, and of its samples, of which something is withheld to be guessed. They are encoded once more
# for that: distances and targets are learnt on what they are later predicted from, which is never masked.
GUESSED_SHARE = 0.25
# At least this share of a batch's ASVs is learnt from; what `max_tokens` has no room for is then computed again.
LEAST_AUTO_SHARE = 0.5
# The scaler of half precision halves its scale at each step it skips: after so many, that is not what is too large.
MOST_SCALER_STEPS = 32


def _some(number: int, generator: torch.Generator, share: float = GUESSED_SHARE) -> Tensor:
    """A random share of the numbers below ``number``, at least one of them, in order."""
    chosen = torch.randperm(number, generator=generator)[: max(1, round(share * number))]
    return chosen.sort().values


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
        self.skipped_in_a_row = 0
        self.step_batches: list[Batch] = []

    # Losses

    def losses(self, batch: Batch, meter: EpochMeter) -> dict[str, tuple[Tensor, int]]:
        """Named losses of a batch, each with the number of things it is a mean over."""
        objective, network = self.settings.objective, self.network
        generator = torch.Generator().manual_seed(batch.seed)
        losses = {}
        keep, step = self.settings.runtime.max_tokens, batch.step
        learnt = self._learnt(batch.tokens, generator) if torch.is_grad_enabled() else None
        encoding = network(batch.tokens, batch.asv_index, batch.abundance, batch.mask, keep, learnt)
        if objective.unifrac_weight and batch.unifrac is not None:
            # Pairs of samples that are in different processes are learnt from like all others.
            presence = encoding.sample.presence
            everyone = gather_rows(presence.reshape(len(batch.rows), -1), batch.together).view(-1, presence.shape[1])
            distances = lineage_distances(everyone)
            losses["unifrac_loss"] = unifrac_loss(distances, batch.unifrac), len(pairs(distances))
            # Of whole samples, as in validation.
            meter.add_distances(pairs(distances[::step, ::step]), pairs(batch.unifrac[::step, ::step]))
        if objective.nucleotide_weight:
            tokens = batch.tokens[_some(len(batch.tokens), generator)]
            hidden_tokens, masked = hide_nucleotides(tokens, objective.mask_share, generator)
            # What the pass above stores until the backward pass is there beside.
            stored = room(network.asv_encoder.lengths(batch.tokens if learnt is None else batch.tokens[learnt])).sum()
            left = max(0, keep - int(stored))
            count, guesses = int(masked.sum()), network.guess_nucleotides(tokens, hidden_tokens, masked, left)
            losses["nucleotide_loss"] = nucleotide_loss(guesses, count, meter.add_nucleotides), count
        if objective.count_weight:
            rows = _some(len(batch.rows), generator)
            abundance, mask, index = (part[::step][rows] for part in (batch.abundance, batch.mask, batch.asv_index))
            hidden = (torch.rand(mask.shape, generator=generator).to(mask.device) < objective.mask_share) & mask
            guessed, truth = network.guess_abundances(
                encoding.asv_embeddings, index, abundance, mask, hidden, keep
            )
            losses["count_loss"] = count_loss(guessed, truth), len(guessed)
        if objective.target_weight and batch.target is not None:
            predicted = network.target_head(encoding.sample.embedding[::step], batch.condition)
            losses["target_loss"] = target_loss(predicted, batch.target, self.class_weights), len(batch.target)
            meter.add_targets(predicted, batch.target)
        return losses

    def _learnt(self, tokens: Tensor, generator: torch.Generator) -> Tensor | None:
        """Which of the ASVs ``tokens [U, 1 + L]`` gradients are computed through, ``[U]``; None: all."""
        share = self.settings.optimization.gradient_share
        if share == "auto":
            needed = float(room(self.network.asv_encoder.lengths(tokens)).sum())
            # A little less, so that a draw of longer ones fits, too.
            share = max(LEAST_AUTO_SHARE, 0.95 * self.settings.runtime.max_tokens / needed)
        if share >= 1:
            return None
        learnt = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        learnt[_some(len(learnt), generator, share)] = True
        return learnt

    def _step(self, batch: Batch, stage: str) -> Tensor:
        seen = EpochMeter(self.target)
        losses = self.losses(batch, seen)
        own, what = {name: loss for name, (loss, _) in losses.items()}, "loss"
        predicted = seen.predicted()
        if predicted is not None and not finite(predicted) and finite(own["target_loss"]):
            # The loss is of transformed numbers, too large to be transformed back.
            loss, count = losses["target_loss"]
            # That is seen by all processes.
            losses["target_loss"] = loss * float("nan"), count
            own, what = {f"predicted {self.target.name}": predicted}, "prediction"
        losses, parts = share_losses(losses, common={"unifrac_loss"})
        total = self._weighted(losses)
        if not finite(total):
            return self._not_finite(what, [batch], own, stage)
        learnt = total if parts is losses else self._weighted(parts)
        # Not before: what a skipped step saw would spoil the epoch's metrics.
        self.meters[stage].take(seen)
        self.last_losses = {name: float(loss.detach()) for name, (loss, _) in losses.items()}
        for name, (_, count) in losses.items():
            self.meters[stage].add_loss(name, self.last_losses[name], count)
        self.last_losses["total_loss"] = float(total.detach())
        return learnt

    def _weighted(self, losses: dict[str, tuple[Tensor, int]]) -> Tensor:
        """The weighted sum of the named losses."""
        return sum(self.settings.objective.weight_of(name) * loss for name, (loss, _) in losses.items())

    def _log_epoch(self, stage: str) -> None:
        """Log an epoch's losses, their weighted sum and the other metrics."""
        metrics = self.meters[stage].share()
        weights = {name: self.settings.objective.weight_of(name) for name in metrics if name.endswith("_loss")}
        if weights:
            # Not a mean over batches: one of a single sample has no UniFrac loss, and would count as without error.
            metrics = {"total_loss": sum(weight * metrics[name] for name, weight in weights.items()), **metrics}
        self.log_dict({f"{stage}/{name}": value for name, value in metrics.items()})

    # Lightning's hooks

    def on_train_epoch_start(self) -> None:
        self.meters["train"].reset()
        self.skipped_steps = 0

    def training_step(self, batch: Batch, batch_number: int) -> Tensor | None:
        # Dropout follows from the batch too, so that a run that goes on from a checkpoint repeats itself.
        torch.manual_seed(batch.seed)
        accumulation = self.settings.optimization.accumulation
        self.step_batches = [*self.step_batches, batch] if batch_number % accumulation else [batch]
        total = self._step(batch, "train")
        # Lightning divides by the accumulation; the remainder of an epoch is a mean over fewer batches.
        if total is None:
            return no_loss(self.device)
        if accumulation == 1:
            return total
        first = batch_number // accumulation * accumulation
        return total * accumulation / min(accumulation, self.trainer.num_training_batches - first)

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")
        if self.settings.optimization.non_finite == "skip" or self._scaler is not None:
            self.log("train/skipped_steps", float(self.skipped_steps))
        if self.settings.optimization.scheduler == "plateau":
            metric = monitored(self.trainer, self.settings.optimization.monitor)
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
        # At the precision of prediction, so that the epoch that is kept is the one that predicts best.
        with torch.autocast(self.device.type, enabled=False):
            self._step(batch, "val")

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
        self._not_finite("gradient", self.step_batches, dict(list(bad.items())[:3]), "train")
        if self._scaler is None:
            # Without gradients the optimizer leaves the weights, its moments and the decay alone.
            optimizer.zero_grad(set_to_none=True)

    @property
    def _scaler(self):
        """What scales the loss of half precision; None otherwise."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def _not_finite(self, what: str, batches: list[Batch], tensors: dict[str, Tensor], stage: str) -> None:
        """Explain and stop, or count the step as skipped."""
        if self.settings.optimization.non_finite == "skip" and stage == "train":
            self.skipped_steps += 1
            return None
        ids = [str(self.sample_ids[row]) for batch in batches for row in batch.rows.tolist()]
        inputs = [
            (name, getattr(batch, name)) for batch in batches for name in ("tokens", "abundance", "unifrac", "target")
        ]
        shown = [describe(name, tensor) for name, tensor in [*tensors.items(), *inputs] if tensor is not None]
        # All processes stop, with the samples of all and the numbers of the first that has wrong ones.
        everyone = gather((ids, what, shown, all(map(finite, tensors.values()))))
        ids = [sample_id for part, *_ in everyone for sample_id in part]
        what, shown = next(((what, part) for _, what, part, good in everyone if not good), (what, shown))
        # Counted as in the history: 0 is the state before the first step.
        epoch = self.current_epoch + (self.trainer.state.fn == TrainerFn.FITTING)
        skip = "; set non_finite to 'skip' to go on without such steps" if stage == "train" else ""
        raise NonFiniteError(
            f"The {what} is not finite in epoch {epoch}, after {self.global_step} steps ({stage}). Samples: "
            f"{name_ids(ids)}. {'; '.join(shown)}. "
            f"Look at these samples, lower learning_rate, or set precision to 32{skip}."
        )

    def configure_optimizers(self):
        settings = self.settings.optimization
        optimizer = build_optimizer(self.network, settings)
        scheduler = build_scheduler(optimizer, settings, int(self.trainer.estimated_stepping_batches))
        course = {"scheduler": scheduler, "interval": "step"}
        if settings.scheduler == "plateau":
            course = {"scheduler": scheduler, "interval": "epoch", "monitor": monitored(self.trainer, settings.monitor)}
        return {"optimizer": optimizer, "lr_scheduler": course}


def monitored(trainer, metric: str) -> str:
    """Full name of the metric that picks the best epoch: of the validation part, or of training where there is none."""
    return f"{'val' if trainer.fit_loop.epoch_loop.val_loop._data_source.is_defined() else 'train'}/{metric}"
