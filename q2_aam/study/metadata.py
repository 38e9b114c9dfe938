"""Metadata columns and feature tables: which samples have a value."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from q2_aam.settings import MISSING_SAMPLES, ON_MISSING
from q2_aam.study.tables import name_ids


def match_metadata(
    sample_ids: Sequence[str], values: pd.Series, missing_samples: str = ON_MISSING, source: str = "the metadata"
) -> np.ndarray:
    """Find the samples of a table that have a value in a metadata column.

    Parameters
    ----------
    sample_ids : sequence of str
        The table's sample IDs [N], in its order.
    values : pd.Series
        The metadata column, indexed by sample ID.
    missing_samples : {'error', 'ignore'}
        What to do when samples of the table are not in the metadata: refuse them by name, or leave them out
        with a warning that counts them. Samples that are in the metadata without a value are always left out
        in that way.
    source : str
        What the metadata is called in messages.

    Returns
    -------
    np.ndarray
        int64, ascending: numbers of the table's samples that have a value.

    Raises
    ------
    ValueError
        If samples are not in the metadata and `missing_samples` is 'error', if an ID stands twice in the
        metadata, or if no sample is left.

    Warns
    -----
    UserWarning
        If samples are left out.
    """
    if missing_samples not in MISSING_SAMPLES:
        raise ValueError(f"missing_samples is {missing_samples!r}; it must be 'error' or 'ignore'.")
    name = "target" if values.name is None else str(values.name)
    ids = pd.Index([str(sample_id) for sample_id in sample_ids], dtype=object)
    index = values.index.astype(str)
    if index.has_duplicates:
        twice = index[index.duplicated()].unique()
        raise ValueError(
            f"{len(twice)} sample IDs stand more than once in {source}: {name_ids(twice)}. Keep one row of each."
        )
    rows = index.get_indexer(ids)
    absent = rows < 0
    if absent.all():
        raise ValueError(
            f"none of the table's {len(ids)} samples ({name_ids(ids)}) is in {source} ({name_ids(index)}). "
            "Check that both name their samples alike."
        )
    if absent.any() and missing_samples == "error":
        raise ValueError(
            f"{absent.sum()} of the table's {len(ids)} samples are not in {source}: "
            f"{name_ids(ids[absent])}. Add them to {source}, filter them from the table, or set "
            "missing_samples to 'ignore'."
        )
    no_value = ~absent & values.isna().to_numpy()[rows]
    kept = ~absent & ~no_value
    if not kept.any():
        raise ValueError(
            f"no sample of the table has a value in the metadata column {name!r}. Choose another column."
        )
    for left_out, why in (
        (absent, f"are not in {source}"),
        (no_value, f"have no value in column {name!r}"),
    ):
        if left_out.any():
            warnings.warn(
                f"{left_out.sum()} of the table's {len(ids)} samples {why} and were left out: "
                f"{name_ids(ids[left_out])}.",
                stacklevel=2,
            )
    return np.flatnonzero(kept).astype(np.int64)
