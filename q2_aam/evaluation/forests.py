"""Baselines of scikit-learn: random forests, and the answer that looks at no sample at all."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.evaluation.calibration import with_equal_priors
from q2_aam.study.tables import held_columns, name_ids

TREES = 500
# Samples to learn from beyond which nothing is computed between all pairs of them, and no tree of ASVs draws more.
MOST_SAMPLES = 2_000
# ASVs that are read where a table of all would be too large: those that most training samples hold.
MAX_ASVS = 1_000


@dataclass(frozen=True)
class BaselinePredictions:
    """Predictions of a baseline for the test samples.

    Parameters
    ----------
    predicted : numpy.ndarray `[N]`
        float64 in the target's own units (numeric) or class names (categorical).
    probabilities : numpy.ndarray `[N, K]` or None
        Probability of each class, columns in the order of `classes`; None for numbers.
    classes : list of str or None
        Classes of the training samples, sorted; None for numbers.
    """

    predicted: np.ndarray
    probabilities: np.ndarray | None = None
    classes: list | None = None


def random_forest(
    train_counts,
    train_target,
    test_counts,
    *,
    kind: str,
    trees: int = TREES,
    n_jobs: int = 1,
    random_state: int = 0,
) -> BaselinePredictions:
    """Random forest on the square root of relative abundances of the ASVs that the training samples hold.

    Beyond ``MOST_SAMPLES`` training samples a tree draws that many of them, with replacement, and the commonest
    ``MAX_ASVS`` ASVs are read.

    Parameters
    ----------
    train_counts, test_counts : scipy.sparse.csr_matrix `[N, V]`
        Counts (or relative frequencies, or presence as 1) of the training and the test samples; the same column is the
        same ASV in both.
    train_target : array_like `[N]`
        True values (numbers, or class names) of the training samples.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    trees : int
        Number of trees.
    n_jobs : int
        Trees grown at the same time; -1 is one a processor.
    random_state : int
        Seed.

    Returns
    -------
    BaselinePredictions

    Raises
    ------
    ValueError
        When `kind` is unknown or the two tables differ in their number of columns.
    """
    if train_counts.shape[1] != test_counts.shape[1]:
        raise ValueError(
            f"The training table has {train_counts.shape[1]} ASVs, the test table {test_counts.shape[1]}: a "
            "random forest needs the same ASVs in the same columns of both."
        )
    # A tree draws among columns: those that only test samples hold would change what it draws.
    counts = sp.csr_matrix(train_counts)
    many = counts.shape[0] > MOST_SAMPLES
    columns = common_columns(counts) if many else held_columns(counts)
    train, test = (square_root_shares(counts)[:, columns] for counts in (train_counts, test_counts))
    settings = {"n_estimators": trees, "n_jobs": n_jobs, "random_state": random_state}
    if many:
        # Few columns of many samples: a dense table is read several times as quickly.
        train, test = (shares.astype(np.float32).toarray() for shares in (train, test))
        settings["max_samples"] = MOST_SAMPLES
    return _forest(train, train_target, test, kind, **settings)


def covariates_forest(
    train_covariates,
    train_target,
    test_covariates,
    *,
    kind: str,
    trees: int = TREES,
    n_jobs: int = 1,
    random_state: int = 0,
) -> BaselinePredictions:
    """Random forest on covariates alone, without the communities.

    Parameters
    ----------
    train_covariates, test_covariates : array_like of float `[N, C]` and `[M, C]`
        Covariates of the training and the test samples as numbers: standardised, or a column a category.
    train_target, kind, trees, n_jobs, random_state
        Those of :func:`random_forest`.

    Returns
    -------
    BaselinePredictions

    Raises
    ------
    ValueError
        When `kind` is unknown or the two arrays differ in their number of columns.
    """
    train, test = np.asarray(train_covariates), np.asarray(test_covariates)
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"The training samples have {train.shape[1]} columns of covariates, the test samples {test.shape[1]}. Give "
            "the same columns for both."
        )
    return _forest(train, train_target, test, kind, n_estimators=trees, n_jobs=n_jobs, random_state=random_state)


def balanced_classes(forest: BaselinePredictions, train_target) -> np.ndarray:
    """Classes that a forest names where they count alike, however frequent each is in training.

    A forest's probabilities follow how frequent classes are, so it seldom names small ones; see
    :func:`q2_aam.evaluation.calibration.with_equal_priors`.

    Parameters
    ----------
    forest : BaselinePredictions
        Of a categorical target, with probabilities `[N, K]`.
    train_target : array_like
        Class names of the training samples.

    Returns
    -------
    np.ndarray `[N]`
        Class names.
    """
    shares = pd.Series(target_values(train_target, "categorical")).value_counts(normalize=True)[forest.classes]
    likeliest = with_equal_priors(forest.probabilities, shares).argmax(axis=1)
    return np.asarray(forest.classes, dtype=object)[likeliest]


def trivial(train_counts, train_target, test_counts, *, kind: str) -> BaselinePredictions:
    """Always the median (of numbers) or the largest class (of classes) of the training samples.

    Parameters
    ----------
    train_counts, test_counts : scipy.sparse.csr_matrix `[N, V]`
        Counts; only their numbers of rows are used.
    train_target : array_like `[N]`
        True values (numbers, or class names) of the training samples.
    kind : {'numeric', 'categorical'}
        Kind of the target.

    Returns
    -------
    BaselinePredictions
        Probabilities of classes are their shares of the training samples.

    Raises
    ------
    ValueError
        When `kind` is unknown.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    target = target_values(train_target, kind)
    # 'prior' predicts the largest class, as 'most_frequent' does, and gives the classes' shares as probabilities.
    estimator = DummyRegressor(strategy="median") if kind == "numeric" else DummyClassifier(strategy="prior")
    return _predictions(estimator.fit(train_counts, target), test_counts, kind)


def target_values(values, kind: str) -> np.ndarray:
    """Numbers as float64, class names as text `[N]`, so that the classes 1 and '1' are one.

    Raises
    ------
    ValueError
        When `kind` is neither 'numeric' nor 'categorical'.
    """
    if kind not in ("numeric", "categorical"):
        raise ValueError(f"A baseline is for a 'numeric' or a 'categorical' target, not {kind!r}.")
    if kind == "numeric":
        return np.asarray(values, dtype=np.float64)
    return np.asarray([str(value) for value in values], dtype=object)


def check_covariates(covariates, sample_ids: tuple) -> None:
    """Stop unless there are finite covariates of the training and of the new samples.

    Parameters
    ----------
    covariates : tuple of array_like
        Those of the training samples `[N, C]` and of the new ones `[M, C]`.
    sample_ids : tuple of array_like
        IDs of the N and the M samples.

    Raises
    ------
    ValueError
        When a sample has no row, or a covariate is not finite.
    """
    for name, rows, ids in zip(("training", "new"), covariates, sample_ids, strict=True):
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != len(ids):
            raise ValueError(
                f"The covariates of the {name} samples must have a row for each of these {len(ids)} samples, but their "
                f"shape is {rows.shape}."
            )
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{bad.sum()} of {len(ids)} {name} samples have covariates that are missing or not finite: "
                f"{name_ids(list(np.asarray(ids)[bad]))}. Fill them in, or leave these samples out."
            )


def common_columns(counts: sp.csr_matrix) -> np.ndarray:
    """Columns of the ``MAX_ASVS`` ASVs that most samples hold, ascending; none that no sample holds."""
    samples = np.asarray((counts > 0).sum(axis=0)).ravel()
    columns = np.argsort(-samples, kind="stable")[:MAX_ASVS]
    return np.sort(columns[samples[columns] > 0])


def square_root_shares(counts):
    """Square roots of the shares of each sample's abundances, sparse `[N, V]`."""
    from sklearn.preprocessing import normalize

    return normalize(counts.astype(np.float64), norm="l1", axis=1).sqrt()


def _forest(train, train_target, test, kind, **settings) -> BaselinePredictions:
    """Predictions of a random forest that was fitted to features `[N, F]`."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    target = target_values(train_target, kind)
    estimator = (RandomForestRegressor if kind == "numeric" else RandomForestClassifier)(**settings)
    return _predictions(estimator.fit(train, target), test, kind)


def _predictions(estimator, features, kind) -> BaselinePredictions:
    predicted = estimator.predict(features)
    if kind == "numeric":
        return BaselinePredictions(np.asarray(predicted, dtype=np.float64))
    classes = [str(name) for name in estimator.classes_]
    return BaselinePredictions(np.asarray(predicted, dtype=object), estimator.predict_proba(features), classes)
