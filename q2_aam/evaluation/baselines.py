"""What a predictor has to beat: the registry of baselines, and all their predictions at once.

Of the samples that are predicted, one changes nothing about another's prediction.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.evaluation.forests import (
    MAX_ASVS,
    MOST_SAMPLES,
    BaselinePredictions,
    balanced_classes,
    check_covariates,
    covariates_forest,
    random_forest,
    target_values,
    trivial,
)
from q2_aam.evaluation.kernel_baselines import jaccard_distances, support_vector_machine
from q2_aam.evaluation.merged_tables import merge_checked
from q2_aam.evaluation.scores import KINDS
from q2_aam.evaluation.table_baselines import boosted_trees, log_ratio_model

NEEDS = ("phylogeny", "covariates")
# New samples whose distances are computed at a time.
NEW_SAMPLES = 1_000


@dataclass(frozen=True)
class BaselineData:
    """What baselines are fitted to, N training samples, and what they predict, M new ones.

    Parameters
    ----------
    train, new : scipy.sparse.csr_matrix `[N, V]` and `[M, V]`
        Counts, relative frequencies, or presence as 1; the same column is the same ASV in both.
    target : numpy.ndarray `[N]`
        float64, or class names.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    groups : array_like `[N]` or None
        Groups of the training samples.
    table : biom.Table
        The N and the M samples, in this order.
    phylogeny : Phylogeny or None
        With the features as tips.
    covariates : tuple of numpy.ndarray or None
        float64 `[N, C]` and `[M, C]`.
    missing_features : {'error', 'ignore'}
        What to do about features that are no tip of the phylogeny.
    n_jobs : int
        Trees grown at the same time, and threads for UniFrac.
    random_state : int
        Seed.
    """

    train: sp.csr_matrix
    new: sp.csr_matrix
    target: np.ndarray
    kind: str
    groups: np.ndarray | None
    table: biom.Table
    phylogeny: object | None
    covariates: tuple | None
    missing_features: str
    n_jobs: int
    random_state: int

    @cached_property
    def settings(self) -> dict:
        return {"kind": self.kind, "n_jobs": self.n_jobs, "random_state": self.random_state}

    @cached_property
    def forest(self) -> BaselinePredictions:
        """The random forest, which two baselines read."""
        return random_forest(self.train, self.target, self.new, **self.settings)

    def machine(self, among, across) -> np.ndarray:
        """Predictions `[M]` of a support-vector machine on distances `[N, N]` and `[M, N]`."""
        return support_vector_machine(
            among, self.target, across, kind=self.kind, groups=self.groups, random_state=self.random_state
        )


@dataclass(frozen=True)
class Baseline:
    """A predictor that users would have without this plugin.

    Parameters
    ----------
    name : str
        Column in tables of baselines.
    label : str
        The same for a reader.
    function : callable
        Takes a :class:`BaselineData`, returns predictions `[M]`: float64, or class names.
    kinds : tuple of {'numeric', 'categorical'}
        Kinds of targets that it is for.
    needs : tuple of {'phylogeny', 'covariates'}
        What must be there beside the table; without it the baseline is left out.
    note : str
        A sentence for pages, where the label does not say what it is.
    most_samples : int or None
        Samples to learn from beyond which it is left out.
    """

    name: str
    label: str
    function: Callable
    kinds: tuple = KINDS
    needs: tuple = ()
    note: str = ""
    most_samples: int | None = None

    def __post_init__(self):
        for key, words, choices in (("kinds", self.kinds, KINDS), ("needs", self.needs, NEEDS)):
            unknown = [str(word) for word in words if word not in choices]
            if unknown:
                raise ValueError(
                    f"{key} of the baseline {self.name!r} is {', '.join(unknown)}; it must be one of "
                    f"{', '.join(choices)}."
                )


def _trivial(data: BaselineData) -> np.ndarray:
    return trivial(data.train, data.target, data.new, kind=data.kind).predicted


def _covariates(data: BaselineData) -> np.ndarray:
    train, new = data.covariates
    return covariates_forest(train, data.target, new, **data.settings).predicted


def _unifrac_machine(data: BaselineData) -> np.ndarray:
    from q2_aam.study.unifrac import UniFracDistances, match_tips, tip_names

    placed = match_tips(data.table, tip_names(data.phylogeny), data.missing_features)
    # Unweighted UniFrac reads presence alone, and relative frequencies are no counts.
    presence = (placed.matrix_data > 0).astype(np.float64)
    placed = biom.Table(presence, placed.ids("observation"), placed.ids())
    n_train = data.train.shape[0]

    def distances(ids):
        table = placed.filter(set(ids), axis="sample", inplace=False)
        return UniFracDistances(table, data.phylogeny, "unweighted", data.n_jobs)(np.arange(table.shape[1]))

    # Those among training samples on their own: within the whole, new samples change their last digits, and by these
    # which settings are chosen.
    ids = data.table.ids()
    old, new = ids[:n_train], ids[n_train:]
    parts = [new[start : start + NEW_SAMPLES] for start in range(0, len(new), NEW_SAMPLES)]
    across = [distances([*old, *part])[n_train:, :n_train] for part in parts]
    return data.machine(distances(old), np.concatenate(across))


def _log_ratios(data: BaselineData) -> np.ndarray:
    settings = {"kind": data.kind, "groups": data.groups, "random_state": data.random_state}
    return log_ratio_model(data.train, data.target, data.new, **settings)


def _boosted_trees(data: BaselineData) -> np.ndarray:
    return boosted_trees(data.train, data.target, data.new, kind=data.kind, random_state=data.random_state)


def _jaccard_machine(data: BaselineData) -> np.ndarray:
    return data.machine(jaccard_distances(data.train), jaccard_distances(data.new, data.train))


# In the order of their columns. The first of each kind is the answer that looks at no sample.
BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("median", "Median of training", _trivial, kinds=("numeric",)),
        Baseline("largest class", "Largest class of training", _trivial, kinds=("categorical",)),
        Baseline("random forest", "Random forest", lambda data: data.forest.predicted),
        Baseline(
            "balanced forest",
            "Balanced forest",
            lambda data: balanced_classes(data.forest, data.target),
            kinds=("categorical",),
            note="The balanced forest is the random forest with classes counting alike, as in balanced accuracy.",
        ),
        Baseline(
            "covariates",
            "Covariates alone",
            _covariates,
            needs=("covariates",),
            note="Covariates alone is a random forest of the covariates without the community: where it does as well "
            "as the model, the community adds nothing to the covariates.",
        ),
        Baseline("log-ratios", "Linear on log-ratios", _log_ratios),
        Baseline("boosted trees", "Boosted trees", _boosted_trees),
        Baseline("SVM UniFrac", "SVM UniFrac", _unifrac_machine, needs=("phylogeny",), most_samples=MOST_SAMPLES),
        Baseline("SVM Jaccard", "SVM Jaccard", _jaccard_machine, most_samples=MOST_SAMPLES),
    )
}


def baselines_of(kind: str, resources=()) -> list[Baseline]:
    """Baselines of the registry for a kind of target, in its order.

    Parameters
    ----------
    kind : {'numeric', 'categorical'}
        Kind of the target.
    resources : collection of {'phylogeny', 'covariates'}
        What is there beside the table.

    Returns
    -------
    list of Baseline
    """
    return [entry for entry in BASELINES.values() if kind in entry.kinds and set(entry.needs) <= set(resources)]


def label_of(name: str) -> str:
    """A baseline's label for a reader; the name itself where it is not in the registry."""
    return BASELINES[name].label if name in BASELINES else name


def predict_by_baselines(
    train_table: biom.Table,
    train_target,
    table: biom.Table,
    *,
    kind: str,
    phylogeny=None,
    groups=None,
    covariates: tuple | None = None,
    missing_features: str = "error",
    n_jobs: int = 1,
    random_state: int = 0,
) -> pd.DataFrame:
    """All baselines at once.

    Parameters
    ----------
    train_table, table : biom.Table
        Training and new samples, with features of any order: counts, relative frequencies, or presence as 1. No sample
        is in both.
    train_target : array_like `[N]`
        True values (numbers, or class names) of the training samples, in the order of their table.
    kind : {'numeric', 'categorical'}
        Kind of the target.
    phylogeny : Phylogeny, optional
        With the features as tips. Without it there is no machine on UniFrac.
    groups : array_like `[N]`, optional
        Groups of the training samples.
    covariates : tuple of array_like, optional
        Those of the training samples `[N, C]` and of the new ones `[M, C]`, finite numbers, in the order of the tables:
        columns that are standardised, or one a category.
    missing_features, n_jobs, random_state
        See :class:`BaselineData`.

    Returns
    -------
    pd.DataFrame
        A new sample a row, a baseline of the registry a column: those for which all is there that they need.

    Raises
    ------
    ValueError
        When samples are in both tables, tables hold negative or non-finite values, features are refused, or covariates
        do not fit the tables.
    """
    merged = merge_checked(train_table, table)
    if covariates is not None:
        check_covariates(covariates, (train_table.ids(), table.ids()))
    counts, n_train = sp.csr_matrix(merged.matrix_data.T), train_table.shape[1]
    samples = (counts[:n_train], counts[n_train:], target_values(train_target, kind), kind, groups, merged)
    data = BaselineData(*samples, phylogeny, covariates, missing_features, n_jobs, random_state)
    resources = [name for name in NEEDS if getattr(data, name) is not None]
    chosen = baselines_of(kind, resources)
    left_out = [baseline for baseline in chosen if baseline.most_samples and n_train > baseline.most_samples]
    if left_out:
        told = f"There are {n_train:,} samples to learn from. {many_samples_sentence(left_out)}"
        warnings.warn(told, stacklevel=2)
    predicted = {baseline.name: baseline.function(data) for baseline in chosen if baseline not in left_out}
    return pd.DataFrame(predicted, index=pd.Index(table.ids(), name="SampleID"))


def many_samples_sentence(left_out: list[Baseline]) -> str:
    """What is different where there are so many samples to learn from that some baselines are left out."""
    return (
        f"Left out, as they compare all pairs of these (at most {MOST_SAMPLES:,}): "
        f"{', '.join(baseline.label for baseline in left_out)}. The random forest reads the {MAX_ASVS:,} commonest "
        f"ASVs, and each of its trees draws {MOST_SAMPLES:,} of the samples, with replacement."
    )
