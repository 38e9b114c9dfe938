"""`predict_baselines` called as QIIME 2 calls it: the values that it reads are those of the samples to learn from."""

import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.evaluation.baselines import predict_by_baselines
from q2_aam.framework import qiime2
from q2_aam.study.phylogeny import read_phylogeny

from .small import as_column, told

TABLES = ("log-ratios", "boosted trees")


@pytest.fixture(scope="module")
def parts(study):
    """Samples to learn from, and of other sites to predict."""
    new = study.frame.index[study.frame["site"].isin(sorted(set(study.frame["site"]))[:2])]
    return study.samples(study.frame.index.drop(new)), study.samples(new)


def run(study, parts, column="ph", frame=None, **changes):
    train, new = parts
    frame = study.frame if frame is None else frame
    arguments = {"metadata": as_column(frame[column]), "phylogeny": study.phylogeny, "threads": 1}
    return predict_baselines(train, new, **{**arguments, **changes})


@pytest.fixture(scope="module")
def predicted(study, parts):
    return run(study, parts, groups=study.column("site"), random_seed=3)


def test_it_is_the_core_with_the_values_of_the_training_samples(study, parts, predicted, capsys):
    train, new = parts
    expected = predict_by_baselines(
        train,
        study.frame.loc[train.ids(), "ph"],
        new,
        kind="numeric",
        phylogeny=read_phylogeny(str(study.phylogeny)),
        groups=study.frame.loc[train.ids(), "site"].to_numpy(),
        random_state=3,
    )
    pd.testing.assert_frame_equal(predicted, expected)
    assert list(predicted.columns) == ["median", "random forest", *TABLES, "SVM UniFrac", "SVM Jaccard"]
    assert predicted.index.tolist() == list(new.ids()) and predicted.index.name == "SampleID"
    run(study, parts, phylogeny=None)
    names = "median, random forest, log-ratios, boosted trees, SVM Jaccard"
    assert capsys.readouterr().out == f"{len(new.ids())} samples predicted by baselines: {names}.\n"


def test_values_of_the_new_samples_are_not_read(study, parts, predicted):
    frame = study.frame.copy()
    new = parts[1].ids()
    frame.loc[new, "ph"] = 1e9
    frame.loc[new, "site"] = "another"
    arguments = {"groups": as_column(frame["site"]), "random_seed": 3}
    pd.testing.assert_frame_equal(run(study, parts, frame=frame, **arguments), predicted)
    without = {"metadata": as_column(study.frame["ph"].drop(new)), "groups": as_column(study.frame["site"].drop(new))}
    pd.testing.assert_frame_equal(run(study, parts, **without, random_seed=3), predicted)


def test_classes(study, parts):
    values = run(study, parts, "habitat", phylogeny=None)
    assert list(values.columns) == ["largest class", "random forest", "balanced forest", *TABLES, "SVM Jaccard"]
    assert set(values.to_numpy().ravel()) <= {"forest", "grassland", "wetland"}


def test_training_samples_without_a_value_are_left_out_with_a_count(study, parts, predicted):
    train, _ = parts
    frame = study.frame.copy()
    lost = train.ids()[0]
    frame.loc[lost, "ph"] = np.nan
    with told() as messages:
        without = run(study, parts, frame=frame, phylogeny=None)
    size = train.shape[1]
    assert messages == [
        f"1 of the table's {size} samples have no value in column 'ph' and were left out: {lost}."
    ]
    assert set(without["median"]) == {study.frame.loc[train.ids()[1:], "ph"].median()}
    message = f"1 of the table's {size} samples are not in the metadata: {lost}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        run(study, parts, frame=frame.drop(index=lost))
    ignoring = run(study, parts, frame=frame.drop(index=lost), missing_samples="ignore", phylogeny=None)
    pd.testing.assert_frame_equal(ignoring, without)


def test_covariates_are_standardised_by_the_training_samples_and_give_a_forest_of_their_own(study, parts, predicted):
    frame = study.frame.copy()
    frame["depth"] = np.arange(len(frame)) * 1.0
    covariates = {"covariates": qiime2.Metadata(frame.rename_axis("id")), "covariate_columns": ["depth", "habitat"]}
    with_them = run(study, parts, groups=study.column("site"), random_seed=3, **covariates)
    pd.testing.assert_frame_equal(with_them.drop(columns="covariates"), predicted)
    assert list(with_them.columns) == ["median", "random forest", "covariates", *TABLES, "SVM UniFrac", "SVM Jaccard"]
    # Nearly the answer; the very answer is refused.
    frame["depth"] = frame["ph"].round(1)
    telling = run(study, parts, phylogeny=None, covariates=qiime2.Metadata(frame[["depth"]].rename_axis("id")))
    truth = study.frame.loc[parts[1].ids(), "ph"]
    assert np.corrcoef(telling["covariates"], truth)[0, 1] > 0.95


@pytest.mark.parametrize(
    "lost, columns, sentence",
    [
        ("new", ["habitat"], "1 of the table's {size} samples are not in the metadata of the covariates: {name}."),
        (None, ["ph"], "Covariate 'ph' is the column to predict: the model would be given the answer."),
        (None, ["site"], "Covariate 'site' is the group column: new samples are of other groups"),
        (None, ["x"], "The metadata of the covariates has no column x; there are "),
    ],
)
def test_covariates_are_refused_by_name(study, parts, lost, columns, sentence):
    new = parts[1].ids()
    frame = study.frame if lost is None else study.frame.drop(index=new[0])
    covariates = qiime2.Metadata(frame.rename_axis("id"))
    message = sentence.format(size=len(new), name=new[0])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        run(study, parts, groups=study.column("site"), covariates=covariates, covariate_columns=columns)


def test_missing_covariates_are_refused_or_filled_in_with_a_count(study, parts, capsys):
    frame = study.frame.copy()
    lost = parts[0].ids()[0]
    frame.loc[lost, "habitat"] = None
    covariates = {"covariates": qiime2.Metadata(frame.rename_axis("id")), "covariate_columns": ["habitat"]}
    message = f"Covariate 'habitat' has no value in 1 of {parts[0].shape[1]} samples: {lost}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        run(study, parts, phylogeny=None, **covariates)
    assert "covariates" in run(study, parts, phylogeny=None, missing_covariates="impute", **covariates)
    assert capsys.readouterr().out.splitlines()[0] == (
        "Covariates: habitat (forest, grassland, wetland; missing in 1 samples, read as a category of their own)."
    )


def test_columns_without_covariates_are_refused(study, parts):
    with pytest.raises(ValueError) as error:
        run(study, parts, covariate_columns=["habitat"])
    assert str(error.value) == (
        "covariate_columns names columns of the covariates' metadata, but there is none. Give it as covariates, or "
        "leave covariate_columns out."
    )
