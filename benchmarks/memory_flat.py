"""Whether memory grows in a process that goes on: epochs of a pretraining, and prediction after prediction.

A tiny network learns for many epochs; a model is loaded once and predicts again and again, as in a notebook; and a
model is loaded anew each time. After a tenth of each, and at the end, what the process holds (resident, MiB) is noted:
what grows with the work shows in the difference. Writes results/memory-flat.json and a section of speed.md.

    python benchmarks/memory_flat.py [--epochs 200] [--predictions 1000]
"""

import argparse
import contextlib
import gc
import os
import tempfile
from pathlib import Path

from report import markdown, write_results, write_section


def resident() -> float:
    """MiB that this process holds; memory that was given back to the allocator alone counts, too."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(steps: int, step) -> dict:
    """Resident MiB after a tenth of so many steps, and at their end; with files, threads and folders left open."""
    for _ in range(steps // 10):
        step()
    before, open_before = resident(), len(os.listdir("/proc/self/fd"))
    for _ in range(steps - steps // 10):
        step()
    after = resident()
    return {
        "steps": steps,
        "after a tenth, MiB": before,
        "at the end, MiB": after,
        "more files open": len(os.listdir("/proc/self/fd")) - open_before,
        "threads": len(os.listdir("/proc/self/task")),
    }


def epochs(study, count: int) -> dict:
    """The same of a pretraining, epoch by epoch."""
    from q2_aam.encoder.encoder import Encoder
    from q2_aam.encoder.training import callbacks
    from q2_aam.settings import Architecture, Optimization, Training

    noted, add = [], callbacks.History.add

    def noting(self, trainer, seconds):
        add(self, trainer, seconds)
        noted.append(resident())

    callbacks.History.add = noting
    settings = Training(Optimization(epochs=count, patience=0))
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            Encoder.pretrain(study, settings, architecture=Architecture(dim=16, heads=2, lineages=16))
    finally:
        callbacks.History.add = add
    threads = len(os.listdir("/proc/self/task"))
    first, last = noted[len(noted) // 10], noted[-1]
    sizes = {"after a tenth, MiB": first, "at the end, MiB": last}
    return {"steps": count, **sizes, "more files open": None, "threads": threads}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--predictions", type=int, default=1000)
    arguments = parser.parse_args()

    from q2_aam.encoder.encoder import Encoder
    from q2_aam.predictor import Predictor
    from q2_aam.simulation.study import simulate_study

    rows = [{"what": "epochs of a pretraining", **epochs(simulate_study(24, with_phylogeny=True), arguments.epochs)}]
    samples = simulate_study(12, random_seed=3)
    with tempfile.TemporaryDirectory() as folder:
        Predictor.fit(Encoder.ready(), simulate_study(30, target="ph")).save(folder)
        model = Predictor.load(folder)
        rows.append({"what": "predictions", **growth(arguments.predictions, lambda: model.predict(samples))})
        loaded = max(10, arguments.predictions // 10)
        rows.append({"what": "models loaded", **growth(loaded, lambda: Predictor.load(folder))})
    write_results("memory-flat", rows)
    write_section("memory-flat", markdown(rows))
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
