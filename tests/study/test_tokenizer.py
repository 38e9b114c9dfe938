import numpy as np
import pytest

from q2_aam.study.tokenizer import (
    IUPAC_LETTERS,
    MASK,
    PAD,
    START,
    VOCABULARY,
    A,
    C,
    G,
    N,
    T,
    are_nucleotides,
    first_illegal_letter,
    tokenize,
)


def test_vocabulary_names_each_token_by_its_number():
    tokens = [PAD, A, C, G, T, N, START, MASK]
    assert tokens == list(range(8))
    assert VOCABULARY == ("PAD", "A", "C", "G", "T", "N", "START", "MASK")


def test_8_8_every_row_begins_with_start():
    """Requirement 8.8: START in column 0 of every row, the empty and the cut one included."""
    tokens = tokenize(["ACGT", "", "TTTTTTTT"], max_length=6)
    np.testing.assert_array_equal(tokens[:, 0], START)
    assert not (tokens[:, 1:] == START).any()


def test_rows_hold_nucleotides_then_padding():
    tokens = tokenize(["ACGTN", "GA"], max_length=10)
    assert tokens.dtype == np.uint8
    np.testing.assert_array_equal(tokens, [[START, A, C, G, T, N], [START, G, A, PAD, PAD, PAD]])


def test_lower_case_and_rna_read_the_same():
    expected = tokenize(["GATTACA"], 10)
    for written in ("gattaca", "GAUUACA", "gauUACa"):
        np.testing.assert_array_equal(tokenize([written], 10), expected)


def test_letters_of_several_nucleotides_are_n():
    ambiguous = [letter for letter in IUPAC_LETTERS if letter not in "ACGTU"]
    assert len(ambiguous) == 11
    text = "".join(ambiguous)
    np.testing.assert_array_equal(tokenize([text, text.lower()], 20)[:, 1:], N)


def test_sequences_are_cut_at_max_length():
    np.testing.assert_array_equal(tokenize(["ACGTACGT", "ACGT"], 4), tokenize(["ACGT", "ACGT"], 4))
    # The width is that of the longest row, not max_length.
    assert tokenize(["ACG"], 512).shape == (1, 4)
    assert tokenize([], 512).shape == (0, 1)


def test_order_of_sequences_does_not_matter():
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGTN"), rng.integers(1, 30))) for _ in range(50)]
    order = rng.permutation(50)
    np.testing.assert_array_equal(tokenize([sequences[i] for i in order], 25), tokenize(sequences, 25)[order])


def test_tokens_agree_with_a_letter_by_letter_reading():
    rng = np.random.default_rng(1)
    sequences = ["".join(rng.choice(list("ACGTURYNacgtu"), rng.integers(1, 30))) for _ in range(50)]
    tokens = tokenize(sequences, 20)
    for sequence, row in zip(sequences, tokens, strict=True):
        names = [x.replace("U", "T") if x in "ACGTU" else "N" for x in sequence.upper()[:20]]
        assert [VOCABULARY[t] for t in row if t != PAD] == ["START", *names]


@pytest.mark.parametrize(
    ("letter", "message"),
    [
        ("-", "letter '-' at position 3 is a gap: give the sequences unaligned, without gaps."),
        (".", "letter '.' at position 3 is a gap: give the sequences unaligned, without gaps."),
        ("X", "letter 'X' at position 3 is no IUPAC nucleotide: only ACGTURYSWKMBDHVN are."),
        (" ", "letter ' ' at position 3 is no IUPAC nucleotide: only ACGTURYSWKMBDHVN are."),
        ("é", "letter 'é' at position 3 is no IUPAC nucleotide: only ACGTURYSWKMBDHVN are."),
    ],
)
def test_illegal_letters_are_named(letter, message):
    with pytest.raises(ValueError) as error:
        tokenize(["ACGT", "", f"AC{letter}T"], 10)
    assert str(error.value) == "In sequence number 3, " + message


def test_first_illegal_letter_finds_row_and_position():
    assert first_illegal_letter(["ACGT", "AC", ""]) is None
    assert first_illegal_letter(["ACGT", "", "ACGX-"]) == (2, 3, "X")


def test_max_length_below_one_is_refused():
    with pytest.raises(ValueError) as error:
        tokenize(["ACGT"], 0)
    assert str(error.value) == "max_length is 0; it must be at least 1 nucleotide."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ACGT" * 5, True),
        ("acgu" * 25, True),
        ("ACGTN" * 4 + "RYKM", True),
        ("ACGT" * 4 + "ACG", False),  # 19 letters
        ("CAT", False),
        ("4c5b1a8d0e9f4c5b1a8d0e9f4c5b1a8d", False),
        ("1124701", False),
        ("ACGT" * 5 + "-", False),
        ("ACGT" * 5 + "\n", False),
        ("ACGT" * 5 + "\u212a", False),  # the Kelvin sign, whose lower case is k
        ("", False),
    ],
)
def test_are_nucleotides(text, answer):
    np.testing.assert_array_equal(are_nucleotides([text]), [answer])
    np.testing.assert_array_equal(are_nucleotides(["", text, "ACGT" * 5, text]), [False, answer, True, answer])


def test_many_sequences_are_read_in_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    sequences = ["".join(rng.choice(list("ACGTNacgu"), rng.integers(0, 30))) for _ in range(50)]
    tokens, answers = tokenize(sequences, 25), are_nucleotides(sequences)
    assert 0 < answers.sum() < 50
    monkeypatch.setattr("q2_aam.study.tokenizer._BLOCK", 7)
    np.testing.assert_array_equal(tokenize(sequences, 25), tokens)
    np.testing.assert_array_equal(are_nucleotides(sequences), answers)
    sequences[38] = "AC" * 20 + "-"
    assert first_illegal_letter(sequences) == (38, 40, "-")
    np.testing.assert_array_equal(tokenize(sequences, 25)[39:], tokens[39:])
    sequences[44] = "AXA"
    with pytest.raises(ValueError, match="In sequence number 45, letter 'X' at position 2 is"):
        tokenize(sequences, 25)
