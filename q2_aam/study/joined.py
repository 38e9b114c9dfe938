"""Several studies to learn from at once, each with a phylogeny of its own."""

import hashlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from q2_aam.settings import USUAL_METRIC
from q2_aam.study.communities import Communities, distinct_rows
from q2_aam.study.study import Study
from q2_aam.study.unifrac import UniFracDistances


@dataclass(frozen=True)
class JoinedStudies:
    """Studies whose samples are learnt from together, while distances are those within a study. See :func:`join`.

    Attributes
    ----------
    studies : tuple of Study
        ``K`` studies, each with a phylogeny.
    communities : Communities
        Samples of all, study after study, and the distinct ASVs of all.
    members : np.ndarray
        int64 ``[N]``, number of each sample's study.
    asvs : tuple of np.ndarray
        int64 ``[V of the study]`` each, numbers of the studies' ASVs among all.
    names : tuple of str
        ``[K]``.
    """

    studies: tuple[Study, ...]
    communities: Communities
    members: np.ndarray
    asvs: tuple[np.ndarray, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.members)

    @property
    def values(self) -> str:
        """What the tables hold, see :class:`Study`."""
        return ", ".join(sorted({study.values for study in self.studies}))

    @property
    def record(self) -> dict:
        """What was read of each study, and what was left out of it."""
        parts = zip(self.names, self.studies, strict=True)
        return {"studies": [{"name": name, "samples": len(study), **study.record} for name, study in parts]}

    def depths(self) -> np.ndarray:
        """Reads of each sample, float64 ``[N]``."""
        return np.concatenate([study.depths() for study in self.studies])

    def phylogeny_digest(self) -> str:
        """What all phylogenies are known again by."""
        digests = " ".join(study.phylogeny_digest() for study in self.studies)
        return hashlib.blake2b(digests.encode(), digest_size=16).hexdigest()

    def unifrac(self, metric: str = USUAL_METRIC, threads: int = 1, subcommunities: bool = False) -> "JoinedDistances":
        """As :meth:`Study.unifrac`, of samples of one study at a time."""
        distances = [study.unifrac(metric, threads, subcommunities) for study in self.studies]
        return JoinedDistances(distances, self.members, self.asvs, len(self.communities.tokens))


class JoinedDistances:
    """UniFrac distances among samples of any one of several studies, by its own phylogeny.

    Parameters
    ----------
    distances : list of UniFracDistances
        Of each study.
    members : np.ndarray
        int ``[N]``, study of each sample; a study's samples are in its own order.
    asvs : tuple of np.ndarray
        Numbers of the studies' ASVs among all.
    n_asvs : int
        ``V``, ASVs of all.
    """

    def __init__(
        self, distances: list[UniFracDistances], members: np.ndarray, asvs: tuple[np.ndarray, ...], n_asvs: int
    ):
        self.distances = distances
        self.members = members
        self.first = np.searchsorted(members, np.arange(len(distances)))
        # A study does not hold all ASVs: what it has not is behind its own, and belongs to no feature.
        self.own = [np.full(n_asvs, len(some)) for some in asvs]
        for own, some in zip(self.own, asvs, strict=True):
            own[some] = np.arange(len(some))

    @property
    def threads(self) -> int:
        """Processor cores for a whole matrix."""
        return self.distances[0].threads

    @threads.setter
    def threads(self, number: int) -> None:
        for distances in self.distances:
            distances.threads = number

    def __call__(self, rows: np.ndarray, asvs: sp.csr_matrix | None = None) -> np.ndarray:
        """As :meth:`UniFracDistances.__call__`.

        Raises
        ------
        ValueError
            If samples are of several studies.
        """
        rows = np.asarray(rows, dtype=np.int64)
        studies = np.unique(self.members[rows])
        if len(studies) > 1:
            raise ValueError("Samples of different studies have no UniFrac distance: each study has its own phylogeny.")
        study = int(studies[0])
        if asvs is not None:
            own = self.own[study]
            asvs = sp.csr_matrix((asvs.data, own[asvs.indices], asvs.indptr), shape=(len(rows), int(own.max()) + 1))
        return self.distances[study](rows - self.first[study], asvs)


def join(studies: dict[str, Study]) -> JoinedStudies:
    """Put studies together for :meth:`q2_aam.encoder.encoder.Encoder.pretrain`.

    Parameters
    ----------
    studies : dict of str to Study
        Each read with a phylogeny, by a name that goes before its samples' IDs.

    Returns
    -------
    JoinedStudies

    Raises
    ------
    ValueError
        If there is no study, or one has no phylogeny.

    Examples
    --------
    >>> from q2_aam.simulation.study import simulate_study
    >>> both = join({name: simulate_study(n_samples=10, with_phylogeny=True) for name in ("gut", "soil")})
    >>> len(both), both.members[[0, 9, 10, 19]].tolist()
    (20, [0, 0, 1, 1])
    >>> both.unifrac()([10, 11]).shape
    (2, 2)
    """
    if not studies:
        raise ValueError("There are no studies to join.")
    without = [name for name, study in studies.items() if study.phylogeny is None]
    if without:
        raise ValueError(f"These studies have no phylogeny to learn from: {', '.join(without)}. Read them with one.")
    parts = [study.communities for study in studies.values()]
    width = max(part.tokens.shape[1] for part in parts)
    tokens = np.concatenate([np.pad(part.tokens, ((0, 0), (0, width - part.tokens.shape[1]))) for part in parts])
    first, place = distinct_rows(tokens)
    asvs = tuple(np.split(place, np.cumsum([len(part.tokens) for part in parts])[:-1]))
    counts = [
        sp.csr_matrix((part.counts.data, numbers[part.counts.indices], part.counts.indptr), (len(part), len(first)))
        for part, numbers in zip(parts, asvs, strict=True)
    ]
    ids = [[f"{name}.{sample}" for sample in study.communities.sample_ids] for name, study in studies.items()]
    together = sp.vstack(counts, "csr")
    together.sort_indices()
    communities = Communities(
        counts=together,
        sample_ids=np.concatenate(ids).astype(object),
        tokens=tokens[first],
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("reads_cut", "reads_dropped", "reads_ambiguous", "left_out")
        },
        n_features=sum(part.n_features for part in parts),
        n_cut=sum(part.n_cut for part in parts),
    )
    members = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return JoinedStudies(tuple(studies.values()), communities, members, asvs, tuple(studies))
