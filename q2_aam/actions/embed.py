"""`embed` and `embed_vectors`: samples and ASVs where an encoder places them, for other programs to go on from."""

from dataclasses import replace

import biom
import pandas as pd
import skbio
from q2_types.distance_matrix import LSMatFormat
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._reading import study_of
from q2_aam.actions._reporting import describe_new_asvs, describe_study, readable_warnings, say, warn_of
from q2_aam.settings import Embedding, Reading, Training
from q2_aam.types import AAMModelDirectoryFormat


def embed(
    table: biom.Table,
    sequences: DNAFASTAFormat = None,
    model: AAMModelDirectoryFormat = None,
    metric: str = Training.metric,
    missing_features: str = Reading.missing_features,
    foreign: str = Embedding.foreign,
    device: str = Embedding.device,
    threads: str = Embedding.threads,
) -> (pd.DataFrame, LSMatFormat, skbio.OrdinationResults):
    """Place samples; the parameters are described where they are registered."""
    settings = Embedding(device=device, threads=threads, foreign=foreign)

    from q2_aam.encoder.ordination import distance_matrix, principal_coordinates, refuse_samples, write_distances
    from q2_aam.placement import load

    with readable_warnings():
        refuse_samples(table.ids())
        loaded = load(model)
        metric = loaded.encoder.learnt_metric(metric)
        placement = loaded.place(*_read(loaded, table, sequences, missing_features, settings))
        warn_of(placement.cautions)
        sample_ids, result = placement.study.communities.sample_ids, LSMatFormat()
        beside = metric != loaded.encoder.learnt_metric("auto")
        distances = distance_matrix(placement.embedding, weighted=beside)
        write_distances(str(result), sample_ids, distances)
        say(f"Distances are predicted {metric} UniFrac.")
        return placement.sample_vectors(), result, principal_coordinates(sample_ids, distances)


def embed_vectors(
    table: biom.Table,
    sequences: DNAFASTAFormat = None,
    model: AAMModelDirectoryFormat = None,
    missing_features: str = Reading.missing_features,
    foreign: str = Embedding.foreign,
    device: str = Embedding.device,
    threads: str = Embedding.threads,
) -> (pd.DataFrame, pd.DataFrame):
    """Place samples and ASVs; the parameters are described where they are registered."""
    settings = Embedding(device=device, threads=threads, foreign=foreign)

    from q2_aam.placement import load

    with readable_warnings():
        loaded = load(model)
        study, settings = _read(loaded, table, sequences, missing_features, settings)
        placement = loaded.place(study, settings)
        warn_of(placement.cautions)
        return placement.sample_vectors(), placement.asv_vectors(settings)


def _read(loaded, table, sequences, missing_features: str, settings: Embedding):
    """The study and how to read it, by what was loaded of a model; both are told of."""
    reading = Reading(missing_features=missing_features)
    study = study_of(table, sequences, max_length=loaded.encoder.max_length, reading=reading)
    say(describe_study(study))
    say(describe_new_asvs(loaded.encoder, study))
    return study, replace(settings, token_limit=loaded.token_limit)
