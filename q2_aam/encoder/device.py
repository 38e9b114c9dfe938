"""Where and how precisely to compute."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import torch
from torch import nn

from q2_aam.encoder.threads import limited_threads
from q2_aam.settings import Runtime

CACHED_SHAPES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def cache_few_shapes() -> None:
    """Have oneDNN keep code and buffers for the last 64 shapes, rather than 1024.

    Those of a step are some dozens, and each batch brings others. It reads its environment when it is first used, which
    is here, so that the variable need not stay. Nothing changes where it was used before, or the variable is set.
    """
    if CACHED_SHAPES in os.environ or not torch.backends.mkldnn.is_available():
        return
    os.environ[CACHED_SHAPES] = "64"
    try:
        torch.ones(1).to_mkldnn()
    finally:
        del os.environ[CACHED_SHAPES]


cache_few_shapes()


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
        # Asked by q2_aam.encoder.chunks.one_by_one.
        encoder.transformer.compiled = True


def available_cores() -> int:
    """Cores that this process may use; in a job of Galaxy no more than it was given slots."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    slots = os.environ.get("GALAXY_SLOTS", "")
    return min(cores, int(slots)) if slots.isdigit() and int(slots) else cores


@contextlib.contextmanager
def use_threads(runtime: Runtime) -> Iterator[int]:
    """Have torch and all libraries compute in so many threads for a while; gives their number.

    Afterwards torch's random generators are as they were. See :func:`q2_aam.encoder.threads.limited_threads`.
    """
    threads = available_cores() if runtime.threads == "auto" else runtime.threads
    cards = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with limited_threads(threads), torch.random.fork_rng(devices=cards):
        yield threads
