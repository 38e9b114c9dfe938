"""How far an explanation can be trusted: by models that have not learnt from the samples that are explained."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from q2_aam.encoder.device import use_threads
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.explain.occlusion import Effects, group_of_asvs, occlude, outputs_without
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.study.folds import grouped_folds
from q2_aam.study.study import Study

FOLDS = 5
# Most important names whose stability is told.
TOP = 20
REMOVED = (1, 2, 5, 10, 20, 50, 100)
# Sets of random names, and from how many of like prevalence and abundance each is drawn.
DRAWS, ALIKE = 5, 10


@dataclass(frozen=True)
class Trust:
    """What models say that learnt from the other folds.

    Attributes
    ----------
    importance : pd.DataFrame
        A name a row, a fold a column: its importance for the samples of that fold; NaN where none holds it.
    overlap, by_chance : float
        Share of the 20 most important names of a fold that are among those of another one, mean over pairs of folds;
        and the same of models that learnt from permuted values, which is far above that of names drawn at random: what
        many samples hold is always among them, and the folds share most of what they learn from. NaN where there are
        not more than 20 names.
    metric : str
        ``r2`` or ``balanced_accuracy``.
    deletion : pd.DataFrame
        The score of all folds together when so many names (``removed``) leave all samples: the most important ones of
        each fold (``top``), or random ones of like prevalence and abundance (``random``, ``random_low``,
        ``random_high``: mean and extremes of five draws).
    """

    importance: pd.DataFrame
    overlap: float
    by_chance: float
    metric: str
    deletion: pd.DataFrame

    @property
    def spread(self) -> pd.Series:
        """Standard deviation of the importance over folds, by name; 0 where one fold alone holds it."""
        return self.importance.std(axis=1).fillna(0.0)

    def to_dict(self) -> dict:
        """For JSON."""
        stability = {"top": TOP, "overlap": _number(self.overlap), "by_chance": _number(self.by_chance)}
        return {
            "folds": self.importance.shape[1],
            "metric": self.metric,
            "score": float(self.deletion["top"].iloc[0]),
            "stability": stability,
            "deletion": self.deletion.to_dict("records"),
        }


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
        If the encoder was tuned to the target, or folds cannot be made.
    """
    settings, fitting = settings or Explaining(), fitting_of(predictor)
    members = None if study.groups is None else study.groups.to_numpy()
    classes = study.target if study.kind == "categorical" else None
    folds = grouped_folds(
        len(study), FOLDS, groups=members, classes=classes, random_seed=settings.random_seed, partial=True
    )
    if len(folds) < 2:
        raise ValueError(
            "Folds that leave every class to learn from cannot be made of these samples, so that it is not known how "
            "far the explanation can be trusted. Leave metadata out, or add samples."
        )
    part = replace(settings, most_read=max(1, settings.most_read // len(folds)))
    fitting = replace(fitting, threads=settings.threads, device=settings.device)
    permuted = permuted_within(study, folds, settings.random_seed)
    importance, by_chance, found = [], [], []
    for number, (train, test) in enumerate(folds, 1):
        if progress is not None:
            progress(f"Fold {number} of {len(folds)}: fitted to {len(train)} samples, {len(test)} explained.")
        unlabelled = replace(study.subset(test), target=None, groups=None)
        for learnt, kept in ((study, importance), (permuted, by_chance)):
            fitted = Predictor.fit(predictor.encoder, learnt.subset(train), fitting)
            effects = occlude(fitted, unlabelled, groups, part)
            kept.append(pd.Series(effects.importance(), effects.names))
            if learnt is study:
                found.append(_removed(fitted, unlabelled, effects, groups, settings))
    truth = study.target.iloc[np.concatenate([test for _, test in folds])]
    frame = pd.concat(importance, axis=1, keys=range(len(folds)))
    return Trust(frame, _overlap(importance), _overlap(by_chance), *_deletion(found, truth))


def permuted_within(study: Study, folds: list, random_seed: int) -> Study:
    """The same study with the targets of each fold's samples permuted: the folds have the same values, or classes."""
    rng, order = np.random.default_rng(random_seed), np.arange(len(study))
    for _, test in folds:
        order[test] = rng.permutation(test)
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


def _removed(fitted: Predictor, study: Study, effects: Effects, groups, settings: Explaining) -> dict:
    """Predictions of a fold when names have left: by how many, of the top ones (0) and of each random draw (1 on)."""
    settings = replace(settings, token_limit=fitted.description.token_limit)
    with use_threads(settings):
        study, known, _ = fitted.read(study, settings)
        group, names = group_of_asvs(study, groups)
        code = pd.Series(np.arange(len(names)), names)[list(effects.names)].to_numpy()
        order = code[np.argsort(-effects.importance(), kind="stable")]
        alike = _alike(study, group, code)
        found = {}
        for removed in (0, *(number for number in REMOVED if number < len(order))):
            sets = [order[:removed]]
            generator = np.random.default_rng([settings.random_seed, removed])
            sets += [_like(order[:removed], alike, generator) for _ in range(DRAWS)] if removed else []
            for draw, gone in enumerate(sets):
                outputs = outputs_without(fitted, study, known, np.isin(group, gone), settings)
                found[removed, draw] = fitted.calibration.decide(fitted.target, outputs)
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
        if len(left):
            apart = ((left - places.loc[name]) ** 2).sum(axis=1)
            drawn.append(generator.choice(apart.nsmallest(ALIKE).index.to_numpy()))
            left = left.drop(index=drawn[-1])
    return np.array(drawn, dtype=np.int64)


def _overlap(importance: list[pd.Series]) -> float:
    """Share of the top names of a fold that are among those of another one, mean over the pairs of folds."""
    if min(map(len, importance)) <= TOP:
        return np.nan
    tops = [set(part.nlargest(TOP).index) for part in importance]
    return float(np.mean([len(one & other) / TOP for n, one in enumerate(tops) for other in tops[:n]]))


def _deletion(found: list[dict], truth: pd.Series) -> tuple[str, pd.DataFrame]:
    """The metric, and a row a number of names that were removed in all folds."""
    numeric = pd.api.types.is_numeric_dtype(truth)
    metric = "r2" if numeric else "balanced_accuracy"

    def score(key: tuple[int, int]) -> float:
        predicted = pd.Series(np.concatenate([part[key] for part in found]), truth.index)
        return (regression_scores if numeric else classification_scores)(truth, predicted)[metric]

    rows = []
    for removed in sorted({key[0] for part in found for key in part}):
        if all((removed, 0) in part for part in found):
            top = score((removed, 0))
            drawn = [score((removed, draw)) for draw in range(1, DRAWS + 1)] if removed else [top]
            low, high = min(drawn), max(drawn)
            rows.append((removed, top, float(np.mean(drawn)), low, high))
    return metric, pd.DataFrame(rows, columns=["removed", "top", "random", "random_low", "random_high"])


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
