"""Baselines of scikit-learn on the abundances of common ASVs: linear models on log-ratios, boosted trees."""

import warnings

import numpy as np
import scipy.sparse as sp

from q2_aam.evaluation.forests import common_columns, square_root_shares, target_values
from q2_aam.evaluation.search_arguments import number_of_penalties, ridge_alone
from q2_aam.study.folds import grouped_folds

# Of the samples to learn from, by which the penalty is chosen.
INNER_FOLDS = 5
# From strong to weak penalties: those of the elastic net are scikit-learn's, of so many.
LOGISTIC_COSTS = np.logspace(-5, 0, 6)
N_ALPHAS = 20


def centred_log_ratios(counts: sp.csr_matrix) -> np.ndarray:
    """Centred log-ratios of abundances `[N, V]`, each 0 standing for half of the sample's least abundance.

    A sample without any of the ASVs has 0 everywhere.

    References
    ----------
    Aitchison J (1982). The statistical analysis of compositional data. Journal of the Royal Statistical Society B
    44(2):139-177.
    """
    dense = counts.toarray().astype(np.float64)
    least = np.where(dense > 0, dense, np.inf).min(axis=1, initial=np.inf)
    least[~np.isfinite(least)] = 2.0
    logs = np.log(np.where(dense > 0, dense, least[:, None] / 2))
    return logs - logs.mean(axis=1, keepdims=True)


def log_ratio_model(train, target, new, *, kind: str, groups=None, random_state: int = 0) -> np.ndarray:
    """Elastic net (of numbers) or logistic regression with an L2 penalty (of classes, which count alike) on log-ratios.

    Parameters
    ----------
    train, new : scipy.sparse.csr_matrix `[N, V]` and `[M, V]`
        Counts, relative frequencies, or presence as 1.
    target : array_like `[N]`
        Numbers, or names of classes.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    groups : array_like `[N]`, optional
        Groups, which the inner folds keep together.
    random_state : int
        Seed of the inner folds.

    Returns
    -------
    np.ndarray `[M]`
        Predictions: float64, or names of classes.

    References
    ----------
    Zou H, Hastie T (2005). Regularization and variable selection via the elastic net. Journal of the Royal Statistical
    Society B 67(2):301-320.
    """
    values = target_values(target, kind)
    fitted = fitted_log_ratios(train, values, new, kind=kind, groups=groups, random_state=random_state)
    if fitted is None:
        return _usual(values, new.shape[0], kind)
    model, ratios = fitted
    predicted = model.predict(ratios)
    return predicted if kind == "numeric" else np.asarray(predicted, dtype=object)


def fitted_log_ratios(train, values: np.ndarray, new, *, kind: str, groups, random_state: int):
    """The fitted model of :func:`log_ratio_model` and the new samples' log-ratios; None where nothing can be fitted."""
    from sklearn.linear_model import ElasticNetCV, LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = common_columns(sp.csr_matrix(train))
    folds = _inner_folds(values, kind, groups, random_state)
    if not folds or not len(columns) or (kind == "categorical" and len(set(values)) < 2):
        return None
    if kind == "numeric":
        settings = {"l1_ratio": 0.5, "max_iter": 2_000, "tol": 1e-3}
        model = ElasticNetCV(cv=folds, **settings, **number_of_penalties(ElasticNetCV, N_ALPHAS))
    else:
        settings = {"scoring": "balanced_accuracy", "class_weight": "balanced", "max_iter": 500}
        model = LogisticRegressionCV(Cs=LOGISTIC_COSTS, cv=folds, **settings, **ridge_alone(LogisticRegressionCV))
    old, ratios = (centred_log_ratios(sp.csr_matrix(counts)[:, columns]) for counts in (train, new))
    return _fitted(make_pipeline(StandardScaler(), model), old, values), ratios


def boosted_trees(train, target, new, *, kind: str, random_state: int = 0) -> np.ndarray:
    """Gradient boosting (scikit-learn's, by histograms) on the square roots of shares; classes count alike.

    Parameters and the return value are those of :func:`log_ratio_model`.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    values, columns = target_values(target, kind), common_columns(sp.csr_matrix(train))
    if not len(columns) or (kind == "categorical" and len(set(values)) < 2):
        return _usual(values, new.shape[0], kind)
    if kind == "numeric":
        model = HistGradientBoostingRegressor(early_stopping=False, random_state=random_state)
    else:
        settings = {"class_weight": "balanced", "early_stopping": False}
        model = HistGradientBoostingClassifier(**settings, random_state=random_state)
    old, roots = (square_root_shares(sp.csr_matrix(counts))[:, columns].toarray() for counts in (train, new))
    predicted = _fitted(model, old, values).predict(roots)
    return predicted if kind == "numeric" else np.asarray(predicted, dtype=object)


def _fitted(model, numbers: np.ndarray, values: np.ndarray):
    with warnings.catch_warnings():
        # Of penalties that are tried and not taken: there is nothing to do about it.
        warnings.filterwarnings("ignore", module=r"sklearn\.")
        return model.fit(numbers, values)


def _usual(values: np.ndarray, n: int, kind: str) -> np.ndarray:
    """The mean, or the only class, where there is nothing to choose by."""
    if kind == "numeric":
        return np.full(n, values.mean())
    names, sizes = np.unique(values, return_counts=True)
    return np.full(n, names[sizes.argmax()], dtype=object)


def _inner_folds(values: np.ndarray, kind: str, groups, random_state: int) -> list:
    """Folds whose training parts hold every class; none where samples or groups are too few."""
    classes = values if kind == "categorical" else None
    settings = {"groups": groups, "classes": classes, "random_seed": random_state}
    return grouped_folds(len(values), INNER_FOLDS, **settings, partial=True)
