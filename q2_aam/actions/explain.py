"""`explain`: which microbes the predictions of a fitted model rest on."""

import csv
import json

import biom
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam.actions._reading import names_a_column, refuse_absent_samples, study_of
from q2_aam.actions._reporting import readable_warnings, say, warn_of
from q2_aam.framework import qiime2
from q2_aam.settings import Embedding, Explaining, Reading, of_arguments
from q2_aam.types import AAMEffectsDirectoryFormat, AAMModelDirectoryFormat

SHOWN = 5
SHOWN_REMOVED = 20
NO_GROUPS = "The model was fitted with groups. Without them here, trust in the explanation is too high."


def explain(
    table: biom.Table,
    model: AAMModelDirectoryFormat,
    sequences: DNAFASTAFormat = None,
    phylogeny: NewickFormat = None,
    metadata: qiime2.MetadataColumn = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    covariates: qiime2.Metadata = None,
    feature_groups: qiime2.CategoricalMetadataColumn = None,
    level: int = Explaining.level,
    clusters: bool = Explaining.clusters,
    missing_features: str = Reading.missing_features,
    foreign: str = Embedding.foreign,
    most_read: int = Explaining.most_read,
    device: str = Embedding.device,
    threads: str = Embedding.threads,
    random_seed: int = Explaining.random_seed,
) -> (pd.DataFrame, AAMEffectsDirectoryFormat):
    """Explain predictions; the parameters are described where they are registered."""
    settings = of_arguments(Explaining, dict(locals()))
    refuse_two_kinds_of_groups(phylogeny, feature_groups, clusters)
    refuse_what_is_not_read(level, feature_groups, groups, metadata)

    from q2_aam.explain import folds_of, occlude
    from q2_aam.predictor import Predictor

    with readable_warnings():
        predictor = Predictor.load(str(model))
        refuse_absent_samples(table, covariates)
        # Of a model with covariates, those columns alone; further ones are not read.
        columns = None if predictor.covariates is None else list(predictor.covariates.names)
        shared = {
            "covariates": covariates,
            "max_length": predictor.encoder.max_length,
            "reading": Reading(missing_features, missing_samples="ignore", missing_covariates="impute"),
        }
        study = study_of(table, sequences, **shared)
        labelled, notes = None, []
        leaving, about = what_leaves(study, phylogeny, feature_groups, settings, predictor, missing_features, notes)
        refuse_strange_names(leaving.unique() if feature_groups is not None else study.asv_of_feature.index)
        if metadata is not None:
            refuse_other_column(metadata, predictor.target)
            if groups is None and predictor.description.data.get("groups"):
                notes.append(NO_GROUPS)
                say(NO_GROUPS)
            labelled = study_of(table, sequences, metadata=metadata, groups=groups, covariate_columns=columns, **shared)
            folds_of(predictor, labelled, random_seed)
        effects = occlude(predictor, study, leaving, settings, progress=say)
        tried, effects = len(effects.names), effects.cut()
        importance = effects.table()
        if len(importance) < tried:
            say(f"{len(importance)} of {tried} clades and ASVs say most, and share no ASV: these are kept.")
        say(describe_importance(importance, len(effects.predictions), predictor.target))
        trust = None if labelled is None else trust_in(predictor, labelled, leaving, settings, notes)
        if trust is not None:
            importance.insert(1, "spread", trust.spread.reindex(importance.index))
            for sentence in describe_trust(trust):
                say(sentence)
    truth = None if labelled is None else labelled.target
    return importance, written(effects, predictor.target, len(study), about, leaving, trust, notes, truth)


def refuse_two_kinds_of_groups(phylogeny, feature_groups, clusters: bool) -> None:
    """Stop where more than one thing says which features leave together."""
    given = {"phylogeny": phylogeny is not None, "feature_groups": feature_groups is not None, "clusters": clusters}
    named = [name for name, there in given.items() if there]
    if len(named) > 1:
        raise ValueError(
            f"{' and '.join(named)} each say which features leave together. Give one of them, and run explain again "
            "for another."
        )


def refuse_what_is_not_read(level: int, feature_groups, groups, metadata) -> None:
    """Stop where something is given that nothing would be done with."""
    if level != Explaining.level and feature_groups is None:
        raise ValueError(
            f"level is {level}, but there are no feature_groups whose ranks it could keep. Give them, or leave level "
            "out."
        )
    if groups is not None and metadata is None:
        raise ValueError(
            "There are groups, but no metadata: groups tell how far the explanation can be trusted, which takes the "
            "true values. Give metadata, or leave groups out."
        )


def what_leaves(study, phylogeny, feature_groups, settings, predictor, missing_features: str, notes: list[str]):
    """Groups, a tree or None, as :func:`q2_aam.explain.occlude` takes them; and what `explanation.json` says of them.

    What is to be said of features that are no tip is added to the notes.
    """
    from q2_aam.explain import clades_of, cluster_asvs, groups_at
    from q2_aam.study.phylogeny import read_phylogeny
    from q2_aam.study.tables import name_ids

    if feature_groups is not None:
        named = groups_at(feature_groups.to_series(), settings.level)
        return named, {"column": feature_groups.name, "level": settings.level}
    if phylogeny is not None:
        tree = clades_of(study, read_phylogeny(str(phylogeny)))
        features = study.asv_of_feature[~study.asv_of_feature.duplicated()].index
        missing = features[tree.nodes_of(features) < 0]
        if len(missing) and missing_features == "error":
            raise ValueError(
                f"{len(missing)} of the {len(features)} features are no tip of the phylogeny: {name_ids(missing)}. "
                "Give the phylogeny of these features, or set missing_features to 'ignore': they then leave alone."
            )
        if len(missing):
            notes.append(f"{len(missing):,} of {len(features):,} ASVs are no tip of the phylogeny, and leave alone.")
            say(notes[-1])
        return tree, {"tree": "phylogeny"}
    if settings.clusters:
        return clades_of(study, cluster_asvs(predictor.encoder, study, settings)), {"tree": "clusters"}
    return None, None


def trust_in(predictor, study, groups, settings, notes: list[str]):
    """What :func:`q2_aam.explain.measure_trust` says; None where a fold cannot be fitted, which is told of."""
    from q2_aam.explain import measure_trust

    try:
        return measure_trust(predictor, study, groups, settings, progress=say)
    except ValueError as error:
        # The explanation itself is there by now.
        notes.append(f"How far the explanation can be trusted could not be measured: {error}")
        warn_of(notes[-1:])
        return None


def refuse_strange_names(names) -> None:
    """Stop where features, or groups of them, are called what no column of metadata can be called."""
    from q2_aam.study.tables import name_ids

    strange = [name for name in names if name == "prediction" or name.startswith("#") or name != name.strip()]
    try:
        qiime2.Metadata(pd.DataFrame([[0.0] * len(names)], ["sample"], list(names)).rename_axis("id"))
    except ValueError:
        strange += [name for name in names if name not in strange and not names_a_column(name)]
    if strange:
        raise ValueError(
            f"{len(strange)} features or groups are called what no column of metadata can be called: "
            f"{name_ids(strange)}. Rename them, or name groups of features otherwise."
        )


def refuse_other_column(metadata, target) -> None:
    """Stop when the true values are of another column than the model predicts."""
    kind = "numeric" if metadata.type == "numeric" else "categorical"
    if metadata.name != target.name or kind != target.kind:
        raise ValueError(
            f"The model predicts the {target.kind} column {target.name!r}, but metadata is the {kind} column "
            f"{metadata.name!r}. Give the column that the model was fitted to, or leave metadata out."
        )


def written(effects, target, samples, about, leaving, trust, notes, truth) -> AAMEffectsDirectoryFormat:
    """The artifact of effects; with the true values of explained samples, where they are known."""
    result = AAMEffectsDirectoryFormat()
    result.effects.write_data(effects.by_sample(), pd.DataFrame)
    if target.kind == "categorical":
        result.probabilities.write_data(effects.predictions, pd.DataFrame)
        write_rows(effects.by_class(), result.path / "class-effects.tsv")
    if about is not None and "tree" in about:
        members = effects.members().rename("clade").rename_axis("feature-id").reset_index()
        write_rows(members, result.path / "members.tsv")
        (result.path / "tree.nwk").write_text(leaving.to_newick(), "utf-8")
    explanation = {
        "schema_version": 1,
        "target": {"name": target.name, "kind": target.kind, "classes": list(target.classes)},
        "samples": len(effects.predictions),
        "of_samples": samples,
        "alone": effects.alone,
        "groups": about,
        "trust": None if trust is None else trust.to_dict(),
        "notes": notes,
    }
    if truth is not None:
        # Of NumPy's numbers JSON knows none.
        known = truth[truth.index.isin(effects.predictions.index)]
        explanation["true_values"] = dict(zip(known.index, known.tolist(), strict=True))
    (result.path / "explanation.json").write_text(json.dumps(explanation, indent=1, ensure_ascii=False), "utf-8")
    return result


def write_rows(frame: pd.DataFrame, path) -> None:
    """Write a table as tab-separated text, without quotes."""
    frame.to_csv(path, sep="\t", index=False, quoting=csv.QUOTE_NONE, float_format="%.7g", encoding="utf-8")


def describe_trust(trust) -> list[str]:
    """How far the explanation can be trusted, in sentences."""
    label, shown = trust.metric.replace("_", " "), trust.deletion[trust.deletion["removed"] <= SHOWN_REMOVED]
    score, last, said = trust.deletion["top"].iloc[0], shown.iloc[-1], []
    if not trust.skilled:
        said.append(
            "Models of the other folds predict these samples no better than always the same answer "
            f"({label} {score:.3f}): what they rest on says nothing."
        )
    elif len(shown) > 1:
        said.append(
            f"Without the {last['removed']:.0f} most important of each fold ({last['top_reads']:.0%} of the reads), "
            f"{label} of samples not learnt from goes from {score:.3f} to {last['top']:.3f}; without as many random "
            f"ones of like prevalence and abundance ({last['random_reads']:.0%} of the reads) to {last['random']:.3f} "
            f"({last['random_low']:.3f} to {last['random_high']:.3f})."
        )
    if trust.overlap == trust.overlap and trust.by_chance == trust.by_chance:
        said.append(
            f"Of the 20 most important of a fold, {trust.overlap:.0%} are among those of another fold (of models that "
            f"learnt from permuted values {trust.by_chance:.0%})."
        )
    return said


def describe_importance(importance: pd.DataFrame, samples: int, target) -> str:
    """The most important names, in a sentence."""
    unit = f"of {target.name}" if target.kind == "numeric" else "of probability"
    sizes = importance["asvs"] if "asvs" in importance else pd.Series(1, importance.index)
    first = "; ".join(
        f"{name}{f' ({sizes[name]:.0f} ASVs)' if sizes[name] > 1 else ''} {size:.3g}"
        for name, size in importance["importance"].head(SHOWN).items()
    )
    return f"Most important (mean change {unit} over {samples} samples): {first}."
