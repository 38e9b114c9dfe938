"""From artifact views to a study. The core reads and checks; here is what only QIIME 2 knows."""

import warnings

import pandas as pd

from q2_aam.framework import qiime2
from q2_aam.settings import LONGEST, Architecture, Embedding, Reading


def study_of(
    table,
    sequences=None,
    *,
    metadata=None,
    groups=None,
    covariates=None,
    covariate_columns: list | None = None,
    phylogeny=None,
    max_length: int = Architecture.max_length,
    reading: Reading = Reading(),  # noqa: B008 (it is frozen)
):
    """Read a study from views of artifacts and metadata, as the actions take them.

    Parameters
    ----------
    table : biom.Table
    sequences : DNAFASTAFormat, optional
    metadata, groups : MetadataColumn, optional
        The column to predict, and the groups'.
    covariates : Metadata, optional
    covariate_columns : list of str, optional
        Those of its columns to read; all by default.
    phylogeny : NewickFormat, optional
    max_length : int
        Nucleotides read of each sequence.
    reading : Reading

    Returns
    -------
    Study
    """
    from q2_aam.study.study import read_study

    refuse_columns_of_nothing(covariates, covariate_columns)
    frame = None if covariates is None else covariates.to_dataframe()
    return read_study(
        table,
        None if sequences is None else str(sequences),
        metadata=frame,
        target=None if metadata is None else metadata.to_series(),
        groups=None if groups is None else groups.to_series(),
        covariates=list(covariate_columns) if covariate_columns else frame,
        phylogeny=None if phylogeny is None else str(phylogeny),
        max_length=max_length,
        missing_features=reading.missing_features,
        missing_samples=reading.missing_samples,
        missing_covariates=reading.missing_covariates,
    )


def foreign_cautions(
    table, encoder, missing_features: str, foreign: str, threads, sequences=None, groups=None, pretrained: bool = False
) -> tuple[str, ...]:
    """What :func:`q2_aam.encoder.foreign.cautions_to_learn` says of artifacts of an encoder and of sequences, and
    whether samples are near copies of others.

    Without an encoder: what it says of the ready one. Where one will be pretrained on these samples, it is of their
    lengths alone.
    """
    from q2_types.feature_data import DNAFASTAFormat

    from q2_aam.encoder.device import use_threads
    from q2_aam.encoder.foreign import cautions_to_learn
    from q2_aam.study.near_copies import copies_in
    from q2_aam.types import AAMModelDirectoryFormat

    loaded = None if pretrained else encoder_of(None if encoder is None else encoder.view(AAMModelDirectoryFormat))
    sequences = None if sequences is None else sequences.view(DNAFASTAFormat)
    with warnings.catch_warnings():
        # What reading has to say is said where something is learnt of it.
        warnings.simplefilter("ignore")
        reading = Reading(missing_features=missing_features)
        length = LONGEST if pretrained else loaded.max_length
        study = study_of(table, sequences, groups=groups, max_length=length, reading=reading)
    with use_threads(Embedding(threads=threads)):
        said = *cautions_to_learn(loaded, study.communities, foreign), copies_in(study)[1]
    return tuple(filter(None, said))


def refuse_columns_of_nothing(covariates, covariate_columns) -> None:
    """Stop when columns are named of metadata that is not there."""
    if covariates is None and covariate_columns:
        raise ValueError(
            "covariate_columns names columns of the covariates' metadata, but there is none. Give it as covariates, or "
            "leave covariate_columns out."
        )


def refuse_absent_samples(table, covariates) -> None:
    """Stop when samples to predict are not in the covariates' metadata: `predict` leaves no sample out."""
    from q2_aam.study.tables import name_ids

    ids = table.ids()
    known = ids if covariates is None else covariates.ids
    absent = list(pd.Index(ids).difference(known, sort=False))
    if 0 < len(absent) < len(ids):
        raise ValueError(
            f"{len(absent)} of the table's {len(ids)} samples are not in the metadata of the covariates: "
            f"{name_ids(absent)}. Add them to it, or filter them from the table."
        )


def encoder_of(directory):
    """The encoder of an artifact, or the ready one where none is given."""
    from q2_aam.encoder.encoder import Encoder

    return Encoder.ready() if directory is None else Encoder.load(str(directory))


def refuse_id_headers(values: pd.Series) -> None:
    """Stop when a class is named such that QIIME 2 could not read the probabilities, whose columns the classes are."""
    refused = [name for name in sorted(set(values.dropna().astype(str))) if not names_a_column(name)]
    if refused:
        from q2_aam.study.tables import name_ids

        raise ValueError(
            f"{len(refused)} classes of column {values.name!r} are called what QIIME 2 calls a column of IDs: "
            f"{name_ids(refused)}. No metadata can have a column of that name, and the probabilities of the classes "
            "could not be read. Rename these classes in the metadata."
        )


def names_a_column(name: str) -> bool:
    """Whether metadata may have a column of that name."""
    try:
        qiime2.Metadata(pd.DataFrame({name: [0.0]}, index=pd.Index(["sample"], name="id")))
    except ValueError:
        return False
    return True
