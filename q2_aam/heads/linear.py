"""Linear head: ridge or logistic regression on the standardised sample embedding and on covariates."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV

from q2_aam.evaluation.search_arguments import best_penalty, ridge_alone
from q2_aam.heads.features import Features
from q2_aam.heads.folds import has_classes, inner_splits, n_outputs
from q2_aam.heads.protocol import Fit, Folds
from q2_aam.heads.tensors import checked_parts
from q2_aam.settings import FEATURE_LIMIT

# Folds by which the penalty is chosen.
FOLDS = 5
RIDGE_ALPHAS = np.logspace(0, 6, 13)
LOGISTIC_ALPHAS = 1 / np.logspace(-4, 1, 6)
# scikit-learn's default stops before the minimum where the penalty is large, each release elsewhere.
SOLVER = {"solver": "newton-cg", "tol": 1e-4, "max_iter": 1000}
# Units in which covariates meet the penalty: as one lineage, or as good as free of it.
COVARIATE_WEIGHTS = (1.0, 10.0, 100.0)


@dataclass(frozen=True)
class LinearHead:
    """A linear map of the standardised embedding, cut at ``FEATURE_LIMIT``, and of covariates as they are.

    The same map as the network's target head, which fine-tuning starts from it and is read back into it.
    """

    name: ClassVar[str] = "linear"

    mean: np.ndarray
    """``[E]``, subtracted from the embedding."""
    scale: np.ndarray
    """``[E]``, above 0, by which it is divided."""
    weight: np.ndarray
    """``[O, E + C]``"""
    bias: np.ndarray
    """``[O]``"""
    alpha: float | None = None
    """Penalty, which the weights result from; None where fine-tuning changed them."""
    covariate_weight: float | None = None
    """Unit of the covariates in the penalty; None without covariates and after fine-tuning."""

    @property
    def landmarks(self) -> None:
        return None

    @property
    def known_asvs(self) -> None:
        return None

    @property
    def n_covariates(self) -> int:
        return self.weight.shape[1] - len(self.mean)

    @classmethod
    def fit(
        cls, features: Features, target: np.ndarray, folds: Folds, *, random_seed: int = 0, threads: int = 1
    ) -> Fit:
        """Fit the head; see :meth:`q2_aam.heads.protocol.Head.fit`.

        The settings are chosen once, among all samples, by :func:`fit_linear`; heads of the inner folds have the same.
        """
        embedding, covariates = features.embedding, features.covariates
        without_groups = np.array_equal(folds.groups, np.arange(len(target)))
        head = fit_linear(embedding, target, None if without_groups else folds.groups, random_seed, covariates)
        out_of_fold = np.full((len(target), n_outputs(target)), np.nan, dtype=np.float32)
        for train, test in folds.splits:
            some = None if covariates is None else covariates[train]
            mean, scale = _standardisation(embedding[train])
            numbers = _numbers(embedding[train], mean, scale, some, head.covariate_weight)
            weight, bias = _solution(numbers, target[train], head.alpha)
            part = cls(mean, scale, _unscaled(weight, len(mean), head.covariate_weight), bias)
            out_of_fold[test] = part.outputs(features.subset(test))
        return Fit(head, out_of_fold)

    def outputs(self, features: Features) -> np.ndarray:
        """Target in the transform's units, or logits: float32 ``[M, O]``."""
        embedding = features.embedding
        if embedding.shape[1] != len(self.mean):
            raise ValueError(
                f"The linear head reads embeddings of {len(self.mean)} numbers, but these samples have "
                f"{embedding.shape[1]}. Predict with the encoder that the head was fitted with."
            )
        numbers = _numbers(embedding, self.mean, self.scale, features.covariate_columns(self.n_covariates))
        return (numbers @ self.weight.T + self.bias).astype(np.float32)

    def describe(self) -> str:
        text = f"Linear head: a weighted sum of the {len(self.mean)} numbers of the sample embedding"
        if self.n_covariates:
            text += f" and {self.n_covariates} covariates"
        settings = {"alpha": self.alpha, "covariate weight": self.covariate_weight}
        settings = ", ".join(f"{name} {value:g}" for name, value in settings.items() if value is not None)
        return f"{text} ({settings})." if settings else f"{text}."

    def to_tensors(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(part) for name, part in vars(self).items() if part is not None}

    @classmethod
    def from_tensors(cls, tensors: dict) -> "LinearHead":
        kinds = {"mean": "f1", "scale": "f1", "weight": "f2", "bias": "f1", "alpha": "f0?", "covariate_weight": "f0?"}
        arrays = checked_parts(tensors, **kinds)
        mean, scale, weight, bias = (arrays.pop(name) for name in ("mean", "scale", "weight", "bias"))
        fits = (
            0 < len(mean) == len(scale) <= weight.shape[1]
            and len(weight) == len(bias) > 0
            and (scale > 0).all()
            and all(setting >= 0 for setting in arrays.values())
        )
        if not fits:
            raise ValueError("The parts of a stored linear head do not fit together.")
        return cls(mean, scale, weight, bias, **{name: float(setting) for name, setting in arrays.items()})


def fit_linear(
    embedding: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray | None,
    random_seed: int,
    covariates: np.ndarray | None = None,
) -> LinearHead:
    """Fit the linear head to all samples; its penalty is chosen by cross-validation among them.

    Also where no split holds every class, with a middling penalty: fine-tuning starts from it.

    Parameters
    ----------
    embedding : np.ndarray
        ``[N, E]``.
    target : np.ndarray
        ``[N]`` float32 in the transform's units, or int64 codes of classes, which are weighted to count alike.
    groups : np.ndarray, optional
        ``[N]``; a group is never on both sides of a split.
    random_seed : int
        Seed of the splits.
    covariates : np.ndarray, optional
        ``[N, C]``, taken as they are.
    """
    mean, scale = _standardisation(embedding)
    splits = inner_splits(target, groups, random_seed, FOLDS)
    search = _search_logistic if has_classes(target) else _search_ridge
    # One penalty for all would make a covariate that tells the target as weak as one of hundreds of lineages: it is
    # measured in a unit of its own, chosen with the penalty. The weights then are those of the covariate as it is.
    units = (None,) if covariates is None else COVARIATE_WEIGHTS if splits else COVARIATE_WEIGHTS[1:2]
    best = None
    for unit in units:
        score, alpha, weight, bias = search(_numbers(embedding, mean, scale, covariates, unit), target, splits)
        if best is None or score > best[0]:
            best = score, LinearHead(mean, scale, _unscaled(weight, len(mean), unit), bias, alpha, unit)
    return best[1]


def _standardisation(embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale ``[E]``."""
    mean, spread = embedding.mean(0), embedding.std(0)
    # A lineage that hardly differs among the training samples says little; divided by its spread alone it would be as
    # loud as any other, and would drown them all in a new sample that does hold it.
    scale = np.sqrt(spread**2 + np.median(spread) ** 2)
    scale[scale == 0] = 1.0
    return mean, scale


def _numbers(embedding, mean, scale, covariates=None, covariate_weight: float | None = None) -> np.ndarray:
    """What the weights multiply, float64 ``[N, E + C]``."""
    standard = np.clip((embedding - mean) / scale, -FEATURE_LIMIT, FEATURE_LIMIT).astype(np.float64)
    if covariates is None:
        return standard
    return np.concatenate([standard, (covariate_weight or 1.0) * covariates], axis=1)


def _unscaled(weight: np.ndarray, n: int, covariate_weight: float | None) -> np.ndarray:
    """Weights ``[O, E + C]`` of covariates as they are, which stand behind the ``n`` numbers of the embedding."""
    return np.concatenate([weight[:, :n], weight[:, n:] * (covariate_weight or 1.0)], axis=1)


def _search_ridge(numbers: np.ndarray, target: np.ndarray, splits: list) -> tuple:
    """Score in the splits (higher is better), alpha, weight ``[1, F]`` and bias ``[1]`` of a ridge regression."""
    if not splits:
        alpha = float(RIDGE_ALPHAS[len(RIDGE_ALPHAS) // 2])
        return 0.0, alpha, *_solution(numbers, target, alpha)
    # By squared error, which a part of one sample has too.
    ridge = RidgeCV(RIDGE_ALPHAS, cv=splits, scoring="neg_mean_squared_error").fit(numbers, target.astype(np.float64))
    return ridge.best_score_, float(ridge.alpha_), ridge.coef_[None, :], np.array([ridge.intercept_])


def _search_logistic(numbers: np.ndarray, target: np.ndarray, splits: list) -> tuple:
    """Score in the splits, alpha, weight ``[O, F]`` and bias ``[O]`` of a logistic regression."""
    if not splits:
        alpha = float(LOGISTIC_ALPHAS[len(LOGISTIC_ALPHAS) // 2])
        return 0.0, alpha, *_solution(numbers, target, alpha)
    settings = {"scoring": "balanced_accuracy", "class_weight": "balanced", **SOLVER}
    logistic = LogisticRegressionCV(
        Cs=1 / LOGISTIC_ALPHAS, cv=splits, **settings, **ridge_alone(LogisticRegressionCV)
    )
    with warnings.catch_warnings():
        # A part that lacks a class, or holds one alone, is scored by the others.
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        warnings.filterwarnings("ignore", "A single label was found in")
        logistic.fit(numbers, target)
    score, cost = best_penalty(logistic)
    return score, 1 / cost, *logits_of_classes(logistic)


def _solution(numbers: np.ndarray, target: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight ``[O, F]`` and bias ``[O]`` for one alpha; classes count alike."""
    if has_classes(target):
        logistic = LogisticRegression(C=1 / alpha, class_weight="balanced", **SOLVER).fit(numbers, target)
        return logits_of_classes(logistic)
    ridge = Ridge(alpha).fit(numbers, target.astype(np.float64))
    return ridge.coef_[None, :], np.array([ridge.intercept_])


def logits_of_classes(logistic) -> tuple[np.ndarray, np.ndarray]:
    """Weight ``[O, F]`` and bias ``[O]`` of a fitted logistic regression, with a row for each of two classes, too."""
    weight, bias = logistic.coef_, logistic.intercept_
    if len(weight) == 1:
        # scikit-learn stores one row for two classes: the difference of their logits.
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
