"""The deletion curve: what predictions are worth when the most important names have left, beside random ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.encoder.device import use_threads
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.explain.groups import Groups
from q2_aam.explain.occlusion import Effects
from q2_aam.heads.features import Features
from q2_aam.predictor import Predictor
from q2_aam.settings import Embedding, Explaining
from q2_aam.study.covariates import covariates_of
from q2_aam.study.study import Study
from q2_aam.study.tables import keep_columns

REMOVED = (1, 2, 5, 10, 20, 50, 100)
# Sets of random names, and from how many of like prevalence and abundance each is drawn.
DRAWS, ALIKE = 5, 10
# Names there must be for each that is removed, so that there are others like it.
NAMES_FOR_ONE = 3


def without_most_important(fitted: Predictor, study: Study, effects: Effects, settings: Explaining) -> dict:
    """Predictions of a fold, and reads that are gone, when names have left.

    By how many these are, of the top ones (0) and of each random draw (1 on).
    """
    settings = replace(settings, token_limit=fitted.description.token_limit)
    with use_threads(settings):
        study, known, _ = fitted.read(study, settings)
        order = np.argsort(-effects.importance(), kind="stable")
        alike, counts, found = _alike(study, effects.groups), study.communities.counts, {}
        reads = np.asarray(counts.sum(1, dtype=np.float64)).ravel()
        sets = {(0, 0): order[:0]}
        for removed in (number for number in REMOVED if NAMES_FOR_ONE * number <= len(order)):
            generator = np.random.default_rng([settings.random_seed, removed])
            sets[removed, 0] = order[:removed]
            sets |= {(removed, draw): _like(order[:removed], alike, generator) for draw in range(1, DRAWS + 1)}
        leaves = [effects.groups.any_of(gone) for gone in sets.values()]
        for key, gone, outputs in zip(
            sets, leaves, outputs_without(fitted, study, known, leaves, settings), strict=True
        ):
            share, values = counts.astype(np.float64) @ gone / reads, fitted.calibration.decide(fitted.target, outputs)
            found[key] = np.where(share > 1 - 1e-9, found[0, 0][0], values) if key[0] else values, share
    return found


def outputs_without(
    predictor: Predictor, study: Study, known: sp.csr_matrix, gone: list[np.ndarray], settings: Embedding
) -> list[np.ndarray]:
    """The head's outputs ``[N, O]`` of a study that was read as it is predicted, without each set of ASVs.

    These are boolean ``[V]``. All ASVs are encoded once.
    """
    communities, numbers = study.communities, covariates_of(study, predictor.covariates)
    without = [replace(communities, counts=keep_columns(communities.counts, ~leaves)) for leaves in gone]
    alone = [replace(communities, counts=keep_columns(known, ~leaves)) for leaves in gone]
    alone = alone if known.nnz < communities.counts.nnz else []
    embeddings = predictor.encoder.embed_tables([communities, *without, *alone], settings)[1:]
    parts = [embeddings[: len(gone)], embeddings[len(gone) :]] if alone else [embeddings]
    # Nothing may be left of a sample.
    with np.errstate(divide="ignore", invalid="ignore"):
        return [
            predictor.head.outputs(Features.of(part, placed[0], numbers, *placed[1:]))
            for part, *placed in zip(without, *parts, strict=True)
        ]


def _alike(study: Study, groups: Groups) -> pd.DataFrame:
    """Place of each group by prevalence and by abundance, a row a group's number."""
    counts, members = study.communities.counts.astype(np.float64), groups.members.astype(np.float64)
    shares = (sp.diags(1 / np.asarray(counts.sum(1)).ravel()) @ counts @ members.T).tocsc()
    found = {"prevalence": np.diff(shares.indptr), "abundance": np.asarray(shares.sum(0)).ravel()}
    return pd.DataFrame(found).rank()


def _like(top: np.ndarray, places: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Other names, each drawn from the nearest ones in prevalence and abundance to one of the top."""
    left = places.drop(index=top)
    drawn = []
    for name in top:
        apart = ((left - places.loc[name]) ** 2).sum(axis=1)
        drawn.append(generator.choice(apart.nsmallest(ALIKE).index.to_numpy()))
        left = left.drop(index=drawn[-1])
    return np.array(drawn, dtype=np.int64)


def deletion_curve(found: list[dict], truth: pd.Series) -> tuple[str, float, pd.DataFrame]:
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
