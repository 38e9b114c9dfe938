"""Tables and their metadata in parts: those to learn from and those to judge by."""

from collections.abc import Sequence

import biom
import numpy as np
import pandas as pd

from q2_aam.settings import ON_MISSING
from q2_aam.study.covariates import Covariates
from q2_aam.study.metadata import choose_columns, is_numeric, match_metadata
from q2_aam.study.odd_values import refuse_odd_columns
from q2_aam.study.tables import keep_samples
from q2_aam.study.two_parts import two_parts


def samples_with_values(
    table: biom.Table,
    target: pd.Series,
    groups: pd.Series | None = None,
    covariates: pd.DataFrame | None = None,
    missing_samples: str = ON_MISSING,
) -> biom.Table:
    """The samples of a table that have a value in each of some metadata columns, and a row of covariates.

    Parameters
    ----------
    table : biom.Table
        Features x samples.
    target, groups : pd.Series
        By sample ID.
    covariates : pd.DataFrame, optional
        By sample ID; a missing value does not leave the sample out.
    missing_samples : {'error', 'ignore'}
        What samples that are not in the metadata do.

    Raises
    ------
    ValueError
        If samples are not in the metadata and `missing_samples` is 'error', or none is left; or if a column holds what
        nobody means to learn from.
    """
    for column in (target, groups):
        if column is not None:
            table = keep_samples(table, match_metadata(table.ids(), column, missing_samples))
    if covariates is not None:
        rows = match_metadata(
            table.ids(), pd.Series(0, index=covariates.index), missing_samples, "the metadata of the covariates"
        )
        table = keep_samples(table, rows)
    refuse_odd_columns(table.ids(), target, groups, covariates)
    return table


def split_table(
    table: biom.Table, target: pd.Series, groups: pd.Series | None, share: float, random_seed: int
) -> tuple[biom.Table, biom.Table]:
    """A table in two: whole groups, classes of the target in like shares.

    Parameters
    ----------
    table : biom.Table
        All of its samples have a target and, where there are groups, a group.
    target, groups : pd.Series
        By sample ID.
    share : float
        Of the samples in the second table, between 0 and 1.
    random_seed : int

    Returns
    -------
    tuple of biom.Table
        Each with the features that its samples hold.

    Raises
    ------
    ValueError
        If there is one sample or one group only.
    """
    ids = table.ids()
    if len(ids) < 2:
        raise ValueError(
            "The table is to be parted in two, but only one of its samples has a value. Give a table of more "
            "samples, or the metadata of more of them."
        )
    if groups is not None and groups.reindex(ids).nunique() < 2:
        raise ValueError(
            "The table is to be parted in two, but all its samples are of one group. Choose another group column, or "
            "leave it out."
        )
    classes = None if is_numeric(target) else target.reindex(ids)
    rows = two_parts(
        len(ids),
        share,
        groups=None if groups is None else groups.reindex(ids),
        classes=classes,
        random_seed=random_seed,
        name="test table",
    )
    first, second = (keep_samples(table, part).remove_empty("observation") for part in rows)
    return first, second


def encoded_covariates(
    frame: pd.DataFrame,
    names: Sequence[str] | None,
    train_ids: Sequence[str],
    new_ids: Sequence[str],
    *,
    target: str,
    groups: str | None = None,
    missing_covariates: str = ON_MISSING,
) -> tuple[Covariates, tuple[np.ndarray, np.ndarray]]:
    """Covariates of samples to learn from, and them and those of new samples as numbers.

    Parameters
    ----------
    frame : pd.DataFrame
        By sample ID.
    names : sequence of str, optional
        Columns of it; all by default.
    train_ids, new_ids : sequence of str
        Samples.
    target, groups : str
        Names of the column to predict and of the group column, which are refused.
    missing_covariates : {'error', 'impute'}

    Returns
    -------
    Covariates
        As they are in the samples to learn from.
    tuple of np.ndarray
        float32 ``[N, C]`` and ``[M, C]``.
    """
    frame = frame[choose_columns(frame.columns, names, target, groups)]
    # New samples have no other metadata: they are refused by name where they are not in this one.
    match_metadata(new_ids, pd.Series(0, index=frame.index), source="the metadata of the covariates")
    train, new = frame.loc[list(train_ids)], frame.loc[list(new_ids)]
    fitted = Covariates.fit(train, missing_covariates, frame)
    return fitted, (fitted.encode(train), fitted.encode(new))
