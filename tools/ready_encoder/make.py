"""Makes the encoder that ships: pretrained on public surveys and on communities simulated on the Greengenes tree.

It needs mafft and FastTree, `../shared/data` and PyPI. What was made is kept in the folder, and a run that was stopped
goes on where it was.

    python tools/ready_encoder/make.py FOLDER

It learns in three stages: single sequences, whose distances are those in the tree; communities, real and simulated ones
of all regions; and once more the surveys, with simulated ones of V4 alone, which most users have. With `--without` some
surveys are left out, to be judged on (`judge.py --surveys`).
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path

import greengenes
from corpus import DATA, folders, surveys
from views import reference_studies, sequence_studies

from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Architecture, Objective, Optimization, PretrainingSampling, Runtime, Training
from q2_aam.study.joined import join

# Share of the samples that pick the best epoch.
VALIDATION = 0.1
# Of single sequences more stand in a batch, none is a part of another, and there is no abundance to guess.
ALONE = {"objective": Objective(count_weight=0), "sampling": PretrainingSampling(VALIDATION, subcommunities=0)}
BATCH_ALONE = 128
# Of simulated studies those of V4 alone, from the primer on.
USUAL = re.compile(r"reference\d+-v4-\d+-0")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--without", nargs="*", default=[], choices=folders(), metavar="SURVEY", help="not to be read")
    parser.add_argument("--survey-samples", type=int, default=300, help="at most, of a survey")
    parser.add_argument("--reference-studies", type=int, default=20, help="simulated ones, each of one region")
    parser.add_argument("--reference-samples", type=int, default=250, help="of each simulated study")
    parser.add_argument("--sequence-studies", type=int, default=100, help="of up to 512 single sequences each")
    parser.add_argument("--epochs", nargs=3, type=int, default=(6, 7, 7), help="of each stage")
    parser.add_argument("--lineages", type=int, default=512)
    parser.add_argument("--layers", type=int, default=Architecture.nucleotide_layers)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2, help="of the later stages; other weights with others")
    given = parser.parse_args(arguments)
    given.directory.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(random_seed=given.seed, threads=given.threads)
    reference = greengenes.read(given.directory).without(DATA / "soil88-ph" / "sequences.fasta")
    encoder = Encoder.pretrain(
        join(sequence_studies(reference, given.sequence_studies, given.seed)),
        Training(Optimization(epochs=given.epochs[0], batch_size=BATCH_ALONE), runtime=runtime, **ALONE),
        architecture=Architecture(lineages=given.lineages, nucleotide_layers=given.layers),
        run_dir=given.directory / "run-sequences",
    )
    real = surveys(given.directory, given.survey_samples, given.seed, given.threads, given.without)
    simulated = reference_studies(reference, given.reference_studies, given.reference_samples, given.seed)
    usual = {name: study for name, study in simulated.items() if USUAL.fullmatch(name)}
    for stage, studies in enumerate((real | simulated, real | usual), 1):
        for name, study in studies.items():
            print(f"{name}: {len(study)} samples, {len(study.communities.tokens)} ASVs", flush=True)
        # Processes use cores better than threads do; a step is of 32 samples all the same.
        settings = Training(
            Optimization(epochs=given.epochs[stage], batch_size=32 // given.processes),
            sampling=PretrainingSampling(VALIDATION, subcommunities=3),
            runtime=replace(runtime, devices=given.processes),
        )
        directory = given.directory / f"run-communities{stage}"
        encoder = Encoder.pretrain(join(studies), settings, encoder=encoder, run_dir=directory)
    # Nobody goes on with its optimizer.
    encoder.state = {}
    encoder.save(given.directory / "encoder")


if __name__ == "__main__":
    main()
