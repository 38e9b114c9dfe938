"""Values of metadata columns that are hardly what they would be read as: refused, with the samples and the mend."""

import unicodedata

import numpy as np
import pandas as pd

from q2_aam.study.metadata import NUMBER, is_numeric
from q2_aam.study.tables import name_ids

# What public archives (INSDC) write in place of a value, alone or with a reason behind a colon.
MISSING_WORDS = ("missing", "not applicable", "not collected", "not provided", "restricted access")
# A column of so many different numbers, which so many of its samples have, is meant to be one of numbers.
MANY_NUMBERS, MOSTLY = 10, 0.8
# A decimal comma, or one between thousands.
WITH_COMMA = r"[+-]?\d+(,\d+)+(\.\d+)?"
# A number and a unit, which all numbers of a column share.
WITH_UNIT = r"[+-]?(?:\d+\.?\d*|\.\d+)\s*(%|[^\W\d_][^\d]*)"
# Characters that end a line or a cell somewhere.
BREAKS = "[\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]"
# Of fewer numbers than this nobody can tell which lie far from all others.
FEWEST = 5


def refuse_odd_values(values: pd.Series, numbers: bool = True) -> None:
    """Stop where a column holds what nobody means to learn from.

    Parameters
    ----------
    values : pd.Series
        ``[N]``, the column by sample ID; missing values are no matter here.
    numbers : bool
        Whether the column may be meant as one of numbers; names of groups are not.

    Raises
    ------
    ValueError
        Of text: line breaks and tabs, numbers with words among them or with commas, words for a missing value,
        classes that differ in capitals, blanks, hyphens or underscores alone. Of numbers: codes for missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> from q2_aam.study.odd_values import refuse_odd_values
    >>> refuse_odd_values(pd.Series(["bog", "Bog"], index=["s1", "s2"], name="habitat"))
    Traceback (most recent call last):
        ...
    ValueError: column 'habitat' has values that differ in capitals, blanks, hyphens or underscores alone: 'Bog' (s2), \
'bog' (s1). They would be different classes. Write them alike.
    """
    values = values.dropna()
    if is_numeric(values):
        _refuse_codes(values.astype(np.float64))
        return
    texts = values.astype(object).map(str)
    _refuse_breaks(texts)
    if numbers:
        _refuse_words_among_numbers(texts)
        _refuse_units(texts)
    _refuse_missing_words(texts)
    _refuse_spellings(texts)


def refuse_odd_columns(
    ids: np.ndarray, target: pd.Series | None, groups: pd.Series | None, covariates: pd.DataFrame | None
) -> None:
    """Stop at such values of these samples in any column that is read."""
    columns = [] if covariates is None else [covariates[name] for name in covariates]
    for column in columns if target is None else [target, *columns]:
        refuse_odd_values(column.loc[ids])
    for column in [] if target is None else columns:
        if _same_values(column.loc[ids], target.loc[ids]):
            raise ValueError(
                f"Covariate {str(column.name)!r} says the same of every sample as the column to predict, "
                f"{str(target.name)!r}: the model would be given the answer. Leave it out of the covariates."
            )
    if groups is not None:
        refuse_odd_values(groups.loc[ids], numbers=False)


def _same_values(covariate: pd.Series, target: pd.Series) -> bool:
    """Whether each tells the other, as a copy in other units or words does."""
    both = pd.DataFrame({"mine": covariate, "its": target}).dropna()
    if len(both) < FEWEST or min(both.nunique()) < 2:
        return False
    if is_numeric(both["mine"]) and is_numeric(both["its"]):
        # Of few values they may agree by chance.
        return both["its"].nunique() >= FEWEST and abs(np.corrcoef(both["mine"], both["its"])[0, 1]) > 1 - 1e-9
    pairs = both.astype(str).drop_duplicates()
    return len(pairs) < len(both) and not (pairs["mine"].duplicated().any() or pairs["its"].duplicated().any())


def _where(texts: pd.Series) -> str:
    """Values with the samples that have them, the commonest first."""
    sizes = texts.value_counts()
    order = sorted(sizes.index, key=lambda text: (-sizes[text], text))
    return name_ids([f"{text!r} ({name_ids(texts.index[texts == text])})" for text in order])


def _refuse_breaks(texts: pd.Series) -> None:
    broken = texts[texts.str.contains(BREAKS)]
    if len(broken):
        raise ValueError(
            f"column {texts.name!r} has values with a line break or tab in them: {_where(broken)}. Files "
            "of predictions could not hold such a name. Rename them in the metadata."
        )


def _refuse_words_among_numbers(texts: pd.Series) -> None:
    number, comma = texts.str.fullmatch(NUMBER), texts.str.fullmatch(WITH_COMMA)
    meant = texts[number | comma]
    if number.all() or len(meant) < MOSTLY * len(texts) or meant.nunique() < MANY_NUMBERS:
        return
    if comma.any():
        raise ValueError(
            f"column {texts.name!r} has numbers with a comma in {comma.sum()} of {len(texts)} samples: "
            f"{_where(texts[comma])}. They would be read as classes. Write points for decimal commas, and nothing "
            "between thousands."
        )
    words = texts[~number]
    raise ValueError(
        f"column {texts.name!r} has numbers in {number.sum()} of {len(texts)} samples, but no number in {len(words)}: "
        f"{_where(words)}. All would be read as classes. Correct these cells or leave them empty, and declare the "
        "column numeric in the metadata file (a row '#q2:types' below the header)."
    )


def _refuse_units(texts: pd.Series) -> None:
    units = texts.str.extract(rf"^{WITH_UNIT}$", expand=False).str.strip()
    measured = texts[units.notna()]
    if len(measured) < MOSTLY * len(texts) or measured.nunique() < MANY_NUMBERS or units.nunique() != 1:
        return
    raise ValueError(
        f"column {texts.name!r} has numbers with a unit ({units.dropna().iloc[0]}) in {len(measured)} of {len(texts)} "
        f"samples: {_where(measured)}. They would be read as classes. Write the numbers alone, and declare the column "
        "numeric in the metadata file (a row '#q2:types' below the header)."
    )


def _refuse_missing_words(texts: pd.Series) -> None:
    word = texts.str.split(":").str[0].str.replace("_", " ").str.strip().str.lower()
    missing = texts[word.isin(MISSING_WORDS)]
    if len(missing):
        raise ValueError(
            f"column {texts.name!r} has words for a missing value in {len(missing)} of {len(texts)} samples: "
            f"{_where(missing)}. They would be read as a class. Leave these cells empty; if a class is really meant, "
            "give it another name."
        )


def _refuse_spellings(texts: pd.Series) -> None:
    plain = texts.str.casefold().str.replace(r"[\s_-]+", " ", regex=True).str.strip()
    spellings = texts.groupby(plain).nunique()
    several = texts[plain.isin(spellings.index[spellings > 1])]
    if len(several):
        raise ValueError(
            f"column {texts.name!r} has values that differ in capitals, blanks, hyphens or underscores alone: "
            f"{_where(several)}. They would be different classes. Write them alike."
        )
    seen = texts.map(_as_seen)
    alike = texts.groupby(seen).nunique()
    several = texts[seen.isin(alike.index[alike > 1])]
    if len(several):
        each = {text: name_ids(several.index[several == text]) for text in sorted(set(several))}
        shown = name_ids([f"{ascii(text)} ({where})" for text, where in each.items()])
        raise ValueError(
            f"column {texts.name!r} has values that look the same, but for quotes or signs that are not seen: {shown}. "
            "They would be different classes. Write them alike."
        )


def _as_seen(text: str) -> str:
    """A text without quotes and signs that are not seen, letters with accents as one sign."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf").strip(" '\"").casefold()


def _refuse_codes(numbers: pd.Series) -> None:
    """Stop at numbers like -999 that lie farther from all others than those do from one another."""
    coded = numbers.map(_is_code)
    others = numbers[~coded]
    if not coded.any() or len(others) < FEWEST:
        return
    low, high = others.min(), others.max()
    beyond = np.maximum(low - numbers, numbers - high)
    codes = numbers[coded & (beyond > high - low)]
    if len(codes):
        shown = name_ids([f"{value:g} ({name_ids(codes.index[codes == value])})" for value in sorted(set(codes))])
        raise ValueError(
            f"column {numbers.name!r} has numbers far beyond all others ({low:g} to {high:g}), as codes for missing "
            f"values are: {shown}. Leave these cells empty. If they were measured, leave them empty all the same: "
            "such a value alone would decide what is fitted."
        )


def _is_code(number: float) -> bool:
    """Whether a number is written with nines alone, two or more, or is a power of ten from a million on."""
    size = abs(number)
    if not np.isfinite(size) or size != np.round(size) or size < 99:
        return False
    digits = f"{size:.0f}"
    return set(digits) == {"9"} or (size >= 1e6 and digits.strip("0") == "1")
