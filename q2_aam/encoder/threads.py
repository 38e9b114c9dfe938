"""Threads of every library that computes, and how they wait for work."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from threadpoolctl import ThreadpoolController

# With one of these set, whoever set it has chosen how threads wait.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
# Threads that those within :func:`of_the_process` take, the latest last; what the first of them found.
INSIDE, FOUND, LOCK = {}, {}, threading.Lock()


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
    # Of this thread: each has a number of its own.
    pools, before = ThreadpoolController(), torch.get_num_threads()
    with of_the_process(pools, threads), pools.limit(limits={"openmp": threads}):
        with sleeping_threads(pools if threads > 1 else None):
            torch.set_num_threads(threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)


@contextlib.contextmanager
def of_the_process(pools: ThreadpoolController, threads: int) -> Iterator[None]:
    """Keep what all threads of the process share: BLAS has one thread, and torch's number for new threads comes back.

    Several may be within at a time, as QIIME 2's parallel pipelines run actions in threads. So whoever leaves last
    restores what the first one found, not what was there when it came itself.
    """
    own = object()
    with LOCK:
        if not INSIDE:
            FOUND.update(blas=pools.select(user_api="blas").limit(limits=1), torch=of_new_threads())
        INSIDE[own] = threads
    try:
        yield
    finally:
        with LOCK:
            del INSIDE[own]
            of_new_threads(next(reversed(INSIDE.values())) if INSIDE else FOUND["torch"])
            if not INSIDE:
                FOUND["blas"].restore_original_limits()


def of_new_threads(number: int | None = None) -> int:
    """How many threads torch has in a thread that begins; first set to a number, if there is one."""
    with ThreadPoolExecutor(1) as another:
        if number is not None:
            another.submit(torch.set_num_threads, number).result()
        return another.submit(torch.get_num_threads).result()


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
