"""`explain`: which microbes the predictions of a fitted model rest on."""

import json

import biom
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat

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
    metadata: qiime2.MetadataColumn = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    covariates: qiime2.Metadata = None,
    feature_groups: qiime2.CategoricalMetadataColumn = None,
    level: int = Explaining.level,
    missing_features: str = Reading.missing_features,
    foreign: str = Embedding.foreign,
    most_read: int = Explaining.most_read,
    device: str = Embedding.device,
    threads: str = Embedding.threads,
    random_seed: int = Explaining.random_seed,
) -> (pd.DataFrame, AAMEffectsDirectoryFormat):
    """Explain predictions; the parameters are described where they are registered."""
    settings = of_arguments(Explaining, dict(locals()))

    from q2_aam.explain import folds_of, groups_at, occlude
    from q2_aam.predictor import Predictor

    with readable_warnings():
        named = None if feature_groups is None else groups_at(feature_groups.to_series(), level)
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
        refuse_strange_names(study.asv_of_feature.index if named is None else named.unique())
        labelled, notes = None, []
        if metadata is not None:
            refuse_other_column(metadata, predictor.target)
            if groups is None and predictor.description.data.get("groups"):
                notes.append(NO_GROUPS)
                say(NO_GROUPS)
            labelled = study_of(table, sequences, metadata=metadata, groups=groups, covariate_columns=columns, **shared)
            folds_of(predictor, labelled, random_seed)
        effects = occlude(predictor, study, named, settings, progress=say)
        importance = effects.table()
        say(describe_importance(effects, predictor.target))
        trust = None if labelled is None else trust_in(predictor, labelled, named, settings, notes)
        if trust is not None:
            importance.insert(1, "spread", trust.spread.reindex(importance.index))
            for sentence in describe_trust(trust):
                say(sentence)
    said = None if feature_groups is None else {"column": feature_groups.name, "level": level}
    return importance, written(effects, predictor.target, len(study), said, trust, notes)


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


def written(effects, target, samples: int, groups: dict | None, trust, notes: list[str]) -> AAMEffectsDirectoryFormat:
    """The artifact of effects."""
    result = AAMEffectsDirectoryFormat()
    result.effects.write_data(effects.by_sample(), pd.DataFrame)
    about = {"name": target.name, "kind": target.kind, "classes": list(target.classes)}
    explanation = {
        "schema_version": 1,
        "target": about,
        "samples": len(effects.predictions),
        "of_samples": samples,
        "alone": effects.alone,
        "groups": groups,
        "trust": None if trust is None else trust.to_dict(),
        "notes": notes,
    }
    (result.path / "explanation.json").write_text(json.dumps(explanation, indent=1, ensure_ascii=False), "utf-8")
    return result


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


def describe_importance(effects, target) -> str:
    """The most important names, in a sentence."""
    unit = f"of {target.name}" if target.kind == "numeric" else "of probability"
    first = "; ".join(f"{name} {size:.3g}" for name, size in effects.table()["importance"].head(SHOWN).items())
    return f"Most important (mean change {unit} over {len(effects.predictions)} samples): {first}."
