"""Conditioning columns: what is known of a sample beside its community, as numbers for the target head.

They are given to `fit` and again to `predict`, and are never predicted themselves.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

import numpy as np
import pandas as pd

from q2_aam.study.tables import name_ids, repeated

KINDS = ("numeric", "categorical")

# Values this close, relative to their size, differ by rounding only.
_ROUNDING = 10 * np.finfo(np.float64).eps
# The network computes in float32: standardised values beyond this would become infinite.
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ConditioningColumn:
    """One column and its way into the network, learnt from the training samples alone."""

    name: str
    """Name of the metadata column."""
    kind: str
    """'numeric' or 'categorical'."""
    location: float = 0.0
    """Mean, which is subtracted. 0 when categorical."""
    scale: float = 1.0
    """Standard deviation, which it is divided by. 1 when categorical."""
    lowest: float = 0.0
    """Lowest value. 0 when categorical."""
    highest: float = 0.0
    """Highest value. 0 when categorical."""
    categories: list[str] = field(default_factory=list)
    """Categories, sorted as plain text; each is a number of its own, 1 or 0. Empty when numeric."""

    def __post_init__(self):
        where = f"Conditioning column {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{where}: kind is {self.kind!r}; it must be one of {', '.join(KINDS)}.")
        if self.kind == "categorical" and not 2 <= len(self.categories) == len(set(self.categories)):
            raise ValueError(f"{where}: two or more distinct categories are needed: {self.categories}.")
        if self.kind == "numeric" and self.categories:
            raise ValueError(f"{where}: a numeric column has no categories.")
        if not (np.isfinite([self.location, self.scale, self.lowest, self.highest]).all() and self.scale > 0):
            raise ValueError(f"{where}: location, scale, lowest and highest must be finite, and the scale positive.")

    @property
    def width(self) -> int:
        """Numbers that the network is given."""
        return max(1, len(self.categories))

    @classmethod
    def fit(cls, values: pd.Series) -> "ConditioningColumn":
        """Learn mean and spread, or the categories; a column of one value only is refused."""
        name = str(values.name)
        refuse_missing(values)
        if _is_numeric(values):
            numbers = _numbers(values)
            if np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max():
                raise ValueError(_constant(name, f"{float(numbers[0]):g}", len(numbers)))
            return cls(
                name,
                "numeric",
                location=float(numbers.mean()),
                scale=float(numbers.std()),
                lowest=float(numbers.min()),
                highest=float(numbers.max()),
            )
        categories = sorted(set(_labels(values)))
        if len(categories) < 2:
            raise ValueError(_constant(name, repr(categories[0]), len(values)))
        return cls(name, "categorical", categories=categories)

    def encode(self, values: pd.Series) -> np.ndarray:
        """Values ``[N]`` to float32 ``[N, width]``; raises as :meth:`Conditioning.encode` says."""
        refuse_missing(values)
        if self.kind == "categorical":
            labels = _labels(values)
            codes = pd.Index(self.categories, dtype=object).get_indexer(labels)
            unknown = np.flatnonzero(codes < 0)
            if len(unknown):
                shown = [f"{values.index[row]} ({labels[row]!r})" for row in unknown]
                raise ValueError(
                    f"Conditioning column {self.name!r}: {len(unknown)} samples are of categories that no training "
                    f"sample has: {name_ids(shown)}. Known are {name_ids(self.categories)}. Correct them, leave these "
                    "samples out, or fit a model with training samples of these categories."
                )
            return np.eye(len(self.categories), dtype=np.float32)[codes]
        if not _is_numeric(values):
            raise ValueError(
                f"Conditioning column {self.name!r} held numbers when the model was fitted, but holds text here: "
                f"{values.iloc[0]!r} in sample {values.index[0]}, for instance. Give the same measurement, as numbers "
                "in all samples."
            )
        with np.errstate(over="ignore"):
            standard = (_numbers(values) - self.location) / self.scale
        too_large = np.abs(standard) > _LARGEST
        if too_large.any():
            raise ValueError(
                f"Conditioning column {self.name!r} holds numbers too large to compute with in {too_large.sum()} "
                f"samples: {name_ids(list(values.index[too_large]))}. Correct them."
            )
        return standard.astype(np.float32)[:, None]

    def outside(self, values: pd.Series) -> np.ndarray:
        """Which values ``[N]`` of a numeric column lie a standard deviation or more beyond the training samples'."""
        if self.kind == "categorical":
            return np.zeros(len(values), dtype=bool)
        return (~values.between(self.lowest - self.scale, self.highest + self.scale)).to_numpy()

    def describe(self) -> str:
        """Name, and what was learnt of it."""
        if self.kind == "categorical":
            return f"{self.name} ({name_ids(self.categories)})"
        return f"{self.name} ({self.lowest:g} to {self.highest:g})"


@dataclass(frozen=True)
class Conditioning:
    """All conditioning columns of a model; their numbers stand beside the sample embedding in the target head."""

    columns: list[ConditioningColumn]
    """In the order in which the network is given them."""

    @property
    def names(self) -> list[str]:
        """Names of the metadata columns."""
        return [column.name for column in self.columns]

    @property
    def width(self) -> int:
        """Numbers ``C`` that the network is given of a sample."""
        return sum(column.width for column in self.columns)

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> "Conditioning":
        """Learn how each column becomes numbers.

        Parameters
        ----------
        frame : pd.DataFrame
            A training sample a row, indexed by sample ID; columns of numbers are standardised, all others are
            taken as categories.

        Returns
        -------
        Conditioning

        Raises
        ------
        ValueError
            If there is no column or no sample, if a value is missing or not finite, or if all values of a column are
            the same.
        """
        if 0 in frame.shape:
            raise ValueError(
                f"Conditioning needs columns and samples, but there are {frame.shape[1]} columns of "
                f"{len(frame)} samples."
            )
        return cls([ConditioningColumn.fit(frame[name]) for name in frame.columns])

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Turn samples' values into what the network is given.

        Parameters
        ----------
        frame : pd.DataFrame
            A sample a row, indexed by sample ID; further columns are not read.

        Returns
        -------
        np.ndarray
            float32 ``[N, C]``: numbers in standard deviations from the training samples' mean, categories as 1 or 0.

        Raises
        ------
        ValueError
            If a column is not there, a value is missing, text stands in place of numbers, or a category is none of the
            training samples'.
        """
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise ValueError(
                f"The model needs the conditioning columns {name_ids(absent)}, which the conditioning metadata lacks; "
                f"there are {name_ids(list(frame.columns))}. Add them, under these names."
            )
        return np.concatenate([column.encode(frame[column.name]) for column in self.columns], axis=1)

    def extrapolations(self, frame: pd.DataFrame) -> list[str]:
        """A sentence for each numeric column with values far outside those of the training samples."""
        sentences = []
        for column in self.columns:
            outside = column.outside(frame[column.name])
            if outside.any():
                sentences.append(
                    f"Conditioning column {column.name!r}: {outside.sum()} samples have values far outside those that "
                    f"were learnt from ({column.lowest:g} to {column.highest:g}): "
                    f"{name_ids(list(frame.index[outside]))}. Check that the unit is the same; their predictions are "
                    "extrapolations."
                )
        return sentences

    def describe(self) -> str:
        """The columns as a line to read."""
        return "; ".join(column.describe() for column in self.columns)

    def to_dict(self) -> dict:
        """Everything in plain Python values, which JSON keeps exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict | None) -> "Conditioning | None":
        """Rebuild from `to_dict`; None where a model has none.

        Raises
        ------
        ValueError
            If a key is missing, or if this version does not know one.
        """
        if values is None:
            return None
        known = {entry.name for entry in fields(ConditioningColumn)}
        for column in values["columns"]:
            if set(column) != known:
                raise ValueError(
                    f"The description of a conditioning column lacks the keys {sorted(known - set(column))} and has "
                    f"the unknown keys {sorted(set(column) - known)}. Update q2-aam, or fit the model again."
                )
        return cls([ConditioningColumn(**column) for column in values["columns"]])


def choose_columns(
    available: Sequence[str], wanted: Sequence[str] | None, target: str | None, groups: str | None = None
) -> list[str]:
    """Names of the columns to condition on, each once.

    Parameters
    ----------
    available : sequence of str
        Columns of the conditioning metadata.
    wanted : sequence of str, optional
        Those asked for; all by default.
    target, groups : str
        Names of the column to predict and of the group column, which cannot be among them.

    Raises
    ------
    ValueError
        If a column is not there or cannot be used, or if there is none.
    """
    available = list(available)
    names = available if wanted is None else list(dict.fromkeys(wanted))
    if not available:
        raise ValueError("The conditioning metadata has no columns. Give metadata with the columns to condition on.")
    absent = [name for name in names if name not in available]
    if absent:
        raise ValueError(
            f"The conditioning metadata has no column {name_ids(absent)}; there are {name_ids(available)}. Correct "
            "conditioning_columns."
        )
    for name, why in (
        (target, "is the column to predict: the model would be given the answer"),
        (groups, "is the group column: new samples are of other groups, of which nothing can be learnt"),
    ):
        if name in names:
            raise ValueError(
                f"Conditioning column {name!r} {why}. Name the columns to condition on in conditioning_columns, "
                "without it."
            )
    return names


def rows_of_samples(frame: pd.DataFrame, sample_ids: Sequence[str]) -> pd.DataFrame:
    """The rows of a table's samples, in its order.

    Raises
    ------
    ValueError
        If an ID stands twice in the metadata, or if samples are not in it.
    """
    again = repeated(frame.index)
    if again:
        raise ValueError(
            f"{len(again)} sample IDs stand more than once in the conditioning metadata: {name_ids(again)}. Keep one "
            "row of each."
        )
    absent = [sample for sample in sample_ids if sample not in frame.index]
    if absent:
        raise ValueError(
            f"{len(absent)} of the table's {len(sample_ids)} samples are not in the conditioning metadata: "
            f"{name_ids(absent)}. Add them to it, or filter them from the table."
        )
    return frame.loc[list(sample_ids)]


def refuse_missing(values: pd.Series) -> None:
    """Stop where samples have no value in a conditioning column."""
    missing = values.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"Conditioning column {values.name!r} has no value in {missing.sum()} of {len(values)} samples: "
            f"{name_ids(list(values.index[missing]))}. Fill them in, filter these samples from the table, or leave the "
            "column out when fitting."
        )


def missing_values(frame: pd.DataFrame) -> dict[str, int]:
    """How many samples have no value, by column."""
    return {str(name): int(count) for name, count in frame.isna().sum().items()}


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _numbers(values: pd.Series) -> np.ndarray:
    """float64 ``[N]``, refused unless all are finite."""
    numbers = values.to_numpy(dtype=np.float64)
    infinite = ~np.isfinite(numbers)
    if infinite.any():
        raise ValueError(
            f"Conditioning column {values.name!r} holds numbers that are not finite in {infinite.sum()} samples: "
            f"{name_ids(list(values.index[infinite]))}. Correct them."
        )
    return numbers


def _labels(values: pd.Series) -> list[str]:
    """Categories as text.

    A column in which the samples at hand happen to have numbers only ('1' and '2', but not 'unknown') is read as
    numeric: whole numbers are written as they were.
    """
    if _is_numeric(values):
        return [str(int(value)) if float(value).is_integer() else repr(float(value)) for value in _numbers(values)]
    return [str(value) for value in values]


def _constant(name: str, value: str, samples: int) -> str:
    return (
        f"Conditioning column {name!r} has the same value ({value}) in all {samples} training samples: nothing can be "
        "learnt of it. Leave it out of conditioning_columns."
    )
