"""A training run: start its processes, go on from where a killed run stopped, keep what it leaves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader

from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.device import compile_layers, multiplies_bf16, resolve_device
from q2_aam.encoder.training.callbacks import BestModel, History, ProgressBar
from q2_aam.encoder.training.distributed import first_of_node, on_first, rank, share_files, world_size
from q2_aam.encoder.training.launcher import run_in_processes
from q2_aam.encoder.training.lightning_setup import early_stopping, last_state, lightning_trainer, quiet_lightning
from q2_aam.encoder.training.measured import check_measured
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.run_files import LAST_STATE, OUTPUTS, clear, read_saved
from q2_aam.encoder.training.run_identity import SETTINGS_FILE, check_same_everywhere, check_same_run, describe_run
from q2_aam.study.joined import JoinedDistances
from q2_aam.study.unifrac import UniFracDistances


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
    """Epochs that were run."""
    stopped: str
    """Why the run ended, and with which other versions of packages it was begun, as sentences."""

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept; 0 is the state before the first step."""
        return self.state["epoch"]

    def describe(self) -> str:
        """Which epoch was kept and why the run ended, as sentences."""
        if not self.best_epoch:
            return f"None of {self.epochs} epochs did better than the linear head alone, which is kept. {self.stopped}"
        return f"Epoch {self.best_epoch} of {self.epochs} was best and is kept. {self.stopped}"


@dataclass
class TrainingRun:
    """All that a run is made of; each of its processes gets the same."""

    module: TrainingModule
    """Its network is changed in place and ends in the state of the last epoch; the best is in the result."""
    dataset: CommunityDataset
    """The whole table."""
    train_rows: np.ndarray
    """int, samples to learn from."""
    validation_rows: np.ndarray
    """int, samples to pick the best epoch by; may be empty."""
    directory: Path
    """Event files, history, plots, best model and last state."""
    origin: str = ""
    """Whatever else decides the outcome (the encoder at the start, the distances), to know the run again by."""
    validate_first: bool = False
    """The network can already predict: validate it first, as epoch 0, and keep it unless training improves on it."""

    @property
    def monitor(self) -> str:
        """Metric that picks the best epoch, with its stage."""
        return f"{'val' if len(self.validation_rows) else 'train'}/{self.module.settings.optimization.monitor}"


def train(
    module: TrainingModule,
    dataset: CommunityDataset,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    directory: Path,
    **options,
) -> TrainingResult:
    """Train a network, or go on with the run that is in the directory; in as many processes as the settings say.

    Parameters
    ----------
    module, dataset, train_rows, validation_rows, directory, **options
        Of a :class:`TrainingRun`.

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
    run = TrainingRun(module, dataset, train_rows, validation_rows, Path(directory), **options)
    runtime = module.settings.runtime
    check_measured(module.settings, dataset, module.target, train_rows, validation_rows)
    if runtime.devices * runtime.num_nodes == 1:
        return train_in_process(run)
    check_several_processes(run)
    if dataset.unifrac is not None:
        # A matrix that is kept is computed once, by all threads; of several studies each has one.
        first = [0] if dataset.members is None else np.unique(dataset.members[train_rows], return_index=True)[1]
        for place in first:
            dataset.unifrac(train_rows[[place]])
    result, weights = run_in_processes(
        train_as_one_of_several,
        run,
        device=resolve_device(runtime.device),
        devices=runtime.devices,
        num_nodes=runtime.num_nodes,
    )
    module.network.load_state_dict(weights)
    return result


def check_several_processes(run: TrainingRun) -> None:
    """Refuse what several processes cannot do, before any is started."""
    settings = run.module.settings
    if (settings.runtime.precision, settings.optimization.non_finite) == ("16", "skip"):
        # Its scaler of gradients cannot take a step that has none.
        raise ValueError(
            "non_finite 'skip' does not work with precision 16 in several processes. Set precision to 'bf16' or '32', "
            "or non_finite to 'error'."
        )
    processes = settings.runtime.devices * settings.runtime.num_nodes
    for rows in (run.train_rows, run.validation_rows):
        batch_loader(run.dataset, rows, settings.optimization.batch_size, processes=processes)


def train_as_one_of_several(run: TrainingRun) -> tuple[TrainingResult, dict]:
    """:func:`train_in_process`; gives the weights of the last epoch beside the result."""
    if isinstance(run.dataset.unifrac, (UniFracDistances, JoinedDistances)):
        run.dataset.unifrac.threads = torch.get_num_threads()
    return train_in_process(run), run.module.network.state_dict()


def train_in_process(run: TrainingRun) -> TrainingResult:
    """:func:`train` in this process, which may be one of several."""
    module, directory, monitor = run.module, run.directory, run.monitor
    optimization, runtime = module.settings.optimization, module.settings.runtime
    last = directory / LAST_STATE
    resumed, remark = open_directory(run, last)
    if runtime.compile:
        compile_layers(module.network, resolve_device(runtime.device))
    # Lightning keeps the mode it finds, and a network that has just been asked to predict is in evaluation mode.
    module.train()
    loader, validation = loaders(run)
    best, history = BestModel(directory, monitor), History(directory, optimization.epochs, monitor)
    if resumed:
        on_first(lambda: read_saved(best.path))
    stopping = early_stopping(optimization, monitor)
    callbacks = [stopping, ProgressBar(), best, history, last_state(directory)]
    with quiet_lightning():
        trainer = lightning_trainer(module.settings, directory, callbacks)
        if run.validate_first and not resumed:
            trainer.validate(module, validation, verbose=False)
            best.save_epoch_0(trainer)
            history.add(trainer, 0.0)
        trainer.fit(module, loader, validation, ckpt_path=str(last) if resumed else None, weights_only=True)
        trainer.logger.finalize("success")
    share_files(directory, OUTPUTS)
    return TrainingResult(
        state=read_saved(best.path),
        directory=directory,
        monitor=monitor,
        mode=best.mode,
        epochs=trainer.current_epoch,
        stopped=f"{reason(trainer, stopping)} {remark}".strip(),
    )


def open_directory(run: TrainingRun, last: Path) -> tuple[bool, str]:
    """Make a run's directory ready; whether there is a run to go on with, and what is to be said of that."""
    run.directory.mkdir(parents=True, exist_ok=True)
    description = describe_run(run.module, run.dataset, run.train_rows, run.validation_rows, run.origin)
    # Steps of processors of two kinds differ by rounding (0028), and the weights would drift apart.
    device = resolve_device(run.module.settings.runtime.device)
    check_same_everywhere({**description, "native bf16": multiplies_bf16(device)})
    # The first process' directory decides; another node's may be another one.
    resumed = on_first(last.exists)
    remark = on_first(lambda: check_same_run(run.directory, description, resumed))
    if not resumed and first_of_node():
        clear(run.directory)
    share_files(run.directory, [last.name, SETTINGS_FILE])
    return resumed, remark


def loaders(run: TrainingRun) -> tuple[DataLoader, DataLoader | None]:
    """Batches of this process to learn from, and to validate by."""
    settings = run.module.settings
    options = {"batch_size": settings.optimization.batch_size, "random_seed": settings.runtime.random_seed}
    options |= {"rank": rank(), "processes": world_size()}
    training = batch_loader(run.dataset, run.train_rows, **options, shuffle=True)
    if not len(run.validation_rows):
        return training, None
    return training, batch_loader(run.dataset.as_predicted(), run.validation_rows, **options)


def reason(trainer: Trainer, stopping: EarlyStopping) -> str:
    """Why a run ended, as a sentence."""
    if stopping.stopped_epoch:
        return f"{stopping.monitor} had not improved for {stopping.patience} epochs."
    return f"All {trainer.max_epochs} epochs were run." if trainer.max_epochs > 1 else "The one epoch was run."
