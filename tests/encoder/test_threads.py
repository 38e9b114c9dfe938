import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from q2_aam.encoder.device import use_threads
from q2_aam.encoder.threads import WAITING, limited_threads
from q2_aam.settings import Runtime

GNU = any(pool["prefix"] == "libgomp" for pool in threadpool_info())
# A little work in two threads, then a pause, over and over: CPU seconds of all threads, which are next to none unless
# a thread spins in the pauses. Before, within and after.
SPINNING = """
import os, sys, time
import {first}
import torch
from q2_aam.encoder.threads import limited_threads
torch.set_num_threads(2)
numbers = torch.randn(2**16)

def seconds():
    torch.sin(numbers)
    started = time.process_time()
    for _ in range(20):
        torch.sin(numbers)
        time.sleep(0.02)
    return time.process_time() - started

environment = dict(os.environ)
before = seconds()
try:
    with limited_threads(2):
        within = seconds()
        raise ZeroDivisionError
except ZeroDivisionError:
    print(before, within, seconds())
assert dict(os.environ) == environment
"""


def sizes():
    """Threads of each library, and of torch as it counts them."""
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()} | {"torch": torch.get_num_threads()}


def tasks():
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))


def spinning(first="torch", **environment):
    """CPU seconds before, within and after, in a process that imports a module first."""
    # With OMP_NUM_THREADS=1 in it, as in `make test`, GNU OpenMP counts threads in another way.
    environment = {n: value for n, value in os.environ.items() if n not in (*WAITING, "OMP_NUM_THREADS")} | environment
    command = [sys.executable, "-c", SPINNING.format(first=first)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(number) for number in run.stdout.split()]


def test_all_libraries_have_the_threads_for_a_while():
    assert {pool["user_api"] for pool in threadpool_info()} >= {"blas", "openmp"}, f"or {np.__name__} is not seen"
    before = sizes()
    for number in (3, 1):
        with use_threads(Runtime(threads=number)) as threads:
            blas = {pool["filepath"] for pool in threadpool_info() if pool["user_api"] == "blas"}
            # BLAS takes one: its threads are a trap beside other work.
            assert threads == number and {sizes()[path] for path in blas} == {1}
            assert {size for path, size in sizes().items() if path not in blas} == {number}
        with pytest.raises(ZeroDivisionError), use_threads(Runtime(threads=number)):
            raise ZeroDivisionError
        assert sizes() == before


def test_actions_side_by_side_in_one_process_leave_its_threads_as_they_were():
    """As QIIME 2's `--parallel` may run them: the first to begin ends first, while the second is at work."""

    def outside():
        """What a new thread sees."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(sizes).result()

    here, before, began, ended, seen = sizes(), outside(), [threading.Event(), threading.Event()], threading.Event(), {}

    def action(number):
        with limited_threads(1):
            began[number].set()
            began[1].wait(10)
            if number:
                ended.wait(10)
                seen.update(sizes(), **{"new thread": outside()["torch"]})

    with limited_threads(3):
        with limited_threads(1):
            pass
        assert outside()["torch"] == 3
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(action, 0)
        began[0].wait(10)
        second = pool.submit(action, 1)
        first.result()
        ended.set()
        second.result()
    assert set(seen.values()) == {1} and seen["new thread"] == 1
    assert outside() == before and sizes() == here


@pytest.mark.skipif(not GNU, reason="another OpenMP library")
@pytest.mark.parametrize("first", ["torch", "sklearn.utils._openmp_helpers"])
def test_threads_that_wait_do_not_spin_meanwhile(first):
    """Whoever has loaded OpenMP first; and the environment is as it was."""
    before, within, after = spinning(first)
    assert within < 0.3 * min(before, after)


@pytest.mark.skipif(not GNU, reason="another OpenMP library")
@pytest.mark.parametrize("setting", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "300000"}])
def test_who_has_chosen_how_threads_wait_is_respected(setting):
    before, within, _ = spinning(**setting)
    assert within > 0.5 * before


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads cannot be counted")
def test_no_thread_is_left_behind(monkeypatch):
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    torch.sin(torch.randn(2**16))
    before = tasks()
    with limited_threads(2), limited_threads(2):
        assert tasks() > before
    with pytest.raises(ZeroDivisionError), limited_threads(2):
        raise ZeroDivisionError
    deadline = time.monotonic() + 30
    while tasks() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tasks() == before
