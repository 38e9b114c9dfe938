"""What flows between actions: semantic types, formats, transformers."""

from q2_sample_classifier import Classifier, Regressor
from q2_types.feature_data import FeatureData
from q2_types.sample_data import SampleData

from q2_aam.framework import ValidationError
from q2_aam.types._format import (
    AAMModelDescriptionFormat,
    AAMModelDirectoryFormat,
    AAMTrainingHistoryFormat,
    AAMTrainingLogDirectoryFormat,
    AAMTrainingSummaryFormat,
    EventFileFormat,
    NoveltyDirectoryFormat,
    NoveltyFormat,
    PNGFormat,
    PredictionIntervalsDirectoryFormat,
    PredictionIntervalsFormat,
    TorchFileFormat,
)
from q2_aam.types._judging import (
    AAMScoresDirectoryFormat,
    AAMScoresFormat,
    BaselinePredictionsDirectoryFormat,
    BaselinePredictionsFormat,
)
from q2_aam.types._maturity import AAMMaturityDescriptionFormat, AAMMaturityDirectoryFormat, AAMMaturityFormat
from q2_aam.types._transformer import TRANSFORMERS
from q2_aam.types._type import (
    AAMEffects,
    AAMEmbedding,
    AAMMaturity,
    AAMModel,
    AAMScores,
    AAMTrainingLog,
    BaselinePredictions,
    Encoder,
    Novelty,
    PredictionIntervals,
)
from q2_aam.types._vectors import (
    AAMClassEffectsFormat,
    AAMEffectsDirectoryFormat,
    AAMExplanationFormat,
    AAMMembersFormat,
    AAMVectorsDirectoryFormat,
    AAMVectorsFormat,
)

__all__ = [
    "AAMClassEffectsFormat",
    "AAMEffects",
    "AAMEffectsDirectoryFormat",
    "AAMExplanationFormat",
    "AAMMembersFormat",
    "AAMEmbedding",
    "AAMMaturity",
    "AAMMaturityDescriptionFormat",
    "AAMMaturityDirectoryFormat",
    "AAMMaturityFormat",
    "AAMVectorsDirectoryFormat",
    "AAMVectorsFormat",
    "AAMModel",
    "AAMModelDescriptionFormat",
    "AAMModelDirectoryFormat",
    "AAMScores",
    "AAMScoresDirectoryFormat",
    "AAMScoresFormat",
    "AAMTrainingHistoryFormat",
    "AAMTrainingLog",
    "AAMTrainingLogDirectoryFormat",
    "AAMTrainingSummaryFormat",
    "BaselinePredictions",
    "BaselinePredictionsDirectoryFormat",
    "BaselinePredictionsFormat",
    "Classifier",
    "Encoder",
    "EventFileFormat",
    "Novelty",
    "NoveltyDirectoryFormat",
    "NoveltyFormat",
    "PNGFormat",
    "PredictionIntervals",
    "PredictionIntervalsDirectoryFormat",
    "PredictionIntervalsFormat",
    "Regressor",
    "TorchFileFormat",
    "register_types",
]


def register_types(plugin):
    """Register all types, formats, transformers and validators of q2-aam with its plugin.

    Parameters
    ----------
    plugin : Plugin
        The plugin of `q2_aam.plugin_setup`.
    """
    plugin.register_semantic_types(
        AAMModel, Encoder, AAMTrainingLog, PredictionIntervals, Novelty, BaselinePredictions, AAMScores, AAMEmbedding,
        AAMEffects, AAMMaturity,
    )
    plugin.register_formats(
        AAMModelDirectoryFormat,
        AAMTrainingLogDirectoryFormat,
        PredictionIntervalsFormat,
        PredictionIntervalsDirectoryFormat,
        NoveltyFormat,
        NoveltyDirectoryFormat,
        BaselinePredictionsFormat,
        BaselinePredictionsDirectoryFormat,
        AAMScoresFormat,
        AAMScoresDirectoryFormat,
        AAMVectorsFormat,
        AAMVectorsDirectoryFormat,
        AAMExplanationFormat,
        AAMClassEffectsFormat,
        AAMMembersFormat,
        AAMEffectsDirectoryFormat,
        AAMMaturityFormat,
        AAMMaturityDescriptionFormat,
        AAMMaturityDirectoryFormat,
    )
    for semantic_type, directory_format in (
        (AAMModel[Encoder | Regressor | Classifier], AAMModelDirectoryFormat),
        (AAMTrainingLog, AAMTrainingLogDirectoryFormat),
        (SampleData[PredictionIntervals], PredictionIntervalsDirectoryFormat),
        (SampleData[Novelty], NoveltyDirectoryFormat),
        (SampleData[BaselinePredictions], BaselinePredictionsDirectoryFormat),
        (AAMScores, AAMScoresDirectoryFormat),
        (SampleData[AAMEmbedding] | FeatureData[AAMEmbedding], AAMVectorsDirectoryFormat),
        (SampleData[AAMEffects], AAMEffectsDirectoryFormat),
        (SampleData[AAMMaturity], AAMMaturityDirectoryFormat),
    ):
        plugin.register_semantic_type_to_format(semantic_type, directory_format=directory_format)
    for transformer in TRANSFORMERS:
        plugin.register_transformer(transformer)
    for kind, variant in (("encoder", Encoder), ("regressor", Regressor), ("classifier", Classifier)):
        plugin.register_validator(AAMModel[variant])(_kind_validator(kind, variant))


def _kind_validator(kind: str, variant):
    """A format cannot know the type of its artifact: here a model's kind is compared with it."""

    def validate_kind(data: dict, level):
        if data["kind"] != kind:
            raise ValidationError(
                f"model.json: kind is {data['kind']}, so the type of this model is not "
                f"AAMModel[{variant.name}] but AAMModel[{data['kind'].capitalize()}]. Import it as that."
            )

    return validate_kind
