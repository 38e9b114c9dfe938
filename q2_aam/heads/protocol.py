"""What every head is: a map from features of samples to a target, fitted in inner folds and stored as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from q2_aam.heads.features import Features


@dataclass(frozen=True)
class Folds:
    """Inner folds of ``N`` samples, by which a head's settings are chosen."""

    splits: list[tuple[np.ndarray, np.ndarray]]
    """Rows fitted to and rows predicted of each fold; a row is predicted once at most."""
    landmarks: np.ndarray
    """int64 ``[L]`` ascending, rows that a kernel compares samples with."""
    groups: np.ndarray
    """int64 ``[N]``, number of each sample's group: its own row where there are no groups."""


class Fit(NamedTuple):
    """A fitted head, and its predictions of samples that it was not fitted to."""

    head: Head
    out_of_fold: np.ndarray
    """float32 ``[N, O]``, each row by a head fitted to other folds (other groups); NaN for a row in no fold."""


class Head(Protocol):
    """A map from features of samples to a target.

    ``O`` is 1 for a numeric target and the number of classes for a categorical one.
    """

    name: ClassVar[str]
    """What the registry and the parameter ``head`` call it."""

    @classmethod
    def fit(
        cls, features: Features, target: np.ndarray, folds: Folds, *, random_seed: int = 0, threads: int = 1
    ) -> Fit:
        """Fit a head to all samples, and to all but each inner fold.

        Parameters
        ----------
        features : Features
            ``N`` samples, known ASVs of which are those of :func:`q2_aam.heads.features.known_to_others`.
        target : np.ndarray
            ``[N]`` float32 in the transform's units, or int64 codes of classes, 0 to ``O - 1``.
        folds : Folds
            Of this target.
        random_seed : int
            Seed of everything random in the fit.
        threads : int
            Trees grown at a time; changes nothing but time.
        """
        ...

    def outputs(self, features: Features) -> np.ndarray:
        """Target in the transform's units, logits or log probabilities: float32 ``[M, O]``.

        Raises
        ------
        ValueError
            If the samples have another number of lineages or covariates than those that were learnt from.
        """
        ...

    def to_tensors(self) -> dict[str, np.ndarray | dict]:
        """Everything that a model file keeps of the head: arrays, and dicts of them."""
        ...

    @classmethod
    def from_tensors(cls, tensors: dict) -> Head:
        """Rebuild a head from what :meth:`to_tensors` returned.

        Raises
        ------
        ValueError, KeyError, TypeError
            If parts are missing, unknown, not finite or do not fit each other.
        """
        ...

    def describe(self) -> str:
        """Say in a sentence or two what the head is and what was chosen for it."""
        ...

    @property
    def landmarks(self) -> Features | None:
        """Samples that others are compared with; None where the head holds none."""
        ...

    @property
    def known_asvs(self) -> np.ndarray | None:
        """int64 sorted hashes of the ASVs that the landmarks hold; None where the head has no use for them."""
        ...
