"""What `fit` refuses, leaves out with a count, or warns of."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.predictor import Predictor
from q2_aam.study.cautions import Caution, cautions

from .small import as_column, description, printed, run_fit, told


@pytest.fixture
def no_fit(monkeypatch):
    monkeypatch.setattr(Predictor, "fit", lambda *args, **kwargs: pytest.fail("the fit began"))


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


# The encoder


def test_a_fitted_model_is_no_encoder(study, regressor, no_fit):
    with refused("The model is a regressor of 'ph', but an encoder is needed. Give what `qiime aam pretrain` made."):
        run_fit(study, "ph", regressor[0])


# The target


def test_constant_target(study, encoder):
    column = as_column(pd.Series(7.0, index=study.frame.index, name="depth"))
    with refused(
        "column 'depth' has the same value (7) in all 48 training samples: there is nothing to learn. Choose another "
        "column."
    ):
        run_fit(study, column, encoder)


def test_one_class_only(study, encoder):
    column = as_column(pd.Series("soil", index=study.frame.index, name="biome"))
    with refused(
        "column 'biome' has one class only ('soil') in the 48 training samples: two or more are needed. Choose another "
        "column, or samples of more classes."
    ):
        run_fit(study, column, encoder)


def test_classes_that_are_whole_groups(study, encoder):
    message = (
        "The head needs inner folds whose training samples hold every class, but each class is in one group (or one "
        "sample) only. Leave groups out, or choose groups that hold several classes."
    )
    with told(), refused(message):
        run_fit(study, "site", encoder, groups=study.column("site"))


def test_logarithm_of_too_little(study, encoder):
    values = study.frame["ph"].copy()
    values.iloc[:2] = -1.0
    with refused(
        "column 'ph': 2 samples have values of -1 or less, of which log(1 + x) is not defined: S01, S02. Use another "
        "target_transform, such as 'zscore'."
    ):
        run_fit(study, as_column(values), encoder, target_transform="log1p")


def test_no_value_at_all(study, encoder, no_fit):
    values = study.frame["ph"].copy()
    values[:] = np.nan
    values["elsewhere"] = 5.0
    with refused("no sample of the table has a value in the metadata column 'ph'. Choose another column."):
        run_fit(study, as_column(values), encoder)


@pytest.mark.parametrize("names", [["id", "SampleID", "soil"], ["Feature-ID", "#OTU ID", "sample_name"]])
def test_classes_that_are_called_like_a_column_of_ids_are_refused(study, encoder, names, no_fit):
    column = study.frame["habitat"].map(dict(zip(["forest", "grassland", "wetland"], names, strict=True)))
    wrong = sorted(set(names) - {"soil"})
    with refused(
        f"{len(wrong)} classes of column 'habitat' are called what QIIME 2 calls a column of IDs: {', '.join(wrong)}. "
        "No metadata can have a column of that name, and the probabilities of the classes could not be read. Rename "
        "these classes in the metadata."
    ):
        run_fit(study, as_column(column), encoder)


# Sequences


def test_sequences_longer_than_the_encoder_reads_are_refused(study, encoder, tmp_path):
    tail, path = "ACGTTGCA" * 70, tmp_path / "longer.fasta"
    path.write_text("".join(f">{feature}\n{text + tail}\n" for feature, text in study.sequence_of.items()))
    message = (
        "120 of 120 features have a sequence of more than 512 nucleotides, of which the encoder reads the first 512 "
        "alone. Pretrain an encoder on such sequences, which then reads them whole, or set foreign to 'ignore' to go "
        "on with what it reads."
    )
    with told(), refused(message):
        run_fit(study, "ph", encoder, sequences=DNAFASTAFormat(str(path), "r"))


def test_one_asv_is_nothing_to_learn_from(study, encoder):
    one = study.table.filter({study.table.ids("observation")[0]}, axis="observation", inplace=False)
    one = one.remove_empty("sample")
    n = one.shape[1]
    message = (
        f"All {n} samples hold one and the same ASV alone: there is nothing by which they differ. Give a table of "
        "several ASVs."
    )
    with told(), refused(message):
        run_fit(study, "ph", encoder, table=one)


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"random_seed": -1},
        {"random_seed": 2**32},
        {"head": "forest"},
        {"target_transform": "sqrt"},
        {"foreign": "drop"},
        {"threads": 0},
        {"device": "tpu"},
        {"missing_samples": "drop"},
        {"missing_features": "drop"},
        {"missing_covariates": "drop"},
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_read(study, wrong, no_fit):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"^{name} must be .*, but is "):
        run_fit(study, "ph", "no encoder is read", **wrong)


def test_cuda_where_there_is_none(study, encoder, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with refused("device is 'cuda', but torch finds no CUDA device. Set device to 'auto' or 'cpu'."):
        run_fit(study, "ph", encoder, device="cuda")


# Samples and features that are missing


def test_metadata_that_lacks_samples(study, encoder, no_fit):
    with refused(
        "6 of the table's 48 samples are not in the metadata: S01, S02, S03, S04, S05, ... (6 in all). Add them to the "
        "metadata, filter them from the table, or set missing_samples to 'ignore'."
    ):
        run_fit(study, as_column(study.frame["ph"].iloc[6:]), encoder)
    with refused(
        "2 of the table's 48 samples are not in the metadata: S01, S02. Add them to the metadata, filter them from the "
        "table, or set missing_samples to 'ignore'."
    ):
        run_fit(study, "ph", encoder, groups=as_column(study.frame["site"].iloc[2:]))
    elsewhere = study.frame["ph"].rename(index=lambda name: f"x{name}")
    for missing_samples in ("error", "ignore"):
        with refused(
            "none of the table's 48 samples (S01, S02, S03, S04, S05, ... (48 in all)) is in the metadata (xS01, xS02, "
            "xS03, xS04, xS05, ... (48 in all)). Those in the metadata have 'x' before the same names. Name them alike."
        ):
            run_fit(study, as_column(elsewhere), encoder, missing_samples=missing_samples)


def some_sequences(study, path):
    """Without those of the first two features."""
    ids = study.table.ids("observation")
    path.write_text("".join(f">{name}\n{study.sequence_of[name]}\n" for name in ids[2:]))
    return DNAFASTAFormat(str(path), "r")


def test_features_without_a_sequence(study, encoder, tmp_path, no_fit):
    ids = study.table.ids("observation")
    with refused(
        f"2 of 120 features have no sequence: {ids[0]}, {ids[1]}. Their IDs are no nucleotide sequences and are not "
        "among the sequences. Give the sequences of all features, or set missing_features to 'ignore' to leave these "
        "features out."
    ):
        run_fit(study, "ph", encoder, sequences=some_sequences(study, tmp_path / "few.fasta"))


def test_what_was_left_out_is_warned_of_and_kept_with_the_model(study, encoder, tmp_path, capsys):
    frame = study.frame.copy()
    frame.iloc[:7, frame.columns.get_loc("ph")] = np.nan
    frame.iloc[7, frame.columns.get_loc("site")] = None
    frame = frame.drop(index=["S10", "S11"])
    groups = as_column(frame["site"].drop(index=["S12"]))
    inputs = {"missing_samples": "ignore", "missing_features": "ignore", "head": "linear"}
    inputs["sequences"] = some_sequences(study, tmp_path / "few.fasta")
    with told() as messages:
        model, predictions, _ = run_fit(study, as_column(frame["ph"]), encoder, groups=groups, **inputs)
    assert messages[:4] == [
        "2 of the table's 48 samples are not in the metadata and were left out: S10, S11.",
        "7 of the table's 48 samples have no value in column 'ph' and were left out: S01, S02, S03, S04, S05, ... (7 "
        "in all).",
        "1 of the table's 39 samples are not in the metadata and were left out: S12.",
        "1 of the table's 39 samples have no value in column 'site' and were left out: S08.",
    ]
    data = description(model)["data"]
    assert (data["samples_not_in_metadata"], data["samples_without_value"]) == (3, 8)
    assert data["samples"] == len(predictions) == 48 - 3 - 8
    lost = study.samples(predictions.index).matrix_data.toarray()[:2].sum()
    assert data["reads_dropped"] == lost > 0 and data["features_cut"] == 0
    assert printed(capsys)[0].endswith("of the reads, whose features have no sequence.")
    model.validate("max")


def test_nothing_left_out_is_kept_as_nothing(regressor):
    data = description(regressor[0])["data"]
    left_out = ("samples_not_in_metadata", "samples_without_value", "reads_dropped", "features_cut")
    assert [data[name] for name in left_out] == [0, 0, 0, 0] and "missing_covariates" not in data


def test_table_that_lacks_samples_of_the_metadata(study, encoder):
    with told() as messages:
        predictions = run_fit(study, "ph", encoder, table=study.samples(study.table.ids()[:40]), head="linear")[1]
    assert messages == [] and len(predictions) == 40


# What the study cannot support


def test_cautions_are_warned_of_once_and_before_the_fit(study, encoder, no_fit):
    with told(cautions=True) as messages, pytest.raises(BaseException, match="the fit began"):
        run_fit(study, "ph", encoder, table=study.samples(study.table.ids()[:40]))
    assert messages == cautions(study.frame["ph"].iloc[:40])
    assert messages[0].startswith("Only 40 samples have a value of 'ph'.") and len(messages) == 1
    site = study.frame["site"]
    region = site.map(lambda name: "east" if int(name[-1]) % 2 else "west").rename("region")
    with told(cautions=True) as messages, pytest.raises(BaseException, match="the fit began"):
        run_fit(study, as_column(region), encoder, groups=as_column(site))
    assert messages == cautions(region, site)
    assert "the 48 samples are 9 independent values" in messages[-1] and len(messages) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error", Caution)
        with pytest.raises(Caution, match="^Only 48 samples"):
            run_fit(study, "habitat", encoder)


def test_what_is_refused_is_not_warned_of_beside(study, encoder):
    same = as_column(study.frame["ph"].map(lambda _: 7.0))
    with told(cautions=True) as messages, pytest.raises(ValueError, match="the same value"):
        run_fit(study, same, encoder, groups=study.column("site"))
    assert messages == []


def test_a_transform_of_classes_is_told_to_be_of_no_use(study, encoder):
    with told() as messages:
        run_fit(study, "habitat", encoder, target_transform="log1p", head="linear")
    assert messages == [
        "target_transform is 'log1p', but the column is categorical: classes take no transform. Leave target_transform "
        "out."
    ]


def test_too_few_samples_for_intervals_are_told(study, encoder):
    few = study.samples(study.table.ids()[:8])
    with told() as messages:
        _, predictions, certainty = run_fit(study, "ph", encoder, table=few, head="kernel")
    assert messages == [
        "The samples are too few (8) for intervals of 90%: these are as wide as the largest error instead. Add samples."
    ]
    largest = (study.frame["ph"][predictions.index] - predictions).abs().max()
    np.testing.assert_allclose((certainty["upper"] - certainty["lower"]) / 2, largest, rtol=1e-5)
