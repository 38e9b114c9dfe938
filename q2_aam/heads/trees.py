"""Heads of extremely randomized trees: on the sample embedding, and (for the ensemble) on abundances of ASVs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from q2_aam.evaluation.calibration import mixed_with_even
from q2_aam.heads.features import Features, known_weight, poor_richness
from q2_aam.heads.folds import n_outputs
from q2_aam.heads.kernel import ROWS
from q2_aam.heads.protocol import Fit, Folds
from q2_aam.heads.tensors import checked_parts

TREES = 100
# Of these, in each inner fold: enough to tell what trees are worth, and much of the time of a fit.
INNER_SHARE = 0.2
# Of a sample's numbers, tried at each node.
TRIED = 1 / 3
# Leaves a tree has at most, about: beyond that many samples leaves hold several, so that a model grows no further.
MAX_LEAVES = 1000
# Samples that the trees learn from: beyond, a random choice, so that time grows no further.
MAX_SAMPLES = 10_000


@dataclass(frozen=True)
class Trees:
    """Decision trees on numbers of a sample; what is predicted is the mean of their leaves.

    The nodes of all trees stand one after the other. A sample goes to the second child of a node where the node's
    number is above the threshold, else to the first; a leaf is its own child.
    """

    width: int
    """Numbers a sample that the trees read, ``F``."""
    roots: np.ndarray
    """int64 ``[T]``, first node of each tree."""
    children: np.ndarray
    """int32 ``[Z, 2]``"""
    column: np.ndarray
    """int32 ``[Z]``, which of the sample's numbers a node looks at."""
    threshold: np.ndarray
    """float64 ``[Z]``"""
    value: np.ndarray
    """float32 ``[Z, O]``, of a leaf: the target in the transform's units, or for each class its share of the leaf's
    samples over its share of all samples."""

    @classmethod
    def grow(
        cls, numbers, target: np.ndarray, *, trees: int, min_leaf: int = 1, random_seed: int = 0, threads: int = 1
    ) -> "Trees":
        """Grow extremely randomized trees.

        Classes count alike, as in the kernel head: the share of a class in a leaf is divided by its share of all
        samples.

        Parameters
        ----------
        numbers : np.ndarray or sp.csr_matrix
            float32 ``[N, F]``; of more than ``MAX_SAMPLES`` samples a random choice is read.
        target : np.ndarray
            ``[N]`` float32 in the transform's units, or int64 codes of classes.
        trees : int
            How many.
        min_leaf : int
            Samples that a leaf has at least.
        random_seed, threads : int
            As in :meth:`q2_aam.heads.protocol.Head.fit`.

        References
        ----------
        Geurts P, Ernst D, Wehenkel L (2006). Extremely randomized trees. Machine Learning 63:3-42.
        """
        outputs = n_outputs(target)
        rows = np.sort(np.random.default_rng(random_seed).permutation(len(target))[:MAX_SAMPLES])
        numbers, target = numbers[rows], target[rows]
        forest = (ExtraTreesRegressor if outputs == 1 else ExtraTreesClassifier)(
            trees,
            max_features=TRIED,
            min_samples_leaf=max(min_leaf, len(rows) // MAX_LEAVES),
            n_jobs=threads,
            random_state=random_seed,
        ).fit(numbers.toarray() if sp.issparse(numbers) else numbers, target)
        each = [estimator.tree_ for estimator in forest.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in each[:-1])])
        children = []
        for root, tree in zip(roots, each, strict=True):
            pair = np.stack([tree.children_left, tree.children_right], 1)
            # scikit-learn's leaves have -1 for children.
            children.append(root + np.where(pair < 0, np.arange(tree.node_count)[:, None], pair))
        value = np.concatenate([tree.value[:, 0] for tree in each])
        return cls(
            numbers.shape[1],
            roots,
            np.concatenate(children).astype(np.int32),
            np.maximum(np.concatenate([tree.feature for tree in each]), 0).astype(np.int32),
            np.concatenate([tree.threshold for tree in each]),
            (value if outputs == 1 else _likelihoods(value, target, outputs)).astype(np.float32),
        )

    def means(self, numbers: np.ndarray | sp.csr_matrix) -> np.ndarray:
        """Mean of the leaves that samples ``[M, F]`` come to, ``[M, O]``; of classes, probabilities above 0."""
        if numbers.shape[1] != self.width:
            raise ValueError(
                f"The trees read {self.width} numbers a sample, but these samples have {numbers.shape[1]}. Predict "
                "with the encoder and the covariates that the head was fitted with."
            )
        means = np.empty((numbers.shape[0], self.value.shape[1]))
        for start in range(0, len(means), ROWS):
            chunk = numbers[start : start + ROWS]
            chunk = chunk.toarray() if sp.issparse(chunk) else chunk
            rows = np.arange(len(chunk))[:, None]
            node, before = np.repeat(self.roots[None], len(chunk), 0), None
            while before is None or not np.array_equal(node, before):
                before = node
                beyond = chunk[rows, self.column[node]] > self.threshold[node]
                node = self.children[node, beyond.astype(np.intp)]
            means[start : start + ROWS] = self.value[node].mean(1, dtype=np.float64)
        return means if means.shape[1] == 1 else mixed_with_even(means)

    def to_tensors(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(part) for name, part in vars(self).items()}

    @classmethod
    def from_tensors(cls, tensors: dict) -> "Trees":
        """What :meth:`to_tensors` returned.

        Raises
        ------
        ValueError, KeyError, TypeError
            If parts are missing or do not fit each other, or a way through a tree has no end.
        """
        kinds = {"width": "i0", "roots": "i1", "children": "i2", "column": "i1", "threshold": "f1", "value": "f2"}
        arrays = checked_parts(tensors, **kinds)
        trees = cls(**{**arrays, "width": int(arrays["width"])})
        nodes, own = len(trees.children), np.arange(len(trees.children))[:, None]
        fits = (
            trees.children.shape == (nodes, 2)
            and trees.column.shape == trees.threshold.shape == (nodes,)
            and len(trees.value) == nodes
            and trees.value.shape[1] > 0
            and len(trees.roots)
            and ((trees.roots >= 0) & (trees.roots < nodes)).all()
            # A child stands behind its parent: every way has an end.
            and ((trees.children >= own) & (trees.children < nodes)).all()
            and ((trees.children == own).all(1) == (trees.children == own).any(1)).all()
            and ((trees.column >= 0) & (trees.column < trees.width)).all()
            and (trees.value.shape[1] == 1 or ((trees.value >= 0).all() and (trees.value.sum(1) > 0).all()))
        )
        if not fits:
            raise ValueError("The trees of a stored head do not fit together.")
        return trees


def _likelihoods(value: np.ndarray, target: np.ndarray, outputs: int) -> np.ndarray:
    """Share of each class among the samples in nodes, over its share of all samples ``[Z, O]``."""
    codes, sizes = np.unique(target, return_counts=True)
    shares = np.zeros((len(value), outputs))
    shares[:, codes] = value / value.sum(1, keepdims=True)
    frequency = np.ones(outputs)
    frequency[codes] = sizes / len(target)
    return shares / frequency


def as_outputs(means: np.ndarray) -> np.ndarray:
    """Means of trees as a head's outputs: numbers as they are, logarithms of probabilities; float32 ``[M, O]``."""
    return (means if means.shape[1] == 1 else np.log(means)).astype(np.float32)


@dataclass(frozen=True)
class TreesHead:
    """Trees on the sample embedding and on covariates.

    Samples that hold ASVs which the landmarks do not are read as the kernel head reads them: by their known ASVs alone,
    unless those are few.
    """

    name: ClassVar[str] = "trees"

    trees: Trees
    known_asvs: np.ndarray
    """int64 ``[W]``, sorted hashes of the ASVs that the landmarks hold."""
    richness: float
    """Known ASVs with which a sample is read by those alone (:func:`q2_aam.heads.features.poor_richness`)."""
    n_covariates: int = 0

    @property
    def landmarks(self) -> None:
        return None

    @classmethod
    def fit(
        cls, features: Features, target: np.ndarray, folds: Folds, *, random_seed: int = 0, threads: int = 1
    ) -> Fit:
        """Grow the trees; see :meth:`q2_aam.heads.protocol.Head.fit`. Nothing is chosen."""
        settings = {"random_seed": random_seed, "threads": threads}
        out_of_fold = np.full((len(target), n_outputs(target)), np.nan, dtype=np.float32)
        for train, test in folds.splits:
            landmarks = features.subset(np.intersect1d(folds.landmarks, train)).as_landmarks()
            part = cls.grow(features.subset(train), target[train], landmarks, inner=True, **settings)
            out_of_fold[test] = part.outputs(features.subset(test))
        landmarks = features.subset(folds.landmarks).as_landmarks()
        return Fit(cls.grow(features, target, landmarks, **settings), out_of_fold)

    @classmethod
    def grow(
        cls, features: Features, target: np.ndarray, landmarks: Features, inner: bool = False, **settings
    ) -> "TreesHead":
        """Fit the trees (in an inner fold fewer) to all ``N`` samples; new ones are read by the landmarks' ASVs."""
        numbers = beside_covariates(features.embedding, features)
        n_covariates = numbers.shape[1] - 2 * features.presence.shape[1]
        share = INNER_SHARE if inner else 1
        trees = Trees.grow(numbers, target, trees=round(share * TREES), **settings)
        return cls(trees, landmarks.hashes, poor_richness(landmarks), n_covariates)

    def outputs(self, features: Features) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``."""
        features.covariate_columns(self.n_covariates)
        means = self.trees.means(beside_covariates(features.embedding, features))
        if features.known_presence is not None:
            weight = known_weight(features, self.known_asvs, self.richness)[:, None]
            known = self.trees.means(beside_covariates(features.known_embedding, features))
            means = weight * known + (1 - weight) * means
        return as_outputs(means)

    def describe(self) -> str:
        covariates = f" and {self.n_covariates} covariates" if self.n_covariates else ""
        return (
            f"Trees head: the mean of {len(self.trees.roots)} extremely randomized trees on the "
            f"{self.trees.width - self.n_covariates} numbers of the sample embedding{covariates}."
        )

    def to_tensors(self) -> dict[str, np.ndarray | dict]:
        return {
            "trees": self.trees.to_tensors(),
            "known_asvs": self.known_asvs,
            "richness": np.array(self.richness),
            "n_covariates": np.array(self.n_covariates),
        }

    @classmethod
    def from_tensors(cls, tensors: dict) -> "TreesHead":
        parts = checked_parts(tensors, trees="dict", known_asvs="i1", richness="f0", n_covariates="i0")
        trees = Trees.from_tensors(parts["trees"])
        known_asvs, richness, n = parts["known_asvs"], float(parts["richness"]), int(parts["n_covariates"])
        if not ((np.diff(known_asvs) > 0).all() and richness >= 0 and 0 <= n < trees.width):
            raise ValueError("The parts of a stored trees head do not fit together.")
        return cls(trees, known_asvs, richness, n)


def beside_covariates(numbers: np.ndarray | sp.csr_matrix, features: Features) -> np.ndarray | sp.csr_matrix:
    """Numbers of samples ``[N, F]`` and their covariates behind, ``[N, F + C]``."""
    if features.covariates is None:
        return numbers
    stack = sp.hstack if sp.issparse(numbers) else np.hstack
    joined = stack([numbers, features.covariates.astype(np.float32)])
    return joined.tocsr() if sp.issparse(joined) else joined
