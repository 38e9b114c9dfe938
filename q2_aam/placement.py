"""Where an encoder, or the one in a predictor, places the samples and ASVs of a study."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from q2_aam.encoder.device import use_threads
from q2_aam.encoder.embedding import Embedding
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import DESCRIPTION
from q2_aam.encoder.foreign import judged_alone
from q2_aam.predictor import Predictor
from q2_aam.settings import Embedding as Settings
from q2_aam.study.study import Study


@dataclass(frozen=True)
class Placement:
    """A study's samples as an encoder places them.

    Attributes
    ----------
    encoder : Encoder
    study : Study
        As it was read: mended, where that was asked for.
    embedding : Embedding
        ``N`` samples.
    nearest : dict
        Of a predictor: how far each sample lies from its nearest training samples, and the percentile of that among
        these (:meth:`q2_aam.heads.neighbours.Neighbours.columns`); empty otherwise.
    cautions : tuple of str
        What is to be said of the sequences.
    """

    encoder: Encoder
    study: Study
    embedding: Embedding
    nearest: dict[str, np.ndarray]
    cautions: tuple[str, ...]

    def sample_vectors(self) -> pd.DataFrame:
        """Sample embeddings, a sample a row; behind them ``nearest``."""
        vectors = self.embedding.samples.astype(np.float64)
        half = vectors.shape[1] // 2
        names = [f"{part}_{n + 1}" for part in ("presence", "share") for n in range(half)]
        return pd.DataFrame(vectors, self.study.communities.sample_ids, names).assign(**self.nearest)

    def asv_vectors(self, settings: Settings) -> pd.DataFrame:
        """Embeddings of the ASVs, a feature of the table a row."""
        vectors = self.encoder.embed_asvs(self.study, settings).astype(np.float64)
        asvs = self.study.asv_of_feature
        names = [f"dimension_{n + 1}" for n in range(vectors.shape[1])]
        return pd.DataFrame(vectors[asvs.to_numpy()], asvs.index, names)


@dataclass(frozen=True)
class Placer:
    """What places samples: an encoder, alone or in a predictor.

    Attributes
    ----------
    encoder : Encoder
    predictor : Predictor, optional

    Examples
    --------
    >>> from q2_aam.simulation.study import simulate_study
    >>> placement = Placer(Encoder.ready()).place(simulate_study(n_samples=12), Settings(foreign="ignore"))
    >>> placement.sample_vectors().shape
    (12, 1024)
    >>> placement.embedding.distances().shape
    (12, 12)
    """

    encoder: Encoder
    predictor: Predictor | None = None

    @property
    def token_limit(self) -> int:
        """Most ASVs read of a sample."""
        return (self.predictor or self.encoder).description.token_limit

    def place(self, study: Study, settings: Settings | None = None) -> Placement:
        """Place the samples of a study.

        Parameters
        ----------
        study : Study
            Read with the encoder's ``max_length``.
        settings : q2_aam.settings.Embedding, optional

        Raises
        ------
        ValueError
            If samples hold sequences that the encoder cannot judge or, of a predictor, others than it has learnt from.
        """
        settings = settings or Settings(token_limit=self.token_limit)
        encoder, predictor, nearest = self.encoder, self.predictor, {}
        with use_threads(settings):
            if predictor is None:
                # So that it follows where sequences are mended.
                communities = replace(study.communities, asv_of_feature=study.asv_of_feature)
                communities, cautions = judged_alone(encoder, communities, settings.foreign)
                study = replace(study, communities=communities, asv_of_feature=communities.asv_of_feature)
            else:
                study, _, cautions = predictor.read(study, settings)
            embedding = encoder.embed(study, settings)
            if predictor is not None and predictor.neighbours is not None:
                nearest = predictor.neighbours.columns(embedding.presence, predictor.head.landmarks)
        return Placement(encoder, study, embedding, nearest, cautions)


def load(directory: str | Path | None = None) -> Placer:
    """What places samples in the directory of any model; without one, the ready encoder.

    Raises
    ------
    ValueError
        If its files do not fit each other, or were changed.
    """
    if directory is None:
        return Placer(Encoder.ready())
    kind = json.loads((Path(str(directory)) / DESCRIPTION).read_text())["kind"]
    if kind == "encoder":
        return Placer(Encoder.load(str(directory)))
    predictor = Predictor.load(str(directory))
    return Placer(predictor.encoder, predictor)
