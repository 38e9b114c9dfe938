"""Metadata: files, columns, and which samples of a table have a value."""

import io
import warnings
from collections.abc import Sequence
from os import PathLike

import numpy as np
import pandas as pd

from q2_aam.settings import MISSING_SAMPLES, ON_MISSING
from q2_aam.study.mismatch import features_as_samples, other_spelling
from q2_aam.study.tables import check_choice, name_ids, repeated

# Names of the ID column in QIIME 2's metadata files: in any case; as they are.
ID_NAMES = ("id", "sampleid", "sample id", "sample-id", "featureid", "feature id", "feature-id")
OLD_ID_NAMES = ("#SampleID", "#Sample ID", "#OTUID", "#OTU ID", "sample_name")
COLUMN_TYPES = ("numeric", "categorical", "")
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


def read_metadata(path: str | PathLike) -> pd.DataFrame:
    """Read a QIIME 2 metadata file, without QIIME 2.

    Parameters
    ----------
    path : str or path
        Tab-separated values: a header that begins with the name of the ID column, a sample a row. Empty cells are
        missing values; a row ``#q2:types`` says which columns are numeric or categorical; other rows that begin with
        ``#`` are comments.

    Returns
    -------
    pd.DataFrame
        By sample ID. Columns of numbers are float64, unless declared categorical; all others object (str or None).

    Raises
    ------
    ValueError
        If the file is no such table: the sentence names file, column and sample.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
        lines = [line for line in text.splitlines() if line.strip() and not _is_comment(line)]
        cells = pd.read_csv(io.StringIO("\n".join(lines)), sep="\t", header=None, dtype=str, na_filter=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} cannot be read as a metadata file (tab-separated text): {error}.") from error
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    header = cells.iloc[0].tolist()
    if header[0].lower() not in ID_NAMES and header[0] not in OLD_ID_NAMES:
        raise ValueError(
            f"{path} cannot be read as a metadata file: the first column of its header is {header[0]!r}, not the name "
            "of the ID column. Call it 'sample-id'."
        )
    if again := repeated(header):
        raise ValueError(f"{path} has more than one column of the same name: {name_ids(again)}. Keep one of each.")
    frame = cells.iloc[1:].set_axis(header, axis=1).set_index(header[0])
    directives = frame.index.str.startswith("#q2:")
    unknown = [name for name in frame.index[directives] if name != "#q2:types"]
    if unknown:
        raise ValueError(f"{path} has rows that are not understood here: {name_ids(unknown)}. Remove them.")
    types = frame[directives].iloc[0] if directives.any() else pd.Series("", index=frame.columns)
    frame = frame[~directives]
    return pd.DataFrame({name: _typed(frame[name], types[name].lower(), path) for name in frame}, index=frame.index)


def _is_comment(line: str) -> bool:
    first = line.split("\t")[0].strip()
    return first.startswith("#") and not first.startswith("#q2:") and first not in OLD_ID_NAMES


def _typed(texts: pd.Series, kind: str, path: str | PathLike) -> pd.Series:
    """A column of text as numbers or as text, None where it is empty."""
    if kind not in COLUMN_TYPES:
        raise ValueError(f"{path} has a column {texts.name!r} of type {kind!r}; it must be numeric or categorical.")
    values = texts.astype(object).mask(texts == "", None)
    wrong = values[values.notna() & ~texts.str.fullmatch(NUMBER)]
    if kind == "numeric" and len(wrong):
        shown = [f"{value!r} in sample {sample}" for sample, value in wrong.items()]
        raise ValueError(
            f"{path} has a column {texts.name!r} that is declared numeric, but {len(wrong)} values are no numbers: "
            f"{name_ids(shown)}. Correct them, leave the cells empty, or declare the column categorical."
        )
    return values if kind == "categorical" or len(wrong) else values.astype(np.float64)


def metadata_column(metadata: pd.DataFrame | None, column: str | pd.Series | None, parameter: str) -> pd.Series | None:
    """A column by sample ID (str) of the metadata by its name, or the one that is given; named in any case.

    Raises
    ------
    ValueError
        If the metadata has no such column, or is not there.
    """
    if column is None:
        return None
    if isinstance(column, str):
        if metadata is None:
            raise ValueError(f"{parameter} names the metadata column {column!r}, but there is no metadata. Give it.")
        if column not in metadata.columns:
            raise ValueError(
                f"The metadata has no column {column!r} ({parameter}); there are {name_ids(list(metadata.columns))}."
            )
        column = metadata[column]
    if not isinstance(column, pd.Series):
        raise ValueError(
            f"{parameter} must be the name of a metadata column or a pandas Series by sample ID, but is of type "
            f"{type(column).__name__}."
        )
    return column.set_axis(column.index.astype(str)).rename(parameter if column.name is None else str(column.name))


def is_numeric(values: pd.Series) -> bool:
    """Whether a column holds numbers; logical values are none."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def as_text(values: pd.Series) -> pd.Series:
    """Values without gaps as the text that they are printed as, object (str).

    Raises
    ------
    ValueError
        If different values are the same text.
    """
    texts = values.astype(object).map(str)
    alike = [text for text, kinds in values.groupby(texts, observed=True) if len(set(kinds)) > 1]
    if alike:
        raise ValueError(
            f"column {str(values.name)!r} has different values that are printed as the same text ({name_ids(alike)}): "
            "they would be one class. Write all values of the column as text."
        )
    return texts.astype(object)


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
    check_choice("missing_samples", missing_samples, MISSING_SAMPLES)
    name = "target" if values.name is None else str(values.name)
    ids = pd.Index([str(sample_id) for sample_id in sample_ids], dtype=object)
    index = values.index.astype(str)
    if index.has_duplicates:
        twice = index[index.duplicated()].unique()
        raise ValueError(
            f"{len(twice)} sample IDs stand more than once in {source}: {name_ids(twice)}. Keep one row of each."
        )
    if not len(ids):
        raise ValueError("The feature table is empty: it has no samples.")
    rows = index.get_indexer(ids)
    absent = rows < 0
    if absent.all():
        raise ValueError(
            f"none of the table's {len(ids)} samples ({name_ids(ids)}) is in {source} ({name_ids(index)}). "
            + (
                features_as_samples(ids)
                or other_spelling(ids, index, source)
                or "Check that both name their samples alike."
            )
        )
    if absent.any() and missing_samples == "error":
        raise ValueError(
            f"{absent.sum()} of the table's {len(ids)} samples are not in {source}: "
            f"{name_ids(ids[absent])}. Add them to {source}, filter them from the table, or set "
            "missing_samples to 'ignore'."
        )
    no_value = ~absent & values.isna().to_numpy()[rows]
    valued = ~absent & ~no_value
    if not valued.any():
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
    return np.flatnonzero(valued).astype(np.int64)


def choose_columns(
    available: Sequence[str], names: Sequence[str] | None, target: str | None, groups: str | None = None
) -> list[str]:
    """Names of the columns to use as covariates, each once.

    Parameters
    ----------
    available : sequence of str
        Columns of the metadata.
    names : sequence of str, optional
        Those to use; all by default.
    target, groups : str, optional
        Names of the column to predict and of the group column, which cannot be among them.

    Raises
    ------
    ValueError
        If a column is not there or cannot be used, or if there is none.
    """
    available = list(available)
    names = available if names is None else list(dict.fromkeys(names))
    if not names:
        raise ValueError("There is no column to use as covariate. Give metadata with the columns, or no covariates.")
    absent = [name for name in names if name not in available]
    if absent:
        raise ValueError(
            f"The metadata of the covariates has no column {name_ids(absent)}; there are {name_ids(available)}. "
            "Correct the names of the covariates."
        )
    for name, why in (
        (target, "is the column to predict: the model would be given the answer"),
        (groups, "is the group column: new samples are of other groups, of which nothing can be learnt"),
    ):
        if name in names:
            raise ValueError(f"Covariate {name!r} {why}. Name the columns to use as covariates, without it.")
    return names


def refuse_missing(values: pd.Series) -> None:
    """Stop where samples have no value of a covariate."""
    if values.isna().any():
        raise ValueError(
            f"{without_value(values)} Fill them in, filter these samples from the table, leave the covariate out, or "
            "set missing_covariates to 'impute'."
        )


def without_value(values: pd.Series) -> str:
    """A sentence that names the samples without a value of a covariate."""
    missing = values.isna().to_numpy()
    ids = name_ids(list(values.index[missing]))
    return f"Covariate {str(values.name)!r} has no value in {missing.sum()} of {len(values)} samples: {ids}."
