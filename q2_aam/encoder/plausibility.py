"""Sequences whose like an encoder has not read: it guesses their hidden nucleotides worse than by chance."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.encoder import Encoder
from q2_aam.study.communities import Communities
from q2_aam.study.tables import name_ids
from q2_aam.study.tokenizer import MASK, PAD, START, A, N, T, reverse_complements

# Chance is ln 4 = 1.39. Of studies that encoders had not read, also of soils by encoders of guts, the median ASV is at
# 0.3 to 1.3, reverse complements, shuffled and shifted sequences at 1.8 to 2.8: chosen with these figures in sight
# (docs/dev/decisions/0026).
FOREIGN = 1.5
# What a cause is undone by must be read well, not just no longer badly: some of 50 ways to change an odd sequence are.
READABLE = 1.2
# So few strange sequences tell no cause, and so few samples without a cause are no reason to stop.
FEW = 3
# An encoder that guesses its own validation sequences no better than that cannot tell.
KNOWS = 0.7
# Where no cause is found, so large a share of the samples is no accident.
MANY = 0.1
# Each sample's commonest ASVs tell what it holds; of many samples fewer.
ASVS_A_SAMPLE = 3
MOST_ASVS = 6000
# Each nucleotide is hidden once, every so many-th at a time: a sequence's loss is its own, whatever stands beside it.
STEP = 7
ROWS = 256
# Sequences that a cause is sought with, and nucleotides that they may begin late or early.
TRIED = 40
SHIFTS = range(1, 26)
UNKNOWN = (
    "They may be of another gene (a mitochondrion's, a chloroplast's, a eukaryote's), or of a region of it that the "
    "encoder has not read."
)
ELSEWHERE = "They seem to begin"
PRIMERS = {
    "27F": "AGAGTTTGATCMTGGCTCAG",
    "341F": "CCTACGGGNGGCWGCAG",
    "515F": "GTGYCAGCMGCCGCGGTAA",
    "806R": "GGACTACNVGGGTWTCTAAT",
    "785R": "GACTACHVGGGTATCTAATCC",
    "926R": "CCGYCAATTYMTTTRAGTTT",
}


@torch.no_grad()
def guessing_losses(network: AAM, tokens: np.ndarray) -> np.ndarray:
    """How badly each sequence's nucleotides are guessed while they are hidden.

    Parameters
    ----------
    network : AAM
    tokens : np.ndarray
        uint8 ``[V, 1 + L]``.

    Returns
    -------
    np.ndarray
        float32 ``[V]``, mean cross entropy in nats; NaN where there is no A, C, G or T. ln 4 is chance.
    """
    network.eval()
    total, number = (torch.zeros(len(tokens)) for _ in range(2))
    # Sequences of like length together: the longest sets the width.
    order = np.argsort((tokens != PAD).sum(1), kind="stable")
    for start in range(0, len(tokens), ROWS):
        rows = order[start : start + ROWS]
        part = torch.from_numpy(tokens[rows])
        part = part[:, : int((part != PAD).sum(1).max())]
        nucleotides = part[:, 1:]
        known = (nucleotides >= A) & (nucleotides <= T)
        for first in range(STEP):
            masked = known & (torch.arange(nucleotides.shape[1]) % STEP == first)
            hidden = torch.cat([part[:, :1], nucleotides.masked_fill(masked, MASK)], 1)
            logits = network.nucleotide_head(network.asv_encoder, hidden, masked).float()
            losses = F.cross_entropy(logits, nucleotides[masked].long() - A, reduction="none")
            places = torch.from_numpy(rows)[masked.nonzero()[:, 0]]
            total.index_add_(0, places, losses)
            number.index_add_(0, places, torch.ones_like(losses))
    return (total / number).numpy()


def foreign_caution(
    encoder: Encoder, communities: Communities, foreign: str, *, elsewhere: str = "error"
) -> str | None:
    """What is to be said of samples that hold mostly sequences whose like the encoder has not read; None of none.

    Parameters
    ----------
    encoder : Encoder
        One that cannot tell, since it has not learnt nucleotides or not well, finds none.
    communities : Communities
    foreign : {'error', 'ignore'}
    elsewhere : {'error', 'ignore'}
        The same of sequences that only begin elsewhere than those that it has read: what is learnt of them holds for
        others that begin there.

    Raises
    ------
    ValueError
        With that sentence, if ``foreign`` is 'error', and a cause is found or such samples are many.
    """
    if not can_tell(encoder):
        return None
    share, strange = foreign_reads(encoder.network, communities)
    samples = np.flatnonzero(share > 0.5)
    if not len(samples):
        return None
    found = cause(encoder.network, strange)
    said = (
        f"{len(samples)} of {len(share)} samples hold mostly sequences whose like the encoder has not read "
        f"({share[samples].mean():.0%} of the reads that were looked at): {name_ids(communities.sample_ids[samples])}. "
        f"{found or UNKNOWN}"
    )
    many = len(samples) >= FEW and len(samples) > MANY * len(share)
    if found and found.startswith(ELSEWHERE) and elsewhere == "ignore":
        return f"{said} They can be learnt from; new samples must begin there, too."
    if foreign == "error" and (found or many):
        # A cause is rarely that of these samples alone: others may hold less of the same.
        raise ValueError(f"{said} {'Or' if found else 'Leave these samples out, or'} set foreign to 'ignore' to go on.")
    return f"{said} What is predicted of them means little."


def can_tell(encoder: Encoder) -> bool:
    """Whether an encoder has learnt to guess nucleotides."""
    scores = encoder.description.scores or {}
    losses = [scores[name] for name in ("val/nucleotide_loss", "train/nucleotide_loss") if name in scores]
    return bool(losses) and losses[0] <= KNOWS


def foreign_reads(network: AAM, communities: Communities) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample's commonest ASVs the share of reads in foreign ones ``[N]``, and tokens of these ASVs."""
    counts = communities.counts
    sample = np.repeat(np.arange(len(communities)), np.diff(counts.indptr))
    order = np.lexsort((counts.indices, -counts.data, sample))
    rank = np.arange(counts.nnz) - counts.indptr[sample[order]]
    cells = order[rank < max(1, min(ASVS_A_SAMPLE, MOST_ASVS // len(communities)))]
    asvs, place = np.unique(counts.indices[cells], return_inverse=True)
    is_foreign = guessing_losses(network, communities.tokens[asvs]) > FOREIGN
    reads = counts.data[cells].astype(np.float64)
    strange = np.bincount(sample[cells], reads * is_foreign[place], len(communities))
    looked_at = np.bincount(sample[cells], reads, len(communities))
    return strange / np.maximum(looked_at, np.finfo(float).tiny), communities.tokens[asvs[is_foreign]]


def cause(network: AAM, tokens: np.ndarray) -> str | None:
    """Why sequences are foreign, as a sentence; None where they are few or the encoder cannot tell."""
    if len(tokens) < FEW:
        return None
    import skbio

    tokens = tokens[np.linspace(0, len(tokens) - 1, min(TRIED, len(tokens))).round().astype(int)]

    def readable(change: Callable[[np.ndarray], np.ndarray]) -> float:
        return float((guessing_losses(network, change(tokens)) <= READABLE).mean())

    if readable(reverse_complements) > 0.5:
        return "They are the reverse complements of sequences that it knows: turn them round."
    texts = ["".join("?ACGTN??"[token] for token in row if token not in (PAD, START)) for row in tokens]
    for name, primer in PRIMERS.items():
        begin = skbio.DNA(primer).to_regex()
        if np.mean([begin.match(text) is not None for text in texts]) > 0.5:
            return f"They begin with the primer {name} ({primer}): cut primers off."
    shifts = {
        **{f"{number} nucleotides before": lambda some, number=number: begin_later(some, number) for number in SHIFTS},
        **{f"{number} nucleotides behind": lambda some, number=number: begin_sooner(some, number) for number in SHIFTS},
    }
    found = {where: readable(change) for where, change in shifts.items()}
    best = max(found, key=found.get)
    if found[best] > 0.5:
        return f"{ELSEWHERE} {best} where those that it has read do: cut all sequences at the same place."
    return None


def begin_later(tokens: np.ndarray, number: int) -> np.ndarray:
    """Sequences without their first nucleotides."""
    return np.concatenate([tokens[:, :1], tokens[:, 1 + number :]], axis=1)


def begin_sooner(tokens: np.ndarray, number: int) -> np.ndarray:
    """Sequences with unknown nucleotides before their first, cut where they become longer than the longest was."""
    unknown = np.full((len(tokens), number), N, dtype=tokens.dtype)
    return np.concatenate([tokens[:, :1], unknown, tokens[:, 1:]], axis=1)[:, : tokens.shape[1]]
