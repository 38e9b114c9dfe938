"""Usage examples: one an action, on a small simulated survey.

QIIME 2 shows them in the help of each action and in Galaxy, and runs them where asked to. Nothing is simulated or
trained until then.
"""

from functools import partial

from q2_aam.registration.example_data import (
    SMALL,
    certainty,
    effects,
    encoder,
    half,
    importance,
    metadata,
    model,
    new_table,
    novelty,
    phylogeny,
    predictions,
    sequences,
    training_log,
    training_table,
)


def pretrain_example(use):
    """Learn an encoder."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="pretrain"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            phylogeny=use.init_artifact("phylogeny", phylogeny),
            epochs=2,
            **SMALL,
        ),
        use.UsageOutputNames(model="encoder", training_log="pretraining_log"),
    )


def ready_encoder_example(use):
    """Get the encoder that comes with the plugin."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="ready_encoder"),
        use.UsageInputs(),
        use.UsageOutputNames(model="ready_encoder"),
    )


def explain_example(use):
    """Which ASVs predictions of new samples rest on."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="explain"),
        use.UsageInputs(
            table=use.init_artifact("new_table", new_table),
            sequences=use.init_artifact("sequences", sequences),
            model=use.init_artifact("ph_model", model),
        ),
        use.UsageOutputNames(importance="ph_importance", effects="ph_effects"),
    )


def show_importance_example(use):
    """Look at what predictions rest on."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="show_importance"),
        use.UsageInputs(
            importance=use.init_artifact("ph_importance", importance),
            effects=use.init_artifact("ph_effects", effects),
            sequences=use.init_artifact("sequences", sequences),
        ),
        use.UsageOutputNames(visualization="ph_importance_page"),
    )


def embed_example(use):
    """Distances of a table, without a phylogeny."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="embed"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table), sequences=use.init_artifact("sequences", sequences)
        ),
        use.UsageOutputNames(
            sample_vectors="sample_vectors", distance_matrix="predicted_unifrac", pcoa="predicted_unifrac_pcoa"
        ),
    )


def embed_vectors_example(use):
    """Vectors of a table's samples and ASVs."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="embed_vectors"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table), sequences=use.init_artifact("sequences", sequences)
        ),
        use.UsageOutputNames(sample_vectors="sample_vectors", asv_vectors="asv_vectors"),
    )


def fit_regressor_example(use):
    """Fit a numeric column."""
    _fit(use, "ph")


def fit_classifier_example(use):
    """Fit a categorical column."""
    _fit(use, "habitat")


def fit_covariates_example(use):
    """Fit a numeric column, with a covariate."""
    _fit(use, "ph", ["habitat"])


def _fit(use, column: str, covariate_columns: list | None = None):
    samples = use.init_metadata("metadata", metadata)
    further = {}
    if covariate_columns:
        further = {"covariates": samples, "covariate_columns": covariate_columns}
    use.action(
        use.UsageAction(plugin_id="aam", action_id="fit"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            metadata=use.get_metadata_column(column, column, samples),
            groups=use.get_metadata_column("site", "site", samples),
            **further,
        ),
        use.UsageOutputNames(
            model=f"{column}_model",
            predictions=f"{column}_out_of_fold",
            certainty=f"{column}_out_of_fold_certainty",
        ),
    )


def fine_tune_example(use):
    """Tune an encoder to a numeric column."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="fine_tune"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            encoder=use.init_artifact("encoder", encoder),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
            epochs=2,
        ),
        use.UsageOutputNames(
            model="ph_model",
            predictions="ph_validation_predictions",
            certainty="ph_validation_certainty",
            training_log="ph_training_log",
        ),
    )


def split_samples_example(use):
    """Keep a fifth of the samples apart, whole sites."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="split_samples"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
        ),
        use.UsageOutputNames(train_table="train_table", test_table="test_table"),
    )


def predict_example(use):
    """Predict new samples."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="predict"),
        use.UsageInputs(
            table=use.init_artifact("new_table", new_table),
            sequences=use.init_artifact("sequences", sequences),
            model=use.init_artifact("ph_model", model),
        ),
        use.UsageOutputNames(predictions="ph_predictions", certainty="ph_certainty", novelty="novelty"),
    )


def predict_baselines_example(use):
    """Predict new samples by the baselines."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="predict_baselines"),
        use.UsageInputs(
            train_table=use.init_artifact("table", training_table),
            table=use.init_artifact("new_table", new_table),
            phylogeny=use.init_artifact("phylogeny", phylogeny),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
        ),
        use.UsageOutputNames(baselines="ph_baselines"),
    )


def cross_validate_example(use):
    """Predict each sample of a table by what is learnt from other sites."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="cross_validate"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            phylogeny=use.init_artifact("phylogeny", phylogeny),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
            folds=2,
        ),
        use.UsageOutputNames(
            predictions="ph_out_of_fold",
            certainty="ph_out_of_fold_certainty",
            baselines="ph_baselines",
            scores="ph_scores",
            report="ph_report",
        ),
    )


def merge_folds_example(use):
    """Put two folds together, each of half of the samples."""
    samples = use.init_metadata("metadata", metadata)
    folds = {
        f"fold_{number}_{name}": partial(half, name, number)
        for name in ("predictions", "certainty", "novelty", "baselines")
        for number in (1, 2)
    }
    made = {name: use.init_artifact(name, make) for name, make in folds.items()}
    use.action(
        use.UsageAction(plugin_id="aam", action_id="merge_folds"),
        use.UsageInputs(
            predictions=[made["fold_1_predictions"], made["fold_2_predictions"]],
            certainty=[made["fold_1_certainty"], made["fold_2_certainty"]],
            novelty=[made["fold_1_novelty"], made["fold_2_novelty"]],
            baselines=[made["fold_1_baselines"], made["fold_2_baselines"]],
            metadata=use.get_metadata_column("ph", "ph", samples),
            pretraining="each_fold",
        ),
        use.UsageOutputNames(
            merged_predictions="ph_out_of_fold",
            merged_certainty="ph_out_of_fold_certainty",
            merged_novelty="novelty",
            merged_baselines="ph_baselines",
            scores="ph_scores",
        ),
    )


def evaluate_example(use):
    """Compare predictions with the truth."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="evaluate"),
        use.UsageInputs(
            predictions=use.init_artifact("ph_predictions", predictions),
            certainty=use.init_artifact("ph_certainty", certainty),
            metadata=use.get_metadata_column("ph", "ph", samples),
        ),
        use.UsageOutputNames(visualization="ph_evaluation"),
    )


def show_novelty_example(use):
    """Which of the predicted samples the model does not know."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="show_novelty"),
        use.UsageInputs(
            novelty=use.init_artifact("ph_novelty", novelty),
            sample_metadata=use.view_as_metadata("predicted", use.init_artifact("ph_predictions", predictions)),
        ),
        use.UsageOutputNames(visualization="ph_novelty_page"),
    )


def summarize_training_example(use):
    """Look at a training run."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="summarize_training"),
        use.UsageInputs(training_log=use.init_artifact("pretraining_log", training_log)),
        use.UsageOutputNames(visualization="pretraining"),
    )


def summarize_model_example(use):
    """Look at a model."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="summarize_model"),
        use.UsageInputs(model=use.init_artifact("ph_model", model)),
        use.UsageOutputNames(visualization="ph_model_summary"),
    )
