"""Heads of trees, on the sample embedding or on abundances, and the weighted mean of these and the kernel head."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from q2_aam.models.kernel_head import (
    ROWS,
    Compared,
    KernelHead,
    familiar_asvs,
    familiarity,
    square_root_abundances,
)


@dataclass(frozen=True)
class ForestHead:
    """Decision trees on numbers of a sample; what is predicted is the mean of their leaves.

    The nodes of all trees stand one after the other. A sample goes to the second child of a node where the node's
    number is above the threshold, else to the first; a leaf is its own child. The numbers are those of the sample
    embedding, or square roots of abundances.
    """

    roots: np.ndarray
    """int64 ``[T]``, first node of each tree."""
    children: np.ndarray
    """int32 ``[Z, 2]``"""
    place: np.ndarray
    """int32 ``[Z]``, which of the sample's numbers is looked at."""
    threshold: np.ndarray
    """float64 ``[Z]``"""
    value: np.ndarray
    """float32 ``[Z, O]``, of a leaf: the target in the transform's units, or how likely each class is (any scale)."""
    asvs: np.ndarray | None = None
    """int64 ``[W]``, sorted hashes of the ASVs whose abundances are read; None where the embedding is."""

    def outputs(self, samples: Compared, support: Compared) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``.

        Samples that hold ASVs which those learnt from (``support``) do not are read as the kernel head reads them: by
        their familiar ASVs alone, unless those are few. Of abundances there are only familiar ones.
        """
        if self.asvs is not None:
            found = self._means(square_root_abundances(samples, support, self.asvs))
        else:
            found = self._means(samples.embedding)
            if samples.familiar_embedding is not None:
                weight = familiarity(samples, support)[:, None]
                found = weight * self._means(samples.familiar_embedding) + (1 - weight) * found
        return (found if found.shape[1] == 1 else np.log(found)).astype(np.float32)

    def _means(self, numbers: Tensor | sp.csr_matrix) -> np.ndarray:
        """Mean of the leaves that the trees come to ``[M, O]``; of classes, such that they add up to 1."""
        means = np.empty((numbers.shape[0], self.value.shape[1]))
        for start in range(0, len(means), ROWS):
            part = numbers[start : start + ROWS]
            part = part.toarray() if sp.issparse(part) else part.numpy()
            rows = np.arange(len(part))[:, None]
            node, before = np.repeat(self.roots[None], len(part), 0), None
            while before is None or not np.array_equal(node, before):
                before = node
                beyond = part[rows, self.place[node]] > self.threshold[node]
                node = self.children[node, beyond.astype(np.intp)]
            means[start : start + ROWS] = self.value[node].mean(1, dtype=np.float64)
        return means if means.shape[1] == 1 else means / means.sum(1, keepdims=True)

    def to_tensors(self) -> dict[str, Tensor]:
        """Everything, as it is kept in ``best_model.pt``."""
        return {name: torch.as_tensor(part) for name, part in vars(self).items() if part is not None}

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor], numbers: int | None, outputs: int) -> "ForestHead":
        """What :meth:`to_tensors` gave.

        Parameters
        ----------
        parts : dict
        numbers : int or None
            Of a sample embedding; None where abundances are read.
        outputs : int
            Of the head beside it.

        Raises
        ------
        ValueError, KeyError, TypeError
            If parts are missing or do not fit each other, or a way through a tree has no end.
        """
        forest = cls(**{name: part.numpy() for name, part in parts.items()})
        if (forest.asvs is None) != (numbers is not None):
            raise ValueError("A forest head reads either the embedding or abundances.")
        if forest.asvs is not None:
            numbers = len(forest.asvs)
        nodes, own = len(forest.children), np.arange(len(forest.children))[:, None]
        fits = (
            forest.children.shape == (nodes, 2)
            and forest.place.shape == forest.threshold.shape == (nodes,)
            and forest.value.shape == (nodes, outputs)
            and len(forest.roots)
            and ((forest.roots >= 0) & (forest.roots < nodes)).all()
            and ((forest.children >= own) & (forest.children < nodes)).all()
            and ((forest.children == own).all(1) == (forest.children == own).any(1)).all()
            and ((forest.place >= 0) & (forest.place < numbers)).all()
            and np.isfinite(forest.value).all()
            and (outputs == 1 or (forest.value > 0).all())
            and (forest.asvs is None or (np.diff(forest.asvs) > 0).all())
        )
        if not fits:
            raise ValueError("The trees of a forest head do not fit together.")
        return forest


@dataclass(frozen=True)
class JointHead:
    """Weighted mean of a kernel head and forest heads, of numbers or of probabilities.

    A forest on abundances knows nothing of new ASVs: of a sample with few others, it counts for less.
    """

    kernel: KernelHead
    embedding: ForestHead
    """Trees on the sample embedding."""
    abundance: ForestHead | None
    """Trees on abundances of ASVs; None where they have no weight."""
    weights: tuple[float, float, float]
    """Of the kernel head, of the trees on the embedding and of those on abundances; they add up to 1."""

    def __post_init__(self):
        weights = np.array(self.weights, dtype=np.float64)
        add_up = weights.shape == (3,) and weights.min() >= 0 and np.isclose(weights.sum(), 1)
        # Where all ASVs are new, there is nothing beside the first two.
        if not (add_up and weights[:2].sum() > 0):
            raise ValueError(f"A joint head needs three weights that add up to 1, but was given {self.weights}.")
        if (self.abundance is None) != (weights[2] == 0):
            raise ValueError("A joint head has trees on abundances where these have weight, and not otherwise.")

    @property
    def support(self) -> Compared:
        """The samples compared with."""
        return self.kernel.support

    def outputs(self, samples: Compared) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``."""
        parts = [self.kernel.outputs(samples), self.embedding.outputs(samples, self.support)]
        if self.abundance is None:
            return weighted_mean(parts, self.weights[:2])
        parts.append(self.abundance.outputs(samples, self.support))
        return weighted_mean(parts, sample_weights(self.weights, familiar_share(samples, self.support)))


def familiar_share(samples: Compared, support: Compared) -> np.ndarray:
    """How far abundances of familiar ASVs speak for each sample, 0 to 1 ``[M]``.

    Fully where as many are familiar as the poorest quarter of the samples learnt from have, or the sample itself has.
    """
    found, enough = familiar_asvs(samples, support)
    own = np.diff(samples.shares.indptr)
    return np.minimum(1, found / np.maximum(np.minimum(enough, own), 1))


def sample_weights(weights: tuple[float, float, float], familiar: np.ndarray) -> np.ndarray:
    """Weights ``[3, M]`` of the parts of a joint head for each sample: less of the last where few ASVs are familiar."""
    each = np.repeat(np.array(weights, dtype=np.float64)[:, None], len(familiar), 1)
    each[2] *= familiar
    return each / each.sum(0)


def weighted_mean(parts: list[np.ndarray], weights) -> np.ndarray:
    """Mean of heads' numbers, or logarithm of the mean of their probabilities: float32 ``[M, O]``.

    Parameters
    ----------
    parts : list of np.ndarray
        Of each head ``[M, O]``, a number or logits of classes.
    weights : array_like
        ``[P]`` or ``[P, M]``, of each head; they add up to 1.
    """
    weights = np.asarray(weights, dtype=np.float64).reshape(len(parts), -1, 1)
    parts = np.stack(parts).astype(np.float64)
    if parts.shape[2] == 1:
        return (weights * parts).sum(0).astype(np.float32)
    logs = parts - np.logaddexp.reduce(parts, axis=2, keepdims=True)
    with np.errstate(divide="ignore"):  # what has no weight has minus infinity, and adds nothing
        return np.logaddexp.reduce(logs + np.log(weights), axis=0).astype(np.float32)
