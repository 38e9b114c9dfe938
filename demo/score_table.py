"""Print the demo's scores beside a random forest's and a guess that looks at no sample, on the same samples."""

import argparse
from pathlib import Path

import biom
import numpy as np
import pandas as pd

from q2_aam.evaluation import baselines, metrics
from q2_aam.framework import Artifact, qiime2

SCORES = {
    "numeric": (("r2", "R2"), ("mae", "MAE")),
    "categorical": (("balanced_accuracy", "balanced accuracy"), ("accuracy", "accuracy")),
}


def read_counts(directory):
    """Counts of the training and the new samples, over the ASVs of the training samples.

    A forest cannot use an ASV that it has not seen.

    Parameters
    ----------
    directory : pathlib.Path
        Of the demo's artifacts.

    Returns
    -------
    tuple
        Training sample IDs, their CSR counts, new sample IDs, their CSR counts.
    """
    table = Artifact.load(str(directory / "table.qza")).view(biom.Table)
    parts = []
    for name in ("train", "new"):
        ids = Artifact.load(str(directory / f"{name}.qza")).view(biom.Table).ids()
        rows = [table.index(sample, "sample") for sample in ids]
        parts += [ids, table.matrix_data.T.tocsr()[rows]]
    train_ids, train, new_ids, new = parts
    seen = np.asarray(train.sum(axis=0)).ravel() > 0
    return train_ids, train[:, seen], new_ids, new[:, seen]


def compare(directory, column, kind):
    """Score the plugin's predictions and those of the baselines.

    Parameters
    ----------
    directory : pathlib.Path
        Of the demo's artifacts.
    column : str
        Metadata column that was predicted.
    kind : {'numeric', 'categorical'}

    Returns
    -------
    pandas.DataFrame
        A row a method, a column a score.
    """
    truth = qiime2.Metadata.load(str(directory / "metadata.tsv")).get_column(column).to_series()
    train_ids, train, new_ids, new = read_counts(directory)
    predicted = Artifact.load(str(directory / f"{column}-predictions.qza")).view(pd.Series)
    methods = {
        "q2-aam": predicted.loc[new_ids],
        "random forest": baselines.random_forest(train, truth[train_ids], new, kind=kind, n_jobs=2).predicted,
        "always the same": baselines.trivial(train, truth[train_ids], new, kind=kind).predicted,
    }
    score = metrics.regression_scores if kind == "numeric" else metrics.classification_scores
    scores = {name: score(truth[new_ids], values) for name, values in methods.items()}
    return pd.DataFrame(
        {f"{column} {label}": [scores[name][key] for name in methods] for key, label in SCORES[kind]},
        index=list(methods),
    )


def main(arguments=None):
    """Print the table, and write it to `scores.tsv` beside the artifacts.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of the command line's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="of the demo's artifacts")
    directory = parser.parse_args(arguments).directory
    table = pd.concat([compare(directory, "ph", "numeric"), compare(directory, "habitat", "categorical")], axis=1)
    table.to_csv(directory / "scores.tsv", sep="\t", index_label="method")
    print(table.to_string(float_format="{:.2f}".format))
    print("always the same: the median ph, or the most frequent habitat, of the samples learned from.")


if __name__ == "__main__":
    main()
