"""How far an explanation can be trusted: by models that have not learnt from the samples that are explained."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from q2_aam.encoder.device import use_threads
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.explain.occlusion import group_of_asvs, occlude, outputs_without
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.study.folds import grouped_folds
from q2_aam.study.study import Study

FOLDS = 5
# Most important names whose stability is told. Of less than twice as many they would be the same by arithmetic.
TOP = 20
REMOVED = (1, 2, 5, 10, 20, 50, 100)
# Sets of random names, and from how many of like prevalence and abundance each is drawn.
DRAWS, ALIKE = 5, 10
# Names there must be for each that is removed, so that there are others like it.
NAMES_FOR_ONE = 3
# Of the values that a permutation of all would change, the share that must have changed.
CHANGED = 0.5


@dataclass(frozen=True)
class Trust:
    """What models say that learnt from the other folds.

    Attributes
    ----------
    importance : pd.DataFrame
        A name a row, a fold a column: its importance for the samples of that fold; 0 where none holds it.
    overlap, by_chance : float
        Share of the 20 most important names of a fold that are among those of another one, mean over pairs of folds;
        and the same of models that learnt from permuted values, which is far above that of names drawn at random: what
        many samples hold is always among them, and the folds share most of what they learn from. NaN where names are
        fewer than 40, or values cannot be permuted.
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
        importance.append(pd.Series(effects.importance(), effects.names))
        found.append(_removed(fitted, part, effects, groups, settings))
        if permuted is not None:
            try:
                _, effects = _fitted(predictor, permuted.subset(train), part, groups, settings)
                by_chance.append(pd.Series(effects.importance(), effects.names))
            except ValueError:
                # A class may have come to one group alone.
                permuted = None
    truth = study.target.iloc[np.concatenate([test for _, test in folds])]
    frame = pd.concat(importance, axis=1, keys=range(len(folds))).fillna(0.0)
    chance = np.nan if permuted is None else _overlap(by_chance)
    return Trust(frame, _overlap(importance), chance, *_deletion(found, truth))


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


def _removed(fitted: Predictor, study: Study, effects, groups, settings: Explaining) -> dict:
    """Predictions of a fold, and reads that are gone, when names have left.

    By how many these are, of the top ones (0) and of each random draw (1 on).
    """
    settings = replace(settings, token_limit=fitted.description.token_limit)
    with use_threads(settings):
        study, known, _ = fitted.read(study, settings)
        group, names = group_of_asvs(study, groups)
        code = pd.Series(np.arange(len(names)), names)[list(effects.names)].to_numpy()
        order = code[np.argsort(-effects.importance(), kind="stable")]
        alike, counts, found = _alike(study, group, code), study.communities.counts, {}
        reads = np.asarray(counts.sum(1, dtype=np.float64)).ravel()
        sets = {(0, 0): order[:0]}
        for removed in (number for number in REMOVED if NAMES_FOR_ONE * number <= len(order)):
            generator = np.random.default_rng([settings.random_seed, removed])
            sets[removed, 0] = order[:removed]
            sets |= {(removed, draw): _like(order[:removed], alike, generator) for draw in range(1, DRAWS + 1)}
        leaves = [np.isin(group, gone) for gone in sets.values()]
        for key, gone, outputs in zip(
            sets, leaves, outputs_without(fitted, study, known, leaves, settings), strict=True
        ):
            share, values = counts.astype(np.float64) @ gone / reads, fitted.calibration.decide(fitted.target, outputs)
            found[key] = np.where(share > 1 - 1e-9, found[0, 0][0], values) if key[0] else values, share
    return found


def _alike(study: Study, group: np.ndarray, code: np.ndarray) -> pd.DataFrame:
    """Place of each name by prevalence and by abundance, a row a name's code."""
    counts = study.communities.counts.tocoo()
    own = group[counts.col]
    share = counts.data / np.asarray(study.communities.counts.sum(1)).ravel()[counts.row]
    frame = pd.DataFrame({"code": own, "row": counts.row, "share": share})[own >= 0]
    found = frame.groupby("code").agg(prevalence=("row", "nunique"), abundance=("share", "sum"))
    return found.loc[code].rank()


def _like(top: np.ndarray, places: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Other names, each drawn from the nearest ones in prevalence and abundance to one of the top."""
    left = places.drop(index=top)
    drawn = []
    for name in top:
        apart = ((left - places.loc[name]) ** 2).sum(axis=1)
        drawn.append(generator.choice(apart.nsmallest(ALIKE).index.to_numpy()))
        left = left.drop(index=drawn[-1])
    return np.array(drawn, dtype=np.int64)


def _overlap(importance: list[pd.Series]) -> float:
    """Share of the top names of a fold that are among those of another one, mean over the pairs of folds."""
    if min((part > 0).sum() for part in importance) < 2 * TOP:
        return np.nan
    tops = [set(part.nlargest(TOP).index) for part in importance]
    return float(np.mean([len(one & other) / TOP for n, one in enumerate(tops) for other in tops[:n]]))


def _deletion(found: list[dict], truth: pd.Series) -> tuple[str, float, pd.DataFrame]:
    """The metric, the trivial answer's score, and a row a number of names that were removed in all folds."""
    numeric = pd.api.types.is_numeric_dtype(truth)
    metric, trivial = ("r2", 0.0) if numeric else ("balanced_accuracy", 1 / truth.nunique())

    def score(key: tuple[int, int]) -> float:
        predicted = pd.Series(np.concatenate([part[key][0] for part in found]), truth.index)
        return (regression_scores if numeric else classification_scores)(truth, predicted)[metric]

    def gone(keys: list[tuple[int, int]]) -> float:
        return float(np.mean([part[key][1].mean() for key in keys for part in found]))

    rows = []
    for removed in sorted({key[0] for part in found for key in part}):
        if all((removed, 0) in part for part in found):
            draws = [(removed, draw) for draw in range(1, DRAWS + 1)] if removed else [(0, 0)]
            drawn = [score(key) for key in draws]
            row = {"removed": removed, "top": score((removed, 0)), "random": float(np.mean(drawn))}
            row |= {"random_low": min(drawn), "random_high": max(drawn)}
            rows.append(row | {"top_reads": gone([(removed, 0)]), "random_reads": gone(draws)})
    return metric, trivial, pd.DataFrame(rows)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
