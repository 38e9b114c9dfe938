"""Fine-tuning: the encoder itself is tuned to a target, from the linear head on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.device import resolve_device, resolve_precision, use_threads
from q2_aam.encoder.encoder import TRAINING_STATE, Encoder
from q2_aam.encoder.files import network_of
from q2_aam.encoder.foreign import cautions_to_learn
from q2_aam.encoder.pretraining import best_scores, settings_for, starting_network
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.trainer import TrainingResult, train
from q2_aam.heads.linear import LinearHead, fit_linear
from q2_aam.predictor import Predictor, encode_target, features_of
from q2_aam.settings import Embedding as EmbeddingSettings
from q2_aam.settings import FineTuning, measured_names
from q2_aam.study.covariates import Covariates, covariates_of, learnt_covariates
from q2_aam.study.study import Study
from q2_aam.study.summary import asvs_of, data_summary
from q2_aam.study.tables import name_ids
from q2_aam.study.two_parts import two_parts


class FineTuned(NamedTuple):
    """A predictor with a tuned encoder, and how its training went."""

    predictor: Predictor
    result: TrainingResult


def fine_tune(encoder: Encoder, study: Study, settings: FineTuning | None = None, *, directory: Path) -> FineTuned:
    """Tune an encoder to a target.

    The linear head is fitted first, as :meth:`Predictor.fit` would; then all weights are tuned at a low rate. Whichever
    epoch predicts the validation samples best is kept, that of the linear head included.

    Parameters
    ----------
    encoder : Encoder
        Is left as it is.
    study : Study
        Read with a target and, to keep the UniFrac loss beside the target's, with a phylogeny.
    settings : FineTuning, optional
    directory : Path
        Event files, history and last state of the run, from which it goes on.

    Raises
    ------
    ValueError
        If samples, classes or groups are too few, settings exclude each other, or the directory holds another run.
    """
    settings = settings or FineTuning()
    runtime, seed = settings.runtime, settings.runtime.random_seed
    learns_unifrac = study.phylogeny is not None and settings.objective.unifrac_weight > 0
    check_monitor(settings, learns_unifrac, study.kind)
    with use_threads(runtime) as threads:
        resolve_precision(runtime.precision, resolve_device(runtime.device))
        foreign = cautions_to_learn(encoder, study.communities, settings.foreign)
        train_rows, validation_rows = split(study, settings)
        target, encoded = encode_target(study, settings.target_transform, train_rows)
        settings = settings_for(settings, len(train_rows))
        covariates = learnt_covariates(study.subset(train_rows))
        numbers = covariates_of(study, covariates)
        outputs = max(1, len(target.classes))
        network = starting_network(
            encoder.network.architecture, encoder, seed, outputs, 0 if covariates is None else covariates.width
        )
        linear = linear_head(encoder, study.subset(train_rows), encoded[train_rows], covariates, settings)
        network.target_head.start_from(linear.mean, linear.scale, linear.weight, linear.bias)
        metric = encoder.metric_for(settings.metric) if learns_unifrac else None
        unifrac = study.unifrac(metric, threads) if learns_unifrac else None
        sampling = settings.sampling
        dataset = CommunityDataset(
            study.communities, sampling.token_limit, sampling.token_choice, unifrac, encoded, covariates=numbers
        )
        origin = f"{metric} {study.phylogeny.digest() if learns_unifrac else None} {encoder.digest()}"
        module = TrainingModule(network, settings, study.communities.sample_ids, target)
        result = train(module, dataset, train_rows, validation_rows, directory, origin=origin, validate_first=True)
        network.load_state_dict(result.state["model"])
        tuned, head = tuned_encoder(encoder, network, result), LinearHead(*network.target_head.to_arrays())
        known = study.communities.counts[validation_rows]
        features = features_of(
            tuned, study.subset(validation_rows), covariates, known, embedding_settings(settings)
        )
        predictor = Predictor.from_out_of_fold(
            tuned, head, target, study, validation_rows, encoded[validation_rows], head.outputs(features),
            stage="validation", decision=settings.decision, covariates=covariates, scores=best_scores(result),
            seen_asvs=asvs_of(study, train_rows),
            settings={**settings.to_dict(), "metric": metric}, random_seed=seed, token_limit=sampling.token_limit,
            data=data_summary(study, train_rows, validation_rows), cautions=foreign,
        )  # fmt: skip
        return FineTuned(predictor, result)


def check_monitor(settings: FineTuning, unifrac: bool, kind: str | None) -> None:
    """Refuse, before anything is trained, a metric that this run does not measure."""
    measured, monitor = measured_names(settings.objective, unifrac, kind), settings.optimization.monitor
    if monitor not in measured:
        raise ValueError(f"monitor is {monitor!r}, which is not measured here; choose one of {', '.join(measured)}.")


def split(study: Study, settings: FineTuning) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to pick the best epoch by: whole groups, classes in like shares."""
    classes = None if study.kind == "numeric" else study.target
    train_rows, validation_rows = two_parts(
        len(study),
        settings.sampling.validation_share,
        groups=study.groups,
        classes=classes,
        random_seed=settings.runtime.random_seed,
        name="validation part",
    )
    if classes is not None and study.groups is not None:
        lost = sorted(set(classes.iloc[validation_rows].astype(str)) - set(classes.iloc[train_rows].astype(str)))
        if lost:
            raise ValueError(
                f"No sample is left to learn these classes of column {classes.name!r} from: {name_ids(lost)}. Their "
                f"groups (column {study.groups.name!r}) were all kept apart for validation. Give a column of smaller "
                "groups, another random_seed, or leave the samples of these classes out."
            )
    return train_rows, validation_rows


def embedding_settings(settings: FineTuning) -> EmbeddingSettings:
    """How samples are read by the encoder before and after it is tuned."""
    runtime = settings.runtime
    return EmbeddingSettings(
        token_limit=settings.sampling.token_limit,
        batch_size=settings.optimization.batch_size,
        device=runtime.device,
        threads=runtime.threads,
    )


def linear_head(
    encoder: Encoder, study: Study, encoded: np.ndarray, covariates: Covariates | None, settings: FineTuning
) -> LinearHead:
    """The linear head on the encoder as it is, which tuning starts from."""
    seed = settings.runtime.random_seed
    groups = None if study.groups is None else study.groups.to_numpy()
    features = features_of(encoder, study, covariates, study.communities.counts, embedding_settings(settings))
    return fit_linear(features.embedding, encoded, groups, seed, features.covariates)


def tuned_encoder(encoder: Encoder, network: AAM, result: TrainingResult) -> Encoder:
    """The encoder with the tuned weights; what was known about it stays."""
    names = encoder.network.state_dict().keys()
    weights = {name: value for name, value in network.state_dict().items() if name in names}
    bare = network_of({"model": weights}, network.architecture)
    state = {name: result.state[name] for name in TRAINING_STATE}
    return Encoder(bare, encoder.description, encoder.seen_asvs, state)
