"""Heads: sample embedding -> target, ASV in context -> its abundance."""

import numpy as np
import torch
from torch import Tensor, nn

from q2_aam.settings import FEATURE_LIMIT, Architecture


class CountHead(nn.Module):
    """Guess the withheld abundance of an ASV (as ``log_share``) from its context: ``[..., D]`` to ``[...]``."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.level = nn.Linear(architecture.dim, 1)

    def forward(self, contextual: Tensor) -> Tensor:
        return self.level(contextual).float().squeeze(-1)


class TargetHead(nn.Module):
    """Linear map from the standardised sample embedding ``[B, E]`` to the target ``[B, O]``.

    Linear, so that it can begin as the ridge or logistic solution on the encoder's embeddings.
    ``O`` is 1 for a numeric target (in the transform's units) and the number of classes for a categorical one (logits).
    Beside the embedding it may read covariates ``[B, C]`` (as numbers), as they come: they are standardised already,
    and a category is 1 or 0 however rare it is.
    """

    def __init__(self, features: int, outputs: int, covariates: int = 0):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.linear = nn.Linear(features + covariates, outputs)

    def forward(self, embedding: Tensor, covariates: Tensor | None = None) -> Tensor:
        # In float32: a target is predicted in its own units, and bf16 holds three digits.
        with torch.autocast(embedding.device.type, enabled=False):
            standard = ((embedding.float() - self.mean) / self.scale).clamp(-FEATURE_LIMIT, FEATURE_LIMIT)
            if covariates is not None:
                standard = torch.cat([standard, covariates.float()], 1)
            return self.linear(standard)

    @torch.no_grad()
    def start_from(self, mean: np.ndarray, scale: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> None:
        """Take over a fitted head: standardisation ``[E]``, ``[E]`` and linear solution ``[O, E + C]``, ``[O]``."""
        for buffer, value in (
            (self.mean, mean),
            (self.scale, scale),
            (self.linear.weight, weight),
            (self.linear.bias, bias),
        ):
            buffer.copy_(torch.from_numpy(np.asarray(value, dtype=np.float32)))

    def to_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What :meth:`start_from` takes, as it is now."""
        parts = (self.mean, self.scale, self.linear.weight, self.linear.bias)
        return tuple(part.detach().cpu().numpy() for part in parts)
