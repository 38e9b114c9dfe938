import json

import numpy as np
import pandas as pd
import pytest

from q2_aam.framework import Artifact, qiime2
from q2_aam.types._format import INTERVAL_COLUMNS, NOVELTY_COLUMNS
from tests.types.conftest import HISTORY, describe

# pandas tells of what it will do otherwise.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning")
# IDs that look like numbers, missing values or quoted text.
IDS = ["001", "1e5", "NA", "1.10", 'a "quoted" one', "ß"]


def frame(columns, seed=0):
    rng = np.random.default_rng(seed)
    values = pd.DataFrame(rng.random((len(IDS), len(columns))) / 3, columns=columns, index=IDS)
    for column in values:
        if column.endswith("asvs"):
            values[column] = 7.0
    if "upper" in values:
        values["upper"] += 1e6
    return values


@pytest.mark.parametrize(
    "name, columns", [("PredictionIntervals", INTERVAL_COLUMNS), ("Novelty", NOVELTY_COLUMNS)]
)
def test_tables_come_back_exactly(name, columns, tmp_path):
    given = frame(columns)
    path = Artifact.import_data(f"SampleData[{name}]", given).save(str(tmp_path / "x.qza"))
    artifact = Artifact.load(path)
    artifact.validate("max")
    found = artifact.view(pd.DataFrame)
    pd.testing.assert_frame_equal(found, given.rename_axis("SampleID"), check_exact=True)
    assert found.index.tolist() == IDS and found.index.name == "SampleID"
    metadata = artifact.view(qiime2.Metadata)
    assert metadata.ids == tuple(IDS)
    assert {column.type for column in metadata.columns.values()} == {"numeric"}
    pd.testing.assert_frame_equal(metadata.to_dataframe(), given.rename_axis("id"), check_exact=True)


def test_further_columns_are_left_out_and_missing_ones_refused():
    given = frame(INTERVAL_COLUMNS).assign(level=0.9)
    found = Artifact.import_data("SampleData[PredictionIntervals]", given).view(pd.DataFrame)
    assert found.columns.tolist() == ["lower", "upper"]
    with pytest.raises(ValueError, match="^the table lacks the columns upper; it has lower, level.$"):
        Artifact.import_data("SampleData[PredictionIntervals]", given.drop(columns="upper"))


def test_every_row_of_a_table_is_checked_when_it_is_written():
    given = frame(INTERVAL_COLUMNS)
    given = pd.concat([given, given.rename("b{}".format)])
    given.iloc[-1, 0] = 1e9
    with pytest.raises(Exception, match=r"line 13, sample 'bß': lower \(1e\+09\) is above upper"):
        Artifact.import_data("SampleData[PredictionIntervals]", given)


def test_ids_stay_text_even_when_all_are_numbers():
    given = pd.DataFrame({"lower": 0.0, "upper": 1.0}, index=["001", "1e5", "1.10"])
    artifact = Artifact.import_data("SampleData[PredictionIntervals]", given)
    assert artifact.view(pd.DataFrame).index.tolist() == ["001", "1e5", "1.10"]
    assert artifact.view(qiime2.Metadata).ids == ("001", "1e5", "1.10")
    artifact = Artifact.import_data("SampleData[PredictionIntervals]", given.set_axis([7, 8, 9]))
    assert artifact.view(pd.DataFrame).index.tolist() == ["7", "8", "9"]


def test_a_training_log_as_table(log_folder):
    found = Artifact.import_data("AAMTrainingLog", str(log_folder)).view(pd.DataFrame)
    expected = pd.DataFrame(
        {
            "learning_rate": [0, 0.001, 0.0005],
            "seconds": [0.5, 2.5, 2.5],
            "train/total_loss": [np.nan, 0.1 + 0.2, 0.25],
            "val/total_loss": [1.25, 1e-5, np.nan],
        },
        index=pd.Index([0, 1, 12], name="epoch"),
    )
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_training_log_as_metadata_has_an_epoch_a_row(log_folder):
    # A metric that was never measured is a column all the same.
    history = HISTORY.replace("\n", "\t\n").replace("val/total_loss\t", "val/total_loss\tval/r2")
    (log_folder / "history.tsv").write_text(history)
    metadata = Artifact.import_data("AAMTrainingLog", str(log_folder)).view(qiime2.Metadata)
    assert metadata.ids == ("0", "1", "12")
    assert {name: column.type for name, column in metadata.columns.items()} == dict.fromkeys(
        ["learning_rate", "seconds", "train/total_loss", "val/total_loss", "val/r2"], "numeric"
    )
    assert metadata.get_column("train/total_loss").to_series().tolist()[1:] == [0.1 + 0.2, 0.25]


def test_a_training_log_as_dictionary(log_folder):
    found = Artifact.import_data("AAMTrainingLog", str(log_folder)).view(dict)
    assert found == json.loads((log_folder / "log.json").read_text())


def test_a_model_as_dictionary(model_folder):
    found = Artifact.import_data("AAMModel[Regressor]", str(model_folder)).view(dict)
    assert found == json.loads((model_folder / "model.json").read_text())


def test_a_model_as_metadata_has_a_setting_a_row(model_folder):
    describe(model_folder, "classifier", random_seed=None)
    metadata = Artifact.import_data("AAMModel[Classifier]", str(model_folder)).view(qiime2.Metadata)
    assert metadata.id_count == 29
    values = metadata.get_column("value").to_series()
    expected = {
        "kind": "classifier",
        "architecture.sample.layers": "2",
        "target.name": "habitat",
        "target.classes": '["1", "10", "2"]',
        "scores.val/r2": "0.30000000000000004",
        "versions.torch": "2.13",
    }
    assert values[list(expected)].to_dict() == expected
    assert values[values.isna()].index.tolist() == ["covariates", "settings.note", "random_seed", "intervals"]
