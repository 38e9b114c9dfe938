"""How well each UniFrac is predicted: r and RMSE among the samples of a fold that the encoder has not read.

An encoder for each metric learns from the other four folds of `skill.py`, with the defaults.

    python benchmarks/metrics.py --studies ecam-infant-age ibd-crohns-families
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from report import markdown, write_section
from skill import DATA, STUDIES, Study

from q2_aam.actions.pretrain import pretrain
from q2_aam.encoder.encoder import Encoder
from q2_aam.settings.choices import METRICS
from q2_aam.study.study import read_study


def measure(study: Study, metric: str, threads: int) -> dict:
    """Of the pairs of the samples left out: r and RMSE, beside the spread of the exact distances."""
    train, test = study.folds(0)[0]
    settings = {"sequences": study.sequences, "metric": metric, "threads": threads, "random_seed": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "encoder"
        pretrain(study.part(train), study.phylogeny, **settings)[0].save(str(folder))
        encoder = Encoder.load(folder)
    files = {"sequences": str(study.sequences), "phylogeny": str(study.phylogeny)}
    read = read_study(study.part(test), **files, max_length=encoder.max_length)
    pairs = np.triu_indices(len(read), 1)
    true, predicted = read.unifrac(metric)(np.arange(len(read)))[pairs], encoder.embed(read).distances()[pairs]
    r, off = np.corrcoef(predicted, true)[0, 1], predicted - true
    found = {"r": r, "RMSE": np.sqrt(np.mean(off**2)), "mean of exact": true.mean(), "their SD": true.std()}
    return {"study": study.name, "metric": metric, "samples": len(read), **found}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES)[:2])
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
