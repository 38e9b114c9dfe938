"""The demo's table of scores, on predictions whose scores are known."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def score_table():
    specification = importlib.util.spec_from_file_location("score_table", ROOT / "demo" / "score_table.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_scores_stand_beside_those_of_the_forest_and_of_a_guess(score_table, tmp_path, capsys):
    from q2_aam.framework import Artifact
    from q2_aam.simulation.survey import keep_sites_apart, simulate_survey

    survey = simulate_survey(60, 120, random_seed=3)
    survey.write(tmp_path)
    train, new = keep_sites_apart(survey)
    for name, table in (("table", survey.table), ("train", train.table), ("new", new.table)):
        Artifact.import_data("FeatureTable[Frequency]", table).save(str(tmp_path / name))
    # perfect but for one sample, and in another order than the table's
    truth = new.metadata.rename_axis("SampleID").iloc[::-1]
    ph = truth["ph"].rename("prediction").copy()
    ph.iloc[0] += 1
    Artifact.import_data("SampleData[RegressorPredictions]", ph).save(str(tmp_path / "ph-predictions"))
    habitat = truth["habitat"].rename("prediction")
    Artifact.import_data("SampleData[ClassifierPredictions]", habitat).save(str(tmp_path / "habitat-predictions"))

    score_table.main([str(tmp_path)])

    table = pd.read_csv(tmp_path / "scores.tsv", sep="\t", index_col="method")
    assert list(table.index) == ["q2-aam", "random forest", "always the same"]
    assert table.loc["q2-aam", "ph MAE"] == pytest.approx(1 / len(truth))
    assert table.loc["q2-aam", "habitat accuracy"] == 1
    spread = (truth["ph"] - truth["ph"].mean()).pow(2).sum()
    assert table.loc["q2-aam", "ph R2"] == pytest.approx(1 - 1 / spread)
    median = train.metadata["ph"].median()
    assert table.loc["always the same", "ph MAE"] == pytest.approx((truth["ph"] - median).abs().mean())
    most = train.metadata["habitat"].mode()[0]
    assert table.loc["always the same", "habitat accuracy"] == pytest.approx((habitat == most).mean())
    assert table.loc["random forest", "ph MAE"] < table.loc["always the same", "ph MAE"]
    assert "random forest" in capsys.readouterr().out


def test_forest_is_given_only_asvs_that_it_has_seen(score_table, tmp_path):
    import biom
    import numpy as np

    from q2_aam.framework import Artifact

    table = biom.Table(np.array([[5, 1, 0], [2, 0, 3], [0, 0, 4]]), ["A", "B", "C"], ["s1", "s2", "s3"])
    parts = {"train": ["s2", "s1"], "new": ["s3"], "table": ["s1", "s2", "s3"]}
    for name, ids in parts.items():
        part = table.filter(ids, inplace=False).sort_order(ids).remove_empty("observation")
        Artifact.import_data("FeatureTable[Frequency]", part).save(str(tmp_path / name))
    train_ids, train, new_ids, new = score_table.read_counts(tmp_path)
    assert list(train_ids) == ["s2", "s1"] and list(new_ids) == ["s3"]
    assert train.toarray().tolist() == [[1, 0], [5, 2]]
    assert new.toarray().tolist() == [[0, 3]]
