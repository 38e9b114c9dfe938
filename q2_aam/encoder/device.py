"""Where and how precisely to compute."""

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator

import torch
from torch import nn

from q2_aam.encoder.threads import limited_threads
from q2_aam.settings import Runtime

# oneDNN keeps code and buffers for the last 1024 shapes it has met. Those of a step are some dozens; each batch brings
# others.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


# Of the GNU C library's mallopt, as its malloc.h numbers them.
M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -8, -3, -1
# One arena for all threads; memory in pieces of up to 32 MB, the most there is, is not given back to the system while
# less than 256 MB of it are free.
ALLOCATION = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 256 * 2**20}


def resolve_device(device: str) -> str:
    """'cpu' or 'cuda' for 'auto', 'cpu' or 'cuda'.

    Raises
    ------
    ValueError
        If cuda is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch finds no CUDA device. Set device to 'auto' or 'cpu'.")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def multiplies_bf16(device: str) -> bool:
    """Whether the device multiplies bf16 natively; elsewhere bf16 is emulated and slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def resolve_precision(precision: str, device: str) -> str:
    """'32', 'bf16' or '16' for a setting that may be 'auto'.

    Raises
    ------
    ValueError
        If 16 is asked for on a CPU, where its narrow range has no remedy.
    """
    if precision == "auto":
        return "bf16" if multiplies_bf16(device) else "32"
    if precision == "16" and device == "cpu":
        raise ValueError("precision 16 needs a GPU. On a CPU set precision to 'auto', 'bf16' or '32'.")
    return precision


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager:
    """Context in which matrix products are computed at a resolved precision."""
    if precision == "32":
        return contextlib.nullcontext()
    return torch.autocast(device, torch.bfloat16 if precision == "bf16" else torch.float16)


def compile_layers(network: nn.Module, device: str) -> None:
    """Have torch compile the transformers of a network when they first run, for rows of any number and length.

    Raises
    ------
    ValueError
        If the device is a CPU and there is no C++ compiler.
    """
    compiler = os.environ.get("CXX", "g++")
    if device == "cpu" and shutil.which(compiler) is None:
        raise ValueError(
            f"compile needs the C++ compiler {compiler}, which is not installed. Install it, or leave it out."
        )
    for encoder in (network.asv_encoder, network.sample_encoder):
        encoder.transformer.compile(dynamic=True)


@contextlib.contextmanager
def use_threads(runtime: Runtime) -> Iterator[int]:
    """Have torch and all libraries compute in so many threads for a while; gives their number.

    See :func:`q2_aam.encoder.threads.limited_threads`.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = available if runtime.threads == "auto" else runtime.threads
    with limited_threads(threads):
        yield threads


def share_memory_among_threads() -> None:
    """Have threads take memory from one place, and keep what they will need again.

    The GNU C library gives each thread a place of its own, where what is free is of no use to the others, and whose
    memory comes back from the system page by page: with two threads a training step took up to 1.6 times the memory.
    Threads that have taken memory before keep their places. There is no way back; other C libraries do not do that.
    """
    with contextlib.suppress(AttributeError, OSError):
        for parameter, value in ALLOCATION.items():
            ctypes.CDLL(None).mallopt(parameter, value)
