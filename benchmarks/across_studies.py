"""Predictions in studies of which none was learnt from: the body site, by what moving-pictures taught.

moving-pictures has stool, tongue and skin of two people. Other studies are of one of these sites (or of one near it,
saliva for the tongue); how many of their samples are named right, beside all baselines, which know shared ASVs alone.
The ready encoder has read moving-pictures' communities and oral-saliva-ph's (of V3-V4: no ASV is shared), and none of
the others.

    python benchmarks/across_studies.py
"""

import argparse

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

SOURCE, TARGET, GROUPS, LENGTH = "moving-pictures-bodysite", "body_site", "collection_timestamp", 100
# Studies and what their samples are of. All are cut to the shortest reads among them.
OTHERS = {
    "ecam-infant-age": "UBERON:feces", "ibd-crohns-families": "UBERON:feces", "colombia-gut-250": "UBERON:feces",
    "pancreatitis-gut": "UBERON:feces", "chronic-fatigue-gut": "UBERON:feces", "oral-saliva-ph": "UBERON:tongue",
}  # fmt: skip
MOST = 300


def cut_table(name: str) -> biom.Table:
    """A study's table of sequences of the common length, at most some of its samples."""
    folder = DATA / name
    table, sequences = biom.load_table(str(folder / "table.biom")), read_sequences(str(folder / "sequences.fasta"))
    chosen = np.random.default_rng(0).permutation(table.ids())[:MOST]
    table = table.filter(set(chosen), inplace=False).remove_empty()
    return table.collapse(lambda feature, _: sequences[feature][:LENGTH], axis="observation", norm=False)


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


if __name__ == "__main__":
    main()
