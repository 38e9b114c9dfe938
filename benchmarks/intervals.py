"""Do intervals hold 90%? Simulated surveys: some sites to learn from, all others to predict.

A number of each sample is made of a gradient of the communities and of chance. What chance does differs: errors of one
spread (`even`); counts that vary more than Poisson's (`over-dispersed`) or less (`under-dispersed`); errors that the
samples of a site share (`shared`); a few very large ones (`heavy tails`). Coverage of a site is the share of its
samples' true values inside; sites count alike. The (small) encoder has read the communities of all sites.

    python benchmarks/intervals.py --sites 8 20 40 --seeds 0 1 2
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
from probabilities import small_encoder
from report import markdown, write_section

from q2_aam import Encoder, Predictor
from q2_aam.settings import Fitting

SAMPLES = 600


def even(gradient, sites, rng):
    return gradient + rng.normal(0, 1, len(gradient))


def over_dispersed(gradient, sites, rng):
    mean = np.exp(1.5 + 0.8 * gradient)
    return rng.negative_binomial(1.0, 1 / (1 + mean)).astype(float)


def under_dispersed(gradient, sites, rng):
    return rng.binomial(20, 1 / (1 + np.exp(-1.5 * gradient))).astype(float)


def shared(gradient, sites, rng):
    codes = np.unique(sites, return_inverse=True)[1]
    return gradient + rng.normal(0, 1, codes.max() + 1)[codes] + rng.normal(0, 0.3, len(gradient))


def heavy_tails(gradient, sites, rng):
    return gradient + 0.5 * rng.standard_t(2, len(gradient))


TARGETS = {
    "even": even,
    "over-dispersed": over_dispersed,
    "under-dispersed": under_dispersed,
    "shared": shared,
    "heavy tails": heavy_tails,
}


def measure(encoder: Encoder, study, target: str, n_sites: int, seed: int) -> dict:
    """Coverage of new sites, and how wide the intervals are beside the spread of the target."""
    rng = np.random.default_rng(seed)
    gradient = (study.target - study.target.mean()) / study.target.std()
    values = pd.Series(TARGETS[target](gradient.to_numpy(), study.groups.to_numpy(), rng), gradient.index, name="value")
    chosen = rng.permutation(study.groups.unique())[:n_sites]
    learnt = study.groups.isin(chosen).to_numpy()
    train, new = (replace(study, target=values).subset(np.flatnonzero(rows)) for rows in (learnt, ~learnt))
    predictor = Predictor.fit(encoder, train, Fitting(threads=2, random_seed=seed))
    ends = predictor.predict(new).certainty
    inside = (ends["lower"] <= new.target) & (new.target <= ends["upper"])
    by_site = inside.groupby(new.groups).mean()
    width = (ends["upper"] - ends["lower"]).mean() / values.std()
    return {"target": target, "sites": n_sites, "coverage": by_site.mean(), "width in SD": width}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", nargs="+", type=int, default=[8, 20, 40])
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    given = parser.parse_args()
    rows = []
    for seed in given.seeds:
        study, encoder = small_encoder(SAMPLES, seed)
        for target in given.targets:
            for n_sites in given.sites:
                rows.append(measure(encoder, study, target, n_sites, seed))
                print(rows[-1], flush=True)
    by = pd.DataFrame(rows).groupby(["target", "sites"], sort=False)
    table = by.mean().assign(least=by["coverage"].min(), most=by["coverage"].max()).reset_index()
    text = markdown(table.to_dict("records"))
    print(text)
    write_section("intervals", text)


if __name__ == "__main__":
    main()
