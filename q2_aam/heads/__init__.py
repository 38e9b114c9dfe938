"""Heads: from features of samples to a target. A new head is one file, and one line here."""

import numpy as np
import scipy.sparse as sp

from q2_aam.encoder.asv_cache import NOT_FINITE
from q2_aam.encoder.files import MISFIT
from q2_aam.heads.ensemble import EnsembleHead
from q2_aam.heads.features import Features, known_to_others
from q2_aam.heads.folds import inner_folds
from q2_aam.heads.kernel import KernelHead
from q2_aam.heads.linear import LinearHead
from q2_aam.heads.protocol import Fit, Folds, Head
from q2_aam.heads.trees import TreesHead

__all__ = ["HEADS", "Features", "Fit", "Folds", "Head", "check_head", "finite_outputs", "head_class", "inner_folds"]
__all__ += ["known_to_others"]

HEADS: dict[str, type[Head]] = {
    "ensemble": EnsembleHead,
    "kernel": KernelHead,
    "trees": TreesHead,
    "linear": LinearHead,
}


def head_class(name: str) -> type[Head]:
    """The head of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)}, but is {name!r}.")
    return HEADS[name]


def finite_outputs(head: Head, features: Features) -> np.ndarray:
    """What a head says of samples, float32 ``[M, O]``.

    Raises
    ------
    ValueError
        If a number of it is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = head.outputs(features)
    if not np.isfinite(outputs).all():
        raise ValueError(NOT_FINITE)
    return outputs


def check_head(head: Head, target, covariates, encoder) -> None:
    """Stop when a head is of another encoder, other covariates or another target, by what it says of an empty sample.

    Raises
    ------
    ValueError
    """
    nothing = np.zeros((1, encoder.network.architecture.lineages), dtype=np.float32)
    numbers = None if covariates is None else np.zeros((1, covariates.width), dtype=np.float32)
    empty = Features(nothing, nothing, sp.csr_matrix((1, 0)), np.zeros(0, dtype=np.int64), numbers)
    if head.outputs(empty).shape != (1, max(1, len(target.classes))):
        raise ValueError(MISFIT)
