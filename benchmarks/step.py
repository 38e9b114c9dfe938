"""A training step: seconds, CPU seconds, peak memory, rate of its matrix products, and where the time goes.

Each row is measured in a process of its own. `older` has the sizes at which the older AAM program takes 78 CPU seconds
and 18.3 GB for a step; `default` is what `qiime aam pretrain` does by itself.

    python benchmarks/step.py --sizes older default --steps 5

With `--beside 0 2` each is measured twice: by itself, and beside two processes that keep a core busy each.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import numpy as np
import scipy.sparse as sp
from report import markdown, measured, stage, write_results, write_section

SIZES = {
    "older": {
        "architecture": {"nucleotides_per_token": 1, "nucleotide_layers": 4, "sample_layers": 4, "max_length": 150},
        "batch_size": 8,
        "samples": 256,
        "asvs": 1482,
        "richness": 163,
    },
    "default": {"architecture": {}, "batch_size": 32, "samples": 256, "asvs": 2335, "richness": 100},
}
LENGTH = 150
OPERATORS_SHOWN = 12
# Also ends when the process that started it was killed.
BUSY_LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(10**6))"


@contextmanager
def busy_loops(number: int) -> Iterator[list[subprocess.Popen]]:
    """Keep so many processes busy for a while."""
    loops = []
    try:
        for _ in range(number):
            loops.append(subprocess.Popen([sys.executable, "-c", BUSY_LOOP]))
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def simulate(samples: int, asvs: int, richness: int, length: int = LENGTH, random_seed: int = 0):
    """Communities of random sequences, some ASVs common and most rare; all that matters for time is their number."""
    from q2_aam.study.communities import Communities
    from q2_aam.study.tokenizer import START

    rng = np.random.default_rng(random_seed)
    commonness = rng.normal(0, 1, asvs)
    held = np.clip(rng.normal(richness, richness / 5, samples).astype(int), 1, asvs)
    order = np.argsort(-(commonness + rng.gumbel(size=(samples, asvs))), axis=1)
    columns = np.concatenate([np.sort(row[:number]) for row, number in zip(order, held, strict=True)])
    counts = sp.csr_matrix(
        (rng.integers(1, 200, len(columns)).astype(np.float32), columns, np.concatenate([[0], held.cumsum()])),
        shape=(samples, asvs),
    )
    tokens = np.concatenate([np.full((asvs, 1), START), rng.integers(1, 5, (asvs, length))], 1).astype(np.uint8)
    nothing = np.zeros(samples)
    ids = np.array([f"s{row}" for row in range(samples)], dtype=object)
    return Communities(counts, ids, tokens, nothing, nothing, nothing, asvs, 0)


def step(size: str, steps: int, precision: str, threads: int) -> dict:
    """Measure the steps of one size, in this process."""
    import torch
    from products import Products, seconds_alone
    from torch.profiler import ProfilerActivity, profile

    from q2_aam.encoder.aam import AAM
    from q2_aam.encoder.batches import CommunityDataset, batch_loader
    from q2_aam.encoder.device import resolve_precision, use_threads
    from q2_aam.encoder.training.meters import EpochMeter
    from q2_aam.encoder.training.module import TrainingModule
    from q2_aam.encoder.training.optimizers import build_optimizer
    from q2_aam.settings import Architecture, PretrainingSampling, Runtime, Training

    sizes = SIZES[size]
    communities = simulate(sizes["samples"], sizes["asvs"], sizes["richness"])
    settings = Training(sampling=PretrainingSampling())
    parts = settings.sampling.subcommunities
    most = sizes["batch_size"] * (1 + parts)
    distances = np.random.default_rng(1).random((most, most), dtype=np.float32)
    # Any distances: UniFrac is computed beside the steps, and is no part of what is measured here.
    dataset = CommunityDataset(
        communities, unifrac=lambda rows, asvs: distances[: len(rows), : len(rows)], subcommunities=parts
    )
    loader = iter(batch_loader(dataset, np.arange(len(communities)), sizes["batch_size"], 0, shuffle=True))
    batches = [next(loader) for _ in range(steps + 1)]
    torch.manual_seed(0)
    network = AAM(Architecture(**sizes["architecture"]))
    network.asv_encoder.anchor_on(batches[0].tokens)
    module = TrainingModule(network, settings, communities.sample_ids)
    optimizer = build_optimizer(network, settings.optimization)
    precision = resolve_precision(precision, "cpu")

    def take(batch) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            losses = module.losses(batch, EpochMeter(None))
            total = sum(settings.objective.weight_of(name) * loss for name, (loss, _) in losses.items())
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.optimization.gradient_clip)
        optimizer.step()

    taken, used = [], []
    with use_threads(Runtime(threads=threads)):
        take(batches[0])
        for batch in batches[1:]:
            with stage() as took:
                take(batch)
            taken.append(took)
            used.append({"asvs": len(batch.tokens), "instances": int(batch.mask[:: batch.step].sum())})
    # Last, since the memory of a step in the main thread would count as the others'. In one thread: what others do is
    # not seen.
    with use_threads(Runtime(threads=1)), Products() as products:
        take(batches[0])
    # In the same process, at the same precision: what the machine does of these products alone.
    with use_threads(Runtime(threads=threads)):
        alone, flops = seconds_alone(products.seen), products.flops()
    with use_threads(Runtime(threads=1)), profile(activities=[ProfilerActivity.CPU]) as profiled:
        take(batches[0])
    operators = sorted(profiled.key_averages(), key=lambda o: -o.self_cpu_time_total)
    everything = sum(o.self_cpu_time_total for o in operators)
    seconds = float(np.median([t.seconds for t in taken]))
    return {
        "size": size,
        "precision": precision,
        "threads": threads,
        "ASVs": int(np.median([u["asvs"] for u in used])),
        "ASVs in samples": int(np.median([u["instances"] for u in used])),
        "seconds": seconds,
        "CPU seconds": float(np.median([t.cpu_seconds for t in taken])),
        "peak GB": max(t.peak_mb for t in taken) / 2**10,
        "GFLOP": flops / 1e9,
        "GFLOP/s": flops / 1e9 / seconds,
        "products alone, GFLOP/s": flops / 1e9 / alone,
        "share": alone / seconds,
        "operators": {o.key: o.self_cpu_time_total / everything for o in operators[:OPERATORS_SHOWN]},
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--precision", nargs="+", default=["auto"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--beside", type=int, nargs="+", default=[0], help="busy loops that run meanwhile")
    options = parser.parse_args(arguments)
    rows = []
    for size, precision, threads, beside in product(
        options.sizes, options.precision, options.threads, options.beside
    ):
        with busy_loops(beside):
            rows.append({"beside": beside} | measured(step, size, options.steps, precision, threads).value)
    write_results("step", rows)
    table = markdown([{k: v for k, v in row.items() if k != "operators"} for row in rows])
    shares = "\n".join(
        f"{row['size']}, {row['precision']}, threads {row['threads']}, beside {row['beside']}: "
        + ", ".join(f"{operator} {share:.0%}" for operator, share in row["operators"].items())
        + "."
        for row in rows
    )
    text = f"{table}\nShare of a step's time by operator:\n\n{shares}"
    print(text)
    write_section("step", text)


if __name__ == "__main__":
    main()
