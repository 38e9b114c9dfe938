"""A training run: set up Lightning, go on from where a killed run stopped, keep what it leaves."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from q2_aam.encoder.device import compile_layers, resolve_device, resolve_precision
from q2_aam.encoder.training.callbacks import BestModel, History, Patience, ProgressBar
from q2_aam.encoder.training.distributed import (
    EndAtOnce,
    SummedGradients,
    first_of_node,
    on_first,
    rank,
    share_files,
    world_size,
)
from q2_aam.encoder.training.launcher import run_in_processes
from q2_aam.encoder.training.measured import check_measured
from q2_aam.encoder.training.meters import mode_of
from q2_aam.encoder.training.run_files import OUTPUTS, AtomicCheckpoints, clear, read_saved
from q2_aam.encoder.training.run_identity import check_same_everywhere, check_same_run, describe_run
from q2_aam.encoder.training.task import Task
from q2_aam.settings import CATEGORICAL_METRICS, NUCLEOTIDE_METRICS, NUMERIC_METRICS, UNIFRAC_METRICS
from q2_aam.study.batches import CommunityDataset, batch_loader
from q2_aam.study.unifrac import UniFracDistances

LAST_STATE = "last"
LIGHTNING_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass
class TrainingResult:
    """What a run leaves."""

    state: dict
    """Content of ``best_model.pt``."""
    directory: Path
    """Where ``history.tsv``, ``events/`` and ``plots/`` are."""
    monitor: str
    mode: str
    epochs: int
    """Epochs that were run; 0 when there was no tuning."""
    stopped: str
    """Why the run ended."""

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept; 0 is the state before the first step."""
        return self.state["epoch"]

    def describe(self) -> str:
        """Which epoch was kept and why the run ended, as sentences."""
        if not self.epochs:
            return self.stopped
        if not self.best_epoch:
            return f"None of {self.epochs} epochs of tuning did better than the probe, which is kept. {self.stopped}"
        return f"Epoch {self.best_epoch} of {self.epochs} was best and is kept. {self.stopped}"


def train(
    task: Task,
    dataset: CommunityDataset,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    directory: Path,
    *,
    origin: str = "",
    from_probe: bool = False,
    tune: bool = True,
) -> TrainingResult:
    """Train a task, or go on with the run that is in the directory; in as many processes as the settings say.

    Parameters
    ----------
    task : Task
        Its network is changed in place and ends in the state of the last epoch; the best is in the result.
    dataset : CommunityDataset
        The whole table.
    train_rows, validation_rows : np.ndarray
        int, samples to learn from and to pick the best epoch by; the latter may be empty.
    directory : Path
        Event files, history, plots, best model and last state.
    origin : str
        Whatever else decides the outcome (the encoder begun with, the distances), to know the run again by.
    from_probe : bool
        The network can already predict: validate it first, as epoch 0, and keep it unless training improves on it.
    tune : bool
        False to stop after that validation.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        If the directory holds a run with other settings or other data, or one that is damaged; if there are too few
        samples for the processes, the losses or the metric that picks the best epoch; or if settings exclude each
        other.
    """
    check_measured(task.settings, dataset, task.target, train_rows if tune else None, validation_rows)
    how = {"origin": origin, "from_probe": from_probe, "tune": tune}
    runtime, batch_size = task.settings.runtime, task.settings.optimization.batch_size
    processes = runtime.devices * runtime.num_nodes
    if processes == 1 or not tune:
        return train_here(task, dataset, train_rows, validation_rows, Path(directory), **how)
    if (runtime.precision, task.settings.optimization.non_finite) == ("16", "skip"):
        # Its scaler of gradients cannot take a step that has none.
        raise ValueError(
            "non_finite 'skip' does not work with precision 16 in several processes. Set precision to 'bf16' or '32', "
            "or non_finite to 'error'."
        )
    for rows in (train_rows, validation_rows):
        # Refused before anything is started.
        batch_loader(dataset, rows, batch_size, processes=processes)
    if dataset.unifrac is not None:
        # A matrix that is kept is computed once, by all threads.
        dataset.unifrac(train_rows[:1])
    result, weights = run_in_processes(
        partial(train_as_one_of_several, **how),
        *(task, dataset, train_rows, validation_rows, Path(directory)),
        device=resolve_device(runtime.device),
        devices=runtime.devices,
        num_nodes=runtime.num_nodes,
    )
    task.network.load_state_dict(weights)
    return result


def train_as_one_of_several(task: Task, dataset: CommunityDataset, *arguments, **how) -> tuple[TrainingResult, dict]:
    """:func:`train_here` in each process; gives the weights of the last epoch beside the result."""
    if isinstance(dataset.unifrac, UniFracDistances):
        dataset.unifrac.threads = torch.get_num_threads()
    result = train_here(task, dataset, *arguments, **how)
    return result, task.network.state_dict()


def train_here(
    task: Task,
    dataset: CommunityDataset,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    directory: Path,
    *,
    origin: str,
    from_probe: bool,
    tune: bool,
) -> TrainingResult:
    """:func:`train` in this process, which may be one of several."""
    settings = task.settings
    runtime, optimization = settings.runtime, settings.optimization
    device = resolve_device(runtime.device)
    directory.mkdir(parents=True, exist_ok=True)
    last = directory / f"{LAST_STATE}.ckpt"
    description = describe_run(task, dataset, train_rows, validation_rows, origin)
    check_same_everywhere(description)
    # The first process' directory decides; another node's may be another one.
    resumed = on_first(last.exists)
    on_first(lambda: check_same_run(directory, description, resumed))
    if not resumed and first_of_node():
        clear(directory)
    share_files(directory, [last.name])

    if runtime.compile:
        compile_layers(task.network, device)
    # Lightning keeps the mode it finds, and a network that has just been asked to predict is in evaluation mode.
    task.train()
    how = {"batch_size": optimization.batch_size, "random_seed": runtime.random_seed}
    how |= {"rank": rank(), "processes": world_size()}
    loader = batch_loader(dataset, train_rows, **how, shuffle=True)
    validation: DataLoader | None = None
    if len(validation_rows):
        validation = batch_loader(dataset.as_predicted(), validation_rows, **how)
    monitor = f"{'val' if validation is not None else 'train'}/{optimization.monitor}"
    best, history = BestModel(directory, monitor), History(directory, optimization.epochs)
    if resumed:
        on_first(lambda: read_saved(best.path))
    stopping = Patience(
        monitor,
        mode=mode_of(monitor),
        patience=optimization.patience or optimization.epochs,
        # A metric that is not measured is an error of BestModel, which names those that are.
        strict=False,
        check_finite=False,
        check_on_train_epoch_end=validation is None,
    )
    several = world_size() > 1
    precision = on_first(lambda: resolve_precision(runtime.precision, device))
    with quiet_lightning():
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=runtime.devices if several else 1,
            num_nodes=runtime.num_nodes if several else 1,
            strategy=SummedGradients() if several else "auto",
            # Batches are shared by our own.
            use_distributed_sampler=False,
            precision=LIGHTNING_PRECISION[precision],
            max_epochs=optimization.epochs,
            accumulate_grad_batches=optimization.accumulation,
            # The task clips by itself, in `configure_gradient_clipping`: it has to see the norm.
            gradient_clip_val=None,
            callbacks=[
                stopping,
                ProgressBar(),
                best,
                history,
                ModelCheckpoint(directory, LAST_STATE, save_on_train_epoch_end=True, enable_version_counter=False),
                *([EndAtOnce()] if several else []),
            ],
            plugins=[AtomicCheckpoints()],
            logger=TensorBoardLogger(directory, name="", version="events"),
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.logger.experiment.add_custom_scalars(overlays())
        if from_probe and not resumed:
            trainer.validate(task, validation, verbose=False)
            best.offer(trainer, task, 0)
            history.add(trainer, 0, 0.0)
        if tune:
            trainer.fit(task, loader, validation, ckpt_path=str(last) if resumed else None, weights_only=True)
        trainer.logger.finalize("success")
    share_files(directory, OUTPUTS)
    return TrainingResult(
        state=read_saved(best.path),
        directory=directory,
        monitor=monitor,
        mode=best.mode,
        epochs=trainer.current_epoch if tune else 0,
        stopped=reason(trainer, stopping, optimization.patience)
        if tune
        else "The encoder was frozen: only the head was fitted.",
    )


def reason(trainer: Trainer, stopping: Patience, patience: int) -> str:
    """Why a run ended, as a sentence."""
    if stopping.stopped_epoch:
        return f"{stopping.monitor} had not improved for {patience} epochs."
    return f"All {trainer.max_epochs} epochs were run." if trainer.max_epochs > 1 else "The one epoch was run."


def overlays() -> dict:
    """TensorBoard's custom page: train and val of each metric in one chart (8.1)."""
    losses = ("total_loss", "unifrac_loss", "nucleotide_loss", "count_loss", "target_loss")
    names = (*losses, *UNIFRAC_METRICS, *NUCLEOTIDE_METRICS, *NUMERIC_METRICS, *CATEGORICAL_METRICS)
    return {"train and val": {name: ["Multiline", [f"train/{name}$", f"val/{name}$"]] for name in names}}


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's adverts and its hints that are wrong here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # In-memory batches gain nothing from worker processes.
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            # No validation part, as was asked for.
            warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
            # A step that is skipped is counted instead.
            warnings.filterwarnings("ignore", ".*`training_step` returned `None`.*")
            # In half precision the scaler skips first steps on its way to a scale.
            warnings.filterwarnings("ignore", ".*Detected call of `lr_scheduler.step..` before `optimizer.step.*")
            # The directory of a run that is continued is meant to exist.
            warnings.filterwarnings("ignore", ".*exists and is not empty.*")
            # What is logged is of all processes already, and no sample is there twice.
            warnings.filterwarnings("ignore", ".*sync_dist=True.*")
            warnings.filterwarnings("ignore", ".*it is recommended to use `Trainer.devices=1, num_nodes=1.*")
            warnings.filterwarnings("ignore", ".*`isinstance.treespec, LeafSpec.` is deprecated.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
