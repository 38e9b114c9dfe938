"""Whether a run can learn, and pick its best epoch, with the samples it has; known before anything is trained."""

import numpy as np

from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.sampler import BatchSampler
from q2_aam.settings import Training, measured_names
from q2_aam.study.targets import Target


def check_measured(
    settings: Training,
    dataset: CommunityDataset,
    target: Target | None,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
) -> None:
    """Refuse losses, or a metric to pick the best epoch by, that the samples and the batch size do not define.

    Parameters
    ----------
    settings : Training
        Of the run.
    dataset : CommunityDataset
        The whole table.
    target : Target or None
        What is predicted.
    train_rows, validation_rows : np.ndarray
        int, samples to learn from and to pick the best epoch by; the latter may be empty.

    Raises
    ------
    ValueError
        If there is nothing to learn, nothing to validate, or no such metric.
    """
    optimization, runtime = settings.optimization, settings.runtime
    kind = None if target is None else target.kind
    names = measured_names(settings.objective, dataset.unifrac is not None, kind)
    if len(names) == 1:
        raise ValueError(
            "There is nothing to learn: the losses whose weight is above 0 need a phylogeny or a target, and there is "
            "none. Give it, or set another weight above 0."
        )
    parts = [("to learn from", train_rows), ("for validation", validation_rows)]
    parts = [(purpose, rows) for purpose, rows in parts if len(rows)]
    processes = runtime.devices * runtime.num_nodes
    for number, (purpose, rows) in enumerate(parts, start=1):
        pairs = pairs_in(rows, optimization.batch_size, processes, dataset.members)
        without = undefined(pairs, dataset.target, rows)
        where = f"{len(rows)} samples {purpose}, in batches of {optimization.batch_size * processes}"
        if all(name in without for name in names if name != "total_loss"):
            raise ValueError(
                f"UniFrac is the only loss, and takes two samples in a batch: none are among the {where}. Give more "
                "samples, another validation_share or a larger batch_size, or set another weight above 0."
            )
        # The last part is what picks the epoch.
        if number == len(parts) and optimization.monitor not in set(names) - without:
            known = ", ".join(name for name in names if name not in without)
            raise ValueError(
                f"monitor is {optimization.monitor!r}, which is not measured on {where}; choose one of {known}."
            )


def pairs_in(rows: np.ndarray, batch_size: int, processes: int = 1, members: np.ndarray | None = None) -> int:
    """Pairs of samples that meet in a batch, in the course of an epoch."""
    batches = BatchSampler(rows, batch_size, 0, shuffle=False, processes=processes, members=members)
    sizes = [len(key.rows if key.together is None else key.together) for key in batches]
    return sum(size * (size - 1) // 2 for size in sizes)


def undefined(pairs: int, target: np.ndarray | None, rows: np.ndarray) -> set[str]:
    """Metrics that so many pairs, and the encoded targets of these samples, do not define."""
    names = set()
    if pairs < 1:
        names |= {"unifrac_loss", "unifrac_rmse"}
    # Any line goes through two points.
    if pairs < 3:
        names |= {"unifrac_r"}
    if target is not None and np.ptp(target[rows]) == 0:
        names |= {"r2"}
    return names
