"""Covariates: metadata columns that are read beside the community, as numbers for the head.

They are given to `fit` and again to `predict`, and are never predicted themselves.
"""

from dataclasses import asdict, dataclass, field, fields

import numpy as np
import pandas as pd

from q2_aam.settings import MISSING_COVARIATES, ON_MISSING
from q2_aam.study.metadata import is_numeric, refuse_missing, without_value
from q2_aam.study.tables import check_choice, name_ids

KINDS = ("numeric", "categorical")

# Values this close, relative to their size, differ by rounding only.
_ROUNDING = 10 * np.finfo(np.float64).eps
# The network computes in float32: standardised values beyond this would become infinite.
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Covariate:
    """One column and its way to numbers, learnt from the training samples alone."""

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
    categories: list[str | None] = field(default_factory=list)
    """Categories, sorted as plain text; each is a number of its own, 1 or 0. Where missing values are imputed, None is
    the last one: a category of their own, also when no training sample is of it. Empty when numeric."""
    imputed: float | None = None
    """Median of the training samples, in place of missing values; None where these are refused, or categorical."""
    missing: int = 0
    """Training samples without a value."""

    def __post_init__(self):
        where = f"Covariate {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{where}: kind is {self.kind!r}; it must be one of {', '.join(KINDS)}.")
        if self.kind == "categorical" and not 2 <= len(self.categories) == len(set(self.categories)):
            raise ValueError(f"{where}: two or more distinct categories are needed: {self.categories}.")
        if self.kind == "numeric" and self.categories:
            raise ValueError(f"{where}: a numeric column has no categories.")
        numbers = [self.location, self.scale, self.lowest, self.highest, self.imputed or 0.0]
        if not (np.isfinite(numbers).all() and self.scale > 0):
            raise ValueError(
                f"{where}: location, scale, lowest, highest and imputed must be finite, and the scale positive."
            )

    @property
    def width(self) -> int:
        """Numbers that the head is given."""
        return max(1, len(self.categories))

    @property
    def imputes(self) -> bool:
        """Whether missing values are filled in; refused otherwise."""
        return self.imputed is not None or None in self.categories

    @classmethod
    def fit(cls, values: pd.Series, missing_covariates: str = ON_MISSING) -> "Covariate":
        """Learn mean and spread, or the categories; a column of one value only is refused."""
        name, impute = str(values.name), missing_covariates == "impute"
        if not impute:
            refuse_missing(values)
        known, missing = values.dropna(), int(values.isna().sum())
        if known.empty:
            raise ValueError(
                f"Covariate {name!r} has no value in any of {missing} training samples: leave it out of the covariates."
            )
        if is_numeric(values):
            numbers = _numbers(known)
            if np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max():
                raise ValueError(_constant(name, f"{float(numbers[0]):g}", len(numbers)))
            statistics = (float(of(numbers)) for of in (np.mean, np.std, np.min, np.max))
            return cls(name, "numeric", *statistics, [], float(np.median(numbers)) if impute else None, missing)
        categories = sorted(set(_labels(known)))
        if len(categories) + bool(missing) < 2:
            raise ValueError(_constant(name, repr(categories[0]), len(known)))
        return cls(name, "categorical", categories=[*categories, *[None] * impute], missing=missing)

    def encode(self, values: pd.Series) -> np.ndarray:
        """Values ``[N]`` to float32 ``[N, width]``; raises as :meth:`Covariates.encode` says."""
        missing = values.isna().to_numpy()
        if missing.any() and not self.imputes:
            raise ValueError(
                f"{without_value(values)} The model was fitted to samples that all have one: fill them in, or filter "
                "these samples from the table."
            )
        numbers = self._indicators if self.kind == "categorical" else self._standardised
        return numbers(values[~missing], missing)

    def _indicators(self, known: pd.Series, missing: np.ndarray) -> np.ndarray:
        """One column a category, float32 ``[N, width]``."""
        # None, the category of missing values, is the last one where it is there.
        codes = np.full(len(missing), len(self.categories) - 1)
        codes[~missing] = pd.Index(self.categories, dtype=object).get_indexer(_labels(known))
        unknown = np.flatnonzero(codes[~missing] < 0)
        if len(unknown):
            shown = [f"{known.index[row]} ({_labels(known)[row]!r})" for row in unknown]
            raise ValueError(
                f"Covariate {self.name!r}: {len(unknown)} samples are of categories that no training sample has: "
                f"{name_ids(shown)}. Known are {name_ids(self._category_names())}. Correct them, leave these samples "
                "out, or fit a model with training samples of these categories."
            )
        return np.eye(len(self.categories), dtype=np.float32)[codes]

    def _standardised(self, known: pd.Series, missing: np.ndarray) -> np.ndarray:
        """Standard deviations from the mean, float32 ``[N, 1]``."""
        if len(known) and not is_numeric(known):
            text = f"{known.iloc[0]!r} in sample {known.index[0]}"
            raise ValueError(
                f"Covariate {self.name!r} held numbers when the model was fitted, but holds text here: {text}, for "
                "instance. Give the same measurement, as numbers in all samples."
            )
        numbers = np.full(len(missing), np.nan if self.imputed is None else self.imputed)
        numbers[~missing] = _numbers(known)
        with np.errstate(over="ignore"):
            standard = (numbers - self.location) / self.scale
        too_large = np.abs(standard[~missing]) > _LARGEST
        if too_large.any():
            raise ValueError(
                f"Covariate {self.name!r} holds numbers too large to compute with in {too_large.sum()} samples: "
                f"{name_ids(list(known.index[too_large]))}. Correct them."
            )
        return standard.astype(np.float32)[:, None]

    def extrapolations(self, values: pd.Series) -> list[str]:
        """Sentences on values ``[N]`` of which the training samples say little or nothing."""
        missing = values.isna()
        if self.kind == "categorical":
            if self.missing or not missing.any():
                return []
            return [
                f"{without_value(values)} No training sample lacked one, so that the model has not learnt what this "
                "means; their predictions are extrapolations."
            ]
        # A standard deviation or more beyond the training samples'.
        outside = ~values.between(self.lowest - self.scale, self.highest + self.scale) & ~missing
        if not outside.any():
            return []
        return [
            f"Covariate {self.name!r}: {outside.sum()} samples have values far outside those of the training samples "
            f"({self.lowest:g} to {self.highest:g}): {name_ids(list(values.index[outside]))}. Check that the unit is "
            "the same; their predictions are extrapolations."
        ]

    def describe(self) -> str:
        """Name, and what was learnt of it."""
        names = name_ids(self._category_names())
        known = names if self.kind == "categorical" else f"{self.lowest:g} to {self.highest:g}"
        if not self.missing:
            return f"{self.name} ({known})"
        imputed = "a category of their own" if self.imputed is None else f"the median {self.imputed:g}"
        return f"{self.name} ({known}; missing in {self.missing} samples, read as {imputed})"

    def _category_names(self) -> list[str]:
        return [name for name in self.categories if name is not None]


@dataclass(frozen=True)
class Covariates:
    """All covariates of a model; their numbers stand beside the sample embedding in the head."""

    columns: list[Covariate]
    """In the order in which the head is given them."""

    @property
    def names(self) -> list[str]:
        """Names of the metadata columns."""
        return [column.name for column in self.columns]

    @property
    def width(self) -> int:
        """Numbers ``M`` that the head is given of a sample."""
        return sum(column.width for column in self.columns)

    @classmethod
    def fit(cls, frame: pd.DataFrame, missing_covariates: str = ON_MISSING) -> "Covariates":
        """Learn how each column becomes numbers.

        Parameters
        ----------
        frame : pd.DataFrame
            A training sample a row, by sample ID; columns of numbers are standardised, all others are categories.
        missing_covariates : {'error', 'impute'}
            What missing values do, here and in new samples: stop, or be read as the median of the training samples or
            as a category of their own.

        Returns
        -------
        Covariates

        Raises
        ------
        ValueError
            If there is no column or no sample, if a value is not finite, or missing without being imputed, or if all
            values of a column are the same or missing.
        """
        check_choice("missing_covariates", missing_covariates, MISSING_COVARIATES)
        if 0 in frame.shape:
            raise ValueError(
                f"Covariates need columns and samples, but there are {frame.shape[1]} columns of {len(frame)} samples."
            )
        return cls([Covariate.fit(frame[name], missing_covariates) for name in frame.columns])

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Turn samples' values into what the head is given.

        Parameters
        ----------
        frame : pd.DataFrame
            A sample a row, indexed by sample ID; further columns are not read.

        Returns
        -------
        np.ndarray
            float32 ``[N, M]``: numbers in standard deviations from the training samples' mean, categories as 1 or 0.

        Raises
        ------
        ValueError
            If a column is not there, a value is missing and the model does not impute, text stands in place of
            numbers, or a category is none of the training samples'.
        """
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise ValueError(
                f"The model needs the covariates {name_ids(absent)}, which the metadata of the covariates lacks; there "
                f"are {name_ids(list(frame.columns))}. Add them, under these names."
            )
        return np.concatenate([column.encode(frame[column.name]) for column in self.columns], axis=1)

    def extrapolations(self, frame: pd.DataFrame) -> list[str]:
        """A sentence for each column with values of which the training samples say little or nothing."""
        return [sentence for column in self.columns for sentence in column.extrapolations(frame[column.name])]

    def describe(self) -> str:
        """The columns as a line to read."""
        return "; ".join(column.describe() for column in self.columns)

    def to_dict(self) -> dict:
        """Everything in plain Python values, which JSON keeps exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict | None) -> "Covariates | None":
        """Rebuild from `to_dict`; None where a model has none. A missing or unknown key is a ValueError."""
        if values is None:
            return None
        known = {entry.name for entry in fields(Covariate)}
        for column in values["columns"]:
            if set(column) != known:
                raise ValueError(
                    f"The description of a covariate lacks the keys {sorted(known - set(column))} and has "
                    f"the unknown keys {sorted(set(column) - known)}. Update q2-aam, or fit the model again."
                )
        return cls([Covariate(**column) for column in values["columns"]])


def _numbers(values: pd.Series) -> np.ndarray:
    """float64 ``[N]``, refused unless all are finite."""
    numbers = values.to_numpy(dtype=np.float64)
    infinite = ~np.isfinite(numbers)
    if infinite.any():
        raise ValueError(
            f"Covariate {str(values.name)!r} holds numbers that are not finite in {infinite.sum()} samples: "
            f"{name_ids(list(values.index[infinite]))}. Correct them."
        )
    return numbers


def _labels(values: pd.Series) -> list[str]:
    """Categories as text."""
    # A column in which the samples at hand happen to have numbers only ('1' and '2', but not 'unknown') is read as
    # numeric: whole numbers are written as they were.
    if is_numeric(values):
        return [str(int(value)) if float(value).is_integer() else repr(float(value)) for value in _numbers(values)]
    return [str(value) for value in values]


def _constant(name: str, value: str, samples: int) -> str:
    return (
        f"Covariate {name!r} has the same value ({value}) in all {samples} training samples that have one: nothing can "
        "be learnt of it. Leave it out of the covariates."
    )
