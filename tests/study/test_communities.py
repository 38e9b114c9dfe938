import tracemalloc
import warnings

import biom
import numpy as np
import pytest
import scipy.sparse as sp

from q2_aam.study.communities import asv_hashes, read_communities, read_sequences
from q2_aam.study.tokenizer import PAD, START, VOCABULARY, tokenize

# Four features: f1 and f3 share a sequence, in different letters; f2 has an ambiguous one.
SEQUENCES = {"f0": "ACGTACGT", "f1": "GGGG", "f2": "ACRT", "f3": "gggg"}
COUNTS = [[5, 0, 1], [2, 3, 0], [0, 4, 0], [1, 1, 0]]
LEFTOUT = (
    "Give the sequences of all features, or set missing_features to 'ignore' to leave these features out."
)


def table_of(counts=COUNTS, features=None):
    counts = np.array(counts, dtype=float)
    features = features or [f"f{i}" for i in range(counts.shape[0])]
    return biom.Table(counts, features, [f"s{i}" for i in range(counts.shape[1])])


def text_of(row):
    return "".join(VOCABULARY[token] for token in row if token not in (PAD, START))


def as_dict(communities):
    """Reads by sample ID and sequence: what stays the same whatever the order."""
    counts = communities.counts.tocoo()
    return {
        (communities.sample_ids[sample], text_of(communities.tokens[asv])): count
        for sample, asv, count in zip(counts.row, counts.col, counts.data, strict=True)
    }


def assert_well_formed(communities):
    counts = communities.counts
    assert counts.format == "csr" and counts.dtype == np.float32
    assert counts.has_sorted_indices and (counts.data > 0).all()
    assert counts.shape == (len(communities), len(communities.tokens))
    assert communities.tokens.dtype == np.uint8 and communities.sample_ids.dtype == object
    assert len(np.unique(communities.tokens, axis=0)) == len(communities.tokens)
    np.testing.assert_array_equal(communities.tokens[:, 0], START)
    for reads in (communities.reads_cut, communities.reads_dropped, communities.reads_ambiguous):
        assert reads.dtype == np.float64 and reads.shape == (len(communities),)


def test_features_of_one_sequence_are_one_asv():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        communities = read_communities(table_of(), SEQUENCES, max_length=8)
    assert_well_formed(communities)
    np.testing.assert_array_equal(communities.tokens, tokenize(["ACGTACGT", "GGGG", "ACNT"], 8))
    np.testing.assert_array_equal(communities.counts.toarray(), [[5, 3, 0], [0, 4, 4], [1, 0, 0]])
    assert list(communities.sample_ids) == ["s0", "s1", "s2"]
    np.testing.assert_array_equal(communities.reads_ambiguous, [0, 4, 0])
    np.testing.assert_array_equal(communities.reads_cut, [0, 0, 0])
    np.testing.assert_array_equal(communities.reads_dropped, [0, 0, 0])
    assert (communities.n_features, communities.n_cut) == (4, 0)


def test_sequences_equal_after_cutting_are_one_asv():
    sequences = {"f0": "ACGTAAAA", "f1": "ACGTCC", "f2": "ACGT", "f3": "ACG"}
    with pytest.warns(UserWarning) as caught:
        communities = read_communities(table_of(), sequences, max_length=4)
    assert [str(w.message) for w in caught] == [
        "2 of 4 features have a sequence longer than 4 nucleotides (max_length); only the first 4 are read."
    ]
    assert_well_formed(communities)
    assert as_dict(communities) == {
        ("s0", "ACGT"): 7,
        ("s1", "ACGT"): 7,
        ("s2", "ACGT"): 1,
        ("s0", "ACG"): 1,
        ("s1", "ACG"): 1,
    }
    np.testing.assert_array_equal(communities.reads_cut, [7, 3, 1])
    assert communities.n_cut == 2


def test_shuffled_table_gives_the_same_communities(survey):
    rng = np.random.default_rng(3)
    # Every third feature gets its neighbour's sequence, so that merging is at work.
    sequences = {f: survey.features[i - (i % 3 == 1)] for i, f in enumerate(survey.features)}
    shuffled = survey.table.sort_order(rng.permutation(survey.table.ids())).sort_order(
        rng.permutation(survey.features), axis="observation"
    )
    straight = read_communities(survey.table, sequences, max_length=30)
    other = read_communities(shuffled, dict(reversed(sequences.items())), max_length=30)
    assert len(straight.tokens) == len(set(sequences.values())) < len(sequences)
    assert as_dict(other) == as_dict(straight)
    assert list(other.sample_ids) == list(shuffled.ids())


def test_counts_agree_with_a_plain_sum_over_the_table(survey):
    sequences = {f: survey.features[i // 2] for i, f in enumerate(survey.features)}
    expected = {}
    for sample, row in zip(survey.table.ids(), survey.counts, strict=True):
        for feature, count in zip(survey.features, row, strict=True):
            if count:
                key = sample, sequences[feature]
                expected[key] = expected.get(key, 0) + count
    assert as_dict(read_communities(survey.table, sequences, max_length=30)) == expected


def test_reading_does_not_change_the_table(survey):
    before = survey.table.copy()
    read_communities(survey.table, None, max_length=30)
    assert survey.table == before


def test_ids_that_are_sequences_need_no_others(survey):
    alone = read_communities(survey.table, None, max_length=30)
    given = read_communities(survey.table, {f: f for f in survey.features}, max_length=30)
    np.testing.assert_array_equal(alone.tokens, given.tokens)
    np.testing.assert_array_equal(alone.counts.toarray(), given.counts.toarray())
    np.testing.assert_array_equal(alone.counts.toarray(), survey.counts)


def test_given_sequences_come_before_the_ids():
    features = ["ACGT" * 6, "TTTT" * 6]
    communities = read_communities(table_of([[1, 2], [3, 4]], features), {features[0]: "GGGG"}, max_length=30)
    assert as_dict(communities) == {
        ("s0", "GGGG"): 1,
        ("s1", "GGGG"): 2,
        ("s0", features[1]): 3,
        ("s1", features[1]): 4,
    }


def test_features_without_a_sequence_are_refused_by_name():
    table = table_of(np.ones((7, 2)))
    with pytest.raises(ValueError) as error:
        read_communities(table, {"f3": "ACGT"}, max_length=8)
    assert str(error.value) == (
        "6 of 7 features have no sequence: f0, f1, f2, f4, f5, ... (6 in all). Their IDs are no nucleotide "
        "sequences and are not among the sequences. " + LEFTOUT
    )
    with pytest.raises(ValueError) as error:
        read_communities(table_of(np.ones((1, 2))), None, max_length=8)
    assert str(error.value) == (
        "1 of 1 features have no sequence: f0. Their IDs are no nucleotide sequences and no sequences were "
        "given. Give the sequences of all features."
    )


def test_features_without_a_sequence_are_counted_when_ignored():
    sequences = {"f0": "ACGT", "f2": "GGGG"}
    communities = read_communities(
        table_of([[5, 1, 1], [2, 3, 0], [0, 4, 0], [1, 1, 0]]),
        sequences,
        max_length=8,
        missing_features="ignore",
    )
    assert_well_formed(communities)
    assert as_dict(communities) == {
        ("s0", "ACGT"): 5,
        ("s1", "ACGT"): 1,
        ("s2", "ACGT"): 1,
        ("s1", "GGGG"): 4,
    }
    np.testing.assert_array_equal(communities.reads_dropped, [3, 4, 0])
    assert communities.n_features == 4
    assert list(communities.left_out) == list(communities.subset([1]).left_out) == ["f1", "f3"]


def test_a_sample_left_empty_is_refused_by_name():
    with pytest.raises(ValueError) as error:
        read_communities(table_of(), {"f1": "ACGT"}, max_length=8, missing_features="ignore")
    assert str(error.value) == (
        "1 of 3 samples have no reads left without the features that have no sequence: s2. "
        "Remove them from the feature table."
    )


def test_features_without_reads_are_left_aside():
    communities = read_communities(table_of([[1, 2], [0, 0]]), {"f0": "ACGT"}, max_length=8)
    np.testing.assert_array_equal(communities.tokens, tokenize(["ACGT"], 8))
    assert communities.n_features == 2


def test_an_illegal_letter_is_named_with_its_feature():
    with pytest.raises(ValueError) as error:
        read_communities(table_of(), {**SEQUENCES, "f2": "AC-T"}, max_length=8)
    assert str(error.value) == (
        "In the sequence of feature f2, letter '-' at position 3 is a gap: give the sequences unaligned, "
        "without gaps."
    )
    # Beyond max_length too: a file that holds it is not what the user thinks it is.
    with pytest.raises(ValueError, match="feature f2, letter 'Z' at position 5 is no IUPAC nucleotide"):
        read_communities(table_of(), {**SEQUENCES, "f2": "ACGTZ"}, max_length=2)


def test_an_unknown_answer_to_missing_features_is_refused():
    with pytest.raises(ValueError) as error:
        read_communities(table_of(), SEQUENCES, max_length=8, missing_features="drop")
    assert str(error.value) == "missing_features is 'drop'; it must be one of error, ignore."


def test_subset_takes_samples_in_the_order_asked_for():
    with pytest.warns(UserWarning, match="2 of 2 features have a sequence longer than 3"):
        whole = read_communities(
            table_of([[5, 1, 1], [2, 3, 0], [0, 4, 0], [1, 1, 0]]),
            {"f0": "ACGT", "f2": "GRRG"},
            max_length=3,
            missing_features="ignore",
        )
    part = whole.subset(np.array([2, 1]))
    assert_well_formed(part)
    assert len(part) == 2 and list(part.sample_ids) == ["s2", "s1"]
    np.testing.assert_array_equal(part.counts.toarray(), whole.counts.toarray()[[2, 1]])
    np.testing.assert_array_equal(part.tokens, whole.tokens)
    np.testing.assert_array_equal(part.reads_cut, [1, 5])
    np.testing.assert_array_equal(part.reads_dropped, [0, 4])
    np.testing.assert_array_equal(part.reads_ambiguous, [0, 4])


def test_hash_is_an_asvs_identity_whatever_the_matrix():
    narrow = tokenize(["ACGT", "GGG", "ACG"], 10)
    wide = tokenize(["ACGT", "A" * 9, "GGG"], 10)
    hashes, others = asv_hashes(narrow), asv_hashes(wide)
    assert hashes.dtype == np.int64 and hashes.shape == (3,)
    assert len(set(hashes)) == 3
    assert (others[0], others[2]) == (hashes[0], hashes[1])
    assert others[1] not in hashes
    # Fixed for good: models keep these numbers.
    assert asv_hashes(narrow[:1]).tolist() == [-2896458646604775682]


def test_read_sequences(tmp_path):
    fasta = tmp_path / "sequences.fasta"
    fasta.write_text(">a some words\nACGT\nacgu\n>b\nGGRN\n")
    assert read_sequences(fasta) == {"a": "ACGTacgu", "b": "GGRN"}


def test_read_sequences_refuses_repeated_ids_by_name(tmp_path):
    fasta = tmp_path / "sequences.fasta"
    fasta.write_text("".join(f">{i}\nACGT\n" for i in "abcdefgabcdefgaz"))
    with pytest.raises(ValueError) as error:
        read_sequences(fasta)
    assert str(error.value) == (
        f"{fasta} has more than one sequence for these feature IDs: a, b, c, d, e, ... (7 in all). "
        "Keep one of each; an ID ends at the first blank."
    )


@pytest.mark.parametrize("text", ["", "no fasta\n", ">a\n>b\nACGT\n"])
def test_read_sequences_refuses_what_is_no_fasta(tmp_path, text):
    fasta = tmp_path / "sequences.fasta"
    fasta.write_text(text)
    with pytest.raises(ValueError) as error:
        read_sequences(fasta)
    assert str(error.value).startswith(f"{fasta} cannot be read as a FASTA file: ")


@pytest.mark.parametrize(
    ("name", "asvs"),
    [
        ("ibd-crohns-families", 1726),
        ("moving-pictures-bodysite", 2335),
        ("oral-saliva-ph", 1613),
        ("ecam-infant-age", 1181),
        ("soil88-ph", 4170),
    ],
)
def test_real_studies(study, name, asvs):
    """Sequence IDs, MD5 IDs, and Greengenes IDs of which several share a sequence."""
    given = study(name)
    sequences = read_sequences(given.fasta)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        communities = read_communities(given.table, sequences, max_length=512)
    assert_well_formed(communities)
    assert len(communities.tokens) == asvs == len({sequences[f] for f in given.table.ids("observation")})
    assert list(communities.sample_ids) == list(given.table.ids())
    np.testing.assert_array_equal(communities.counts.sum(axis=1, dtype=float).A1, given.table.sum("sample"))
    assert communities.n_features == given.table.shape[0]
    if name in ("ecam-infant-age", "soil88-ph"):
        with pytest.raises(ValueError, match="features have no sequence: .* no sequences were given"):
            read_communities(given.table, None, max_length=512)
    else:
        alone = read_communities(given.table, None, max_length=512)
        np.testing.assert_array_equal(alone.tokens, communities.tokens)
        assert (alone.counts != communities.counts).nnz == 0


@pytest.mark.parametrize("missing_features", ["error", "ignore"])
def test_memory_is_of_the_order_of_the_counts_that_are_there(missing_features):
    """40,000 features x 20,000 samples, of which 2 in 10,000 are more than 0: 3.2 GB if it were dense."""
    rng = np.random.default_rng(0)
    features, samples, n = 40_000, 20_000, 160_000
    letters = rng.choice(list("ACGT"), (features, 30))
    sequences = dict(zip(map(str, range(features)), map("".join, letters), strict=True))
    if missing_features == "ignore":
        del sequences["0"], sequences["77"]
    columns = np.concatenate([np.arange(samples), rng.integers(0, samples, n)])
    rows = np.concatenate([np.full(samples, 1), rng.integers(0, features, n)])
    counts = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(features, samples))
    table = biom.Table(counts, list(map(str, range(features))), list(map(str, range(samples))))
    tracemalloc.start()
    communities = read_communities(table, sequences, max_length=100, missing_features=missing_features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_well_formed(communities)
    assert communities.counts.sum() + communities.reads_dropped.sum() == len(rows)
    size = communities.counts.data.nbytes + communities.counts.indices.nbytes + communities.tokens.nbytes
    # Texts and their hashes, of which Python makes objects, are the rest.
    assert peak < 4 * size + 300 * features
