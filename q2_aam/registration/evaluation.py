"""Registration of what predictions are judged by: baselines, folds, cross-validation."""

from q2_sample_classifier import ClassifierPredictions, Probabilities, RegressorPredictions
from q2_types.feature_data import FeatureData, Sequence
from q2_types.feature_table import FeatureTable, Frequency, PresenceAbsence, RelativeFrequency
from q2_types.sample_data import SampleData
from q2_types.tree import Phylogeny, Rooted

from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.merge_folds import merge_folds
from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.actions.split_samples import split_samples
from q2_aam.framework import Categorical, List, MetadataColumn, Numeric, TypeMap, TypeMatch, Visualization
from q2_aam.interface import spoken
from q2_aam.registration import examples, parameters
from q2_aam.registration.learning import ANY_TABLE
from q2_aam.registration.pages import register_pages, register_summaries
from q2_aam.registration.parameters import (
    COVARIATE_READING,
    FITTING,
    FOLDS,
    FOREIGN_READING,
    READING,
    RUNTIME,
    SEED,
    descriptions,
    types,
)
from q2_aam.types import AAMModel, AAMScores, BaselinePredictions, Encoder, Novelty, PredictionIntervals

BASELINES = (
    "What the baselines say of the same samples, a column a method: the median (or largest class) of the training samples; a "
    "random forest of 500 trees on the square root of relative abundances; of a categorical column, the same forest where classes "
    "count alike, its probabilities divided by how frequent each class is; elastic net or logistic regression on log-ratios; boosted "
    "trees; support-vector machines with a Gaussian kernel on exact unweighted UniFrac (where there is a phylogeny) and on Jaccard "
    "distances; with covariates, a random forest of these alone. Beyond 2,000 samples to learn from there are no support-vector "
    "machines, and the forest reads the 1,000 commonest ASVs and draws 2,000 samples for each tree."
)
T_column, T_predictions, T_certainty = TypeMap(
    {
        Numeric: (SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Categorical: (SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
)
T_table = TypeMatch([Frequency, RelativeFrequency, PresenceAbsence])
OUT_OF_FOLD = {
    "predictions": "The prediction of each sample, from the fold in which it was not learnt from. Of several repeats the mean, or "
    "the class of the highest mean probability.",
    "certainty": "How certain each is: intervals of 90% for a numeric column, probabilities for a categorical one. Of several "
    "repeats their means.",
    "baselines": BASELINES + " Of several repeats the mean, or the most frequent class.",
    "scores": "Scores of our predictions and of each baseline's, of each repeat and fold and of all folds of a repeat.",
}


def register_evaluation(plugin) -> None:
    """Register these actions.

    Parameters
    ----------
    plugin : Plugin
    """
    register_split_samples(plugin)
    register_predict_baselines(plugin)
    register_merge_folds(plugin)
    register_cross_validate(plugin)
    register_pages(plugin)
    register_summaries(plugin)


def register_split_samples(plugin) -> None:
    """Register `split_samples`."""
    plugin.methods.register_function(
        function=spoken(split_samples),
        inputs={"table": FeatureTable[T_table]},
        parameters={
            "metadata": MetadataColumn[Numeric | Categorical],
            "groups": parameters.GROUPS[0],
            "share": parameters.INNER_SHARE,
            "missing_samples": READING["missing_samples"][0],
            **types(SEED),
        },
        outputs=[("train_table", FeatureTable[T_table]), ("test_table", FeatureTable[T_table])],
        input_descriptions={"table": "All samples."},
        parameter_descriptions={
            "metadata": "Column that will be predicted: its classes are in like shares in both tables. Samples without a value "
            "are in neither.",
            "groups": parameters.GROUPS[1],
            "share": "Share of the samples in the table to judge by.",
            "missing_samples": READING["missing_samples"][1],
            "random_seed": "Seed of the choice; the same seed gives the same tables.",
        },
        output_descriptions={
            "train_table": "Samples to learn from, with the features that they hold.",
            "test_table": "Samples to judge by, with the features that they hold.",
        },
        name="Split samples into those to learn from and those to judge by",
        description="Part a table in two: whole groups, classes in like shares. Pretrain and fit on the first, predict the second.",
        examples={"By a numeric column": examples.split_samples_example},
    )


def register_predict_baselines(plugin) -> None:
    """Register `predict_baselines`."""
    tables = (COVARIATE_READING, READING)
    plugin.methods.register_function(
        function=spoken(predict_baselines),
        inputs={"train_table": ANY_TABLE, "table": ANY_TABLE, "phylogeny": Phylogeny[Rooted]},
        parameters={
            "metadata": MetadataColumn[Numeric | Categorical],
            "groups": parameters.GROUPS[0],
            **types(*tables),
            "threads": RUNTIME["threads"][0],
            **types(SEED),
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
            **descriptions(*tables),
            "covariates": parameters.COVARIATES[1] + "With them, a forest of these alone is among the baselines.",
            "missing_features": "Features that are no tip of the phylogeny: refuse them by name, or leave them out (of UniFrac "
            "only) with a count.",
            "threads": RUNTIME["threads"][1],
            "random_seed": "Seed of the forests and of the folds by which settings are chosen.",
        },
        output_descriptions={"baselines": BASELINES + " To be given to evaluate."},
        name="Predict by a random forest and other baselines",
        description="What users would do without this plugin, for the same samples to learn from and to predict: give the result to "
        "evaluate beside the predictions of predict.",
        examples={"Numeric column": examples.predict_baselines_example},
    )


def register_merge_folds(plugin) -> None:
    """Register `merge_folds`."""
    plugin.methods.register_function(
        function=spoken(merge_folds),
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
            "samples (transductive), or none; encoder+ where it began from a given one; ready for the one that comes with q2-aam.",
            "groups": "Column whose groups were never on both sides, to be counted.",
        },
        output_descriptions={
            "merged_predictions": OUT_OF_FOLD["predictions"],
            "merged_certainty": OUT_OF_FOLD["certainty"],
            "merged_novelty": "How much of each sample was never met in training; of several repeats that of the first.",
            "merged_baselines": OUT_OF_FOLD["baselines"],
            "scores": OUT_OF_FOLD["scores"],
        },
        name="Merge and score the folds of a cross-validation",
        description="The last step of cross-validate, for folds that were made otherwise: on a cluster, or by splits of your own. A "
        "sample that comes again begins a new repeat.",
        examples={"Two folds": examples.merge_folds_example},
    )


def register_cross_validate(plugin) -> None:
    """Register `cross_validate`."""
    tables = (FOLDS, COVARIATE_READING, READING, FITTING, FOREIGN_READING, RUNTIME, SEED)
    plugin.pipelines.register_function(
        function=cross_validate,
        inputs={
            "table": ANY_TABLE,
            "sequences": FeatureData[Sequence],
            "phylogeny": Phylogeny[Rooted],
            "encoder": AAMModel[Encoder],
        },
        parameters={
            "metadata": MetadataColumn[T_column],
            "groups": parameters.GROUPS[0],
            **types(*tables),
        },
        outputs=[
            ("predictions", T_predictions),
            ("certainty", T_certainty),
            ("baselines", SampleData[BaselinePredictions]),
            ("scores", AAMScores),
            ("report", Visualization),
        ],
        input_descriptions={
            "table": parameters.TABLE + " Pretraining takes counts of reads alone.",
            "sequences": parameters.SEQUENCES,
            "phylogeny": "Phylogeny whose tips are the table's features, for the baseline on exact UniFrac, and for pretraining.",
            "encoder": "A pretrained encoder; by default the one that comes with q2-aam. If it was pretrained on samples of this table, it "
            "has seen the communities of samples that are predicted, though not their values: scores then do not hold for later samples.",
        },
        parameter_descriptions={
            "metadata": "Column to predict. Samples without a value are left out, with a count.",
            "groups": parameters.GROUPS[1],
            **descriptions(*tables),
            "covariates": parameters.COVARIATES[1] + "A forest of these alone is then among the baselines.",
            "target_transform": "What a numeric column is learnt as, on the training samples of each fold.",
        },
        output_descriptions={
            **OUT_OF_FOLD,
            "report": "The page of evaluate: our predictions beside the baselines', and the scores by folds.",
        },
        name="How well would new samples be predicted?",
        description=(
            "Part the samples into folds, and predict each fold by what was learnt from the others: fit, predict and "
            "predict-baselines for each fold, and pretrain with pretraining each_fold. Of the samples of a fold nothing is seen before "
            "they are predicted, unless an encoder is given that has read them or pretraining is transductive. QIIME 2 releases that can "
            "run actions in parallel run folds at the same time (--parallel)."
        ),
        examples={"Numeric column": examples.cross_validate_example},
    )
