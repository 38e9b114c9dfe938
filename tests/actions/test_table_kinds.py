"""Counts, relative frequencies, presence and absence through `fit` and `predict`, as QIIME 2's types have them."""

import re

import biom
import numpy as np
import pytest

from q2_aam.framework import Artifact, sdk

from .small import as_column, description, run_fit, run_predict, told

TYPES = {"counts": "Frequency", "shares": "RelativeFrequency", "presence": "PresenceAbsence"}


@pytest.fixture(scope="module")
def tables(study):
    """The study's table as each kind."""
    counts = study.table.matrix_data.toarray()
    parts = {"counts": counts, "shares": counts / counts.sum(axis=0), "presence": (counts > 0).astype(float)}
    return {name: biom.Table(part, study.table.ids("observation"), study.table.ids()) for name, part in parts.items()}


@pytest.fixture(scope="module")
def models(study, encoder, tables, regressor):
    """Outputs of `fit` to each kind."""
    return {name: run_fit(study, "ph", encoder, table=table) for name, table in tables.items()}


@pytest.mark.parametrize("values", TYPES)
def test_the_model_says_what_its_table_held(study, models, values):
    model, predictions, _ = models[values]
    model.validate("max")
    data = description(model)["data"]
    assert data["values"] == values
    depth = {"counts": study.table.sum("sample").max(), "shares": 1, "presence": data["depth"]["highest"]}[values]
    assert data["depth"]["highest"] == pytest.approx(depth)
    assert len(predictions) == 48 and description(model)["scores"]["out-of-fold/r2"] > 0.2


@pytest.mark.parametrize("learnt", ["counts", "shares"])
def test_relative_frequencies_give_the_same_predictions_as_counts(study, tables, models, learnt):
    counts, shares = (run_predict(study, models[learnt][0], table=tables[values]) for values in ("counts", "shares"))
    off = (counts[0] - shares[0]).abs()
    assert off.median() < 1e-4 and off.max() < 0.1
    np.testing.assert_allclose(counts[2]["unseen_read_share"], shares[2]["unseen_read_share"], atol=1e-9)
    off = (models["counts"][1] - models["shares"][1]).abs()
    assert off.median() < 1e-3


def test_depths_of_shares_are_not_warned_of(study, tables, models):
    with told() as messages:
        run_predict(study, models["counts"][0], table=tables["shares"])
        run_predict(study, models["shares"][0], table=tables["counts"])
        run_predict(study, models["presence"][0], table=tables["presence"])
    assert messages == []


NAMES = {"counts": "counts of reads", "shares": "relative frequencies", "presence": "presence and absence"}


@pytest.mark.parametrize("values, learnt", [("presence", "counts"), ("counts", "presence"), ("shares", "presence")])
def test_presence_and_abundance_are_not_taken_for_each_other(study, tables, models, values, learnt):
    message = (
        f"The table holds {NAMES[values]}, but the model has learnt from {NAMES[learnt]}. Give a table of the same "
        "kind, or fit a model to such a table."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run_predict(study, models[learnt][0], table=tables[values])


@pytest.mark.parametrize("values", TYPES)
def test_each_type_of_table_is_taken(study, encoder, tables, values):
    actions = sdk.PluginManager().plugins["aam"].actions
    table = Artifact.import_data(f"FeatureTable[{TYPES[values]}]", tables[values])
    sequences = Artifact.import_data("FeatureData[Sequence]", str(study.directory / "sequences.fasta"))
    inputs = {"table": table, "sequences": sequences, "threads": 1}
    made = Artifact.import_data("AAMModel[Encoder]", str(encoder.path))
    fitted = actions["fit"](**inputs, encoder=made, metadata=as_column(study.frame["ph"]), head="linear")
    predicted = actions["predict"](**inputs, model=fitted.model)
    assert str(predicted.predictions.type) == "SampleData[RegressorPredictions]"


@pytest.mark.parametrize(
    "value, sentence", [(0.5, "they do not sum to 1: S01 ("), (2.5, "has 1 fractional counts (2.5")]
)
def test_tables_that_are_of_no_kind_are_refused(study, encoder, regressor, tables, value, sentence):
    table = tables["shares" if value < 1 else "counts"].matrix_data.toarray()
    table[5, 0] = value
    table = biom.Table(table, study.table.ids("observation"), study.table.ids())
    for call in (
        lambda: run_fit(study, "ph", encoder, table=table),
        lambda: run_predict(study, regressor[0], table=table),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            call()
