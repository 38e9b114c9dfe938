"""What files of sequences hold, and what features are called."""

from hashlib import md5

import pytest

from .inputs import GoesOn, outcome

CASES = {
    "all of 5 nt": (
        lambda g: g.fit(sequences=g.fasta({name: text[100:105] for name, text in g.sequence_of.items()})),
        "The sequences have 5 nucleotides: too few to tell microbes by. Give whole reads, or set foreign to 'ignore' "
        "to go on.",
    ),
    "all the same": (
        lambda g: g.fit(sequences=g.fasta(dict.fromkeys(g.features, g.sequence_of["f01"]))),
        "All 30 samples hold one and the same ASV alone: there is nothing by which they differ. Give a table of "
        "several ASVs.",
    ),
    "all unknown nucleotides": (
        lambda g: g.fit(sequences=g.fasta(dict.fromkeys(g.features, "N" * 150))),
        "All 30 samples hold one and the same ASV alone: there is nothing by which they differ. Give a table of "
        "several ASVs.",
    ),
    "a gap in one": (
        lambda g: g.fit(sequences=g.one_sequence("ACG-" + g.sequence_of["f01"])),
        "In the sequence of feature f01, letter '-' at position 4 is a gap: give the sequences unaligned, without "
        "gaps.",
    ),
    "a letter that is no nucleotide": (
        lambda g: g.fit(sequences=g.one_sequence("ACGX" + g.sequence_of["f01"])),
        "In the sequence of feature f01, letter 'X' at position 4 is no IUPAC nucleotide: only ACGTURYSWKMBDHVN are.",
    ),
    "a blank in one": (
        lambda g: g.fit(sequences=g.one_sequence(g.sequence_of["f01"][:50] + " " + g.sequence_of["f01"][50:])),
        "In the sequence of feature f01, letter ' ' at position 51 is no IUPAC nucleotide: only ACGTURYSWKMBDHVN are.",
    ),
    "small letters and U": (
        lambda g: g.fit(sequences=g.one_sequence(g.sequence_of["f01"].lower().replace("t", "u"))),
        GoesOn(),
    ),
    "an empty one": (
        lambda g: g.fit(sequences=g.one_sequence("")),
        "The artifact given as sequences cannot be read as a FASTA file: Found header without sequence data.",
    ),
    "no sequence in the file": (
        lambda g: g.fit(sequences=g.fasta("")),
        "The artifact given as sequences cannot be read as a FASTA file: it has no sequences.",
    ),
    "a file that is none": (
        lambda g: g.fit(sequences=g.fasta("hello\n")),
        "The artifact given as sequences cannot be read as a FASTA file: Found non-header line when attempting to "
        "read the 1st record: hello",
    ),
    "two of the same feature": (
        lambda g: g.fit(sequences=g.fasta(">f01\nACGT\n>f01\nACGA\n")),
        "The artifact given as sequences has more than one sequence for these feature IDs: f01. Keep one of each; an "
        "ID ends at the first blank.",
    ),
    "names with a blank": (
        lambda g: g.fit(sequences=g.named(lambda n: f"f {n:02d}")),
        "The artifact given as sequences has more than one sequence for these feature IDs: f. Keep one of each; an ID "
        "ends at the first blank.",
    ),
    "names with a dot": (
        lambda g: g.fit(table=g.called(lambda n: f"ASV_{n}"), sequences=g.named(lambda n: f"ASV.{n}")),
        "40 of 40 features have no sequence: ASV_1, ASV_2, ASV_3, ASV_4, ASV_5, ... (40 in all). Their IDs are no "
        "nucleotide sequences and are not among the sequences. None of them is there, but ASV.1, ASV.2, ASV.3, ASV.4, "
        "ASV.5, ... (40 in all). They are there in another spelling: 'ASV_1' is 'ASV.1' in the sequences. Name them "
        "alike.",
    ),
    "names in capitals": (
        lambda g: g.fit(sequences=g.named(lambda n: f"F{n:02d}")),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        "sequences and are not among the sequences. None of them is there, but F01, F02, F03, F04, F05, ... (40 in "
        "all). They are there in another spelling: 'f01' is 'F01' in the sequences. Name them alike.",
    ),
    "names with a prefix": (
        lambda g: g.fit(sequences=g.named(lambda n: f"run1_f{n:02d}")),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        "sequences and are not among the sequences. None of them is there, but run1_f01, run1_f02, run1_f03, "
        "run1_f04, run1_f05, ... (40 in all). Those in the sequences have 'run1_' before the same names. Name them "
        "alike.",
    ),
    "names with sizes behind them": (
        lambda g: g.fit(sequences=g.named(lambda n: f"f{n:02d};size={n};")),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        "sequences and are not among the sequences. None of them is there, but f01;size=1;, f02;size=2;, f03;size=3;, "
        "f04;size=4;, f05;size=5;, ... (40 in all). They are there in another spelling: 'f01' is 'f01;size=1;' in the "
        "sequences. Name them alike.",
    ),
    "names in quotes": (
        lambda g: g.fit(sequences=g.named(lambda n: f'"f{n:02d}"')),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        'sequences and are not among the sequences. None of them is there, but "f01", "f02", "f03", "f04", "f05", ... '
        "(40 in all). They are there in another spelling: 'f01' is '\"f01\"' in the sequences. Name them alike.",
    ),
    "other names altogether": (
        lambda g: g.fit(sequences=g.named(lambda n: f"otu{n * 7}")),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        "sequences and are not among the sequences. None of them is there, but otu7, otu14, otu21, otu28, otu35, ... "
        "(40 in all). Give the sequences of all features.",
    ),
    "other names altogether, left out": (
        lambda g: g.fit(sequences=g.named(lambda n: f"otu{n * 7}"), missing_features="ignore"),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        "sequences and are not among the sequences. None of them is there, but otu7, otu14, otu21, otu28, otu35, ... "
        "(40 in all). Give the sequences of all features.",
    ),
    "two lack": (
        lambda g: g.fit(sequences=g.fasta({name: g.sequence_of[name] for name in g.features[2:]})),
        "2 of 40 features have no sequence: f01, f02. Their IDs are no nucleotide sequences and are not among the "
        "sequences. Give the sequences of all features, or set missing_features to 'ignore' to leave these features "
        "out.",
    ),
    "hashes in the table, sequences in the file": (
        lambda g: g.fit(
            table=g.called(lambda n: md5(g.sequence_of[f"f{n:02d}"].encode()).hexdigest()),
            sequences=g.named(lambda n: g.sequence_of[f"f{n:02d}"]),
        ),
        "40 of 40 features have no sequence: 7ecc42f3be1d79cefe8c68b5e757acc1, b1997218fab08852c8282f8caff2dcd9, "
        "281dd3bc803976d6ccf27e7b2ad1fcb3, 0131d95d49e8a8a1a090cf25b3711551, ef8aa4b3108daae53c74e1f9ab9ea153, ... "
        "(40 in all). Their IDs are no nucleotide sequences and are not among the sequences. None of them is there, "
        "but TGGCCAAAATGTGCTG...TGAGGGGGTTCCGAAC (150 letters), TGACCAAAAGGAGGTA...TTACGCGGTTTCCTAC (150 letters), "
        "TTGCCGTAGTGTGGTG...TTACGAGGTTGCCCTC (150 letters), TGGCCAAAATGTGCTG...TTTCGGGGTTCCCTCC (150 letters), "
        "AGGCCAAAAGGTGGTA...TAACTAGGTTCCCTAC (150 letters), ... (40 in all). They are hashes, while the names in the "
        "sequences are the sequences themselves. Name them alike.",
    ),
    "sequences in the table, hashes in the file": (
        lambda g: g.fit(
            table=g.called(lambda n: g.sequence_of[f"f{n:02d}"]),
            sequences=g.named(lambda n: md5(g.sequence_of[f"f{n:02d}"].encode()).hexdigest()),
        ),
        GoesOn(),
    ),
    "names of taxa": (
        lambda g: g.fit(table=g.called(lambda n: f"k__Bacteria;p__Phylum{n}")),
        "40 of 40 features have no sequence: k__Bacteria;p__Phylum1, k__Bacteria;p__Phylum2, k__Bacteria;p__Phylum3, "
        "k__Bacteria;p__Phylum4, k__Bacteria;p__Phylum5, ... (40 in all). Their IDs are no nucleotide sequences and "
        "are not among the sequences. None of them is there, but f01, f02, f03, f04, f05, ... (40 in all). They are "
        "names of taxa, as of a collapsed table: give the table of ASVs that it was made from.",
    ),
    "no file, names that are no sequences": (
        lambda g: g.fit(sequences=None),
        "40 of 40 features have no sequence: f01, f02, f03, f04, f05, ... (40 in all). Their IDs are no nucleotide "
        "sequences and no sequences were given. Give the sequences of all features.",
    ),
    "no file, names that are sequences": (
        lambda g: g.fit(table=g.called(lambda n: g.sequence_of[f"f{n:02d}"]), sequences=None),
        GoesOn(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_sequence_files(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
