"""Head of trees on the sample embedding, and the weighted mean of it and the kernel head."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from q2_aam.models.kernel_head import ROWS, Compared, KernelHead, familiarity


@dataclass(frozen=True)
class ForestHead:
    """Decision trees on the sample embedding; what is predicted is the mean of their leaves.

    The nodes of all trees stand one after the other. A sample goes to the second child of a node where the node's
    number of its embedding is above the threshold, else to the first; a leaf is its own child.
    """

    roots: np.ndarray
    """int64 ``[T]``, first node of each tree."""
    children: np.ndarray
    """int32 ``[Z, 2]``"""
    place: np.ndarray
    """int32 ``[Z]``, which number of the embedding is looked at."""
    threshold: np.ndarray
    """float64 ``[Z]``"""
    value: np.ndarray
    """float32 ``[Z, O]``, of a leaf: the target in the transform's units, or how likely each class is (any scale)."""

    def outputs(self, samples: Compared, support: Compared) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``.

        Samples that hold ASVs which those learnt from (``support``) do not are read as the kernel head reads them: by
        their familiar ASVs alone, unless those are few.
        """
        found = self._means(samples.embedding)
        if samples.familiar_embedding is not None:
            weight = familiarity(samples, support)[:, None]
            found = weight * self._means(samples.familiar_embedding) + (1 - weight) * found
        return (found if found.shape[1] == 1 else np.log(found)).astype(np.float32)

    def _means(self, embedding: Tensor) -> np.ndarray:
        """Mean of the leaves that the trees come to ``[M, O]``; of classes, such that they add up to 1."""
        embedding = embedding.numpy()
        means = np.empty((len(embedding), self.value.shape[1]))
        for start in range(0, len(embedding), ROWS):
            part = embedding[start : start + ROWS]
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
        return {name: torch.as_tensor(part) for name, part in vars(self).items()}

    @classmethod
    def from_tensors(cls, parts: dict[str, Tensor], numbers: int, outputs: int) -> "ForestHead":
        """What :meth:`to_tensors` gave.

        Parameters
        ----------
        parts : dict
        numbers : int
            Of a sample embedding.
        outputs : int
            Of the head beside it.

        Raises
        ------
        ValueError, KeyError, TypeError
            If parts are missing or do not fit each other, or a way through a tree has no end.
        """
        forest = cls(**{name: part.numpy() for name, part in parts.items()})
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
        )
        if not fits:
            raise ValueError("The trees of a forest head do not fit together.")
        return forest


@dataclass(frozen=True)
class JointHead:
    """Weighted mean of a kernel head and a forest head, of numbers or of probabilities."""

    kernel: KernelHead
    forest: ForestHead
    weight: float
    """Of the trees, 0 to 1; the rest is the kernel's."""

    def __post_init__(self):
        if not 0 <= self.weight <= 1:
            raise ValueError(f"The weight of a joint head's trees must be between 0 and 1, but is {self.weight}.")

    @property
    def support(self) -> Compared:
        """The samples compared with."""
        return self.kernel.support

    def outputs(self, samples: Compared) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``."""
        return weighted_mean(self.kernel.outputs(samples), self.forest.outputs(samples, self.support), self.weight)


def weighted_mean(kernel: np.ndarray, trees: np.ndarray, weight: float) -> np.ndarray:
    """Mean of two heads' numbers, or logarithm of the mean of their probabilities: float32 ``[M, O]``.

    Parameters
    ----------
    kernel, trees : np.ndarray
        ``[M, O]``, a number or logits of classes.
    weight : float
        Of the trees, 0 to 1.
    """
    if kernel.shape[1] == 1:
        return ((1 - weight) * kernel.astype(np.float64) + weight * trees).astype(np.float32)
    logs = [part - np.logaddexp.reduce(part, axis=1, keepdims=True) for part in np.float64([kernel, trees])]
    with np.errstate(divide="ignore"):  # what has no weight has minus infinity, and adds nothing
        return np.logaddexp(logs[0] + np.log1p(-weight), logs[1] + np.log(weight)).astype(np.float32)
