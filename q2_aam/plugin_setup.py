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

from q2_aam import __version__
from q2_aam.actions.fit import fit
from q2_aam.actions.predict import predict
from q2_aam.actions.pretrain import pretrain
from q2_aam.framework import (
    Bool,
    Categorical,
    Choices,
    Citations,
    Float,
    Int,
    MetadataColumn,
    Numeric,
    Plugin,
    Range,
    Str,
    TypeMap,
)
from q2_aam.registration import examples, parameters
from q2_aam.registration.evaluation import register_judging
from q2_aam.registration.parameters import (
    ARCHITECTURE,
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

INTERVALS_OR_PROBABILITIES = (
    "How sure each prediction is: for a numeric column the 90% interval, for a categorical one the probability of each class, "
    "both calibrated on samples that were not learnt from."
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
        "subcommunities": Int % Range(0, None),
    },
    outputs=[("model", AAMModel[Encoder]), ("training_log", AAMTrainingLog)],
    input_descriptions={
        "table": parameters.TABLE,
        "phylogeny": "Phylogeny whose tips are the table's features; further tips are pruned.",
        "sequences": parameters.SEQUENCES,
        "encoder": "A pretrained encoder to go on from, instead of random weights.",
    },
    parameter_descriptions={
        **descriptions(LEARNING, READING, OPTIMIZATION, OBJECTIVE, ARCHITECTURE, RUNTIME),
        "monitor": parameters.MONITOR,
        "validation_share": "Share of the samples kept apart to pick the best epoch; 0 picks it by the training samples.",
        "subcommunities": "Random parts of each sample (each keeps a fifth to all of its ASVs) that stand beside it in a batch as "
        "samples of their own: many more distances, while their ASVs are encoded already. Steps of more than 32 samples have fewer of each.",
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
        "table": parameters.TABLE,
        "sequences": parameters.SEQUENCES,
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
        "best epoch and to measure errors; the predictions and certainty that come out are theirs. The other heads take inner "
        "folds instead.",
        "target_weight": "Weight of target_loss, the squared error of the transformed target or the cross entropy of its "
        "classes, which count alike whatever their sizes.",
        **descriptions(LEARNING, READING, OPTIMIZATION, OBJECTIVE, ARCHITECTURE, RUNTIME),
    },
    output_descriptions={
        "model": "The fitted model, to be given to predict.",
        "predictions": "Predictions for samples by models that had not learnt from them: joint or kernel head, for all, each by "
        "the other inner folds (which also picked a few settings); linear head, for the validation samples (which picked the best "
        "epoch).",
        "certainty": INTERVALS_OR_PROBABILITIES,
        "training_log": LOG,
    },
    name="Fit a regressor or classifier",
    description=(
        "Learn to predict a metadata column. With an encoder, by kernel ridge or kernel logistic regression on the distances "
        "that it predicts, on shared ASVs and on abundances, by trees on the sample embeddings and by trees on abundances, of which "
        "it takes a mean with weights chosen by cross-validation; or by a linear head that starts as ridge or logistic regression on "
        "the encoder's sample embeddings, after which everything is tuned at a low rate, and whichever does better on the validation "
        "samples is kept."
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
        "sequences": parameters.SEQUENCES,
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

register_judging(plugin)
