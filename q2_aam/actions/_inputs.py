"""What the actions share of reading and checking what they are given."""

import warnings
from dataclasses import fields

import biom
import numpy as np
import pandas as pd

from q2_aam.framework import qiime2
from q2_aam.settings import Distances, Objective, TargetObjective, TargetReading, measured_names
from q2_aam.study.tables import name_ids, rarefy


def settings(kind, arguments: dict):
    """Fill a settings dataclass from an action's arguments of the same names."""
    return kind(**{field.name: arguments[field.name] for field in fields(kind)})


def check_monitor(monitor: str, objective: Objective, unifrac: bool, kind: str | None = None) -> None:
    """Refuse, before anything is trained, a metric that this run does not measure.

    Parameters
    ----------
    monitor : str
        Name without its stage.
    objective : Objective
        Losses of weight 0 are not measured.
    unifrac : bool
        Whether there is a phylogeny.
    kind : str, optional
        Kind of the target, 'numeric' or 'categorical'.
    """
    measured = measured_names(objective, unifrac, kind)
    if monitor not in measured:
        raise ValueError(f"monitor is {monitor!r}, which is not measured here; choose one of {', '.join(measured)}.")


def warn_of_unused(kind: str, phylogeny: bool, target_transform: str, metric: str, unifrac_weight: float) -> None:
    """Warn of what `fit` was asked for and this run has no use for; a default was not asked for.

    Parameters
    ----------
    kind : str
        Kind of the target, 'numeric' or 'categorical'.
    phylogeny : bool
        Whether there is one.
    target_transform, metric, unifrac_weight
        As given.
    """
    if kind == "categorical" and target_transform != TargetReading.target_transform:
        warnings.warn(
            f"target_transform is {target_transform!r}, but the column is categorical: classes take no transform. "
            "Leave target_transform out.",
            stacklevel=2,
        )
    if not phylogeny:
        for name, value, default in (
            ("metric", metric, Distances.metric),
            ("unifrac_weight", unifrac_weight, TargetObjective.unifrac_weight),
        ):
            if value not in (default, 0):
                warnings.warn(
                    f"{name} is {value!r}, but there is no phylogeny, without which no distances are learnt. Give the "
                    f"phylogeny, or leave {name} out.",
                    stacklevel=2,
                )


def fasta_sequences(sequences) -> dict[str, str] | None:
    """Sequences by feature ID of an optional FASTA format."""
    from q2_aam.study.communities import read_sequences

    return None if sequences is None else read_sequences(str(sequences))


def drawn(table: biom.Table, sampling_depth: int | None, random_seed: int) -> biom.Table:
    """The table itself, or rarefied to a depth."""
    return table if sampling_depth is None else rarefy(table, sampling_depth, random_seed)


def keep_samples(table: biom.Table, rows: np.ndarray) -> biom.Table:
    """Some samples of a table, in its own order; a new table."""
    if len(rows) == table.shape[1]:
        return table
    return biom.Table(table.matrix_data.tocsr()[:, rows], table.ids("observation"), table.ids()[rows])


def conditioning_frame(metadata, columns: list | None, target, groups) -> pd.DataFrame | None:
    """The conditioning columns asked for, a sample a row; None where there is no such metadata.

    Parameters
    ----------
    metadata : Metadata, optional
        The conditioning metadata.
    columns : list of str, optional
        Those of its columns to condition on; all by default.
    target, groups : MetadataColumn
        The column to predict and, where given, the group column, which are refused.
    """
    from q2_aam.study.covariates import choose_columns

    if metadata is None:
        if columns:
            raise ValueError(
                "conditioning_columns names columns of the conditioning metadata, but there is none. Give it as "
                "conditioning, or leave conditioning_columns out."
            )
        return None
    names = choose_columns(metadata.columns, columns, target.name, None if groups is None else groups.name)
    return metadata.to_dataframe()[names]


def condition_of(learnt, metadata, sample_ids: np.ndarray) -> np.ndarray | None:
    """What a model is given of new samples beside their communities, float32 ``[N, C]``; None where it reads nothing.

    Parameters
    ----------
    learnt : Conditioning or None
        The model's conditioning columns.
    metadata : Metadata or None
        The conditioning metadata of the new samples; it may have further columns.
    sample_ids : np.ndarray
        ``[N]``, the samples of the table.
    """
    from q2_aam.study.covariates import rows_of_samples

    if learnt is None:
        if metadata is not None:
            raise ValueError(
                "The model was fitted without conditioning columns: the conditioning metadata would not be read. Leave "
                "it out, or fit a model with it."
            )
        return None
    if metadata is None:
        raise ValueError(
            f"The model was fitted with the conditioning columns {name_ids(learnt.names)}, and needs them of the new "
            "samples, too. Give metadata that has them as conditioning."
        )
    frame = rows_of_samples(metadata.to_dataframe(), sample_ids)
    condition = learnt.encode(frame)
    for sentence in learnt.extrapolations(frame):
        warnings.warn(sentence, stacklevel=2)
    return condition


def refuse_lost_classes(
    values: pd.Series, train_rows: np.ndarray, validation_rows: np.ndarray, groups: pd.Series | None
) -> None:
    """Stop when the split by groups has left all samples of a class to validation: it could not be learnt."""
    lost = sorted(set(values.iloc[validation_rows].astype(str)) - set(values.iloc[train_rows].astype(str)))
    if groups is not None and lost:
        raise ValueError(
            f"No sample is left to learn these classes of column {values.name!r} from: {name_ids(lost)}. Their groups "
            f"(column {groups.name!r}) were all kept apart for validation. Give a column of smaller groups, another "
            "random_seed, or leave the samples of these classes out."
        )


def refuse_id_headers(values: pd.Series) -> None:
    """Stop when a class is named such that QIIME 2 could not read the probabilities, whose columns the classes are."""
    refused = [name for name in sorted(set(values.dropna().astype(str))) if not _names_a_column(name)]
    if refused:
        raise ValueError(
            f"{len(refused)} classes of column {values.name!r} are called what QIIME 2 calls a column of IDs: "
            f"{name_ids(refused)}. No metadata can have a column of that name, and the probabilities of the classes "
            "could not be read. Rename these classes in the metadata."
        )


def _names_a_column(name: str) -> bool:
    try:
        qiime2.Metadata(pd.DataFrame({name: [0.0]}, index=pd.Index(["sample"], name="id")))
    except ValueError:
        return False
    return True


def left_out(sample_ids: np.ndarray, *columns: pd.Series) -> dict[str, int]:
    """How many samples of a table are left out for want of metadata, for ``model.json``.

    Parameters
    ----------
    sample_ids : np.ndarray
        ``[N]``, the table's.
    *columns : pd.Series
        Metadata columns by sample ID, in the order in which samples without a value are left out.
    """
    kept = pd.Index(sample_ids)
    counts = {"samples_not_in_metadata": 0, "samples_without_value": 0}
    for values in columns:
        known, valued = kept.isin(values.index), kept.isin(values.dropna().index)
        counts["samples_not_in_metadata"] += int((~known).sum())
        counts["samples_without_value"] += int((known & ~valued).sum())
        kept = kept[valued]
    return counts
