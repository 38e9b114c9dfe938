"""Samples that are all but the same as another one, as technical replicates are: one tells the other."""

import numpy as np
import scipy.sparse as sp

from q2_aam.study.tables import name_ids

# An ASV with so many reads in one sample, and as many to be expected in another, is missed there by no accident.
SURE_READS = 10
# Of such ASVs near copies have so many, share so large a part, and hold them in shares so alike (Bhattacharyya's
# coefficient). Between subjects of nine studies 0 to 2% of samples have such a counterpart; of replicates drawn anew
# with shares that vary by a fifth, 83 to 100% (docs/dev/decisions/0035).
FEWEST_ASVS, SHARED, ALIKE = 10, 0.9, 0.95
# So many others are looked at, the most alike in all shares (Morisita's and Horn's index), that are no less alike.
CANDIDATES, CANDIDATE = 10, 0.8
# Of a table of more samples so many are looked at, each beside all others.
MOST = 2000
ROWS = 256
# So many are no accident, and change a score.
FEW, MANY = 3, 0.05


def near_copies(shares: sp.csr_matrix, others: sp.csr_matrix, same: np.ndarray | None = None) -> np.ndarray:
    """Which samples are nearly the same as one of some others.

    Parameters
    ----------
    shares, others : scipy.sparse.csr_matrix
        float64 ``[M, V]`` and ``[N, V]``, share of each sample's reads in each ASV, none of them 0.
    same : np.ndarray, optional
        int ``[M]`` and ``[N]``, one behind the other: samples of the same number do not count.

    Returns
    -------
    np.ndarray
        bool ``[M]``. Depths are told by the rarest ASV of a sample, as if it were of one read.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from q2_aam.study.near_copies import near_copies
    >>> counts = np.random.default_rng(0).integers(50, 500, (3, 20)).astype(float)
    >>> counts[2] = counts[0] + 5
    >>> counts[:, 0] = 1
    >>> shares = sp.csr_matrix(counts / counts.sum(1, keepdims=True))
    >>> near_copies(shares, shares, np.array([0, 1, 2, 0, 1, 2])).tolist()
    [True, False, True]
    """
    found, depths, simpson = np.zeros(shares.shape[0], dtype=bool), _depths(others), _simpson(others)
    for start in range(0, len(found), ROWS):
        rows = shares[start : start + ROWS]
        alike = 2 * (rows @ others.T).toarray() / (_simpson(rows)[:, None] + simpson[None])
        if same is not None:
            alike[same[: len(found)][start : start + ROWS, None] == same[None, len(found) :]] = 0
        for row in np.flatnonzero(alike.max(1) > CANDIDATE):
            candidates = np.argsort(-alike[row], kind="stable")[:CANDIDATES]
            candidates = candidates[alike[row, candidates] > CANDIDATE]
            found[start + row] = _copied(rows[row], others[candidates], depths[candidates])
    return found


def _copied(sample: sp.csr_matrix, others: sp.csr_matrix, depths: np.ndarray) -> bool:
    """Whether one of some others ``[N, V]`` is a near copy of a sample ``[1, V]``."""
    held, place = np.unique(np.append(sample.indices, others.indices), return_inverse=True)
    # Of thousands of samples, and faster than sparse matrices give some columns.
    shares = np.zeros((1 + others.shape[0], len(held)))
    row = np.repeat(np.arange(len(shares)), np.append(sample.nnz, np.diff(others.indptr)))
    shares[row, place] = np.append(sample.data, others.data)
    mine, theirs = shares[:1], shares[1:]
    sure = np.maximum(mine, theirs) * np.minimum(_depths(sample), depths)[:, None] >= SURE_READS
    mine, theirs = mine * sure, theirs * sure
    number, shared = sure.sum(1), ((mine > 0) & (theirs > 0)).sum(1)
    coefficient = np.sqrt(mine * theirs).sum(1) / np.sqrt(np.maximum(mine.sum(1) * theirs.sum(1), 1e-30))
    return bool(((number >= FEWEST_ASVS) & (shared >= SHARED * number) & (coefficient >= ALIKE)).any())


def _depths(shares: sp.csr_matrix) -> np.ndarray:
    """Reads of each sample ``[N]``; of presence and absence, which count as sure, very many."""
    inverse = shares.power(-1)
    depths, highest = (part.max(axis=1).toarray().ravel() for part in (inverse, shares))
    return np.where(np.isclose(depths * highest, 1), 1e15, depths)


def _simpson(shares: sp.csr_matrix) -> np.ndarray:
    return np.asarray(shares.multiply(shares).sum(1)).ravel()


def copies_in(study) -> tuple[dict, str | None]:
    """How many samples of a study are near copies of another one (of another group): numbers, and what they mean.

    Parameters
    ----------
    study : Study
        ``N`` samples; of more than 2,000 samples 2,000 are looked at, each beside all others.

    Returns
    -------
    dict
        For ``model.json``: ``near_copies``, ``near_copies_looked_at``.
    str or None
        As :func:`copies_caution`.
    """
    communities, groups = study.communities, study.groups
    counts = communities.counts.astype(np.float64)
    shares = sp.csr_matrix(sp.diags(1 / np.asarray(counts.sum(1)).ravel()) @ counts)
    number = np.arange(len(communities)) if groups is None else np.unique(groups, return_inverse=True)[1]
    rows = np.unique(np.linspace(0, len(number) - 1, min(MOST, len(number))).round().astype(int))
    copies = rows[near_copies(shares[rows], shares, np.append(number[rows], number))]
    numbers = len(copies), len(rows)
    sentence = copies_caution(*numbers, groups is not None, communities.sample_ids[copies])
    return dict(zip(("near_copies", "near_copies_looked_at"), numbers, strict=True)), sentence


def enough_copies(number: int, looked_at: int) -> bool:
    """Whether so many near copies are no accident, and change scores."""
    return number >= max(FEW, MANY * looked_at)


def copies_caution(number: int, looked_at: int, grouped: bool, sample_ids=()) -> str | None:
    """What is to be said of so many near copies among so many samples; None of a few, which are an accident.

    Parameters
    ----------
    number, looked_at : int
    grouped : bool
        Whether groups are known, and the copies are of other groups.
    sample_ids : sequence of str
        IDs of the copies, to be named.
    """
    if not enough_copies(number, looked_at):
        return None
    where = f": {name_ids(sample_ids)}" if len(sample_ids) else ""
    if grouped:
        another, mend = "a sample of another group", "Put samples that belong together into one group."
    else:
        another = "another one"
        mend = "Give the groups column, in which samples that belong together are of one group."
    return (
        f"{number} of {looked_at} samples are near copies of {another} (nearly all ASVs in nearly the same shares, as "
        f"technical replicates have){where}. One is then predicted by what was learnt from the other, and scores are "
        f"too good for new samples. {mend}"
    )
