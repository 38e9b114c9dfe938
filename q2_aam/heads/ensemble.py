"""Ensemble head: weighted mean of the kernel head, of trees on the sample embedding and of trees on abundances."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from q2_aam.heads.features import Features, known_richness, poor_richness, square_root_abundances
from q2_aam.heads.folds import balanced_losses
from q2_aam.heads.kernel import KernelHead
from q2_aam.heads.protocol import Fit, Folds
from q2_aam.heads.tensors import checked_parts
from q2_aam.heads.trees import Trees, TreesHead, as_outputs, beside_covariates

ABUNDANCE_TREES = 100
# Of these, in each inner fold.
INNER_SHARE = 0.3
# Samples that a leaf of trees on abundances has at least. Trees on embeddings grow to the end.
ABUNDANCE_LEAF = 3
# ASVs whose abundances the trees read: those that most samples hold, so that time grows no further.
MAX_ASVS = 2_000
# Of kernel, trees on the embedding and trees on abundances: among these the weights that err least are sought.
WEIGHTS = np.array([(k / 10, e / 10, (10 - k - e) / 10) for k in range(11) for e in range(11 - k)])
# Times that groups are drawn anew, and groups that even weights count for.
DRAWS, EVEN_GROUPS = 200, 20


@dataclass(frozen=True)
class AbundanceTrees:
    """Trees on the abundances of ASVs that landmarks hold, and on covariates; they know nothing of new ASVs."""

    trees: Trees
    asvs: np.ndarray
    """int64 ``[W]``, sorted hashes of the ASVs whose abundances are read."""

    @classmethod
    def grow(
        cls, features: Features, target: np.ndarray, landmarks: Features, inner: bool = False, **settings
    ) -> "AbundanceTrees":
        """Fit the trees, in an inner fold fewer, to all ``N`` samples."""
        asvs = common_asvs(landmarks)
        numbers = beside_covariates(square_root_abundances(features, landmarks, asvs), features)
        trees = round((INNER_SHARE if inner else 1) * ABUNDANCE_TREES)
        return cls(Trees.grow(numbers, target, trees=trees, min_leaf=ABUNDANCE_LEAF, **settings), asvs)

    def outputs(self, features: Features, landmarks: Features) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``."""
        numbers = square_root_abundances(features, landmarks, self.asvs)
        return as_outputs(self.trees.means(beside_covariates(numbers, features)))

    def relevance(self, features: Features, landmarks: Features) -> np.ndarray:
        """How far abundances of these ASVs speak for each sample, 0 to 1 ``[M]``.

        Fully where a sample holds as many of them as the poorest quarter of the landmarks do at most, or where it holds
        nothing else.
        """
        richness = np.minimum(poor_richness(landmarks, self.asvs), np.diff(features.asv_shares.indptr))
        return np.minimum(1, known_richness(features, self.asvs) / np.maximum(richness, 1))


@dataclass(frozen=True)
class EnsembleHead:
    """Weighted mean of the outputs of several heads, of numbers or of probabilities.

    Trees on abundances count for less in a sample of which they know few ASVs.
    """

    name: ClassVar[str] = "ensemble"

    kernel: KernelHead
    embedding_trees: TreesHead
    abundance_trees: AbundanceTrees
    weights: tuple[float, float, float]
    """Of the kernel head, of the trees on the embedding and of those on abundances; they add up to 1."""

    def __post_init__(self):
        weights = np.array(self.weights, dtype=np.float64)
        if not (weights.shape == (3,) and weights.min() > 0 and np.isclose(weights.sum(), 1)):
            raise ValueError(f"An ensemble head needs three weights above 0 that add up to 1, but has {self.weights}.")

    @property
    def landmarks(self) -> Features:
        return self.kernel.landmarks

    @property
    def known_asvs(self) -> np.ndarray:
        return self.kernel.known_asvs

    @classmethod
    def fit(
        cls, features: Features, target: np.ndarray, folds: Folds, *, random_seed: int = 0, threads: int = 1
    ) -> Fit:
        """Fit all heads, and choose their weights by the inner folds; see :meth:`q2_aam.heads.protocol.Head.fit`."""
        settings = {"random_seed": random_seed, "threads": threads}
        kernel, parts, relevance = cls.out_of_fold(features, target, folds, **settings)
        weights = ensemble_weights(parts, relevance, target, folds.groups, random_seed)
        trees = [kind.grow(features, target, kernel.landmarks, **settings) for kind in (TreesHead, AbundanceTrees)]
        return Fit(cls(kernel, *trees, weights), weighted_mean(parts, sample_weights(weights, relevance)))

    @staticmethod
    def out_of_fold(
        features: Features, target: np.ndarray, folds: Folds, **settings
    ) -> tuple[KernelHead, np.ndarray, np.ndarray]:
        """A fitted kernel head; out-of-fold outputs of the three heads ``[3, N, O]``; the relevance of abundances."""
        kernel, kernel_outputs = KernelHead.fit(features, target, folds, **settings)
        parts = np.full((3, *kernel_outputs.shape), np.nan, dtype=np.float32)
        parts[0] = kernel_outputs
        relevance = np.zeros(len(target))
        for train, test in folds.splits:
            landmarks = features.subset(np.intersect1d(folds.landmarks, train)).as_landmarks()
            old, new = features.subset(train), features.subset(test)
            parts[1][test] = TreesHead.grow(old, target[train], landmarks, inner=True, **settings).outputs(new)
            abundance_trees = AbundanceTrees.grow(old, target[train], landmarks, inner=True, **settings)
            parts[2][test] = abundance_trees.outputs(new, landmarks)
            relevance[test] = abundance_trees.relevance(new, landmarks)
        return kernel, parts, relevance

    def outputs(self, features: Features) -> np.ndarray:
        """Target in the transform's units, or logarithms of probabilities: float32 ``[M, O]``."""
        parts = [self.kernel.outputs(features), self.embedding_trees.outputs(features)]
        parts.append(self.abundance_trees.outputs(features, self.landmarks))
        relevance = self.abundance_trees.relevance(features, self.landmarks)
        return weighted_mean(parts, sample_weights(self.weights, relevance))

    def describe(self) -> str:
        shares = [f"{weight:.0%}" for weight in self.weights]
        return (
            f"Ensemble head: the weighted mean of the kernel head ({shares[0]}), trees on the sample embedding "
            f"({shares[1]}) and trees on abundances of ASVs ({shares[2]}). {self.kernel.describe()}"
        )

    def to_tensors(self) -> dict[str, np.ndarray | dict]:
        return {
            "kernel": self.kernel.to_tensors(),
            "weights": np.array(self.weights, dtype=np.float64),
            # Known ASVs are those of the kernel's landmarks.
            "embedding_trees": self.embedding_trees.trees.to_tensors(),
            "abundance_trees": self.abundance_trees.trees.to_tensors(),
            "asvs": self.abundance_trees.asvs,
        }

    @classmethod
    def from_tensors(cls, tensors: dict) -> "EnsembleHead":
        kinds = {"kernel": "dict", "weights": "f1", "embedding_trees": "dict", "abundance_trees": "dict", "asvs": "i1"}
        parts = checked_parts(tensors, **kinds)
        kernel, asvs = KernelHead.from_tensors(parts["kernel"]), parts["asvs"]
        landmarks, n_covariates = kernel.landmarks, kernel.n_covariates
        if not ((np.diff(asvs) > 0).all() and np.isin(asvs, landmarks.hashes).all()):
            raise ValueError("The ASVs of a stored ensemble head are not sorted, or no landmark holds them.")
        widths = {"embedding_trees": 2 * landmarks.presence.shape[1], "abundance_trees": len(asvs)}
        trees = {name: Trees.from_tensors(parts[name]) for name in widths}
        for name, width in widths.items():
            if trees[name].width != width + n_covariates or trees[name].value.shape[1] != len(kernel.bias):
                raise ValueError("The trees of a stored ensemble head do not fit its kernel head.")
        embedding_trees = TreesHead(
            trees["embedding_trees"], landmarks.hashes, poor_richness(landmarks), n_covariates
        )  # fmt: skip
        abundance_trees = AbundanceTrees(trees["abundance_trees"], asvs)
        return cls(kernel, embedding_trees, abundance_trees, tuple(parts["weights"].tolist()))


def ensemble_weights(
    parts: np.ndarray, relevance: np.ndarray, target: np.ndarray, groups: np.ndarray, random_seed: int = 0
) -> tuple[float, float, float]:
    """Weights of heads by how they err on samples that none of them was fitted to; the fewer the groups, the more even.

    Those that err least are found for groups that are drawn anew, again and again; their mean is taken, together with
    even weights, which count as 20 groups do. Weights that merely happen to err least on a few groups are often poor,
    and one better or worse draw does not turn the mean.

    The kernel's settings were picked on the same samples, which favours it a little.

    Parameters
    ----------
    parts : np.ndarray
        ``[3, N, O]``, out-of-fold outputs of each head; NaN for rows in no fold.
    relevance : np.ndarray
        ``[N]``, see :meth:`AbundanceTrees.relevance`.
    target : np.ndarray
        ``[N]``
    groups : np.ndarray
        int64 ``[N]``, number of each sample's group.
    random_seed : int
        Of the draws.

    References
    ----------
    Breiman L (1996). Stacked regressions. Machine Learning 24:49-64.
    """
    predicted = np.isfinite(parts[0, :, 0])
    parts, relevance, target = parts[:, predicted], relevance[predicted], target[predicted]
    _, group = np.unique(groups[predicted], return_inverse=True)
    n = group.max() + 1
    losses = np.empty((len(WEIGHTS), n))
    for place, weights in enumerate(WEIGHTS):
        # Where a sample holds none of the ASVs that trees on abundances read, these alone would say nothing.
        outputs = weighted_mean(parts, sample_weights(np.maximum(weights, 1e-9), relevance))
        losses[place] = np.bincount(group, balanced_losses(outputs, target))
    # Of weights that err the same, but for rounding, the most even ones.
    losses += 1e-6 * losses.mean() * ((WEIGHTS - 1 / 3) ** 2).sum(1, keepdims=True)
    drawn = np.random.default_rng(random_seed).multinomial(n, np.full(n, 1 / n), DRAWS)
    best = WEIGHTS[(losses @ drawn.T).argmin(0)].mean(0)
    return tuple(((n * best + EVEN_GROUPS / 3) / (n + EVEN_GROUPS)).tolist())


def common_asvs(landmarks: Features) -> np.ndarray:
    """Sorted hashes of the ASVs that most samples hold, ``MAX_ASVS`` of them at most."""
    samples = np.bincount(landmarks.asv_shares.indices, minlength=len(landmarks.hashes))
    # Ties fall to the hash, that is to the sequence.
    return landmarks.hashes[np.sort(np.argsort(-samples, kind="stable")[:MAX_ASVS])]


def sample_weights(weights: tuple[float, float, float], relevance: np.ndarray) -> np.ndarray:
    """Weights ``[3, M]`` of the parts for each sample: less of the last where abundances tell little."""
    each = np.repeat(np.array(weights, dtype=np.float64)[:, None], len(relevance), 1)
    each[2] *= relevance
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
    # What has no weight has minus infinity, and adds nothing; a row in no fold is NaN, and stays so.
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = parts - np.logaddexp.reduce(parts, axis=2, keepdims=True)
        return np.logaddexp.reduce(logs + np.log(weights), axis=0).astype(np.float32)
