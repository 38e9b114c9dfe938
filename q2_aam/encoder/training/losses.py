"""The named losses. Each is a mean over what it counts, in float32."""

import torch
from torch import Tensor
from torch.nn import functional as F

from q2_aam.study.tokenizer import A


def pairs(matrix: Tensor) -> Tensor:
    """The distances of a symmetric ``[B, B]`` matrix, each pair of samples once: ``[B (B - 1) / 2]``."""
    row, column = torch.triu_indices(len(matrix), len(matrix), 1, device=matrix.device)
    return matrix[row, column]


def mean_or_zero(errors: Tensor) -> Tensor:
    """Mean of ``[M]`` errors; zero, still part of the graph, where there are none (one sample has no pair)."""
    return errors.sum() / max(1, errors.numel())


def unifrac_loss(predicted: Tensor, unifrac: Tensor) -> Tensor:
    """Mean squared error over the pairs of samples, ``[B, B]`` each; zero for one sample."""
    return mean_or_zero((pairs(predicted) - pairs(unifrac)).square())


def nucleotide_errors(logits: Tensor, tokens: Tensor) -> Tensor:
    """Sum of the cross entropies of masked nucleotides, logits ``[M, 4]`` and tokens ``[M]`` (A, C, G, T)."""
    return F.cross_entropy(logits.float(), tokens.long() - A, reduction="sum")


def count_loss(predicted: Tensor, log_share: Tensor) -> Tensor:
    """Mean squared error of withheld abundances on the logarithmic scale, ``[M]`` each."""
    return mean_or_zero((predicted - log_share).square())


def target_loss(predicted: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    """Loss of the target.

    Parameters
    ----------
    predicted : Tensor
        ``[B, 1]`` in the transform's units, or logits ``[B, O]``.
    target : Tensor
        ``[B]`` float32, or int64 codes of classes.
    class_weights : Tensor, optional
        ``[O]``; the weighted errors are averaged over samples, so that batches add up to the whole.

    Returns
    -------
    Tensor
        Scalar.
    """
    if target.is_floating_point():
        return (predicted.squeeze(1) - target).square().mean()
    errors = F.cross_entropy(predicted, target, reduction="none")
    return (errors if class_weights is None else errors * class_weights[target]).mean()
