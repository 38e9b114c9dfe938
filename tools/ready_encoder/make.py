"""Makes the encoder that ships: pretrained on public surveys and on communities simulated on the Greengenes tree.

It needs mafft and FastTree, `../shared/data` and PyPI. What was made is kept in the folder, and a run that was stopped
goes on where it was.

    python tools/ready_encoder/make.py FOLDER

With `--without` some surveys are left out, to be judged on (`judge.py --surveys`).
"""

import argparse
from pathlib import Path

import greengenes
from corpus import DATA, folders, surveys
from views import reference_studies

from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Architecture, Optimization, Runtime, Training
from q2_aam.study.joined import join


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--without", nargs="*", default=[], choices=folders(), metavar="SURVEY", help="not to be read")
    parser.add_argument("--survey-samples", type=int, default=300, help="at most, of a survey")
    parser.add_argument("--reference-samples", type=int, default=400, help="of each simulated study")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lineages", type=int, default=Architecture.lineages)
    parser.add_argument("--layers", type=int, default=Architecture.nucleotide_layers)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    given.directory.mkdir(parents=True, exist_ok=True)
    studies = surveys(given.directory, given.survey_samples, given.seed, given.threads, given.without)
    reference = greengenes.read(given.directory).without(DATA / "soil88-ph" / "sequences.fasta")
    studies |= reference_studies(reference, given.reference_samples, given.seed)
    for name, study in studies.items():
        print(f"{name}: {len(study)} samples, {len(study.communities.tokens)} ASVs", flush=True)
    settings = Training(
        Optimization(epochs=given.epochs), runtime=Runtime(random_seed=given.seed, threads=given.threads)
    )
    architecture = Architecture(lineages=given.lineages, nucleotide_layers=given.layers)
    encoder = Encoder.pretrain(join(studies), settings, architecture=architecture, run_dir=given.directory / "run")
    encoder.save(given.directory / "encoder")


if __name__ == "__main__":
    main()
