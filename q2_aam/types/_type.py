"""Semantic types: what artifacts mean."""

from q2_sample_classifier import Classifier, Regressor
from q2_types.feature_data import FeatureData
from q2_types.sample_data import SampleData

from q2_aam.framework import SemanticType

# What `pretrain` learns, without a target. `Regressor` and `Classifier` are q2-sample-classifier's, as in its
# SampleEstimator[...]: a name can be registered once only.
Encoder = SemanticType("Encoder")
AAMModel = SemanticType(
    "AAMModel", field_names="type", field_members={"type": (Encoder, Regressor, Classifier)}
)

AAMTrainingLog = SemanticType("AAMTrainingLog")

PredictionIntervals = SemanticType("PredictionIntervals", variant_of=SampleData.field["type"])

Novelty = SemanticType("Novelty", variant_of=SampleData.field["type"])

# Vectors of samples or of ASVs, as an encoder places them.
AAMEmbedding = SemanticType(
    "AAMEmbedding", variant_of=[SampleData.field["type"], FeatureData.field["type"]]
)

# How predictions change when a feature leaves a sample.
AAMEffects = SemanticType("AAMEffects", variant_of=SampleData.field["type"])

# Predictions beside what is expected by a curve through controls.
AAMMaturity = SemanticType("AAMMaturity", variant_of=SampleData.field["type"])

# What a random forest and its like say of the same samples.
BaselinePredictions = SemanticType("BaselinePredictions", variant_of=SampleData.field["type"])

AAMScores = SemanticType("AAMScores")
