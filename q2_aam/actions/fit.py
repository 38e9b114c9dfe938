"""`fit`: a head on the embeddings of an encoder that stays as it is."""

import warnings
from dataclasses import replace

import biom
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._reading import encoder_of, refuse_id_headers, study_of
from q2_aam.actions._reporting import (
    describe_covariates,
    describe_new_asvs,
    describe_scores,
    describe_study,
    readable_warnings,
    say,
    warn_of,
)
from q2_aam.framework import qiime2
from q2_aam.settings import Fitting, Reading, of_arguments
from q2_aam.types import AAMModelDirectoryFormat


def fit(
    table: biom.Table,
    metadata: qiime2.MetadataColumn,
    sequences: DNAFASTAFormat = None,
    encoder: AAMModelDirectoryFormat = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    covariates: qiime2.Metadata = None,
    covariate_columns: str = None,
    missing_covariates: str = Reading.missing_covariates,
    missing_samples: str = Reading.missing_samples,
    missing_features: str = Reading.missing_features,
    head: str = Fitting.head,
    target_transform: str = Fitting.target_transform,
    decision: str = Fitting.decision,
    foreign: str = Fitting.foreign,
    device: str = Fitting.device,
    threads: str = Fitting.threads,
    random_seed: int = Fitting.random_seed,
) -> (AAMModelDirectoryFormat, pd.Series, pd.DataFrame):
    """Fit a regressor or classifier; the parameters are described where they are registered."""
    arguments = dict(locals())
    settings, reading = of_arguments(Fitting, arguments), of_arguments(Reading, arguments)

    from q2_aam.predictor import Predictor

    with readable_warnings():
        loaded = encoder_of(encoder)
        settings = replace(settings, token_limit=loaded.description.token_limit)
        study = study_of(
            table,
            sequences,
            metadata=metadata,
            groups=groups,
            covariates=covariates,
            covariate_columns=covariate_columns,
            max_length=loaded.max_length,
            reading=reading,
        )
        check_target(study, target_transform)
        say(describe_study(study))
        say(describe_new_asvs(loaded, study))
        predictor = Predictor.fit(loaded, study, settings)
        model = AAMModelDirectoryFormat()
        predictor.save(str(model))
        warn_of(predictor.out_of_fold.cautions)
        for line in describe_covariates(predictor):
            say(line)
        say(predictor.head.describe())
        say(describe_scores(predictor, "out-of-fold", "Out-of-fold predictions"))
    return model, predictor.out_of_fold.values, predictor.out_of_fold.certainty


def check_target(study, target_transform: str) -> None:
    """Refuse what QIIME 2 could not read, and warn of what a target cannot support, before any work is done."""
    from q2_aam.predictor import encode_target
    from q2_aam.study.cautions import warn_of_cautions

    # What is refused is not warned of beside.
    encode_target(study, target_transform)
    if study.kind == "categorical":
        refuse_id_headers(study.target)
        if target_transform != Fitting.target_transform:
            warnings.warn(
                f"target_transform is {target_transform!r}, but the column is categorical: classes take no transform. "
                "Leave target_transform out.",
                stacklevel=3,
            )
    warn_of_cautions(study.target, study.groups)
