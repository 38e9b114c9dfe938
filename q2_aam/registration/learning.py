"""Registration of what is learnt and predicted: pretrain, fit, fine-tune, predict."""

from q2_sample_classifier import (
    Classifier,
    ClassifierPredictions,
    Probabilities,
    Regressor,
    RegressorPredictions,
)
from q2_types.feature_data import FeatureData, Sequence
from q2_types.feature_table import FeatureTable, Frequency, PresenceAbsence, RelativeFrequency
from q2_types.sample_data import SampleData
from q2_types.tree import Phylogeny, Rooted

from q2_aam.actions.fine_tune import fine_tune
from q2_aam.actions.fit import fit
from q2_aam.actions.predict import predict
from q2_aam.actions.pretrain import pretrain
from q2_aam.actions.ready_encoder import ready_encoder
from q2_aam.framework import Categorical, Choices, MetadataColumn, Numeric, Str, TypeMap
from q2_aam.interface import spoken
from q2_aam.registration import examples, parameters
from q2_aam.registration.parameters import (
    ARCHITECTURE,
    ASV_CACHE,
    BATCH_SIZE,
    COVARIATE_READING,
    FITTING,
    FOREIGN_PREDICTED_READING,
    FOREIGN_READING,
    OPTIMIZATION,
    READING,
    RUNTIME,
    SEED,
    TRAINING,
    descriptions,
    types,
)
from q2_aam.settings import FINE_TUNE_MONITORS, PRETRAIN_MONITORS
from q2_aam.types import AAMModel, AAMTrainingLog, Encoder, Novelty, PredictionIntervals

ANY_TABLE = FeatureTable[Frequency | RelativeFrequency | PresenceAbsence]
INTERVALS_OR_PROBABILITIES = (
    "How certain each prediction is: for a numeric column the 90% interval, for a categorical one the probability of each "
    "class (as frequent as among the samples learnt from), both by the errors on samples that were not learnt from."
)
LOG = "What the training run leaves to look at: history, TensorBoard event files, plots. See summarize-training."
METADATA = (
    "Column to predict: a numeric one makes a regressor, a categorical one a classifier. Numbers that are names of "
    "classes are categorical only where the metadata file says so in a line '#q2:types'."
)
T_column, T_model, T_predictions, T_certainty = TypeMap(
    {
        Numeric: (AAMModel[Regressor], SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Categorical: (AAMModel[Classifier], SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
)
T_variant, T_new_predictions, T_new_certainty = TypeMap(
    {
        Regressor: (SampleData[RegressorPredictions], SampleData[PredictionIntervals]),
        Classifier: (SampleData[ClassifierPredictions], SampleData[Probabilities]),
    }
)


def register_learning(plugin, citations) -> None:
    """Register these actions.

    Parameters
    ----------
    plugin : Plugin
    citations : Citations
    """
    register_pretrain(plugin, citations)
    register_ready_encoder(plugin, citations)
    register_fit(plugin)
    register_fine_tune(plugin)
    register_predict(plugin)


def register_pretrain(plugin, citations) -> None:
    """Register `pretrain`."""
    plugin.methods.register_function(
        function=spoken(pretrain),
        inputs={
            "table": FeatureTable[Frequency],
            "phylogeny": Phylogeny[Rooted],
            "sequences": FeatureData[Sequence],
            "encoder": AAMModel[Encoder],
        },
        parameters={
            **types(TRAINING, READING, OPTIMIZATION, ARCHITECTURE, RUNTIME, SEED, without=("missing_samples",)),
            "monitor": Str % Choices(PRETRAIN_MONITORS),
            "validation_share": parameters.SHARE,
        },
        outputs=[("model", AAMModel[Encoder]), ("training_log", AAMTrainingLog)],
        input_descriptions={
            "table": "Counts of ASVs in samples.",
            "phylogeny": "Phylogeny whose tips are the table's features; further tips are pruned.",
            "sequences": parameters.SEQUENCES,
            "encoder": "A pretrained encoder to go on from, instead of random weights.",
        },
        parameter_descriptions={
            **descriptions(
                TRAINING, READING, OPTIMIZATION, ARCHITECTURE, RUNTIME, SEED, without=("missing_samples",)
            ),
            "monitor": parameters.MONITOR,
            "validation_share": "Share of the samples kept apart to pick the best epoch; 0 picks it by the training "
            "samples.",
        },
        output_descriptions={"model": "The encoder, to be given to fit.", "training_log": LOG},
        name="Learn sample embeddings without labels",
        description=(
            "Learn from a table, its sequences and a phylogeny, without any metadata, an embedding of samples such that "
            "distances between samples are their UniFrac distances. The encoder can then be fitted to few labelled samples."
        ),
        citations=[citations["lozupone2005unifrac"], citations["sfiligoi2022unifrac"]],
        examples={"Small survey": examples.pretrain_example},
    )


def register_ready_encoder(plugin, citations) -> None:
    """Register `ready_encoder`."""
    plugin.methods.register_function(
        function=spoken(ready_encoder),
        inputs={},
        parameters={},
        outputs=[("model", AAMModel[Encoder])],
        input_descriptions={},
        parameter_descriptions={},
        output_descriptions={"model": "The encoder that actions take where none is given."},
        name="Get the encoder that comes with q2-aam",
        description=(
            "It has read many public surveys of the 16S gene, and needs no phylogeny. Actions take it where no encoder is "
            "given; as an artifact it can be looked at, kept, or gone on from by pretrain."
        ),
        citations=[citations["lozupone2005unifrac"], citations["sfiligoi2022unifrac"]],
        examples={"Get it": examples.ready_encoder_example},
    )


def register_fit(plugin) -> None:
    """Register `fit`."""
    tables = (COVARIATE_READING, READING, FITTING, FOREIGN_READING, RUNTIME, SEED)
    plugin.methods.register_function(
        function=spoken(fit),
        inputs={"table": ANY_TABLE, "sequences": FeatureData[Sequence], "encoder": AAMModel[Encoder]},
        parameters={
            "metadata": MetadataColumn[T_column],
            "groups": parameters.GROUPS[0],
            **types(*tables),
        },
        outputs=[("model", T_model), ("predictions", T_predictions), ("certainty", T_certainty)],
        input_descriptions={
            "table": parameters.TABLE,
            "sequences": parameters.SEQUENCES,
            "encoder": parameters.ENCODER,
        },
        parameter_descriptions={
            "metadata": METADATA,
            "groups": parameters.GROUPS[1],
            **descriptions(*tables),
            "covariates": parameters.COVARIATES[1] + "predict needs them, too.",
        },
        output_descriptions={
            "model": "The fitted model, to be given to predict.",
            "predictions": "Out-of-fold predictions: for every sample, by models that had not learnt from it or its group. A "
            "few settings were chosen by them, so that they are a little too good; cross-validate has no such flaw.",
            "certainty": INTERVALS_OR_PROBABILITIES,
        },
        name="Fit a regressor or classifier",
        description=(
            "Learn to predict a metadata column from the sample embeddings of an encoder, which stays as it is: seconds for "
            "hundreds of samples, minutes for thousands. Settings and weights are chosen by cross-validation among the samples."
        ),
        examples={
            "Numeric column": examples.fit_regressor_example,
            "Categorical column": examples.fit_classifier_example,
            "With a covariate": examples.fit_covariates_example,
        },
    )


def register_fine_tune(plugin) -> None:
    """Register `fine_tune`."""
    tables = (COVARIATE_READING, READING, FOREIGN_READING, OPTIMIZATION, TRAINING, RUNTIME, SEED)
    plugin.methods.register_function(
        function=spoken(fine_tune),
        inputs={
            "table": ANY_TABLE,
            "sequences": FeatureData[Sequence],
            "encoder": AAMModel[Encoder],
            "phylogeny": Phylogeny[Rooted],
        },
        parameters={
            "metadata": MetadataColumn[T_column],
            "groups": parameters.GROUPS[0],
            **types(*tables),
            "epochs": parameters.COUNT,
            "target_transform": FITTING["target_transform"][0],
            "decision": FITTING["decision"][0],
            "monitor": Str % Choices(FINE_TUNE_MONITORS),
            "validation_share": parameters.INNER_SHARE,
            "unifrac_weight": parameters.WEIGHT,
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
            "encoder": "An encoder that pretrain made, to begin with; by default the one that comes with q2-aam.",
            "phylogeny": "With a phylogeny, the UniFrac loss is kept beside the target's.",
        },
        parameter_descriptions={
            "metadata": METADATA,
            "groups": parameters.GROUPS[1],
            **descriptions(*tables),
            "covariates": parameters.COVARIATES[1] + "predict needs them, too.",
            "epochs": "Most passes over the training samples.",
            "target_transform": FITTING["target_transform"][1],
            "decision": FITTING["decision"][1],
            "monitor": parameters.MONITOR
            + " r2, mae and rmse are measured for a numeric column, the accuracies for a categorical one.",
            "validation_share": "Share of the samples kept apart (whole groups where groups are given) to pick the best "
            "epoch and to measure errors; the predictions and certainty that come out are theirs.",
            "unifrac_weight": "Weight of the UniFrac loss beside the target's (1), where there is a phylogeny.",
        },
        output_descriptions={
            "model": "The fitted model, to be given to predict.",
            "predictions": "Predictions for the validation samples, which picked the best epoch.",
            "certainty": INTERVALS_OR_PROBABILITIES,
            "training_log": LOG,
        },
        name="Tune the encoder itself to a metadata column",
        description=(
            "Begin with ridge or logistic regression on the encoder's sample embeddings, then tune everything at a low rate; "
            "whichever does better on the validation samples is kept. It takes minutes and is rarely better than fit: compare "
            "both on samples that neither has learnt from."
        ),
        examples={"Numeric column": examples.fine_tune_example},
    )


def register_predict(plugin) -> None:
    """Register `predict`."""
    plugin.methods.register_function(
        function=spoken(predict),
        inputs={"table": ANY_TABLE, "model": AAMModel[T_variant], "sequences": FeatureData[Sequence]},
        parameters={
            "covariates": parameters.COVARIATES[0],
            "missing_features": READING["missing_features"][0],
            "batch_size": BATCH_SIZE[0],
            **types(FOREIGN_PREDICTED_READING, ASV_CACHE, RUNTIME),
        },
        outputs=[
            ("predictions", T_new_predictions),
            ("certainty", T_new_certainty),
            ("novelty", SampleData[Novelty]),
        ],
        input_descriptions={
            "table": "New samples. Their ASVs need not have been seen in training.",
            "model": "What fit or fine-tune made.",
            "sequences": parameters.SEQUENCES,
        },
        parameter_descriptions={
            "covariates": parameters.COVARIATES[1]
            + "Needed where the model was fitted with some, under the same names; further columns are not read.",
            "missing_features": "Features without a sequence: refuse them by name, or leave them out with a count.",
            "batch_size": BATCH_SIZE[1],
            **descriptions(FOREIGN_PREDICTED_READING, ASV_CACHE, RUNTIME),
        },
        output_descriptions={
            "predictions": "The predicted column, in its own units or classes.",
            "certainty": INTERVALS_OR_PROBABILITIES,
            "novelty": "How much of each sample the model had never met in training, and how many reads were cut, dropped "
            "or ambiguous. Predictions for samples with much novelty deserve doubt.",
        },
        name="Predict a metadata column of new samples",
        description="Predict the column that a model was fitted to, for samples of a new table.",
        examples={"New samples": examples.predict_example},
    )
