"""Lightning's loop, loggers and callbacks as the settings want them."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from q2_aam.encoder.device import resolve_device, resolve_precision
from q2_aam.encoder.training.distributed import ddp_strategy, end_at_sigterm, on_first, world_size
from q2_aam.encoder.training.meters import mode_of
from q2_aam.encoder.training.run_files import LAST_STATE, AtomicCheckpoints
from q2_aam.settings import LOSS_TERMS, Optimization, Training

LIGHTNING_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def lightning_trainer(settings: Training, directory: Path, callbacks: list[Callback]) -> Trainer:
    """Lightning's loop as the settings want it, in one process or several."""
    optimization, runtime = settings.optimization, settings.runtime
    device, several = resolve_device(runtime.device), world_size() > 1
    precision = on_first(lambda: resolve_precision(runtime.precision, device))
    trainer = Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=runtime.devices if several else 1,
        num_nodes=runtime.num_nodes if several else 1,
        strategy=ddp_strategy() if several else "auto",
        # Batches are shared by our own.
        use_distributed_sampler=False,
        precision=LIGHTNING_PRECISION[precision],
        max_epochs=optimization.epochs,
        accumulate_grad_batches=optimization.accumulation,
        # The module clips by itself, in `configure_gradient_clipping`: it has to see the norm.
        gradient_clip_val=None,
        callbacks=[*callbacks, end_at_sigterm()] if several else callbacks,
        plugins=[AtomicCheckpoints()],
        logger=TensorBoardLogger(directory, name="", version="events"),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    trainer.logger.experiment.add_custom_scalars(overlays())
    return trainer


def early_stopping(optimization: Optimization, monitor: str) -> EarlyStopping:
    """Lightning's (8.3); with a patience of 0 it never stops."""
    return EarlyStopping(
        monitor,
        mode=mode_of(monitor),
        patience=optimization.patience or optimization.epochs,
        # A metric that is not measured is an error of BestModel, which names those that are.
        strict=False,
        check_finite=False,
        check_on_train_epoch_end=monitor.startswith("train/"),
    )


def last_state(directory: Path) -> ModelCheckpoint:
    """What a killed run goes on from."""
    return ModelCheckpoint(directory, Path(LAST_STATE).stem, save_on_train_epoch_end=True, enable_version_counter=False)


def overlays() -> dict:
    """TensorBoard's custom page: train and val of each metric in one chart, by what they are about (8.1)."""
    names = {"total": ("total_loss",), **{term.label: (term.loss, *term.metrics) for term in LOSS_TERMS}}
    return {
        label: {name: ["Multiline", [f"train/{name}$", f"val/{name}$"]] for name in group}
        for label, group in names.items()
    }


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
            # No validation part, as the settings say.
            warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
            # A step that is skipped is counted instead.
            warnings.filterwarnings("ignore", ".*`training_step` returned `None`.*")
            # In half precision the scaler skips first steps on its way to a scale.
            warnings.filterwarnings("ignore", ".*Detected call of `lr_scheduler.step..` before `optimizer.step.*")
            # The directory of a run that is continued is meant to exist.
            warnings.filterwarnings("ignore", ".*exists and is not empty.*")
            # A last state from before the directory was moved is as good.
            warnings.filterwarnings("ignore", ".*The dirpath has changed from.*")
            # What is logged is of all processes already, and no sample is there twice.
            warnings.filterwarnings("ignore", ".*sync_dist=True.*")
            warnings.filterwarnings("ignore", ".*it is recommended to use `Trainer.devices=1, num_nodes=1.*")
            warnings.filterwarnings("ignore", ".*`isinstance.treespec, LeafSpec.` is deprecated.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
