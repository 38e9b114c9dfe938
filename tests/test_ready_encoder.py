"""The recipe of the encoder that ships, on a reference of a few sequences."""

import sys
from pathlib import Path

import biom
import numpy as np
import pytest
import skbio

from q2_aam.encoder.encoder import Encoder
from q2_aam.study.communities import read_sequences
from q2_aam.study.phylogeny import read_phylogeny

TOOLS = Path(__file__).resolve().parents[1] / "tools" / "ready_encoder"
sys.path.insert(0, str(TOOLS))

import communities  # noqa: E402
import corpus  # noqa: E402
import judge  # noqa: E402
import views  # noqa: E402
from greengenes import FORWARD, PRIMERS, Greengenes  # noqa: E402

TIPS = 60
# Before 806R, after which 805R's begins, too.
END = "GGATTAGATACCCGAGTAGTCC"


def plain(region: str) -> str:
    """A region's forward primer without ambiguous letters."""
    return str(next(skbio.DNA(PRIMERS[FORWARD[region]]).expand_degenerates()))


def letters(number: int, rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("ACGT"), number))


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Greengenes:
    """A tree of clades of five tips, and genes with all primers."""
    rng = np.random.default_rng(0)
    tips = [f"t{tip}:{rng.uniform(0.01, 0.1):.3f}" for tip in range(TIPS)]
    clades = [f"({','.join(tips[first : first + 5])}):{rng.uniform(0.1, 1):.3f}" for first in range(0, TIPS, 5)]
    path = tmp_path_factory.mktemp("tree") / "tree.nwk"
    path.write_text(f"({','.join(clades)});")
    genes = [
        f"GG{plain('v12')}{letters(60, rng)}{plain('v34')}{letters(50, rng)}"
        f"{plain('v4')}{letters(70, rng)}{END}{letters(9, rng)}"
        for _ in range(TIPS)
    ]
    return Greengenes(read_phylogeny(str(path)), np.array(genes, dtype=object))


def test_regions_begin_behind_their_primer_and_end_before_the_next(reference):
    v4 = reference.region("v4", 40)
    assert {len(text) for text in v4} == {40}
    for gene, text in zip(reference.sequences, v4, strict=True):
        assert gene.index(text) == gene.index(plain("v4")) + len(plain("v4"))
    later = reference.region("v4", 40, start=7)
    assert [text[7:] for text in v4] == [text[:33] for text in later]
    # Shorter than asked for, since the reverse primer is there: 70 nucleotides, and GG of 805R.
    assert {len(text) for text in reference.region("v4", 150)} == {72}
    assert {len(text) for text in reference.region("v34", 400)} == {50 + len(plain("v4")) + 70}


def test_a_region_that_is_not_there_is_empty(reference):
    genes = reference.sequences.copy()
    genes[0] = genes[0].replace(plain("v4"), "")
    genes[1] = genes[1].split(END)[0][:-40]
    genes[2] = genes[2].replace(END, "N" + END)
    found = Greengenes(reference.tree, genes).region("v4", 100)
    assert found[:3].tolist() == ["", "", ""] and all(found[3:])


def test_a_tips_parts_are_at_distance_0_and_the_rest_is_as_before(reference):
    split = views.split_tips(reference.tree, 3)
    assert split.sizes[0] == len(split) == len(reference.tree) + 3 * TIPS
    names = split.names[split.tips()]
    assert names.tolist() == [f"{name}.{part}" for name in reference.names for part in range(3)]
    own = skbio.TreeNode.read([str_of(reference.tree)]).tip_tip_distances()
    theirs = skbio.TreeNode.read([str_of(split)]).tip_tip_distances()
    assert theirs["t0.0", "t0.2"] == 0
    for one, other in (("t0", "t3"), ("t0", "t59"), ("t17", "t40")):
        assert theirs[f"{one}.1", f"{other}.2"] == pytest.approx(own[one, other])


def str_of(tree) -> str:
    """Newick text of a tree."""
    ends, text = np.arange(len(tree)) + tree.sizes, ""
    open_nodes = []
    for node in range(len(tree)):
        while open_nodes and ends[open_nodes[-1]] <= node:
            text += f"):{tree.lengths[open_nodes.pop()]}"
        text += "," if text and text[-1] not in "(" else ""
        if tree.sizes[node] == 1:
            text += f"{tree.names[node]}:{tree.lengths[node]}"
        else:
            text += "("
            open_nodes.append(node)
    return text + "".join(f"):{tree.lengths[node]}" for node in reversed(open_nodes)) + ";"


@pytest.fixture
def small(monkeypatch):
    """Biomes of a small tree."""
    monkeypatch.setattr(communities, "BIOME_CLADES", 6)
    monkeypatch.setattr(communities, "RICHNESS", (5, 20))


@pytest.mark.usefixtures("small")
def test_communities_hold_usable_tips_and_follow_from_the_seed(reference):
    usable = np.arange(TIPS) % 4 > 0
    counts = communities.simulate_communities(reference.tree, usable, 50, 3)
    assert counts.shape == (50, TIPS) and not counts[:, ~usable].nnz
    assert (counts.data >= 1).all() and (counts.data == counts.data.round()).all()
    assert (np.diff(counts.indptr) > 0).all()
    assert (communities.simulate_communities(reference.tree, usable, 50, 3) != counts).nnz == 0
    assert (communities.simulate_communities(reference.tree, usable, 50, 4) != counts).nnz > 0


@pytest.mark.usefixtures("small")
def test_samples_of_a_habitat_are_more_alike_than_others(reference):
    study = views.reference_study(reference, (("v4", 40, 0),), 80, 0)
    distances = study.unifrac()(np.arange(80))
    first = np.arange(0, 80, communities.SAMPLES_A_HABITAT)
    assert distances[first, first + 1].mean() < 0.9 * distances[np.triu_indices(80, 1)].mean()


@pytest.mark.usefixtures("small")
def test_a_community_is_at_distance_0_from_itself_in_another_region(reference, monkeypatch):
    # Two samples of the same community, one in each region.
    real = communities.simulate_communities
    monkeypatch.setattr(views, "simulate_communities", lambda *some: real(*some)[np.repeat(np.arange(10), 2)])
    study = views.reference_study(reference, (("v4", 40, 0), ("v12", 50, 0)), 20, 0)
    own = study.communities.counts[:2]
    assert not (own[0].multiply(own[1])).nnz  # no ASV in common
    distances = study.unifrac()(np.arange(20))
    assert np.allclose(distances[np.arange(0, 20, 2), np.arange(1, 20, 2)], 0)
    assert distances[0, 2:].min() > 0


def test_samples_of_one_sequence_are_as_far_apart_as_in_the_tree(reference, monkeypatch):
    monkeypatch.setattr(views, "ALONE", 20)
    study = views.sequence_study(reference, ("v4", 40, 3), [0, 1])
    assert 5 <= len(study) <= 20 and (np.diff(study.communities.counts.indptr) == 1).all()
    names = [name.removeprefix("s") for name in study.communities.sample_ids]
    tree = skbio.TreeNode.read([str_of(reference.tree)]).shear(names)
    one, other = names[0], names[-1]
    tips = {name: tree.find(name) for name in (one, other)}
    ancestor = tree.lca([one, other])
    apart = sum(tip.accumulate_to_ancestor(ancestor) for tip in tips.values())
    shared = ancestor.accumulate_to_ancestor(tree.root()) if ancestor is not tree.root() else 0.0
    expected = apart / (apart + shared)
    assert study.unifrac()(np.array([0, len(names) - 1]))[0, 1] == pytest.approx(expected, abs=1e-4)


def test_ways_of_seeing_are_drawn_as_surveys_have_them():
    drawn = [views.draw_view(np.random.default_rng(seed)) for seed in range(400)]
    regions, lengths, starts = (np.array(part) for part in zip(*drawn, strict=True))
    assert 0.5 < (regions == "v4").mean() < 0.7 and set(regions) == set(views.REGIONS)
    assert (lengths == 150).mean() > 0.35 and 0.5 < (starts == 0).mean() < 0.7 and starts.max() == views.LATEST
    for region, length, _ in drawn:
        _, least, most = views.REGIONS[region]
        assert least <= length <= most


def test_tips_that_a_study_holds_are_left_out(reference, tmp_path):
    # By its ID, and by its sequence under another ID.
    fasta = tmp_path / "sequences.fasta"
    fasta.write_text(f">t7\nACGT\n>x\n{reference.region('v4', 40)[12]}\n")
    less = reference.without(fasta)
    assert less.names.tolist() == [name for name in reference.names if name not in ("t7", "t12")]
    assert less.region("v4", 40)[7] == reference.region("v4", 40)[8]


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
    stages = encoder.description.data, encoder.description.encoder["data"]
    names = {study["name"] for stage in stages for study in stage["studies"]}
    simulated = {name for name in names if name.startswith("reference")}
    assert len(simulated) > 10
    surveys = {name.removesuffix("-150") for name in names - simulated}
    assert not surveys & set(judge.EVALUATION)
    card = (TOOLS.parents[1] / "docs" / "reference" / "ready-encoder.md").read_text()
    assert all(f"`{name}`" in card for name in surveys)
    if corpus.DATA.exists():
        assert surveys == set(corpus.folders())
