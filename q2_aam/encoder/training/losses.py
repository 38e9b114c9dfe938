"""The named losses. Each is a mean over what it counts, in float32."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from q2_aam.encoder.side_by_side import add_up, side_by_side
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


def nucleotide_loss(
    guesses: Sequence[Callable[[], tuple[Tensor, Tensor]]],
    count: int,
    parameters: list[Tensor],
    record: Callable[[Tensor, Tensor], None],
    alone: bool = False,
) -> Tensor:
    """Cross entropy of masked nucleotides.

    Parameters
    ----------
    guesses : sequence of callable
        One a chunk, to logits ``[M, 4]`` and tokens ``[M]`` (A, C, G, T).
    count : int
        Masked nucleotides of all chunks.
    parameters : list of Tensor
        What is trained. On a CPU each chunk's gradients are computed as soon as it is guessed.
    record : callable
        Is given the logits, without gradients, and tokens of each chunk.
    alone : bool
        One chunk after the other also on a CPU; see :func:`q2_aam.encoder.chunks.alone`.

    Returns
    -------
    Tensor
        Scalar; zero where nothing is masked.
    """

    def error(guess: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        logits, tokens = guess()
        summed = F.cross_entropy(logits.float(), tokens.long() - A, reduction="sum")
        return summed / max(1, count), (logits.detach(), tokens)

    trained = [p for p in parameters if p.requires_grad] if torch.is_grad_enabled() else []
    # On a graphics card half precision would need its scaler here.
    if trained and not trained[0].is_cuda:
        return ImmediateSum.apply(error, guesses, record, alone, *trained)
    total = 0.0
    for guess in guesses:
        loss, predictions = error(guess)
        record(*predictions)
        total = total + loss
    return total


class ImmediateSum(torch.autograd.Function):
    """A sum of losses whose gradients are computed one by one in the forward pass, side by side.

    Nothing is kept for the backward pass but the gradients, and what a part's forward pass made is still in the
    processor's cache in its backward pass.
    """

    @staticmethod
    def forward(ctx, error: Callable, parts: Sequence, record: Callable, alone: bool, *parameters: Tensor) -> Tensor:
        total = 0.0

        def compute(part) -> tuple[Tensor, tuple, tuple[Tensor | None, ...]]:
            with torch.enable_grad():
                loss, predictions = error(part)
            return loss.detach(), predictions, torch.autograd.grad(loss, parameters, allow_unused=True)

        def gradients_of_parts() -> Iterator[tuple[Tensor | None, ...]]:
            nonlocal total
            for loss, predictions, gradients in side_by_side(compute, parts, alone):
                record(*predictions)
                total = total + loss
                yield gradients

        ctx.gradients = add_up(gradients_of_parts()) or [None] * len(parameters)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple:
        return None, None, None, None, *(None if own is None else own * gradient for own in ctx.gradients)


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
