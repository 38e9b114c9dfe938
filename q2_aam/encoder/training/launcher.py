"""Starting the processes of a run, and telling what ended them.

Torch's elastic launcher runs a Python of its own for each, so that it does not matter what started this one: `qiime`, a
notebook, a script without ``if __name__ == "__main__"``.
"""

import contextlib
import ctypes
import json
import logging
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import joblib
import torch

from q2_aam.encoder.device import use_threads
from q2_aam.settings import Runtime

COMMAND = (
    # Torch would remark that in some steps all parameters have gradients, as in others they have not.
    "import json, os, pathlib, sys; os.environ.setdefault('TORCH_CPP_LOG_LEVEL', 'ERROR'); "
    "sys.path[:] = json.loads(pathlib.Path(sys.argv[1], 'path.json').read_text()); "
    "from q2_aam.encoder.training.launcher import work; work(pathlib.Path(sys.argv[1]))"
)
# Seconds that nodes wait for each other at the start: queues and slow file systems.
RENDEZVOUS_TIMEOUT = 1800
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Meeting(NamedTuple):
    """Where several nodes find each other, and which of them this one is."""

    address: str
    port: int
    node: int


def meeting_of(num_nodes: int, environment: Mapping[str, str] = os.environ) -> Meeting:
    """Read it from the environment.

    Raises
    ------
    ValueError
        If variables are not set or are no numbers that can be.
    """
    number = next((name for name in ("NODE_RANK", "GROUP_RANK", "SLURM_NODEID") if name in environment), "NODE_RANK")
    names = ("MASTER_ADDR", "MASTER_PORT", number)
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise ValueError(
            f"num_nodes is {num_nodes}, but the environment lacks {' and '.join(missing)}. Set, on every node, "
            "MASTER_ADDR to the name of the first one, MASTER_PORT to a port that is free there, and NODE_RANK to the "
            "node's own number from 0 on (under SLURM, SLURM_NODEID is taken)."
        )
    address, port, node = (environment[name] for name in names)
    for name, text, most in (("MASTER_PORT", port, 2**16 - 1), (number, node, num_nodes - 1)):
        if not text.isdecimal() or int(text) > most:
            raise ValueError(
                f"{name} in the environment is {text!r}; it must be a number from 0 to {most}, as num_nodes is "
                f"{num_nodes}."
            )
    return Meeting(address, int(port), int(node))


def check_devices(device: str, devices: int) -> None:
    """Refuse more graphics cards than there are."""
    if device == "cuda" and devices > torch.cuda.device_count():
        raise ValueError(
            f"devices is {devices}, but torch finds {torch.cuda.device_count()} CUDA devices. Lower devices, or set "
            "device to 'cpu'."
        )


def run_in_processes(function: Callable, *arguments, device: str, devices: int, num_nodes: int):
    """Call a function in several processes at once, and return what it returns in this node's first.

    Parameters
    ----------
    function : callable
        It can be imported, and finds ``torch.distributed`` ready.
    *arguments
        Anything that can be pickled. Arrays are in one file that all processes map.
    device : {'cpu', 'cuda'}
        The processes talk by gloo or by nccl.
    devices, num_nodes : int
        Processes on this node, and nodes. The other nodes call the same.

    Raises
    ------
    Exception
        Whatever the function has raised in a process.
    RuntimeError
        If a process was ended from outside, or the other nodes are not there.
    """
    check_devices(device, devices)
    meeting = meeting_of(num_nodes) if num_nodes > 1 else None
    if device == "cuda":
        # Of what was computed here before: the first process will be on the same card.
        torch.cuda.empty_cache()
    with tempfile.TemporaryDirectory(prefix="q2-aam-") as name:
        scratch = Path(name)
        write_call(scratch, function, arguments, device, max(1, torch.get_num_threads() // devices))
        interrupt = launch(scratch, meeting, devices, num_nodes)
        if interrupt is None:
            return pickle.loads((scratch / "result").read_bytes())
    # As if the launcher had not caught it: most often the end.
    signal.raise_signal(interrupt.sigval)
    raise interrupt


def launch(scratch: Path, meeting: Meeting | None, devices: int, num_nodes: int) -> Exception | None:
    """Start the processes and wait for their end; the signal that ended them, if one was sent to this process."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.elastic.utils.distributed import get_free_port
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    address, port, node = meeting or Meeting("127.0.0.1", get_free_port(), 0)
    config = LaunchConfig(
        min_nodes=num_nodes,
        max_nodes=num_nodes,
        nproc_per_node=devices,
        run_id="q2-aam",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(scratch)),
        rdzv_timeout=RENDEZVOUS_TIMEOUT,
        # One that is ignored here (in the background of a shell script, say) stays so.
        signals_to_handle=",".join(n.name for n in SIGNALS if signal.getsignal(n) != signal.SIG_IGN),
        # The first node is the one that says so, not the one that comes first; and none comes or goes later.
        rdzv_backend="static",
        rdzv_endpoint=f"{address}:{port}",
        rdzv_configs={"rank": node},
        local_addr=None if meeting else address,
    )
    failures = {}
    try:
        with launching():
            elastic_launch(config, sys.executable)("-c", COMMAND, scratch)
    except SignalException as error:
        return error
    except ChildFailedError as error:
        failures = error.failures
    except (RendezvousError, torch.distributed.DistError) as error:
        if meeting is None:
            raise
        raise RuntimeError(
            f"The {num_nodes} nodes did not find each other at {address}:{port} within {RENDEZVOUS_TIMEOUT // 60} "
            f"minutes ({error}). Check that each has started, and that MASTER_ADDR and MASTER_PORT are the same on "
            "all."
        ) from error
    if failures:
        raise cause_of(scratch, failures, num_nodes)
    return None


@contextlib.contextmanager
def launching() -> Iterator[None]:
    """The launcher without its log, and everything as it was afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.distributed.elastic", "torchelastic-events-null")]
    propagates, silent = [logger.propagate for logger in loggers], logging.NullHandler()
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(silent)
    # Handlers can be set in the main thread only, and elsewhere it sets none.
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if main else {}
    variable = "TORCHELASTIC_SIGNALS_TO_HANDLE"
    before = os.environ.get(variable)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before
        for logger, propagate in zip(loggers, propagates, strict=True):
            logger.propagate = propagate
            logger.removeHandler(silent)


def write_call(scratch: Path, *call) -> None:
    """Write what the processes are to do."""
    (scratch / "path.json").write_text(json.dumps([str(entry) for entry in sys.path]))
    joblib.dump(call, scratch / "call")


def read_call(scratch: Path) -> tuple:
    """Read it; arrays are mapped, and not copied before they are written to."""
    return joblib.load(scratch / "call", mmap_mode="c")


def work(scratch: Path) -> None:
    """What each process does: the call, and a note of its result or of its error."""
    end_with_parent()
    # Sent by the launching process, which is the one to say so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    rank = int(os.environ["RANK"])
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"Warning: {message}\n"
    if rank:
        # The first process warns for all.
        warnings.simplefilter("ignore")
    try:
        function, arguments, device, threads = read_call(scratch)
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        result = use_threads(Runtime(threads=threads))(function)(*arguments)
        if os.environ["LOCAL_RANK"] == "0":
            (scratch / "result").write_bytes(pickle.dumps(result))
        torch.distributed.barrier()
        code = 0
    except Exception as error:
        note_error(scratch, rank, error)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of clean-up that may wait for other processes or threads.
    os._exit(code)


def end_with_parent() -> None:
    """Be killed when the launching process is, however that ends."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def note_error(scratch: Path, rank: int, error: Exception) -> None:
    """Keep an error for the launching process."""
    text = traceback.format_exc()
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
    except Exception:
        pickled = pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    path = scratch / f"error-{rank}"
    path.with_suffix(".new").write_bytes(pickle.dumps((time.time(), pickled, text)))
    path.with_suffix(".new").replace(path)


class InProcess(Exception):
    """Where in which process an error was raised."""


def cause_of(scratch: Path, failures: dict, num_nodes: int) -> Exception:
    """What ended the run: the first error that is not about another process being gone."""
    notes = []
    for path in scratch.glob("error-*"):
        seconds, error, text = pickle.loads(path.read_bytes())
        error = pickle.loads(error)
        error.__cause__ = InProcess(f"in process {path.name.removeprefix('error-')}:\n{text}")
        notes.append((lost_connection(error), seconds, error))
    notes.sort(key=lambda note: note[:2])
    if notes and not notes[0][0]:
        return notes[0][2]
    for failure in failures.values():
        # The launcher ends the others by SIGTERM.
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            return RuntimeError(
                f"Process {failure.local_rank} of {len(list(failures))} was ended by "
                f"{signal.Signals(-failure.exitcode).name}. If memory had run out, lower batch_size or devices. With a "
                "run_dir, the same command goes on from the last epoch."
            )
    if notes and num_nodes > 1:
        lost = RuntimeError(
            "The connection to the processes of another node was lost; what that node says explains it. With a "
            "run_dir, the same commands go on from the last epoch."
        )
        lost.__cause__ = notes[0][2]
        return lost
    return notes[0][2] if notes else RuntimeError(f"The processes ended without a word: {failures}.")


def lost_connection(error: Exception) -> bool:
    """Whether an error only says that another process has gone."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
