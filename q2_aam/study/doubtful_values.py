"""What a column to predict may not be: sentences, of values that are read as they stand."""

import numpy as np
import pandas as pd

from q2_aam.study.tables import name_ids

# What pandas, and with it q2-sample-classifier, reads as a missing value.
READ_AS_MISSING = {"", "#n/a", "<na>", "n/a", "na", "nan", "none", "null"}
# What others write where nothing is known, and what may be a class.
AS_UNKNOWN = {
    *("unknown", "undetermined", "unspecified", "unrecorded", "not determined", "not recorded", "not available"),
    *("not known", "nd", "n.d.", "?", "??", "-", "--", ".", "x", "other/unknown"),
}
MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
NUMBERS = r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4})"
DATE = rf"(?i:\d{{1,2}}[- ]{MONTH}([- ]\d{{2,4}})?|{MONTH}[- ]\d{{1,4}}|{NUMBERS})"
# So many dates are no names of sampling campaigns.
DATES = 3
# A number is far from all others where it is that many times as far from their median as the middle four fifths of
# them are wide; that few can be.
FAR, FEW = 20, 0.05


def doubtful_numbers(name: str, target: pd.Series) -> list[str | None]:
    """Sentences about a numeric column ``[N]`` of two values, or of values far beyond all others."""
    return [_two_values(name, target), _far_values(name, target)]


def doubtful_classes(name: str, target: pd.Series) -> list[str | None]:
    """Sentences about classes ``[N]`` that are dates, that other programs read as missing, or that say nothing."""
    return [_dates(name, target), _read_as_missing(name, target), _as_unknown(name, target)]


def _two_values(name: str, target: pd.Series) -> str | None:
    values = sorted(set(target))
    if len(values) != 2 or len(target) < 3:
        return None
    return (
        f"{name!r} has two values only, {values[0]:g} and {values[1]:g}, and is read as numbers: predictions will lie "
        "anywhere between and beyond them. If they stand for classes, declare the column categorical in the metadata "
        "file (a row '#q2:types' below the header)."
    )


def _far_values(name: str, target: pd.Series) -> str | None:
    numbers = target.to_numpy(dtype=np.float64)
    low, middle, high = np.quantile(numbers, [0.1, 0.5, 0.9])
    far = np.abs(numbers - middle) > FAR * (high - low)
    if high == low or not far.any() or far.mean() > FEW:
        return None
    shown = name_ids([f"{value:g} ({sample})" for sample, value in target[far].items()])
    return (
        f"{far.sum()} of {len(target)} values of {name!r} lie far beyond all others, of which four fifths are between "
        f"{low:g} and {high:g}: {shown}. They decide what is fitted, and scores such as R2. If they are mistakes, mend "
        "them or leave the cells empty; if values range over magnitudes, set target_transform to 'log1p'."
    )


def _dates(name: str, target: pd.Series) -> str | None:
    if target.nunique() < DATES or not target.str.fullmatch(DATE).all():
        return None
    return (
        f"The values of {name!r} look like dates, which are read as classes without order. To predict a time, give "
        "numbers, such as days since the first sample; if samples of a day are a class, nothing is wrong."
    )


def _read_as_missing(name: str, target: pd.Series) -> str | None:
    sizes = target[target.str.strip().str.lower().isin(READ_AS_MISSING)].value_counts()
    if sizes.empty:
        return None
    shown = name_ids([f"{label!r} ({count})" for label, count in sorted(sizes.items())])
    return (
        f"{name!r} has classes that other programs read as missing values: {shown}. Here they are classes like any "
        "other. If they mean that nothing is known, leave these cells empty."
    )


def _as_unknown(name: str, target: pd.Series) -> str | None:
    sizes = target[target.str.replace("_", " ").str.strip().str.lower().isin(AS_UNKNOWN)].value_counts()
    if sizes.empty:
        return None
    shown = name_ids([f"{label!r} ({count})" for label, count in sorted(sizes.items())])
    return (
        f"{name!r} has classes that seem to say that nothing is known: {shown}. They are learnt as classes like any "
        "other. If nothing is known of these samples, leave their cells empty."
    )
