"""`predict_baselines`: what a random forest and its like would have said of the same samples."""

import biom
import pandas as pd
from q2_types.tree import NewickFormat

from q2_aam.actions._reading import refuse_columns_of_nothing
from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.settings import Baselines, Reading, of_arguments


def predict_baselines(
    train_table: biom.Table,
    table: biom.Table,
    metadata: qiime2.MetadataColumn,
    phylogeny: NewickFormat = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    covariates: qiime2.Metadata = None,
    covariate_columns: str = None,
    missing_covariates: str = Reading.missing_covariates,
    missing_samples: str = Reading.missing_samples,
    missing_features: str = Reading.missing_features,
    threads: str = Baselines.threads,
    random_seed: int = Baselines.random_seed,
) -> pd.DataFrame:
    """Predict by the baselines; the parameters are described where they are registered."""
    arguments = dict(locals())
    settings, reading = of_arguments(Baselines, arguments), of_arguments(Reading, arguments)
    refuse_columns_of_nothing(covariates, covariate_columns)

    from q2_aam.encoder.device import use_threads
    from q2_aam.evaluation.baselines import predict_by_baselines
    from q2_aam.study.metadata import choose_columns
    from q2_aam.study.parts import encoded_covariates, samples_with_values
    from q2_aam.study.phylogeny import read_phylogeny

    with readable_warnings(), use_threads(settings) as threads:
        values = metadata.to_series()
        members = None if groups is None else groups.to_series()
        frame = None if covariates is None else covariates.to_dataframe()
        if frame is not None:
            others = metadata.name, None if groups is None else groups.name
            frame = frame[choose_columns(frame.columns, covariate_columns, *others)]
        train_table = samples_with_values(
            train_table, values, members, covariates=frame, missing_samples=reading.missing_samples
        )
        ids, numbers = train_table.ids(), None
        if frame is not None:
            fitted, numbers = encoded_covariates(
                frame,
                covariate_columns,
                ids,
                table.ids(),
                target=metadata.name,
                groups=None if groups is None else groups.name,
                missing_covariates=reading.missing_covariates,
            )
            say(f"Covariates: {fitted.describe()}.")
        predicted = predict_by_baselines(
            train_table,
            values.reindex(ids),
            table,
            kind=metadata.type,
            phylogeny=None if phylogeny is None else read_phylogeny(str(phylogeny)),
            groups=None if members is None else members.reindex(ids).to_numpy(),
            covariates=numbers,
            missing_features=reading.missing_features,
            n_jobs=threads,
            random_state=random_seed,
        )
        say(f"{len(predicted)} samples predicted by baselines: {', '.join(predicted.columns)}.")
    return predicted
