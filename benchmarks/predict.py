"""Prediction of a table's samples: seconds, CPU seconds and peak memory, with each distinct ASV encoded once.

    python benchmarks/predict.py --sizes older default
"""

import argparse

import numpy as np
from report import markdown, measured, stage, write_results, write_section
from step import SIZES, simulate


def predict(size: str, precision: str, threads: int, batch_size: int) -> dict:
    """Measure the prediction of one size's samples, in this process."""
    import torch

    from q2_aam.encoder.aam import AAM
    from q2_aam.encoder.device import resolve_precision, use_threads
    from q2_aam.prediction import encode_samples, predict_targets
    from q2_aam.settings import Architecture, Runtime

    sizes = SIZES[size]
    communities = simulate(sizes["samples"], sizes["asvs"], sizes["richness"])
    torch.manual_seed(0)
    network = AAM(Architecture(**sizes["architecture"]), 1).eval()
    network.asv_encoder.anchor_on(torch.from_numpy(communities.tokens[:64]))
    resolved = resolve_precision(precision, "cpu")
    with use_threads(Runtime(threads=threads)), stage() as took:
        encoding = encode_samples(network, communities, batch_size=batch_size, precision=resolved)
        outputs = predict_targets(network, encoding)
    assert np.isfinite(outputs).all()
    return {
        "size": size,
        "precision": resolved,
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
    parser.add_argument("--precision", nargs="+", default=["32", "auto"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args(arguments)
    rows = [
        measured(predict, size, precision, options.threads, options.batch_size).value
        for size in options.sizes
        for precision in options.precision
    ]
    write_results("predict", rows)
    table = markdown(rows)
    print(table)
    write_section("predict", table)


if __name__ == "__main__":
    main()
