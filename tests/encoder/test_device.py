import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from q2_aam.encoder import chunks, device
from q2_aam.encoder.device import (
    compile_layers,
    multiplies_bf16,
    resolve_device,
    resolve_precision,
    use_threads,
)
from q2_aam.settings import Runtime
from tests import tiny


def test_auto_is_cuda_where_there_is_one(monkeypatch):
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert resolve_device("auto") == expected
        assert resolve_device("cpu") == "cpu"


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = "device is 'cuda', but torch finds no CUDA device. Set device to 'auto' or 'cpu'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolve_device("cuda")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "32"), ({}, "32")],
)
def test_auto_is_bf16_where_the_processor_multiplies_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_precision("auto", "cpu") == expected


def test_auto_is_32_where_torch_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bf16("cpu")
    assert resolve_precision("auto", "cpu") == "32"


def test_a_precision_asked_for_is_taken(monkeypatch):
    monkeypatch.setattr(device, "multiplies_bf16", lambda _: False)
    assert resolve_precision("bf16", "cpu") == "bf16"
    assert resolve_precision("32", "cuda") == "32"
    assert resolve_precision("16", "cuda") == "16"


def test_precision_16_is_refused_on_a_cpu():
    message = "precision 16 needs a GPU. On a CPU set precision to 'auto', 'bf16' or '32'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolve_precision("16", "cpu")


def test_auto_threads_are_the_cores_this_process_may_use(monkeypatch):
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.delenv("GALAXY_SLOTS", raising=False)
    with use_threads(Runtime()) as threads:
        assert threads == torch.get_num_threads() == 3


@pytest.mark.parametrize(("slots", "expected"), [("2", 2), ("8", 3), ("0", 3), ("", 3), ("many", 3)])
def test_auto_threads_in_galaxy_are_the_slots_of_the_job(monkeypatch, slots, expected):
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setenv("GALAXY_SLOTS", slots)
    assert device.available_cores() == expected
    with use_threads(Runtime(threads=1)) as threads:
        assert threads == 1


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")
def test_a_compiled_network_learns_the_same(tmp_path, monkeypatch):
    """One run with, one without: the same losses but for rounding; and torch did compile, in one thread alone."""
    monkeypatch.setitem(chunks.CHUNK, "cpu", 400)
    histories = []
    torch._dynamo.reset()
    for compiled in (False, True):
        run = tiny.Run(tmp_path / str(compiled), compile=compiled, epochs=1, batch_size=8)
        run()
        histories.append(run.history().drop(columns="seconds"))
        assert bool(torch._dynamo.utils.counters["stats"]["unique_graphs"]) == compiled
        for encoder in (run.network.asv_encoder, run.network.sample_encoder):
            assert chunks.one_by_one(encoder) == compiled
    # On a processor with AMX a validation loss of 0.0348 differs by 0.00004.
    assert np.allclose(*histories, rtol=1e-3, atol=1e-4, equal_nan=True)


def test_compile_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError) as error:
        compile_layers(tiny.network(), "cpu")
    assert str(error.value) == (
        "compile needs the C++ compiler no-such-compiler, which is not installed. Install it, or leave it out."
    )


SHAPES = """
import os
import sklearn, torch  # which set variables of their own
environment = dict(os.environ)
import q2_aam.encoder.device
assert dict(os.environ) == environment
for size in (*range(64, 164), 64):
    torch.ones(size, 64).to_mkldnn()
"""


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN")
@pytest.mark.parametrize(
    "setting, last", [({}, "miss"), ({"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "1024"}, "hit")], ids=["ours", "theirs"]
)
def test_onednn_caches_few_shapes_and_the_environment_is_as_it_was(setting, last):
    """A shape met a hundred shapes ago is made anew, unless whoever started the process has set the capacity."""
    environment = {name: value for name, value in os.environ.items() if name != device.CACHED_SHAPES}
    run = subprocess.run(
        [sys.executable, "-c", SHAPES],
        env=environment | {"ONEDNN_VERBOSE": "profile_create"} | setting,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"create:cache_(hit|miss).*,64x64,", run.stdout) == ["miss", last]
