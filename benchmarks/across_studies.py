"""Predictions in studies of which none was learnt from: the body site, and adults' age.

The body site, by what moving-pictures taught: it has stool, tongue and skin of two people. Other studies are of one
of these sites (or of one near it, saliva for the tongue); how many of their samples are named right, beside all
baselines, which know shared ASVs alone. The ready encoder has read moving-pictures' communities and oral-saliva-ph's
(of V3-V4: no ASV is shared, and `predict` would refuse them), and none of the others.

And the age of adults by their stool, each of five studies by the other four, which are its groups: error, and how often
the 90% intervals hold the truth, of samples by how far they lie.

    python benchmarks/across_studies.py
"""

import argparse
from pathlib import Path

import biom
import numpy as np
import pandas as pd
from report import markdown, write_section
from skill import DATA

from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation.baselines import predict_by_baselines
from q2_aam.predictor import Predictor
from q2_aam.settings import Embedding, Fitting
from q2_aam.study.communities import read_sequences
from q2_aam.study.study import read_study

# Studies and their column of age in years; all are cut to 150 nucleotides.
AGES = {
    "colombia-gut-250": "age_years", "corpus/hiv-hnrc-gut": "host_age", "corpus/cron-diet-gut": "Age (years)",
    "chronic-fatigue-gut": "Age", "corpus/exercise-gut": "Age",
}  # fmt: skip
AGE_LENGTH, MOST_OF_AGES = 150, 200
# Beyond that percentile of the distances of training samples a sample lies outside.
OUTSIDE = 99
SOURCE, TARGET, GROUPS, LENGTH = "moving-pictures-bodysite", "body_site", "collection_timestamp", 100
# Studies and what their samples are of. All are cut to the shortest reads among them.
OTHERS = {
    "ecam-infant-age": "UBERON:feces", "ibd-crohns-families": "UBERON:feces", "colombia-gut-250": "UBERON:feces",
    "pancreatitis-gut": "UBERON:feces", "chronic-fatigue-gut": "UBERON:feces", "oral-saliva-ph": "UBERON:tongue",
}  # fmt: skip
MOST = 300


def cut_table(name: str, length: int = LENGTH, most: int = MOST, among: pd.Index | None = None) -> biom.Table:
    """A study's table of sequences of one length, at most some of its samples (or of some that are named)."""
    folder = DATA / name
    table, sequences = biom.load_table(str(folder / "table.biom")), read_sequences(str(folder / "sequences.fasta"))
    ids = table.ids() if among is None else [i for i in table.ids() if i in among]
    chosen = np.random.default_rng(0).permutation(ids)[:most]
    table = table.filter(set(chosen), inplace=False).remove_empty()
    return table.collapse(lambda feature, _: sequences[feature][:length], axis="observation", norm=False)


def ages_of() -> tuple[dict[str, biom.Table], dict[str, pd.Series]]:
    """Tables of the studies with ages, and the ages."""
    tables, values = {}, {}
    for name, column in AGES.items():
        frame = pd.read_csv(DATA / name / "metadata.tsv", sep="\t", index_col=0, comment="#", dtype=str)
        years = pd.to_numeric(frame[column], errors="coerce").dropna()
        table = cut_table(name, AGE_LENGTH, MOST_OF_AGES, years.index)
        short = Path(name).name
        values[short] = years[table.ids()].set_axis([f"{short}.{i}" for i in table.ids()]).rename("age")
        tables[short] = table.update_ids(dict(zip(table.ids(), values[short].index, strict=True)), inplace=False)
    return tables, values


def one_by_one(encoder: Encoder, threads: int) -> list[dict]:
    """Ages in the other studies by what one study alone taught: how often intervals hold, by how far samples lie."""
    (tables, values), parts = ages_of(), []
    settings = Embedding(encoder.description.token_limit, threads=threads)
    for name, table in tables.items():
        truth = values[name][table.ids()].rename_axis("id").rename("age")
        predictor = Predictor.fit(encoder, read_study(table, target=truth), Fitting(threads=threads))
        for other in tables:
            if other != name:
                predicted, true = predictor.predict(read_study(tables[other]), settings), values[other]
                frame = predicted.certainty.assign(prediction=predicted.values, true=true[predicted.values.index])
                frame["percentile"] = predicted.novelty["nearest_percentile"]
                parts.append(frame)
    frame = pd.concat(parts)
    frame["held"] = frame["true"].between(frame["lower"], frame["upper"])
    frame["error"] = (frame["prediction"] - frame["true"]).abs()
    bins = pd.cut(frame["percentile"], [-1, 50, 75, 90, 95, 99, 99.9, 100])
    found = frame.groupby(bins, observed=True).agg(
        samples=("held", "size"), holds=("held", "mean"), error=("error", "mean")
    )
    named = found.set_axis([f"{place.left:g} to {place.right:g}" for place in found.index]).rename_axis("percentile")
    return named.reset_index().to_dict("records")


def ages(encoder: Encoder, threads: int) -> list[dict]:
    """Each study's ages by the other studies."""
    (tables, values), rows = ages_of(), []
    for name, table in tables.items():
        others = [other for other in tables if other != name]
        joined = tables[others[0]].concat([tables[other] for other in others[1:]], axis="sample")
        truth = pd.concat([values[other] for other in others])[joined.ids()].rename_axis("id")
        groups = pd.Series([i.split(".")[0] for i in joined.ids()], truth.index, name="study")
        predictor = Predictor.fit(encoder, read_study(joined, target=truth, groups=groups), Fitting(threads=threads))
        predicted = predictor.predict(read_study(table), Embedding(encoder.description.token_limit, threads=threads))
        rivals = predict_by_baselines(
            joined, truth, table, kind="numeric", n_jobs=threads, random_state=0, groups=groups.to_numpy()
        )
        true = values[name][predicted.values.index]
        held = true.between(predicted.certainty["lower"], predicted.certainty["upper"])
        outside = predicted.novelty["nearest_percentile"] >= OUTSIDE
        row = {
            "study": name, "samples": len(true), "median age": true.median(),
            "others' mean age": truth.mean(), "q2-aam": (predicted.values - true).abs().mean(),
            **{method: (rivals[method] - true).abs().mean() for method in rivals},
            "intervals hold": held.mean(),
            "width": (predicted.certainty["upper"] - predicted.certainty["lower"]).median(),
            "outside": outside.mean(), "intervals hold, outside": held[outside].mean(),
            "intervals hold, inside": held[~outside].mean(),
        }  # fmt: skip
        print(row, flush=True)
        rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    encoder = Encoder.ready()
    read = {study["name"] for study in encoder.description.data["studies"]}
    metadata = DATA / SOURCE / "metadata.tsv"
    train = read_study(cut_table(SOURCE), metadata=metadata, target=TARGET, groups=GROUPS)
    predictor = Predictor.fit(encoder, train, Fitting(threads=given.threads))
    rows, source = [], cut_table(SOURCE)
    for name, site in OTHERS.items():
        table = cut_table(name)
        settings = Embedding(encoder.description.token_limit, threads=given.threads, foreign="ignore")
        predicted = predictor.predict(read_study(table), settings)
        others = predict_by_baselines(
            source, train.target.loc[source.ids()], table, kind="categorical", n_jobs=given.threads, random_state=0,
            groups=train.groups.loc[source.ids()].to_numpy(),
        )  # fmt: skip
        shared = set(source.ids("observation")) & set(table.ids("observation"))
        known = table.filter(shared, axis="observation", inplace=False)
        row = {
            "study": name, "site": site.split(":")[1], "read by the encoder": "yes" if name in read else "no",
            "samples": len(predicted.values),
            "reads in known ASVs": known.sum() / table.sum(), "q2-aam": (predicted.values == site).mean(),
            **{method: (others[method] == site).mean() for method in others},
            "percentile of distance (median)": float(predicted.novelty["nearest_percentile"].median()),
        }  # fmt: skip
        print(row, flush=True)
        rows.append(row)
    print(text := markdown(pd.DataFrame(rows).to_dict("records")))
    write_section("across-studies", text)
    print(text := markdown(ages(encoder, given.threads)))
    write_section("across-ages", text)
    print(text := markdown(one_by_one(encoder, given.threads)))
    write_section("across-percentiles", text)


if __name__ == "__main__":
    main()
