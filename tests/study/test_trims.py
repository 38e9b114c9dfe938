"""Lengths that tables were trimmed to: told by sample, in what is learnt from and in what is predicted."""

import biom
import numpy as np
import pytest

from q2_aam.study.communities import Communities, read_communities
from q2_aam.study.trims import (
    Lengths,
    cut_longer,
    lengths_of,
    mixture_caution,
    other_trim_caution,
    refuse_cut,
)

TRIMMED = Lengths(60, 60)


def communities_of(lengths: list[int], counts: np.ndarray) -> Communities:
    """ASVs of some lengths, features x samples."""
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), length)) for length in lengths]
    samples = [f"s{i}" for i in range(counts.shape[1])]
    return read_communities(biom.Table(counts, sequences, samples), None, max_length=512)


def two_kinds(first: int, second: int, samples: tuple[int, int] = (5, 3)) -> Communities:
    """Samples that hold sequences of one length, then some of the same cut to, or read to, another."""
    counts = np.zeros((8, sum(samples)))
    counts[:4, : samples[0]], counts[4:, samples[0] :] = 10, 10
    rng = np.random.default_rng(0)
    whole = ["".join(rng.choice(list("ACGT"), max(first, second))) for _ in range(8 if first == second else 4)]
    sequences = whole if first == second else [text[:length] for length in (first, second) for text in whole]
    table = biom.Table(counts, sequences, [f"s{i}" for i in range(sum(samples))])
    return read_communities(table, None, max_length=512)


def test_a_trim_is_known_by_the_reads_of_each_sample_alike():
    assert lengths_of(two_kinds(60, 60)) == TRIMMED
    # One odd ASV with few reads, in a deep sample.
    counts = np.full((20, 4), 1000.0)
    counts[:, 3] *= 1000
    counts[0] = 1
    assert lengths_of(communities_of([55] + [60] * 19, counts)) == TRIMMED
    merged = communities_of([251, 252, 253, 253, 254], np.ones((5, 3)))
    assert lengths_of(merged) == Lengths(251, 254) and not lengths_of(merged).trimmed


def test_merged_reads_of_nearly_one_length_are_not_trimmed():
    """V4 merges to 253 nucleotides in 97% of some tables; a sample of a microbe of 252 is of the same kind."""
    counts = np.full((40, 4), 10.0)
    learnt = lengths_of(communities_of([252] + [253] * 39, counts))
    assert learnt == Lengths(252, 253)
    assert other_trim_caution(two_kinds(253, 254), learnt, "error") is None
    for others in (199, 300, 900):
        # However rare: of 0.1 to 0.5%, too.
        many = lengths_of(communities_of([252] + [253] * others, np.full((others + 1, 3), 10.0)))
        assert many == Lengths(252, 253), others
    # Some samples, or all, of one microbe each.
    pure = np.zeros((8, 6))
    pure[:4, :3], pure[4:, 3:] = 10, 10
    assert mixture_caution(communities_of([253] * 4 + [252] * 4, pure), "error") is None
    assert mixture_caution(communities_of([428] * 4 + [407] * 4, np.hstack([pure, np.ones((8, 2))])), "error") is None
    table = np.zeros((8, 9))
    table[:4, :4], table[4:, 4:7], table[:, 7:] = 10, 10, 10
    assert mixture_caution(communities_of([253] * 4 + [252] * 4, table), "error") is None


def test_a_few_odd_samples_among_merged_reads_are_told_of_only():
    one = two_kinds(253, 150, (39, 1))
    assert other_trim_caution(one, Lengths(251, 254), "error").startswith("1 of 40 samples hold mostly sequences of")
    with pytest.raises(ValueError, match="^1 of 40 samples hold mostly sequences of 150"):
        other_trim_caution(one, Lengths(253, 253), "error")


def test_lengths_that_vary_much_may_vary_more():
    """As those of ITS do."""
    assert other_trim_caution(two_kinds(300, 420), Lengths(180, 380), "error") is None


def test_lengths_pass_through_model_json():
    assert Lengths.from_dict(Lengths(251, 254).to_dict()) == Lengths(251, 254)
    assert Lengths.from_dict(None) is None
    for content in ([], {}, {"shortest": 3}, {"shortest": 5, "longest": 4}, {"shortest": "1", "longest": 2}, 7):
        with pytest.raises(ValueError, match="^The lengths of sequences that the model has learnt from are none"):
            Lengths.from_dict(content)
    assert str(Lengths(251, 254)) == "251 to 254" and str(TRIMMED) == "60"


def test_a_table_of_two_trims_is_not_learnt_from():
    said = (
        r"^Samples were trimmed to different lengths \(nucleotides\): 3 of 50 \(s5, s6, s7\), 5 of 60 \(s0, s1, s2, "
        r"s3, s4\). The same microbe is another ASV at each, and a model learns the trim in place of the microbes."
    )
    mixed = two_kinds(60, 50)
    with pytest.raises(ValueError, match=f"{said} Trim all to 50, or set foreign to 'ignore' to go on.$"):
        mixture_caution(mixed, "error")
    assert mixture_caution(mixed, "ignore").endswith("in place of the microbes.")


def test_merged_reads_and_single_odd_samples_are_no_mixture():
    assert mixture_caution(communities_of([251, 252, 253, 254], np.ones((4, 6))), "error") is None
    assert mixture_caution(two_kinds(60, 50, (6, 2)), "error") is None
    assert mixture_caution(two_kinds(60, 60), "error") is None


@pytest.mark.parametrize(
    ("length", "end"),
    [
        (
            50,
            "Trim reads as those that were learnt from, make both tables alike by harmonize-regions, or set foreign to "
            "'ignore' to go on.",
        ),
        (61, "Set foreign to 'mend' to have sequences cut to that length, or trim reads as those .* to 'ignore'."),
    ],
)
def test_another_trim_is_refused_by_sample(length, end):
    said = (
        f"^3 of 8 samples hold mostly sequences of {length} nucleotides, while the model has learnt from sequences of "
        r"60 \(100% of their reads are of another length\): s5, s6, s7. The same microbe is another ASV then"
    )
    other = two_kinds(60, length)
    with pytest.raises(ValueError, match=f"{said}.* {end}"):
        other_trim_caution(other, TRIMMED, "error")
    assert other_trim_caution(other, TRIMMED, "ignore").endswith("what is predicted means little.")


def test_lengths_of_merged_reads_may_lie_a_little_outside():
    learnt = Lengths(251, 254)
    assert other_trim_caution(two_kinds(253, 248), learnt, "error") is None
    with pytest.raises(ValueError, match="of 150 nucleotides, while the model has learnt from sequences of 251 to 254"):
        other_trim_caution(two_kinds(253, 150), learnt, "error")


def test_longer_sequences_are_cut_to_what_was_learnt():
    """What becomes alike is one ASV with the reads of both, and the same as if it had been read so."""
    rng = np.random.default_rng(1)
    start = "".join(rng.choice(list("ACGT"), 60))
    sequences = [start, start + "ACGTACG", start[::-1] + "AAA", start[::-1]]
    table = biom.Table(np.array([[1.0, 2], [3, 0], [5, 7], [0, 11]]), sequences, ["s0", "s1"])
    whole = read_communities(table, None, max_length=512)
    cut, said = cut_longer(whole, TRIMMED)
    with pytest.warns(UserWarning, match="longer than 60"):
        expected = read_communities(table, None, max_length=60)
    assert np.array_equal(cut.tokens[:, : expected.tokens.shape[1]], expected.tokens)
    assert np.array_equal(cut.counts.toarray(), [[4, 5], [2, 18]])
    assert np.array_equal(cut.reads_cut, expected.reads_cut) and np.array_equal(cut.hashes, expected.hashes)
    assert cut.asv_of_feature.equals(expected.asv_of_feature)
    assert said.startswith("2 of 4 ASVs were cut to the 60 nucleotides that the model has learnt from; 2 distinct ones")
    assert other_trim_caution(cut, TRIMMED, "mend") is None
    # What was cut in reading is not counted twice.
    again, _ = cut_longer(expected, Lengths(50, 50))
    assert (again.reads_cut <= np.asarray(again.counts.sum(1)).ravel()).all()
    # Nothing is cut where lengths vary, or nothing is longer.
    for learnt in (Lengths(50, 60), Lengths(70, 70)):
        assert cut_longer(whole, learnt) == (whole, None)


def test_sequences_that_are_cut_are_refused_with_the_asvs_that_become_alike():
    sequences = ["ACGTACGT", "ACGTACCC", "acguacgt", "ACGT", "TTTT"]
    features = [f"f{i}" for i in range(5)]
    table = biom.Table(np.ones((5, 2)), features, ["s0", "s1"])
    with pytest.warns(UserWarning, match="^3 of 5 features have a sequence longer than 4 nucleotides"):
        communities = read_communities(table, dict(zip(features, sequences, strict=True)), max_length=4)
    assert communities.n_alike == 2
    with pytest.raises(ValueError) as error:
        refuse_cut(communities, "Do so.")
    assert str(error.value) == (
        "3 of 5 features have a sequence of more than 4 nucleotides, of which the encoder reads the first 4 alone, so "
        "that 2 become the same as others. Do so."
    )
    whole = read_communities(table, dict(zip(features, sequences, strict=True)), max_length=8)
    assert whole.n_alike == 0
    refuse_cut(whole)
