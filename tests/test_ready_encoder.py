"""The recipe of the encoder that ships, and what it has read."""

import sys
from pathlib import Path

import biom
import numpy as np
import pytest

from q2_aam.encoder.encoder import Encoder
from q2_aam.study.communities import read_sequences
from q2_aam.study.phylogeny import read_phylogeny

TOOLS = Path(__file__).resolve().parents[1] / "tools" / "ready_encoder"
sys.path.insert(0, str(TOOLS))

import corpus  # noqa: E402
import judge  # noqa: E402


def test_a_tree_is_made_anew_of_other_sequences(tmp_path, monkeypatch):
    made = []

    def run(command, stdout, **how):
        made.append(command[0])
        stdout.write("((0:1,1:2):1,2:3);" if "fasttree" in command[0] else "")

    monkeypatch.setattr(corpus.subprocess, "run", run)
    sequences = {"a": "ACGT", "b": "ACGA", "c": "TTTT"}
    first = corpus.tree_of(sequences, tmp_path / "it", 1)
    assert corpus.tree_of(dict(reversed(sequences.items())), tmp_path / "it", 1) == first
    assert made == ["mafft", "fasttreeMP"]
    assert set(read_phylogeny(str(first)).names[1:]) >= {"a", "b", "c"}
    assert corpus.tree_of({**sequences, "c": "TTTA"}, tmp_path / "it", 1) != first
    assert len(made) == 4


@pytest.mark.skipif(not corpus.DATA.exists(), reason="the public surveys are not here")
def test_the_evaluation_studies_are_not_read():
    read = {path.resolve() for path in corpus.folders().values()}
    assert len(read) == 19
    assert not read & {(corpus.DATA / name).resolve() for name in judge.EVALUATION}
    assert all((corpus.DATA / name).is_dir() for name in judge.EVALUATION)


def samples_of(folder: Path) -> set:
    """Each sample as its sequences' first 90 nucleotides and their counts."""
    table, sequences = biom.load_table(str(folder / "table.biom")), read_sequences(str(folder / "sequences.fasta"))
    counts, texts = table.matrix_data.tocsc(), np.array([sequences[name][:90] for name in table.ids("observation")])
    ends = zip(counts.indptr[:-1], counts.indptr[1:], strict=True)
    parts = [(texts[counts.indices[low:high]], counts.data[low:high]) for low, high in ends]
    return {hash(frozenset(zip(held.tolist(), reads.tolist(), strict=True))) for held, reads in parts}


@pytest.mark.skipif(not corpus.DATA.exists(), reason="the public surveys are not here")
def test_no_sample_of_an_evaluation_study_is_in_a_survey_that_is_read():
    read = set().union(*map(samples_of, corpus.folders().values()))
    assert len(read) > 9000
    for name in judge.EVALUATION:
        assert not read & samples_of(corpus.DATA / name), name


def test_the_ready_encoder_names_what_it_has_read():
    encoder = Encoder.ready()
    surveys = {study["name"].removesuffix("-150") for study in encoder.description.data["studies"]}
    assert not surveys & set(judge.EVALUATION)
    card = (TOOLS.parents[1] / "docs" / "reference" / "ready-encoder.md").read_text()
    assert all(f"`{name}`" in card for name in surveys)
    if corpus.DATA.exists():
        assert surveys == set(corpus.folders())
