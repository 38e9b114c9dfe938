"""Kernel head: distances to landmarks by predicted UniFrac, shared ASVs and shared reads, and a weight for each."""

from contextlib import closing
from dataclasses import dataclass
from itertools import product as product_of
from typing import ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from q2_aam.encoder.algebra import eigh, one_thread, product
from q2_aam.encoder.side_by_side import side_by_side
from q2_aam.heads.features import DISTANCES, Features
from q2_aam.heads.folds import balanced_losses, has_classes, n_outputs
from q2_aam.heads.logistic import logistic_path
from q2_aam.heads.protocol import Fit, Folds
from q2_aam.heads.tensors import checked_parts

# Samples at a time: several matrices of distances to all landmarks are held at once.
ROWS = 1024
# Of the matrices of inner folds that are fitted at the same time, at most.
BYTES = 2**31
GAMMAS = (0.03, 0.1, 0.3, 1.0, 3.0)
RIDGE_ALPHAS = np.logspace(-3, 2, 11)
LOGISTIC_ALPHAS = 1 / np.logspace(-2, 3, 6)
# Units in which covariates enter: as one of many, or as good as free of the penalty.
COVARIATE_WEIGHTS = (0.5, 2.0, 8.0)
# Directions with less of the kernel than that share of the largest are noise of rounding.
MIN_EIGENVALUE = 1e-6


@dataclass(frozen=True)
class KernelHead:
    """A Gaussian kernel on three kinds of distance to samples with known targets, and a weight for each of these.

    ``exp(-gamma * mean over the kinds of (squared distance / its typical size)) + covariate_weight^2 * c c'``: where
    all ASVs are new, lineages still tell the samples apart; where communities are alike, single ASVs and their
    abundances do. Covariates ``c`` enter in proportion, as in the linear head.
    """

    name: ClassVar[str] = "kernel"

    landmarks: Features
    """The ``L`` samples that others are compared with."""
    typical: dict[str, float]
    """Median squared distance of each kind between landmarks."""
    gamma: float
    alpha: float
    """Penalty, which the weights result from."""
    covariate_weight: float
    """0 without covariates."""
    weight: np.ndarray
    """``[L, O]``"""
    bias: np.ndarray
    """``[O]``"""

    @property
    def known_asvs(self) -> np.ndarray:
        return self.landmarks.hashes

    @property
    def n_covariates(self) -> int:
        return 0 if self.landmarks.covariates is None else self.landmarks.covariates.shape[1]

    @classmethod
    def fit(
        cls, features: Features, target: np.ndarray, folds: Folds, *, random_seed: int = 0, threads: int = 1
    ) -> Fit:
        """Fit a kernel ridge or kernel logistic regression; see :meth:`q2_aam.heads.protocol.Head.fit`.

        Gamma, alpha and the covariates' weight are those that predict best in the inner folds, whose predictions are
        returned, too: they are of samples not fitted to, but picked two or three numbers. Nothing is random.

        References
        ----------
        Williams CKI, Seeger M (2001). Using the Nystroem method to speed up kernel machines. NIPS 13:682-688.
        """
        rows, all_asvs = folds.landmarks, features.without_known()
        landmarks = features.subset(rows).as_landmarks()
        typical = typical_distances(landmarks)
        scaled = scaled_distances(all_asvs, landmarks, typical)
        parts = _parts(features, folds, landmarks, typical)
        solve, alphas = (logistic_path, LOGISTIC_ALPHAS) if has_classes(target) else (_ridge, RIDGE_ALPHAS)
        weights = (0.0,) if features.covariates is None else COVARIATE_WEIGHTS

        def outputs_of_part(item: tuple[float, float, _Part]) -> np.ndarray:
            covariate_weight, gamma, part = item
            known = similarity(scaled[np.ix_(part.train, part.columns)], gamma)
            new = similarity(part.scaled, gamma)
            if covariate_weight:
                theirs = covariate_weight**2 * part.landmarks.covariates.T
                known = known + features.covariates[part.train] @ theirs
                new = new + features.covariates[part.test] @ theirs
            basis = directions(known[part.landmark_rows])
            new = product(new, basis)
            solutions = solve(product(known, basis), target[part.train], alphas)
            return np.stack([new @ weight + bias for weight, bias in solutions])

        settings = list(product_of(weights, GAMMAS))
        items = [(*setting, part) for setting in settings for part in parts]
        # The kernel and four matrices of its size.
        most = max(1, BYTES // (5 * 8 * len(target) * len(rows)))
        best = None
        with closing(side_by_side(outputs_of_part, items, most)) as outputs:
            for covariate_weight, gamma in settings:
                out_of_fold = np.full((len(alphas), len(target), n_outputs(target)), np.nan, dtype=np.float32)
                for part in parts:
                    out_of_fold[:, part.test] = next(outputs)
                predicted = np.isfinite(out_of_fold[0, :, 0])
                losses = [balanced_losses(each[predicted], target[predicted]).mean() for each in out_of_fold]
                place = int(np.argmin(losses))
                if best is None or losses[place] < best[0]:
                    best = losses[place], gamma, alphas[place], covariate_weight, out_of_fold[place]
        _, gamma, alpha, covariate_weight, out_of_fold = best
        kernel = similarity(scaled, gamma) + covariate_kernel(all_asvs, landmarks, covariate_weight)
        with one_thread():
            basis = directions(kernel[rows])
            ((weight, bias),) = solve(product(kernel, basis), target, [alpha])
        return Fit(cls(landmarks, typical, gamma, float(alpha), covariate_weight, basis @ weight, bias), out_of_fold)

    def outputs(self, features: Features) -> np.ndarray:
        """Target in the transform's units, or logits: float32 ``[M, O]``."""
        kernel = similarity(scaled_distances(features, self.landmarks, self.typical), self.gamma)
        kernel = kernel + covariate_kernel(features, self.landmarks, self.covariate_weight)
        return (kernel @ self.weight + self.bias).astype(np.float32)

    def describe(self) -> str:
        text = (
            f"Kernel head: each sample is compared with {len(self.landmarks)} landmarks by predicted UniFrac, shared "
            f"ASVs and abundances (gamma {self.gamma:g}, alpha {self.alpha:g})."
        )
        if self.n_covariates:
            text += f" It also reads {self.n_covariates} covariates (weight {self.covariate_weight:g})."
        return text

    def to_tensors(self) -> dict[str, np.ndarray]:
        shares = self.landmarks.asv_shares
        tensors = {
            "presence": self.landmarks.presence,
            "indptr": shares.indptr.astype(np.int64),
            "indices": shares.indices.astype(np.int64),
            "shares": shares.data,
            "hashes": self.landmarks.hashes,
            "typical": np.array([self.typical[kind] for kind in DISTANCES]),
            "gamma": np.array(self.gamma),
            "alpha": np.array(self.alpha),
            "covariate_weight": np.array(self.covariate_weight),
            "weight": self.weight,
            "bias": self.bias,
        }
        return tensors if self.landmarks.covariates is None else {**tensors, "covariates": self.landmarks.covariates}

    @classmethod
    def from_tensors(cls, tensors: dict) -> "KernelHead":
        arrays = checked_parts(
            tensors,
            **{"presence": "f2", "indptr": "i1", "indices": "i1", "shares": "f1", "hashes": "i1", "typical": "f1"},
            **{"gamma": "f0", "alpha": "f0", "covariate_weight": "f0", "weight": "f2", "bias": "f1"},
            covariates="f2?",
        )
        presence, hashes, covariates = arrays["presence"], arrays["hashes"], arrays.get("covariates")
        parts = arrays["shares"], arrays["indices"], arrays["indptr"]
        shares = sp.csr_matrix(parts, (len(presence), len(hashes)))
        shares.check_format(full_check=True)
        settings = [float(arrays[name]) for name in ("gamma", "alpha", "covariate_weight")]
        fits = (
            arrays["weight"].shape == (len(presence), len(arrays["bias"]))
            and arrays["weight"].size
            and presence.size
            and presence.min() >= 0
            and (shares.data >= 0).all()
            and shares.sorted_indices().has_canonical_format
            and (np.diff(hashes) > 0).all()
            and len(arrays["typical"]) == len(DISTANCES)
            and (arrays["typical"] > 0).all()
            and min(settings) >= 0
            and (covariates is None or len(covariates) == len(presence))
        )
        if not fits:
            raise ValueError("The parts of a stored kernel head do not fit together.")
        landmarks = Features(presence.astype(np.float32), None, shares, hashes, covariates)
        typical = dict(zip(DISTANCES, arrays["typical"].tolist(), strict=True))
        return cls(landmarks, typical, *settings, arrays["weight"], arrays["bias"])


class _Part(NamedTuple):
    """An inner fold, and its samples compared with the landmarks among the others as new samples would be."""

    train: np.ndarray
    test: np.ndarray
    columns: np.ndarray
    """Which of all landmarks are among the training samples."""
    landmark_rows: np.ndarray
    """Places of these among the training samples."""
    landmarks: Features
    """These landmarks."""
    scaled: np.ndarray
    """Distances of the test samples to these landmarks."""


def _parts(features: Features, folds: Folds, landmarks: Features, typical: dict[str, float]) -> list[_Part]:
    parts = []
    for train, test in folds.splits:
        columns = np.flatnonzero(np.isin(folds.landmarks, train))
        places = np.searchsorted(train, folds.landmarks[columns])
        others = landmarks.subset(columns).as_landmarks()
        distances = scaled_distances(features.subset(test), others, typical)
        parts.append(_Part(train, test, columns, places, others, distances))
    return parts


def typical_distances(landmarks: Features) -> dict[str, float]:
    """Median squared distance of each kind between different samples; 1 where most are alike."""
    pairs = np.triu_indices(len(landmarks), 1)
    medians = {kind: float(np.median(squared(landmarks, landmarks)[pairs])) for kind, squared in DISTANCES.items()}
    return {kind: median or 1.0 for kind, median in medians.items()}


def scaled_distances(features: Features, landmarks: Features, typical: dict[str, float]) -> np.ndarray:
    """Mean over the kinds of squared distance over its typical size, float32 ``[M, L]``; 1 is typical."""
    scaled = np.empty((len(features), len(landmarks)), dtype=np.float32)
    for start in range(0, len(features), ROWS):
        rows = np.arange(start, min(start + ROWS, len(features)))
        chunk = features.subset(rows)
        scaled[rows] = sum(DISTANCES[kind](chunk, landmarks) / size for kind, size in typical.items()) / len(typical)
    return scaled


def similarity(scaled: np.ndarray, gamma: float) -> np.ndarray:
    """The Gaussian part of the kernel: 1 for alike samples, towards 0 for far ones."""
    return np.exp(-gamma * scaled.astype(np.float64))


def covariate_kernel(features: Features, landmarks: Features, weight: float) -> np.ndarray | float:
    """The part of the covariates, 0 where there are none."""
    theirs = landmarks.covariates
    mine = features.covariate_columns(0 if theirs is None else theirs.shape[1])
    return 0.0 if theirs is None or not weight else weight**2 * mine @ theirs.T


def directions(kernel: np.ndarray) -> np.ndarray:
    """Map from similarities with landmarks ``[L]`` to coordinates ``[Q]`` whose products are the kernel again."""
    values, vectors = eigh(kernel)
    large = values > MIN_EIGENVALUE * values[-1]
    return vectors[:, large] / np.sqrt(values[large])


def _ridge(features: np.ndarray, target: np.ndarray, alphas) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight ``[Q, 1]`` and bias ``[1]`` of a ridge regression for each alpha, from one decomposition."""
    mean, centre = features.mean(0), target.mean(dtype=np.float64)
    centred = features - mean
    values, vectors = eigh(product(centred.T, centred))
    rotated = vectors.T @ (centred.T @ (target - centre))
    weights = [vectors @ (rotated / (np.maximum(values, 0) + alpha)) for alpha in alphas]
    return [(weight[:, None], np.array([centre - mean @ weight])) for weight in weights]
