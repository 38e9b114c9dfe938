"""What other trims and regions of the gene cost, with the ready encoder (or another one), as they are or harmonized.

The same people by two primer pairs (V1-V2 and V3-V4, 192 samples of each): how often the nearest sample of the other
region, by predicted UniFrac distance, is the same person's. The encoder has read both sets, but never a distance
between them. And predictors that were fitted to sequences of one trim, on samples of the same study with another one
(five folds, of whole groups where there are some, seed 0): with `foreign` ignored, and mended, where it can be.

    python benchmarks/regions.py

The same of tables that are harmonized by references (`97_otus.fasta` of PyPI's `qiime-default-reference`, say), as
`harmonize-regions` does it; and a model of body sites that was fitted to V4, on samples of other regions:

    python benchmarks/regions.py --reference FASTA
"""

import argparse
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp
from report import markdown, write_section
from skill import DATA

from q2_aam.cross_validation import folds_of
from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation.forests import random_forest
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.predictor import Predictor
from q2_aam.settings import CrossValidation, Embedding, Fitting, Harmonizing
from q2_aam.study.communities import read_sequences
from q2_aam.study.references import harmonize
from q2_aam.study.study import Study, read_study

PEOPLE = {"V1-V2": "feces-v12-192people", "V3-V4": "feces-v34-192people"}
# Study, target, groups, the trim that is learnt from and those that are predicted: first and last nucleotide.
TRIMS = (
    *(
        ("ecam-infant-age", target, "host_subject_id", (0, 150), ((0, 150), (0, 120), (0, 100), (5, 150), (10, 150)))
        for target in ("month_of_life", "delivery")
    ),
    ("ibd-crohns-families", "ibd", "host_subject_id", (0, 100), ((0, 100), (0, 90), (5, 100), (10, 100))),
    ("colombia-gut-250", "city", None, (0, 150), ((0, 150), (0, 250), (0, 200), (0, 100))),
    ("colombia-gut-250", "city", None, (0, 250), ((0, 250), (0, 150), (0, 100))),
)  # fmt: skip


# Stool (V1-V2 and V3-V4; of iga-bariatric mostly sorted fractions of it) and saliva (V3-V4), and what a model of
# moving-pictures should name them; saliva is nearest to the tongue. The encoder has read all, each by itself.
SITES = {
    "feces-v12-192people": "UBERON:feces", "feces-v34-192people": "UBERON:feces", "iga-bariatric-v3v4": "UBERON:feces",
    "oral-saliva-ph": "UBERON:tongue",
}  # fmt: skip


SITE_SAMPLES = 300


def trimmed(folder: Path, trim: tuple[int, int] | None, references: dict | None = None, **columns) -> Study:
    """A study with its sequences cut, features that become alike being one; harmonized, where there are references."""
    table, sequences = biom.load_table(str(folder / "table.biom")), read_sequences(str(folder / "sequences.fasta"))
    if trim is not None:
        table = table.collapse(lambda feature, _: sequences[feature][slice(*trim)], axis="observation", norm=False)
        sequences = None
    if references is not None:
        harmonized = harmonize(table, sequences, references, Harmonizing(threads=1, unmatched_samples="ignore"))
        table, sequences = harmonized.table, harmonized.sequences
        print(f"{folder.name} {trim}: {harmonized.matched.mean():.1%} of the reads have a reference", flush=True)
    return read_study(table, sequences, metadata=folder / "metadata.tsv", **columns)


def across_trims(encoder: Encoder, threads: int) -> list[dict]:
    """Score of each trim that is predicted."""
    rows = []
    for name, target, groups, learnt, others in TRIMS:
        columns = {"target": target, "groups": groups}
        train = trimmed(DATA / name, learnt, **columns)
        ways = [(trim, foreign) for trim in others for foreign in ("ignore", "mend")]
        predicted = {way: pd.Series(index=train.communities.sample_ids, dtype=object) for way in ways}
        studies = {trim: trimmed(DATA / name, trim, **columns) for trim in others}
        for train_rows, test_rows in folds_of(train, CrossValidation(), 0):
            predictor = Predictor.fit(encoder, train.subset(train_rows), Fitting(threads=threads, foreign="ignore"))
            ids = train.communities.sample_ids[test_rows]
            for trim, foreign in ways:
                study = studies[trim]
                place = np.flatnonzero(np.isin(study.communities.sample_ids, ids))
                settings = Embedding(encoder.description.token_limit, threads=threads, foreign=foreign)
                try:
                    values = predictor.predict(study.subset(place), settings).values
                except ValueError as error:
                    print(error)
                    continue
                predicted[trim, foreign][values.index] = values
        for trim in others:
            places = "{} to {}".format(*learnt), "{} to {}".format(*trim)
            row = {"study": name, "target": target, "learnt from": places[0], "predicted": places[1]}
            row["score"] = score_of(train, predicted[trim, "ignore"])
            mended = predicted[trim, "mend"]
            row["mended"] = "refused" if mended.isna().all() else score_of(train, mended)
            rows.append({**row, "of": "R2" if train.kind == "numeric" else "balanced accuracy"})
            print(rows[-1], flush=True)
    return rows


def by_forest(train: Study, new: Study) -> np.ndarray:
    """What a random forest (of 100 trees, for time's sake) on the same features says of new samples."""
    hashes = np.union1d(train.communities.hashes, new.communities.hashes)
    counts = [
        sp.csr_matrix((part.counts.data, np.searchsorted(hashes, part.hashes)[part.counts.indices], part.counts.indptr))
        for part in (train.communities, new.communities)
    ]
    for part in counts:
        part.resize(part.shape[0], len(hashes))
    return random_forest(counts[0], train.target, counts[1], kind=train.kind, trees=100).predicted


def across_trims_harmonized(encoder: Encoder, references: dict, threads: int) -> list[dict]:
    """As `across_trims`, of harmonized tables."""
    rows = []
    for name, target, groups, learnt, others in TRIMS:
        columns = {"target": target, "groups": groups}
        studies = {}
        for trim in dict.fromkeys((learnt, *others)):
            studies[trim] = trimmed(DATA / name, trim, references, **columns)
        train = studies[learnt]
        ways = [(trim, method) for trim in others for method in ("q2-aam", "random forest")]
        predicted = {way: pd.Series(index=train.communities.sample_ids, dtype=object) for way in ways}
        for train_rows, test_rows in folds_of(train, CrossValidation(), 0):
            part, ids = train.subset(train_rows), train.communities.sample_ids[test_rows]
            predictor = Predictor.fit(encoder, part, Fitting(threads=threads))
            for trim in others:
                new = studies[trim].subset(np.flatnonzero(np.isin(studies[trim].communities.sample_ids, ids)))
                values = predictor.predict(new, Embedding(threads=threads)).values
                predicted[trim, "q2-aam"][values.index] = values
                predicted[trim, "random forest"][new.communities.sample_ids] = by_forest(part, new)
        for trim in others:
            row = {"study": name, "target": target, "learnt from": "{} to {}".format(*learnt)}
            row["predicted"] = "{} to {}".format(*trim)
            row |= {method: score_of(train, predicted[trim, method]) for method in ("q2-aam", "random forest")}
            rows.append({**row, "of": "R2" if train.kind == "numeric" else "balanced accuracy"})
            print(rows[-1], flush=True)
    return rows


def sites_of_other_regions(encoder: Encoder, references: dict, threads: int) -> list[dict]:
    """Share of samples of other regions that a model of body sites, fitted to V4, names right."""
    rows = []
    learnt = DATA / "moving-pictures-bodysite"
    ways = {"as they are": None, "harmonized": references}
    models, learnt_from = {}, {}
    for way, known in ways.items():
        study = trimmed(learnt, (0, 150), known, target="body_site")
        some = np.sort(np.random.default_rng(0).permutation(len(study))[:SITE_SAMPLES])
        learnt_from[way] = study.subset(some)
        models[way] = Predictor.fit(encoder, learnt_from[way], Fitting(threads=threads))
    for name, site in SITES.items():
        folder = DATA / name if (DATA / name).exists() else DATA / "corpus" / name
        rows.append({"study": name, "site": site})
        for way, known in ways.items():
            settings = Embedding(threads=threads, foreign="ignore" if known is None else "error")
            new = trimmed(folder, (0, 150), known)
            rows[-1][way] = (models[way].predict(new, settings).values == site).mean()
            rows[-1][f"random forest, {way}"] = (by_forest(learnt_from[way], new) == site).mean()
        print(rows[-1], flush=True)
    return rows


def score_of(study: Study, values: pd.Series) -> float:
    """R2, or balanced accuracy, of predictions of all samples."""
    if study.kind == "numeric":
        return regression_scores(study.target, values.astype(float))["r2"]
    return classification_scores(study.target, values)["balanced_accuracy"]


def same_people(encoder: Encoder, references: dict | None = None) -> list[dict]:
    """How often the same person's sample is the nearest of the other region, and among the five nearest."""
    placed, people = {}, {}
    for region, name in PEOPLE.items():
        folder = DATA / "corpus" / name
        study = trimmed(folder, None, references)
        placed[region] = encoder.embed(study)
        frame = pd.read_csv(folder / "metadata.tsv", sep="\t", index_col=0, comment="#", dtype=str)
        people[region] = frame.loc[study.communities.sample_ids, "participant_id"].to_numpy()
    rows = []
    for one, other in (("V1-V2", "V3-V4"), ("V3-V4", "V1-V2")):
        order = placed[one].distances(placed[other]).argsort(axis=1)
        right = people[other][order] == people[one][:, None]
        rows.append({
            "from": one, "to": other, "people": len(right), "nearest is the same person": right[:, 0].mean(),
            "among the five nearest": right[:, :5].any(axis=1).mean(), "by chance": right.mean(),
        })  # fmt: skip
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, help="folder of another encoder")
    parser.add_argument("--reference", type=Path, help="FASTA of whole genes, to harmonize tables by")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    encoder = Encoder.load(given.encoder) if given.encoder else Encoder.ready()
    if given.reference:
        references = read_sequences(str(given.reference))
        parts = [same_people(encoder, references)]
        for measure in (sites_of_other_regions, across_trims_harmonized):
            parts.append(measure(encoder, references, given.threads))
        write_section("regions-harmonized", "\n".join(map(markdown, parts)))
        return
    text = markdown(same_people(encoder))
    print(text, flush=True)
    text += "\n" + markdown(across_trims(encoder, given.threads))
    write_section("regions", text)


if __name__ == "__main__":
    main()
