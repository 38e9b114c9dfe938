import pytest
from q2_sample_classifier import Classifier, Regressor, RegressorPredictions, SampleEstimator
from q2_types.sample_data import SampleData

from q2_aam.framework import Categorical, MetadataColumn, Numeric, TypeMap, sdk
from q2_aam.types import (
    AAMMaturity,
    AAMMaturityDirectoryFormat,
    AAMModel,
    AAMModelDirectoryFormat,
    AAMScores,
    AAMScoresDirectoryFormat,
    AAMTrainingLog,
    AAMTrainingLogDirectoryFormat,
    BaselinePredictions,
    BaselinePredictionsDirectoryFormat,
    Encoder,
    Novelty,
    NoveltyDirectoryFormat,
    PredictionIntervals,
    PredictionIntervalsDirectoryFormat,
)

TYPES = {
    "AAMModel[Encoder]": (AAMModel[Encoder], AAMModelDirectoryFormat),
    "AAMModel[Regressor]": (AAMModel[Regressor], AAMModelDirectoryFormat),
    "AAMModel[Classifier]": (AAMModel[Classifier], AAMModelDirectoryFormat),
    "AAMTrainingLog": (AAMTrainingLog, AAMTrainingLogDirectoryFormat),
    "SampleData[PredictionIntervals]": (
        SampleData[PredictionIntervals],
        PredictionIntervalsDirectoryFormat,
    ),
    "SampleData[AAMMaturity]": (SampleData[AAMMaturity], AAMMaturityDirectoryFormat),
    "SampleData[Novelty]": (SampleData[Novelty], NoveltyDirectoryFormat),
    "SampleData[BaselinePredictions]": (SampleData[BaselinePredictions], BaselinePredictionsDirectoryFormat),
    "AAMScores": (AAMScores, AAMScoresDirectoryFormat),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_are_parsed_and_have_their_format(name):
    semantic_type, directory_format = TYPES[name]
    assert sdk.parse_type(name) == semantic_type
    assert repr(semantic_type) == name
    manager = sdk.PluginManager()
    assert manager.get_directory_format(semantic_type) is directory_format
    assert manager.formats[directory_format.__name__].format is directory_format


def test_variants_are_told_apart():
    assert AAMModel[Regressor] <= AAMModel[Encoder | Regressor | Classifier]
    assert not AAMModel[Regressor] <= AAMModel[Encoder | Classifier]
    assert not AAMModel[Encoder] <= AAMModel[Regressor]
    assert AAMModel[Regressor] != SampleEstimator[Regressor]
    with pytest.raises(TypeError, match="is not a variant"):
        AAMModel[RegressorPredictions]


def test_types_of_q2_sample_classifier_are_unharmed():
    manager = sdk.PluginManager()
    for name in ("Regressor", "Classifier"):
        assert manager.type_fragments[name].plugin.name == "sample-classifier"
        assert sdk.parse_type(f"SampleEstimator[{name}]") <= SampleEstimator[Regressor | Classifier]
        assert manager.get_directory_format(sdk.parse_type(f"SampleEstimator[{name}]"))
    with pytest.raises(TypeError, match="is not a variant"):
        SampleEstimator[Encoder]


def test_a_column_s_kind_maps_to_a_model_s_variant():
    column, variant = TypeMap({Numeric: AAMModel[Regressor], Categorical: AAMModel[Classifier]})
    assert MetadataColumn[column].is_concrete() is False
    assert {repr(member) for member in variant.members} == {"AAMModel[Regressor]", "AAMModel[Classifier]"}
