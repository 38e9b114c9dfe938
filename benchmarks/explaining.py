"""What `explain` takes and shows on real studies: deletion curves of samples not learnt from, stability of the top 20.

    python benchmarks/explaining.py --studies ecam-infant-age soil88-ph
    python benchmarks/explaining.py --curves --most-read 2000000

With ``--curves`` the whole deletion curves, and no times; rows are added to ``results/explaining.jsonl`` as they come,
and the table is of the last run of each study.
"""

import argparse
import json

from report import RESULTS, markdown, measured, stage, write_section
from skill import DATA, STUDIES, Study

from q2_aam.actions.explain import explain
from q2_aam.actions.fit import fit
from q2_aam.settings import Explaining

# Of each study one target.
TARGETS = {"ecam-infant-age": "month_of_life", "ibd-crohns-families": "ibd", "soil88-ph": "ph"}
SHOWN = (1, 5, 20, 100)
ROWS = RESULTS / "explaining.jsonl"


def prepared(name: str, threads: int) -> tuple:
    """The table of a study, a model of it, and what both are made of."""
    study, target = Study(DATA / name, *STUDIES[name]), TARGETS[name]
    columns = {"metadata": study.column(target), "groups": study.column(study.groups)}
    table = study.table.filter(set(study.frame.index[study.frame[target].notna()]), inplace=False).remove_empty()
    shared = {"sequences": study.sequences, "threads": threads}
    return table, fit(table, **columns, **shared)[0], columns, shared


def curve(name: str, threads: int, most_read: int) -> dict:
    """What trust says of a study."""
    table, model, columns, shared = prepared(name, threads)
    _, effects = explain(table, model, most_read=most_read, **columns, **shared)
    said = json.loads((effects.path / "explanation.json").read_text())
    return {"study": name, "samples": said["samples"], "of_samples": said["of_samples"], **said["trust"]}


def shown(row: dict) -> list[dict]:
    """Lines of the table: a number of ASVs that left."""
    stability, lines = row["stability"], []
    for point in row["deletion"]:
        first = not point["removed"]
        lines.append({
            "study": row["study"] if first else "", "score": row["metric"] if first else "",
            "removed": point["removed"], "the most important": point["top"],
            "random": None if first else point["random"],
            "lowest to highest": "" if first else f"{point['random_low']:.3f} to {point['random_high']:.3f}",
            "reads gone": "" if first else f"{point['top_reads']:.1%}",
            "at random": "" if first else f"{point['random_reads']:.1%}",
            "top 20 again": stability["overlap"] if first else None,
            "of permuted values": stability["by_chance"] if first else None,
        })  # fmt: skip
    return lines


def measure(name: str, threads: int) -> dict:
    """A row: what it took, and what came out."""
    table, model, columns, shared = prepared(name, threads)
    with stage() as alone:
        explain(table, model, **shared)
    with stage() as trusted:
        importance, effects = explain(table, model, **columns, **shared)
    said = json.loads((effects.path / "explanation.json").read_text())
    curve = {row["removed"]: row for row in said["trust"]["deletion"]}
    row = {
        "study": name, "target": TARGETS[name], "samples": f"{said['samples']} of {said['of_samples']}",
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
    parser.add_argument("--curves", action="store_true", help="whole deletion curves, in a table of their own")
    parser.add_argument("--most-read", type=int, default=Explaining.most_read, help="as explain takes it, for --curves")
    given = parser.parse_args(arguments)
    rows = []
    if given.curves:
        RESULTS.mkdir(exist_ok=True)
        for name in given.studies:
            row = measured(curve, name, given.threads, given.most_read).value
            with open(ROWS, "a") as file:
                file.write(json.dumps(row) + "\n")
        last = {row["study"]: row for row in map(json.loads, ROWS.read_text().splitlines())}
        write_section("deletion", markdown([line for name in TARGETS if name in last for line in shown(last[name])]))
        return
    for name in given.studies:
        rows.append(measured(measure, name, given.threads).value)
        print(rows[-1], flush=True)
    write_section("explaining", markdown(rows))


if __name__ == "__main__":
    main()
