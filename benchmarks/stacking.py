"""How the ensemble's parts are put together: what they predict on real studies, kept, and rules compared on that.

`collect` fits the three parts on the outer folds of `skill.py` with one encoder, and keeps their out-of-fold outputs of
the samples learnt from, and their outputs of the samples predicted. `compare` then needs seconds for any rule that
chooses weights, calibrates probabilities or makes intervals.

    python benchmarks/stacking.py collect --encoder FOLDER --seeds 0 1 2
    python benchmarks/stacking.py compare
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from report import RESULTS, markdown
from scipy.stats import t as student_t
from skill import DATA, READ, STUDIES, Study

from q2_aam.encoder.device import use_threads
from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation.calibration import residual_interval
from q2_aam.heads.ensemble import (
    WEIGHTS,
    AbundanceTrees,
    EnsembleHead,
    ensemble_weights,
    sample_weights,
    weighted_mean,
)
from q2_aam.heads.features import known_to_others
from q2_aam.heads.folds import balanced_losses, inner_folds
from q2_aam.heads.trees import TreesHead
from q2_aam.predictor import encode_target, features_of
from q2_aam.settings import Fitting
from q2_aam.study.study import read_study
from q2_aam.study.tables import keep_columns

# Beside those of `skill.py`: groups and targets.
OTHERS = {"oral-saliva-ph": ("city", ["ph_saliva", "latitude", "Braces", "host_sex"])}


def parts_of_fold(encoder: Encoder, study: Study, target: str, train: np.ndarray, test: np.ndarray, seed: int) -> dict:
    """Out-of-fold outputs of the three parts, their outputs of the samples predicted, and what goes with them."""
    settings = Fitting(random_seed=seed, threads=2)
    frame = study.frame.copy()

    def read(rows):
        ids = {name for name in study.table.ids()[rows] if pd.notna(frame[target][name])}
        table = study.table.filter(ids, inplace=False).remove_empty("observation")
        return read_study(
            table, str(study.sequences), metadata=frame, target=target, groups=study.groups,
            max_length=encoder.max_length,
        )  # fmt: skip

    old, new = read(train), read(test)
    kind, encoded = encode_target(old, settings.target_transform)
    groups = None if old.groups is None else old.groups.to_numpy()
    folds = inner_folds(encoded, groups, seed)
    with use_threads(settings) as threads:
        features = features_of(encoder, old, None, known_to_others(old.communities, folds), settings)
        seeded = {"random_seed": seed, "threads": threads}
        kernel, parts, relevance = EnsembleHead.out_of_fold(features, encoded, folds, **seeded)
        known = keep_columns(new.communities.counts, np.isin(new.communities.hashes, kernel.known_asvs))
        fresh = features_of(encoder, new, None, known, settings)
        abundance = AbundanceTrees.grow(features, encoded, kernel.landmarks, **seeded)
        outputs = [
            kernel.outputs(fresh),
            TreesHead.grow(features, encoded, kernel.landmarks, **seeded).outputs(fresh),
            abundance.outputs(fresh, kernel.landmarks),
        ]
    truth = new.target.to_numpy()
    if kind.kind == "numeric":
        codes = kind.encode(new.target)
    else:
        codes = np.array([kind.classes.index(name) if name in kind.classes else -1 for name in truth])
    fold = np.full(len(encoded), -1)
    for number, (_, rows) in enumerate(folds.splits):
        fold[rows] = number
    members = np.arange(len(truth)) if new.groups is None else new.groups.to_numpy().astype(str)
    return {
        "parts": parts, "relevance": relevance, "target": encoded, "groups": folds.groups, "fold": fold,
        "new_parts": np.stack(outputs), "new_relevance": abundance.relevance(fresh, kernel.landmarks),
        "new_target": codes, "new_groups": members,
    }  # fmt: skip


def collect(encoder: Path, seeds: list[int], names: list[str], directory: Path) -> None:
    """Keep the parts of all folds that are not there yet."""
    loaded = Encoder.load(encoder)
    for seed in seeds:
        for name in names:
            groups, targets = {**STUDIES, **READ, **OTHERS}[name]
            study = Study(DATA / name, groups, targets)
            for number, (train, test) in enumerate(study.folds(seed)):
                for target in targets:
                    path = directory / f"{name}--{target}--{seed}--{number}.npz"
                    if not path.exists():
                        started = time.perf_counter()
                        path.parent.mkdir(parents=True, exist_ok=True)
                        np.savez_compressed(path, **parts_of_fold(loaded, study, target, train, test, seed))
                        print(f"{path.stem}: {time.perf_counter() - started:.0f} s", flush=True)


RULES = {}


def rule(function):
    """Register a rule: weights ``[3]`` from out-of-fold parts, relevance, target, groups."""
    RULES[function.__name__.replace("_", " ")] = function
    return function


def group_losses(parts, relevance, target, groups):
    """Sums of losses ``[W, G]`` in each group, of all weights of the grid."""
    weighted = (sample_weights(np.maximum(weights, 1e-9), relevance) for weights in WEIGHTS)
    return np.stack([np.bincount(groups, balanced_losses(weighted_mean(parts, each), target)) for each in weighted])


@rule
def as_it_is(parts, relevance, target, groups, table):
    return ensemble_weights(parts, relevance, target, groups)


@rule
def as_it_was(parts, relevance, target, groups, table):
    """Others than the usual weights where they err less at the lower end of the (one-sided, 95%) interval."""
    usual = np.flatnonzero((WEIGHTS == (0.5, 0.5, 0)).all(1))[0]
    gains, n = table[usual] - table, table.shape[1]
    lower = gains.sum(1) - student_t.ppf(0.95, n - 1) * np.sqrt(n) * gains.std(1, ddof=1)
    # The kernel always had a tenth.
    best = np.where(WEIGHTS[:, 0] > 0, lower, -np.inf).argmax()
    return tuple(WEIGHTS[best if lower[best] > 0 else usual])


@rule
def kernel_and_trees(parts, relevance, target, groups, table):
    return 0.5, 0.5, 0.0


@rule
def thirds(parts, relevance, target, groups, table):
    return 1 / 3, 1 / 3, 1 / 3


@rule
def least_loss(parts, relevance, target, groups, table):
    return tuple(WEIGHTS[table.sum(1).argmin()])


def _nearest_within(table, errors):
    """Of weights whose loss is within some standard errors of the least, the nearest to thirds."""
    best = table.sum(1).argmin()
    off = table - table[best]
    spread = off.std(1, ddof=1) * np.sqrt(table.shape[1])
    near = off.sum(1) <= errors * spread + 1e-12
    distance = ((WEIGHTS - 1 / 3) ** 2).sum(1)
    return tuple(WEIGHTS[np.where(near, distance, np.inf).argmin()])


@rule
def one_SE_to_thirds(parts, relevance, target, groups, table):
    return _nearest_within(table, 1.0)


@rule
def two_SE_to_thirds(parts, relevance, target, groups, table):
    return _nearest_within(table, 2.0)


def _averaged(table, draws=200):
    """Mean of the weights that err least in resamples of the groups (bagged stacking)."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(table.shape[1], np.full(table.shape[1], 1 / table.shape[1]), draws)
    return tuple(WEIGHTS[(table @ counts.T).argmin(0)].mean(0))


@rule
def bagged(parts, relevance, target, groups, table):
    return _averaged(table)


def _with_even_groups(number):
    """The rule in which even weights count as so many groups."""

    def weights(parts, relevance, target, groups, table):
        n = table.shape[1]
        return tuple((n * np.array(_averaged(table)) + number / 3) / (n + number))

    return weights


RULES |= {f"{number} even groups": _with_even_groups(number) for number in (10, 30)}


def compare(directory: Path) -> pd.DataFrame:
    """Loss and score on the samples predicted, of each rule, study, target and seed."""
    rows = []
    for path in sorted(directory.glob("*.npz")):
        study, target_name, seed, fold = path.stem.split("--")
        kept_parts = np.load(path)
        parts, relevance, target = kept_parts["parts"], kept_parts["relevance"], kept_parts["target"]
        shown = np.isfinite(parts[0, :, 0])
        parts, relevance, target = parts[:, shown], relevance[shown], target[shown]
        groups = np.unique(kept_parts["groups"][shown], return_inverse=True)[1]
        table = group_losses(parts, relevance, target, groups)
        truth = kept_parts["new_target"]
        for name, function in RULES.items():
            weights = function(parts, relevance, target, groups, table)
            weights = np.maximum(weights, 1e-9)
            outputs = weighted_mean(kept_parts["new_parts"], sample_weights(weights, kept_parts["new_relevance"]))
            rows.append({
                "study": study, "target": target_name, "seed": int(seed), "fold": int(fold), "rule": name,
                "weights": weights, "outputs": outputs, "truth": truth,
            })  # fmt: skip
    frame = pd.DataFrame(rows)
    found = []
    for (study, target_name, seed, name), part in frame.groupby(["study", "target", "seed", "rule"], sort=False):
        if len(part) < 5:
            continue
        outputs, truth = np.concatenate(list(part["outputs"])), np.concatenate(list(part["truth"]))
        if outputs.shape[1] == 1:
            score = 1 - ((outputs[:, 0] - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
            loss = 1 - score
        else:
            known = truth >= 0
            loss = balanced_losses(outputs[known], truth[known]).mean()
            named = outputs.argmax(1)
            score = np.mean([(named[truth == code] == code).mean() for code in np.unique(truth)])
        found.append({
            "study": study, "target": target_name, "seed": seed, "rule": name, "loss": loss, "score": score,
            "weights": np.mean(list(part["weights"]), axis=0).round(2),
        })  # fmt: skip
    return pd.DataFrame(found)


def coverage(directory: Path) -> str:
    """Share of the true values of new samples inside intervals of 90%, by samples and by groups."""
    rows = []
    for path in sorted(directory.glob("*.npz")):
        study, target_name, _, _ = path.stem.split("--")
        kept = np.load(path)
        if kept["parts"].shape[2] > 1:
            continue
        weights = ensemble_weights(kept["parts"], kept["relevance"], kept["target"], kept["groups"])
        old, new = (
            weighted_mean(kept[f"{part}parts"], sample_weights(weights, kept[f"{part}relevance"]))[:, 0]
            for part in ("", "new_")
        )
        row = {"study": study, "target": target_name, "groups": len(np.unique(kept["groups"])), "samples": len(new)}
        for name, groups in (("by samples", None), ("by groups", kept["groups"])):
            width = residual_interval(kept["target"], old, groups=groups)["half_width"]
            row[name] = (np.abs(new - kept["new_target"]) <= width).sum()
        rows.append(row)
    by = pd.DataFrame(rows).groupby(["study", "target"], sort=False)
    found = by.agg({"groups": "mean", "samples": "sum", "by samples": "sum", "by groups": "sum"})
    for name in ("by samples", "by groups"):
        found[name] = (found[name] / found["samples"]).round(3)
    return markdown(found.reset_index().to_dict("records"))


def report(found: pd.DataFrame) -> str:
    """Scores of the rules on each target, mean over the seeds, and their ranks."""
    scores = found.pivot_table(index=["study", "target"], columns="rule", values="score", sort=False)[list(RULES)]
    losses = found.pivot_table(index=["study", "target"], columns="rule", values="loss", sort=False)[list(RULES)]
    scores.loc[("mean score", ""), :] = scores.mean()
    scores.loc[("mean loss over the least", ""), :] = losses.div(losses.min(axis=1), axis=0).mean()
    scores.loc[("worst loss over the least", ""), :] = losses.div(losses.min(axis=1), axis=0).max()
    rows = scores.reset_index().to_dict("records")
    return markdown([{k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["collect", "compare"])
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--studies", nargs="+", default=list({**STUDIES, **READ, **OTHERS}))
    parser.add_argument("--directory", type=Path, default=RESULTS / "stacking")
    given = parser.parse_args()
    if given.what == "collect":
        collect(given.encoder, given.seeds, given.studies, given.directory)
        return
    print(report(compare(given.directory)))
    print(coverage(given.directory))


if __name__ == "__main__":
    main()
