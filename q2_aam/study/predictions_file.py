"""Predictions of q2-sample-classifier's types, read as the text that they are."""

import pandas as pd

from q2_aam.study.tables import name_ids


def read_predictions(path) -> pd.Series:
    """Predictions as text, by sample ID.

    They are not read through q2-sample-classifier's transformer to pandas, which turns class names such as
    '1' and '01' into numbers.

    Parameters
    ----------
    path : path
        predictions.tsv

    Returns
    -------
    pandas.Series of str

    Raises
    ------
    ValueError
        When a sample ID occurs twice, or a sample has no prediction.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    predicted = pd.Series(
        table.iloc[:, 1].str.strip().to_numpy(dtype=object),
        index=table.iloc[:, 0].str.strip().to_numpy(dtype=object),
    )
    twice = predicted.index[predicted.index.duplicated()].unique()
    if len(twice):
        raise ValueError(f"The predictions hold these sample IDs more than once: {name_ids(twice)}.")
    empty = predicted.index[predicted == ""]
    if len(empty):
        raise ValueError(
            f"The predictions hold samples without a prediction: {name_ids(empty)}."
        )
    return predicted
