"""`fit`: from sample embeddings to a metadata column."""

from dataclasses import asdict, replace

import biom
import numpy as np
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam.actions._heads import chosen_head, describe_computed_log, describe_fitted, warn_of_tuning
from q2_aam.actions._inputs import (
    check_monitor,
    conditioning_frame,
    drawn,
    fasta_sequences,
    keep_samples,
    left_out,
    refuse_id_headers,
    refuse_lost_classes,
    settings,
    warn_of_unused,
)
from q2_aam.actions._reporting import describe_data, readable_warnings, say
from q2_aam.actions._runs import best_scores, data_summary, pack_log, reads_dropped, run_directory
from q2_aam.framework import qiime2
from q2_aam.settings import (
    Architecture,
    Distances,
    FineTuning,
    Head,
    Reading,
    Runtime,
    Sampling,
    Settings,
    TargetObjective,
    TargetReading,
)
from q2_aam.types import AAMModelDirectoryFormat, AAMTrainingLogDirectoryFormat


def fit(
    table: biom.Table,
    metadata: qiime2.MetadataColumn,
    sequences: DNAFASTAFormat = None,
    encoder: AAMModelDirectoryFormat = None,
    phylogeny: NewickFormat = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    conditioning: qiime2.Metadata = None,
    conditioning_columns: str = None,
    missing_samples: str = TargetReading.missing_samples,
    target_transform: str = TargetReading.target_transform,
    head: str = Head.head,
    freeze_encoder: bool = False,
    metric: str = Distances.metric,
    sampling_depth: int = Reading.sampling_depth,
    missing_features: str = Reading.missing_features,
    validation_share: float = Sampling.validation_share,
    token_limit: int = Sampling.token_limit,
    token_choice: str = Sampling.token_choice,
    epochs: str = FineTuning.epochs,
    batch_size: int = FineTuning.batch_size,
    accumulation: int = FineTuning.accumulation,
    optimizer: str = FineTuning.optimizer,
    learning_rate: float = FineTuning.learning_rate,
    weight_decay: float = FineTuning.weight_decay,
    scheduler: str = FineTuning.scheduler,
    warmup_share: float = FineTuning.warmup_share,
    gradient_share: str = FineTuning.gradient_share,
    gradient_clip: float = FineTuning.gradient_clip,
    patience: int = FineTuning.patience,
    monitor: str = FineTuning.monitor,
    non_finite: str = FineTuning.non_finite,
    target_weight: float = TargetObjective.target_weight,
    unifrac_weight: float = TargetObjective.unifrac_weight,
    nucleotide_weight: float = TargetObjective.nucleotide_weight,
    count_weight: float = TargetObjective.count_weight,
    mask_share: float = TargetObjective.mask_share,
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
) -> (AAMModelDirectoryFormat, pd.Series, pd.DataFrame, AAMTrainingLogDirectoryFormat):
    """Fit a regressor or classifier; the parameters are described where they are registered."""
    arguments = dict(locals())
    objective = settings(TargetObjective, arguments)
    chosen = Settings(
        settings(FineTuning, arguments), objective, settings(Sampling, arguments), settings(Runtime, arguments)
    )
    reading = settings(Reading, arguments)
    check_monitor(monitor, objective, phylogeny is not None, metadata.type)
    if freeze_encoder and encoder is None:
        raise ValueError(
            "freeze_encoder needs an encoder: without one, only random weights would be frozen. Give the encoder that "
            "pretrain made, or leave freeze_encoder out."
        )
    given = conditioning_frame(conditioning, conditioning_columns, metadata, groups)
    head = chosen_head(head, encoder is not None, given is not None)

    from q2_aam.actions._models import chosen_architecture, chosen_metric, describe_new_to, seen_asvs, starting_network
    from q2_aam.actions._outputs import (
        certainty_frame,
        held_out_scores,
        interval_of,
        prediction_series,
        temperature_of,
    )
    from q2_aam.encoder.device import resolve_device, resolve_precision, use_threads
    from q2_aam.encoder.files import sha256_of
    from q2_aam.encoder.training.starting import start_from_data
    from q2_aam.encoder.training.task import Task
    from q2_aam.encoder.training.trainer import train
    from q2_aam.fitting import encode_target, start_head
    from q2_aam.heads.ensemble_fit import fit_joint
    from q2_aam.heads.kernel_fit import familiar_to_others, fit_kernel, inner_folds
    from q2_aam.model_file import load_model, save_model
    from q2_aam.prediction import compare_samples, predict_samples
    from q2_aam.study.batches import CommunityDataset, batch_loader
    from q2_aam.study.cautions import warn_of_cautions
    from q2_aam.study.communities import read_communities
    from q2_aam.study.covariates import Conditioning, refuse_missing
    from q2_aam.study.metadata import match_metadata
    from q2_aam.study.splits import split_validation

    with readable_warnings(), use_threads(chosen.runtime) as cores, run_directory(run_dir) as directory:
        warn_of_unused(metadata.type, phylogeny is not None, target_transform, metric, unifrac_weight)
        tune = head == "linear" and not freeze_encoder
        computed = head != "linear"
        if computed:
            warn_of_tuning({**arguments, "head": head})
        where = {"device": resolve_device(device), "token_limit": token_limit, "batch_size": batch_size}
        resolve_precision(precision, where["device"])
        before = None if encoder is None else load_model(str(encoder))
        architecture = chosen_architecture(arguments, before)
        values = metadata.to_series()
        columns = [values] if groups is None else [values, groups.to_series()]
        dropped = left_out(table.ids(), *columns)
        table = keep_samples(table, match_metadata(table.ids(), values, missing_samples))
        if groups is not None:
            table = keep_samples(table, match_metadata(table.ids(), groups.to_series(), missing_samples))
        if given is not None:
            there = pd.Series(0, index=given.index)
            rows = match_metadata(table.ids(), there, missing_samples, "the conditioning metadata")
            table = keep_samples(table, rows)
            for name in given:
                refuse_missing(given.loc[table.ids(), name])
        known = table.shape[1]
        table = drawn(table, sampling_depth, random_seed)
        dropped["samples_below_sampling_depth"], reads = known - table.shape[1], table.matrix_data.sum()
        unifrac, distances, tree = None, None, None
        if head == "linear" and phylogeny is not None and objective.unifrac_weight:
            from q2_aam.study.tables import without_features
            from q2_aam.study.unifrac import UniFracDistances, match_tips, read_phylogeny, tip_names

            metric = chosen_metric(metric, before)
            tree = read_phylogeny(str(phylogeny))
            table = match_tips(table, tip_names(tree), missing_features)
            distances = f"{metric} {sha256_of(str(phylogeny))}"
        communities = read_communities(
            table, fasta_sequences(sequences), max_length=architecture.max_length, missing_features=missing_features
        )
        dropped["reads_dropped"] = reads_dropped(reads, communities)
        if tree is not None:
            # Distances are of what the model is shown.
            unifrac = UniFracDistances(without_features(table, communities.left_out), tree, metric, cores)
        values = values.reindex(communities.sample_ids)
        members = None if groups is None else groups.to_series().reindex(communities.sample_ids)
        numeric = metadata.type == "numeric"
        if not numeric:
            refuse_id_headers(values)
        if computed:
            # What folds say of their samples needs no part of its own: all samples are learnt from.
            parts = np.arange(len(communities)), np.arange(0)
        else:
            parts = split_validation(
                len(communities),
                validation_share,
                groups=members,
                classes=None if numeric else values,
                random_seed=random_seed,
            )
            if not numeric:
                refuse_lost_classes(values, *parts, members)
        target, encoded = encode_target(values, parts[0], target_transform if numeric else None)
        warn_of_cautions(values, members)
        members = None if members is None else members.to_numpy()
        folds = inner_folds(encoded, members, random_seed) if computed else None
        # The training log of a head that is computed is of a linear one, for comparison.
        train_rows, validation_rows = parts if folds is None else folds.splits[0]
        chosen = replace(chosen, optimization=chosen.optimization.of(len(train_rows), devices * num_nodes))
        say(describe_data(communities, *parts))
        if before is not None:
            say(describe_new_to(before, communities))
        learnt, condition = None, None
        if given is not None:
            given = given.loc[communities.sample_ids]
            learnt = Conditioning.fit(given.iloc[parts[0]])
            condition = learnt.encode(given)
            say(f"Conditioned on {learnt.describe()}.")

        network = starting_network(architecture, before, target, random_seed, learnt)
        dataset = CommunityDataset(communities, token_limit, token_choice, unifrac, encoded, condition=condition)
        if before is None:
            whole = dataset.as_predicted()
            start_from_data(network, batch_loader(whole, train_rows, batch_size, random_seed, shuffle=True))
        start_head(
            network,
            communities.subset(train_rows),
            encoded[train_rows],
            None if members is None else members[train_rows],
            random_seed,
            None if condition is None else condition[train_rows],
            **where,
        )
        origin = None if before is None else before.description["sha256"]
        if head == "linear":
            say("Epoch 0 is the probe: the linear head alone, fitted to the sample embeddings.")
        else:
            say(f"For comparison, a linear head fitted to {len(train_rows)} samples, judged by {len(validation_rows)}:")
        result = train(
            Task(network, chosen, communities.sample_ids, target),
            dataset,
            train_rows,
            validation_rows,
            directory,
            origin=f"{distances} {origin} {'tuned' if tune else 'frozen'}",
            from_probe=True,
            tune=tune,
        )

        network.load_state_dict(result.state["model"])
        fitted, rows, stage = None, validation_rows, "validation"
        if folds is not None:
            familiar = familiar_to_others(communities, folds)
            compared = compare_samples(network, communities, familiar, condition, **where)
            if head == "joint":
                fitted, outputs = fit_joint(compared, encoded, folds, random_seed, cores)
            else:
                fitted, outputs = fit_kernel(compared, encoded, folds)
            rows, stage = np.flatnonzero(np.isfinite(outputs[:, 0])), "inner folds"
            outputs = outputs[rows]
        else:
            held_out = None if condition is None else condition[rows]
            outputs = predict_samples(network, None, communities.subset(rows), held_out, **where)
        intervals, temperature = (how(target, encoded[rows], outputs) for how in (interval_of, temperature_of))
        predictions = prediction_series(target, communities.sample_ids[rows], outputs)
        certainty = certainty_frame(target, communities.sample_ids[rows], outputs, intervals, temperature)
        scores = {**best_scores(result), **held_out_scores(target, values.iloc[rows], predictions, stage)}

        model, log = AAMModelDirectoryFormat(), AAMTrainingLogDirectoryFormat()
        save_model(
            str(model),
            result.state,
            architecture,
            target,
            seen_asvs(communities, parts[0], before),
            learnt,
            fitted,
            training={
                **asdict(chosen),
                **asdict(reading),
                "missing_samples": missing_samples,
                "metric": metric if unifrac else None,
                "encoder": origin,
                "groups": None if groups is None else groups.name,
                "head": head,
                "freeze_encoder": freeze_encoder,
            },
            random_seed=random_seed,
            data=data_summary(communities, *parts, dropped),
            scores=scores,
            intervals=intervals,
            temperature=temperature,
        )
        shown = ", ".join(f"{k.split('/')[1]} {v:.4g}" for k, v in scores.items() if k.startswith(f"{stage}/"))
        if computed:
            result = replace(result, stopped=describe_computed_log(head, fitted, shown))
        pack_log(result, "fit", target.name, log)
        say(describe_fitted(head, fitted) if computed else result.describe())
        say(f"{'Inner folds' if computed else 'Validation samples'} ({target.name}): {shown}.")
    return model, predictions, certainty, log
