"""Registration of the pages of predictions, models and training runs."""

from q2_sample_classifier import Classifier, ClassifierPredictions, Probabilities, Regressor, RegressorPredictions
from q2_types.sample_data import SampleData

from q2_aam.framework import Categorical, Metadata, MetadataColumn, Numeric
from q2_aam.registration import examples, parameters
from q2_aam.registration.parameters import READING
from q2_aam.types import AAMModel, AAMScores, AAMTrainingLog, BaselinePredictions, Encoder, Novelty, PredictionIntervals
from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.model import summarize_model
from q2_aam.visualizers.novelty import show_novelty
from q2_aam.visualizers.training import summarize_training


def register_pages(plugin) -> None:
    """Register `evaluate` and `show_novelty`."""
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
            "missing_samples": READING["missing_samples"][0],
            "sample_metadata": Metadata,
        },
        input_descriptions={
            "predictions": "Predictions of fit, predict or cross-validate (or of q2-sample-classifier).",
            "certainty": "The certainty that came with them.",
            "novelty": "The novelty that came with them, to see whether errors grow with it.",
            "baselines": "Predictions of predict-baselines for the same samples, whose scores are then shown beside the model's.",
            "scores": "The scores of cross-validate, to be shown by folds.",
        },
        parameter_descriptions={
            "metadata": "Column with the true values: numeric for a regressor's predictions, categorical for a classifier's.",
            "groups": "Column whose groups are shown and scored apart.",
            "sample_metadata": "What else is known of the samples: pictures are coloured and split by its columns, and scores are "
            "shown by their values.",
            "missing_samples": "Predicted samples that are not in the metadata: refuse them by name, or leave them out with a "
            "count. Samples whose true value is missing are always left out, with a count.",
        },
        name="Show how good predictions are",
        description="Scores and pictures of predictions beside the truth and beside the answer that looks at no sample or, where "
        "they are given, beside a random forest and other baselines.",
        examples={"Numeric column": examples.evaluate_example},
    )
    plugin.visualizers.register_function(
        function=show_novelty,
        inputs={"novelty": SampleData[Novelty]},
        parameters={"sample_metadata": Metadata},
        input_descriptions={"novelty": "What predict made beside its predictions."},
        parameter_descriptions={
            "sample_metadata": "What else is known of the samples, to stand beside it: predictions and certainty of the same samples, "
            "or any metadata.",
        },
        name="Show which samples lie outside what a model knows",
        description="How far each predicted sample is from those that were learnt from, and how much of it was never met, before "
        "predictions are looked at. No true values are needed.",
        examples={"Numeric column": examples.show_novelty_example},
    )


def register_summaries(plugin) -> None:
    """Register `summarize_training` and `summarize_model`."""
    plugin.visualizers.register_function(
        function=summarize_training,
        inputs={"training_log": AAMTrainingLog},
        parameters={},
        input_descriptions={"training_log": "What pretrain or fine-tune left."},
        parameter_descriptions={},
        name="Show how training went",
        description="Losses and metrics of the training and validation samples over the epochs, the best epoch, and the plots.",
        examples={"Run of pretrain": examples.summarize_training_example},
    )
    plugin.visualizers.register_function(
        function=summarize_model,
        inputs={"model": AAMModel[Encoder | Regressor | Classifier]},
        parameters={},
        input_descriptions={"model": "What fit, fine-tune, pretrain or ready-encoder made, or a colleague gave you."},
        parameter_descriptions={},
        name="Show what a model is",
        description="What a model predicts and from what, how good it is as far as its file tells, what of its samples the file "
        "holds, what it should not be used for, and the commands that predict with it.",
        examples={"Regressor": examples.summarize_model_example},
    )
