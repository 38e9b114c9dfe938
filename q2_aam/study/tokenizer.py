"""Nucleotide sequences to tokens: the alphabet the ASV encoder reads."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np

VOCABULARY = ("PAD", "A", "C", "G", "T", "N", "START", "MASK")
PAD, A, C, G, T, N, START, MASK = range(len(VOCABULARY))

IUPAC_LETTERS = "ACGTURYSWKMBDHVN"
# Shorter texts are names, not sequences: 'CAT' and 'BAT' are made of IUPAC letters too.
SHORTEST_SEQUENCE_ID = 20

_ILLEGAL = 255
# Sequences looked at together, so that a million of them need little memory beside their tokens.
_BLOCK = 2**15


def _lookup_table() -> np.ndarray:
    """Token of each byte; anything that is no IUPAC letter (gaps too) is `_ILLEGAL`."""
    table = np.full(256, _ILLEGAL, dtype=np.uint8)
    known = {"A": A, "C": C, "G": G, "T": T, "U": T}
    for letter in IUPAC_LETTERS:
        table[ord(letter)] = table[ord(letter.lower())] = known.get(letter, N)
    return table


_TOKEN_OF_BYTE = _lookup_table()


def _blocks(sequences: Sequence[str]) -> Iterator[tuple[int, Sequence[str], np.ndarray, np.ndarray]]:
    """Some sequences at a time: the first one's number, they, their lengths, and all their tokens in a row, uint8."""
    for start in range(0, len(sequences), _BLOCK):
        block = sequences[start : start + _BLOCK]
        # 'replace' turns each foreign character into one '?', so that positions stay those of the text.
        letters = "".join(block).encode("ascii", "replace")
        yield start, block, _lengths(block), _TOKEN_OF_BYTE[np.frombuffer(letters, dtype=np.uint8)]


def _lengths(sequences: Sequence[str]) -> np.ndarray:
    return np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))


def first_illegal_letter(sequences: Sequence[str]) -> tuple[int, int, str] | None:
    """Find the first letter that is no IUPAC nucleotide.

    Parameters
    ----------
    sequences : sequence of str
        Nucleotide sequences, in upper or lower case.

    Returns
    -------
    tuple of (int, int, str) or None
        Number of the sequence, position in it (both from 0) and the letter; None when all are legal.
    """
    for start, block, lengths, codes in _blocks(sequences):
        illegal = np.flatnonzero(codes == _ILLEGAL)
        if len(illegal):
            ends = np.cumsum(lengths)
            row = int(np.searchsorted(ends, illegal[0], side="right"))
            position = int(illegal[0] - (ends[row] - lengths[row]))
            return start + row, position, block[row][position]
    return None


def describe_illegal_letter(letter: str, position: int) -> str:
    """Say in words which letter is wrong, where (counted from 1), and what to do about it."""
    if letter in "-.":
        what = "a gap: give the sequences unaligned, without gaps"
    else:
        what = f"no IUPAC nucleotide: only {IUPAC_LETTERS} are"
    return f"letter {letter!r} at position {position + 1} is {what}"


def are_nucleotides(texts: Sequence[str]) -> np.ndarray:
    """Tell which feature IDs are themselves nucleotide sequences.

    Parameters
    ----------
    texts : sequence of str
        Feature IDs.

    Returns
    -------
    np.ndarray
        Boolean `[F]`: True for those of at least 20 letters, all of them IUPAC nucleotides (any case, U allowed).
    """
    answers = [np.zeros(0, dtype=bool)]
    for _, _, lengths, codes in _blocks(texts):
        legal = np.concatenate([[0], np.cumsum(codes != _ILLEGAL)])
        ends = np.cumsum(lengths)
        answers.append((lengths >= SHORTEST_SEQUENCE_ID) & (legal[ends] - legal[ends - lengths] == lengths))
    return np.concatenate(answers)


def tokenize(sequences: Sequence[str], max_length: int) -> np.ndarray:
    """Turn sequences into token rows.

    Parameters
    ----------
    sequences : sequence of str
        Nucleotides in IUPAC letters, any case; U is read as T. Letters other than A, C, G, T, U
        stand for several nucleotides and are read as N.
    max_length : int
        Nucleotides read of each sequence; what is beyond is cut.

    Returns
    -------
    np.ndarray
        uint8 `[F, 1 + L]`, L the longest sequence after cutting: START in column 0 of every row,
        then the nucleotides, then PAD.

    Raises
    ------
    ValueError
        If `max_length` is below 1, or a letter within it is no IUPAC nucleotide.
    """
    if max_length < 1:
        raise ValueError(f"max_length is {max_length}; it must be at least 1 nucleotide.")
    lengths = np.minimum(_lengths(sequences), max_length)
    longest = int(lengths.max(initial=0))
    tokens = np.full((len(lengths), 1 + longest), PAD, dtype=np.uint8)
    tokens[:, 0] = START
    places = np.arange(longest)
    for start in range(0, len(lengths), _BLOCK):
        cut = list(map(itemgetter(slice(max_length)), sequences[start : start + _BLOCK]))
        _, _, cut_lengths, codes = next(_blocks(cut))
        if (codes == _ILLEGAL).any():
            row, position, letter = first_illegal_letter(cut)
            raise ValueError(f"In sequence number {start + row + 1}, {describe_illegal_letter(letter, position)}.")
        tokens[start : start + _BLOCK, 1:][places < cut_lengths[:, None]] = codes
    return tokens


def reverse_complements(tokens: np.ndarray) -> np.ndarray:
    """The other strand of each sequence ``[V, 1 + L]``."""
    other = np.arange(8, dtype=np.uint8)
    other[[A, C, G, T]] = T, G, C, A
    turned, lengths = np.full_like(tokens, PAD), (tokens != PAD).sum(1) - 1
    turned[:, 0] = START
    for row, length in enumerate(lengths):
        turned[row, 1 : 1 + length] = other[tokens[row, 1 : 1 + length][::-1]]
    return turned
