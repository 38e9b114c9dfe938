"""Makes the encoder that ships: pretrained on public surveys, each with a phylogeny of its own.

It needs mafft, FastTree and `../shared/data`. Trees are kept in the folder, and a run that was stopped goes on where it
was.

    python tools/ready_encoder/make.py FOLDER

With `--without` some surveys are left out, to be judged on (`judge.py --surveys`).
"""

import argparse
from pathlib import Path

from corpus import folders, surveys

from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Architecture, Objective, Optimization, PretrainingSampling, Runtime, Training
from q2_aam.study.joined import join

# Share of the samples that pick the best epoch.
VALIDATION = 0.1
LINEAGES = 512
# Weighted distances are larger, and are learnt beside the others.
OBJECTIVE = Objective(weighted_unifrac_weight=5.0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--without", nargs="*", default=[], choices=folders(), metavar="SURVEY", help="not to be read")
    parser.add_argument("--samples", type=int, default=300, help="at most, of a survey")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2, help="other weights with others")
    given = parser.parse_args(arguments)
    given.directory.mkdir(parents=True, exist_ok=True)
    studies = surveys(given.directory, given.samples, given.seed, given.threads, given.without)
    for name, study in studies.items():
        print(f"{name}: {len(study)} samples, {len(study.communities.tokens)} ASVs", flush=True)
    # Processes use cores better than threads do; a step is of 16 samples all the same.
    settings = Training(
        Optimization(epochs=given.epochs, batch_size=16 // given.processes),
        OBJECTIVE,
        PretrainingSampling(VALIDATION, subcommunities=3),
        Runtime(random_seed=given.seed, threads=given.threads, devices=given.processes),
    )
    architecture = Architecture(lineages=LINEAGES)
    encoder = Encoder.pretrain(
        join(studies), settings, architecture=architecture, run_dir=given.directory / "run"
    )
    # Nobody goes on with its optimizer.
    encoder.state = {}
    encoder.save(given.directory / "encoder")


if __name__ == "__main__":
    main()
