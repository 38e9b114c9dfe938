"""Every usage example runs, calls its own action and gives what it says."""

import os

import biom
import pytest

from q2_aam.framework import sdk, usage
from q2_aam.registration import examples

TYPES = {
    ("pretrain", "Small survey"): {"encoder": "AAMModel[Encoder]", "pretraining_log": "AAMTrainingLog"},
    ("ready_encoder", "Get it"): {"ready_encoder": "AAMModel[Encoder]"},
    ("fit", "Numeric column"): {
        "ph_model": "AAMModel[Regressor]",
        "ph_out_of_fold": "SampleData[RegressorPredictions]",
        "ph_out_of_fold_certainty": "SampleData[PredictionIntervals]",
    },
    ("fit", "Categorical column"): {
        "habitat_model": "AAMModel[Classifier]",
        "habitat_out_of_fold": "SampleData[ClassifierPredictions]",
        "habitat_out_of_fold_certainty": "SampleData[Probabilities]",
    },
    ("fit", "With a covariate"): {
        "ph_model": "AAMModel[Regressor]",
        "ph_out_of_fold": "SampleData[RegressorPredictions]",
        "ph_out_of_fold_certainty": "SampleData[PredictionIntervals]",
    },
    ("fine_tune", "Numeric column"): {
        "ph_model": "AAMModel[Regressor]",
        "ph_validation_predictions": "SampleData[RegressorPredictions]",
        "ph_validation_certainty": "SampleData[PredictionIntervals]",
        "ph_training_log": "AAMTrainingLog",
    },
    ("split_samples", "By a numeric column"): {
        "train_table": "FeatureTable[Frequency]",
        "test_table": "FeatureTable[Frequency]",
    },
    ("predict", "New samples"): {
        "ph_predictions": "SampleData[RegressorPredictions]",
        "ph_certainty": "SampleData[PredictionIntervals]",
        "novelty": "SampleData[Novelty]",
    },
    ("explain", "Numeric column"): {
        "ph_importance": "FeatureData[Importance]",
        "ph_effects": "SampleData[AAMEffects]",
    },
    ("show_importance", "Numeric column"): {"ph_importance_page": "Visualization"},
    ("embed", "Distances without a phylogeny"): {
        "sample_vectors": "SampleData[AAMEmbedding]",
        "predicted_unifrac": "DistanceMatrix",
        "predicted_unifrac_pcoa": "PCoAResults",
    },
    ("embed_vectors", "Vectors"): {
        "sample_vectors": "SampleData[AAMEmbedding]",
        "asv_vectors": "FeatureData[AAMEmbedding]",
    },
    ("harmonize_regions", "References of simulated genes"): {
        "harmonized_table": "FeatureTable[Frequency]",
        "harmonized_sequences": "FeatureData[Sequence]",
    },
    ("predict_baselines", "Numeric column"): {"ph_baselines": "SampleData[BaselinePredictions]"},
    ("merge_folds", "Two folds"): {
        "ph_out_of_fold": "SampleData[RegressorPredictions]",
        "ph_out_of_fold_certainty": "SampleData[PredictionIntervals]",
        "novelty": "SampleData[Novelty]",
        "ph_baselines": "SampleData[BaselinePredictions]",
        "ph_scores": "AAMScores",
    },
    ("cross_validate", "Numeric column"): {
        "ph_out_of_fold": "SampleData[RegressorPredictions]",
        "ph_out_of_fold_certainty": "SampleData[PredictionIntervals]",
        "ph_baselines": "SampleData[BaselinePredictions]",
        "ph_scores": "AAMScores",
        "ph_report": "Visualization",
    },
    ("show_novelty", "Numeric column"): {"ph_novelty_page": "Visualization"},
    ("evaluate", "Numeric column"): {"ph_evaluation": "Visualization"},
    ("summarize_training", "Run of pretrain"): {"pretraining": "Visualization"},
    ("maturity", "Two treatments"): {"ph_maturity": "SampleData[AAMMaturity]"},
    ("show_maturity", "Two treatments"): {"ph_maturity_page": "Visualization"},
    ("summarize_model", "Regressor"): {"ph_model_summary": "Visualization"},
}


@pytest.fixture(scope="module")
def actions():
    return sdk.PluginManager().plugins["aam"].actions


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    # The examples show the commands with their defaults, which take all cores: too many beside other tests.
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})


class Recorder(usage.ExecutionUsage):
    """Runs an example and keeps which actions it called."""

    def __init__(self):
        super().__init__()
        self.called = []

    def action(self, action, input_opts, output_opts):
        self.called.append(action.action_id)
        return super().action(action, input_opts, output_opts)


def test_every_action_has_an_example(actions):
    registered = {(action, name) for action, record in actions.items() for name in record.examples}
    assert registered == set(TYPES)


@pytest.mark.parametrize("action, name", TYPES)
def test_example_runs(actions, action, name):
    use = Recorder()
    actions[action].examples[name](use)
    outputs = {key: str(variable.value.type) for key, variable in use.render().items() if key in TYPES[action, name]}
    assert use.called == [action]
    assert outputs == TYPES[action, name]


def test_new_samples_are_of_sites_of_which_nothing_was_learnt():
    site = examples.metadata().get_column("site").to_series()
    train, new = (artifact.view(biom.Table).ids() for artifact in (examples.training_table(), examples.new_table()))
    assert len(train) + len(new) == len(site)
    assert not set(site[train]) & set(site[new])
