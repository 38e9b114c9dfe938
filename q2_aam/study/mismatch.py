"""Why the features of a table may not be found in another file: the likely cause, in a sentence."""

import hashlib
import re
from collections.abc import Collection, Sequence

from q2_aam.study.tables import name_ids, short
from q2_aam.study.tokenizer import are_nucleotides

TAXON = re.compile(r"(^|;\s*)[a-z]__|^unassigned$|^unclassified$", re.IGNORECASE)
HASHES = {32: hashlib.md5, 40: hashlib.sha1}
# Features that must speak for a cause, of those that are missing.
MOST = 0.5


def likely_cause(missing: Sequence[str], known: Collection[str], place: str) -> str:
    """Say why features are not there; an empty text where nothing is known of it.

    Parameters
    ----------
    missing : sequence of str
        IDs of features that were looked for, at least one.
    known : collection of str
        IDs that are there.
    place : str
        Where they are, such as "the sequences".

    Examples
    --------
    >>> from q2_aam.study.mismatch import likely_cause
    >>> likely_cause(["k__Bacteria;p__Firmicutes"], ["4fc1"], "the sequences")
    'They are names of taxa, as of a collapsed table: give the table of ASVs that it was made from.'
    >>> likely_cause(["ASV_1", "ASV_2"], ["asv 1", "asv 2"], "the tree")
    "They are there in another spelling: 'ASV_1' is 'asv 1' in the tree. Name them alike."
    """
    if _most(missing, lambda name: TAXON.search(name) is not None):
        return "They are names of taxa, as of a collapsed table: give the table of ASVs that it was made from."
    if spelling := other_spelling(missing, known, place):
        return spelling
    digest = HASHES.get(len(missing[0]))
    if digest is not None:
        of_hash = {digest(name.encode()).hexdigest(): name for name in known}
        if _most(missing, of_hash.__contains__):
            return f"They are hashes, while the names in {place} are the sequences themselves. Name them alike."
    elif are_nucleotides(missing[:1]).all():
        kinds = {len(name): HASHES[len(name)] for name in list(known)[:1] if len(name) in HASHES}
        for digest in kinds.values():
            names = set(known)
            if _most(missing, lambda name: digest(name.encode()).hexdigest() in names):  # noqa: B023
                return f"They are sequences, while the names in {place} are their hashes. Name them alike."
    return ""


def other_spelling(missing: Sequence[str], known: Collection[str], place: str) -> str:
    """Say that names are there but for capitals, blanks, hyphens, underscores or quotes; an empty text if not."""
    plain = {_plain(name): name for name in known}
    if not _most(missing, lambda name: _plain(name) in plain):
        return _longer_names(missing, known, place)
    mine = next(name for name in missing if _plain(name) in plain)
    mine, theirs = short(mine), short(plain[_plain(mine)])
    return f"They are there in another spelling: {mine!r} is {theirs!r} in {place}. Name them alike."


def _longer_names(missing: Sequence[str], known: Collection[str], place: str) -> str:
    """Say that names are there with something more, or less, at one end; an empty text if not."""
    return (
        _with_ends(missing, known, f"Those in {place} have {{}} the same names. Name them alike.")
        or _with_ends(list(known), missing, f"Those in {place} lack {{}} the same names. Name them alike.")
    )


def _with_ends(names: Sequence[str], longer: Collection[str], sentence: str) -> str:
    """The sentence with what most of some names have more before or behind them elsewhere; empty if they have not."""
    there = set(longer)
    for other in longer:
        before, own, behind = other.partition(names[0])
        at_one_end = own and bool(before) != bool(behind)
        if at_one_end and _most(names, lambda name, ends=(before, behind): name.join(ends) in there):
            return sentence.format(f"{before!r} before" if before else f"{behind!r} behind")
    return ""


def features_as_samples(sample_ids: Sequence[str]) -> str:
    """Say that samples are called like features, as in a table that was turned; an empty text if not."""
    hashes = re.compile("|".join(f"[0-9a-f]{{{length}}}" for length in HASHES), re.IGNORECASE)
    if not (_most(sample_ids, hashes.fullmatch) or are_nucleotides(list(sample_ids)).mean() > MOST):
        return ""
    return "They look like features: the table may be turned. Samples must be its columns."


# Where to find what is missing.
GIVE = {
    "the sequences": "Give the sequences of all features",
    "the phylogeny": "Give the phylogeny that was made for this table",
}


def how_to_find(missing: Sequence[str], known: Collection[str], place: str, nothing: bool) -> str:
    """What is to be done about features that are not in a place: sentences.

    Where ``nothing`` is there, IDs of both sides are shown, and leaving the missing ones out is no way.
    """
    sentences = [f"None of them is there, but {name_ids(known)}."] if nothing and len(known) else []
    cause = likely_cause(missing, known, place) if len(known) or TAXON.search(missing[0]) else ""
    ignore = "" if nothing else ", or set missing_features to 'ignore' to leave these features out"
    return " ".join([*sentences, cause or f"{GIVE[place]}{ignore}."])


def _most(names: Sequence[str], holds) -> bool:
    return sum(bool(holds(name)) for name in names) > MOST * len(names)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", re.sub(r";size=\d+;?$", "", name).strip(" '\"")).casefold()
