"""An encoder: a network that places samples such that distances between them are UniFrac distances."""

import hashlib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.device import use_threads
from q2_aam.encoder.embedding import Embedding, embed_asvs, embed_tables
from q2_aam.encoder.files import MISFIT, network_of, read_model, write_model
from q2_aam.schema import ModelDescription
from q2_aam.settings import USUAL_METRIC, WEIGHTED_METRIC, Architecture, Training
from q2_aam.settings import Embedding as EmbeddingSettings
from q2_aam.study.communities import Communities
from q2_aam.study.joined import JoinedStudies
from q2_aam.study.study import Study

# The encoder that comes with q2-aam, as `tools/ready_encoder/make.py` makes it.
READY = Path(__file__).parent / "ready"
# What training leaves beside the weights (8.2).
TRAINING_STATE = ("optimizer", "scheduler", "epoch", "score", "monitor")


@dataclass
class Encoder:
    """A pretrained network and what is known about it.

    Attributes
    ----------
    network : AAM
        In evaluation mode, without a target head.
    description : ModelDescription
        What ``model.json`` says.
    seen_asvs : np.ndarray
        int64 ``[V]``, sorted, hashes of the ASVs of all samples that it was pretrained on.
    state : dict
        Optimizer, scheduler and epoch of the weights; empty where they are not known.

    Examples
    --------
    >>> from q2_aam.simulation.study import simulate_study
    >>> from q2_aam.settings import Architecture, Optimization, Training
    >>> study = simulate_study(n_samples=12, with_phylogeny=True)
    >>> small = Architecture(dim=16, heads=2, lineages=16)
    >>> encoder = Encoder.pretrain(study, Training(Optimization(epochs=1)), architecture=small)
    epoch 1/1  total_loss ...
    >>> encoder.embed(study).samples.shape
    (12, 32)
    """

    network: AAM
    description: ModelDescription
    seen_asvs: np.ndarray
    state: dict

    @classmethod
    def pretrain(
        cls,
        study: Study | JoinedStudies,
        settings: Training | None = None,
        *,
        architecture: Architecture | None = None,
        encoder: "Encoder | None" = None,
        run_dir: str | Path | None = None,
    ) -> "Encoder":
        """Learn, without labels, that distances between sample embeddings are UniFrac distances.

        Parameters
        ----------
        study : Study or JoinedStudies
            Read with a phylogeny; several studies as :func:`q2_aam.study.joined.join` puts them together.
        settings : Training, optional
        architecture : Architecture, optional
            Sizes of the network; those of ``encoder`` where one is given.
        encoder : Encoder, optional
            To go on from, instead of random weights.
        run_dir : str or Path, optional
            Where event files, history and last state stay, from which a run that was killed goes on.

        Raises
        ------
        ValueError
            If there are too few samples, settings exclude each other, or ``run_dir`` holds another run, which may be
            going on, or files of somebody else.
        """
        from q2_aam.encoder.pretraining import pretrain
        from q2_aam.encoder.training.run_directory import run_directory

        settings = settings or Training()
        with run_directory(run_dir, settings.runtime.num_nodes) as directory:
            return pretrain(study, settings, architecture, encoder, directory=directory).encoder

    @classmethod
    def load(cls, directory: str | Path) -> "Encoder":
        """Read an encoder's directory.

        Raises
        ------
        ValueError
            If its files do not fit each other, were changed, or are of a fitted model.
        """
        content, description = read_model(directory)
        if description.kind != "encoder":
            raise ValueError(
                f"The model is a {description.kind} of {description.target['name']!r}, but an encoder is needed. Give "
                "what `qiime aam pretrain` made."
            )
        return cls.from_content(content, description)

    @classmethod
    def ready(cls) -> "Encoder":
        """The encoder that comes with q2-aam, pretrained on many public studies: no phylogeny is needed.

        Examples
        --------
        >>> encoder = Encoder.ready()
        >>> encoder.metric
        'unweighted'
        """
        return cls.load(READY)

    @classmethod
    def inside(cls, content: dict, description: ModelDescription) -> "Encoder":
        """The encoder in a fitted model's files, as :meth:`from_content` gives that in its own."""
        known = {**dict.fromkeys(("settings", "data", "scores", "versions"), {}), **(description.encoder or {})}
        own = replace(
            description, kind="encoder", target=None, covariates=None, head=None, intervals=None, temperature=None,
            decision=None, encoder=None, **known,
        )  # fmt: skip
        return cls.from_content({**content, "seen_asvs": content["encoder_asvs"]}, own)

    @classmethod
    def from_content(cls, content: dict, description: ModelDescription) -> "Encoder":
        """The encoder in its own files.

        Raises
        ------
        ValueError
            If the weights do not fit the description.
        """
        network = network_of(content, Architecture.from_dict(description.architecture))
        seen_asvs = content.get("seen_asvs")
        if not isinstance(seen_asvs, torch.Tensor):
            raise ValueError(MISFIT)
        state = {name: content[name] for name in TRAINING_STATE if name in content}
        return cls(network, description, seen_asvs.numpy(), state)

    def to_content(self) -> dict:
        """Everything but the description, as it stands in ``best_model.pt``."""
        seen_asvs = torch.from_numpy(np.unique(self.seen_asvs).astype(np.int64))
        return {"model": self.network.state_dict(), **self.state, "seen_asvs": seen_asvs}

    def save(self, directory: str | Path) -> None:
        """Write ``best_model.pt`` and ``model.json`` into a directory, which is made where it is not there."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_model(directory, self.to_content(), self.description)

    def embed(self, study: Study, settings: EmbeddingSettings | None = None) -> Embedding:
        """Place the samples of a study.

        Parameters
        ----------
        study : Study
            Read with this encoder's :attr:`max_length`.
        settings : q2_aam.settings.Embedding, optional

        Returns
        -------
        Embedding
        """
        return self.embed_tables([study.communities], settings)[0]

    def embed_tables(
        self, tables: list[Communities], settings: EmbeddingSettings | None = None
    ) -> list[Embedding]:
        """:meth:`embed` for several tables of the same ASVs, which are encoded once."""
        settings = settings or EmbeddingSettings(token_limit=self.description.token_limit)
        refuse_longer_sequences(tables[0], self.max_length)
        with use_threads(settings):
            return embed_tables(self.network, tables, settings)

    def embed_asvs(self, study: Study, settings: EmbeddingSettings | None = None) -> np.ndarray:
        """Embeddings of a study's ASVs, float32 ``[V, D]``, in the order of ``study.communities.tokens``."""
        settings = settings or EmbeddingSettings()
        refuse_longer_sequences(study.communities, self.max_length)
        with use_threads(settings):
            return embed_asvs(self.network, study.communities, settings)

    @property
    def max_length(self) -> int:
        """Nucleotides read of a sequence."""
        return self.network.architecture.max_length

    @property
    def metric(self) -> str | None:
        """Kind of UniFrac that was learnt; None where none was."""
        return self.description.settings.get("metric")

    def metric_for(self, metric: str) -> str:
        """The kind of UniFrac for ``auto``: the one that was learnt, or the usual one.

        Warns
        -----
        UserWarning
            If another one is asked for than was learnt.
        """
        if metric == "auto":
            return self.metric or USUAL_METRIC
        if self.metric not in (None, metric):
            warnings.warn(
                f"The encoder has learnt {self.metric} UniFrac, but metric is {metric!r}: what it has learnt will "
                f"change. Leave metric out to go on with {self.metric}.",
                stacklevel=2,
            )
        return metric

    def learnt_metric(self, metric: str) -> str:
        """The kind of UniFrac that distances are predicted of; for ``auto`` the one that was learnt.

        Raises
        ------
        ValueError
            If it is one that the encoder has not learnt.
        """
        learnt = [self.metric or USUAL_METRIC]
        if (self.description.settings.get("objective") or {}).get("weighted_unifrac_weight"):
            learnt.append(WEIGHTED_METRIC)
        if metric != "auto" and metric not in learnt:
            raise ValueError(
                f"metric is {metric!r}, but the encoder has learnt {' and '.join(learnt)} UniFrac alone. Take "
                f"{' or '.join(learnt)}, or an encoder that has learnt {metric} UniFrac."
            )
        return learnt[0] if metric == "auto" else metric

    def new_asvs(self, communities: Communities) -> np.ndarray:
        """Which ASVs of a table the encoder was not pretrained on, boolean ``[V]``."""
        return ~np.isin(communities.hashes, self.seen_asvs)

    def digest(self) -> str:
        """What the weights are known again by, also of an encoder that is in no file."""
        digest = hashlib.blake2b(digest_size=16)
        for name, weight in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + weight.cpu().numpy().tobytes())
        return digest.hexdigest()

    def summary(self) -> dict:
        """What a model that begins with this encoder says of it."""
        named = ("sha256", "settings", "data", "scores", "random_seed", "versions")
        return {name: getattr(self.description, name) for name in named}


def refuse_longer_sequences(communities: Communities, max_length: int) -> None:
    """Stop when sequences were read that are longer than an encoder reads.

    Raises
    ------
    ValueError
    """
    longest = communities.tokens.shape[1] - 1
    if longest > max_length:
        raise ValueError(
            f"The study has sequences of {longest} nucleotides, but the encoder reads {max_length}. Read the study "
            f"with max_length={max_length}."
        )
