"""Pretraining: an encoder from a study with a phylogeny."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.device import resolve_device, resolve_precision, use_threads
from q2_aam.encoder.encoder import TRAINING_STATE, Encoder, refuse_longer_sequences
from q2_aam.encoder.files import package_versions, tokenizer_of
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.starting import start_from_data
from q2_aam.encoder.training.trainer import TrainingResult, train
from q2_aam.schema import ModelDescription
from q2_aam.settings import USUAL_METRIC, WEIGHTED_METRIC, Architecture, Training
from q2_aam.study.joined import JoinedStudies
from q2_aam.study.study import Study
from q2_aam.study.summary import asvs_of, data_summary
from q2_aam.study.tables import refuse_alike
from q2_aam.study.two_parts import two_parts


class Pretraining(NamedTuple):
    """An encoder, and how its training went."""

    encoder: Encoder
    result: TrainingResult


def pretrain(
    study: Study | JoinedStudies,
    settings: Training,
    architecture: Architecture | None = None,
    encoder: Encoder | None = None,
    *,
    directory: Path,
) -> Pretraining:
    """Pretrain an encoder, with the files of the run in a directory; the rest is as in :meth:`Encoder.pretrain`."""
    if study.phylogeny_digest() is None:
        raise ValueError("Pretraining needs a phylogeny: its distances are what is learnt. Read the study with one.")
    runtime, seed = settings.runtime, settings.runtime.random_seed
    with use_threads(runtime) as threads:
        resolve_precision(runtime.precision, resolve_device(runtime.device))
        metric = encoder.metric_for(settings.metric) if encoder else settings.metric
        metric = USUAL_METRIC if metric == "auto" else metric
        architecture = encoder.network.architecture if encoder else architecture or Architecture()
        refuse_alike(study.communities.counts)
        refuse_longer_sequences(study.communities, architecture.max_length)
        unifrac = study.unifrac(metric, threads, subcommunities=True)
        weighted = settings.objective.weighted_unifrac_weight > 0
        members = study.members if isinstance(study, JoinedStudies) else None
        train_rows, validation_rows = two_parts(
            len(study), settings.sampling.validation_share, classes=members, random_seed=seed, name="validation part"
        )
        if len(train_rows) < 2 and settings.objective.unifrac_weight:
            raise ValueError(
                f"There is {len(train_rows)} sample to learn distances from; two or more are needed. Give more "
                "samples, or a smaller validation_share."
            )
        settings = settings_for(settings, len(train_rows))
        network = starting_network(architecture, encoder, seed)
        sampling = settings.sampling
        dataset = CommunityDataset(
            study.communities,
            sampling.token_limit,
            sampling.token_choice,
            unifrac,
            subcommunities=sampling.subcommunities,
            members=members,
            weighted_unifrac=study.unifrac(WEIGHTED_METRIC, threads, subcommunities=True) if weighted else None,
        )
        if encoder is None:
            start(network, dataset, train_rows, settings)
        origin = f"{metric} {study.phylogeny_digest()} {encoder.digest() if encoder else None}"
        module = TrainingModule(network, settings, study.communities.sample_ids)
        result = train(module, dataset, train_rows, validation_rows, directory, origin=origin)
        network.load_state_dict(result.state["model"])
        description = ModelDescription(
            kind="encoder",
            architecture=architecture.to_dict(),
            tokenizer=tokenizer_of(architecture),
            token_limit=sampling.token_limit,
            settings={**settings.to_dict(), "metric": metric},
            random_seed=seed,
            data=data_summary(study, train_rows, validation_rows),
            scores=best_scores(result),
            versions=package_versions(),
            encoder=encoder.summary() if encoder else None,
        )
        seen_asvs = asvs_of(study, train_rows)
        if encoder is not None:
            seen_asvs = np.union1d(seen_asvs, encoder.seen_asvs)
        state = {name: result.state[name] for name in TRAINING_STATE}
        return Pretraining(Encoder(network.eval(), description, seen_asvs, state), result)


def starting_network(
    architecture: Architecture,
    encoder: Encoder | None,
    random_seed: int,
    outputs: int | None = None,
    covariates: int = 0,
) -> AAM:
    """A network with an encoder's weights, or random ones from the seed; a target head is always random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed)
        network = AAM(architecture, outputs, covariates)
    if encoder is not None:
        network.load_state_dict({**network.state_dict(), **encoder.network.state_dict()})
    return network


def start(network: AAM, dataset: CommunityDataset, train_rows: np.ndarray, settings: Training) -> None:
    """Give a random network distances of the right size, from the first batches of the training samples."""
    batch_size, seed = settings.optimization.batch_size, settings.runtime.random_seed
    start_from_data(network, batch_loader(dataset.as_predicted(), train_rows, batch_size, seed, shuffle=True))


def settings_for(settings: Training, samples: int) -> Training:
    """The same settings with a number of epochs in place of ``auto``."""
    processes = settings.runtime.devices * settings.runtime.num_nodes
    return replace(settings, optimization=settings.optimization.of(samples, processes))


def best_scores(result: TrainingResult) -> dict[str, float]:
    """What was measured in the best epoch, by the names of ``history.tsv``."""
    history = pd.read_csv(result.directory / "history.tsv", sep="\t", index_col="epoch")
    row = history.loc[result.best_epoch].drop(["learning_rate", "seconds"]).astype(float)
    return {name: float(value) for name, value in row.items() if np.isfinite(value)}
