"""Heads of trees, on the sample embedding or on abundances, and the weighted mean of these and the kernel head."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from q2_aam.heads.kernel import (
    ROWS,
    Compared,
    KernelHead,
    familiarity,
    square_root_abundances,
    trust_in_abundances,
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
    def from_tensors(cls, parts: dict[str, Tensor], kernel: KernelHead, numbers: int) -> "ForestHead":
        """What :meth:`to_tensors` gave.

        Parameters
        ----------
        parts : dict
        kernel : KernelHead
            The head beside it: as many outputs, and the samples whose abundances are read.
        numbers : int
            Of a sample embedding.

        Raises
        ------
        ValueError, KeyError, TypeError
            If parts are missing or do not fit each other, or a way through a tree has no end.
        """
        forest = cls(**{name: part.numpy() for name, part in parts.items()})
        asvs, outputs = forest.asvs, len(kernel.bias)
        counted = [forest.roots, forest.children, forest.place] + ([] if asvs is None else [asvs])
        nodes, own = len(forest.children), np.arange(len(forest.children))[:, None]
        fits = (
            all(np.issubdtype(part.dtype, np.integer) for part in counted)
            and forest.children.shape == (nodes, 2)
            and forest.place.shape == forest.threshold.shape == (nodes,)
            and forest.value.shape == (nodes, outputs)
            and forest.roots.ndim == 1
            and len(forest.roots)
            and ((forest.roots >= 0) & (forest.roots < nodes)).all()
            and ((forest.children >= own) & (forest.children < nodes)).all()
            and ((forest.children == own).all(1) == (forest.children == own).any(1)).all()
            and ((forest.place >= 0) & (forest.place < (numbers if asvs is None else len(asvs)))).all()
            and np.isfinite(forest.threshold).all()
            and np.isfinite(forest.value).all()
            and (outputs == 1 or (forest.value > 0).all())
            and (asvs is None or (asvs.ndim == 1 and (np.diff(asvs) > 0).all()))
            and (asvs is None or np.isin(asvs, kernel.support.hashes).all())
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
    embedding: ForestHead | None
    """Trees on the sample embedding; None where they have no weight."""
    abundance: ForestHead | None
    """Trees on abundances of ASVs; None where they have no weight."""
    weights: tuple[float, float, float]
    """Of the kernel head, of the trees on the embedding and of those on abundances; they add up to 1."""

    def __post_init__(self):
        weights = np.array(self.weights, dtype=np.float64)
        # The kernel has a say always: the others have none of some samples.
        if not (weights.shape == (3,) and weights[0] > 0 and weights.min() >= 0 and np.isclose(weights.sum(), 1)):
            raise ValueError(f"A joint head needs three weights that add up to 1, but was given {self.weights}.")
        for forest, weight in ((self.embedding, weights[1]), (self.abundance, weights[2])):
            if (forest is None) != (weight == 0):
                raise ValueError("A joint head has trees where these have weight, and not otherwise.")
        if getattr(self.embedding, "asvs", None) is not None or getattr(self.abundance, "asvs", ()) is None:
            raise ValueError("The trees of a joint head read the embedding and abundances, in that order.")

    @property
    def support(self) -> Compared:
        """The samples compared with."""
        return self.kernel.support

    def outputs(self, samples: Compared) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``."""
        kernel = self.kernel.outputs(samples)
        parts = [kernel, *(np.zeros_like(kernel) for _ in range(2))]
        trust = np.ones(len(samples))
        if self.embedding is not None:
            parts[1] = self.embedding.outputs(samples, self.support)
        if self.abundance is not None:
            parts[2] = self.abundance.outputs(samples, self.support)
            trust = trust_in_abundances(samples, self.support, self.abundance.asvs)
        return weighted_mean(parts, sample_weights(self.weights, trust))

    def to_tensors(self) -> dict:
        """Everything but the kernel head, as it is kept in ``best_model.pt``."""
        forests = {"embedding": self.embedding, "abundance": self.abundance}
        kept = {name: forest.to_tensors() for name, forest in forests.items() if forest is not None}
        return {"weights": torch.tensor(self.weights, dtype=torch.float64), **kept}

    @classmethod
    def from_tensors(cls, parts: dict, kernel: KernelHead, numbers: int) -> "JointHead":
        """What :meth:`to_tensors` gave, beside its kernel head; a sample embedding has so many numbers.

        Raises
        ------
        ValueError, KeyError, TypeError
            If parts are missing or do not fit each other.
        """
        forests = {
            name: ForestHead.from_tensors(parts[name], kernel, numbers) if name in parts else None
            for name in ("embedding", "abundance")
        }
        return cls(kernel, **forests, weights=tuple(parts["weights"].tolist()))


def sample_weights(weights: tuple[float, float, float], trust: np.ndarray) -> np.ndarray:
    """Weights ``[3, M]`` of a joint head's parts for each sample: less of the last where abundances tell little."""
    each = np.repeat(np.array(weights, dtype=np.float64)[:, None], len(trust), 1)
    each[2] *= trust
    return each / each.sum(0)


def weighted_mean(parts, weights) -> np.ndarray:
    """Mean of heads' numbers, or logarithm of the mean of their probabilities: float32 ``[M, O]``.

    Parameters
    ----------
    parts : array_like
        ``[P, M, O]``, of each head a number or logits of classes.
    weights : array_like
        ``[P]`` or ``[P, M]``, of each head; they add up to 1.
    """
    weights = np.asarray(weights, dtype=np.float64).reshape(len(parts), -1, 1)
    parts = np.asarray(parts, dtype=np.float64)
    if parts.shape[2] == 1:
        return (weights * parts).sum(0).astype(np.float32)
    logs = parts - np.logaddexp.reduce(parts, axis=2, keepdims=True)
    with np.errstate(divide="ignore"):  # what has no weight has minus infinity, and adds nothing
        return np.logaddexp.reduce(logs + np.log(weights), axis=0).astype(np.float32)
