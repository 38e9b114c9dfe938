"""Pretraining from Python: what is learnt from, where it starts, what the encoder says of it."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from q2_aam.encoder import pretraining
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.pretraining import pretrain
from q2_aam.encoder.sampler import BatchKey
from q2_aam.settings import Architecture, Objective, Optimization
from q2_aam.simulation.study import simulate_study
from q2_aam.study.summary import asvs_of
from q2_aam.study.tokenizer import PAD
from tests.encoder.small import SIZES, training

# A rate at which nothing is learnt.
STILL = Optimization(epochs=1, learning_rate=1e-12)


def history_of(study, settings, directory, encoder=None):
    result = pretrain(study, settings, SIZES, encoder, directory=directory).result
    return pd.read_csv(result.directory / "history.tsv", sep="\t", index_col="epoch")


class TrainingBegins(Exception):
    """Training would begin."""


@pytest.fixture
def begin(monkeypatch, tmp_path):
    """What a run would be trained with: module, data set, rows to learn from and to validate by."""

    def train(*parts, **options):
        raise TrainingBegins(parts)

    def begin(study, settings, encoder=None):
        with monkeypatch.context() as patch, pytest.raises(TrainingBegins) as begun:
            patch.setattr(pretraining, "train", train)
            pretrain(study, settings, SIZES, encoder, directory=tmp_path)
        return begun.value.args[0]

    return begin


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 6), (0.5, 12)])
def test_the_validation_share_is_kept_apart(simulated, begin, share, expected):
    _, _, train_rows, validation_rows, _ = begin(simulated, training(validation_share=share))
    assert len(validation_rows) == expected
    assert sorted([*train_rows, *validation_rows]) == list(range(24))


def test_subcommunities_stand_in_training_batches_alone(simulated, begin):
    for number in (0, 3):
        _, dataset, train_rows, *_ = begin(simulated, training(subcommunities=number))
        key = BatchKey(train_rows[:5], 0)
        batch = dataset[key]
        assert len(batch.mask) == 5 * (1 + number)
        assert batch.unifrac.shape == (5 * (1 + number),) * 2 and np.isfinite(batch.unifrac.numpy()).all()
        assert len(dataset.as_predicted()[key].mask) == 5


def test_subcommunities_change_what_is_learnt(simulated, encoder):
    assert encoder.description.settings["sampling"]["subcommunities"] == 4
    without = Encoder.pretrain(simulated, training(2, subcommunities=0), architecture=SIZES)
    assert without.digest() != encoder.digest()


def test_a_random_choice_of_asvs_is_another_than_the_most_abundant(simulated):
    digests = [
        Encoder.pretrain(simulated, training(token_limit=5, token_choice=choice), architecture=SIZES).digest()
        for choice in ("abundant", "random", "random")
    ]
    assert digests[0] != digests[1] == digests[2]


def test_a_study_without_phylogeny_is_refused():
    message = "Pretraining needs a phylogeny: its distances are what is learnt. Read the study with one."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.pretrain(simulate_study(n_samples=12), training(), architecture=SIZES)


@pytest.mark.parametrize(("samples", "share"), [(1, 0.0), (2, 0.5)])
def test_one_sample_to_learn_from_has_no_distance(simulated, samples, share):
    message = (
        "There is 1 sample to learn distances from; two or more are needed. Give more samples, or a smaller "
        "validation_share."
    )
    few = simulated.subset(np.arange(samples))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.pretrain(few, training(validation_share=share), architecture=SIZES)


def test_one_sample_can_still_teach_nucleotides(simulated):
    settings = replace(training(validation_share=0.0), objective=Objective(unifrac_weight=0.0))
    one = Encoder.pretrain(simulated.subset(np.arange(1)), settings, architecture=SIZES)
    assert set(one.description.scores) == {
        f"train/{name}" for name in ("total_loss", "nucleotide_loss", "nucleotide_accuracy", "count_loss")
    }


def test_a_fresh_network_starts_from_the_data(simulated, begin):
    """Its anchors are ASVs of samples that it learns from; one whose anchors were never chosen has none but PAD."""
    module, _, train_rows, *_ = begin(simulated, training())
    anchors = module.network.asv_encoder.anchors[:, :61].numpy()
    assert (anchors[:, 1] != PAD).any()
    present = simulated.communities.subset(train_rows).present_asvs()
    known = {tuple(row) for row in simulated.communities.tokens[present].tolist()}
    assert {tuple(row) for row in anchors.tolist() if row[1] != PAD} <= known


def test_an_encoder_is_gone_on_from_as_it_is(simulated, encoder, begin):
    module, *_ = begin(simulated.subset(np.arange(10)), training(), encoder)
    weights = encoder.network.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in module.network.state_dict().items())
    assert module.network is not encoder.network, "the one given stays"


def test_going_on_keeps_sizes_and_origin(simulated, encoder):
    before = encoder.digest()
    few = simulated.subset(np.arange(8))
    settings = replace(training(validation_share=0.0), optimization=STILL)
    after = Encoder.pretrain(few, settings, architecture=Architecture(), encoder=encoder)
    assert after.network.architecture == SIZES and encoder.digest() == before
    assert after.description.encoder == encoder.summary()
    assert np.array_equal(after.seen_asvs, np.union1d(asvs_of(few, np.arange(8)), encoder.seen_asvs))
    assert after.metric == encoder.metric


def test_going_on_with_another_metric_is_warned_of(simulated, encoder):
    with pytest.warns(UserWarning, match="^The encoder has learnt unweighted UniFrac, but metric is 'generalized'"):
        after = Encoder.pretrain(simulated, training(metric="generalized"), encoder=encoder)
    assert after.metric == "generalized"


def test_losses_of_weight_0_are_not_measured(simulated, tmp_path):
    settings = replace(training(), objective=Objective(nucleotide_weight=0.0, count_weight=0.0))
    measured = {name.split("/")[1] for name in history_of(simulated, settings, tmp_path) if "/" in name}
    assert measured == {"total_loss", "unifrac_loss", "unifrac_rmse", "unifrac_r"}


def test_settings_with_a_number_of_epochs_are_kept(simulated, encoder):
    """`auto` is what was asked for; how many that were is what the encoder says."""
    settings = replace(training(), optimization=Optimization(epochs="auto", batch_size=1000, patience=1))
    after = Encoder.pretrain(simulated.subset(np.arange(4)), settings, architecture=SIZES)
    assert after.description.settings["optimization"]["epochs"] == 60
    assert encoder.description.settings["optimization"]["epochs"] == 2


def test_the_same_seed_gives_identical_bytes(simulated, encoder, tmp_path):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        Encoder.pretrain(simulated, training(random_seed=seed), architecture=SIZES).save(tmp_path / name)
    first, again, other = ((tmp_path / name / "best_model.pt").read_bytes() for name in ("first", "again", "other"))
    assert first == again != other
    descriptions = [(tmp_path / name / "model.json").read_text() for name in ("first", "again")]
    assert descriptions[0] == descriptions[1]


def test_run_dir_is_no_part_of_the_encoder(simulated, tmp_path):
    Encoder.pretrain(simulated, training(), architecture=SIZES, run_dir=tmp_path / "run").save(tmp_path / "one")
    Encoder.pretrain(simulated, training(), architecture=SIZES).save(tmp_path / "other")
    for name in ("best_model.pt", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert (tmp_path / "run" / "history.tsv").exists()
