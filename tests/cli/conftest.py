"""The real `qiime` program, with a cache of its own, and one flow through it that all tests look at."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from q2_aam.framework import Artifact, sdk
from q2_aam.simulation.genes import write_genes
from q2_aam.simulation.survey import keep_sites_apart, simulate_survey, write_metadata

SIZES = "--p-dim 16 --p-lineages 16 --p-epochs 2 --p-threads 1 --p-precision 32"
MATURITY = (
    "qiime aam maturity --i-predictions ph-oof.qza --m-metadata-file md.tsv --m-metadata-column ph --p-control none "
    "--m-cohorts-file md.tsv --m-cohorts-column treatment --m-groups-file md.tsv --m-groups-column site"
)
COLUMN = "--m-metadata-file md.tsv --m-metadata-column {} --m-groups-file md.tsv --m-groups-column site"


@dataclass
class Said:
    """What a command printed."""

    out: str
    err: str
    code: int

    @property
    def lines(self):
        return self.out.splitlines()


@dataclass
class Program:
    """`qiime`, run in a folder."""

    folder: Path
    environment: dict

    def __call__(self, command, python=(), ok=True):
        """Run a command as it would be typed; lines may end in a backslash."""
        words = shlex.split(command.replace("\\\n", " "))
        assert words[0] == "qiime"
        done = subprocess.run(
            [sys.executable, *python, "-m", "q2cli", *words[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return Said(done.stdout, done.stderr, done.returncode)

    def check(self, file):
        """An artifact or visualization of the folder, validated."""
        artifact = sdk.Result.load(str(self.folder / file))
        artifact.validate("max")
        return artifact


@pytest.fixture(scope="session")
def qiime(tmp_path_factory):
    """The program, its cache made from the present sources."""
    folder = tmp_path_factory.mktemp("cli")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CONDA_PREFIX"},
        "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config")),
        "OMP_NUM_THREADS": "1",
    }
    program = Program(folder, environment)
    program.refreshed = program("qiime dev refresh-cache", python=("-X", "importtime"))
    return program


@pytest.fixture(scope="session")
def survey(qiime):
    """The files that a user has: T.qza to learn from, new.qza to predict, S.qza, P.qza, md.tsv."""
    survey = simulate_survey(60, 120, 60)
    survey.metadata["treatment"] = ["none" if row % 2 else "limed" for row in range(len(survey.metadata))]
    train, new = keep_sites_apart(survey)
    folder = survey.write(qiime.folder)
    write_metadata(survey.metadata, folder / "md.tsv")
    for part, name in ((train, "T.qza"), (new, "new.qza")):
        Artifact.import_data("FeatureTable[Frequency]", part.table).save(str(folder / name))
    Artifact.import_data("FeatureData[Sequence]", str(folder / "sequences.fasta")).save(str(folder / "S.qza"))
    genes = write_genes(survey.sequences, folder / "genes.fasta")
    Artifact.import_data("FeatureData[Sequence]", str(genes)).save(str(folder / "genes.qza"))
    qiime("qiime tools import --type 'Phylogeny[Rooted]' --input-path tree.nwk --output-path P.qza")
    return train, new


@pytest.fixture(scope="session")
def flow(qiime, survey):
    """The commands as the documents give them (and small sizes), for both kinds of column."""
    said = {}
    said["split-samples"] = qiime(
        rf"""qiime aam split-samples --i-table T.qza {COLUMN.format("ph")} --p-share 0.25 \
        --o-train-table train.qza --o-test-table test.qza --verbose"""
    )
    said["pretrain"] = qiime(
        rf"""qiime aam pretrain --i-table T.qza --i-sequences S.qza --i-phylogeny P.qza --o-model encoder.qza \
        --o-training-log log.qza --verbose {SIZES}"""
    )
    for column, verbose in (("ph", "--verbose"), ("habitat", "")):
        said["fit", column] = qiime(
            rf"""qiime aam fit --i-table T.qza --i-sequences S.qza --i-encoder encoder.qza {COLUMN.format(column)} \
            --o-model {column}-model.qza --o-predictions {column}-oof.qza --o-certainty {column}-oof-certainty.qza \
            {verbose}"""
        )
        said["predict", column] = qiime(
            rf"""qiime aam predict --i-table new.qza --i-sequences S.qza --i-model {column}-model.qza \
            --o-predictions {column}-pred.qza --o-certainty {column}-cert.qza --o-novelty {column}-nov.qza {verbose}"""
        )
    said["fine-tune"] = qiime(
        rf"""qiime aam fine-tune --i-table T.qza --i-sequences S.qza --i-encoder encoder.qza {COLUMN.format("ph")} \
        --o-model tuned.qza --o-predictions tuned-val.qza --o-certainty tuned-val-certainty.qza \
        --o-training-log tuned-log.qza --p-epochs 2 --p-threads 1 --p-precision 32 --verbose"""
    )
    said["explain"] = qiime(
        r"""qiime aam explain --i-table new.qza --i-sequences S.qza --i-model ph-model.qza \
        --o-importance importance.qza --o-effects effects.qza --verbose"""
    )
    said["embed"] = qiime(
        r"""qiime aam embed --i-table T.qza --i-sequences S.qza --i-model encoder.qza --o-sample-vectors vectors.qza \
        --o-distance-matrix distances.qza --o-pcoa pcoa.qza --verbose"""
    )
    said["embed-vectors"] = qiime(
        r"""qiime aam embed-vectors --i-table new.qza --i-sequences S.qza --i-model ph-model.qza \
        --o-sample-vectors new-vectors.qza --o-asv-vectors asv-vectors.qza"""
    )
    said["harmonize-regions"] = qiime(
        r"""qiime aam harmonize-regions --i-table T.qza --i-sequences S.qza --i-reference genes.qza \
        --o-harmonized-table harmonized.qza --o-harmonized-sequences harmonized-seqs.qza --p-threads 1 --verbose"""
    )
    said["evaluate"] = qiime(
        r"""qiime aam evaluate --i-predictions ph-pred.qza --i-certainty ph-cert.qza --m-metadata-file md.tsv \
        --m-metadata-column ph --o-visualization ph.qzv --verbose"""
    )
    said["summarize-training"] = qiime(
        "qiime aam summarize-training --i-training-log tuned-log.qza --o-visualization tuned-log.qzv --verbose"
    )
    said["maturity"] = qiime(f"{MATURITY} --o-maturity maturity.qza --verbose")
    said["show-maturity"] = qiime("qiime aam show-maturity --i-maturity maturity.qza --o-visualization maturity.qzv")
    said["show-novelty"] = qiime(
        "qiime aam show-novelty --i-novelty ph-nov.qza --m-sample-metadata-file ph-pred.qza ph-cert.qza "
        "--o-visualization novelty.qzv"
    )
    return said


def plain(text):
    """Text without colours and line breaks."""
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()
