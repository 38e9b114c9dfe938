"""What a model has to beat: a random forest on abundances, support-vector machines on exact distances, and the answer
that looks at no sample at all.

Of the samples that are predicted, one changes nothing about another's prediction.
"""

from dataclasses import dataclass

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.evaluation.calibration import with_equal_priors
from q2_aam.evaluation.kernel_baselines import jaccard_distances, support_vector_machine
from q2_aam.study.tables import held_columns, name_ids


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
    """Random forest on the square root of relative abundances of the ASVs that the training samples hold.

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
    # A tree draws among columns: those that only test samples hold would change what it draws.
    known = held_columns(sp.csr_matrix(train_counts))
    estimator.fit(_square_root_shares(train_counts)[:, known], _as_target(train_target, kind))
    return _predictions(estimator, _square_root_shares(test_counts)[:, known], kind)


def balanced_classes(forest: BaselinePredictions, train_target) -> np.ndarray:
    """Classes that a forest names where they count alike, however frequent each is in training.

    A forest's probabilities follow how frequent classes are, so it seldom names small ones; see
    :func:`q2_aam.evaluation.calibration.with_equal_priors`.

    Parameters
    ----------
    forest : BaselinePredictions
        Of a classification, with probabilities `[N, K]`.
    train_target : array_like
        Class names of the training samples.

    Returns
    -------
    np.ndarray `[N]`
        Class names.
    """
    shares = pd.Series(_as_target(train_target, "classification")).value_counts(normalize=True)[forest.classes]
    named = with_equal_priors(forest.probabilities, shares).argmax(axis=1)
    return np.asarray(forest.classes, dtype=object)[named]


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


def predict_by_baselines(
    train_table: biom.Table,
    train_target,
    table: biom.Table,
    *,
    kind: str,
    phylogeny=None,
    groups=None,
    missing_features: str = "error",
    n_jobs: int = 1,
    random_state: int = 0,
) -> pd.DataFrame:
    """All baselines at once.

    Parameters
    ----------
    train_table, table : biom.Table
        Training and new samples, with features of any order; no sample is in both.
    train_target : array_like `[N]`
        True values (numbers, or class names) of the training samples, in the order of their table.
    kind : {'regression', 'classification'}
        What is predicted.
    phylogeny : Phylogeny, optional
        With the features as tips. Without it there is no machine on UniFrac.
    groups : array_like `[N]`, optional
        Groups of the training samples.
    missing_features : {'error', 'ignore'}
        What to do about features that are no tip of the phylogeny.
    n_jobs : int
        Trees grown at the same time, and threads for UniFrac.
    random_state : int
        Seed of the forest and of the inner folds.

    Returns
    -------
    pd.DataFrame
        A new sample a row; columns `median` or `largest class`, `random forest`, `balanced forest` (of classes: the
        same forest, by :func:`balanced_classes`), `SVM UniFrac` (with a phylogeny), `SVM Jaccard`.

    Raises
    ------
    ValueError
        When samples are in both tables, or features are refused.
    """
    both = np.intersect1d(train_table.ids().astype(str), table.ids().astype(str))
    if len(both):
        raise ValueError(
            f"{len(both)} samples are in both tables: {name_ids(both)}. Baselines would be judged by samples that they "
            "learnt from. Take these samples out of one of the tables."
        )
    merged = merge_tables(train_table, table)
    counts, n_train = sp.csr_matrix(merged.matrix_data.T), train_table.shape[1]
    train, new = counts[:n_train], counts[n_train:]
    forest = random_forest(train, train_target, new, kind=kind, n_jobs=n_jobs, random_state=random_state)
    found = {
        "median" if kind == "regression" else "largest class": trivial(train, train_target, new, kind=kind).predicted,
        "random forest": forest.predicted,
    }
    if kind == "classification":
        found["balanced forest"] = balanced_classes(forest, train_target)
    learn = {"kind": kind, "groups": groups, "random_state": random_state}
    target = _as_target(train_target, kind)
    if phylogeny is not None:
        from q2_aam.study.unifrac import UniFracDistances, match_tips, tip_names

        placed = match_tips(merged, tip_names(phylogeny), missing_features)

        def distances(part):
            return UniFracDistances(part, phylogeny, "unweighted", n_jobs)(np.arange(part.shape[1]))

        # Those among training samples on their own: within the whole, new samples change their last digits, and by
        # these which settings are chosen.
        among = distances(placed.filter(set(train_table.ids()), axis="sample", inplace=False))
        across = distances(placed)[n_train:, :n_train]
        found["SVM UniFrac"] = support_vector_machine(among, target, across, **learn)
    among, across = jaccard_distances(train), jaccard_distances(new, train)
    found["SVM Jaccard"] = support_vector_machine(among, target, across, **learn)
    return pd.DataFrame(found, index=pd.Index(table.ids(), name="SampleID"))


def merge_tables(first: biom.Table, second: biom.Table) -> biom.Table:
    """The samples of two tables side by side; features are those of the first, then those of the second alone."""
    features = pd.Index(first.ids("observation"))
    features = features.append(pd.Index(second.ids("observation")).difference(features, sort=False))
    parts = []
    for table in (first, second):
        counts = sp.coo_matrix(table.matrix_data)
        rows = features.get_indexer(table.ids("observation"))[counts.row]
        parts.append(sp.csc_matrix((counts.data, (rows, counts.col)), shape=(len(features), table.shape[1])))
    return biom.Table(sp.hstack(parts).tocsr(), features.to_numpy(), np.concatenate([first.ids(), second.ids()]))


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
