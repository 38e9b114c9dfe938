"""What is said of a loss, a prediction or a gradient that is not finite."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from q2_aam.encoder.batches import Batch
from q2_aam.encoder.training.distributed import gather
from q2_aam.study.tables import name_ids


class NonFiniteError(ValueError):
    """A loss or a gradient was not finite."""


def finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are finite."""
    return bool(torch.isfinite(tensor).all())


def describe(name: str, tensor: Tensor) -> str:
    """Shape, type and range of a tensor of any type, in a form that never fails itself."""
    text = f"{name} {tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
    if not tensor.numel():
        return text + " (empty)"
    values = tensor.detach().to(torch.float64)
    good = values[torch.isfinite(values)]
    bad = values.numel() - good.numel()
    if good.numel():
        text += f" min {good.min():.4g} max {good.max():.4g} mean {good.mean():.4g}"
    return text + (f", {bad} not finite" if bad else "")


def non_finite_error(
    quantity: str, batches: Sequence[Batch], tensors: dict[str, Tensor], sample_ids: np.ndarray, moment: str, stage: str
) -> NonFiniteError:
    """The error that names samples and numbers; all processes make it together.

    Parameters
    ----------
    quantity : str
        What is not finite: 'loss', 'prediction' or 'gradient'.
    batches : sequence of Batch
        What it was computed from.
    tensors : dict of str to Tensor
        Named numbers to describe beside the batches'.
    sample_ids : np.ndarray
        Of the whole table.
    moment : str
        Epoch and step, in words.
    stage : {'train', 'val'}

    Returns
    -------
    NonFiniteError
        With the samples of all processes and the numbers of the first that has wrong ones.
    """
    inputs = [
        (name, getattr(batch, name)) for batch in batches for name in ("tokens", "abundance", "unifrac", "target")
    ]
    numbers = [describe(name, tensor) for name, tensor in [*tensors.items(), *inputs] if tensor is not None]
    ids = [str(sample_ids[row]) for batch in batches for row in batch.rows.tolist()]
    reports = gather((ids, quantity, numbers, all(map(finite, tensors.values()))))
    ids = [sample_id for report in reports for sample_id in report[0]]
    quantity, numbers = next(((report[1], report[2]) for report in reports if not report[3]), (quantity, numbers))
    skip = "; set non_finite to 'skip' to go on without such steps" if stage == "train" else ""
    return NonFiniteError(
        f"The {quantity} is not finite in {moment} ({stage}). Samples: {name_ids(ids)}. {'; '.join(numbers)}. "
        f"Look at these samples, lower learning_rate, or set precision to 32{skip}."
    )
