"""`fine_tune`: the encoder itself, tuned to a metadata column."""

import biom
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam.actions._reading import encoder_of, study_of
from q2_aam.actions._reporting import (
    describe_covariates,
    describe_new_asvs,
    describe_scores,
    describe_study,
    readable_warnings,
    say,
    warn_of,
)
from q2_aam.actions._training_log import training_log
from q2_aam.actions.fit import check_target
from q2_aam.framework import qiime2
from q2_aam.settings import (
    FineTuning,
    FineTuningOptimization,
    Reading,
    Runtime,
    Sampling,
    TargetObjective,
    of_arguments,
)
from q2_aam.types import AAMModelDirectoryFormat, AAMTrainingLogDirectoryFormat


def fine_tune(
    table: biom.Table,
    metadata: qiime2.MetadataColumn,
    sequences: DNAFASTAFormat = None,
    encoder: AAMModelDirectoryFormat = None,
    phylogeny: NewickFormat = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    covariates: qiime2.Metadata = None,
    covariate_columns: str = None,
    missing_covariates: str = Reading.missing_covariates,
    missing_samples: str = Reading.missing_samples,
    missing_features: str = Reading.missing_features,
    target_transform: str = FineTuning.target_transform,
    decision: str = FineTuning.decision,
    foreign: str = FineTuning.foreign,
    validation_share: float = Sampling.validation_share,
    token_limit: int = Sampling.token_limit,
    epochs: int = FineTuningOptimization.epochs,
    batch_size: int = FineTuningOptimization.batch_size,
    accumulation: int = FineTuningOptimization.accumulation,
    learning_rate: float = FineTuningOptimization.learning_rate,
    scheduler: str = FineTuningOptimization.scheduler,
    gradient_clip: float = FineTuningOptimization.gradient_clip,
    patience: int = FineTuningOptimization.patience,
    monitor: str = FineTuningOptimization.monitor,
    metric: str = FineTuning.metric,
    unifrac_weight: float = TargetObjective.unifrac_weight,
    precision: str = Runtime.precision,
    device: str = Runtime.device,
    devices: int = Runtime.devices,
    num_nodes: int = Runtime.num_nodes,
    threads: str = Runtime.threads,
    random_seed: int = Runtime.random_seed,
    run_dir: str = None,
) -> (AAMModelDirectoryFormat, pd.Series, pd.DataFrame, AAMTrainingLogDirectoryFormat):
    """Fine-tune an encoder; the parameters are described where they are registered."""
    arguments = dict(locals())
    settings, reading = of_arguments(FineTuning, arguments), of_arguments(Reading, arguments)
    refuse_distances_without_phylogeny(phylogeny, metric, unifrac_weight)

    from q2_aam.encoder.training.run_directory import run_directory
    from q2_aam.fine_tuning import fine_tune as tune

    with readable_warnings(), run_directory(run_dir, num_nodes) as directory:
        loaded = encoder_of(encoder)
        study = study_of(
            table,
            sequences,
            metadata=metadata,
            groups=groups,
            covariates=covariates,
            covariate_columns=covariate_columns,
            phylogeny=phylogeny if unifrac_weight else None,
            max_length=loaded.max_length,
            reading=reading,
        )
        check_target(study, target_transform)
        say(describe_study(study))
        say(describe_new_asvs(loaded, study))
        say("Epoch 0 is the linear head alone, fitted to the sample embeddings.")
        predictor, result = tune(loaded, study, settings, directory=directory)
        model = AAMModelDirectoryFormat()
        predictor.save(str(model))
        warn_of(predictor.out_of_fold.cautions)
        for line in (*describe_covariates(predictor), result.describe()):
            say(line)
        say(describe_scores(predictor, "validation", "Validation samples"))
        log = training_log(result, "fine-tune", predictor.target.name)
    return model, predictor.out_of_fold.values, predictor.out_of_fold.certainty, log


def refuse_distances_without_phylogeny(phylogeny, metric: str, unifrac_weight: float) -> None:
    """Stop when settings of the UniFrac loss are given, but no phylogeny, without which there is none."""
    settings = (
        ("metric", metric, FineTuning.metric),
        ("unifrac_weight", unifrac_weight, TargetObjective.unifrac_weight),
    )
    for name, value, default in settings:
        if phylogeny is None and value not in (default, 0):
            raise ValueError(
                f"{name} is {value!r}, but there is no phylogeny, without which no distances are learnt. Give the "
                f"phylogeny, or leave {name} out."
            )
