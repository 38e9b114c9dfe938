"""A covariate: a metadata column that is read beside the community, as numbers for the head."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from q2_aam.settings import ON_MISSING
from q2_aam.study.metadata import is_numeric, refuse_missing, without_value
from q2_aam.study.tables import name_ids

KINDS = ("numeric", "categorical")

# Values this close, relative to their size, differ by rounding only.
_ROUNDING = 10 * np.finfo(np.float64).eps
# As many samples, each of another category, are named rather than described.
_IDENTIFIER_LENGTH = 10
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
    unlearnt: list[str] = field(default_factory=list)
    """Further categories, of other samples in the metadata: known, but no numbers of the head."""

    def __post_init__(self):
        where = f"Covariate {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{where}: kind is {self.kind!r}; it must be one of {', '.join(KINDS)}.")
        if not isinstance(self.unlearnt, list):
            raise ValueError(f"{where}: unlearnt must be a list of categories: {self.unlearnt}.")
        known = [*self.categories, *self.unlearnt]
        if self.kind == "categorical" and not (self.categories and 2 <= len(known) == len(set(known))):
            raise ValueError(f"{where}: two or more distinct categories are needed: {known}.")
        if self.kind == "numeric" and known:
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
    def fit(
        cls, values: pd.Series, missing_covariates: str = ON_MISSING, everywhere: pd.Series | None = None
    ) -> "Covariate":
        """Learn mean and spread, or the categories; a column of one value only, also ``everywhere``, is refused."""
        name, impute = str(values.name), missing_covariates == "impute"
        if not impute:
            refuse_missing(values)
        known, missing = values.dropna(), int(values.isna().sum())
        others = known if everywhere is None else everywhere.dropna()
        alike = is_numeric(values) and _alike(others.to_numpy(dtype=np.float64))
        if known.empty and (others.empty or alike):
            raise ValueError(
                f"Covariate {name!r} has no value in any of {missing} training samples: leave it out of the covariates."
            )
        if is_numeric(values):
            numbers = _numbers(known)
            imputed = {"imputed": float(np.median(numbers if len(numbers) else 0)) if impute else None}
            if not _alike(numbers):
                statistics = (float(of(numbers)) for of in (np.mean, np.std, np.min, np.max))
                return cls(name, "numeric", *statistics, **imputed, missing=missing)
            if alike:
                raise ValueError(_constant(name, f"{float(numbers[0]):g}", len(numbers)))
            value = float(numbers[0]) if len(numbers) else 0.0
            return cls(name, "numeric", value, 1.0, value, value, **imputed, missing=missing)
        learnt = set(_labels(known))
        unlearnt = sorted(set(_labels(others)) - learnt)
        if len(learnt) + len(unlearnt) + bool(missing) < 2:
            raise ValueError(_constant(name, repr(*learnt), len(known)))
        if len(learnt) == len(known) >= _IDENTIFIER_LENGTH:
            raise ValueError(
                f"Covariate {name!r} has another category in each of {len(known)} training samples: nothing can be "
                "learnt of it, and those of new samples would not be known. Leave it out of the covariates; if it is a "
                "measurement, declare it numeric in the metadata file (a row '#q2:types' below the header)."
            )
        categories = [*sorted(learnt), *[None] * impute]
        return cls(name, "categorical", categories=categories, missing=missing, unlearnt=unlearnt)

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
        # None, the category of missing values, is the last one where it is there; what was not learnt has zeros.
        width = len(self.categories)
        codes = np.full(len(missing), width - 1)
        codes[~missing] = pd.Index([*self.categories, *self.unlearnt], dtype=object).get_indexer(_labels(known))
        unknown = np.flatnonzero(codes[~missing] < 0)
        if len(unknown):
            shown = [f"{known.index[row]} ({_labels(known)[row]!r})" for row in unknown]
            raise ValueError(
                f"Covariate {self.name!r}: {len(unknown)} samples are of categories that no training sample has: "
                f"{name_ids(shown)}. Known are {name_ids(self._category_names())}. Correct them, leave these samples "
                "out, or fit a model with training samples of these categories."
            )
        return np.eye(width + 1, width, dtype=np.float32)[np.minimum(codes, width)]

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
            sentences = []
            if missing.any() and not self.missing:
                sentences.append(
                    f"{without_value(values)} No training sample lacked one, so that the model has not learnt what "
                    "this means; their predictions are extrapolations."
                )
            known = values[~missing]
            odd = [f"{sample} ({text!r})" for sample, text in zip(known.index, _labels(known), strict=True)
                   if text in self.unlearnt]  # fmt: skip
            if odd:
                sentences.append(
                    f"Covariate {self.name!r}: {len(odd)} samples are of categories that no training sample is of: "
                    f"{name_ids(odd)}. This covariate says nothing of them."
                )
            return sentences
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

    def caution(self) -> str | None:
        """A sentence on a column that is the same in all training samples, and not elsewhere."""
        learnt = len(self.categories) - (self.imputes and not self.missing)
        if learnt > 1 if self.kind == "categorical" else self.lowest < self.highest:
            return None
        return (
            f"Covariate {self.name!r} is the same in all training samples: nothing was learnt of it. Leave it out, or "
            "add samples in which it differs."
        )

    def _category_names(self) -> list[str]:
        return [name for name in self.categories if name is not None]


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


def _alike(numbers: np.ndarray) -> bool:
    """Whether there are no two different numbers."""
    return not len(numbers) or np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max()


def _constant(name: str, value: str, samples: int) -> str:
    return (
        f"Covariate {name!r} has the same value ({value}) in all {samples} training samples that have one: nothing can "
        "be learnt of it. Leave it out of the covariates."
    )
