"""`cross_validate` without QIIME 2: what is in some folds only, and classes whose names look like nothing."""

from dataclasses import replace

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.cross_validation import cross_validate
from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Architecture, CrossValidation, Fitting, Training
from q2_aam.study.study import read_study

from .tiny_predictors import EACH, SAMPLES, encoder, few_trees, study

# Each is read as a missing value by one program or another.
NAMES = ["nan", "None", "", " ", "NA", "NaT"]


def cross_validated(samples, head="ensemble", **settings):
    with few_trees():
        return cross_validate(samples, encoder(), CrossValidation(folds=2), Fitting(head=head, threads=1), **settings)


def test_without_an_encoder_the_ready_one_is_fitted():
    samples, settings = study("numeric", "site"), (CrossValidation(folds=2), Fitting(head="linear", threads=1))
    one, other = (cross_validate(samples, e, *settings, baselines=False) for e in (None, Encoder.ready()))
    assert one.predictions.equals(other.predictions) and one.certainty.equals(other.certainty)


@pytest.mark.parametrize(
    "more",
    [{"training": Training()}, {"architecture": Architecture()}, {"settings": CrossValidation(pretrain_epochs=3)}],
)
def test_settings_of_pretraining_are_for_pretraining(more):
    with pytest.raises(ValueError, match="^There are settings of pretraining, but nothing is pretrained. "):
        cross_validate(study("numeric", "site"), **more)


@pytest.mark.parametrize("head, kind", EACH)
def test_values_of_covariates_that_are_in_one_fold_only(head, kind):
    """No fold fails by chance, and each sample is predicted."""
    samples = study(kind, "site")
    ids = samples.communities.sample_ids
    odd = {"kit": ["b", *["a"] * (SAMPLES - 1)], "visit": [2.0, *[1.0] * (SAMPLES - 1)]}
    frame = pd.DataFrame(odd, index=ids)
    # Known of the samples of one group alone.
    frame["age"] = np.where(samples.groups == samples.groups.iloc[0], np.arange(SAMPLES), np.nan)
    samples = replace(samples, covariates=frame, all_covariates=frame, missing_covariates="impute")
    done = cross_validated(samples, head)
    assert list(done.predictions.index) == list(ids) and done.predictions.notna().all()
    assert done.certainty.notna().all(axis=None) and done.baselines.notna().all(axis=None)
    assert "covariates" in done.baselines


def test_classes_groups_and_categories_stay_themselves():
    samples = study("categorical", "site", True)
    ids = samples.communities.sample_ids
    target = samples.target.map(dict(zip(sorted(set(samples.target)), NAMES, strict=False)))
    groups = samples.groups.map(dict(zip(sorted(set(samples.groups)), NAMES, strict=False)))
    frame = pd.DataFrame({"kit": [NAMES[n % len(NAMES)] for n in range(SAMPLES)]}, index=ids)
    assert target.notna().all() and groups.notna().all() and target.nunique() > 2 and groups.nunique() > 3
    samples = replace(samples, target=target, groups=groups, covariates=frame, all_covariates=frame)
    done = cross_validated(samples)
    assert set(done.predictions) <= set(target) and sorted(done.certainty) == sorted(set(target))
    for name in done.baselines:
        assert set(done.baselines[name]) <= set(target), name
    whole = done.scores[done.scores["fold"].isna()]
    assert (whole["groups"] == groups.nunique()).all() and (whole["samples"] == SAMPLES).all()
    expected = [(done.predictions == target).mean()]
    assert whole.loc[whole["method"] == "q2-aam", "accuracy"].tolist() == pytest.approx(expected)


def test_a_study_keeps_them_as_it_reads_them(tmp_path):
    """Through a metadata file all but the empty ones, which are missing there."""
    asvs = ["ACGTACGTACGTACGTACGT", "ACGTACGTACGTACGTTTTT"]
    names = [name for name in NAMES if name.strip()]
    ids = [f"s{n}" for n in range(len(names))]
    table = biom.Table(np.ones((2, len(ids))), asvs, ids)
    path = tmp_path / "metadata.tsv"
    path.write_text("sample-id\tkind\tsite\tkit\n" + "".join(f"s{n}\t{t}\t{t}\t{t}\n" for n, t in enumerate(names)))
    read = read_study(table, metadata=path, target="kind", groups="site", covariates=["kit"])
    assert read.target.tolist() == read.groups.tolist() == read.covariates["kit"].tolist() == names
