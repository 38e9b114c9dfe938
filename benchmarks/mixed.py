"""Forest, linear model and support-vector machine mixed in equal parts: the control for what the encoder adds.

The default head mixes three kinds of predictors, which alone makes it better than each of them. This rival mixes as
many, of scikit-learn, on abundances alone.
"""

import warnings

import biom
import numpy as np
import scipy.sparse as sp

from q2_aam.evaluation.calibration import with_equal_priors
from q2_aam.evaluation.forests import common_columns, random_forest, square_root_shares, target_values
from q2_aam.evaluation.merged_tables import merge_checked
from q2_aam.evaluation.table_baselines import INNER_FOLDS, fitted_log_ratios
from q2_aam.study.folds import grouped_folds

COSTS = [0.3, 1, 3, 10, 30]
EPSILON = 0.1


def mixed(train: biom.Table, target, new: biom.Table, *, kind: str, groups, n_jobs: int, random_state: int):
    """Mean of three predictions `[M]`; of classes, which count alike, the likeliest by the mean of probabilities."""
    counts = sp.csr_matrix(merge_checked(train, new).matrix_data.T)
    old, new = counts[: train.shape[1]], counts[train.shape[1] :]
    values = target_values(target, kind)
    forest = random_forest(old, values, new, kind=kind, n_jobs=n_jobs, random_state=random_state)
    fitted = fitted_log_ratios(old, values, new, kind=kind, groups=groups, random_state=random_state)
    if fitted is None:
        # No folds to choose by: neither for the linear model nor for the machine.
        return forest.predicted
    linear, ratios = fitted
    columns = common_columns(old)
    machine = fitted_machine(square_root_shares(old)[:, columns], values, kind, groups, random_state)
    roots = square_root_shares(new)[:, columns]
    if kind == "numeric":
        return np.mean([forest.predicted, linear.predict(ratios), machine.predict(roots)], axis=0)
    classes, sizes = np.unique(values, return_counts=True)
    shares = sizes / sizes.sum()
    parts = [
        with_equal_priors(forest.probabilities, shares),
        # Its classes count alike already.
        linear.predict_proba(ratios),
        with_equal_priors(machine.predict_proba(roots), shares),
    ]
    return classes[np.mean(parts, axis=0).argmax(axis=1)]


def fitted_machine(roots: sp.csr_matrix, values: np.ndarray, kind: str, groups, random_state: int):
    """A machine on the square roots of shares, its cost chosen in folds of whole groups."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    classes = values if kind == "categorical" else None
    settings = {"groups": groups, "classes": classes, "random_seed": random_state, "partial": True}
    folds = grouped_folds(len(values), INNER_FOLDS, **settings)
    if kind == "numeric":
        machine = TransformedTargetRegressor(SVR(epsilon=EPSILON), transformer=StandardScaler())
        search = GridSearchCV(machine, {"regressor__C": COSTS}, scoring="neg_mean_squared_error", cv=folds)
    else:
        machine = SVC(class_weight="balanced", probability=True, random_state=random_state)
        search = GridSearchCV(machine, {"C": COSTS}, scoring="balanced_accuracy", cv=folds)
    with warnings.catch_warnings():
        # Of classes that a fold does not hold.
        warnings.filterwarnings("ignore", module=r"sklearn\.")
        return search.fit(roots, values)
