"""Several studies that are learnt from together, each with a phylogeny of its own."""

import biom
import numpy as np
import pytest

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.sampler import BatchSampler
from q2_aam.encoder.training import trainer
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.starting import start_from_data
from q2_aam.settings import Architecture, Optimization, Runtime, Training
from q2_aam.simulation.study import simulate_study
from q2_aam.study.joined import join
from q2_aam.study.study import read_study

SHARED, LONG, SHORT = "ACGTACGTACGTACG", "ACGTTTTTACGTACGTACGTA", "GGGTACGTAC"
IDS = (SHARED, LONG, SHORT)
SMALL = Architecture(dim=16, heads=2, lineages=16)


def write(path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.fixture
def two(tmp_path):
    """Two studies that share an ASV, which is far from the others in one of them only."""
    one = biom.Table(np.array([[5, 0, 2], [1, 3, 0]]), [SHARED, LONG], ["a", "b", "c"])
    other = biom.Table(np.array([[4, 1], [3, 2]]), [SHORT, SHARED], ["a", "b"])
    trees = f"({SHARED}:1,{LONG}:3);", f"(({SHARED}:1,{SHORT}:1):7,x:1);"
    return {
        name: read_study(table, dict(zip(IDS, IDS, strict=True)), phylogeny=write(tmp_path / f"{name}.nwk", tree))
        for name, table, tree in zip(("first", "second"), (one, other), trees, strict=True)
    }


def test_an_asv_of_several_studies_is_one_and_samples_keep_their_study(two):
    both = join(two)
    communities = both.communities
    assert communities.sample_ids.tolist() == ["first.a", "first.b", "first.c", "second.a", "second.b"]
    assert both.members.tolist() == [0, 0, 0, 1, 1] and len(both) == 5
    assert len(communities.tokens) == 3 and communities.tokens.shape[1] == len(LONG) + 1
    # Identities are those of the studies by themselves.
    for study, numbers, rows in zip(two.values(), both.asvs, ([0, 1, 2], [3, 4]), strict=True):
        own = study.communities
        assert np.array_equal(communities.hashes[numbers], own.hashes)
        assert np.array_equal(communities.counts[rows][:, numbers].toarray(), own.counts.toarray())
        assert communities.counts[rows].sum() == own.counts.sum()
    assert both.depths().tolist() == [6, 3, 2, 7, 3]
    assert [part["name"] for part in both.record["studies"]] == list(both.names)
    assert both.record["studies"][1]["samples"] == 2 and both.values == "counts"


def test_distances_are_those_of_each_study_by_itself(two):
    both = join(two)
    distances = both.unifrac("weighted_normalized", subcommunities=True)
    for study, rows in zip(two.values(), ([0, 1, 2], [3, 4]), strict=True):
        alone = study.unifrac("weighted_normalized", subcommunities=True)
        assert np.array_equal(distances(rows), alone(np.arange(len(study))))
        # What is left of a sample, in the numbers of all ASVs and in those of the study.
        numbers = both.asvs[rows[0] > 0]
        kept = study.communities.counts.copy()
        kept.data[0] = 0
        kept.eliminate_zeros()
        joined = both.communities.counts[rows].tolil()
        joined[0, numbers[study.communities.counts.indices[0]]] = 0
        joined = joined.tocsr()
        joined.eliminate_zeros()
        assert np.diff(kept.indptr).min() > 0
        fewer = alone(np.arange(len(study)), kept)
        assert np.array_equal(distances(rows, joined), fewer)
        assert not np.array_equal(fewer, alone(np.arange(len(study))))


def test_samples_of_different_studies_have_no_distance(two):
    with pytest.raises(ValueError, match="^Samples of different studies have no UniFrac distance"):
        join(two).unifrac()([0, 3])


def test_studies_without_a_phylogeny_are_named(two):
    table = biom.Table(np.array([[1]]), [SHARED], ["a"])
    with pytest.raises(ValueError, match=r"^These studies have no phylogeny to learn from: bare\. Read them"):
        join({**two, "bare": read_study(table, {SHARED: SHARED})})
    with pytest.raises(ValueError, match="^There are no studies to join"):
        join({})


def test_the_phylogenies_of_all_identify_a_run(two):
    both = join(two)
    assert both.phylogeny_digest() != join(dict(reversed(two.items()))).phylogeny_digest()
    assert both.phylogeny_digest() != join({"first": two["first"]}).phylogeny_digest()


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_of_one_study_and_all_samples_are_in_one(shuffle):
    members = np.repeat([0, 1, 2], [9, 4, 17])
    rows = np.delete(np.arange(30), [3, 11])
    sampler = BatchSampler(rows, 4, 0, shuffle, members=members)
    batches = [key.rows for key in sampler]
    assert len(batches) == len(sampler) == 2 + 1 + 5
    assert all(len(set(members[batch])) == 1 for batch in batches)
    assert sorted(np.concatenate(batches)) == rows.tolist()
    sampler.set_epoch(1)
    again = [key.rows for key in sampler]
    assert all(np.array_equal(*pair) for pair in zip(batches, again, strict=True)) != shuffle
    # Not one study after the other, which the last steps would know best.
    order = [members[batch[0]] for batch in batches]
    assert (order == sorted(order)) != shuffle


def test_processes_share_the_batches_of_each_study():
    members = np.repeat([0, 1], [7, 5])
    samplers = [BatchSampler(np.arange(12), 2, 0, True, rank, 2, members) for rank in range(2)]
    for keys in zip(*samplers, strict=True):
        assert all(np.array_equal(key.together, keys[0].together) for key in keys)
        assert np.array_equal(np.concatenate([key.rows for key in keys]), keys[0].together)
        assert len(set(members[keys[0].together])) == 1
    with pytest.raises(ValueError, match="^1 samples .* cannot be shared by 2 processes"):
        BatchSampler(np.arange(8), 2, 0, True, 0, 2, np.repeat([0, 1], [7, 1]))


def pretrained(study) -> Encoder:
    settings = Training(Optimization(epochs=2, batch_size=4), runtime=Runtime(threads=1))
    return Encoder.pretrain(study, settings, architecture=SMALL)


def test_one_study_joined_is_learnt_like_that_study():
    study = simulate_study(n_samples=12, with_phylogeny=True)
    alone, joined = pretrained(study), pretrained(join({"it": study}))
    assert alone.digest() == joined.digest()
    assert np.array_equal(alone.seen_asvs, joined.seen_asvs)


def test_an_encoder_learns_from_several_studies():
    studies = {str(n): simulate_study(n_samples=20, with_phylogeny=True, random_seed=n) for n in range(2)}
    encoder = pretrained(join(studies))
    assert encoder.description.data["samples"] == 40
    assert [part["samples"] for part in encoder.description.data["studies"]] == [20, 20]
    assert np.isfinite(encoder.description.scores["val/unifrac_rmse"])
    for study in studies.values():
        assert not encoder.new_asvs(study.communities).all()
        assert encoder.embed(study).distances().shape == (20, 20)


def test_anchors_are_of_all_studies(two):
    both = join({**two, "again": simulate_study(n_samples=10, with_phylogeny=True)})
    dataset = CommunityDataset(both.communities, unifrac=both.unifrac(), members=both.members)
    network = AAM(SMALL)
    start_from_data(network, batch_loader(dataset, np.arange(len(both)), 8, 0, shuffle=True))
    known = {row.tobytes() for row in network.asv_encoder.anchors.numpy().astype(np.uint8)}
    width = network.asv_encoder.anchors.shape[1]
    tokens = np.pad(both.communities.tokens, ((0, 0), (0, width - both.communities.tokens.shape[1])))
    assert all(any(tokens[asv].tobytes() in known for asv in asvs) for asvs in both.asvs)


def test_each_studys_matrix_is_computed_before_processes_start(two, monkeypatch):
    both = join(two)
    dataset = CommunityDataset(both.communities, unifrac=both.unifrac(), members=both.members)
    monkeypatch.setattr(trainer, "run_in_processes", lambda work, run, **how: (None, run.module.network.state_dict()))
    settings = Training(Optimization(epochs=1, batch_size=2), runtime=Runtime(devices=2, device="cpu"))
    module = TrainingModule(AAM(SMALL), settings, both.communities.sample_ids)
    trainer.train(module, dataset, np.arange(5), np.arange(0), "nowhere")
    assert all(distances._matrix is not None for distances in dataset.unifrac.distances)
