"""Registration with QIIME 2: types, formats, actions and their descriptions."""

from q2_sample_classifier import (
    Classifier,
    ClassifierPredictions,
    Probabilities,
    Regressor,
    RegressorPredictions,
)
from q2_types.feature_data import FeatureData, Sequence
from q2_types.feature_table import FeatureTable, Frequency
from q2_types.sample_data import SampleData
from q2_types.tree import Phylogeny, Rooted

from q2_aam import __version__, examples, parameters
from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.fit import fit
from q2_aam.actions.merge_folds import merge_folds
from q2_aam.actions.predict import predict
from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.actions.pretrain import pretrain
from q2_aam.framework import (
    Bool,
    Categorical,
    Choices,
    Citations,
    Float,
    List,
    MetadataColumn,
    Numeric,
    Plugin,
    Range,
    Str,
    TypeMap,
    Visualization,
)
from q2_aam.parameters import (
    ARCHITECTURE,
    FOLDS,
    LEARNING,
    OBJECTIVE,
    OPTIMIZATION,
    READING,
    RUNTIME,
    descriptions,
    types,
)
from q2_aam.types import (
    AAMModel,
    AAMScores,
    AAMTrainingLog,
    BaselinePredictions,
    Encoder,
    Novelty,
    PredictionIntervals,
    register_types,
)
from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.training import summarize_training

citations = Citations.load("citations.bib", package="q2_aam")

plugin = Plugin(
    name="aam",
    version=__version__,
    website="https://github.com/q2-aam/q2-aam",
    package="q2_aam",
    citations=[citations["vaswani2017attention"]],
    short_description="Predict sample metadata from whole microbial communities.",
    description=(
        "AAM (Attention All Microbes) reads a community as a set of amplicon sequence variants: a transformer over each "
        "ASV's nucleotides, a second one over the ASVs of a sample. It learns, without labels, that distances between sample "
        "embeddings are UniFrac distances, and then predicts a metadata column of new samples, also when their ASVs were "
        "never seen before."
    ),
)

register_types(plugin)

TABLE = "Counts of ASVs in samples."
SEQUENCES = "Sequences of the table's features. Not needed where the feature IDs are themselves the sequences."
INTERVALS_OR_PROBABILITIES = (
    "How sure each prediction is: for a numeric column the 90% interval, for a categorical one the probability of each class, "
    "both calibrated on samples that were not learnt from."
)
BASELINES = (
    "What the baselines say of the same samples, a column a method: the median (or largest class) of the training samples; a "
    "random forest of 500 trees on the square root of relative abundances; support-vector machines with a Gaussian kernel on "
    "exact unweighted UniFrac (where there is a phylogeny) and on Jaccard distances."
)
LOG = "What the training run leaves to look at: history, TensorBoard event files, plots. See summarize-training."

plugin.methods.register_function(
    function=pretrain,
    inputs={
        "table": FeatureTable[Frequency],
        "phylogeny": Phylogeny[Rooted],
        "sequences": FeatureData[Sequence],
        "encoder": AAMModel[Encoder],
    },
    parameters={
        **types(LEARNING, READING, OPTIMIZATION, OBJECTIVE, ARCHITECTURE, RUNTIME),
        "monitor": Str % Choices(parameters.PRETRAIN_MONITORS),
        "validation_share": parameters.SHARE,
    },
    outputs=[("model", AAMModel[Encoder]), ("training_log", AAMTrainingLog)],
    input_descriptions={
        "table": TABLE,
        "phylogeny": "Phylogeny whose tips are the table's features; further tips are pruned.",
        "sequences": SEQUENCES,
        "encoder": "A pretrained encoder to go on from, instead of random weights.",
    },
    parameter_descriptions={
        **descriptions(LEARNING, READING, OPTIMIZATION, OBJECTIVE, ARCHITECTURE, RUNTIME),
        "monitor": parameters.MONITOR,
        "validation_share": "Share of the samples kept apart to pick the best epoch; 0 picks it by the training samples.",
    },
    output_descriptions={"model": "The encoder, to be given to fit.", "training_log": LOG},
    name="Learn sample embeddings without labels",
    description=(
        "Learn from a table, its sequences and a phylogeny, without any metadata, an embedding of samples such that distances "
        "between samples are their UniFrac distances. The encoder can then be fitted to few labelled samples."
    ),
    citations=[citations["lozupone2005unifrac"], citations["sfiligoi2022unifrac"]],
    examples={"Small survey": examples.pretrain_example},
)

T_column, T_model, T_predictions, T_certainty = TypeMap(
    {
        Numeric: (AAMModel[Regressor], SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Categorical: (AAMModel[Classifier], SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
)
plugin.methods.register_function(
    function=fit,
    inputs={
        "table": FeatureTable[Frequency],
        "sequences": FeatureData[Sequence],
        "encoder": AAMModel[Encoder],
        "phylogeny": Phylogeny[Rooted],
    },
    parameters={
        "metadata": MetadataColumn[T_column],
        "groups": parameters.GROUPS[0],
        "conditioning": parameters.CONDITIONING[0],
        "conditioning_columns": parameters.CONDITIONING_COLUMNS[0],
        "missing_samples": parameters.MISSING_SAMPLES[0],
        "target_transform": parameters.TRANSFORM,
        "head": parameters.HEAD[0],
        "freeze_encoder": Bool,
        "monitor": Str % Choices(parameters.FIT_MONITORS),
        "validation_share": parameters.INNER_SHARE,
        "target_weight": Float % Range(0, None, inclusive_start=False),
        **types(LEARNING, READING, OPTIMIZATION, OBJECTIVE, ARCHITECTURE, RUNTIME),
    },
    outputs=[
        ("model", T_model),
        ("predictions", T_predictions),
        ("certainty", T_certainty),
        ("training_log", AAMTrainingLog),
    ],
    input_descriptions={
        "table": TABLE,
        "sequences": SEQUENCES,
        "encoder": "The encoder that pretrain made. Without it, everything is learnt from the labelled samples alone.",
        "phylogeny": "With a phylogeny, the UniFrac loss is kept beside the target's while tuning (linear head).",
    },
    parameter_descriptions={
        "metadata": "Column to predict: a numeric one makes a regressor, a categorical one a classifier. Numbers that are names "
        "of classes are categorical only where the metadata file says so in a line '#q2:types'.",
        "groups": parameters.GROUPS[1],
        "conditioning": parameters.CONDITIONING[1] + "predict needs them, too.",
        "conditioning_columns": parameters.CONDITIONING_COLUMNS[1],
        "missing_samples": parameters.MISSING_SAMPLES[1],
        "target_transform": "What a numeric column is learnt as; predictions are always in its own units. log1p is "
        "log(1 + x), then zscore. A categorical column takes none.",
        "head": parameters.HEAD[1],
        "freeze_encoder": "Of the linear head: stop after it, without tuning; seconds instead of minutes, and often nearly as "
        "good.",
        "monitor": parameters.MONITOR
        + " r2, mae and rmse are measured for a numeric column, the accuracies for a categorical one.",
        "validation_share": "Linear head: share of the samples kept apart (whole groups where groups are given) to pick the "
        "best epoch and to measure errors; the predictions and certainty that come out are theirs. The kernel head measures "
        "errors in inner folds instead; the share is that of the training log's epoch 0.",
        "target_weight": "Weight of target_loss, the squared error of the transformed target or the cross entropy of its "
        "classes, which count alike whatever their sizes.",
        **descriptions(LEARNING, READING, OPTIMIZATION, OBJECTIVE, ARCHITECTURE, RUNTIME),
    },
    output_descriptions={
        "model": "The fitted model, to be given to predict.",
        "predictions": "Predictions for samples by models that had not learnt from them: kernel head, for all samples, each by "
        "the other inner folds (which also picked two settings); linear head, for the validation samples (which picked the best "
        "epoch).",
        "certainty": INTERVALS_OR_PROBABILITIES,
        "training_log": LOG,
    },
    name="Fit a regressor or classifier",
    description=(
        "Learn to predict a metadata column. With an encoder, by kernel ridge or kernel logistic regression on the distances "
        "that it predicts, on shared ASVs and on abundances; or by a linear head that starts as ridge or logistic regression on "
        "the encoder's sample embeddings, after which everything is tuned at a low rate, and whichever does better on the "
        "validation samples is kept."
    ),
    examples={
        "Numeric column": examples.fit_regressor_example,
        "Categorical column": examples.fit_classifier_example,
        "With a conditioning column": examples.fit_conditioned_example,
    },
)

T_variant, T_new_predictions, T_new_certainty = TypeMap(
    {
        Regressor: (SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Classifier: (SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
)
plugin.methods.register_function(
    function=predict,
    inputs={
        "table": FeatureTable[Frequency],
        "model": AAMModel[T_variant],
        "sequences": FeatureData[Sequence],
    },
    parameters={
        "conditioning": parameters.CONDITIONING[0],
        **types(READING, RUNTIME),
        "batch_size": parameters.COUNT,
        "asv_cache": parameters.ASV_CACHE,
    },
    outputs=[
        ("predictions", T_new_predictions),
        ("certainty", T_new_certainty),
        ("novelty", SampleData[Novelty]),
    ],
    input_descriptions={
        "table": "New samples. Their ASVs need not have been seen in training.",
        "model": "What fit made.",
        "sequences": SEQUENCES,
    },
    parameter_descriptions={
        "conditioning": parameters.CONDITIONING[1]
        + "Needed where the model was fitted with some, under the same names; further columns are not read.",
        **descriptions(READING, RUNTIME),
        "missing_features": "Features without a sequence: refuse them by name, or leave them out with a count.",
        "batch_size": "Samples at a time; changes nothing but time and memory.",
        "asv_cache": "Where the embeddings of the table's ASVs are kept. For tables of millions of ASVs choose disk: a file in "
        "the temporary directory (TMPDIR), which needs 4 bytes x dim for each ASV. It changes no prediction.",
        "precision": "Precision of matrix products. 32 gives the same numbers on every machine, but for rounding.",
        "random_seed": "Seed of the draw where sampling_depth is given.",
    },
    output_descriptions={
        "predictions": "The predicted column, in its own units or classes.",
        "certainty": INTERVALS_OR_PROBABILITIES,
        "novelty": "How much of each sample the model had never seen in training, and how many reads were cut, dropped or "
        "ambiguous. Predictions for samples with much novelty deserve doubt.",
    },
    name="Predict a metadata column of new samples",
    description="Predict the column that a model was fitted to, for samples of a new table.",
    examples={"New samples": examples.predict_example},
)

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

plugin.visualizers.register_function(
    function=evaluate,
    inputs={
        "predictions": SampleData[RegressorPredictions | ClassifierPredictions],
        "certainty": SampleData[PredictionIntervals | Probabilities],
        "novelty": SampleData[Novelty],
        "baselines": SampleData[BaselinePredictions],
        "scores": AAMScores,
    },
    parameters={
        "metadata": MetadataColumn[Numeric | Categorical],
        "groups": parameters.GROUPS[0],
        "missing_samples": parameters.MISSING_SAMPLES[0],
    },
    input_descriptions={
        "predictions": "Predictions of fit or predict (or of q2-sample-classifier).",
        "certainty": "The certainty that came with them.",
        "novelty": "The novelty that came with them, to see whether errors grow with it.",
        "baselines": "Predictions of predict-baselines for the same samples, whose scores are then shown beside the model's.",
        "scores": "The scores of cross-validate, to be shown by folds.",
    },
    parameter_descriptions={
        "metadata": "Column with the true values: numeric for a regressor's predictions, categorical for a classifier's.",
        "groups": "Column whose groups are shown and scored apart.",
        "missing_samples": "Predicted samples that are not in the metadata: refuse them by name, or leave them out with a "
        "count. Samples whose true value is missing are always left out, with a count.",
    },
    name="Show how good predictions are",
    description="Scores and pictures of predictions beside the truth and beside the answer that looks at no sample or, where "
    "they are given, beside a random forest and other baselines.",
    examples={"Numeric column": examples.evaluate_example},
)

plugin.visualizers.register_function(
    function=summarize_training,
    inputs={"training_log": AAMTrainingLog},
    parameters={},
    input_descriptions={"training_log": "What pretrain or fit left."},
    parameter_descriptions={},
    name="Show how training went",
    description="Losses and metrics of the training and validation samples over the epochs, the best epoch, and the plots.",
    examples={"Run of fit": examples.summarize_training_example},
)

T_merged_column, T_merged_predictions, T_merged_certainty = TypeMap(
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
plugin.methods.register_function(
    function=merge_folds,
    inputs={
        "predictions": List[SampleData[RegressorPredictions | ClassifierPredictions]],
        "certainty": List[SampleData[PredictionIntervals | Probabilities]],
        "novelty": List[SampleData[Novelty]],
        "baselines": List[SampleData[BaselinePredictions]],
    },
    parameters={
        "metadata": MetadataColumn[T_merged_column],
        "pretraining": parameters.PRETRAINED,
        "groups": parameters.GROUPS[0],
    },
    outputs=[
        ("merged_predictions", T_merged_predictions),
        ("merged_certainty", T_merged_certainty),
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

T_cv_column, T_cv_predictions, T_cv_certainty = TypeMap(
    {
        Numeric: (SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Categorical: (SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
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
        "metadata": MetadataColumn[T_cv_column],
        "groups": parameters.GROUPS[0],
        **types(FOLDS, READING, ARCHITECTURE, RUNTIME),
        "target_transform": parameters.TRANSFORM,
        "missing_samples": parameters.MISSING_SAMPLES[0],
    },
    outputs=[
        ("predictions", T_cv_predictions),
        ("certainty", T_cv_certainty),
        ("baselines", SampleData[BaselinePredictions]),
        ("scores", AAMScores),
        ("report", Visualization),
    ],
    input_descriptions={
        "table": TABLE,
        "sequences": SEQUENCES,
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
