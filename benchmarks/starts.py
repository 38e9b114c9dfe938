"""Is pretraining better when it goes on from the ready encoder? r and RMSE of a fold not read, by epochs.

Studies that the ready encoder has not read; each start learns from the other four folds of `skill.py`.

    python benchmarks/starts.py --epochs 1 4 12
"""

import argparse
import tempfile
import time
from pathlib import Path

from report import markdown, write_section
from skill import DATA, STUDIES, Study, distances

from q2_aam.actions.pretrain import pretrain
from q2_aam.actions.ready_encoder import ready_encoder

STARTS = ("random", "ready")


def measure(study: Study, start: str, epochs: int, threads: int) -> dict:
    """Of the pairs of the samples left out: r and RMSE."""
    train, test = study.folds(0)[0]
    settings = {"sequences": study.sequences, "threads": threads, "epochs": epochs, "random_seed": 0}
    encoder = ready_encoder() if start == "ready" else None
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name) / "encoder", time.perf_counter()
        pretrain(study.part(train), study.phylogeny, encoder=encoder, **settings)[0].save(str(folder))
        took = time.perf_counter() - began
        facts = {"study": study.name, "start": start, "epochs": epochs, "seconds": took}
        return facts | distances(study, folder, test)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES)[:3], default=list(STUDIES)[:3])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 4, 12])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.studies:
        study = Study(DATA / name, *STUDIES[name])
        for epochs in given.epochs:
            for start in STARTS:
                rows.append(measure(study, start, epochs, given.threads))
                print(rows[-1], flush=True)
    write_section("starts", markdown(rows))


if __name__ == "__main__":
    main()
