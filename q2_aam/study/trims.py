"""The lengths that sequences were trimmed to: at another one, the same microbe is another ASV."""

from dataclasses import asdict, dataclass

import numpy as np

from q2_aam.study.communities import Communities
from q2_aam.study.tables import held_columns, name_ids
from q2_aam.study.tokenizer import PAD, SHORTEST_SEQUENCE_ID

# Share of the reads that have one length where they were trimmed: all but for oddities. Of merged reads, which vary by
# themselves, nearly all may have one, too.
TRIMMED = 0.999
# Merged reads may be that much shorter or longer than those learnt from, or as much as these differ.
TOLERANCE = 10
# Lengths of merged reads without the rarest on either side.
RAREST = 0.005
# In a table that is learnt from, a second length in fewer samples is an accident; in one to be predicted, other lengths
# than those of merged reads, which vary, in fewer samples or a smaller share of them.
FEW = 3
MANY = 0.1
# A larger share of the reads at other lengths is no accident, though no sample holds mostly such.
MIXED = 0.1
# Share of the reads of a shorter length that are the beginnings of longer ASVs: 0 of merged reads of three studies,
# 0.18 to 1 of two trims of one study or of two of the same habitat.
BEGUN = 0.05


@dataclass(frozen=True)
class Lengths:
    """Lengths of the sequences that a table's reads are of."""

    shortest: int
    longest: int

    @property
    def trimmed(self) -> bool:
        """Whether all are of one length."""
        return self.shortest == self.longest

    def __str__(self) -> str:
        return f"{self.shortest}" if self.trimmed else f"{self.shortest} to {self.longest}"

    def to_dict(self) -> dict:
        """For ``model.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict | None) -> "Lengths | None":
        """As a model has kept it; None of one that has not.

        Raises
        ------
        ValueError
            If it is not a shortest and a longest length.
        """
        if content is None:
            return None
        numbers = [content.get(name) for name in ("shortest", "longest")] if isinstance(content, dict) else []
        if not numbers or any(type(number) is not int for number in numbers) or not 0 <= numbers[0] <= numbers[1]:
            raise ValueError(f"The lengths of sequences that the model has learnt from are none: {content!r}.")
        return cls(*numbers)

    def hold(self, lengths: np.ndarray) -> np.ndarray:
        """Which lengths could be theirs, boolean of the same shape."""
        slack = 0 if self.trimmed else max(TOLERANCE, self.longest - self.shortest)
        return (lengths >= self.shortest - slack) & (lengths <= self.longest + slack)


def asv_lengths(communities: Communities) -> np.ndarray:
    """Nucleotides of each ASV, int64 ``[V]``."""
    return (communities.tokens != PAD).sum(1) - 1


def lengths_of(communities: Communities) -> Lengths:
    """The length that a table was trimmed to, or those that its reads have; each sample weighs the same."""
    lengths = asv_lengths(communities)
    reads = communities.counts.astype(np.float64)
    share = np.bincount(lengths, (1 / np.asarray(reads.sum(1)).ravel()) @ reads) / len(communities)
    if share.max() >= TRIMMED:
        return Lengths(*[int(share.argmax())] * 2)
    below = share.cumsum()
    shortest, longest = (int(np.searchsorted(below, quantile)) for quantile in (RAREST, 1 - RAREST))
    if shortest == longest:
        # Others are rarer than that on each side, and yet there: the next commonest is another end.
        shortest, longest = sorted(int(length) for length in np.argsort(share, kind="stable")[-2:])
    return Lengths(shortest, longest)


def usual_lengths(communities: Communities) -> np.ndarray:
    """The length that most reads of each sample have, int64 ``[N]``; 0 where fewer than :data:`TRIMMED` have one."""
    lengths, reads = asv_lengths(communities), communities.counts
    sample = np.repeat(np.arange(len(communities)), np.diff(reads.indptr))
    distinct, place = np.unique(lengths, return_inverse=True)
    by_length = np.zeros((len(communities), len(distinct)))
    np.add.at(by_length, (sample, place[reads.indices]), reads.data)
    commonest = by_length.max(1) >= TRIMMED * by_length.sum(1)
    return np.where(commonest, distinct[by_length.argmax(1)], 0)


def begin_longer_ones(communities: Communities, lengths: np.ndarray) -> bool:
    """Whether ASVs of one of these lengths (ascending) are the beginnings of longer ones, as those of a trim are."""
    own, tokens = asv_lengths(communities), communities.tokens
    reads = np.asarray(communities.counts.sum(0, dtype=np.float64)).ravel()
    for length in lengths[:-1]:
        longer = {row.tobytes() for row in tokens[own > length, 1 : 1 + length]}
        short = np.flatnonzero(own == length)
        begun = np.array([row.tobytes() in longer for row in tokens[short, 1 : 1 + length]])
        if reads[short][begun].sum() > BEGUN * reads[short].sum():
            return True
    return False


# What to do about sequences that are longer than what an encoder reads.
READ_WHOLE = (
    "Pretrain an encoder on such sequences, which then reads them whole, or set foreign to 'ignore' to go on with what "
    "it reads."
)


def refuse_cut(communities: Communities, remedy: str = READ_WHOLE) -> None:
    """Stop where sequences are longer than what an encoder reads of them."""
    if not communities.n_cut:
        return
    longest = communities.tokens.shape[1] - 1
    alike = f", so that {communities.n_alike} become the same as others" if communities.n_alike else ""
    raise ValueError(
        f"{communities.n_cut} of {communities.n_features} features have a sequence of more than {longest} nucleotides, "
        f"of which the encoder reads the first {longest} alone{alike}. {remedy}"
    )


def refuse_short(communities: Communities) -> None:
    """Stop where sequences are too short to be reads of a gene."""
    lengths = lengths_of(communities)
    if lengths.longest < SHORTEST_SEQUENCE_ID:
        raise ValueError(
            f"The sequences have {lengths} nucleotides: too few to tell microbes by. Give whole reads, or set foreign "
            "to 'ignore' to go on."
        )


def mixture_caution(communities: Communities, foreign: str) -> str | None:
    """What is to be said of a table to learn from whose samples were trimmed to several lengths; None of others.

    Raises
    ------
    ValueError
        With that sentence, if ``foreign`` is 'error'.
    """
    usual = usual_lengths(communities)
    lengths, samples = np.unique(usual[usual > 0], return_counts=True)
    lengths, samples = lengths[samples >= FEW], samples[samples >= FEW]
    # Samples of merged reads may each be of one length by themselves, if they hold little else than one microbe.
    apart = usual.all() and np.ptp(lengths) > TOLERANCE if len(lengths) else False
    if len(lengths) < 2 or not (apart or begin_longer_ones(communities, lengths)):
        return _within_samples(communities.subset(np.flatnonzero(usual == 0)), foreign)
    each = ", ".join(
        f"{n} of {length} ({name_ids(communities.sample_ids[usual == length])})"
        for length, n in zip(lengths, samples, strict=True)
    )
    said = (
        f"Samples were trimmed to different lengths (nucleotides): {each}. The same microbe is another ASV at each, "
        "and a model learns the trim in place of the microbes."
    )
    if foreign == "error":
        raise ValueError(f"{said} Trim all to {lengths.min()}, or set foreign to 'ignore' to go on.")
    return said


def _within_samples(communities: Communities, foreign: str) -> str | None:
    """As :func:`mixture_caution`, of samples that have no length of their own."""
    if len(communities) < FEW:
        return None
    own = asv_lengths(communities)
    reads = np.bincount(own, np.asarray(communities.counts.sum(0, dtype=np.float64)).ravel())
    lengths = np.flatnonzero(reads > BEGUN * reads.sum())
    if len(lengths) < 2 or not begin_longer_ones(communities, lengths):
        return None
    each = ", ".join(f"{reads[length] / reads.sum():.0%} of the reads of {length}" for length in lengths)
    said = (
        f"Sequences of the same microbes were trimmed to different lengths (nucleotides): {each}. The shorter ones are "
        "the beginnings of longer ones, and count as other ASVs."
    )
    if foreign == "error":
        raise ValueError(f"{said} Trim all to {lengths.min()}, or set foreign to 'ignore' to go on.")
    return said


def other_trim_caution(communities: Communities, learnt: Lengths, foreign: str) -> str | None:
    """What is to be said of samples whose reads are mostly of lengths that a model has not learnt; None of others.

    Parameters
    ----------
    communities : Communities
        To be predicted.
    learnt : Lengths
        The model's.
    foreign : {'error', 'mend', 'ignore'}

    Raises
    ------
    ValueError
        With that sentence, unless ``foreign`` is 'ignore' or it may be an accident.
    """
    lengths, reads = asv_lengths(communities), communities.counts.astype(np.float64)
    other = ~learnt.hold(lengths)
    share = (reads @ other) / np.asarray(reads.sum(1)).ravel()
    samples, mixed = np.flatnonzero(share > 0.5), False
    if not len(samples):
        # Among merged reads, which vary, other lengths may be other microbes.
        mixed = learnt.trimmed and share.mean() > MIXED
        samples = np.flatnonzero(share) if mixed else samples
    if not len(samples):
        return None
    theirs = lengths_of(communities.subset(samples))
    if mixed:
        odd = lengths[held_columns(communities.counts)]
        odd = odd[~learnt.hold(odd)]
        theirs = Lengths(int(odd.min()), int(odd.max()))
    said = (
        f"{len(samples)} of {len(share)} samples hold {'partly' if mixed else 'mostly'} sequences of {theirs} "
        f"nucleotides, while the model has learnt from sequences of {learnt} ({share[samples].mean():.0%} of their "
        "reads are of another length): "
        f"{name_ids(communities.sample_ids[samples])}. The same microbe is another ASV then, and what is predicted "
        "means little."
    )
    if foreign == "ignore" or (not learnt.trimmed and len(samples) < max(FEW, int(MANY * len(share)) + 1)):
        return said
    longer = learnt.trimmed and theirs.shortest > learnt.longest
    mend = "Set foreign to 'mend' to have sequences cut to that length, or trim" if longer else "Trim"
    raise ValueError(
        f"{said} {mend} reads as those that were learnt from, make both tables alike by harmonize-regions, or set "
        "foreign to 'ignore' to go on."
    )


def cut_longer(communities: Communities, learnt: Lengths) -> tuple[Communities, str | None]:
    """Longer sequences cut to the length that a model has learnt, where that is one, and what is to be said of it."""
    longer = asv_lengths(communities) > learnt.longest
    if not learnt.trimmed or not longer.any():
        return communities, None
    tokens = communities.tokens[:, : 1 + learnt.longest]
    cut = communities.rewritten(tokens, communities.counts.astype(np.float64) @ longer)
    return cut, (
        f"{longer.sum()} of {len(longer)} ASVs were cut to the {learnt.longest} nucleotides that the model has learnt "
        f"from; {len(cut.tokens)} distinct ones are left."
    )
