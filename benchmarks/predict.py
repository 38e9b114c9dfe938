"""Embedding of a table's samples, which is nearly all that a prediction takes: seconds, CPU seconds and peak memory.

Each distinct ASV is encoded once, in float32, as `predict` does.

    python benchmarks/predict.py --sizes older default
"""

import argparse

import numpy as np
from report import markdown, measured, stage, write_results, write_section
from step import SIZES, simulate


def predict(size: str, threads: int, batch_size: int) -> dict:
    """Measure the prediction of one size's samples, in this process."""
    import torch

    from q2_aam.encoder.aam import AAM
    from q2_aam.encoder.device import use_threads
    from q2_aam.encoder.embedding import embed_tables
    from q2_aam.settings import Architecture, Embedding, Runtime

    sizes = SIZES[size]
    communities = simulate(sizes["samples"], sizes["asvs"], sizes["richness"])
    torch.manual_seed(0)
    network = AAM(Architecture(**sizes["architecture"])).eval()
    network.asv_encoder.anchor_on(torch.from_numpy(communities.tokens[:64]))
    with use_threads(Runtime(threads=threads)), stage() as took:
        [embedding] = embed_tables(network, [communities], Embedding(batch_size=batch_size, device="cpu"))
    assert np.isfinite(embedding.samples).all()
    return {
        "size": size,
        "threads": threads,
        "samples": len(communities),
        "ASVs": len(communities.present_asvs()),
        "ASVs in samples": communities.counts.nnz,
        "seconds": took.seconds,
        "CPU seconds a sample": took.cpu_seconds / len(communities),
        "peak GB": took.peak_mb / 2**10,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args(arguments)
    rows = [measured(predict, size, options.threads, options.batch_size).value for size in options.sizes]
    write_results("predict", rows)
    table = markdown(rows)
    print(table)
    write_section("predict", table)


if __name__ == "__main__":
    main()
