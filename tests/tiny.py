"""A survey, a network and settings small enough to train in a moment."""

from dataclasses import replace

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.embedding import Embedding, embed_tables
from q2_aam.encoder.sampler import BatchKey
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.trainer import train
from q2_aam.settings import Architecture, Objective, Optimization, PretrainingSampling, Runtime, Training
from q2_aam.settings import Embedding as EmbeddingSettings
from q2_aam.study.communities import Communities, read_communities
from q2_aam.study.targets import Target

SAMPLES = 20
TRAIN_ROWS, VALIDATION_ROWS = np.arange(0, 15), np.arange(15, 20)
NO_ROWS = np.arange(0)
LOSSES = ("unifrac_loss", "nucleotide_loss", "count_loss", "total_loss")


def survey(samples: int = SAMPLES, seed: int = 0) -> Communities:
    """Samples along a gradient; 36 ASVs of 20 to 30 nt, kin of three ancestors, each at home in a stretch of it."""
    rng = np.random.default_rng(seed)
    ancestors = rng.integers(0, 4, (3, 30))
    sequences, homes = [], []
    for number in range(36):
        letters = ancestors[number % 3].copy()
        mutated = rng.random(30) < 0.2
        letters[mutated] = rng.integers(0, 4, mutated.sum())
        sequences.append("".join("ACGT"[i] for i in letters)[: rng.integers(20, 31)])
        homes.append((number % 3 + rng.random()) / 3)
    nearness = np.exp(-(((np.array(homes)[:, None] - gradient(samples)) / 0.25) ** 2))
    counts = rng.poisson(8 * nearness) * (rng.random(nearness.shape) < 0.8)
    counts[0] += 1
    table = biom.Table(counts, sequences, [f"s{i}" for i in range(samples)])
    return read_communities(table, None, max_length=30)


def gradient(samples: int = SAMPLES) -> np.ndarray:
    """Place of each sample on the gradient, 0 to 1, in mixed order."""
    return np.random.default_rng(1).permutation(samples) / max(1, samples - 1)


class Distances:
    """Stands in for UniFrac: Jaccard distances among the samples, by a batch's rows.

    Those of one sample can be made not a number, as those of a broken tree might be.
    """

    def __init__(self, communities: Communities, broken: int | None = None):
        self.matrix = jaccard(communities.counts)
        if broken is not None:
            self.matrix[broken] = self.matrix[:, broken] = np.nan

    def __call__(self, rows: np.ndarray, asvs: sp.csr_matrix | None = None) -> np.ndarray:
        return self.matrix[np.ix_(rows, rows)] if asvs is None else jaccard(asvs)


def jaccard(counts: sp.csr_matrix) -> np.ndarray:
    """Distances among rows, float32."""
    present = (counts > 0).astype(float)
    shared = (present @ present.T).toarray()
    richness = shared.diagonal()
    return (1 - shared / (richness[:, None] + richness - shared)).astype(np.float32)


def architecture(**changes) -> Architecture:
    sizes = {
        "dim": 16,
        "heads": 2,
        "nucleotides_per_token": 3,
        "nucleotide_layers": 1,
        "sample_layers": 1,
        "lineages": 8,
        "feed_forward": 2,
        "max_length": 30,
    }
    return Architecture(**{**sizes, **changes})


def network(outputs: int | None = None, seed: int = 0, covariates: int = 0, **changes) -> AAM:
    torch.manual_seed(seed)
    return AAM(architecture(**changes), outputs, covariates)


def embed(network: AAM, communities: Communities, **changes) -> Embedding:
    """Where a network places samples, by settings of reading them."""
    return embed_tables(network, [communities], EmbeddingSettings(**{"device": "cpu", **changes}))[0]


def outputs_of(network: AAM, embedding: Embedding) -> np.ndarray:
    """What a network's own head says of embeddings, float32 ``[N, O]``."""
    with torch.no_grad():
        return network.target_head(torch.from_numpy(embedding.samples)).numpy()


KINDS = (Optimization, Objective, PretrainingSampling, Runtime)


def settings(**changes) -> Training:
    """Training by field name, wherever the field is."""
    defaults = {"epochs": 3, "batch_size": 4, "precision": "32", "device": "cpu"}
    defaults |= {"subcommunities": 0, "gradient_share": 1.0}
    changes = {**defaults, **changes}
    parts = []
    for kind in KINDS:
        names = [name for name in changes if name in kind.__dataclass_fields__]
        parts.append(kind(**{name: changes.pop(name) for name in names}))
    assert not changes, f"no such setting: {changes}"
    return Training(*parts)


def target(kind: str, classes: int = 2, samples: int = SAMPLES) -> tuple[Target, np.ndarray]:
    """The gradient as a target, as numbers or cut into classes, and it encoded."""
    if kind == "numeric":
        values = pd.Series(4 + 5 * gradient(samples), name="ph")
        fitted = Target.fit_numeric(values)
    else:
        values = pd.Series([f"zone {int(place * classes * 0.999)}" for place in gradient(samples)], name="zone")
        fitted = Target.fit_categorical(values)
    return fitted, fitted.encode(values)


class Run:
    """One training run, ready to be started (again) in a directory."""

    def __init__(
        self,
        directory,
        *,
        kind=None,
        classes=2,
        train_rows=TRAIN_ROWS,
        validation_rows=VALIDATION_ROWS,
        communities=None,
        unifrac="jaccard",
        sizes=None,
        module=TrainingModule,
        **changes,
    ):
        self.directory = directory
        self.communities = survey() if communities is None else communities
        self.target, encoded = (None, None) if kind is None else target(kind, classes, len(self.communities))
        if kind is not None:
            changes = {"target_weight": 1.0, **changes}
        self.settings = settings(**changes)
        outputs = None if kind is None else max(1, len(self.target.classes))
        self.network = network(outputs, **(sizes or {}))
        self.unifrac = Distances(self.communities) if unifrac == "jaccard" else unifrac
        sampling = self.settings.sampling
        self.dataset = CommunityDataset(
            self.communities,
            sampling.token_limit,
            sampling.token_choice,
            self.unifrac,
            encoded,
            subcommunities=sampling.subcommunities,
        )
        self.rows = train_rows, validation_rows
        self.module = module(self.network, self.settings, self.communities.sample_ids, self.target)

    def __call__(self, **options):
        self.result = train(self.module, self.dataset, *self.rows, self.directory, **options)
        return self.result

    def history(self) -> pd.DataFrame:
        return pd.read_csv(self.directory / "history.tsv", sep="\t", index_col="epoch")


def states(optimizer) -> list[dict]:
    """What the optimizer keeps of each parameter."""
    return [state for part in getattr(optimizer, "parts", (optimizer,)) for state in part.state.values()]


def key(rows, seed: int = 0) -> BatchKey:
    return BatchKey(np.asarray(rows), seed)


def changed(communities: Communities, **changes) -> Communities:
    """The survey with other counts or tokens, which it is frozen against."""
    return replace(communities, **changes)
