"""What else is known of the evaluated samples: columns to colour and split pictures by, and scores by their values."""

import numpy as np
import pandas as pd

from ._page import number
from ._samples import listed, some

MAX_COLUMNS = 60
MAX_VALUES = 20  # told apart by colour; those of fewer samples are one more
MAX_ROWS = 50  # values of a column with a score of their own
QUARTERS = 4
NO_VALUE = "no value"


def add_columns(evaluation, metadata, missing_samples: str) -> None:
    """Match the columns of metadata with the evaluated samples, or say which samples they lack.

    Parameters
    ----------
    evaluation : Evaluation
        Gets them, behind the groups and the novelty that it has.
    metadata : qiime2.Metadata or None
    missing_samples : {'error', 'ignore'}
        What to do with evaluated samples that are not in the metadata.

    Raises
    ------
    ValueError
        A sentence that names the samples.
    """
    frame, columns = evaluation.frame, {}
    if "group" in frame:
        columns[f"{evaluation.group_name} (groups)"] = frame["group"]
    if "outside" in frame:
        columns["outside what the model knows"] = frame["outside"].map({True: "outside", False: "inside"})
        columns["reads in ASVs never met"] = frame["unseen_read_share"]
    if metadata is not None:
        table = metadata.to_dataframe()
        absent = frame.index.difference(table.index, sort=False)
        if len(absent) and missing_samples != "ignore":
            raise ValueError(
                f"{some(absent, 'evaluated sample', True)} not in the sample metadata: {listed(absent)}. Add them to "
                "that metadata file, or set missing_samples to 'ignore'."
            )
        table = table.reindex(frame.index)
        columns |= {name: table[name] for name in table}
    kept = {name: values for name, values in columns.items() if _tells(values)}
    evaluation.columns_left_out = [name for name in columns if name not in kept] + list(kept)[MAX_COLUMNS:]
    evaluation.columns = dict(list(kept.items())[:MAX_COLUMNS])


def _tells(values: pd.Series) -> bool:
    """Whether a column has two values or more, and is no name of each sample."""
    count = values.nunique()
    if values.dtype.kind == "f":
        return count > 1
    return 1 < count and (count <= MAX_VALUES or 2 * count <= len(values))


def columns_widget(page, evaluation, charts) -> None:
    """Let the colour of some charts, and what they are split by, be chosen; nothing without columns.

    Parameters
    ----------
    page : Page
    evaluation : Evaluation
    charts : sequence of str
        Names of charts whose data has a row a sample, in the order of the evaluation.
    """
    if evaluation.columns:
        columns = [_coded(name, values) for name, values in evaluation.columns.items()]
        page.widget("columns", {"charts": list(charts), "columns": columns})


def _coded(name: str, values: pd.Series) -> dict:
    """A column for the browser: numbers, or places in a list of levels; of numbers the quarters, too."""
    levels, codes = levels_of(values)
    coded = {"name": name, "levels": levels, "codes": codes.tolist()}
    if values.dtype.kind == "f":
        coded["numbers"] = [None if np.isnan(value) else float(f"{value:.6g}") for value in values]
    return coded


def levels_of(values: pd.Series, most: int = MAX_VALUES) -> tuple[list[str], np.ndarray]:
    """Names of a column's values (quarters of numbers), and the place of each sample's among them.

    Parameters
    ----------
    values : pandas.Series
        float64 or text; missing values are a level of their own.
    most : int
        Of more levels, those of the fewest samples are one.
    """
    from natsort import natsorted

    if values.dtype.kind == "f":
        place = equal_parts(values, QUARTERS)
        parts = [values[place == part] for part in range(place.max() + 1)]
        names = [_range(float(part.min()), float(part.max())) for part in parts]
        # Ends that read alike would be one level.
        levels = [f"{name}{'′' * names[:n].count(name)}" for n, name in enumerate(names)]
    else:
        sizes = values.dropna().astype(str).value_counts()
        levels = natsorted(sizes.index[: most - 1] if len(sizes) > most else sizes.index)
        place = pd.Index(levels).get_indexer(values.astype(str).where(values.notna()))
        if len(sizes) > most:
            place = np.where(values.notna() & (place < 0), len(levels), place)
            levels = [*levels, f"{len(sizes) - most + 1:,} others"]
    missing = values.isna().to_numpy()
    return ([*levels, NO_VALUE], np.where(missing, len(levels), place)) if missing.any() else (levels, place)


def equal_parts(values: pd.Series, count: int) -> np.ndarray:
    """The part that each number is in, of at most so many parts of about equal size; -1 of missing ones.

    Equal numbers are in one part, by the middle of their ranks: where there are only two numbers they are in two parts,
    however often each is there, which by quantiles they need not be.
    """
    part = np.ceil(count * (values.rank() - 0.5) / values.notna().sum())
    return pd.factorize(part, sort=True)[0]


def _range(low: float, high: float) -> str:
    return number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"


def columns_section(page, evaluation, values: pd.Series, overall: float, what: str) -> None:
    """A score of the samples with each value of each column, with its interval.

    Parameters
    ----------
    page : Page
    evaluation : Evaluation
    values : pandas.Series
        Of each sample what the score is the mean of: the absolute error, or whether it is right.
    overall : float
        The mean of all samples.
    what : {'mean absolute error', 'accuracy'}
        Name of the score.
    """
    from ..evaluation.error_charts import scores_by_value

    # Groups have a section of their own.
    groups = f"{evaluation.group_name} (groups)"
    columns = {name: column for name, column in evaluation.columns.items() if name != groups}
    rows = [row for name, column in columns.items() for row in _rows(evaluation, name, column, values.to_numpy())]
    if not rows:
        return
    table = pd.DataFrame(rows)
    page.section(
        "Scores by column",
        f"How good the predictions are by what else is known of the samples; numbers are cut into {QUARTERS} parts of "
        f"about as many samples. From and to: 95% intervals, with the {evaluation.described_units()} drawn anew; a "
        f"value that fewer than 10 of them have gets none. Of many values some lie far from the others by chance alone."
        f"{_left_out(evaluation)}",
    )
    caption = f"Choose a column below the picture. Orange line: {what} of all samples, {number(overall)}."
    chart = scores_by_value(table, list(dict.fromkeys(table["column"])), what, overall)
    table = table.drop(columns=["label", "place"]).rename(columns={"score": what.replace(" ", "_")})
    file = page.write_table("scores_by_column", table)
    page.chart("scores_by_column", chart, f"{what[0].upper()}{what[1:]} by value", caption, file)
    headers = {"column": "Column", "value": "Value", "samples": "Samples", what.replace(" ", "_"): what.capitalize()}
    page.browsed_table("scores_by_column", table, {**headers, "low": "From", "high": "To"})


def _left_out(evaluation) -> str:
    """A sentence on columns that are not shown, after a blank."""
    names = evaluation.columns_left_out
    if not names:
        return ""
    return (
        f" Not shown, for there is one value only, or almost every sample has its own, or there are more than "
        f"{MAX_COLUMNS} columns: {listed(names)}."
    )


def _rows(evaluation, name: str, column: pd.Series, values: np.ndarray) -> list[dict]:
    from ..evaluation.bootstrap import mean_interval
    from ..evaluation.labels import short_names

    levels, codes = levels_of(column, MAX_ROWS)
    labels, units, rows = short_names(levels), evaluation.units, []
    for place, level in enumerate(levels):
        inside = codes == place
        if not inside.any():
            continue
        parts = [part for unit in units if len(part := unit[inside[unit]])]
        low, high = mean_interval(values, parts) or (np.nan, np.nan)
        score, count = float(values[inside].mean()), int(inside.sum())
        label = f"{labels[place]} (n = {count:,})"
        rows.append({"column": name, "place": place, "label": label, "value": level, "samples": count, "score": score})
        rows[-1] |= {"low": low, "high": high}
    return rows
