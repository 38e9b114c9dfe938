"""`predict_baselines` called as QIIME 2 calls it: the values that it reads are those of the samples to learn from."""

import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.evaluation.baselines import predict_by_baselines
from q2_aam.study.phylogeny import read_phylogeny

from .small import as_column, told


@pytest.fixture(scope="module")
def parts(study):
    """Samples to learn from, and of other sites to predict."""
    new = study.frame.index[study.frame["site"].isin(sorted(set(study.frame["site"]))[:2])]
    return study.samples(study.frame.index.drop(new)), study.samples(new)


def run(study, parts, column="ph", frame=None, **changes):
    train, new = parts
    frame = study.frame if frame is None else frame
    given = {"metadata": as_column(frame[column]), "phylogeny": study.phylogeny, "threads": 1}
    return predict_baselines(train, new, **{**given, **changes})


@pytest.fixture(scope="module")
def predicted(study, parts):
    return run(study, parts, groups=study.column("site"), random_seed=3)


def test_it_is_the_core_with_the_values_of_the_training_samples(study, parts, predicted, capsys):
    train, new = parts
    expected = predict_by_baselines(
        train,
        study.frame.loc[train.ids(), "ph"],
        new,
        kind="regression",
        phylogeny=read_phylogeny(str(study.phylogeny)),
        groups=study.frame.loc[train.ids(), "site"].to_numpy(),
        random_state=3,
    )
    pd.testing.assert_frame_equal(predicted, expected)
    assert list(predicted.columns) == ["median", "random forest", "SVM UniFrac", "SVM Jaccard"]
    assert predicted.index.tolist() == list(new.ids()) and predicted.index.name == "SampleID"
    run(study, parts, phylogeny=None)
    line = f"{len(new.ids())} samples predicted by baselines: median, random forest, SVM Jaccard.\n"
    assert capsys.readouterr().out == line


def test_values_of_the_new_samples_are_not_read(study, parts, predicted):
    frame = study.frame.copy()
    new = parts[1].ids()
    frame.loc[new, "ph"] = 1e9
    frame.loc[new, "site"] = "another"
    given = {"groups": as_column(frame["site"]), "random_seed": 3}
    pd.testing.assert_frame_equal(run(study, parts, frame=frame, **given), predicted)
    without = {"metadata": as_column(study.frame["ph"].drop(new)), "groups": as_column(study.frame["site"].drop(new))}
    pd.testing.assert_frame_equal(run(study, parts, **without, random_seed=3), predicted)


def test_classes(study, parts):
    found = run(study, parts, "habitat", phylogeny=None)
    assert list(found.columns) == ["largest class", "random forest", "balanced forest", "SVM Jaccard"]
    assert set(found.to_numpy().ravel()) <= {"forest", "grassland", "wetland"}


def test_training_samples_without_a_value_are_left_out_with_a_count(study, parts, predicted):
    train, _ = parts
    frame = study.frame.copy()
    lost = train.ids()[0]
    frame.loc[lost, "ph"] = np.nan
    with told() as messages:
        found = run(study, parts, frame=frame, phylogeny=None)
    size = train.shape[1]
    assert messages == [
        f"1 of the table's {size} samples have no value in column 'ph' and were left out: {lost}."
    ]
    assert set(found["median"]) == {study.frame.loc[train.ids()[1:], "ph"].median()}
    message = f"1 of the table's {size} samples are not in the metadata: {lost}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        run(study, parts, frame=frame.drop(index=lost))
    ignoring = run(study, parts, frame=frame.drop(index=lost), missing_samples="ignore", phylogeny=None)
    pd.testing.assert_frame_equal(ignoring, found)


def test_both_tables_are_rarefied(study, parts):
    with told() as messages:
        found = run(study, parts, phylogeny=None, sampling_depth=500)
    shallow = [name for name, reads in zip(parts[1].ids(), parts[1].sum("sample"), strict=True) if reads < 500]
    assert found.index.tolist() == [name for name in parts[1].ids() if name not in shallow]
    assert all("fewer than 500 reads" in message for message in messages)
    assert not found.equals(run(study, parts, phylogeny=None).loc[found.index])
