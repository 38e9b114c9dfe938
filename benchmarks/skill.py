"""Skill on real studies by grouped cross-validation, beside the baselines, over several seeds.

Whole groups are predicted by what was learnt without them: `fit` and `predict` as a user calls them, with their
defaults, and so with the encoder that comes with q2-aam, which has read none of these studies; with `--pretrain` an
encoder is pretrained on the training samples of each fold instead. Folds are scikit-learn's StratifiedGroupKFold on
the study's class column, the same for all its targets, so that these share an encoder. Each fold's outcome is kept in
`--directory`: a run that was stopped goes on where it was. Scores of seeds with all folds are kept in `skill.tsv` and
`skill-unifrac.tsv` of docs/benchmarks, in place of older ones of the same study, target and seed; the tables are of
all seeds that have a score of ours in there. After a change of the heads empty the column `q2-aam` of the first, and
what was measured of ours; of the encoders, remove the second, too.

    python benchmarks/skill.py --studies ecam-infant-age --seeds 0 1 2

Other studies in the same layout (table.biom, sequences.fasta, tree.nwk, metadata.tsv):

    python benchmarks/skill.py --study FOLDER --targets age disease --groups subject

Their tables stand behind those of the studies above, with ranks of their own. Without `--groups` each sample is a
group. The last target of classes stratifies the folds; numbers alone do not. `--pretrain`, `--half` and `--encoder`
keep what they find beside the rest, in files and tables of their own. `--ours` leaves out the baselines, which take a
third of the time: the scores of theirs that are kept already stand.
"""

import argparse
import json
import time
from pathlib import Path

import biom
import numpy as np
import pandas as pd
from mixed import mixed
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat
from report import PAGES, RESULTS, markdown, write_section
from sklearn.model_selection import StratifiedGroupKFold

from q2_aam.actions.fit import fit
from q2_aam.actions.predict import predict
from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.actions.pretrain import pretrain
from q2_aam.encoder.encoder import READY, Encoder
from q2_aam.evaluation.curves import calibration_error_by_chance, reliability_bins
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.framework import qiime2
from q2_aam.study.study import read_study
from q2_aam.types import AAMModelDirectoryFormat

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Groups, and targets (the last one of classes stratifies the folds). The encoder that comes with q2-aam has read none.
STUDIES = {
    "ecam-infant-age": ("host_subject_id", ["month_of_life", "delivery"]),
    "ibd-crohns-families": ("host_subject_id", ["ibd", "surgery_and_ibd"]),
    "soil88-ph": ("specific_location", ["ph", "env_feature"]),
    "colombia-gut-250": (None, ["age_years", "BMI", "Cardiometabolic_status", "city"]),
    "pancreatitis-gut": (None, ["disease", "dx"]),
    "nasopharynx-children": ("Isolate", ["colonization", "Condition"]),
    "horse-feces-colitis": (None, ["type"]),
    "spacecraft-cleanroom": ("collection_timestamp", ["jpl_location_area", "jpl_pma"]),
    "chronic-fatigue-gut": (None, ["Subject"]),
}
# It has read this one: for `--pretrain` alone.
READ = {"moving-pictures-bodysite": ("collection_timestamp", ["days_since_experiment_start", "body_site"])}
FOLDS = 5
OURS, FOREST, BALANCED = "q2-aam", "random forest", "balanced forest"
MIXED = "forest, linear and SVM mixed"
METHODS = (OURS, FOREST, BALANCED, "log-ratios", "boosted trees", "SVM UniFrac", "SVM Jaccard", MIXED)
TRIVIAL = {"median": "trivial", "largest class": "trivial"}
# Columns of what is kept of a target that are not a baseline's.
OUTCOME = ("true", OURS, "lower", "upper", "probability", "likeliest", "group")
# Of classes, beside the balanced accuracy of those that are named by default: were the likeliest ones named.
DECISIONS = ("accuracy", "likeliest: balanced accuracy", "likeliest: accuracy")
# Of a target: predicted from ASVs alone that were taken out of what is learnt from.
NEW_ALONE = ", new ASVs alone"


class Study:
    """A study's files, as the actions take them."""

    def __init__(self, folder: Path, groups: str | None, targets: list[str]):
        self.name = folder.name
        self.table = biom.load_table(str(folder / "table.biom"))
        self.sequences = DNAFASTAFormat(str(folder / "sequences.fasta"), "r")
        tree = folder / "tree.nwk"
        self.phylogeny = NewickFormat(str(tree), "r") if tree.exists() else None
        self.metadata = qiime2.Metadata.load(str(folder / "metadata.tsv"))
        self.groups, self.targets = groups, targets
        frame = self.metadata.to_dataframe().reindex(self.table.ids())
        if groups is not None and frame[groups].isna().any():
            frame = frame[frame[groups].notna()]
            self.table = self.table.filter(set(frame.index), inplace=False).remove_empty("observation")
        self.frame = frame

    def folds(self, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to learn from and rows to predict of each fold."""
        named = [target for target in self.targets if not self.numeric(target)]
        classes = self.frame[named[-1]].astype(str) if named else np.zeros(len(self.frame), dtype=int)
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        return list(folds.split(np.zeros(len(classes)), classes, self.members()))

    def numeric(self, name: str) -> bool:
        """Whether a column holds numbers."""
        return self.metadata.get_column(name).type == "numeric"

    def members(self) -> pd.Series:
        """Group of each sample: the sample itself where there are no groups."""
        return self.frame[self.groups].astype(str) if self.groups else self.frame.index.to_series()

    def part(self, rows: np.ndarray, features: np.ndarray | None = None) -> biom.Table:
        """The table of some samples and the features that they hold."""
        table = self.table.filter(set(self.table.ids()[rows]), inplace=False)
        if features is not None:
            table = table.filter(set(features), axis="observation", inplace=False).remove_empty("sample")
        return table.remove_empty("observation")

    def column(self, name: str, sample_ids=None):
        """A column of the metadata, of some samples."""
        column = self.metadata.get_column(name)
        return column if sample_ids is None else column.filter_ids(sample_ids)


def distances(study: Study, encoder: Path, rows: np.ndarray) -> dict[str, float]:
    """How well the UniFrac distances among samples that the encoder has not seen are predicted."""
    encoder, files = Encoder.load(encoder), {"sequences": str(study.sequences), "phylogeny": str(study.phylogeny)}
    read = read_study(study.part(rows), **files, max_length=encoder.max_length)
    pairs = np.triu_indices(len(read), 1)
    true = read.unifrac(encoder.metric_for("auto"))(np.arange(len(read)))[pairs]
    predicted = encoder.embed(read).distances()[pairs]
    r, off = np.corrcoef(predicted, true)[0, 1], predicted - true
    return {"r": float(r), "rmse": float(np.sqrt(np.mean(off**2))), "samples": len(read)}


def run_fold(
    study: Study,
    seed: int,
    fold: int,
    directory: Path,
    training: dict,
    features: np.ndarray | None,
    threads: int,
    encoder: Path | None = None,
    beside: bool = True,
) -> None:
    """Fit and predict one fold, and keep what came out; an encoder and baselines that are there are kept.

    Without an `encoder` one is pretrained first; only `beside` ours do baselines predict.
    """
    directory.mkdir(parents=True, exist_ok=True)
    train, test = study.folds(seed)[fold]
    table, new = study.part(train, features), study.part(test)
    seeded = {"random_seed": seed, "threads": threads}
    shared = {"sequences": study.sequences, **seeded}
    took = {}

    def timed(name: str, work):
        started, used = time.perf_counter(), time.process_time()
        result = work()
        took[name] = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - used}
        return result

    path = encoder or directory / "encoder"
    if not path.exists():
        timed("pretrain", lambda: pretrain(table, study.phylogeny, **shared, **training))[0].save(str(path))
    encoder = AAMModelDirectoryFormat(str(path), "r")
    outcome = directory / "facts.json"
    facts = json.loads(outcome.read_text()) if outcome.exists() else {}
    if study.phylogeny is not None:
        facts["unifrac"] = distances(study, path, test)
    facts |= {"took": {**facts.get("took", {}), **took}, "encoder": digest_of(path)}
    took = facts["took"]
    tests = {"": new}
    if features is not None:
        unseen = set(new.ids("observation")) - set(features)
        tests[NEW_ALONE] = new.filter(unseen, axis="observation", inplace=False).remove_empty("sample")
    for target in study.targets:
        known = [name for name in table.ids() if pd.notna(study.frame[target][name])]
        columns = {"metadata": study.column(target, known)}
        if study.groups is not None:
            columns["groups"] = study.column(study.groups, known)
        part = table.filter(set(known), inplace=False).remove_empty("observation")
        model = timed(f"fit {target}", lambda: fit(part, encoder=encoder, **columns, **shared))[0]  # noqa: B023
        for which, tested in tests.items():
            labelled = [name for name in tested.ids() if pd.notna(study.frame[target][name])]
            tested = tested.filter(set(labelled), inplace=False).remove_empty("observation")
            predicted, certainty, _ = predict(tested, model, study.sequences, threads=threads)
            kept, others = directory / f"{target}{which}.tsv", pd.DataFrame(index=tested.ids())
            if kept.exists():
                others = pd.read_csv(kept, sep="\t", dtype=str, index_col="sample-id")
                others = others.drop(columns=[name for name in OUTCOME if name in others])
            if others.empty and beside:
                others = timed(f"baselines {target}{which}", lambda: rivals(study, target, part, tested, seeded))  # noqa: B023
            frame = pd.DataFrame({"true": study.frame[target][tested.ids()], OURS: predicted})
            frame = frame.join(others)
            if study.numeric(target):
                frame = frame.join(certainty)
            else:
                frame["probability"], frame["likeliest"] = certainty.max(axis=1), certainty.idxmax(axis=1)
            frame["group"] = study.members()[frame.index]
            frame.to_csv(kept, sep="\t", index_label="sample-id")
    outcome.write_text(json.dumps(facts, indent=1))


def digest_of(encoder: Path) -> str:
    """What an encoder's weights are known again by."""
    return Encoder.load(encoder).digest()


def is_done(directory: Path, encoder: Path | None) -> bool:
    """Whether a fold's outcome is there, and of this encoder where one is given."""
    facts = directory / "facts.json"
    return facts.exists() and (encoder is None or json.loads(facts.read_text()).get("encoder") == digest_of(encoder))


def studies_read() -> set[str]:
    """Names of the surveys that the ready encoder has read."""
    return {study["name"] for study in Encoder.ready().description.data["studies"]}


def studies_for(names: list[str] | None, pretrain: bool) -> list[Path]:
    """Folders of studies, by default of all that have what is needed: a tree to pretrain by, or none that was read."""
    if names is None:
        known = [*STUDIES, *READ] if pretrain else STUDIES
        names = [name for name in known if not pretrain or (DATA / name / "tree.nwk").exists()]
    return [DATA / name for name in names]


def rivals(study: Study, target: str, train: biom.Table, new: biom.Table, seeded: dict) -> pd.DataFrame:
    """What the baselines predict, and all kinds of them mixed."""
    columns = {"metadata": study.column(target, train.ids())}
    if study.groups is not None:
        columns["groups"] = study.column(study.groups, train.ids())
    found = predict_baselines(train, new, phylogeny=study.phylogeny, **columns, **seeded)
    kind, groups = "numeric" if study.numeric(target) else "categorical", study.members()[train.ids()].to_numpy()
    settings = {"kind": kind, "groups": groups, "n_jobs": seeded["threads"], "random_state": seeded["random_seed"]}
    found[MIXED] = pd.Series(mixed(train, study.frame[target][train.ids()], new, **settings), new.ids())
    return found


def keep(name: str, found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Add rows to those that are kept under a name, in place of older ones of the same; all of them.

    Scores that only the older one has, as of baselines that were left out since, stay.
    """
    path = PAGES / f"{name}.tsv"
    rows = pd.concat([pd.read_csv(path, sep="\t"), found]) if path.exists() else found
    if not len(rows):
        return rows
    # the last value of each that is there
    rows = rows.groupby(by, as_index=False).last()[list(rows)].sort_values(by)
    rows.to_csv(path, sep="\t", index=False, float_format="%.6g")
    return rows


def score(frame: pd.DataFrame, method: str, numeric: bool) -> float:
    """R2, or balanced accuracy."""
    if numeric:
        return regression_scores(frame["true"], frame[method])["r2"]
    return classification_scores(frame["true"], frame[method])["balanced_accuracy"]


def collect(directory: Path) -> dict[str, pd.DataFrame]:
    """Scores of all folds that are there: a row a study, target and seed with all its folds."""
    found, unifrac = [], []
    for run in sorted(path for path in directory.glob("*/seed-*") if path.is_dir()):
        study, seed = run.parent.name, int(run.name.split("-")[1])
        folds = [part for part in sorted(run.glob("fold-*")) if (part / "facts.json").exists()]
        facts = [json.loads((part / "facts.json").read_text()) for part in folds]
        if len(folds) < FOLDS:
            continue
        unifrac += [
            {"study": study, "seed": seed, "fold": n, **fact["unifrac"]}
            for n, fact in enumerate(facts)
            if "unifrac" in fact
        ]
        for target in sorted(path.stem for path in folds[0].glob("*.tsv")):
            # As text: of classes called TRUE and FALSE pandas would make True and False.
            frame = pd.concat(pd.read_csv(part / f"{target}.tsv", sep="\t", dtype=str, index_col=0) for part in folds)
            numeric = "lower" in frame
            # Of baselines that some folds lack (`--ours`) there is no score.
            methods = [OURS, *(name for name in frame if name not in OUTCOME and frame[name].notna().all())]
            numbers = ["true", "lower", "upper", *methods] if numeric else ["probability"]
            frame[numbers] = frame[numbers].astype(float)
            row = {"study": study, "target": target, "seed": seed, "samples": len(frame)}
            row |= {TRIVIAL.get(method, method): score(frame, method, numeric) for method in methods}
            if numeric:
                row["covered"] = float(((frame["lower"] <= frame["true"]) & (frame["true"] <= frame["upper"])).mean())
            else:
                right = (frame[OURS] == frame["true"]).to_numpy()
                sure = frame["probability"].to_numpy()
                row["calibration error"] = reliability_bins(right, sure)[1]
                row["by chance alone"] = calibration_error_by_chance(sure)
                # Folds of before have none.
                if "likeliest" in frame and frame["likeliest"].notna().all():
                    accuracies = [float((frame["true"] == frame[name]).mean()) for name in (OURS, "likeliest")]
                    row |= zip(DECISIONS, (accuracies[0], score(frame, "likeliest", False), accuracies[1]), strict=True)
            found.append(row)
    return {"targets": pd.DataFrame(found), "unifrac": pd.DataFrame(unifrac)}


def losses(whole: pd.DataFrame, part: pd.DataFrame, name: str = "skill") -> str:
    """What each method loses against scores of another way, mean over the seeds that both tables of scores have."""
    by = ["study", "target", "seed"]
    methods = [name for name in METHODS if name in part and name in whole]
    both = whole[by + methods].merge(part[by + methods], on=by, suffixes=("", " less"))
    both = both[both[OURS].notna() & both[f"{OURS} less"].notna()]
    rows = []
    for (study, target), found in both.groupby(by[:2], sort=False):
        lost = {name: (found[name] - found[f"{name} less"]).mean() for name in methods}
        told = {name: f"{value:+.3f}" if pd.notna(value) else "" for name, value in lost.items()}
        rows.append({"study": study, "target": target, "seeds": len(found), **told})
    return f"What is lost against the table of {name}, the same seeds:\n\n" + markdown(rows) if rows else ""


def tables(collected: dict[str, pd.DataFrame]) -> str:
    """Mean and spread over the seeds, mean ranks, and UniFrac, as Markdown."""
    scores, parts = collected["targets"], []
    if len(scores):
        # Seeds of which baselines alone are kept wait for ours.
        scores = scores[scores[OURS].notna()]
    if len(scores):
        decisions = [name for name in DECISIONS if name in scores and scores[name].notna().any()]
        measured = ("covered", "calibration error", "by chance alone", *decisions)
        other = {"study", "target", "seed", "samples", *measured}
        methods = [name for name in scores if name not in other and scores[name].notna().any()]
        rows = []
        for (study, target), part in scores.groupby(["study", "target"], sort=False):
            row = {"study": study, "target": target, "seeds": len(part)}
            for name in (*methods, *measured):
                found = part[name].dropna() if name in part else ()
                # One seed has no spread.
                spread = f" ± {found.std():.3f}" if name in methods and len(found) > 1 else ""
                row[name] = f"{found.mean():.3f}{spread}" if len(found) else ""
            rows.append(row)
        means = scores.groupby(["study", "target"], sort=False)[methods].mean()
        # Of numbers there are no classes to balance: both forests are the same.
        if BALANCED in means:
            means[BALANCED] = means[BALANCED].fillna(means[FOREST])
        # Among methods that all targets have: without a tree there is no SVM on UniFrac.
        ranks = means.dropna(axis=1).rank(axis=1, ascending=False).mean()
        shown = {name: f"{ranks[name]:.2f}" if name in ranks else "" for name in methods}
        rows.append({"study": "mean rank", "target": "", "seeds": "", **shown})
        rows[-1] |= dict.fromkeys(measured, "")
        parts.append(markdown(rows))
        least = {name: (means[OURS] - means[name]).min() for name in (FOREST, BALANCED) if name in means}
        told = ", ".join(f"less the {name} {value:+.3f}" for name, value in least.items())
        if told:
            parts.append(f"{OURS} where it does worst: {told}.\n")
    unifrac = collected["unifrac"]
    if len(unifrac):
        rows = [
            {
                "study": study,
                "folds": len(part),
                "r": f"{part['r'].mean():.3f} ({part['r'].min():.3f} to {part['r'].max():.3f})",
                "RMSE": f"{part['rmse'].mean():.3f} ({part['rmse'].min():.3f} to {part['rmse'].max():.3f})",
            }
            for study, part in unifrac.groupby("study", sort=False)
        ]
        parts.append(markdown(rows))
    return "\n".join(parts)


def page(collected: dict[str, pd.DataFrame]) -> str:
    """Tables of the studies that methods are chosen on, and behind them those of others, with ranks of their own."""
    named = [*STUDIES, *READ]
    known = {name: rows[rows["study"].isin(named)] if len(rows) else rows for name, rows in collected.items()}
    others = {name: rows[~rows["study"].isin(named)] if len(rows) else rows for name, rows in collected.items()}
    parts = [tables(known)]
    if len(others["targets"]):
        parts.append("Other studies (`--study`):\n\n" + tables(others))
    return "\n".join(part for part in parts if part)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="*", choices=[*STUDIES, *READ], help="by default all that can be")
    parser.add_argument("--study", type=Path, help="folder of another study, instead of those")
    parser.add_argument("--targets", nargs="+", help="of the other study; the last of classes stratifies the folds")
    parser.add_argument("--groups", help="column of the other study whose members are never on both sides of a split")
    parser.add_argument("--pretrain", action="store_true", help="an encoder in each fold, instead of the ready one")
    parser.add_argument("--epochs", type=int, help="of pretraining, instead of the default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(FOLDS)))
    parser.add_argument("--half", action="store_true", help="take half of the ASVs out of what is learnt from")
    parser.add_argument("--encoder", type=Path, help="folder of another encoder, instead of the ready one")
    parser.add_argument("--refit", action="store_true", help="fit the heads anew, with the encoders that are there")
    parser.add_argument("--ours", action="store_true", help="no baselines: their scores that are kept stand")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--directory", type=Path, default=RESULTS / "skill")
    given = parser.parse_args(arguments)
    if given.encoder and not given.encoder.is_dir():
        parser.error(f"{given.encoder} is no folder. Give the folder of an encoder, as `qiime tools export` makes it.")
    if given.pretrain and given.encoder or given.epochs and not given.pretrain:
        parser.error("--pretrain goes with no --encoder, and --epochs with nothing else.")
    encoder = given.encoder or (None if given.pretrain else READY)
    folders = [given.study] if given.study else studies_for(given.studies, given.pretrain)
    if encoder == READY and (read := {folder.name for folder in folders} & studies_read()):
        parser.error(f"The ready encoder has read {', '.join(read)}: --pretrain.")
    if given.pretrain and (bare := [folder.name for folder in folders if not (folder / "tree.nwk").exists()]):
        parser.error(f"There is no tree to pretrain by: {', '.join(bare)}.")
    usual = "skill" + "-own" * given.pretrain
    name = usual + "-half" * given.half + "-other" * bool(given.encoder)
    directory = given.directory.with_name(given.directory.name + name.removeprefix("skill"))
    training = {} if given.epochs is None else {"epochs": given.epochs}
    if given.study:
        chosen = {given.study: (given.groups, given.targets)}
    else:
        chosen = {folder: (STUDIES | READ)[folder.name] for folder in folders}
    for folder, (groups, targets) in chosen.items():
        study = Study(folder, groups, targets)
        for seed in given.seeds:
            features = None
            if given.half:
                ids = study.table.ids("observation")
                features = ids[np.random.default_rng(seed).random(len(ids)) < 0.5]
            for fold in given.folds:
                path = directory / study.name / f"seed-{seed}" / f"fold-{fold}"
                if given.refit == is_done(path, encoder):
                    print(f"{study.name}, seed {seed}, fold {fold}", flush=True)
                    run_fold(study, seed, fold, path, training, features, given.threads, encoder, not given.ours)
    found = collect(directory)
    scores = keep(name, found["targets"], ["study", "target", "seed"])
    text = page({"targets": scores, "unifrac": keep(f"{name}-unifrac", found["unifrac"], ["study", "seed", "fold"])})
    # An encoder's own against the ready one, half of the ASVs or another encoder against the same without.
    against = usual if name != usual else "skill"
    if name != "skill" and (whole := PAGES / f"{against}.tsv").exists() and len(scores):
        text += "\n" + losses(pd.read_csv(whole, sep="\t"), scores, against)
    print(text)
    write_section(name, text)


if __name__ == "__main__":
    main()
