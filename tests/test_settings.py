import inspect
import re
from dataclasses import asdict

import pytest

from q2_aam.settings import (
    USUAL_METRIC,
    Architecture,
    Baselines,
    CrossValidation,
    Embedding,
    FineTuning,
    FineTuningOptimization,
    Fitting,
    Objective,
    Optimization,
    PretrainingSampling,
    Reading,
    Runtime,
    Sampling,
    Splitting,
    TargetObjective,
    Training,
    of_arguments,
)
from q2_aam.study.communities import read_communities
from q2_aam.study.metadata import match_metadata
from q2_aam.study.study import read_study
from q2_aam.study.targets import Target
from q2_aam.study.unifrac import UniFracDistances, match_tips


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (Optimization, {"epochs": 0}, "epochs must be at least 1, but is 0."),
        (Optimization, {"optimizer": "sgd"}, "optimizer must be one of muon, adamw, but is 'sgd'."),
        (PretrainingSampling, {"subcommunities": -1}, "subcommunities must be at least 0, but is -1."),
        (CrossValidation, {"pretrain_epochs": 0}, "pretrain_epochs must be at least 1, but is 0."),
        (Optimization, {"batch_size": 0}, "batch_size must be at least 1, but is 0."),
        (Optimization, {"accumulation": 0}, "accumulation must be at least 1, but is 0."),
        (Optimization, {"learning_rate": 0.0}, "learning_rate must be above 0, but is 0.0."),
        (Optimization, {"learning_rate": float("nan")}, "learning_rate must be above 0, but is nan."),
        (Optimization, {"weight_decay": -1}, "weight_decay must be at least 0, but is -1."),
        (Optimization, {"warmup_share": 1.0}, "warmup_share must be below 1, but is 1.0."),
        (Optimization, {"warmup_share": -0.1}, "warmup_share must be at least 0, but is -0.1."),
        (Optimization, {"gradient_clip": -1.0}, "gradient_clip must be at least 0, but is -1.0."),
        (Optimization, {"gradient_share": 0.0}, "gradient_share must be above 0 and at most 1, but is 0.0."),
        (Optimization, {"gradient_share": 1.5}, "gradient_share must be above 0 and at most 1, but is 1.5."),
        (Optimization, {"patience": -1}, "patience must be at least 0, but is -1."),
        (
            Optimization,
            {"scheduler": "linear"},
            "scheduler must be one of warmup_cosine, cosine, plateau, onecycle, constant, but is 'linear'.",
        ),
        (Optimization, {"non_finite": "ignore"}, "non_finite must be one of error, skip, but is 'ignore'."),
        (FineTuningOptimization, {"epochs": -3}, "epochs must be at least 1, but is -3."),
        (Objective, {"unifrac_weight": -1}, "unifrac_weight must be at least 0, but is -1."),
        (Objective, {"nucleotide_weight": float("nan")}, "nucleotide_weight must be at least 0, but is nan."),
        (Objective, {"count_weight": -1}, "count_weight must be at least 0, but is -1."),
        (Objective, {"target_weight": -1}, "target_weight must be at least 0, but is -1."),
        (Objective, {"mask_share": 0.0}, "mask_share must be between 0 and 1, but is 0.0."),
        (Objective, {"mask_share": 1.0}, "mask_share must be between 0 and 1, but is 1.0."),
        (
            Objective,
            {"unifrac_weight": 0, "nucleotide_weight": 0, "count_weight": 0},
            "All loss weights are 0: there is nothing to learn.",
        ),
        (
            TargetObjective,
            {"unifrac_weight": 0, "target_weight": 0},
            "All loss weights are 0: there is nothing to learn.",
        ),
        (
            Sampling,
            {"validation_share": 1.0},
            "validation_share must be at least 0 and below 1, but is 1.0.",
        ),
        (
            Sampling,
            {"validation_share": -0.1},
            "validation_share must be at least 0 and below 1, but is -0.1.",
        ),
        (Sampling, {"token_limit": 0}, "token_limit must be at least 1, but is 0."),
        (Sampling, {"token_choice": "rare"}, "token_choice must be one of abundant, random, but is 'rare'."),
        (Runtime, {"precision": "64"}, "precision must be one of auto, 32, bf16, 16, but is '64'."),
        (Runtime, {"device": "tpu"}, "device must be one of auto, cpu, cuda, but is 'tpu'."),
        (Runtime, {"threads": 0}, "threads must be at least 1, but is 0."),
        (Runtime, {"devices": 0}, "devices must be at least 1, but is 0."),
        (Runtime, {"num_nodes": 0}, "num_nodes must be at least 1, but is 0."),
        (Runtime, {"random_seed": -1}, "random_seed must be from 0 to 4294967295, but is -1."),
        (Runtime, {"random_seed": 2**32}, "random_seed must be from 0 to 4294967295, but is 4294967296."),
        (Reading, {"missing_features": "drop"}, "missing_features must be one of error, ignore, but is 'drop'."),
        (Reading, {"missing_samples": "drop"}, "missing_samples must be one of error, ignore, but is 'drop'."),
        (Reading, {"missing_covariates": "drop"}, "missing_covariates must be one of error, impute, but is 'drop'."),
        (Fitting, {"head": "joint"}, "head must be one of ensemble, kernel, trees, linear, but is 'joint'."),
        (Fitting, {"random_seed": -1}, "random_seed must be from 0 to 4294967295, but is -1."),
        (Baselines, {"random_seed": -1}, "random_seed must be from 0 to 4294967295, but is -1."),
        (Baselines, {"threads": 0}, "threads must be at least 1, but is 0."),
        (Splitting, {"share": 0.0}, "share must be between 0 and 1, but is 0.0."),
        (Splitting, {"share": 1.0}, "share must be between 0 and 1, but is 1.0."),
        (
            FineTuning,
            {"target_transform": "log"},
            "target_transform must be one of none, zscore, minmax, log1p, but is 'log'.",
        ),
        (
            Fitting,
            {"target_transform": "log"},
            "target_transform must be one of none, zscore, minmax, log1p, but is 'log'.",
        ),
        (
            Training,
            {"metric": "jaccard"},
            "metric must be one of auto, unweighted, weighted_normalized, generalized, but is "
            "'jaccard'.",
        ),
        (Embedding, {"device": "tpu"}, "device must be one of auto, cpu, cuda, but is 'tpu'."),
        (Embedding, {"threads": 0}, "threads must be at least 1, but is 0."),
        (Embedding, {"token_limit": 0}, "token_limit must be at least 1, but is 0."),
        (Embedding, {"batch_size": 0}, "batch_size must be at least 1, but is 0."),
        (Embedding, {"asv_cache": "tape"}, "asv_cache must be one of memory, disk, but is 'tape'."),
        (CrossValidation, {"folds": 1}, "folds must be at least 2, but is 1."),
        (CrossValidation, {"repeats": 0}, "repeats must be at least 1, but is 0."),
        (CrossValidation, {"pretrain_epochs": 0}, "pretrain_epochs must be at least 1, but is 0."),
        (
            CrossValidation,
            {"pretraining": "all"},
            "pretraining must be one of none, each_fold, transductive, but is 'all'.",
        ),
        (
            CrossValidation,
            {"folds": 3, "leave_one_group_out": True},
            "folds is 3, but leave_one_group_out makes each group a fold. Leave one of them out.",
        ),
    ],
)
def test_wrong_settings_are_refused(kind, changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind(**changes)


def test_8_3_early_stopping_is_on_with_a_patience_of_10_epochs():
    assert Optimization().patience == FineTuningOptimization().patience == 10


def test_8_7_clipping_is_on_and_what_is_not_finite_stops():
    assert Optimization().gradient_clip == FineTuningOptimization().gradient_clip == 1.0
    assert Optimization().non_finite == FineTuningOptimization().non_finite == "error"


def test_8_11_warmup_is_a_share_of_the_run():
    assert 0 < Optimization().warmup_share <= 0.2


def test_settings_have_one_field_of_each_name():
    """The actions fill them by name."""
    names = [name for kind in (Optimization, Objective, Sampling, Runtime) for name in kind.__dataclass_fields__]
    assert len(set(names)) == len(names)
    assert Training().optimization == Optimization() and Training().runtime == Runtime()


def test_settings_are_filled_by_name_wherever_the_field_is():
    settings = of_arguments(FineTuning, {"epochs": 7, "metric": "generalized", "threads": 2, "table": None})
    assert (settings.optimization.epochs, settings.metric, settings.runtime.threads) == (7, "generalized", 2)
    assert isinstance(settings.optimization, FineTuningOptimization)
    assert isinstance(settings.objective, TargetObjective)
    assert of_arguments(Training, {}) == Training()


def test_settings_are_checked_when_they_are_filled():
    with pytest.raises(ValueError, match="^epochs must be at least 1, but is 0.$"):
        of_arguments(Training, {"epochs": 0})


def test_the_study_has_the_same_defaults():
    """What is asked for in Python without saying more is what the command line asks for."""
    usual = {**asdict(Reading()), "transform": Fitting().target_transform, "max_length": Architecture().max_length}
    for function in (read_study, match_tips, read_communities, match_metadata, Target.fit_numeric):
        parameters = inspect.signature(function).parameters
        shared = {name for name in set(parameters) & set(usual) if parameters[name].default is not inspect._empty}
        assert shared
        assert {name: parameters[name].default for name in shared} == {name: usual[name] for name in shared}
    assert inspect.signature(UniFracDistances).parameters["metric"].default == USUAL_METRIC


@pytest.mark.parametrize(
    ("samples", "batch_size", "accumulation", "processes", "epochs"),
    [
        (559, 32, 1, 1, 17),  # 18 steps an epoch
        (559, 32, 1, 2, 34),  # 9
        (559, 32, 2, 1, 34),
        (10, 32, 1, 1, 60),  # a small study is not gone through forever
        (1_000_000, 32, 1, 1, 4),  # and a large one more than once
    ],
)
def test_as_many_epochs_as_make_300_steps(samples, batch_size, accumulation, processes, epochs):
    given = Optimization(batch_size=batch_size, accumulation=accumulation)
    assert given.epochs == "auto"
    assert given.of(samples, processes).epochs == epochs
    asked = Optimization(epochs=7)
    assert asked.of(samples, processes) is asked
