"""What `explain` takes and shows on real studies: deletion curves of samples not learnt from, stability of the top 20.

    python benchmarks/explaining.py --studies ecam-infant-age soil88-ph
"""

import argparse
import json

from report import markdown, measured, stage, write_section
from skill import DATA, STUDIES, Study

from q2_aam.actions.explain import explain
from q2_aam.actions.fit import fit

# Of each study one target.
TARGETS = {"ecam-infant-age": "month_of_life", "ibd-crohns-families": "ibd", "soil88-ph": "ph"}
SHOWN = (1, 5, 20, 100)


def measure(name: str, threads: int) -> dict:
    """A row of both tables: what it took, and what came out."""
    study, target = Study(DATA / name, *STUDIES[name]), TARGETS[name]
    columns = {"metadata": study.column(target), "groups": study.column(study.groups)}
    table = study.table.filter(set(study.frame.index[study.frame[target].notna()]), inplace=False).remove_empty()
    shared = {"sequences": study.sequences, "threads": threads}
    model = fit(table, **columns, **shared)[0]
    with stage() as alone:
        explain(table, model, **shared)
    with stage() as trusted:
        importance, effects = explain(table, model, **columns, **shared)
    said = json.loads((effects.path / "explanation.json").read_text())
    curve = {row["removed"]: row for row in said["trust"]["deletion"]}
    row = {
        "study": name, "target": target, "samples": f"{said['samples']} of {said['of_samples']}",
        "ASVs": len(importance), "seconds": alone.seconds, "seconds with metadata": trusted.seconds,
        "peak GB": trusted.peak_mb / 2**10, "score": said["trust"]["score"],
    }  # fmt: skip
    for removed in SHOWN:
        if removed in curve:
            row[f"without {removed}"] = curve[removed]["top"]
            row[f"random {removed}"] = curve[removed]["random"]
    stability = said["trust"]["stability"]
    return row | {"top 20 again": stability["overlap"], "of permuted values": stability["by_chance"]}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    rows = []
    for name in given.studies:
        rows.append(measured(measure, name, given.threads).value)
        print(rows[-1], flush=True)
    write_section("explaining", markdown(rows))


if __name__ == "__main__":
    main()
