"""`cross_validate`, a pipeline: every sample predicted once by what was learnt without it and without its group."""

import warnings

import biom
import numpy as np
import pandas as pd

from q2_aam.actions._inputs import keep_samples, refuse_id_headers, settings
from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.settings import LARGEST_SEED, Architecture, CrossValidation, Head, Reading, Runtime, TargetReading
from q2_aam.study.cautions import Caution, warn_of_cautions
from q2_aam.study.tables import name_ids


def cross_validate(
    ctx,
    table,
    metadata,
    sequences=None,
    phylogeny=None,
    encoder=None,
    groups=None,
    folds=CrossValidation.folds,
    leave_one_group_out=CrossValidation.leave_one_group_out,
    repeats=CrossValidation.repeats,
    pretraining=CrossValidation.pretraining,
    pretrain_epochs=CrossValidation.pretrain_epochs,
    head=Head.head,
    fit_epochs=CrossValidation.fit_epochs,
    freeze_encoder=CrossValidation.freeze_encoder,
    batch_size=CrossValidation.batch_size,
    target_transform=TargetReading.target_transform,
    missing_samples=TargetReading.missing_samples,
    sampling_depth=Reading.sampling_depth,
    missing_features=Reading.missing_features,
    dim=Architecture.dim,
    heads=Architecture.heads,
    nucleotides_per_token=Architecture.nucleotides_per_token,
    nucleotide_layers=Architecture.nucleotide_layers,
    sample_layers=Architecture.sample_layers,
    anchors=Architecture.anchors,
    lineages=Architecture.lineages,
    feed_forward=Architecture.feed_forward,
    dropout=Architecture.dropout,
    max_length=Architecture.max_length,
    precision=Runtime.precision,
    device=Runtime.device,
    threads=Runtime.threads,
    random_seed=Runtime.random_seed,
):
    """Cross-validate; the parameters are described where they are registered."""
    arguments = dict(locals())
    settings(CrossValidation, arguments)
    pretraining = _resolved(pretraining, encoder, phylogeny, freeze_encoder, pretrain_epochs)

    from dataclasses import asdict

    from q2_aam.study.folds import cross_validation_folds

    filter_samples = ctx.get_action("feature_table", "filter_samples")
    names = ("pretrain", "fit", "predict", "predict_baselines", "merge_folds", "evaluate")
    actions = {name: ctx.get_action("aam", name) for name in names}
    numeric = metadata.type == "numeric"
    sizes = asdict(settings(Architecture, arguments))
    where = {"device": device, "threads": threads}
    reading = {"sampling_depth": sampling_depth, "missing_features": missing_features}
    learning = {**where, **reading, "sequences": sequences, "batch_size": batch_size, "precision": precision, **sizes}

    def pretrained(part, seed):
        model, _ = actions["pretrain"](
            table=part, phylogeny=phylogeny, encoder=encoder, epochs=pretrain_epochs, random_seed=seed, **learning
        )
        return model

    with readable_warnings():
        _warn_of_seen_samples(pretraining, encoder)
        sample_ids, values, members = _known_samples(
            table.view(biom.Table), metadata, groups, missing_samples, sampling_depth
        )
        if not numeric:
            refuse_id_headers(values)
        warn_of_cautions(values, members)
        # Said once, of all samples; each fold would say it again of its own.
        warnings.filterwarnings("ignore", category=Caution)
        # No result is looked at here, so that folds can run at the same time where QIIME 2 can do that.
        made, ways = {"predictions": [], "certainty": [], "novelty": [], "baselines": []}, []
        for repeat in range(1, repeats + 1):
            seed = (random_seed + repeat - 1) % (LARGEST_SEED + 1)
            parts = cross_validation_folds(
                len(sample_ids),
                folds,
                groups=members,
                classes=None if numeric else values,
                leave_one_group_out=leave_one_group_out,
                random_seed=seed,
            )
            ways.append({tuple(test) for _, test in parts})
            # Of all samples of the table, those without a value included.
            start = pretrained(table, seed) if pretraining == "transductive" else encoder
            for number, (train_rows, test_rows) in enumerate(parts, 1):
                train_ids, test_ids = sample_ids[train_rows], sample_ids[test_rows]
                say(_describe_fold(repeat, repeats, number, len(parts), train_ids, test_ids, members))
                [train_table] = filter_samples(table=table, metadata=_as_metadata(train_ids))
                [test_table] = filter_samples(table=table, metadata=_as_metadata(test_ids))
                # What is learnt from is given the values of these samples and of no others.
                known = {
                    "metadata": metadata.filter_ids(list(train_ids)),
                    "groups": None if groups is None else groups.filter_ids(list(train_ids)),
                }
                fold_start = pretrained(train_table, seed) if pretraining == "each_fold" else start
                model, *_ = actions["fit"](
                    table=train_table,
                    encoder=fold_start,
                    head=head,
                    epochs=fit_epochs,
                    freeze_encoder=freeze_encoder,
                    target_transform=target_transform,
                    random_seed=seed,
                    **known,
                    **learning,
                )
                predicted = actions["predict"](
                    table=test_table, model=model, sequences=sequences, random_seed=seed, **where, **reading
                )
                [baselines] = actions["predict_baselines"](
                    train_table=train_table,
                    table=test_table,
                    phylogeny=phylogeny,
                    threads=threads,
                    random_seed=seed,
                    **known,
                    **reading,
                )
                for results, result in zip(made.values(), (*predicted, baselines), strict=True):
                    results.append(result)
        _warn_of_same_folds(ways, leave_one_group_out)

        *outcome, novelty, baselines, scores = actions["merge_folds"](
            **made,
            metadata=metadata.filter_ids(list(sample_ids)),
            groups=None if groups is None else groups.filter_ids(list(sample_ids)),
            pretraining=pretraining if encoder is None else f"encoder+{pretraining}",
        )
        outcome = dict(zip(("predictions", "certainty"), outcome, strict=True))
        outcome.update(baselines=baselines, scores=scores)
        # Of several repeats each has a novelty of its own.
        [report] = actions["evaluate"](
            **outcome, novelty=novelty if repeats == 1 else None, metadata=metadata, groups=groups
        )
    return (*outcome.values(), report)


def _resolved(pretraining: str, encoder, phylogeny, freeze_encoder: bool, pretrain_epochs: int | str) -> str:
    """The kind of pretraining for 'auto'; refuses what cannot be done."""
    if pretraining == "auto":
        pretraining = "each_fold" if encoder is None else "none"
    if pretraining != "none" and phylogeny is None:
        raise ValueError(
            f"pretraining is {pretraining!r}, which needs the phylogeny: its distances are what is learnt. Give the "
            "phylogeny, or set pretraining to 'none'."
        )
    if pretraining == "none" and pretrain_epochs != CrossValidation.pretrain_epochs:
        why = "pretraining is 'none'" if encoder is None else "an encoder is given and pretraining is not asked for"
        raise ValueError(
            f"pretrain_epochs is {pretrain_epochs}, but nothing is pretrained: {why}. Leave pretrain_epochs out, or "
            "set pretraining to 'each_fold'."
        )
    if freeze_encoder and pretraining == "none" and encoder is None:
        raise ValueError(
            "freeze_encoder needs an encoder, but none is given and pretraining is 'none': only random weights would "
            "be frozen. Give an encoder, have one pretrained, or leave freeze_encoder out."
        )
    return pretraining


def _warn_of_seen_samples(pretraining: str, encoder) -> None:
    if pretraining == "transductive":
        warnings.warn(
            "pretraining is 'transductive': the encoder learns from the communities of all samples, those that are "
            "predicted included, without their values. The scores hold for samples that are there when the encoder is "
            "pretrained, not for later ones.",
            stacklevel=3,
        )
    if encoder is not None:
        warnings.warn(
            "An encoder was given: if it was pretrained on samples of this table, it has seen the communities "
            "(not the values) of samples that are predicted here, and the scores do not hold for later samples.",
            stacklevel=3,
        )


def _warn_of_same_folds(ways: list, leave_one_group_out: bool) -> None:
    if len(ways) > 1 and not leave_one_group_out and all(way == ways[0] for way in ways):
        warnings.warn(
            "The folds of all repeats are the same, because the groups can be parted evenly in one way only. The "
            "repeats differ by the seeds of the models alone.",
            stacklevel=3,
        )


def _known_samples(table, metadata, groups, missing_samples, sampling_depth) -> tuple:
    """IDs of the samples that have all that is needed; their values and groups, in this order."""
    from q2_aam.study.metadata import match_metadata

    for column in (metadata,) if groups is None else (metadata, groups):
        table = keep_samples(table, match_metadata(table.ids(), column.to_series(), missing_samples))
    reads = table.sum(axis="sample")
    few = np.zeros(len(reads), dtype=bool) if sampling_depth is None else reads < sampling_depth
    if few.any():
        warnings.warn(
            f"{few.sum()} of {len(few)} samples have fewer than {sampling_depth} reads and were left out: "
            f"{name_ids(table.ids()[few])}.",
            stacklevel=3,
        )
    sample_ids = table.ids()[~few].astype(object)
    values = metadata.to_series().reindex(sample_ids)
    return sample_ids, values, None if groups is None else groups.to_series().reindex(sample_ids)


def _as_metadata(sample_ids):
    return qiime2.Metadata(pd.DataFrame(index=pd.Index(sample_ids, name="id")))


def _describe_fold(repeat, repeats, number, n_folds, train_ids, test_ids, members) -> str:
    counted = []
    for ids in (train_ids, test_ids):
        counted.append(f"{len(ids)}" if members is None else f"{len(ids)} ({members.loc[ids].nunique()} groups)")
    which = f"Repeat {repeat} of {repeats}, fold" if repeats > 1 else "Fold"
    return f"{which} {number} of {n_folds}: samples to learn from {counted[0]}, to predict {counted[1]}."
