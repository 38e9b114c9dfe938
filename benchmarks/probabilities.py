"""Are probabilities what they say? Simulated surveys of 400 samples to learn from and 400 of other sites to predict.

Classes are made of a gradient of the communities and of chance (`signal`), or of chance alone (`none`), with a minority
of 50, 10 or 2%. Log loss stands beside that of the bare shares of the classes among samples learnt from; the largest
calibration error of a class beside the largest that exact probabilities would have by chance. The (small) encoder has
read the communities of all 800, without their classes.

    python benchmarks/probabilities.py --seeds 0 1 2
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
from report import markdown, write_section

from q2_aam import Encoder, Predictor
from q2_aam.evaluation.metrics import classification_scores
from q2_aam.settings import Architecture, Fitting, Optimization, Runtime, Training
from q2_aam.simulation.study import simulate_study

N = 800


def small_encoder(samples: int, seed: int):
    """A survey with pH and sites, and a small encoder that has read all of its communities."""
    study = simulate_study(samples, 600, 100, seed, target="ph", groups="site", with_phylogeny=True)
    training = Training(Optimization(epochs=4), runtime=Runtime(random_seed=seed))
    return study, Encoder.pretrain(study, training, architecture=Architecture(dim=32, lineages=64))


def labels(gradient: np.ndarray, minority: float, classes: int, signal: bool, rng) -> np.ndarray:
    """Names of classes: the minority is where the gradient is low, the others follow in equal shares."""
    place = gradient + rng.normal(0, 1, len(gradient)) if signal else rng.normal(0, 1, len(gradient))
    edges = [minority + (1 - minority) * k / (classes - 1) for k in range(classes - 1)]
    codes = np.searchsorted(np.quantile(place, edges), place, side="right")
    return np.array([f"class {code}" for code in codes], dtype=object)


def measure(encoder: Encoder, study, minority: float, classes: int, signal: bool, seed: int) -> list[dict]:
    """Log loss and calibration errors of out-of-fold and of new samples."""
    rng = np.random.default_rng(seed)
    gradient = (study.target - study.target.mean()) / study.target.std()
    names = pd.Series(labels(gradient.to_numpy(), minority, classes, signal, rng), gradient.index, name="class")
    sites = study.groups.unique()
    learnt = study.groups.isin(rng.permutation(sites)[: len(sites) // 2]).to_numpy()
    labelled = replace(study, target=names)
    train, new = (labelled.subset(np.flatnonzero(rows)) for rows in (learnt, ~learnt))
    predictor = Predictor.fit(encoder, train, Fitting(threads=2, random_seed=seed))
    shares = train.target.value_counts(normalize=True)
    rows = []
    for samples, study_of, predicted in (
        ("out of fold", train, predictor.out_of_fold), ("new", new, predictor.predict(new)),
    ):  # fmt: skip
        columns = list(predicted.certainty)
        truth = study_of.target[predicted.values.index]
        known = truth.isin(columns).to_numpy()
        truth, certainty = truth[known], predicted.certainty[known]
        scores = classification_scores(truth, predicted.values[known], certainty, columns)
        rows.append({
            "signal": "signal" if signal else "none", "minority": minority, "classes": classes, "samples": samples,
            "log loss": scores["log_loss"], "of the shares": -np.log(truth.map(shares).astype(float)).mean(),
            "largest calibration error": max(row["calibration_error"] for row in scores["per_class"]),
            "by chance": max(row["calibration_error_by_chance"] for row in scores["per_class"]),
            "balanced accuracy": scores["balanced_accuracy"], "accuracy": scores["accuracy"],
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    given = parser.parse_args()
    rows = []
    for seed in given.seeds:
        study, encoder = small_encoder(N, seed)
        for signal in (True, False):
            for classes in (2, 6):
                for minority in (0.5, 0.1, 0.02):
                    rows += measure(encoder, study, minority, classes, signal, seed)
                    print(rows[-2], rows[-1], sep="\n", flush=True)
    by = ["signal", "classes", "minority", "samples"]
    means = pd.DataFrame(rows).groupby(by, sort=False).mean().reset_index()
    text = markdown(means.to_dict("records"))
    print(text)
    write_section("probabilities", text)


if __name__ == "__main__":
    main()
