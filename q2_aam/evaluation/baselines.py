"""What a model has to beat: a random forest on abundances, and the answer that looks at no sample at all."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BaselinePredictions:
    """Predictions of a baseline for the test samples.

    Parameters
    ----------
    predicted : numpy.ndarray `[N]`
        float64 in the target's own units (regression) or class names (classification).
    probabilities : numpy.ndarray `[N, K]` or None
        Probability of each class, columns in the order of `classes`; None for regression.
    classes : list of str or None
        Classes met in training, sorted; None for regression.
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
    trees: int = 500,
    n_jobs: int = 1,
    random_state: int = 0,
) -> BaselinePredictions:
    """Random forest on the square root of relative abundances.

    Parameters
    ----------
    train_counts, test_counts : scipy.sparse.csr_matrix `[N, V]`
        Counts of the training and the test samples; the same column is the same ASV in both.
    train_target : array_like `[N]`
        True values (numbers, or class names) of the training samples.
    kind : {'regression', 'classification'}
        What is predicted.
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
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    if train_counts.shape[1] != test_counts.shape[1]:
        raise ValueError(
            f"The training table has {train_counts.shape[1]} ASVs, the test table {test_counts.shape[1]}: a "
            "random forest needs the same ASVs in the same columns of both."
        )
    settings = {"n_estimators": trees, "n_jobs": n_jobs, "random_state": random_state}
    estimators = {
        "regression": lambda: RandomForestRegressor(**settings),
        "classification": lambda: RandomForestClassifier(**settings),
    }
    estimator = _choose(estimators, kind)
    estimator.fit(_square_root_shares(train_counts), _as_target(train_target, kind))
    return _predictions(estimator, _square_root_shares(test_counts), kind)


def trivial(train_counts, train_target, test_counts, *, kind: str) -> BaselinePredictions:
    """Always the median (regression) or the largest class (classification) of the training samples.

    Parameters
    ----------
    train_counts, test_counts : scipy.sparse.csr_matrix `[N, V]`
        Counts; only their numbers of rows are used.
    train_target : array_like `[N]`
        True values (numbers, or class names) of the training samples.
    kind : {'regression', 'classification'}
        What is predicted.

    Returns
    -------
    BaselinePredictions
        Probabilities of a classification are the classes' shares of the training samples.

    Raises
    ------
    ValueError
        When `kind` is unknown.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    estimators = {
        "regression": lambda: DummyRegressor(strategy="median"),
        # 'prior' predicts the largest class, as 'most_frequent' does, and gives the classes' shares as
        # probabilities.
        "classification": lambda: DummyClassifier(strategy="prior"),
    }
    estimator = _choose(estimators, kind)
    estimator.fit(train_counts, _as_target(train_target, kind))
    return _predictions(estimator, test_counts, kind)


def _choose(estimators, kind):
    if kind not in estimators:
        raise ValueError(f"A baseline is for 'regression' or 'classification', not {kind!r}.")
    return estimators[kind]()


def _as_target(values, kind):
    """Numbers as float64; class names as text, so that the classes 1 and '1' are one."""
    if kind == "regression":
        return np.asarray(values, dtype=np.float64)
    return np.asarray([str(value) for value in values], dtype=object)


def _square_root_shares(counts):
    from sklearn.preprocessing import normalize

    return normalize(counts.astype(np.float64), norm="l1", axis=1).sqrt()


def _predictions(estimator, counts, kind):
    predicted = estimator.predict(counts)
    if kind == "regression":
        return BaselinePredictions(np.asarray(predicted, dtype=np.float64))
    classes = [str(name) for name in estimator.classes_]
    return BaselinePredictions(np.asarray(predicted, dtype=object), estimator.predict_proba(counts), classes)
