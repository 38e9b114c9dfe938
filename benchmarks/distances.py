"""What target distances cost: reading a large phylogeny, cutting it down, distances of a batch or of a whole table.

Simulated tables (`large_survey.py`) on random trees with more tips than the table has features. Each measurement runs
in a process of its own. Writes results/distances.json and a section of docs/benchmarks/scale.md. (A script named
unifrac.py would stand in the way of the library of that name.)

    python benchmarks/distances.py --tips 100000 1000000 --samples 1000 10000
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from report import markdown, measured, stage, write_results, write_section

SECTION = "distances"
BATCH = 32


def write_tree(path: Path, tips: int) -> None:
    """A random birth tree with tips ``t0``, ``t1``, ... as a Newick file."""
    import bp
    from large_survey import draw_tree

    from q2_aam.study.phylogeny import Phylogeny

    rng = np.random.default_rng(0)
    sizes, _ = draw_tree(tips, rng)
    names = np.full(len(sizes), None, dtype=object)
    names[sizes == 1] = [f"t{i}" for i in range(tips)]
    with open(path, "w") as file:
        bp.write_newick(Phylogeny(sizes, rng.exponential(0.02, len(sizes)), names).to_bp(), file, False)


def measure(path: Path, samples: int, threads: int) -> dict:
    """Read a tree, cut it to a table whose ASVs are anywhere in it, and compute distances."""
    import biom
    from large_survey import draw_counts

    from q2_aam.study.phylogeny import read_phylogeny
    from q2_aam.study.unifrac import UniFracDistances

    with stage() as reading:
        tree = read_phylogeny(path)
    rng = np.random.default_rng(1)
    counts = draw_counts(samples, rng)
    names = tree.names[tree.tips()]
    if counts.shape[1] > len(names):
        raise ValueError(
            f"{samples} samples hold {counts.shape[1]} ASVs, the tree has {len(names)} tips. Give more tips."
        )
    names = rng.choice(names, counts.shape[1], replace=False)
    table = biom.Table(counts.T.tocsr(), names, [str(i) for i in range(samples)])
    with stage() as cutting:
        parts = UniFracDistances(table, tree, threads=threads, matrix_budget=0)
    cut = parts._tree.to_bp()
    batches = [rng.choice(samples, BATCH, replace=False) for _ in range(10)]
    parts(batches[0])
    with stage() as batching:
        for rows in batches:
            parts(rows)
    some = set(names[np.unique(counts[batches[0]].indices)])
    with stage() as by_library:
        cut.shear(some).collapse()
    whole = UniFracDistances(table, tree, threads=threads)
    found = {
        "tips": len(tree.tips()),
        "features": len(names),
        "samples": samples,
        "read": reading.row(),
        "cut": cutting.row(),
        "batch": {name: value / len(batches) for name, value in batching.row().items() if name != "peak_mb"},
        "cut_by_library_cpu_seconds": by_library.cpu_seconds,
        "matrix": None,
    }
    if whole._keeps_matrix:
        with stage() as together:
            whole(batches[0])
        found["matrix"] = together.row()
        found["largest_difference"] = max(float(np.abs(whole(rows) - parts(rows)).max()) for rows in batches)
    return found


def listed(sizes: list[int]) -> str:
    """Sizes as they are given to an option."""
    return " ".join(map(str, sizes))


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tips", type=int, nargs="+", default=[100_000], help="sizes of the phylogenies")
    parser.add_argument("--samples", type=int, nargs="+", default=[1000], help="sizes of the tables")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for tips in sorted(options.tips):
            path = Path(directory) / f"{tips}.nwk"
            measured(write_tree, path, tips)
            for samples in sorted(options.samples):
                found.append(measured(measure, path, samples, options.threads).value)
                print(found[-1], flush=True)
    write_results("distances", {"threads": options.threads, "found": found})
    rows = [
        {
            "tips": each["tips"],
            "features": each["features"],
            "samples": each["samples"],
            "read the tree: CPU s": each["read"]["cpu_seconds"],
            "MB": each["read"]["peak_mb"],
            "cut to the table: CPU s": each["cut"]["cpu_seconds"],
            "MB ": each["cut"]["peak_mb"],
            f"a batch of {BATCH}: CPU ms": 1000 * each["batch"]["cpu_seconds"],
            "only to cut its tree with bp: CPU ms": 1000 * each["cut_by_library_cpu_seconds"],
            "whole matrix: CPU s": each["matrix"] and each["matrix"]["cpu_seconds"],
            "MB  ": each["matrix"] and each["matrix"]["peak_mb"],
            "largest difference": each.get("largest_difference"),
        }
        for each in found
    ]
    command = f"python benchmarks/distances.py --tips {listed(options.tips)} --samples {listed(options.samples)}"
    text = f"`{command}`, {options.threads} threads.\n\n{markdown(rows)}"
    print(text)
    write_section(SECTION, text)


if __name__ == "__main__":
    main()
