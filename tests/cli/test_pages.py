"""Every command that a page shows runs, in the page's order, on a small survey with files of the pages' names."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skbio

from q2_aam.framework import Artifact
from q2_aam.simulation.genes import write_genes
from q2_aam.simulation.survey import keep_sites_apart, simulate_survey, write_metadata

from ..test_readme import BLOCK, README, ROOT, name_of

SIZES = "--p-dim 16 --p-lineages 16 --p-epochs 1 --p-threads 1 --p-precision 32"
# What is added so that a command takes seconds.
QUICKER = {
    "pretrain": SIZES,
    "cross-validate": "--p-folds 2 --p-threads 1",
    "fit": "--p-threads 1",
    "fine-tune": "--p-epochs 1 --p-threads 1 --p-precision 32",
}
# Goes on from an encoder, whose sizes it takes.
GOES_ON = "--p-epochs 1 --p-threads 1 --p-precision 32"
TUTORIAL = ROOT / "docs" / "tutorials" / "crohns-families.md"
# Goes on with the files of the first one.
SECOND_TUTORIAL = TUTORIAL.with_name("crohns-microbes.md")
# Four devices a node, and a cluster: see test_processes.py for two.
NOT_HERE = {ROOT / "docs" / "how-to" / "cluster.md"}
# Runs commands one after the other in one process, as if each were typed.
RUNNER = """
import runpy, shlex, sys
for line in open(sys.argv[1]):
    print("$", line.strip(), flush=True)
    sys.argv = ["q2cli", *shlex.split(line)[1:]]
    try:
        runpy.run_module("q2cli", run_name="__main__")
    except SystemExit as stopped:
        if stopped.code:
            raise
"""


def commands(page) -> list[str]:
    """The `qiime` commands of a page's blocks of code, a line each, made quicker."""
    code = "\n".join(text for language, text in BLOCK.findall(page.read_text()) if not language)
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith("qiime ") and not line.endswith("--help"):
            words = line.split()
            action = words[2] if words[1] == "aam" else None
            more = GOES_ON if action == "pretrain" and "--i-encoder" in words else QUICKER.get(action, "")
            found.append(re.sub(r"\s+", " ", f"{line} {more}").strip())
    return found


PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in page.parts and commands(page)]
PAGES = [page for page in PAGES if page not in {TUTORIAL, SECOND_TUTORIAL, *NOT_HERE} and page.name != "actions.md"]


def run_page(qiime, page, folder):
    """Run a page's commands in a folder."""
    (folder / "commands.txt").write_text("\n".join(commands(page)) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, "commands.txt"],
        cwd=folder,
        env=qiime.environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{name_of(page)}: {done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def survey():
    survey = simulate_survey(80, 120, 60)
    rng, metadata = np.random.default_rng(1), survey.metadata
    metadata["age"] = rng.integers(20, 80, len(metadata)).astype(float)
    metadata["sex"] = rng.choice(["female", "male"], len(metadata))
    # The tutorial's names: people, some of whom are ill.
    metadata["host_subject_id"] = metadata["site"]
    ill = metadata.groupby("site")["ph"].transform("mean").rank(pct=True) > 0.5
    metadata["ibd"] = np.where(ill, "patient", "healthy")
    metadata["delivery"] = np.where(rng.random(len(metadata)) < 0.6, "vaginal", "cesarean")
    return survey


@pytest.fixture(scope="module")
def readme_folder(qiime, survey, tmp_path_factory):
    """The files that a reader of the README has, and all that its commands make."""
    folder = tmp_path_factory.mktemp("readme")
    survey.write(folder)
    (folder / "metadata.tsv").unlink()
    train, new = keep_sites_apart(survey)
    write_metadata(survey.metadata, folder / "metadata.tsv")
    write_metadata(new.metadata, folder / "new-metadata.tsv")
    Artifact.import_data("FeatureTable[Frequency]", train.table).save(str(folder / "table.qza"))
    Artifact.import_data("FeatureTable[Frequency]", new.table).save(str(folder / "new-table.qza"))
    sequences = Artifact.import_data("FeatureData[Sequence]", str(folder / "sequences.fasta"))
    for name in ("rep-seqs.qza", "new-rep-seqs.qza"):
        sequences.save(str(folder / name))
    genes = Artifact.import_data("FeatureData[Sequence]", str(write_genes(survey.sequences, folder / "genes.fasta")))
    genes.save(str(folder / "16s-genes.qza"))
    Artifact.import_data("Phylogeny[Rooted]", str(folder / "tree.nwk")).save(str(folder / "rooted-tree.qza"))
    taxa = [f"k__Bacteria; p__{n % 2}; c__{n % 6}" for n in range(len(train.table.ids("observation")))]
    taxonomy = pd.DataFrame({"Taxon": taxa}, index=pd.Index(train.table.ids("observation"), name="Feature ID"))
    Artifact.import_data("FeatureData[Taxonomy]", taxonomy).save(str(folder / "taxonomy.qza"))
    run_page(qiime, README, folder)
    return folder


def test_readme(readme_folder):
    assert (readme_folder / "ph.qzv").exists() and (readme_folder / "ph-cross-validation" / "report.qzv").exists()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_how_to(qiime, page, readme_folder, tmp_path):
    """After the README's commands, on what they made."""
    folder = shutil.copytree(readme_folder, tmp_path / "page")
    shutil.rmtree(folder / "ph-cross-validation")
    run_page(qiime, page, folder)


def test_tutorial(qiime, survey, tmp_path):
    """Its features are named by their sequences; its downloads are stood in for."""
    table, tree = survey.table, (survey.write(tmp_path) / "tree.nwk").read_text()
    sequences = skbio.read(str(tmp_path / "sequences.fasta"), "fasta")
    names = {sequence.metadata["id"]: str(sequence) for sequence in sequences}
    table = table.update_ids(names, axis="observation", inplace=False)
    tree = re.sub(r"[0-9a-f]{32}", lambda found: names[found[0]], tree)
    (tmp_path / "named.nwk").write_text(tree)
    (tmp_path / "metadata.tsv").unlink()
    write_metadata(survey.metadata, tmp_path / "metadata.tsv")
    Artifact.import_data("FeatureTable[Frequency]", table).save(str(tmp_path / "raw-table.qza"))
    Artifact.import_data("Phylogeny[Rooted]", str(tmp_path / "named.nwk")).save(str(tmp_path / "tree.qza"))
    taxa = [f"k__Bacteria; p__{n % 2}; c__{n % 6}" for n in range(len(names))]
    taxonomy = pd.DataFrame({"Taxon": taxa}, index=pd.Index(list(names.values()), name="Feature ID"))
    Artifact.import_data("FeatureData[Taxonomy]", taxonomy).save(str(tmp_path / "taxonomy.qza"))
    run_page(qiime, TUTORIAL, tmp_path)
    run_page(qiime, SECOND_TUTORIAL, tmp_path)
    assert (tmp_path / "clades.qzv").exists() and (tmp_path / "genera.qzv").exists()
    assert (tmp_path / "ibd.qzv").exists() and (tmp_path / "ibd-cross-validation" / "report.qzv").exists()
