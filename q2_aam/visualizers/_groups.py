"""The groups of the page of `evaluate`, one by one."""

import numpy as np
import pandas as pd


def group_table(samples: pd.DataFrame, score: str, further: dict) -> pd.DataFrame:
    """A mean of each group with its interval, the worst first.

    Parameters
    ----------
    samples : pandas.DataFrame
        A row a sample; column `group` (None: left out).
    score : str
        Name of the mean in the table: `mae` or `accuracy`.
    further : dict
        Name in the table -> column and what is done with it; that of `score` among them.

    Returns
    -------
    pandas.DataFrame
        Columns `group`, `samples`, those of `further`, `low` and `high` (missing for groups of fewer than 10 samples).
    """
    from ..evaluation.bootstrap import mean_interval, rows_of_groups

    column = further[score][0]
    by_group = samples.dropna(subset=["group"]).groupby("group", sort=True)
    table = by_group.agg(samples=(column, "size"), **further).reset_index()
    if table.empty:
        return table
    ends = [
        mean_interval(part[column], rows_of_groups(range(len(part)))) or (np.nan, np.nan) for _, part in by_group
    ]
    table["low"], table["high"] = zip(*ends, strict=True)
    worst_first = score == "accuracy"
    return table.sort_values([score, "group"], ascending=[worst_first, True], ignore_index=True)


INTERVAL_OF_A_GROUP = (
    " From and to: 95% intervals, with the samples of the group drawn anew (10 or more): how sure its own score is, "
    "not how other groups do."
)
