"""`predict`: a metadata column of new samples, whose ASVs need never have been seen."""

import biom
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._reading import refuse_absent_samples, study_of
from q2_aam.actions._reporting import describe_novelty, readable_warnings, say, warn_of
from q2_aam.framework import qiime2
from q2_aam.settings import Embedding, Reading
from q2_aam.types import AAMModelDirectoryFormat


def predict(
    table: biom.Table,
    model: AAMModelDirectoryFormat,
    sequences: DNAFASTAFormat = None,
    covariates: qiime2.Metadata = None,
    missing_features: str = Reading.missing_features,
    foreign: str = Embedding.foreign,
    batch_size: int = Embedding.batch_size,
    asv_cache: str = Embedding.asv_cache,
    device: str = Embedding.device,
    threads: str = Embedding.threads,
) -> (pd.Series, pd.DataFrame, pd.DataFrame):
    """Predict; the parameters are described where they are registered."""
    computing = {"batch_size": batch_size, "asv_cache": asv_cache, "device": device, "threads": threads}
    Embedding(**computing, foreign=foreign)

    from q2_aam.predictor import Predictor

    with readable_warnings():
        predictor = Predictor.load(str(model))
        refuse_absent_samples(table, covariates)
        study = study_of(
            table,
            sequences,
            covariates=covariates,
            max_length=predictor.encoder.max_length,
            # Whether a missing value may be filled in is for the model to say.
            reading=Reading(missing_features=missing_features, missing_covariates="impute"),
        )
        settings = Embedding(predictor.description.token_limit, **computing, foreign=foreign)
        predicted = predictor.predict(study, settings)
        warn_of(predicted.cautions)
        say(f"{len(study)} samples predicted: {predictor.target.name}.")
        say(describe_novelty(predicted.novelty))
    return predicted.values, predicted.certainty, predicted.novelty
