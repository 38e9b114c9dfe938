"""Nucleotide sequences to tokens: the alphabet the ASV encoder reads."""

import re
from collections.abc import Sequence

import numpy as np

VOCABULARY = ("PAD", "A", "C", "G", "T", "N", "START", "MASK")
PAD, A, C, G, T, N, START, MASK = range(len(VOCABULARY))

IUPAC_LETTERS = "ACGTURYSWKMBDHVN"
# Shorter texts are names, not sequences: 'CAT' and 'BAT' are made of IUPAC letters too.
SHORTEST_SEQUENCE_ID = 20
# ASCII, because IGNORECASE alone takes the Kelvin sign for a K.
_SEQUENCE_ID = re.compile(f"[{IUPAC_LETTERS}]{{{SHORTEST_SEQUENCE_ID},}}", re.IGNORECASE | re.ASCII)

_ILLEGAL = 255


def _lookup_table() -> np.ndarray:
    """Token of each byte; anything that is no IUPAC letter (gaps too) is `_ILLEGAL`."""
    table = np.full(256, _ILLEGAL, dtype=np.uint8)
    known = {"A": A, "C": C, "G": G, "T": T, "U": T}
    for letter in IUPAC_LETTERS:
        table[ord(letter)] = table[ord(letter.lower())] = known.get(letter, N)
    return table


_TOKEN_OF_BYTE = _lookup_table()


def _letter_tokens(sequences: Sequence[str]) -> np.ndarray:
    """Tokens of all letters of all sequences, one after the other, uint8 [sum of lengths]."""
    # 'replace' turns each foreign character into one '?', so that positions stay those of the text.
    letters = "".join(sequences).encode("ascii", "replace")
    return _TOKEN_OF_BYTE[np.frombuffer(letters, dtype=np.uint8)]


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
    illegal = np.flatnonzero(_letter_tokens(sequences) == _ILLEGAL)
    if not len(illegal):
        return None
    ends = np.cumsum([len(sequence) for sequence in sequences])
    row = int(np.searchsorted(ends, illegal[0], side="right"))
    position = int(illegal[0] - (ends[row] - len(sequences[row])))
    return row, position, sequences[row][position]


def describe_illegal_letter(letter: str, position: int) -> str:
    """Say in words which letter is wrong, where (counted from 1), and what to do about it."""
    if letter in "-.":
        what = "a gap: give the sequences unaligned, without gaps"
    else:
        what = f"no IUPAC nucleotide: only {IUPAC_LETTERS} are"
    return f"letter {letter!r} at position {position + 1} is {what}"


def normalize(sequence: str) -> str:
    """Write a sequence in upper-case DNA letters.

    Parameters
    ----------
    sequence : str
        Nucleotides in IUPAC letters, DNA or RNA, upper or lower case.

    Returns
    -------
    str
        The same in upper case, with T for U.

    Raises
    ------
    ValueError
        If a letter is a gap or no IUPAC nucleotide.
    """
    illegal = first_illegal_letter([sequence])
    if illegal is not None:
        _, position, letter = illegal
        raise ValueError(f"In a sequence, {describe_illegal_letter(letter, position)}.")
    return sequence.upper().replace("U", "T")


def is_nucleotides(text: str) -> bool:
    """Tell whether a feature ID is itself a nucleotide sequence.

    Parameters
    ----------
    text : str
        A feature ID.

    Returns
    -------
    bool
        True if it has at least 20 letters, all of them IUPAC nucleotides (any case, U allowed).
    """
    return _SEQUENCE_ID.fullmatch(text) is not None


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
    cut = [sequence[:max_length] for sequence in sequences]
    codes = _letter_tokens(cut)
    if (codes == _ILLEGAL).any():
        row, position, letter = first_illegal_letter(cut)
        raise ValueError(f"In sequence number {row + 1}, {describe_illegal_letter(letter, position)}.")
    lengths = np.fromiter(map(len, cut), dtype=np.int64, count=len(cut))
    longest = int(lengths.max(initial=0))
    tokens = np.full((len(cut), 1 + longest), PAD, dtype=np.uint8)
    tokens[:, 0] = START
    tokens[:, 1:][np.arange(longest) < lengths[:, None]] = codes
    return tokens
