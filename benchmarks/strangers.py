"""How often samples of new groups of the same study are told to be of another one (`cautions.distance_caution`), and
how many of them are said to lie outside what a model knows (`visualizers._novelty.outside`).

The folds of `skill.py`: whole groups are compared with the samples of the other groups, by the ready encoder, which has
read none of these studies. Beside them: the samples of each other study of the list.

    python benchmarks/strangers.py --seeds 0 1 2
"""

import argparse

import numpy as np
import pandas as pd
from report import markdown, write_section
from skill import DATA, STUDIES, Study

from q2_aam.encoder.device import use_threads
from q2_aam.encoder.encoder import Encoder
from q2_aam.heads.neighbours import Neighbours
from q2_aam.predictor import features_of
from q2_aam.settings import Fitting
from q2_aam.study.cautions import FAR_PERCENTILE, distance_caution
from q2_aam.study.study import read_study

# Of the distances among samples that were learnt from: how many samples lie beyond each.
PERCENTILES = (90, 95, 99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    given = parser.parse_args()
    encoder, settings = Encoder.ready(), Fitting(threads=1)
    studies = {name: Study(DATA / name, *about) for name, about in STUDIES.items()}
    features = {}
    with use_threads(settings):
        for name, study in studies.items():
            read = read_study(study.table, str(study.sequences), max_length=encoder.max_length)
            features[name] = features_of(encoder, read, None, read.communities.counts, settings)
            print(name, len(features[name]), flush=True)
    rows, known = [], []
    for name, study in studies.items():
        own, folds, told, groups = features[name], 0, 0, study.members().to_numpy()
        same = []
        for seed in given.seeds:
            for train, test in study.folds(seed):
                percentiles = percentiles_of(own.subset(test), own.subset(train), groups[train])
                folds, told = folds + 1, told + (distance_caution(percentiles) is not None)
                same.append(percentiles["nearest_percentile"])
        others = [percentiles_of(other, own, groups) for place, other in features.items() if place != name]
        shares = [(part >= FAR_PERCENTILE).mean() for part in same]
        told_of_others = [distance_caution(part) is not None for part in others]
        others = [part["nearest_percentile"] for part in others]
        known.append(
            {"study": name, "groups": len(np.unique(groups))}
            | {f"same study, {percentile}": _share(same, percentile) for percentile in PERCENTILES}
            | {f"other studies, {percentile}": _share(others, percentile) for percentile in PERCENTILES}
        )
        rows.append({
            "study": name, "groups": study.groups or "each sample", "folds": folds, "told, same study": told,
            "far, mean": np.mean(shares), "far, most": np.max(shares),
            "other studies": len(others), "told, other studies": sum(told_of_others),
        })  # fmt: skip
        print(known[-1], flush=True)
    write_section("strangers", markdown(rows))
    write_section("known-ground", markdown(known))


def _share(parts: list[pd.Series], percentile: float) -> str:
    """Of the samples beyond a percentile the mean share over folds, or studies, and the extremes."""
    shares = [float((part >= percentile).mean()) for part in parts]
    return f"{np.mean(shares):.1%} ({min(shares):.0%} to {max(shares):.0%})"


def percentiles_of(new, old, groups: np.ndarray) -> pd.DataFrame:
    """Novelty columns of samples compared with others, which are of these groups."""
    landmarks = old.as_landmarks()
    return pd.DataFrame(Neighbours.of(landmarks, groups).columns(new.presence, landmarks))


if __name__ == "__main__":
    main()
