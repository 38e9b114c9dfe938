"""What happens beside the steps: the best model, the history, the plots, the progress."""

import math
import sys
import time
from pathlib import Path

import pandas as pd
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from tqdm import tqdm

from q2_aam.encoder.files import WEIGHTS, write_atomically
from q2_aam.encoder.training.distributed import rank
from q2_aam.encoder.training.meters import mode_of
from q2_aam.evaluation.figures import confusion_matrix_figure, pixels, predicted_against_true


class BestModel(Checkpoint):
    """Keeps ``best_model.pt``: the state in the epoch of the best score, replaced atomically (8.2).

    Parameters
    ----------
    directory : Path
        Where the file is.
    monitor : str
        Metric with its stage, ``val/total_loss`` say.
    """

    def __init__(self, directory: Path, monitor: str):
        self.path = Path(directory) / WEIGHTS
        self.monitor = monitor
        self.mode = mode_of(monitor)
        self.score: float | None = None
        self.epoch: int | None = None

    def state_dict(self) -> dict:
        return {"score": self.score, "epoch": self.epoch}

    def load_state_dict(self, state: dict) -> None:
        self.score, self.epoch = state["score"], state["epoch"]

    def improves(self, score: float) -> bool:
        """Whether a score is better than the best so far."""
        return self.score is None or (score > self.score if self.mode == "max" else score < self.score)

    def on_train_epoch_end(self, trainer, task) -> None:
        self.offer(trainer, task, trainer.current_epoch + 1)

    def offer(self, trainer, task, epoch: int) -> bool:
        """Keep the present state if it is the best so far; epoch 0 is the state before the first step."""
        value = trainer.callback_metrics.get(self.monitor)
        if value is None:
            stage, name = self.monitor.split("/")
            known = sorted(m.split("/")[1] for m in trainer.callback_metrics if m.startswith(f"{stage}/"))
            raise ValueError(
                f"monitor is {name!r}, which was not measured in epoch {epoch}; choose one of {', '.join(known)}."
            )
        if not self.improves(float(value)):
            return False
        self.score, self.epoch = float(value), epoch
        if rank() > 0:
            return True
        write_atomically(
            {
                "model": task.network.state_dict(),
                "optimizer": [optimizer.state_dict() for optimizer in trainer.optimizers],
                "scheduler": [c.scheduler.state_dict() for c in trainer.lr_scheduler_configs],
                "epoch": epoch,
                "score": self.score,
                "monitor": self.monitor,
            },
            self.path,
        )
        self.plot(trainer, task, epoch)
        return True

    def plot(self, trainer, task, epoch: int) -> None:
        """Picture of the validation part, as PNG and in TensorBoard (8.4)."""
        shown = task.meters["val"].targets()
        if shown is None:
            return
        title = f"{task.target.name}: validation samples, epoch {epoch}"
        if task.target.kind == "numeric":
            figure = predicted_against_true(*shown, title=title, units=task.target.name)
        else:
            figure = confusion_matrix_figure(*shown, classes=task.target.classes, title=title)
        plots = self.path.parent / "plots"
        plots.mkdir(exist_ok=True)
        figure.savefig(plots / f"epoch-{epoch:04d}.png")
        if trainer.logger is not None:
            trainer.logger.experiment.add_image("val/predictions", pixels(figure), epoch, dataformats="HWC")


class Patience(EarlyStopping):
    """Early stopping (8.3) that a run which had already ended by it remembers when it is started again."""

    def on_train_start(self, trainer, task) -> None:
        if self.stopped_epoch:
            trainer.should_stop = True


class History(Checkpoint):
    """One row of metrics an epoch: ``history.tsv``, and a line on the screen when it is no terminal (8.1, 8.10).

    Parameters
    ----------
    directory : Path
        Where ``history.tsv`` is kept up to date.
    epochs : int
        Most epochs of the run, for the time left.
    """

    def __init__(self, directory: Path, epochs: int):
        self.path = Path(directory) / "history.tsv"
        self.epochs = epochs
        self.rows: list[dict[str, float]] = []
        self._start = time.monotonic()
        self._rate = math.nan

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        self.rows = state["rows"]

    def on_train_epoch_start(self, trainer, task) -> None:
        self._start = time.monotonic()

    def on_train_batch_start(self, trainer, task, batch, batch_number) -> None:
        # The rate a step is taken with: after it, the scheduler has already moved on.
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer, task) -> None:
        self.add(trainer, trainer.current_epoch + 1, time.monotonic() - self._start)

    def add(self, trainer, epoch: int, seconds: float) -> None:
        """Add a row; epoch 0 is the state before the first step, of which only validation is known."""
        rate = self._rate if epoch else math.nan
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(("train/", "val/"))}
        if not epoch:
            metrics = {k: v for k, v in metrics.items() if k.startswith("val/")}
        self.rows.append({"epoch": epoch, "learning_rate": rate, "seconds": seconds, **metrics})
        if rank() > 0:
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
        """The last epoch in words."""
        row = self.rows[-1]
        parts = [f"epoch {row['epoch']}/{self.epochs}"]
        names = {key.split("/", 1)[1] for key in row if "/" in key}
        # The total first, then the losses it is made of, then the metrics.
        names = sorted(names, key=lambda name: (name != "total_loss", not name.endswith("_loss"), name))
        for name in names:
            values = [f"{stage} {row[f'{stage}/{name}']:.4g}" for stage in ("train", "val") if f"{stage}/{name}" in row]
            parts.append(f"{name} {' '.join(values)}")
        if row["epoch"]:
            timed = [r["seconds"] for r in self.rows if r["epoch"]]
            left = (self.epochs - row["epoch"]) * sum(timed) / len(timed)
            parts += [
                f"learning rate {row['learning_rate']:.2g}",
                f"{row['seconds']:.1f} s",
                f"at most {left:.0f} s left",
            ]
        return ", ".join(parts)


class ProgressBar(Callback):
    """One bar over the steps of the whole run, with named losses, learning rate and time left (8.10)."""

    def on_train_start(self, trainer, task) -> None:
        self.bar = tqdm(
            total=trainer.num_training_batches * trainer.max_epochs,
            initial=trainer.fit_loop.total_batch_idx + 1,
            unit="batch",
            # None: where there is no terminal.
            disable=True if rank() > 0 else None,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_number) -> None:
        self.bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        losses = getattr(task, "last_losses", {})
        self.bar.set_postfix({**losses, "learning_rate": rate}, refresh=False)
        self.bar.update()

    def on_train_end(self, trainer, task) -> None:
        self.bar.close()

    def on_exception(self, trainer, task, exception) -> None:
        if hasattr(self, "bar"):
            self.bar.close()
