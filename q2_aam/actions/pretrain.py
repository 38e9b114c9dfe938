"""`pretrain`: learn, without labels, sample embeddings whose distances are UniFrac distances."""

from dataclasses import asdict, replace

import biom
import numpy as np
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam.actions._inputs import check_monitor, drawn, fasta_sequences, settings
from q2_aam.actions._reporting import describe_data, readable_warnings, say
from q2_aam.actions._runs import best_scores, data_summary, pack_log, reads_dropped, run_directory
from q2_aam.settings import (
    Architecture,
    Distances,
    Objective,
    Optimization,
    PretrainingSampling,
    Reading,
    Runtime,
    Settings,
)
from q2_aam.types import AAMModelDirectoryFormat, AAMTrainingLogDirectoryFormat


def pretrain(
    table: biom.Table,
    phylogeny: NewickFormat,
    sequences: DNAFASTAFormat = None,
    encoder: AAMModelDirectoryFormat = None,
    metric: str = Distances.metric,
    sampling_depth: int = Reading.sampling_depth,
    missing_features: str = Reading.missing_features,
    validation_share: float = PretrainingSampling.validation_share,
    token_limit: int = PretrainingSampling.token_limit,
    token_choice: str = PretrainingSampling.token_choice,
    subcommunities: int = PretrainingSampling.subcommunities,
    epochs: str = Optimization.epochs,
    batch_size: int = Optimization.batch_size,
    accumulation: int = Optimization.accumulation,
    optimizer: str = Optimization.optimizer,
    learning_rate: float = Optimization.learning_rate,
    weight_decay: float = Optimization.weight_decay,
    scheduler: str = Optimization.scheduler,
    warmup_share: float = Optimization.warmup_share,
    gradient_share: str = Optimization.gradient_share,
    gradient_clip: float = Optimization.gradient_clip,
    patience: int = Optimization.patience,
    monitor: str = Optimization.monitor,
    non_finite: str = Optimization.non_finite,
    unifrac_weight: float = Objective.unifrac_weight,
    nucleotide_weight: float = Objective.nucleotide_weight,
    count_weight: float = Objective.count_weight,
    mask_share: float = Objective.mask_share,
    dim: int = Architecture.dim,
    heads: int = Architecture.heads,
    nucleotides_per_token: int = Architecture.nucleotides_per_token,
    nucleotide_layers: int = Architecture.nucleotide_layers,
    sample_layers: int = Architecture.sample_layers,
    anchors: int = Architecture.anchors,
    lineages: int = Architecture.lineages,
    feed_forward: int = Architecture.feed_forward,
    dropout: float = Architecture.dropout,
    max_length: int = Architecture.max_length,
    precision: str = Runtime.precision,
    device: str = Runtime.device,
    threads: str = Runtime.threads,
    random_seed: int = Runtime.random_seed,
    max_tokens: int = Runtime.max_tokens,
    devices: int = Runtime.devices,
    num_nodes: int = Runtime.num_nodes,
    compile: bool = Runtime.compile,
    run_dir: str = Runtime.run_dir,
) -> (AAMModelDirectoryFormat, AAMTrainingLogDirectoryFormat):
    """Pretrain an encoder; the parameters are described where they are registered."""
    arguments = dict(locals())
    objective = settings(Objective, {**arguments, "target_weight": 0.0})
    chosen = Settings(
        settings(Optimization, arguments),
        objective,
        settings(PretrainingSampling, arguments),
        settings(Runtime, arguments),
    )
    reading = settings(Reading, arguments)
    check_monitor(monitor, objective, unifrac=True)

    from q2_aam.actions._models import chosen_architecture, chosen_metric, describe_new_to, seen_asvs, starting_network
    from q2_aam.encoder.device import resolve_device, resolve_precision, use_threads
    from q2_aam.encoder.files import sha256_of
    from q2_aam.encoder.training.starting import start_from_data
    from q2_aam.encoder.training.task import Task
    from q2_aam.encoder.training.trainer import train
    from q2_aam.model_file import load_model, save_model
    from q2_aam.study.batches import CommunityDataset, batch_loader
    from q2_aam.study.communities import read_communities
    from q2_aam.study.splits import split_validation
    from q2_aam.study.tables import without_features
    from q2_aam.study.unifrac import UniFracDistances, match_tips, read_phylogeny, tip_names

    with readable_warnings(), use_threads(chosen.runtime) as cores, run_directory(run_dir) as directory:
        resolve_precision(precision, resolve_device(device))
        before = None if encoder is None else load_model(str(encoder))
        architecture = chosen_architecture(arguments, before)
        metric = chosen_metric(metric, before)
        given = table.shape[1]
        table = drawn(table, sampling_depth, random_seed)
        dropped, reads = {"samples_below_sampling_depth": given - table.shape[1]}, table.matrix_data.sum()
        tree = read_phylogeny(str(phylogeny))
        table = match_tips(table, tip_names(tree), missing_features)
        communities = read_communities(
            table, fasta_sequences(sequences), max_length=architecture.max_length, missing_features=missing_features
        )
        dropped["reads_dropped"] = reads_dropped(reads, communities)
        # Distances are of what the model is shown.
        unifrac = UniFracDistances(
            without_features(table, communities.left_out),
            tree,
            metric,
            cores,
            asv_of_feature=communities.asv_of_feature,
        )
        # With IDs that are sequences this is as large as the sequences, and would go to every process.
        communities = replace(communities, asv_of_feature=pd.Series(dtype=np.int64))
        train_rows, validation_rows = split_validation(len(communities), validation_share, random_seed=random_seed)
        if len(train_rows) < 2 and objective.unifrac_weight:
            raise ValueError(
                f"There is {len(train_rows)} sample to learn distances from; two or more are needed. Give more "
                "samples, or a smaller validation_share."
            )
        say(describe_data(communities, train_rows, validation_rows))
        if before is not None:
            say(describe_new_to(before, communities))
        chosen = replace(chosen, optimization=chosen.optimization.of(len(train_rows), devices * num_nodes))

        network = starting_network(architecture, before, None, random_seed)
        task = Task(network, chosen, communities.sample_ids)
        dataset = CommunityDataset(communities, token_limit, token_choice, unifrac, subcommunities=subcommunities)
        if before is None:
            whole = dataset.as_predicted()
            start_from_data(network, batch_loader(whole, train_rows, batch_size, random_seed, shuffle=True))
        origin = None if before is None else before.description["sha256"]
        distances = f"{metric} {sha256_of(str(phylogeny))}"
        result = train(task, dataset, train_rows, validation_rows, directory, origin=f"{distances} {origin}")

        model, log = AAMModelDirectoryFormat(), AAMTrainingLogDirectoryFormat()
        scores = best_scores(result)
        save_model(
            str(model),
            result.state,
            architecture,
            None,
            seen_asvs(communities, train_rows, before),
            training={**asdict(chosen), **asdict(reading), "metric": metric, "encoder": origin},
            random_seed=random_seed,
            data=data_summary(communities, train_rows, validation_rows, dropped),
            scores=scores,
            intervals=None,
        )
        pack_log(result, "pretrain", None, log)
        shown = ", ".join(
            f"{name} {scores[f'val/unifrac_{name}']:.4g}" for name in ("r", "rmse") if f"val/unifrac_{name}" in scores
        )
        say(result.describe())
        if shown:
            say(f"Predicted and true UniFrac of validation samples: {shown}.")
    return model, log
