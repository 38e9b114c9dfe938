"""How a table's sequences begin: reads of one primer are alike there, whatever microbe they are of."""

from dataclasses import dataclass

import numpy as np

from q2_aam.study.communities import Communities
from q2_aam.study.tables import name_ids
from q2_aam.study.tokenizer import A, T, reverse_complements, tokenize

# First nucleotides that are looked at, and by how many sequences may begin late or early.
LOOKED_AT = 60
SHIFTS = np.arange(-25, 26)
# Known nucleotides that must overlap.
FEWEST = 20
# Share of a nucleotide that no sequence has in a place.
RARE = 0.01
# By so much (mean logarithm of shares) another beginning must suit a sequence better than the usual one, and a sequence
# that suits none be worse than the worst of those that were learnt from.
CLEARLY = 0.5
# The worst of those that were learnt from, without odd ones.
ODD = 0.02
# What is of the same region has at least that, also where few sequences were learnt from. Of other regions, and from
# the other end, 99% have less than -1.7.
USUAL_WORST = -1.1
# Share of what samples hold that must begin in one way, or there is none.
COMMON = 0.5
ROUNDS = 2
# Commonest sequences that are tried for a start.
CANDIDATES = 8
# Where no cause is found, or in a table that is learnt from, fewer samples are an accident; without a cause, so is a
# smaller share of them.
FEW = 3
MANY = 0.1
# If a larger share of the reads begins elsewhere for one cause it is no accident, though no sample holds mostly such.
MIXED = 0.1
# Places at which ten surveys of V4, five of V3-V4 and one of V1-V2 are alike, each from the end of its primer on.
REGIONS = {
    "V4 (or V4-V5), from primer 515F on": "TACGNAGGNNNCNAGCGTTNNNCGGANTNANTGGGNGTAAAGNGNNCGNAGGCGG",
    "V3 (or V3-V4), from primer 341F on": "TGNGGAATNTTGNNCAATGGNNGNAANCCTGANNCAGCNANGCCGCGTGNNNGANGANGG",
    "V1-V2 (or V1-V3), from primer 27F on": "GATGAACGCTGGCGGCGNGCNTAACACATGCAAGTCGANCG",
}
# A nucleotide that this share of sequences have in a place is that of the place.
USUAL = 0.7
TURNED = "They are the reverse complements: turn them round."
OTHER = "They may be of another gene, or of another region of it: then harmonize-regions helps."


@dataclass(frozen=True)
class Beginning:
    """Shares of A, C, G, T in the first places of a table's sequences."""

    shares: np.ndarray
    """float32 ``[P, 4]``, each place's add up to 1."""
    worst: float
    """Mean logarithm of the shares of nearly the worst of its own sequences."""

    def __post_init__(self):
        shares = self.shares
        if shares.ndim != 2 or shares.shape[1] != 4 or not len(shares) or not ((shares > 0) & (shares <= 1)).all():
            raise ValueError("The shares of nucleotides at the beginning of sequences are none.")

    @classmethod
    def from_arrays(cls, arrays: dict) -> "Beginning":
        """As a model has kept it."""
        return cls(arrays["shares"].astype(np.float32), float(arrays["worst"]))

    @classmethod
    def of(cls, communities: Communities) -> "Beginning":
        """That of most of a table's sequences, each as often as samples hold it."""
        tokens = communities.tokens[:, 1 : 1 + LOOKED_AT]
        held = np.bincount(communities.counts.indices, minlength=len(tokens)).astype(float)
        # From that of a common one on: of two kinds of beginnings it has one, and the mean of all neither. Of one that
        # most others are like, since the commonest may be an oddity.
        centre, begun = len(SHIFTS) // 2, []
        for common in np.argsort(-held, kind="stable")[:CANDIDATES]:
            alike = _scores(np.log(_shares(tokens[[common]], held[[common]])), communities.tokens).argmax(1) == centre
            begun.append((held[alike].sum(), alike & (held > 0)))
        own = max(begun, key=lambda found: found[0])[1]
        for _ in range(1 + ROUNDS):
            shares = _shares(tokens[own], held[own])
            scores = _scores(np.log(shares), communities.tokens)
            own = (scores.argmax(1) == centre) & (held > 0)
            if not own.any():
                own = held > 0
        if held[own].sum() < COMMON * held.sum():
            # They begin in no common way: nothing can be said of others.
            return cls(np.full((LOOKED_AT, 4), 0.25, dtype=np.float32), float(np.log(RARE)))
        fits = scores[own, centre]
        worst = float(np.quantile(fits[np.isfinite(fits)], ODD)) if np.isfinite(fits).any() else -np.inf
        return cls(shares.astype(np.float32), min(max(worst, float(np.log(RARE))), USUAL_WORST))

    def shifts(self, tokens: np.ndarray) -> np.ndarray:
        """By how many nucleotides sequences ``[V, 1 + L]`` begin later, float64 ``[V]``: 0 as usual, NaN otherwise."""
        scores = _scores(np.log(self.shares.astype(np.float64)), tokens)
        usual, best = scores[:, len(SHIFTS) // 2], scores.argmax(1)
        other = scores[np.arange(len(scores)), best]
        shifts = np.where(np.isfinite(usual) & (other > usual + CLEARLY), SHIFTS[best], 0).astype(float)
        shifts[np.isfinite(other) & (other < self.worst - CLEARLY)] = np.nan
        return shifts

    @property
    def usual(self) -> str:
        """The nucleotide of each place, N where sequences differ."""
        return "".join("ACGT"[row.argmax()] if row.max() >= USUAL else "N" for row in self.shares)

    def region(self) -> str | None:
        """The one of the :data:`REGIONS` that begins so; None where none does, or they begin in no common way."""
        alike = np.flatnonzero(self.shifts(tokenize(list(REGIONS.values()), LOOKED_AT)) == 0)
        return list(REGIONS)[alike[0]] if len(alike) == 1 else None

    def turned(self, tokens: np.ndarray) -> np.ndarray:
        """Which sequences ``[V, 1 + L]`` begin so from the other end, and not from this one: boolean ``[V]``."""
        turned = np.isnan(self.shifts(tokens))
        turned[turned] = self.shifts(reverse_complements(tokens[turned])) == 0
        return turned


def beginning_caution(
    communities: Communities, beginning: Beginning, foreign: str, *, learnt: bool = False, mend: bool = False
) -> str | None:
    """What is to be said of samples whose reads mostly begin elsewhere than they should, or of a table in which part of
    each sample's do for one cause; None of others.

    Parameters
    ----------
    communities : Communities
    beginning : Beginning
        The model's, or the table's own.
    foreign : {'error', 'ignore'}
    learnt : bool
        Whether something is to be learnt of the table itself.
    mend : bool
        Whether ``foreign`` could also be 'mend', which is then said where it helps.

    Raises
    ------
    ValueError
        With that, if ``foreign`` is 'error' and it is no accident.
    """
    shifts, reads = beginning.shifts(communities.tokens), communities.counts.astype(np.float64)
    share = (reads @ (shifts != 0)) / np.asarray(reads.sum(1)).ravel()
    usual = "most others do" if learnt else "those do that the model has learnt from"
    samples, found = np.flatnonzero(share > 0.5), None
    if mixed := len(samples) < (FEW if learnt else 1) and share.mean() > MIXED:
        found = _cause(beginning, communities.tokens, shifts, np.asarray(reads.sum(0)).ravel() * (shifts != 0))
        mixed = found is not None
    if mixed:
        some = np.flatnonzero(share)
        said = (
            f"{share.mean():.0%} of a sample's reads, on average, do not begin as {usual}, in {len(some)} of "
            f"{len(share)} samples"
        )
    elif len(samples):
        some = samples
        weights = np.asarray(reads[samples].sum(0)).ravel() * (shifts != 0)
        found = _cause(beginning, communities.tokens, shifts, weights)
        said = (
            f"{len(samples)} of {len(share)} samples hold mostly sequences that do not begin as {usual} "
            f"({share[samples].mean():.0%} of their reads)"
        )
    else:
        return None
    said = f"{said}: {name_ids(communities.sample_ids[some])}. {found or OTHER}"
    if foreign == "error" and (mixed or len(samples) >= _fewest(found, learnt, len(share))):
        others = "Or" if found else "Leave these samples out, or"
        if mend and found == TURNED:
            others = "Set foreign to 'mend' to have that done, or"
        raise ValueError(f"{said} {others} set foreign to 'ignore' to go on.")
    return f"{said} {'What is learnt of them' if learnt else 'What is predicted of them'} means little."


def _fewest(found: str | None, learnt: bool, samples: int) -> int:
    """So many samples are no accident: a single one with a cause, where it is only predicted."""
    if found:
        return FEW if learnt else 1
    return max(FEW, int(MANY * samples) + 1)


def _cause(beginning: Beginning, tokens: np.ndarray, shifts: np.ndarray, weights: np.ndarray) -> str | None:
    """Why most of the reads (``weights [V]``) begin elsewhere, as a sentence; None where that is not known."""
    if weights[beginning.turned(tokens)].sum() > 0.5 * weights.sum():
        return TURNED
    for shift in np.unique(shifts[(weights > 0) & np.isfinite(shifts)]).astype(int):
        if weights[shifts == shift].sum() > 0.5 * weights.sum():
            where = "later" if shift > 0 else "sooner (a primer may be there still)"
            return f"They begin {abs(shift)} nucleotides {where}: cut all sequences at the same place."
    return None


def turn_round(communities: Communities, beginning: Beginning) -> tuple[Communities, str | None]:
    """Reverse complements turned round, and what is to be said of it."""
    turned = beginning.turned(communities.tokens)
    if not turned.any():
        return communities, None
    tokens = communities.tokens.copy()
    tokens[turned] = reverse_complements(tokens[turned])
    said = f"{turned.sum()} of {len(tokens)} ASVs were turned round: they were reverse complements."
    return communities.rewritten(tokens), said


def _shares(tokens: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = np.stack([(tokens == letter).T.astype(float) @ weights for letter in range(A, T + 1)], 1)
    known = counts.sum(1) > 0
    # Behind the last known place there is nothing; of one before it that no sequence tells nothing is said.
    counts = counts[: 1 + np.flatnonzero(known)[-1]] if known.any() else np.ones((1, 4))
    counts[counts.sum(1) == 0] = 1
    shares = counts / counts.sum(1, keepdims=True)
    return (1 - 4 * RARE) * shares + RARE


def _scores(logarithms: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """How well sequences ``[V, 1 + L]`` suit shares ``[P, 4]`` if they begin at each of the shifts: ``[V, 51]``."""
    places, nucleotides = len(logarithms), tokens[:, 1 : 1 + len(logarithms) + SHIFTS.max()]
    table = np.zeros((places, 8))
    table[:, A : T + 1] = logarithms
    known = (nucleotides >= A) & (nucleotides <= T)
    scores = np.full((len(tokens), len(SHIFTS)), -np.inf)
    for column, shift in enumerate(SHIFTS):
        first, late = max(0, -shift), max(0, shift)
        length = min(places - late, nucleotides.shape[1] - first)
        if length < 1:
            continue
        part, here = nucleotides[:, first : first + length], known[:, first : first + length]
        number = here.sum(1)
        total = table[np.arange(late, late + length), part].sum(1)
        enough = number >= min(FEWEST, places)
        scores[enough, column] = total[enough] / number[enough]
    return scores
