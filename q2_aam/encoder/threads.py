"""Threads of every library that computes, and how they wait for work."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

import torch
from threadpoolctl import ThreadpoolController

# With one of these set, whoever set it has chosen how threads wait.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
# Who is within :func:`of_the_process` at the moment.
INSIDE, LOCK = [], threading.Lock()


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Have torch and OpenMP use so many threads for a while, which sleep when they have nothing to do, and BLAS one.

    OpenBLAS's threads meet thousands of times in the algebra of a fit, and yield while they wait: beside two busy loops
    `fit` of 699 samples took 337 s with two of them, and 49 s with one.

    Parameters
    ----------
    threads : int
        Of each library that is loaded. One that is loaded later has as many as it likes, unless its threads are
        those of another that was here already.
    """
    pools = ThreadpoolController()
    with of_the_process(pools), pools.limit(limits={"openmp": threads}):
        with sleeping_threads(pools if threads > 1 else None):
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)


@contextlib.contextmanager
def of_the_process(pools: ThreadpoolController) -> Iterator[None]:
    """Keep what all threads of the process share: BLAS has one thread, and torch's number for new threads comes back.

    Several may be within at a time, as QIIME 2's parallel pipelines run actions in threads. So whoever leaves last
    restores what the first one found, not what was there when it came itself.
    """
    with LOCK:
        found = INSIDE[0] if INSIDE else (pools.limit(limits={"blas": 1}), torch.get_num_threads())
        INSIDE.append(found)
    try:
        yield
    finally:
        with LOCK:
            INSIDE.pop()
            if not INSIDE:
                limited, threads = found
                limited.restore_original_limits()
                torch.set_num_threads(threads)


@contextlib.contextmanager
def sleeping_threads(pools: ThreadpoolController | None) -> Iterator[None]:
    """Have threads of GNU OpenMP sleep at once when they wait, rather than spin for milliseconds.

    A thread that spins holds a core that another program, or the thread that it waits for, could use. The environment
    could say so, but is read when the library is loaded, which a notebook or another QIIME 2 plugin may have done
    before, and child processes would inherit it. But the library hardly spins while it has more threads than there are
    cores (``gomp_throttled_spin_count_var`` in its ``config/linux/wait.h``). So a thread of ours has it start that many
    more, which only sleep, and ends with them. Other OpenMP libraries (LLVM's, Intel's) are left as they are.

    Parameters
    ----------
    pools : ThreadpoolController or None
        Libraries that are loaded; None for no change.
    """
    if pools is None or any(name in os.environ for name in WAITING):
        yield
        return
    paths = {pool.filepath for pool in pools.lib_controllers if pool.prefix == "libgomp"}
    ready, end = threading.Barrier(1 + len(paths)), threading.Event()
    holders = [threading.Thread(target=hold_threads, args=(path, ready, end), daemon=True) for path in paths]
    for holder in holders:
        holder.start()
    ready.wait()
    try:
        yield
    finally:
        end.set()
        for holder in holders:
            holder.join()


def hold_threads(path: str, ready: threading.Barrier, end: threading.Event) -> None:
    """Keep one thread of the OpenMP library at ``path`` more than there are cores, until the end."""
    try:
        library = ctypes.CDLL(path)
        library.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        # What each of them does must not be Python, whose lock they would wait for: free(NULL) does nothing.
        nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)
        library.GOMP_parallel(nothing, None, 1 + library.omp_get_num_procs(), 0)
    finally:
        # Also after an error: then threads spin as ever, and nobody waits for ever.
        ready.wait()
    end.wait()
