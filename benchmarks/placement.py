"""Predicted distances in place of exact ones: r and RMSE, what PERMANOVA says of both, and the time for many samples.

Of each study that the ready encoder has not read: exact UniFrac among its samples by the tree of its source, or by one
of mafft and FastTree, which stays in the folder given; predicted UniFrac; and of both PERMANOVA's pseudo-F and p of a
column of classes (the target, or groups). The time and memory of `embed` are of simulated samples.

    python benchmarks/placement.py --trees FOLDER --samples 1000 10000
"""

import argparse
import sys
from pathlib import Path

import biom
import numpy as np
from large_survey import draw_counts
from report import markdown, measured, stage, write_section
from skbio import DistanceMatrix
from skbio.stats.distance import mantel, permanova
from skill import DATA, STUDIES, Study

from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.ordination import distance_matrix
from q2_aam.settings import USUAL_METRIC, WEIGHTED_METRIC

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools" / "ready_encoder"))

MOST = 300
PERMUTATIONS = 999


def measure(name: str, trees: Path, threads: int) -> list[dict]:
    """A row a metric."""
    from corpus import survey

    read, study = survey(DATA / name, trees, MOST, 0, threads), Study(DATA / name, *STUDIES[name])
    placed, ids, rows = Encoder.ready().embed(read), list(read.communities.sample_ids), []
    column = [target for target in study.targets if not study.numeric(target)][-1]
    classes = study.metadata.get_column(column).to_series().reindex(ids).dropna().astype(str)
    for metric in (USUAL_METRIC, WEIGHTED_METRIC):
        exact = np.triu(read.unifrac(metric)(np.arange(len(ids))), 1).astype(np.float64)
        predicted = distance_matrix(placed, weighted=metric == WEIGHTED_METRIC).astype(np.float64)
        matrices = [DistanceMatrix(part, ids) for part in (exact + exact.T, predicted)]
        off = matrices[1].condensed_form() - matrices[0].condensed_form()
        row = {"study": name, "metric": metric.split("_")[0], "samples": len(ids)}
        row |= {"Mantel r": mantel(*matrices, permutations=0)[0], "RMSE": float(np.sqrt(np.mean(off**2)))}
        row |= {"column": column, "classes": classes.nunique()}
        for kind, matrix in zip(("exact", "predicted"), matrices, strict=True):
            tested = permanova(matrix.filter(classes.index), classes.tolist(), permutations=PERMUTATIONS)
            row |= {f"pseudo-F, {kind}": tested["test statistic"], f"p, {kind}": tested["p-value"]}
        rows.append(row)
    return rows


def many(samples: int) -> dict:
    """Seconds and memory of `embed` for simulated samples of random sequences."""
    from q2_aam.actions.embed import embed

    rng = np.random.default_rng(0)
    counts = draw_counts(samples, rng)
    ids = ["".join(letters) for letters in rng.choice(list("ACGT"), (counts.shape[1], 150))]
    table = biom.Table(counts.T.tocsr(), ids, [f"s{number}" for number in range(samples)])
    with stage() as took:
        embed(table, foreign="ignore")
    return {"samples": samples, "ASVs": len(ids), "seconds": took.seconds, "peak GB": took.peak_mb / 2**10}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="*", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--trees", type=Path, required=True, help="folder where trees that are made stay")
    parser.add_argument("--samples", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.studies:
        rows += measure(name, given.trees, given.threads)
        print(markdown(rows[-2:]), flush=True)
    if rows:
        write_section("placement", markdown(rows))
    times = [measured(many, number).value for number in given.samples]
    if times:
        print(markdown(times))
        write_section("placement-time", markdown(times))


if __name__ == "__main__":
    main()
