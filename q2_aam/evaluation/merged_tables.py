"""Training and new samples as one table."""

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.study.tables import name_ids


def merge_checked(train_table: biom.Table, table: biom.Table) -> biom.Table:
    """Both tables as one, refused where they share samples or hold what is no abundance."""
    both = np.intersect1d(train_table.ids().astype(str), table.ids().astype(str))
    if len(both):
        raise ValueError(
            f"{len(both)} samples are in both tables: {name_ids(both)}. Baselines would be judged by their own "
            "training samples. Take these samples out of one of the tables."
        )
    merged = merge_tables(train_table, table)
    values = merged.matrix_data.data
    wrong = ~np.isfinite(values) | (values < 0)
    if wrong.any():
        raise ValueError(
            f"The tables hold {wrong.sum()} values that are negative or not finite. Give counts, relative frequencies, "
            "or presence and absence."
        )
    return merged


def merge_tables(first: biom.Table, second: biom.Table) -> biom.Table:
    """The samples of two tables side by side; features are those of the first, then those of the second alone."""
    features = pd.Index(first.ids("observation"))
    features = features.append(pd.Index(second.ids("observation")).difference(features, sort=False))
    parts = []
    for table in (first, second):
        counts = sp.coo_matrix(table.matrix_data)
        rows = features.get_indexer(table.ids("observation"))[counts.row]
        parts.append(sp.csc_matrix((counts.data, (rows, counts.col)), shape=(len(features), table.shape[1])))
    return biom.Table(sp.hstack(parts).tocsr(), features.to_numpy(), np.concatenate([first.ids(), second.ids()]))
