"""Registration of what places samples and ASVs, for other programs to go on from."""

from q2_sample_classifier import Classifier, Regressor
from q2_types.distance_matrix import DistanceMatrix
from q2_types.feature_data import FeatureData, Sequence
from q2_types.ordination import PCoAResults
from q2_types.sample_data import SampleData

from q2_aam.actions.embed import embed, embed_vectors
from q2_aam.framework import Choices, Str
from q2_aam.interface import spoken
from q2_aam.registration import examples, parameters
from q2_aam.registration.learning import ANY_TABLE
from q2_aam.registration.parameters import (
    FOREIGN_PREDICTED_READING,
    READING,
    RUNTIME,
    descriptions,
    types,
)
from q2_aam.settings import METRIC_CHOICES
from q2_aam.types import AAMEmbedding, AAMModel, Encoder

INPUTS = {
    "table": ANY_TABLE,
    "sequences": FeatureData[Sequence],
    "model": AAMModel[Encoder | Regressor | Classifier],
}
INPUT_DESCRIPTIONS = {
    "table": parameters.TABLE,
    "sequences": parameters.SEQUENCES,
    "model": "What places the samples: an encoder that pretrain made, or the one in a fitted model; by default the one that "
    "comes with q2-aam.",
}
SAMPLE_VECTORS = (
    "A vector a sample: how much of each learnt branch of the tree of life it holds (presence), and the square root of the "
    "share of its reads there (share). Of a fitted model, behind them: how far the sample lies from its nearest training "
    "samples (nearest_distance), and the percentile of that among these (nearest_percentile; 100 is beyond all)."
)


def register_embedding(plugin, citations) -> None:
    """Register these actions.

    Parameters
    ----------
    plugin : Plugin
    citations : Citations
    """
    common = {
        "missing_features": READING["missing_features"],
        **FOREIGN_PREDICTED_READING,
        "device": RUNTIME["device"],
        "threads": RUNTIME["threads"],
    }
    plugin.methods.register_function(
        function=spoken(embed),
        inputs=INPUTS,
        parameters={"metric": Str % Choices(METRIC_CHOICES), **types(common)},
        outputs=[
            ("sample_vectors", SampleData[AAMEmbedding]),
            ("distance_matrix", DistanceMatrix),
            ("pcoa", PCoAResults),
        ],
        input_descriptions=INPUT_DESCRIPTIONS,
        parameter_descriptions={
            "metric": "Kind of UniFrac to predict: auto is the one that was learnt first. The encoder that comes with q2-aam "
            "has learnt unweighted and weighted_normalized UniFrac.",
            **descriptions(common),
        },
        output_descriptions={
            "sample_vectors": SAMPLE_VECTORS,
            "distance_matrix": "Predicted UniFrac between all samples; at most 10,000 of them.",
            "pcoa": "Its first ten principal coordinates, for emperor. Beyond 2,000 samples they are approximate.",
        },
        name="Distances between samples without a phylogeny",
        description=(
            "Place samples by their sequences alone: predicted UniFrac distances, their principal coordinates, and vectors. "
            "Other plugins take them like those of a phylogeny."
        ),
        citations=[citations["lozupone2005unifrac"]],
        examples={"Distances without a phylogeny": examples.embed_example},
    )
    plugin.methods.register_function(
        function=spoken(embed_vectors),
        inputs=INPUTS,
        parameters=types(common),
        outputs=[("sample_vectors", SampleData[AAMEmbedding]), ("asv_vectors", FeatureData[AAMEmbedding])],
        input_descriptions=INPUT_DESCRIPTIONS,
        parameter_descriptions=descriptions(common),
        output_descriptions={
            "sample_vectors": SAMPLE_VECTORS,
            "asv_vectors": "A vector an ASV: what the encoder makes of its sequence. Related ASVs have like vectors.",
        },
        name="Vectors of samples and of ASVs",
        description="Place samples and their ASVs by sequences alone, as vectors: any number of samples, no distances.",
        examples={"Vectors": examples.embed_vectors_example},
    )
