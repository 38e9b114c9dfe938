"""Whether `explain` finds what was planted in simulated surveys, and believes nothing where labels are permuted.

    python benchmarks/planted.py planted --seeds 0 1 2 3 4
    python benchmarks/planted.py permuted --seeds 0 1 2 3 4 5 6 7 8 9

Rows are added to ``results/planted.jsonl`` as they come; the tables are of all rows there.
"""

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from report import RESULTS, markdown, write_section

from q2_aam.encoder.encoder import Encoder
from q2_aam.explain import measure_trust, occlude
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.simulation.planted import plant
from q2_aam.simulation.survey import simulate_survey
from q2_aam.study.study import read_study
from q2_aam.visualizers import _trust

ROWS = RESULTS / "planted.jsonl"
SAMPLES, ASVS = 120, 120
# Of permuted labels, of which many are needed.
FEW_SAMPLES, FEW_ASVS = 60, 90


def planted(seed: int, head: str) -> list[dict]:
    """What became of each thing that was planted, for numbers and for classes; nothing where a survey has no room."""
    try:
        made = plant(SAMPLES, ASVS, 100, random_seed=seed)
    except ValueError:
        return []
    survey, rows = made.survey, []
    with tempfile.TemporaryDirectory() as folder:
        survey.tree.write(str(Path(folder) / "tree.nwk"), format="newick")
        shared = {"metadata": survey.metadata, "phylogeny": Path(folder) / "tree.nwk"}
        studies = {name: read_study(survey.table, survey.sequences, target=name, **shared) for name in ("y", "level")}
    for target, study in studies.items():
        fitting, quiet = Fitting(head=head, threads=1, foreign="ignore"), Explaining(threads=1, foreign="ignore")
        predictor = Predictor.fit(Encoder.ready(), study, fitting)
        score = predictor.description.scores[f"out-of-fold/{'r2' if target == 'y' else 'balanced_accuracy'}"]
        nested = occlude(predictor, study, study.phylogeny, quiet)
        alone = nested.subset(np.flatnonzero(nested.groups.sizes == 1)).table()
        clades, members = nested.cut().table(), nested.cut().members()
        effect = "effect" if target == "y" else "effect_high"
        held = [name for name in made.clade if name in members.index]
        names = members[held].unique()
        shared = {name: len(set(held) & set(members.index[members == name])) for name in names}
        best = max(names, key=lambda name: shared[name] / (clades["asvs"][name] + len(held) - shared[name]))
        rank, rank_of_clades = (table["importance"].rank(ascending=False).astype(int) for table in (alone, clades))
        rows.append({
            "kind": "planted", "seed": seed, "column": "numeric" if target == "y" else "classes", "head": head,
            "score": score, "ASVs": len(alone), "higher": rank[made.up], "lower": rank[made.down],
            "twin": rank[made.twin],
            "directions": bool(alone[effect][made.up] > 0 > alone[effect][made.down] and clades[effect][best] > 0),
            "clade's ASVs": len(held), "their ranks": ", ".join(str(n) for n in sorted(rank[held])),
            "clades": len(clades), "clade": rank_of_clades[best],
            "of its ASVs": f"{shared[best]} of {len(held)}, {int(clades['asvs'][best]) - shared[best]} others",
        })  # fmt: skip
    return rows


def permuted(seed: int, head: str) -> list[dict]:
    """What trust comes to where the values of samples, or of whole sites, were permuted."""
    rows, encoder = [], Encoder.ready()
    survey = simulate_survey(FEW_SAMPLES, FEW_ASVS, 100, random_seed=1000 + seed)
    site, rng = survey.metadata["site"], np.random.default_rng(seed)
    for name in ("ph", "habitat"):
        values = survey.metadata[name]
        of_site = values.groupby(site).agg("mean" if name == "ph" else lambda part: part.mode()[0])
        for grouped in (False, True):
            drawn = rng.permutation((of_site if grouped else values).to_numpy())
            drawn = pd.Series(drawn, of_site.index)[site].to_numpy() if grouped else drawn
            target = pd.Series(drawn, values.index, name=name)
            study = read_study(survey.table, survey.sequences, target=target, groups=site if grouped else None)
            quiet = Explaining(threads=1, foreign="ignore", random_seed=seed)
            try:
                predictor = Predictor.fit(encoder, study, Fitting(head=head, threads=1, foreign="ignore"))
                trust = measure_trust(predictor, study, settings=quiet).to_dict()
            except ValueError:
                # A class of permuted sites may be of one site alone.
                continue
            page = SimpleNamespace(about={"trust": trust, "notes": []}, noun="ASV", classes=[])
            sections = (_trust.skill, _trust.removal, _trust.stability)
            rows.append(
                {"kind": "permuted", "seed": seed, "column": name, "grouped": grouped, "head": head, "trust": trust}
                | {section.__name__: section(page)[1] for section in sections}
            )
    return rows


def summary(rows: list[dict]) -> list[dict]:
    """How often each part of the page believed permuted labels."""
    table = []
    for name, grouped in (("ph", False), ("ph", True), ("habitat", False), ("habitat", True)):
        part = [row for row in rows if (row["column"], row["grouped"]) == (name, grouped)]
        if part:
            table.append(_believed(part) | {"column": name, "permuted": "sites" if grouped else "samples"})
    table.append(_believed(rows) | {"column": "all", "permuted": ""})
    return [{key: row[key] for key in ("column", "permuted", *list(row)[:-2])} for row in table]


def _believed(rows: list[dict]) -> dict:
    apart = [row["trust"]["stability"]["overlap"] - row["trust"]["stability"]["by_chance"] for row in rows]
    curves = [
        (last["top"] - last["random"]) for row in rows for last in row["trust"]["deletion"] if last["removed"] == 20
    ]
    good = {name: [row[name] == "success" for row in rows] for name in ("skill", "removal", "stability")}
    return {
        "runs": len(rows), "skill": sum(good["skill"]), "removal costs more": sum(good["removal"]),
        "stable": sum(good["stability"]), "all three": sum(map(all, zip(*good.values(), strict=True))),
        "overlap above chance, mean": float(np.mean(apart)), "its 90th percentile": float(np.quantile(apart, 0.9)),
        "its largest": max(apart), "score without 20 less without random 20": float(np.mean(curves)),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("planted", "permuted", "tables"))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--head", default=None, help="ensemble of what is planted, kernel of permuted labels")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    RESULTS.mkdir(exist_ok=True)
    for seed in given.seeds if given.what != "tables" else ():
        job = planted if given.what == "planted" else permuted
        rows = job(seed, given.head or ("ensemble" if given.what == "planted" else "kernel"))
        with open(ROWS, "a") as file:
            file.writelines(json.dumps(row, default=int) + "\n" for row in rows)
        print(seed, len(rows), flush=True)
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    of = {kind: [row for row in rows if row["kind"] == kind] for kind in ("planted", "permuted")}
    if of["planted"]:
        shown = [{key: value for key, value in row.items() if key not in ("kind", "head")} for row in of["planted"]]
        write_section("planted", markdown(sorted(shown, key=lambda row: (row["column"], row["seed"]))))
    if of["permuted"]:
        write_section("permuted", markdown(summary(of["permuted"])))


if __name__ == "__main__":
    main()
