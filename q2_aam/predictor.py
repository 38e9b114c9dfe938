"""A predictor: an encoder, a head and a target, fitted to a study."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from q2_aam.encoder.device import use_threads
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import MISFIT, as_arrays, as_tensors, package_versions, read_model, tokenizer_of, write_model
from q2_aam.encoder.foreign import cautions_to_learn, judged
from q2_aam.heads import check_head, finite_outputs, head_class
from q2_aam.heads.features import Features, known_to_others
from q2_aam.heads.folds import inner_folds
from q2_aam.heads.neighbours import Neighbours
from q2_aam.heads.protocol import Head
from q2_aam.predictions import (
    Calibration,
    Predictions,
    depth_caution,
    novelty_caution,
    novelty_of,
    prediction_scores,
    refuse_other_values,
    unpredicted_caution,
)
from q2_aam.schema import ModelDescription
from q2_aam.settings import Embedding as EmbeddingSettings
from q2_aam.settings import Fitting
from q2_aam.study.beginnings import Beginning
from q2_aam.study.cautions import distance_caution
from q2_aam.study.covariates import Covariates, covariates_of, learnt_covariates
from q2_aam.study.near_copies import copies_in
from q2_aam.study.study import Study
from q2_aam.study.summary import asvs_of, data_summary
from q2_aam.study.tables import keep_columns
from q2_aam.study.targets import Target, encode_target
from q2_aam.study.trims import Lengths


@dataclass
class Predictor:
    """What predicts a metadata column of new samples.

    Attributes
    ----------
    encoder : Encoder
    head : Head
    target : Target
    calibration : Calibration
    description : ModelDescription
        What ``model.json`` says.
    covariates : Covariates or None
        Metadata columns that are read beside the community.
    seen_asvs : np.ndarray
        int64 ``[V]``, sorted, hashes of the ASVs of all samples that were learnt from; not of those that the encoder
        was pretrained on.
    neighbours : Neighbours or None
        How far training samples lie from each other; None where the head holds none to compare with.
    beginning : Beginning or None
        How the sequences begin that were learnt from; None in a predictor of an earlier q2-aam.
    out_of_fold : Predictions or None
        Of the samples learnt from, each by models that had not learnt from it; None in a predictor that was loaded.

    Examples
    --------
    >>> from q2_aam.simulation.study import simulate_study
    >>> from q2_aam.settings import Architecture, Optimization, Training
    >>> study = simulate_study(n_samples=24, target="ph", with_phylogeny=True)
    >>> small = Architecture(dim=16, heads=2, lineages=16)
    >>> encoder = Encoder.pretrain(study, Training(Optimization(epochs=1)), architecture=small)
    epoch 1/1  total_loss ...
    >>> predictor = Predictor.fit(encoder, study)
    >>> predictor.predict(study).values.name
    'prediction'
    """

    encoder: Encoder
    head: Head
    target: Target
    calibration: Calibration
    description: ModelDescription
    covariates: Covariates | None = None
    seen_asvs: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    out_of_fold: Predictions | None = None
    neighbours: Neighbours | None = None
    beginning: Beginning | None = None

    @classmethod
    def fit(cls, encoder: Encoder, study: Study, settings: Fitting | None = None) -> "Predictor":
        """Fit a head to the embeddings of an encoder that stays as it is.

        Parameters
        ----------
        encoder : Encoder
        study : Study
            Read with a target.
        settings : Fitting, optional

        Raises
        ------
        ValueError
            If the study has no target, samples, classes or groups are too few, or samples hold sequences that the
            encoder cannot judge.
        """
        settings = settings or Fitting()
        target, encoded = encode_target(study, settings.target_transform)
        covariates = learnt_covariates(study)
        groups = None if study.groups is None else study.groups.to_numpy()
        folds = inner_folds(encoded, groups, settings.random_seed)
        with use_threads(settings) as threads:
            foreign = cautions_to_learn(encoder, study.communities, settings.foreign)
            known = known_to_others(study.communities, folds)
            features = features_of(encoder, study, covariates, known, settings)
            head, outputs = head_class(settings.head).fit(
                features, encoded, folds, random_seed=settings.random_seed, threads=threads
            )
        predicted = np.isfinite(outputs[:, 0])
        unpredicted = unpredicted_caution(study, np.flatnonzero(~predicted))
        seen_asvs = asvs_of(study, np.arange(len(study)))
        neighbours = Neighbours.of(head.landmarks, folds.groups[folds.landmarks])
        return cls.from_out_of_fold(
            encoder, head, target, study, np.flatnonzero(predicted), encoded[predicted], outputs[predicted],
            stage="out-of-fold", settings=asdict(settings), covariates=covariates, seen_asvs=seen_asvs,
            random_seed=settings.random_seed, token_limit=settings.token_limit, decision=settings.decision,
            data=data_summary(study, np.arange(len(study)), np.arange(0)),
            cautions=(*foreign, unpredicted), neighbours=neighbours,
        )  # fmt: skip

    @classmethod
    def from_out_of_fold(
        cls,
        encoder: Encoder,
        head: Head,
        target: Target,
        study: Study,
        rows: np.ndarray,
        encoded: np.ndarray,
        outputs: np.ndarray,
        *,
        stage: str,
        decision: str,
        covariates: Covariates | None,
        seen_asvs: np.ndarray,
        data: dict,
        scores: dict | None = None,
        cautions: tuple[str | None, ...] = (),
        neighbours: Neighbours | None = None,
        **facts,
    ) -> "Predictor":
        """A predictor with what outputs ``[M, O]`` for samples ``rows [M]`` that were not learnt from say of it."""
        groups = None if study.groups is None else study.groups.to_numpy()[rows]
        calibration = Calibration.fit(target, encoded, outputs, decision, groups)
        copies, copied = copies_in(study)
        cautions = (copied, calibration.caution(), *(covariates.cautions() if covariates else ()), *cautions)
        sample_ids = study.communities.sample_ids[rows]
        predictions = Predictions.of(target, calibration, sample_ids, outputs, cautions=tuple(filter(None, cautions)))
        measured = prediction_scores(target, study.target.iloc[rows], predictions.values)
        architecture = encoder.network.architecture
        description = ModelDescription(
            kind="regressor" if target.kind == "numeric" else "classifier",
            architecture=architecture.to_dict(),
            tokenizer=tokenizer_of(architecture),
            scores={**(scores or {}), **{f"{stage}/{name}": value for name, value in measured.items()}},
            versions=package_versions(),
            target=target.to_dict(),
            covariates=None if covariates is None else covariates.to_dict(),
            head=head.name,
            intervals=calibration.intervals,
            temperature=calibration.temperature,
            decision=calibration.decision,
            encoder=encoder.summary(),
            data=data | copies,
            **facts,
        )
        parts = covariates, seen_asvs, predictions, neighbours, Beginning.of(study.communities)
        return cls(encoder, head, target, calibration, description, *parts)

    def predict(self, study: Study, settings: EmbeddingSettings | None = None) -> Predictions:
        """Predict the samples of a study.

        Parameters
        ----------
        study : Study
            Read with this encoder's :attr:`Encoder.max_length` and, where the predictor has them, the covariates.
        settings : q2_aam.settings.Embedding, optional

        Returns
        -------
        Predictions

        Raises
        ------
        ValueError
            If covariates are missing, the table holds presences where abundances were learnt from, or samples hold
            sequences that the encoder cannot judge.
        """
        settings = settings or EmbeddingSettings(token_limit=self.description.token_limit)
        with use_threads(settings):
            study, known, foreign = self.read(study, settings)
            features = features_of(self.encoder, study, self.covariates, known, settings)
            outputs = finite_outputs(self.head, features)
        communities = study.communities
        novelty = novelty_of(communities, ~np.isin(communities.hashes, self.seen_asvs))
        if self.neighbours is not None:
            novelty = novelty.assign(**self.neighbours.novelty(features, self.head.landmarks))
        cautions = [*foreign, novelty_caution(novelty), distance_caution(novelty)]
        cautions.append(depth_caution(study, self.description.data))
        if self.covariates is not None:
            cautions += self.covariates.extrapolations(study.covariates)
        return Predictions.of(
            self.target,
            self.calibration,
            communities.sample_ids,
            outputs,
            novelty=novelty,
            cautions=tuple(caution for caution in cautions if caution),
        )

    def read(self, study: Study, settings: EmbeddingSettings) -> tuple[Study, sp.csr_matrix, tuple[str, ...]]:
        """A study as it is predicted, its counts ``[N, V]`` of known ASVs alone, and what to say of its sequences.

        Raises
        ------
        ValueError
            As :meth:`predict` does.
        """
        refuse_other_values(study, self.description.data)
        lengths = Lengths.from_dict(self.description.data.get("lengths"))
        # So that it follows where sequences are mended.
        communities = replace(study.communities, asv_of_feature=study.asv_of_feature)
        communities, foreign = judged(self.encoder, communities, self.beginning, lengths, settings.foreign)
        known = communities.counts
        if self.head.known_asvs is not None:
            known = keep_columns(known, np.isin(communities.hashes, self.head.known_asvs))
        study = replace(study, communities=communities, asv_of_feature=communities.asv_of_feature)
        return study, known, foreign

    def save(self, directory: str | Path) -> None:
        """Write ``best_model.pt`` and ``model.json`` into a directory, which is made where it is not there."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        content = self.encoder.to_content()
        asvs = {"seen_asvs": self.seen_asvs, "encoder_asvs": self.encoder.seen_asvs}
        content |= as_tensors({name: np.unique(hashes).astype(np.int64) for name, hashes in asvs.items()})
        for name in ("neighbours", "beginning"):
            if (part := getattr(self, name)) is not None:
                content |= as_tensors({name: vars(part)})
        write_model(directory, {**content, "head": as_tensors(self.head.to_tensors())}, self.description)

    @classmethod
    def load(cls, directory: str | Path) -> "Predictor":
        """Read a predictor's directory.

        Raises
        ------
        ValueError
            If its files do not fit each other, were changed, are an encoder's, or those of an earlier q2-aam.
        """
        content, description = read_model(directory)
        if description.kind == "encoder":
            raise ValueError("The model is an encoder, which has no target. Give it to `qiime aam fit` first.")
        target = Target.from_dict(description.target)
        covariates = Covariates.from_dict(description.covariates)
        try:
            seen_asvs = content["seen_asvs"].numpy()
            neighbours = Neighbours(**as_arrays(content["neighbours"])) if "neighbours" in content else None
            beginning = Beginning.from_arrays(as_arrays(content["beginning"])) if "beginning" in content else None
            encoder = Encoder.inside(content, description)
            head = head_class(description.head).from_tensors(as_arrays(content["head"]))
            check_head(head, target, covariates, encoder)
            if neighbours is not None and head.landmarks is None:
                raise ValueError(MISFIT)
        except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(MISFIT) from error
        calibration = Calibration(description.intervals, description.temperature, description.decision)
        parts = covariates, seen_asvs, None, neighbours, beginning
        return cls(encoder, head, target, calibration, description, *parts)


def features_of(
    encoder: Encoder,
    study: Study,
    covariates: Covariates | None,
    known: sp.csr_matrix,
    settings: EmbeddingSettings,
) -> Features:
    """What heads read of a study's samples; ``known [N, V]`` are the counts of known ASVs alone."""
    numbers = covariates_of(study, covariates)
    tables = [study.communities]
    if known.nnz < study.communities.counts.nnz:
        tables.append(replace(study.communities, counts=known))
    embedding, *known_embedding = encoder.embed_tables(tables, settings)
    return Features.of(study.communities, embedding, numbers, *known_embedding)
