"""`explain`: which microbes the predictions of a fitted model rest on."""

import biom
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._reading import refuse_absent_samples, study_of
from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.settings import Embedding, Explaining, Reading, of_arguments
from q2_aam.types import AAMModelDirectoryFormat

SHOWN = 5


def explain(
    table: biom.Table,
    model: AAMModelDirectoryFormat,
    sequences: DNAFASTAFormat = None,
    covariates: qiime2.Metadata = None,
    feature_groups: qiime2.CategoricalMetadataColumn = None,
    level: int = Explaining.level,
    missing_features: str = Reading.missing_features,
    foreign: str = Embedding.foreign,
    most_read: int = Explaining.most_read,
    device: str = Embedding.device,
    threads: str = Embedding.threads,
    random_seed: int = Explaining.random_seed,
) -> (pd.DataFrame, pd.DataFrame):
    """Explain predictions; the parameters are described where they are registered."""
    settings = of_arguments(Explaining, dict(locals()))

    from q2_aam.explain import groups_at, occlude
    from q2_aam.predictor import Predictor

    with readable_warnings():
        groups = None if feature_groups is None else groups_at(feature_groups.to_series(), level)
        predictor = Predictor.load(str(model))
        refuse_absent_samples(table, covariates)
        study = study_of(
            table,
            sequences,
            covariates=covariates,
            max_length=predictor.encoder.max_length,
            reading=Reading(missing_features=missing_features, missing_covariates="impute"),
        )
        effects = occlude(predictor, study, groups, settings, progress=say)
        importance = effects.table()
        say(describe_importance(effects, predictor.target))
    return importance, effects.by_sample()


def describe_importance(effects, target) -> str:
    """The most important names, in a sentence."""
    unit = f"of {target.name}" if target.kind == "numeric" else "of probability"
    first = "; ".join(f"{name} {size:.3g}" for name, size in effects.table()["importance"].head(SHOWN).items())
    return f"Most important (mean change {unit} over {len(effects.predictions)} samples): {first}."
