"""How well each UniFrac is predicted: r and RMSE among the samples of a fold that the encoder has not read.

An encoder for each metric learns from the other four folds of `skill.py`, with the defaults.

    python benchmarks/metrics.py --studies ecam-infant-age ibd-crohns-families
"""

import argparse
import tempfile
from pathlib import Path

from report import markdown, write_section
from skill import DATA, STUDIES, Study, distances

from q2_aam.actions.pretrain import pretrain
from q2_aam.settings.choices import METRICS


def measure(study: Study, metric: str, threads: int) -> dict:
    """Of the pairs of the samples left out: r and RMSE."""
    train, test = study.folds(0)[0]
    settings = {"sequences": study.sequences, "metric": metric, "threads": threads, "random_seed": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "encoder"
        pretrain(study.part(train), study.phylogeny, **settings)[0].save(str(folder))
        return {"study": study.name, "metric": metric, **distances(study, folder, test)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES)[:3], default=list(STUDIES)[:2])
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=list(METRICS[1:]))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.studies:
        study = Study(DATA / name, *STUDIES[name])
        for metric in given.metrics:
            rows.append(measure(study, metric, given.threads))
            print(rows[-1], flush=True)
    write_section("metrics", markdown(rows))


if __name__ == "__main__":
    main()
