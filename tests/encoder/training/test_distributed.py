"""Two gloo processes on one machine against one process with batches twice as large."""

import math
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from q2_aam.encoder.training.distributed import gather, on_first, rank, share_files, share_losses, world_size
from q2_aam.encoder.training.launcher import run_in_processes
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.non_finite import NonFiniteError
from q2_aam.encoder.training.run_identity import check_same_everywhere
from q2_aam.encoder.training.trainer import TrainingRun, train_in_process
from tests import tiny
from tests.encoder.training.test_module import assert_total
from tests.encoder.training.test_resume import same

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[3]
# Steps so small that rounding is all that tells the runs apart, in every step of them.
STILL = {"learning_rate": 1e-8, "epochs": 2}
QUIET = {"nucleotide_weight": 0.0, "count_weight": 0.0}
# 15 samples to learn from, in batches of 4, 4, 4 and 3, the last one 2 and 1; 7 to validate, 4 and 3.
STILL |= {"train_rows": np.arange(15), "validation_rows": np.arange(13, 20)}
CASES = {
    "unifrac": {**STILL, **QUIET},
    "sub-communities": {**STILL, **QUIET, "subcommunities": 2},
    "sub-communities and a target": {**STILL, **QUIET, "subcommunities": 1, "kind": "numeric"},
    "numeric": {**STILL, **QUIET, "kind": "numeric", "unifrac_weight": 0.0},
    "classes": {**STILL, **QUIET, "kind": "categorical", "classes": 3, "unifrac_weight": 0.0},
    "accumulation": {**STILL, **QUIET, "kind": "numeric", "accumulation": 3},
    "several classes": {**STILL, **QUIET, "kind": "categorical", "classes": 3, "accumulation": 2},
}
RANDOM = {"kind": "numeric", "sizes": {"dropout": 0.2}, "learning_rate": 0.02, "epochs": 4, "token_limit": 8}
RANDOM |= {"token_choice": "random", "accumulation": 3, "gradient_share": 0.5, "subcommunities": 2}


class RecordingModule(TrainingModule):
    """Keeps the gradient of every step before it is clipped."""

    def setup(self, stage):
        self.gradients = getattr(self, "gradients", [])

    def configure_gradient_clipping(self, optimizer, **options):
        self.gradients.append({name: p.grad.clone() for name, p in self.named_parameters() if p.grad is not None})
        super().configure_gradient_clipping(optimizer, **options)


class OneSidedModule(RecordingModule):
    """Meets targets that are no numbers in the second process alone."""

    def losses(self, batch, meter):
        return super().losses(replace(batch, target=batch.target * math.nan) if rank() else batch, meter)


def prepared(directory, processes=2, broken=None, **changes):
    """A run of two processes, or of one with batches as large as those of two together."""
    communities = tiny.survey()
    options = {"batch_size": 2, "devices": 2} if processes == 2 else {"batch_size": 4}
    options |= {"unifrac": tiny.Distances(communities, broken), "module": RecordingModule, **changes}
    return tiny.Run(directory, communities=communities, **options)


def carry_out(run, validate_first=False):
    """Train in this process; everything that there is to see, as what can be sent."""
    try:
        parts = run.module, run.dataset, *run.rows, run.directory
        result = train_in_process(TrainingRun(*parts, validate_first=validate_first))
    except NonFiniteError as error:
        return {"error": str(error)}
    shown = {stage: meter.targets() for stage, meter in run.module.meters.items()}
    return {
        "gradients": run.module.gradients,
        "weights": run.network.state_dict(),
        "epochs": result.epochs,
        "result": result,
        "targets": {stage: None if pair is None else np.sort(pair[0]) for stage, pair in shown.items()},
        "metrics": {name: float(value) for name, value in run.module.trainer.callback_metrics.items()},
        "rate": run.module.optimizers().param_groups[0]["lr"],
    }


def all_cases(directory):
    """What both processes do; what each of them saw."""
    torch.set_num_threads(1)
    from q2_aam.encoder.training import callbacks

    callbacks.BestModel.plot = lambda *_: None
    seen = {name: carry_out(prepared(directory / name, **case)) for name, case in CASES.items()}
    seen["random"] = carry_out(prepared(directory / "random", **RANDOM), validate_first=True)
    rows = {"train_rows": np.arange(13), "validation_rows": np.arange(13, 18)}
    seen["left over"] = carry_out(prepared(directory / "left over", kind="numeric", epochs=1, **rows))
    options = {"patience": 1, "scheduler": "plateau", "epochs": 30, "learning_rate": 0.05}
    seen["stopped"] = carry_out(prepared(directory / "stopped", kind="numeric", **options))
    seen["broken"] = carry_out(prepared(directory / "broken", broken=6, epochs=1))
    skip = {"broken": 6, "non_finite": "skip", "epochs": 2, "kind": "numeric", "batch_size": 8, "weight_decay": 0.5}
    seen["all skipped"] = carry_out(prepared(directory / "all skipped", **skip, train_rows=np.arange(15)))
    seen["some skipped"] = carry_out(prepared(directory / "some skipped", **{**skip, "batch_size": 2}, accumulation=2))
    seen["one-sided"] = carry_out(prepared(directory / "one-sided", kind="numeric", module=OneSidedModule, **QUIET))
    seen["files"] = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    seen["shared"] = shared_files(directory / "shared")
    seen["on_first"] = on_first(lambda: rank())
    seen["refused"] = [raised(lambda: on_first(lambda: {}["nothing"])), raised(lambda: check_same_everywhere(mine()))]
    return gather(seen), world_size(), torch.distributed.get_backend()


def shared_files(directory):
    """As if the second process were that of another node, whose directory holds an old file."""
    own = directory / str(rank())
    (own / "plots").mkdir(parents=True)
    if rank() == 0:
        (own / "plots" / "a.png").write_text("picture")
        (own / "unasked").touch()
    (own / "last.ckpt").write_text(f"state {rank()}")
    before = {name: os.environ[name] for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    os.environ.update(LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")
    share_files(own, ["last.ckpt", "plots/*.png", "missing"])
    os.environ.update(before)
    return {str(path.relative_to(own)): path.read_text() for path in own.rglob("*") if path.is_file()}


def mine():
    """A run's description that differs between the processes."""
    return {"data": "the same", "origin": rank(), "epochs": 3 + rank()}


def raised(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Directory, and what each of the two processes saw; one launch for all."""
    directory = tmp_path_factory.mktemp("together")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    seen, processes, backend = run_in_processes(all_cases, directory, device="cpu", devices=2, num_nodes=1)
    assert processes == 2 and backend == "gloo"
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return directory, seen


def history(directory):
    return pd.read_csv(directory / "history.tsv", sep="\t", index_col="epoch")


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_losses_and_gradients_of_one_with_batches_twice_as_large(together, tmp_path, name):
    directory, seen = together
    alone = carry_out(prepared(tmp_path, processes=1, **CASES[name]))
    steps = 2 * -(-4 // CASES[name].get("accumulation", 1))
    assert len(alone["gradients"]) == steps
    for process in seen:
        for found, expected in zip(process[name]["gradients"], alone["gradients"], strict=True):
            # What has no loss has no gradient, rather than one of zeros that would decay it.
            assert found.keys() == expected.keys()
            norm = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
            for parameter, gradient in expected.items():
                assert (found[parameter] - gradient).norm() <= 1e-6 * norm, parameter
    found, expected = history(directory / name), history(tmp_path)
    assert list(found.columns) == list(expected.columns) and len(found) == 2
    for column in found.drop(columns="seconds"):
        assert found[column].tolist() == pytest.approx(expected[column].tolist(), rel=3e-6, abs=1e-9), column


@pytest.mark.parametrize("name", [*CASES, "random", "stopped", "left over", "some skipped"])
def test_all_processes_end_with_the_same_weights(together, name):
    first, second = (process[name] for process in together[1])
    assert same(first["weights"], second["weights"])
    assert same(first["gradients"], second["gradients"]) and len(first["gradients"]) > 0
    assert first["epochs"] == second["epochs"] and first["rate"] == second["rate"]


def test_every_sample_is_learnt_from_and_validated_once(together):
    """Also where a sample is left over, which the batch before takes."""
    truth = 4 + 5 * tiny.gradient()
    for process in together[1]:
        for name, train, validation in (("random", 15, 20), ("left over", 13, 18)):
            shown = process[name]["targets"]
            assert np.allclose(shown["train"], np.sort(truth[:train]), atol=1e-5)
            assert np.allclose(shown["val"], np.sort(truth[train:validation]), atol=1e-5)


def test_the_total_is_the_weighted_sum_in_all_processes(together):
    """The last batch of an epoch has fewer samples than the others, and not as many in each process."""
    objective = asdict(tiny.settings(target_weight=1.0).objective)
    weights = {name: value for name, value in objective.items() if name.endswith("_weight")}
    assert_total(history(together[0] / "random"), weights)
    first, second = (process["random"]["metrics"] for process in together[1])
    assert first == second and {"train/total_loss", "val/total_loss"} <= set(first)


def test_the_processes_draw_different_masks_and_learn(together):
    course = history(together[0] / "random")
    assert course.index.tolist() == [0, 1, 2, 3, 4]
    assert np.isfinite(course.loc[1:].to_numpy()).all()
    assert course["train/total_loss"][4] < course["train/total_loss"][1]


def test_early_stopping_and_plateau_agree(together):
    directory, seen = together
    stopped = seen[0]["stopped"]
    assert 1 < stopped["epochs"] < 30 and stopped["epochs"] == len(history(directory / "stopped"))
    assert stopped["result"].stopped == seen[1]["stopped"]["result"].stopped
    assert stopped["result"].best_epoch == seen[1]["stopped"]["result"].best_epoch == stopped["epochs"] - 1


def test_only_the_first_process_writes(together):
    files = together[1][0]["files"]
    events = [name for name in files if name.startswith("numeric/events/events.out")]
    assert len(events) == 1
    rest = {name for name in files if name.startswith("numeric/")} - set(events) - {"numeric/events/hparams.yaml"}
    assert rest == {f"numeric/{name}" for name in ("best_model.pt", "history.tsv", "last.ckpt", "settings.json")}


def test_a_loss_that_is_not_finite_stops_all_processes_with_the_samples_of_all(together):
    messages = {process["broken"]["error"] for process in together[1]}
    assert len(messages) == 1
    assert re.match(
        r"The loss is not finite in epoch 1, after \d steps \(train\)\. Samples: ((s\d+, ){3}|(s\d+, ){2})s\d+\. "
        r"unifrac_loss \(\) float32, 1 not finite; ",
        messages.pop(),
    )


def test_a_loss_that_is_not_finite_in_one_process_stops_all_with_its_numbers(together):
    messages = {process["one-sided"]["error"] for process in together[1]}
    assert len(messages) == 1
    message = messages.pop()
    assert "in epoch 1, after 0 steps (train). Samples: s" in message
    assert "target_loss () float32, 1 not finite" in message, "not what the first process saw"


def test_a_step_that_is_skipped_is_skipped_by_all(together):
    directory, seen = together
    assert history(directory / "all skipped")["train/skipped_steps"].tolist() == [1, 1]
    begun = tiny.network(1).state_dict()
    for process in seen:
        assert same(process["all skipped"]["weights"], begun), "no decay either"
    assert history(directory / "some skipped")["train/skipped_steps"].tolist() == [1, 1]
    assert not same(seen[0]["some skipped"]["weights"], begun)
    assert np.isfinite(history(directory / "some skipped").to_numpy()).all()


def test_what_the_first_process_does_all_get_or_fail_by(together):
    for process in together[1]:
        assert process["on_first"] == 0
        assert process["refused"] == [
            "KeyError: 'nothing'",
            "ValueError: The first node and that of process 1 were given other input: the encoder, metric or "
            "phylogeny; epochs is 3 here, 4 there. Give the same command on all nodes.",
        ]


def test_another_node_gets_the_first_ones_files(together):
    first, second = (process["shared"] for process in together[1])
    assert second == {"last.ckpt": "state 0", "plots/a.png": "picture"}
    assert first == {**second, "unasked": ""}


def test_alone_there_is_nothing_to_share():
    losses = {"target_loss": (torch.tensor(1.0), 4)}
    means, parts = share_losses(losses, common=())
    assert means is parts is losses
    assert (rank(), world_size(), gather("it"), on_first(lambda: 3)) == (0, 1, ["it"], 3)


# Ends that nobody wished


class Stumbling(tiny.Distances):
    """Raises, or kills the process, in the second process once the history shows an epoch."""

    def __init__(self, communities, directory, ending):
        super().__init__(communities)
        self.history, self.ending, self.calls = directory / "history.tsv", ending, 0

    def __call__(self, rows, asvs=None):
        if rank() == 1 and self.history.exists() and len(self.history.read_text().splitlines()) > 2:
            self.calls += 1
            if self.calls == 2:
                if self.ending == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise ValueError("Sample s3 is not what it should be. Look at it.")
        return super().__call__(rows, asvs)


def stumbling(directory, ending):
    communities = tiny.survey()
    unifrac = None if ending is None else Stumbling(communities, directory, ending)
    unifrac = unifrac or tiny.Distances(communities)
    return tiny.Run(directory, communities=communities, unifrac=unifrac, batch_size=2, devices=2, **RANDOM)


def test_an_error_in_one_process_reaches_the_user_as_its_sentence(tmp_path, capfd):
    with pytest.raises(ValueError, match=r"^Sample s3 is not what it should be\. Look at it\.$") as caught:
        stumbling(tmp_path, "raise")()
    # Where it was raised is for the log.
    assert "in process 1:" in str(caught.value.__cause__) and "test_distributed.py" in str(caught.value.__cause__)
    out, err = capfd.readouterr()
    assert [line.split("  ")[0] for line in out.splitlines()] == ["epoch 1/4", "epoch 2/4"]
    assert err == ""


def test_a_killed_process_ends_the_run_which_goes_on_to_the_same_end(together, tmp_path, capfd):
    with pytest.raises(RuntimeError, match=r"^Process 1 of 2 was ended by SIGKILL\. If memory had run out, lower"):
        stumbling(tmp_path / "run", "kill")(validate_first=True)
    assert capfd.readouterr().err == ""
    assert history(tmp_path / "run").index.tolist() == [0, 1]
    resumed = stumbling(tmp_path / "run", None)
    result = resumed(validate_first=True)
    assert capfd.readouterr().err == ""
    directory, seen = together
    assert same(resumed.network.state_dict(), seen[0]["random"]["weights"])
    assert same(result.state, seen[0]["random"]["result"].state)
    assert result.describe() == seen[0]["random"]["result"].describe()
    found, expected = (history(place).drop(columns="seconds") for place in (tmp_path / "run", directory / "random"))
    assert found.equals(expected)
    with pytest.raises(ValueError, match=r"begun with other input: batch_size was 2, now 4; devices was 2, now 1\. "):
        tiny.Run(tmp_path / "run", batch_size=4, **RANDOM)()


NODE = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests import tiny
from tests.encoder.training.test_distributed import RANDOM, stumbling
directory = Path(sys.argv[1])
run = tiny.Run(directory, batch_size=2, num_nodes=2, **RANDOM)
result = run(validate_first=True)
torch.save([result.state, run.network.state_dict()], directory / "end.pt")
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_nodes_end_with_the_same_model_in_directories_of_their_own(together, tmp_path):
    """Two launchers on one machine, each of one process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", NODE, str(tmp_path / str(number))],
            cwd=ROOT,
            env={**environment, variable: str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # As from a shell, and as under SLURM.
        for number, variable in enumerate(("NODE_RANK", "SLURM_NODEID"))
    ]
    output = [node.communicate(timeout=180) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], output
    assert len(output[0][0].splitlines()) == 5 and output[1][0] == "", "the first speaks for all"
    # The library may remark, with its frames, that the other node has gone first.
    assert not any("Traceback" in errors or "Warning:" in errors for _, errors in output), output
    ends = [torch.load(tmp_path / name / "end.pt", weights_only=True) for name in "01"]
    assert same(ends[0], ends[1])
    # The same as two processes of one node.
    random = together[1][0]["random"]
    assert same(ends[0], [random["result"].state, random["weights"]])
    names = [
        sorted(str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*") if path.is_file())
        for name in "01"
    ]
    # What a training log is made of, and what the directory is known by. The last state stays with the first node.
    assert "settings.json" in names[1]
    assert set(names[0]) - set(names[1]) == {"last.ckpt"} and not set(names[1]) - set(names[0])
    for name in ("best_model.pt", "history.tsv"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
