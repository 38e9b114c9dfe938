"""`predict_baselines`: what a random forest and its like would have said of the same samples."""

import biom
import pandas as pd
from q2_types.tree import NewickFormat

from q2_aam.actions._inputs import drawn, keep_samples
from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.settings import MetadataReading, Reading, Runtime


def predict_baselines(
    train_table: biom.Table,
    table: biom.Table,
    metadata: qiime2.MetadataColumn,
    phylogeny: NewickFormat = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    missing_samples: str = MetadataReading.missing_samples,
    sampling_depth: int = Reading.sampling_depth,
    missing_features: str = Reading.missing_features,
    threads: str = Runtime.threads,
    random_seed: int = Runtime.random_seed,
) -> pd.DataFrame:
    """Predict by the baselines; the parameters are described where they are registered."""
    runtime = Runtime(random_seed=random_seed, threads=threads)

    from q2_aam.encoder.device import use_threads
    from q2_aam.evaluation.baselines import predict_by_baselines
    from q2_aam.study.metadata import match_metadata
    from q2_aam.study.unifrac import read_phylogeny

    with readable_warnings(), use_threads(runtime) as cores:
        for column in (metadata,) if groups is None else (metadata, groups):
            rows = match_metadata(train_table.ids(), column.to_series(), missing_samples)
            train_table = keep_samples(train_table, rows)
        train_table, table = (drawn(part, sampling_depth, random_seed) for part in (train_table, table))
        members = None if groups is None else groups.to_series().reindex(train_table.ids()).to_numpy()
        predicted = predict_by_baselines(
            train_table,
            metadata.to_series().reindex(train_table.ids()),
            table,
            kind="regression" if metadata.type == "numeric" else "classification",
            phylogeny=None if phylogeny is None else read_phylogeny(str(phylogeny)),
            groups=members,
            missing_features=missing_features,
            n_jobs=cores,
            random_state=random_seed,
        )
        say(f"{len(predicted)} samples predicted by baselines: {', '.join(predicted.columns)}.")
    return predicted
