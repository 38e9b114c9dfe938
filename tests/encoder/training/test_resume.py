"""Runs that are killed and started again with the same directory."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from q2_aam.encoder import files
from q2_aam.encoder.files import read_tensors
from q2_aam.encoder.training import callbacks
from q2_aam.settings import SCHEDULERS
from tests import tiny

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("undrawn")]

ROOT = Path(__file__).parents[3]
# Everything that could make a difference: random choices, dropout, accumulation remainders.
OPTIONS = {"epochs": 4, "accumulation": 3, "token_limit": 8, "token_choice": "random", "learning_rate": 0.005}
OPTIONS |= {"subcommunities": 2, "gradient_share": 0.5}
SIZES = {"dropout": 0.2}


class Killed(BaseException):
    """Ends a run where it stands, as a signal would, within this process."""


class Fatal(tiny.Distances):
    """Ends the run at the `call`-th batch."""

    def __init__(self, communities, call, end):
        super().__init__(communities)
        self.calls, self.call, self.end = 0, call, end

    def __call__(self, rows, asvs=None):
        self.calls += 1
        if self.calls == self.call:
            self.end()
        return super().__call__(rows, asvs)


def end():
    raise Killed


def run(directory, call=None, **changes):
    """A run; with `call` one that ends at that batch. An epoch has 4 training and 2 validation batches."""
    communities = tiny.survey()
    unifrac = "jaccard" if call is None else Fatal(communities, call, end)
    options = {"kind": "numeric", "sizes": SIZES, **OPTIONS, **changes}
    return tiny.Run(directory, communities=communities, unifrac=unifrac, **options)


def same(state, other):
    """Whether two nested states hold exactly the same."""
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    if isinstance(state, dict):
        return state.keys() == other.keys() and all(same(state[key], other[key]) for key in state)
    if isinstance(state, list | tuple):
        return len(state) == len(other) and all(same(*pair) for pair in zip(state, other, strict=True))
    return state == other


def assert_same_outcome(found, expected):
    """Weights of the last and of the best epoch, the best model's optimizer and scheduler, the history."""
    assert same(found.network.state_dict(), expected.network.state_dict())
    assert same(found.result.state, expected.result.state)
    assert same(read_tensors(found.directory / "best_model.pt"), read_tensors(expected.directory / "best_model.pt"))
    assert found.history().drop(columns="seconds").equals(expected.history().drop(columns="seconds"))
    assert found.result.describe() == expected.result.describe()
    assert found.result.epochs == expected.result.epochs


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, scheduler):
    expected = run(tmp_path / "whole", scheduler=scheduler)
    expected()
    killed = run(tmp_path / "run", call=6 * 2 + 2, scheduler=scheduler)
    with pytest.raises(Killed):
        killed()
    assert len(killed.history()) == 2
    resumed = run(tmp_path / "run", scheduler=scheduler)
    resumed()
    assert_same_outcome(resumed, expected)


def test_a_killed_run_remembers_how_long_a_plateau_has_lasted(tmp_path):
    """Two epochs without improvement halve the rate here, one before and one after the run is killed."""
    # Gradients of nothing: no epoch is better than the first.
    options = {"scheduler": "plateau", "patience": 4, "gradient_clip": 1e-30, "weight_decay": 0.0}
    expected = run(tmp_path / "whole", **options)
    expected()
    assert expected.history()["learning_rate"].tolist() == [0.005, 0.005, 0.005, 0.0025]
    with pytest.raises(Killed):
        run(tmp_path / "run", call=6 * 2 + 2, **options)()
    resumed = run(tmp_path / "run", **options)
    resumed()
    assert_same_outcome(resumed, expected)


@pytest.mark.parametrize("call", [1, 5, 7, 24])
def test_it_does_not_matter_when_a_run_is_killed(tmp_path, call):
    """In the first batch, in validation, in the first batch of an epoch, in the last of the run."""
    expected = run(tmp_path / "whole")
    expected()
    with pytest.raises(Killed):
        run(tmp_path / "run", call=call)()
    resumed = run(tmp_path / "run")
    resumed()
    assert_same_outcome(resumed, expected)


@pytest.mark.parametrize("what", ["write", "plot"])
def test_killed_between_the_best_model_and_the_last_state(tmp_path, monkeypatch, what):
    """best_model.pt is then an epoch ahead of what the run goes on from."""
    expected = run(tmp_path / "whole")
    expected()
    best = expected.result.best_epoch
    assert best > 1
    times = []
    owner = callbacks.History if what == "write" else callbacks.BestModel
    method = getattr(owner, what)

    def dies(self, *arguments):
        times.append(1)
        if len(times) == (2 if what == "write" else 1):
            raise Killed
        return method(self, *arguments)

    monkeypatch.setattr(owner, what, dies)
    with pytest.raises(Killed):
        run(tmp_path / "run")()
    monkeypatch.undo()
    resumed = run(tmp_path / "run")
    resumed()
    assert_same_outcome(resumed, expected)


@pytest.mark.parametrize("file", ["last.ckpt", "best_model.pt"])
def test_killed_while_a_file_is_written(tmp_path, monkeypatch, file):
    """The old one stays until the new one is complete, beside it on the same disk."""
    expected = run(tmp_path / "whole")
    expected()
    times = []

    def dies(content, path, save=torch.save):
        if path.name == f"{file}.new":
            times.append(path.parent)
            if len(times) == 2:
                path.write_bytes(b"half")
                raise Killed
        save(content, path)

    monkeypatch.setattr(files.torch, "save", dies)
    with pytest.raises(Killed):
        run(tmp_path / "run")()
    monkeypatch.undo()
    assert times == [tmp_path / "run"] * 2
    resumed = run(tmp_path / "run")
    resumed()
    assert_same_outcome(resumed, expected)


def test_a_run_whose_directory_was_moved_remembers_the_best_score(tmp_path):
    # Gradients of nothing: no epoch is better than the first.
    options = {"gradient_clip": 1e-30, "weight_decay": 0.0}
    expected = run(tmp_path / "whole", **options)
    expected()
    assert expected.result.best_epoch == 1
    with pytest.raises(Killed):
        run(tmp_path / "run", call=6 * 2 + 2, **options)()
    (tmp_path / "run").rename(tmp_path / "moved")
    resumed = run(tmp_path / "moved", **options)
    resumed()
    assert_same_outcome(resumed, expected)


def test_a_run_killed_twice_goes_on(tmp_path):
    expected = run(tmp_path / "whole")
    expected()
    for call in (8, 9):
        with pytest.raises(Killed):
            run(tmp_path / "run", call=call)()
    resumed = run(tmp_path / "run")
    resumed()
    assert_same_outcome(resumed, expected)


@pytest.mark.parametrize("validation_rows", [tiny.VALIDATION_ROWS, tiny.NO_ROWS])
def test_8_3_an_early_stopped_run_started_again_is_where_it_was(tmp_path, capsys, validation_rows):
    options = {"patience": 1, "epochs": 30, "learning_rate": 0.05, "validation_rows": validation_rows}
    first = run(tmp_path, **options)
    first()
    assert 1 < first.result.epochs < 30 and "had not improved for 1 epochs" in first.result.stopped
    capsys.readouterr()
    again = run(tmp_path, **options)
    again()
    assert_same_outcome(again, first)
    assert capsys.readouterr().out == "", "no epoch is run"


def test_a_finished_run_started_again_is_where_it_was(tmp_path, capsys):
    first = run(tmp_path)
    first()
    capsys.readouterr()
    again = run(tmp_path)
    again()
    assert_same_outcome(again, first)
    assert capsys.readouterr().out == ""


def test_a_killed_run_that_validated_first_keeps_its_epoch_0(tmp_path):
    expected = run(tmp_path / "whole")
    expected(validate_first=True)
    with pytest.raises(Killed):
        run(tmp_path / "run", call=2 + 6 + 3)(validate_first=True)
    resumed = run(tmp_path / "run")
    resumed(validate_first=True)
    assert resumed.history().index.tolist() == [0, 1, 2, 3, 4]
    assert_same_outcome(resumed, expected)


# What the process to be killed does: see `Fatal`. It kills itself once the history shows two epochs, in the middle of
# the third: from outside the moment could not be met.
PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests import tiny
from tests.encoder.training.test_resume import OPTIONS, SIZES

class Deadly(tiny.Distances):
    late = 0

    def __call__(self, rows, asvs=None):
        history = directory / "history.tsv"
        if history.exists() and len(history.read_text().splitlines()) > 2:
            self.late += 1
            if self.late == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(rows, asvs)

directory = Path(sys.argv[1])
communities = tiny.survey()
tiny.Run(directory, communities=communities, unifrac=Deadly(communities), kind="numeric", sizes=SIZES, **OPTIONS)()
"""


def test_a_run_killed_by_sigkill_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "run")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    assert re.match(r"epoch 1/4  .*\nepoch 2/4  .*\n$", finished.stdout)
    expected = run(tmp_path / "whole")
    expected()
    resumed = run(tmp_path / "run")
    resumed()
    assert_same_outcome(resumed, expected)


def refused(directory, message, **changes):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(directory, **changes)()


def test_a_directory_with_a_run_of_other_settings_is_refused(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, call=9)()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    begin = f"run_dir {tmp_path} holds a run that was begun with other input: "
    end = ". Repeat it with the same input to go on with it, or give another run_dir."
    refused(
        tmp_path,
        f"{begin}epochs was 4, now 9; learning_rate was 0.005, now 0.5{end}",
        epochs=9,
        learning_rate=0.5,
    )
    refused(tmp_path, f"{begin}random_seed was 0, now 1{end}", random_seed=1)
    refused(tmp_path, f"{begin}lineages was 8, now 16{end}", sizes={**SIZES, "lineages": 16})
    other = "the table, its split or the target"
    refused(tmp_path, f"{begin}{other}{end}", kind="categorical")
    refused(tmp_path, f"{begin}{other}{end}", train_rows=np.arange(1, 15))
    with pytest.raises(ValueError, match=r"other input: the encoder, metric or phylogeny\. Repeat"):
        run(tmp_path)(origin="weighted")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    # Threads change nothing but time.
    run(tmp_path, threads=2)()


def test_memory_may_change_where_it_decides_nothing(tmp_path):
    """Where gradients go through as many ASVs as there is room for, it does."""
    for share in (0.5, "auto"):
        (tmp_path / str(share)).mkdir()
        with pytest.raises(Killed):
            run(tmp_path / str(share), call=9, gradient_share=share)()
    run(tmp_path / "0.5", gradient_share=0.5, max_tokens=99)()
    refused(
        tmp_path / "auto",
        f"run_dir {tmp_path / 'auto'} holds a run that was begun with other input: max_tokens was 81920, now 99. "
        "Repeat it with the same input to go on with it, or give another run_dir.",
        gradient_share="auto",
        max_tokens=99,
    )


@pytest.mark.parametrize("change", ["counts", "tokens", "sample_ids"])
def test_a_directory_with_a_run_of_another_table_is_refused(tmp_path, change):
    tiny.Run(tmp_path, epochs=1)()
    communities = tiny.survey()
    other = getattr(communities, change).copy()
    if change == "counts":
        other.data[0] += 1
    elif change == "tokens":
        other[0, 3] = other[0, 3] % 4 + 1
    else:
        other[0] = "another"
    other = tiny.changed(communities, **{change: other})
    with pytest.raises(ValueError, match="begun with other input: the table, its split or the target"):
        tiny.Run(tmp_path, epochs=1, communities=other)()


def test_a_run_that_never_ended_an_epoch_binds_nothing(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, call=2)()
    run(tmp_path, epochs=1)()
    assert json.loads((tmp_path / "settings.json").read_text())["epochs"] == 1


def test_tensorboard_can_follow_while_it_runs(tmp_path):
    """Event files are there and grow before the run's end, in the directory asked for."""
    with pytest.raises(Killed):
        run(tmp_path, call=15)()
    [file] = (tmp_path / "events").glob("events.out.tfevents.*")
    assert file.stat().st_size > 100
    assert (tmp_path / "last.ckpt").exists() and (tmp_path / "history.tsv").exists()


# Damage


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Directory of a run of one epoch."""
    directory = tmp_path_factory.mktemp("finished")
    tiny.Run(directory, epochs=1)()
    return directory


@pytest.fixture
def damaged(finished, tmp_path):
    """A copy, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def refused_as_damaged(directory, message):
    message = f"{message} Delete {directory} to begin anew, or give another run_dir."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tiny.Run(directory, epochs=1)()


@pytest.mark.parametrize("content", ["", '{"epochs": 1, "lea', "[]"])
def test_settings_that_cannot_be_read(damaged, content):
    path = damaged / "settings.json"
    path.write_text(content)
    refused_as_damaged(damaged, f"{path} cannot be read: it is cut short or was changed.")


@pytest.mark.parametrize("name", ["settings.json", "best_model.pt"])
def test_a_file_that_is_gone(damaged, name):
    (damaged / name).unlink()
    refused_as_damaged(damaged, f"{damaged / name} is not there, without which the run cannot go on.")


@pytest.mark.parametrize("name", ["last.ckpt", "best_model.pt"])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_a_file_that_is_cut_short(damaged, name, share):
    path = damaged / name
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} .* Delete {re.escape(str(damaged))} to begin anew"):
        tiny.Run(damaged, epochs=1)()


def test_a_last_state_that_is_something_else(damaged):
    path = damaged / "last.ckpt"
    path.write_text("Dear diary, today we trained.")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} .* Delete {re.escape(str(damaged))} to begin anew"):
        tiny.Run(damaged, epochs=1)()
    shutil.copy(damaged / "best_model.pt", path)
    refused_as_damaged(damaged, f"{path} is no last state of a run.")


class Code:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["last.ckpt", "best_model.pt"])
def test_code_in_a_directory_is_refused_and_does_not_run(damaged, name):
    path, ran = damaged / name, damaged / "ran"
    torch.save({**read_tensors(path), "more": Code(ran)}, path)
    refused_as_damaged(damaged, f"{path} is damaged, or holds something other than weights; it was not loaded.")
    assert not ran.exists()
    torch.load(path, weights_only=False)
    assert ran.exists(), "it would have run"


def test_settings_are_written_by_a_new_run_alone_and_whole(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        run(tmp_path, call=9)()
    path = tmp_path / "settings.json"
    before = path.read_text(), path.stat().st_mtime_ns
    run(tmp_path, threads=2)()
    assert (path.read_text(), path.stat().st_mtime_ns) == before

    def dies(path, text):
        write_bytes(path, text[:10].encode())
        raise Killed

    write_bytes = Path.write_bytes
    (tmp_path / "last.ckpt").unlink()
    monkeypatch.setattr(Path, "write_text", dies)
    with pytest.raises(Killed):
        run(tmp_path)()
    assert path.read_text() == before[0]


# What another run has left


def test_a_new_run_takes_nothing_over_from_another(tmp_path):
    """One that failed in its first epoch, say, which has no last state."""
    for folder in ("events", "plots"):
        (tmp_path / folder).mkdir()
    for name in ("events/events.out.tfevents.1.a.1.0", "plots/epoch-0007.png", "history.tsv", "best_model.pt"):
        (tmp_path / name).write_text("another's")
    for name in ("mine.txt", "plots/mine.png"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(Killed):
        run(tmp_path, call=1)()
    [events] = (tmp_path / "events").glob("events.out.tfevents.*")
    assert events.name != "events.out.tfevents.1.a.1.0"
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["mine.png"]
    assert not (tmp_path / "history.tsv").exists() and not (tmp_path / "best_model.pt").exists()
    assert (tmp_path / "mine.txt").read_text() == (tmp_path / "plots" / "mine.png").read_text() == "mine"


def test_a_run_that_goes_on_keeps_what_it_has_left(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, call=9)()
    before = set((tmp_path / "events").glob("events.out.tfevents.*"))
    run(tmp_path)()
    assert before < set((tmp_path / "events").glob("events.out.tfevents.*"))


def test_a_run_that_goes_on_with_other_versions_says_so(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, call=15)()
    path = tmp_path / "settings.json"
    noted = json.loads(path.read_text())
    assert noted["versions"]["torch"] == torch.__version__
    noted["versions"] |= {"torch": "2.0.0"}
    del noted["versions"]["q2-aam"]
    path.write_text(json.dumps(noted))
    found = run(tmp_path)()
    now = files.package_versions()
    assert found.stopped.endswith(
        f" The run was begun with q2-aam unknown (now {now['q2-aam']}), torch 2.0.0 (now {now['torch']})."
    )


def test_a_run_that_goes_on_with_the_same_versions_says_nothing_of_them(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, call=15)()
    assert run(tmp_path)().stopped == "All 4 epochs were run."
