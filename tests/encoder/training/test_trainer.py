import logging
import re

import numpy as np
import pytest
import torch

from q2_aam.encoder.batches import batch_loader
from q2_aam.encoder.training.lightning_setup import overlays
from q2_aam.encoder.training.starting import start_from_data
from q2_aam.settings import LOSS_TERMS, SCHEDULERS
from tests import tiny
from tests.encoder.training.test_schedulers import HIGHEST, course

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("undrawn")]


def same_weights(network, other):
    weights = other.state_dict()
    return all(torch.equal(weight, weights[name]) for name, weight in network.state_dict().items())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 14, 15, 16, 100])
def test_8_6_any_batch_size_takes_every_sample(tmp_path, batch_size):
    """Odd ones, a last batch of one sample, a validation part smaller than a batch, batches of one sample."""
    run = tiny.Run(tmp_path, kind="numeric", batch_size=batch_size, epochs=2)
    run()
    truth, _ = run.module.meters["val"].targets()
    assert np.allclose(truth, 4 + 5 * tiny.gradient()[15:], atol=1e-5)
    truth, _ = run.module.meters["train"].targets()
    assert np.allclose(np.sort(truth), np.sort(4 + 5 * tiny.gradient()[:15]), atol=1e-5)
    history = run.history()
    assert len(history) == 2 and np.isfinite(history.to_numpy()).all()
    # One sample at a time has no distances: no number is made up for them.
    assert ("val/unifrac_loss" in history) == (batch_size > 1)


def test_8_6_one_sample_to_learn_from_and_one_to_validate(tmp_path):
    run = tiny.Run(tmp_path, train_rows=np.array([3]), validation_rows=np.array([8]))
    result = run()
    assert result.epochs == 3
    assert set(run.history()["train/total_loss"].notna()) == {True}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(("batch_size", "accumulation", "per_epoch"), [(4, 3, 2), (6, 2, 2), (15, 2, 1), (1, 4, 4)])
def test_8_11_schedulers_are_all_right_with_accumulation_remainders(
    tmp_path, scheduler, batch_size, accumulation, per_epoch
):
    run = tiny.Run(
        tmp_path,
        batch_size=batch_size,
        accumulation=accumulation,
        scheduler=scheduler,
        learning_rate=HIGHEST,
        epochs=2,
        # The course of the learning rate alone is of interest: as little as possible is computed.
        nucleotide_weight=0.0,
        unifrac=None,
    )
    run()
    steps = 2 * per_epoch
    assert steps_of(run) == {steps}
    rates = [HIGHEST] * steps if scheduler == "plateau" else course(scheduler, steps)
    assert np.allclose(run.history()["learning_rate"], rates[per_epoch - 1 :: per_epoch])


def steps_of(run):
    """Steps that AdamW has counted; Muon counts none."""
    return {int(state["step"]) for state in tiny.states(run.module.optimizers()) if "step" in state}


def larger_run(directory, **changes):
    """60 samples, 4 steps an epoch."""
    return tiny.Run(
        directory,
        communities=tiny.survey(60),
        train_rows=np.arange(48),
        validation_rows=np.arange(48, 60),
        batch_size=12,
        epochs=5,
        sizes={"lineages": 64},
        **changes,
    )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_8_11_a_run_of_20_steps_learns_something(tmp_path, scheduler):
    """From where `pretrain` begins: with distances of the right size on average."""
    run = larger_run(tmp_path, scheduler=scheduler, learning_rate=0.01)
    start_from_data(run.network, batch_loader(run.dataset, np.arange(48), 12, 0, shuffle=True))
    result = run(validate_first=True)
    assert steps_of(run) == {20}
    history = run.history()
    before, best = history.loc[0], history.loc[result.best_epoch]
    assert best["val/total_loss"] < 0.75 * before["val/total_loss"]
    # Terminal branches tell much from the first step on.
    assert 1 - best["val/unifrac_r"] < 0.8 * (1 - before["val/unifrac_r"])
    assert history["train/unifrac_loss"][5] < 0.7 * history["train/unifrac_loss"][1]


def test_8_11_a_run_of_20_steps_learns_a_target(tmp_path):
    run = larger_run(tmp_path, kind="numeric", unifrac_weight=0.0, learning_rate=0.02)
    start_from_data(run.network, batch_loader(run.dataset, np.arange(48), 12, 0, shuffle=True))
    history = run(validate_first=True) and run.history()
    assert history["val/target_loss"].loc[1:].min() < 0.5 * history["val/target_loss"][0]
    assert history["train/target_loss"][5] < 0.5 * history["train/target_loss"][1]
    assert history["train/r2"][5] > 0.5


def test_8_9_a_random_choice_of_asvs_works_with_accumulation(tmp_path):
    options = {"token_limit": 4, "accumulation": 3, "epochs": 2}
    runs = [
        tiny.Run(tmp_path / str(n), token_choice=choice, **options)
        for n, choice in enumerate(("random", "random", "abundant"))
    ]
    sizes = []
    for run in runs:
        run.network.sample_encoder.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[2].shape[1]))
        run()
    assert max(sizes) == 4
    assert same_weights(runs[0].network, runs[1].network)
    assert not same_weights(runs[0].network, runs[2].network)
    assert np.isfinite(runs[0].history().to_numpy()).all()


def test_a_run_follows_from_its_seed(tmp_path):
    """Dropout, masks and shuffles included, whatever was drawn before."""
    sizes = {"dropout": 0.3}
    networks = []
    for number, seed in enumerate((0, 0, 1)):
        run = tiny.Run(tmp_path / str(number), random_seed=seed, sizes=sizes, epochs=2)
        torch.manual_seed(number)
        np.random.default_rng(number)
        run()
        networks.append(run.network)
    assert same_weights(networks[0], networks[1])
    assert not same_weights(networks[0], networks[2])


def test_validation_changes_no_weight(tmp_path):
    """The same run with another validation part ends with the same weights."""
    networks = []
    for rows in (tiny.VALIDATION_ROWS, tiny.VALIDATION_ROWS[:2], tiny.NO_ROWS):
        run = tiny.Run(tmp_path / str(len(rows)), validation_rows=rows, sizes={"dropout": 0.3})
        run()
        networks.append(run.network)
    assert same_weights(networks[0], networks[1]) and same_weights(networks[0], networks[2])


def test_a_network_that_has_predicted_is_trained_in_training_mode(tmp_path):
    modes = []
    for number in (0, 1):
        run = tiny.Run(tmp_path / str(number), kind="numeric", epochs=1, sizes={"dropout": 0.3})
        if number:
            run.network.eval()
        run.network.register_forward_pre_hook(lambda module, _: modes.append(module.training))
        run(validate_first=True)
    half = len(modes) // 2
    assert modes[:half] == modes[half:] == [False] * 2 + [True] * 4 + [False] * 2


def test_8_10_lightning_says_nothing_of_its_own(tmp_path, capfd, caplog):
    before = logging.getLogger("lightning.pytorch").level
    tiny.Run(tmp_path, epochs=1, validation_rows=tiny.NO_ROWS)()
    out, err = capfd.readouterr()
    assert err == "" and len(out.splitlines()) == 1
    assert caplog.records == []
    assert logging.getLogger("lightning.pytorch").level == before


def test_8_1_tensorboards_own_page_overlays_every_metric(tmp_path):
    charts = {name: chart for group in overlays().values() for name, chart in group.items()}
    assert list(overlays()) == ["total", *(term.label for term in LOSS_TERMS)]
    for kind in (None, "numeric", "categorical"):
        run = tiny.Run(tmp_path / str(kind), kind=kind, epochs=1)
        run()
        for name in {column.split("/")[1] for column in run.history() if "/" in column}:
            layout, patterns = charts[name]
            assert layout == "Multiline"
            for stage in ("train", "val"):
                assert any(re.fullmatch(pattern, f"{stage}/{name}") for pattern in patterns)


def test_validation_reads_the_most_abundant_asvs_as_prediction_does(tmp_path):
    """Whatever training reads; a rate of nothing keeps the weights."""
    still = {"learning_rate": 1e-30, "weight_decay": 0.0, "kind": "numeric", "epochs": 1}
    runs = {}
    for choice in ("random", "abundant"):
        runs[choice] = tiny.Run(tmp_path / choice, token_limit=4, token_choice=choice, **still)
        runs[choice]()
    random, abundant = (runs[choice].history() for choice in ("random", "abundant"))
    assert random.filter(like="val/").equals(abundant.filter(like="val/"))
    assert (random.filter(like="train/target") != abundant.filter(like="train/target")).all(axis=None)
    run = runs["random"]
    embedding = tiny.embed(run.network, run.communities.subset(tiny.VALIDATION_ROWS), token_limit=4)
    errors = tiny.outputs_of(run.network, embedding)[:, 0] - run.dataset.target[tiny.VALIDATION_ROWS]
    assert np.mean(errors**2) == pytest.approx(random["val/target_loss"][1], rel=1e-5)
