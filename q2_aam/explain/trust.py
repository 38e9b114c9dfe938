"""How far an explanation can be trusted: by models that have not learnt from the samples that are explained."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.encoder.device import use_threads
from q2_aam.explain.deletion import deletion_curve, without_most_important
from q2_aam.explain.occlusion import Effects, occlude
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.study.folds import grouped_folds
from q2_aam.study.study import Study

FOLDS = 5
# Most important names whose stability is told. Of less than twice as many they would be the same by arithmetic.
TOP = 20
# Clades of two folds are the same where they share more than this part of the ASVs that either holds.
SAME = 0.5
# Of the values that a permutation of all would change, the share that must have changed.
CHANGED = 0.5


@dataclass(frozen=True)
class Trust:
    """What models say that learnt from the other folds.

    Attributes
    ----------
    importance : pd.DataFrame
        A name a row, a fold a column: its importance for the samples of that fold; 0 where none holds it. Of a tree all
        its clades are there.
    overlap, by_chance : float
        Share of the 20 most important names of a fold that are among those of another one, mean over pairs of folds;
        and the same of models that learnt from permuted values, which is far above that of names drawn at random: what
        many samples hold is always among them, and the folds share most of what they learn from. Of a tree each fold
        has clades of its own (:meth:`Groups.cut`); those that share half of their ASVs are the same. NaN where names
        are fewer than 40, or values cannot be permuted.
    metric : str
        ``r2`` or ``balanced_accuracy``.
    trivial : float
        The score of always giving the same answer.
    deletion : pd.DataFrame
        The score of all folds together when so many names (``removed``) leave all samples: the most important ones of
        each fold (``top``), or random ones of like prevalence and abundance (``random``, ``random_low``,
        ``random_high``: mean and extremes of five draws); and the share of the reads that goes with them
        (``top_reads``, ``random_reads``). A sample of which nothing is left keeps its prediction.
    """

    importance: pd.DataFrame
    overlap: float
    by_chance: float
    metric: str
    trivial: float
    deletion: pd.DataFrame

    @property
    def spread(self) -> pd.Series:
        """Standard deviation of the importance over folds, by name."""
        return self.importance.std(axis=1)

    @property
    def skilled(self) -> bool:
        """Whether the models predict better than a trivial answer, without which a falling score means nothing."""
        return bool(self.deletion["top"].iloc[0] > self.trivial)

    def to_dict(self) -> dict:
        """For JSON."""
        stability = {"top": TOP, "overlap": _number(self.overlap), "by_chance": _number(self.by_chance)}
        return {
            "folds": self.importance.shape[1],
            "metric": self.metric,
            "score": float(self.deletion["top"].iloc[0]),
            "trivial": self.trivial,
            "stability": stability,
            "deletion": self.deletion.to_dict("records"),
        }


def folds_of(predictor: Predictor, study: Study, random_seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The folds of :func:`measure_trust`.

    Raises
    ------
    ValueError
        If the predictor's encoder was tuned to the target, or too few samples, classes or groups are there for folds.
    """
    fitting_of(predictor)
    members = None if study.groups is None else study.groups.to_numpy()
    classes = study.target if study.kind == "categorical" else None
    folds = grouped_folds(len(study), FOLDS, groups=members, classes=classes, random_seed=random_seed, partial=True)
    # Each model chooses its settings by folds of its own.
    few = members is not None and min((len(set(members[train])) for train, _ in folds), default=0) < 2
    if len(folds) < 2 or few:
        raise ValueError(
            "How far the explanation can be trusted is measured by models that learn from some of these samples (whole "
            "groups) and explain the others; there are too few samples, groups or samples of a class for that. Leave "
            "metadata out, or add samples."
        )
    return folds


def measure_trust(
    predictor: Predictor,
    study: Study,
    groups: pd.Series | None = None,
    settings: Explaining | None = None,
    progress: Callable[[str], None] | None = None,
) -> Trust:
    """Fit the predictor anew without each fold of a study, and explain the fold.

    Parameters
    ----------
    predictor : Predictor
        That :meth:`Predictor.fit` made; its encoder and settings are taken.
    study : Study
        With the target, and groups where samples of a group resemble each other.
    groups, settings, progress
        As :func:`occlude` takes them.

    Raises
    ------
    ValueError
        As :func:`folds_of` does, or if a fold cannot be fitted.
    """
    settings = settings or Explaining()
    folds = folds_of(predictor, study, settings.random_seed)
    with use_threads(settings):
        # As it is explained: mended, where that was asked for.
        study, _, _ = predictor.read(study, replace(settings, token_limit=predictor.description.token_limit))
    settings = replace(settings, foreign="ignore", most_read=max(1, settings.most_read // len(folds)))
    permuted = permuted_values(study, folds, settings.random_seed)
    importance, by_chance, found = [], [], []
    for number, (train, test) in enumerate(folds, 1):
        if progress is not None:
            progress(f"Fold {number} of {len(folds)}: fitted to {len(train)} samples, {len(test)} explained.")
        part = replace(study.subset(test), target=None, groups=None)
        fitted, effects = _fitted(predictor, study.subset(train), part, groups, settings)
        importance.append(effects)
        found.append(without_most_important(fitted, part, effects.cut(), settings))
        if permuted is not None:
            try:
                _, effects = _fitted(predictor, permuted.subset(train), part, groups, settings)
                by_chance.append(effects)
            except ValueError:
                # A class may have come to one group alone.
                permuted = None
    truth = study.target.iloc[np.concatenate([test for _, test in folds])]
    parts = [pd.Series(effects.importance(), effects.names) for effects in importance]
    frame = pd.concat(parts, axis=1, keys=range(len(folds))).fillna(0.0)
    chance = np.nan if permuted is None else _overlap(by_chance)
    return Trust(frame, _overlap(importance), chance, *deletion_curve(found, truth))


def _fitted(predictor: Predictor, learnt: Study, part: Study, groups, settings: Explaining):
    """A predictor like another one of other samples, and its effects on a part."""
    fitting = replace(fitting_of(predictor), threads=settings.threads, device=settings.device, foreign="ignore")
    with warnings.catch_warnings():
        # What there is to say of few samples was said where the predictor was fitted.
        warnings.simplefilter("ignore")
        fitted = Predictor.fit(predictor.encoder, learnt, fitting)
    return fitted, occlude(fitted, part, groups, settings)


def permuted_values(study: Study, folds: list, random_seed: int) -> Study | None:
    """The same study with permuted targets; None where that changes hardly any.

    Where all samples of a group have one value, groups change it with each other; else samples do within their fold,
    so that the folds keep their values, or classes.
    """
    rng, order, groups = np.random.default_rng(random_seed), np.arange(len(study)), study.groups
    codes = pd.factorize(study.target)[0]
    if groups is not None and (study.target.groupby(groups.to_numpy()).nunique() == 1).all():
        members, first = pd.factorize(groups)[0], {}
        for row, member in enumerate(members):
            first.setdefault(member, row)
        heads = np.array([first[member] for member in range(len(first))])
        order = rng.permutation(heads)[members]
    else:
        tested = [test for _, test in folds]
        tested.append(np.setdiff1d(order, np.concatenate(tested)))
        for rows in tested:
            order[rows] = rng.permutation(rows)
    shares = np.bincount(codes) / len(codes)
    if (codes[order] != codes).mean() < CHANGED * (1 - (shares**2).sum()):
        return None
    return replace(study, target=study.target.iloc[order].set_axis(study.target.index))


def fitting_of(predictor: Predictor) -> Fitting:
    """The settings with which a predictor was fitted.

    Raises
    ------
    ValueError
        If it is one of `fine-tune`.
    """
    known = predictor.description.settings
    if "optimization" in known:
        raise ValueError(
            "This model's encoder was tuned to the column on the samples that it has learnt from, so that no part of "
            "them can stand for new ones. Leave metadata out, or explain a model that `qiime aam fit` made."
        )
    names = {field.name for field in fields(Fitting)}
    return Fitting(**{name: value for name, value in known.items() if name in names})


def _overlap(parts: list[Effects]) -> float:
    """Share of the top names of a fold that are among those of another one, mean over the pairs of folds."""
    parts = [effects.cut() for effects in parts]
    if min((effects.importance() > 0).sum() for effects in parts) < 2 * TOP:
        return np.nan
    order = [np.argsort(-effects.importance(), kind="stable")[:TOP] for effects in parts]
    tops = [effects.groups.members[top].astype(np.int64) for effects, top in zip(parts, order, strict=True)]
    return float(np.mean([_shared(one, other) for n, one in enumerate(tops) for other in tops[:n]]))


def _shared(one: sp.csr_matrix, other: sp.csr_matrix) -> float:
    """Share of the top sets of ASVs ``[20, V]`` that are among others: more than half is in both."""
    both = (one @ other.T).toarray()
    either = np.asarray(one.sum(1)) + np.asarray(other.sum(1)).T - both
    # No two of a fold share an ASV, so that more than half of one is in one of the others at most.
    return float((both > SAME * either).sum() / TOP)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
