"""`pretrain`: learn, without labels, sample embeddings whose distances are UniFrac distances."""

import math
from dataclasses import replace

import biom
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam.actions._reading import study_of
from q2_aam.actions._reporting import describe_new_asvs, describe_study, readable_warnings, say
from q2_aam.actions._training_log import training_log
from q2_aam.settings import (
    LONGEST,
    Architecture,
    Optimization,
    PretrainingSampling,
    Reading,
    ReadLength,
    Runtime,
    Training,
    of_arguments,
)
from q2_aam.types import AAMModelDirectoryFormat, AAMTrainingLogDirectoryFormat


def pretrain(
    table: biom.Table,
    phylogeny: NewickFormat,
    sequences: DNAFASTAFormat = None,
    encoder: AAMModelDirectoryFormat = None,
    metric: str = Training.metric,
    missing_features: str = Reading.missing_features,
    validation_share: float = PretrainingSampling.validation_share,
    token_limit: int = PretrainingSampling.token_limit,
    epochs: str = Optimization.epochs,
    batch_size: int = Optimization.batch_size,
    accumulation: int = Optimization.accumulation,
    learning_rate: float = Optimization.learning_rate,
    scheduler: str = Optimization.scheduler,
    gradient_clip: float = Optimization.gradient_clip,
    patience: int = Optimization.patience,
    monitor: str = Optimization.monitor,
    dim: int = Architecture.dim,
    nucleotide_layers: int = Architecture.nucleotide_layers,
    sample_layers: int = Architecture.sample_layers,
    lineages: int = Architecture.lineages,
    max_length: str = ReadLength.max_length,
    precision: str = Runtime.precision,
    device: str = Runtime.device,
    devices: int = Runtime.devices,
    num_nodes: int = Runtime.num_nodes,
    threads: str = Runtime.threads,
    random_seed: int = Runtime.random_seed,
    run_dir: str = None,
) -> (AAMModelDirectoryFormat, AAMTrainingLogDirectoryFormat):
    """Pretrain an encoder; the parameters are described where they are registered."""
    arguments = dict(locals())
    settings, reading = of_arguments(Training, arguments), of_arguments(Reading, arguments)

    from q2_aam.encoder.encoder import Encoder
    from q2_aam.encoder.pretraining import pretrain as learn
    from q2_aam.encoder.training.run_directory import run_directory
    from q2_aam.study.trims import refuse_cut

    with readable_warnings(), run_directory(run_dir, num_nodes) as directory:
        before = None if encoder is None else Encoder.load(str(encoder))
        length = Architecture.max_length if max_length == "auto" else max_length
        sizes = architecture_of(of_arguments(Architecture, {**arguments, "max_length": length}), before)
        whole = before is None and max_length == "auto"
        read = LONGEST if whole else sizes.max_length
        study = study_of(table, sequences, phylogeny=phylogeny, max_length=read, reading=reading)
        if before is not None:
            refuse_cut(study.communities, "Leave the encoder out: one that is begun anew reads them whole.")
        if whole:
            refuse_cut(study.communities, "These are no amplicons. Leave them out, or set max_length.")
            sizes = as_long_as(study, sizes)
        say(describe_study(study))
        if before is not None:
            say(describe_new_asvs(before, study))
        learnt, result = learn(study, settings, sizes, before, directory=directory)
        model = AAMModelDirectoryFormat()
        learnt.save(str(model))
        say(result.describe())
        scores = learnt.description.scores
        shown = [f"{name} {scores[key]:.4g}" for name in ("r", "rmse") if (key := f"val/unifrac_{name}") in scores]
        if shown:
            say(f"Predicted and true UniFrac of validation samples: {', '.join(shown)}.")
        log = training_log(result, "pretrain")
    return model, log


def as_long_as(study, sizes: Architecture) -> Architecture:
    """Sizes for a study's longest sequence, which is read whole; said where that takes longer than usual.

    A multiple of the usual length, which takes no longer: others' sequences, or those of another fold, may be a few
    nucleotides longer.
    """
    longest = study.communities.tokens.shape[1] - 1
    if longest <= sizes.max_length:
        return sizes
    say(
        f"Sequences of up to {longest} nucleotides are read whole (max_length), which takes some "
        f"{longest / sizes.max_length:.1f} times as long, and as much memory, as {sizes.max_length}."
    )
    return replace(sizes, max_length=sizes.max_length * math.ceil(longest / sizes.max_length))


def architecture_of(sizes: Architecture, encoder) -> Architecture:
    """The sizes asked for, or those of the encoder that is gone on from.

    Raises
    ------
    ValueError
        If sizes other than the defaults are asked for that the encoder does not have.
    """
    if encoder is None:
        return sizes
    own, default = encoder.network.architecture, Architecture()
    differing = [
        f"{name} {value} (the encoder has {getattr(own, name)})"
        for name, value in sizes.to_dict().items()
        if value not in (getattr(default, name), getattr(own, name))
    ]
    if differing:
        raise ValueError(
            f"The encoder has sizes of its own, but others were asked for: {', '.join(differing)}. Leave them out, or "
            "pretrain an encoder with them."
        )
    return own
