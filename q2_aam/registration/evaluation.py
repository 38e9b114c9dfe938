"""Registration of what predictions are judged by: baselines, folds and cross-validation."""

from q2_sample_classifier import ClassifierPredictions, Probabilities, RegressorPredictions
from q2_types.feature_data import FeatureData, Sequence
from q2_types.feature_table import FeatureTable, Frequency
from q2_types.sample_data import SampleData
from q2_types.tree import Phylogeny, Rooted

from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.merge_folds import merge_folds
from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.framework import Categorical, List, MetadataColumn, Numeric, TypeMap, Visualization
from q2_aam.registration import examples, parameters
from q2_aam.registration.parameters import ARCHITECTURE, FOLDS, READING, RUNTIME, descriptions, types
from q2_aam.types import AAMModel, AAMScores, BaselinePredictions, Encoder, Novelty, PredictionIntervals

BASELINES = (
    "What the baselines say of the same samples, a column a method: the median (or largest class) of the training samples; a "
    "random forest of 500 trees on the square root of relative abundances; of a categorical column, the same forest where classes "
    "count alike, its probabilities divided by how frequent each class is; support-vector machines with a Gaussian kernel on exact "
    "unweighted UniFrac (where there is a phylogeny) and on Jaccard distances."
)
T_column, T_predictions, T_certainty = TypeMap(
    {
        Numeric: (SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Categorical: (SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
)
OUT_OF_FOLD = {
    "predictions": "The prediction of each sample, from the fold in which it was not learnt from. Of several repeats the mean, or "
    "the class of the highest mean probability.",
    "certainty": "How sure each is: intervals of 90% for a numeric column, probabilities for a categorical one. Of several "
    "repeats their means.",
    "baselines": BASELINES + " Of several repeats the mean, or the most frequent class.",
    "scores": "Scores of our predictions and of each baseline's, of each repeat and fold and of all folds of a repeat.",
}


def register_judging(plugin):
    """Register these actions with the plugin of `q2_aam.plugin_setup`.

    Parameters
    ----------
    plugin : Plugin
    """
    plugin.methods.register_function(
        function=predict_baselines,
        inputs={
            "train_table": FeatureTable[Frequency],
            "table": FeatureTable[Frequency],
            "phylogeny": Phylogeny[Rooted],
        },
        parameters={
            "metadata": MetadataColumn[Numeric | Categorical],
            "groups": parameters.GROUPS[0],
            "missing_samples": parameters.MISSING_SAMPLES[0],
            **types(READING),
            "threads": RUNTIME["threads"][0],
            "random_seed": RUNTIME["random_seed"][0],
        },
        outputs=[("baselines", SampleData[BaselinePredictions])],
        input_descriptions={
            "train_table": "Counts of ASVs in the samples to learn from.",
            "table": "New samples, none of which is among those to learn from.",
            "phylogeny": "Phylogeny whose tips are the features of both tables. Without it there is no machine on UniFrac.",
        },
        parameter_descriptions={
            "metadata": "Column to predict, of the samples to learn from.",
            "groups": "Column whose groups (subjects, households, sites) are kept together where the machines' settings are chosen, "
            "by cross-validation among the samples to learn from.",
            "missing_samples": parameters.MISSING_SAMPLES[1],
            **descriptions(READING),
            "missing_features": "Features that are no tip of the phylogeny: refuse them by name, or leave them out (of UniFrac "
            "only) with a count.",
            "threads": RUNTIME["threads"][1],
            "random_seed": "Seed of the forest, of the folds by which settings are chosen, and of the draw where sampling_depth is "
            "given.",
        },
        output_descriptions={"baselines": BASELINES + " To be given to evaluate."},
        name="Predict by a random forest and other baselines",
        description="What users would do without this plugin, for the same samples to learn from and to predict: give the result to "
        "evaluate beside the predictions of predict.",
        examples={"Numeric column": examples.predict_baselines_example},
    )

    plugin.methods.register_function(
        function=merge_folds,
        inputs={
            "predictions": List[SampleData[RegressorPredictions | ClassifierPredictions]],
            "certainty": List[SampleData[PredictionIntervals | Probabilities]],
            "novelty": List[SampleData[Novelty]],
            "baselines": List[SampleData[BaselinePredictions]],
        },
        parameters={
            "metadata": MetadataColumn[T_column],
            "pretraining": parameters.PRETRAINED,
            "groups": parameters.GROUPS[0],
        },
        outputs=[
            ("merged_predictions", T_predictions),
            ("merged_certainty", T_certainty),
            ("merged_novelty", SampleData[Novelty]),
            ("merged_baselines", SampleData[BaselinePredictions]),
            ("scores", AAMScores),
        ],
        input_descriptions={
            "predictions": "What predict made of each fold, those of a repeat one after the other.",
            "certainty": "The certainty that came with each, in the same order.",
            "novelty": "The novelty that came with each, in the same order.",
            "baselines": "What predict-baselines made of each, in the same order.",
        },
        parameter_descriptions={
            "metadata": "The column that was predicted, with the true values.",
            "pretraining": "What the encoder was learnt from, to stand in the scores: samples of each fold's training part, all "
            "samples (transductive), or none; encoder+ where it began from a given one.",
            "groups": "Column whose groups were never on both sides, to be counted.",
        },
        output_descriptions={
            "merged_predictions": OUT_OF_FOLD["predictions"],
            "merged_certainty": OUT_OF_FOLD["certainty"],
            "merged_novelty": "How much of each sample was never seen in training; of several repeats that of the first.",
            "merged_baselines": OUT_OF_FOLD["baselines"],
            "scores": OUT_OF_FOLD["scores"],
        },
        name="Merge and score the folds of a cross-validation",
        description="The last step of cross-validate, for folds that were made otherwise: on a cluster, or by splits of your own. A "
        "sample that comes again begins a new repeat.",
        examples={"Two folds": examples.merge_folds_example},
    )

    plugin.pipelines.register_function(
        function=cross_validate,
        inputs={
            "table": FeatureTable[Frequency],
            "sequences": FeatureData[Sequence],
            "phylogeny": Phylogeny[Rooted],
            "encoder": AAMModel[Encoder],
        },
        parameters={
            "metadata": MetadataColumn[T_column],
            "groups": parameters.GROUPS[0],
            **types(FOLDS, READING, ARCHITECTURE, RUNTIME),
            "target_transform": parameters.TRANSFORM,
            "missing_samples": parameters.MISSING_SAMPLES[0],
        },
        outputs=[
            ("predictions", T_predictions),
            ("certainty", T_certainty),
            ("baselines", SampleData[BaselinePredictions]),
            ("scores", AAMScores),
            ("report", Visualization),
        ],
        input_descriptions={
            "table": parameters.TABLE,
            "sequences": parameters.SEQUENCES,
            "phylogeny": "Phylogeny whose tips are the table's features: pretraining learns its distances, and a baseline reads them.",
            "encoder": "A pretrained encoder. If it was pretrained on samples of this table, it has seen the communities of samples "
            "that are predicted, though not their values: scores then do not hold for later samples.",
        },
        parameter_descriptions={
            "metadata": "Column to predict. Samples without a value are left out, with a count.",
            "groups": parameters.GROUPS[1],
            **descriptions(FOLDS, READING, ARCHITECTURE, RUNTIME),
            "precision": RUNTIME["precision"][1] + " Predictions are always made in 32.",
            "target_transform": "What a numeric column is learnt as, on the training samples of each fold.",
            "missing_samples": parameters.MISSING_SAMPLES[1],
        },
        output_descriptions={
            **OUT_OF_FOLD,
            "report": "The page of evaluate: our predictions beside the baselines', and the scores by folds.",
        },
        name="How well would new samples be predicted?",
        description=(
            "Part the samples into folds, and predict each fold by what was learnt from the others: pretrain, fit, predict and "
            "predict-baselines for each fold. Of the samples of a fold nothing is seen before they are predicted, unless an encoder "
            "is given or transductive pretraining is asked for. QIIME 2 releases that can run actions in parallel run folds at the "
            "same time (--parallel)."
        ),
        examples={"Numeric column": examples.cross_validate_example},
    )
