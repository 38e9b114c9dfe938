import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from q2_aam.encoder.training import launcher
from q2_aam.encoder.training.launcher import (
    Meeting,
    cause_of,
    check_devices,
    meeting_of,
    note_error,
    read_call,
    run_in_processes,
    write_call,
)
from tests import tiny

ROOT = Path(__file__).parents[3]


def refusal(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("variable", ["NODE_RANK", "GROUP_RANK", "SLURM_NODEID"])
def test_nodes_meet_where_the_environment_says(variable):
    environment = {"MASTER_ADDR": "node-7", "MASTER_PORT": "29501", variable: "1"}
    assert meeting_of(2, environment) == Meeting("node-7", 29501, 1)


def test_ones_own_number_goes_before_that_of_slurm():
    environment = {"MASTER_ADDR": "here", "MASTER_PORT": "1", "NODE_RANK": "2", "SLURM_NODEID": "1"}
    assert meeting_of(3, environment).node == 2


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, "MASTER_ADDR and MASTER_PORT and NODE_RANK"),
        ({"SLURM_NODEID": "0", "MASTER_ADDR": "here"}, "MASTER_PORT"),
        ({"MASTER_ADDR": "here", "MASTER_PORT": "5"}, "NODE_RANK"),
    ],
)
def test_what_the_environment_lacks_is_named(environment, missing):
    with refusal(
        f"num_nodes is 2, but the environment lacks {missing}. Set, on every node, MASTER_ADDR to the name of the "
        "first one, MASTER_PORT to a port that is free there, and NODE_RANK to the node's own number from 0 on (under "
        "SLURM, SLURM_NODEID is taken)."
    ):
        meeting_of(2, environment)


def test_what_cannot_be_is_refused():
    where = {"MASTER_ADDR": "here", "MASTER_PORT": "5"}
    with refusal("NODE_RANK in the environment is '2'; it must be a number from 0 to 1, as num_nodes is 2."):
        meeting_of(2, {**where, "NODE_RANK": "2"})
    with refusal("MASTER_PORT in the environment is 'http'; it must be a number from 0 to 65535, as num_nodes is 2."):
        meeting_of(2, {**where, "MASTER_PORT": "http", "NODE_RANK": "1"})


def test_more_graphics_cards_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with refusal("devices is 3, but torch finds 2 CUDA devices. Lower devices, or set device to 'cpu'."):
        run_in_processes(print, device="cuda", devices=3, num_nodes=1)
    check_devices("cuda", 2)
    check_devices("cpu", 64)


def test_several_nodes_without_a_meeting_point_are_refused_before_anything_is_started(tmp_path, monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "GROUP_RANK", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"^num_nodes is 2, but the environment lacks MASTER_ADDR"):
        tiny.Run(tmp_path, num_nodes=2, batch_size=2)()


def test_too_few_samples_are_refused_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "write_call", None)
    for rows in ({"train_rows": np.arange(7)}, {"validation_rows": np.arange(15, 20)}):
        with pytest.raises(ValueError, match=r"^[57] samples .* cannot be shared by 8 processes: each takes one"):
            tiny.Run(tmp_path, devices=8, **rows)()


def test_half_precision_cannot_skip_steps_in_several_processes(tmp_path):
    message = (
        "non_finite 'skip' does not work with precision 16 in several processes. Set precision to 'bf16' or '32', or "
        "non_finite to 'error'."
    )
    with refusal(message):
        tiny.Run(tmp_path, devices=2, precision="16", non_finite="skip")()


def test_one_process_is_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "write_call", None)
    before = signal.getsignal(signal.SIGTERM)
    tiny.Run(tmp_path, epochs=1, devices=1, num_nodes=1)()
    assert not torch.distributed.is_initialized() and signal.getsignal(signal.SIGTERM) == before


def test_arrays_are_mapped_and_not_copied(tmp_path):
    large, empty = np.arange(100_000.0), np.zeros((0, 3))
    run = tiny.Run(tmp_path / "run")
    write_call(tmp_path, len, (run.dataset, large, empty, "text"), "cpu")
    assert large.nbytes <= (tmp_path / "call").stat().st_size < large.nbytes + 60_000
    function, (dataset, found, nothing, text), device = read_call(tmp_path)
    assert function is len and text == "text" and device == "cpu" and nothing.shape == (0, 3)
    assert np.array_equal(found, large) and not found.flags.owndata
    assert (dataset.communities.counts != run.communities.counts).nnz == 0
    # Each process may change its own.
    found[0] = -1.0
    assert read_call(tmp_path)[1][1][0] == 0


def noted(scratch, **errors):
    for name, error in errors.items():
        try:
            raise error
        except Exception as raised:
            note_error(scratch, int(name[1:]), raised)


def ended(**codes):
    return {int(n[1:]): SimpleNamespace(local_rank=int(n[1:]), exitcode=code) for n, code in codes.items()}


GONE = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:7")


def test_the_first_error_that_explains_is_the_cause(tmp_path):
    noted(tmp_path, r1=GONE, r2=ValueError("Sample s1 is bad."), r0=KeyError("later"))
    cause = cause_of(tmp_path, ended(r0=1, r1=1, r2=1), 1)
    assert type(cause) is ValueError and str(cause) == "Sample s1 is bad."
    assert str(cause.__cause__).startswith("in process 2:\nTraceback")


class TwoWords(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def test_an_error_that_cannot_be_sent_is_told(tmp_path):
    noted(tmp_path, r0=TwoWords("no", "luck"))
    cause = cause_of(tmp_path, ended(r0=1), 1)
    assert type(cause) is RuntimeError and str(cause) == "TwoWords: no luck"


def test_a_killed_process_explains_lost_connections(tmp_path):
    noted(tmp_path, r0=GONE)
    cause = cause_of(tmp_path, ended(r0=1, r1=-9), 1)
    assert str(cause).startswith("Process 1 of 2 was ended by SIGKILL. If memory had run out, lower batch_size")


def test_another_node_explains_lost_connections(tmp_path):
    noted(tmp_path, r0=GONE)
    cause = cause_of(tmp_path, ended(r0=1, r1=-15), 2)
    assert str(cause).startswith("The connection to the processes of another node was lost; what that node says")
    assert cause.__cause__.args == GONE.args
    assert cause_of(tmp_path, ended(r0=1), 1).args == GONE.args


# Without a guard, from a thread, from a folder where nothing is: multiprocessing could start nothing from here.
SCRIPT = """
import os, sys, tempfile, threading
import torch
torch.set_num_threads(6)
from q2_aam.encoder.training.launcher import run_in_processes
os.chdir(tempfile.mkdtemp())
def start():
    print(run_in_processes(torch.get_num_threads, device="cpu", devices=2, num_nodes=1))
thread = threading.Thread(target=start)
thread.start()
thread.join()
"""


def test_processes_start_from_a_script_without_a_guard_and_from_a_thread():
    done = subprocess.run(
        [sys.executable, "-"], input=SCRIPT, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    # Each has its share of the threads.
    assert (done.stdout, done.stderr) == ("3\n", "")


WAITING = """
from q2_aam.encoder.training.launcher import run_in_processes
# In one piece: both write to the same pipe.
code = "import os, time; os.write(1, str(os.getpid()).encode() + bytes([10])); time.sleep(100)"
try:
    run_in_processes(exec, code, device="cpu", devices=2, num_nodes=1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_processes_end_with_the_one_that_started_them(number, code, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        # What runs in the background of a shell has been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as parent:  # fmt: skip
        children = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(running(child) for child in children)
        parent.send_signal(number)
        # Until both have closed it too.
        rest = parent.stdout.read()
        assert parent.wait(60) == code and rest == ("interrupted\n" if number == signal.SIGINT else "")
    # A process closes its files a moment before it is gone.
    assert any(not any(running(child) for child in children) or time.sleep(0.1) for _ in range(100))
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_result_is_that_of_the_first_process():
    handlers = [signal.getsignal(number) for number in launcher.SIGNALS]
    environment = dict(os.environ)
    assert run_in_processes(np.add, np.arange(3), 1, device="cpu", devices=2, num_nodes=1).tolist() == [1, 2, 3]
    assert [signal.getsignal(number) for number in launcher.SIGNALS] == handlers
    assert os.environ == environment
