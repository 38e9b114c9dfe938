"""What happens beside the steps: the best model, the history, the plots, the progress."""

import math
import sys
import time
from pathlib import Path

import pandas as pd
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm, TQDMProgressBar

from q2_aam.encoder.files import WEIGHTS, write_atomically
from q2_aam.encoder.training.meters import epoch_of, mode_of
from q2_aam.evaluation.figures import confusion_matrix_figure, pixels, predicted_against_true

# Columns of a line on the screen.
LINE_WIDTH = 120
# Of these, the first that is measured stands in it.
LINE_SCORES = ("r2", "balanced_accuracy", "unifrac_r")


class BestModel(ModelCheckpoint):
    """Lightning's checkpoint of the best epoch as ``best_model.pt``, replaced atomically, with a plot (8.2, 8.4).

    Parameters
    ----------
    directory : Path
        Where the file is.
    monitor : str
        Metric with its stage, ``val/total_loss`` say.
    """

    FILE_EXTENSION = Path(WEIGHTS).suffix

    def __init__(self, directory: Path, monitor: str):
        options = {"mode": mode_of(monitor), "save_on_train_epoch_end": True, "enable_version_counter": False}
        super().__init__(directory, Path(WEIGHTS).stem, monitor, **options)
        self.path = Path(directory) / WEIGHTS

    def load_state_dict(self, state: dict) -> None:
        # The directory may have been moved since, for which Lightning would forget the best score.
        super().load_state_dict({**state, "dirpath": self.dirpath})

    def save_epoch_0(self, trainer) -> None:
        """Save the state before the first step, which has just been validated: Lightning saves in training alone."""
        self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def _save_topk_checkpoint(self, trainer, monitor_candidates: dict) -> None:
        if self.monitor not in monitor_candidates:
            stage, name = self.monitor.split("/")
            known = ", ".join(sorted(m.split("/")[1] for m in monitor_candidates if m.startswith(f"{stage}/")))
            raise ValueError(
                f"monitor is {name!r}, which was not measured in epoch {epoch_of(trainer)}; choose one of {known}."
            )
        super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _save_checkpoint(self, trainer, filepath: str) -> None:
        self._last_global_step_saved = trainer.global_step
        if not trainer.is_global_zero:
            return
        module, epoch = trainer.lightning_module, epoch_of(trainer)
        content = {
            "model": module.network.state_dict(),
            "optimizer": [optimizer.state_dict() for optimizer in trainer.optimizers],
            "scheduler": [c.scheduler.state_dict() for c in trainer.lr_scheduler_configs],
            "epoch": epoch,
            "score": float(self.best_model_score),
            "monitor": self.monitor,
        }
        write_atomically(content, filepath)
        self.plot(trainer, module, epoch)

    def plot(self, trainer, module, epoch: int) -> None:
        """Picture of the validation part, as PNG and in TensorBoard (8.4)."""
        values = module.meters["val"].targets()
        if values is None:
            return
        title = f"{module.target.name}: validation samples, epoch {epoch}"
        if module.target.kind == "numeric":
            figure = predicted_against_true(*values, title=title, units=module.target.name)
        else:
            figure = confusion_matrix_figure(*values, classes=module.target.classes, title=title)
        plots = self.path.parent / "plots"
        plots.mkdir(exist_ok=True)
        figure.savefig(plots / f"epoch-{epoch:04d}.png")
        trainer.logger.experiment.add_image("val/predictions", pixels(figure), epoch, dataformats="HWC")


class History(Checkpoint):
    """One row of metrics an epoch: ``history.tsv``, and a line on the screen when it is no terminal (8.1, 8.10).

    Parameters
    ----------
    directory : Path
        Where ``history.tsv`` is kept up to date.
    epochs : int
        Most epochs of the run, for the time left.
    monitor : str
        Metric that picks the best epoch, with its stage: it stands in the line.
    """

    def __init__(self, directory: Path, epochs: int, monitor: str):
        self.path = Path(directory) / "history.tsv"
        self.epochs = epochs
        self.monitor = monitor
        self.rows: list[dict[str, float]] = []
        self._start = time.monotonic()
        self._rate = math.nan

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        self.rows = state["rows"]

    def on_train_epoch_start(self, trainer, module) -> None:
        self._start = time.monotonic()

    def on_train_batch_start(self, trainer, module, batch, batch_number) -> None:
        # The rate a step is taken with: after it, the scheduler has already moved on.
        self._rate = learning_rate(trainer)

    def on_train_epoch_end(self, trainer, module) -> None:
        self.add(trainer, time.monotonic() - self._start)

    def add(self, trainer, seconds: float) -> None:
        """Add a row; of epoch 0, the state before the first step, only validation is known."""
        epoch = epoch_of(trainer)
        stages = ("train/", "val/") if epoch else ("val/",)
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(stages)}
        rate = self._rate if epoch else math.nan
        self.rows.append({"epoch": epoch, "learning_rate": rate, "seconds": seconds, **metrics})
        if not trainer.is_global_zero:
            return
        self.write()
        if not sys.stderr.isatty():
            print(self.line(), flush=True)

    def write(self) -> None:
        """Rewrite the file from the rows, by way of a new file so that it is never half written."""
        temporary = self.path.with_name(self.path.name + ".new")
        pd.DataFrame(self.rows).to_csv(temporary, sep="\t", index=False)
        temporary.replace(self.path)

    def line(self) -> str:
        """The last epoch in one line: total loss, monitor, score, time; what there is room for."""
        row = self.rows[-1]
        score = next((name for name in LINE_SCORES if {f"train/{name}", f"val/{name}"} & row.keys()), "total_loss")
        parts, times = [f"epoch {row['epoch']}/{self.epochs}"], []
        if row["epoch"]:
            timed = [r["seconds"] for r in self.rows if r["epoch"]]
            left = (self.epochs - row["epoch"]) * sum(timed) / len(timed)
            times = [duration(row["seconds"]), f"{duration(left)} left"]
        for name in dict.fromkeys(("total_loss", self.monitor.split("/")[1], score)):
            values = [f"{row[f'train/{name}']:.3g}"] if f"train/{name}" in row else []
            if f"val/{name}" in row:
                values.append(f"(val {row[f'val/{name}']:.3g})")
            part = " ".join([name, *values])
            if values and len("  ".join([*parts, part, *times])) <= LINE_WIDTH:
                parts.append(part)
        return "  ".join([*parts, *times])


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def learning_rate(trainer) -> float:
    """The present one."""
    return trainer.optimizers[0].param_groups[0]["lr"]


class ProgressBar(TQDMProgressBar):
    """Lightning's bar, over the steps of the whole run, on standard error where that is a terminal (8.10)."""

    def init_train_tqdm(self) -> Tqdm:
        loop, trainer = self.trainer.fit_loop, self.trainer
        return Tqdm(
            total=trainer.num_training_batches * trainer.max_epochs,
            initial=loop.total_batch_idx + 1,
            unit="batch",
            # None: where there is no terminal.
            disable=True if self.is_disabled else None,
            dynamic_ncols=True,
            file=sys.stderr,
        )

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)

    def on_train_epoch_start(self, trainer, *_) -> None:
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        super().on_train_batch_end(trainer, module, outputs, batch, trainer.fit_loop.total_batch_idx)

    def get_metrics(self, trainer, module) -> dict[str, float]:
        return {**module.last_losses, "learning_rate": learning_rate(trainer)}

    def on_exception(self, trainer, module, exception) -> None:
        if self._train_progress_bar is not None:
            self.train_progress_bar.close()
