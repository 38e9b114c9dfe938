"""How sequences begin: later or sooner, from the other end or quite otherwise is told from what is right."""

from dataclasses import replace

import biom
import numpy as np
import pytest

from q2_aam.simulation.study import simulate_study
from q2_aam.study.beginnings import OTHER, REGIONS, TURNED, Beginning, beginning_caution, turn_round
from q2_aam.study.communities import Communities, read_communities
from q2_aam.study.study import read_study
from q2_aam.study.tokenizer import A, N, T, reverse_complements, tokenize
from tests.study.conftest import STUDIES

PRIMER = "GTGCCAGCAGCCGCGGTAA"


@pytest.fixture(scope="module")
def communities() -> Communities:
    return simulate_study(n_samples=40, target="ph").communities


@pytest.fixture(scope="module")
def beginning(communities) -> Beginning:
    return Beginning.of(communities)


def texts(tokens: np.ndarray) -> list[str]:
    return ["".join("?ACGTN??"[token] for token in row[1:] if token) for row in tokens]


def shuffled(tokens: np.ndarray) -> np.ndarray:
    return np.concatenate([tokens[:, :1], np.random.default_rng(0).permuted(tokens[:, 1:], axis=1)], axis=1)


CHANGES = {
    "turned": (reverse_complements, TURNED),
    "1 later": (lambda tokens: tokenize([text[1:] for text in texts(tokens)], 80), "They begin 1 nucleotides later"),
    "13 later": (lambda tokens: tokenize([text[13:] for text in texts(tokens)], 80), "They begin 13 nucleotides later"),
    "primer": (
        lambda tokens: tokenize([PRIMER + text for text in texts(tokens)], 80),
        r"They begin 19 nucleotides sooner \(a primer may be there still\): cut",
    ),
    "shuffled": (shuffled, OTHER),
}


def changed(communities: Communities, change, samples: int) -> Communities:
    """The first samples hold other sequences."""
    other = change(communities.tokens)
    width = max(other.shape[1], communities.tokens.shape[1])
    both = [np.pad(tokens, ((0, 0), (0, width - tokens.shape[1]))) for tokens in (communities.tokens, other)]
    counts = communities.counts.toarray()
    wide = np.hstack([counts, np.zeros_like(counts)])
    wide[:samples] = np.roll(wide[:samples], counts.shape[1], axis=1)
    return replace(communities, counts=type(communities.counts)(wide), tokens=np.concatenate(both))


def test_own_sequences_begin_as_usual(communities, beginning):
    assert not beginning.shifts(communities.tokens).any() and not beginning.turned(communities.tokens).any()
    assert beginning_caution(communities, beginning, "error") is None
    assert turn_round(communities, beginning) == (communities, None)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_table_that_begins_elsewhere_is_refused_with_the_cause(communities, beginning, kind):
    change, cause = CHANGES[kind]
    other = changed(communities, change, 40)
    said = (
        "^40 of 40 samples hold mostly sequences that do not begin as those do that the model has learnt from "
        rf"\((100|99|98|97|96|95)% of their reads\): .* \(40 in all\)\. {cause}.* set foreign to 'ignore' to go on\.$"
    )
    with pytest.raises(ValueError, match=said):
        beginning_caution(other, beginning, "error")
    assert beginning_caution(other, beginning, "ignore").endswith("What is predicted of them means little.")


@pytest.mark.parametrize(
    ("kind", "samples", "learnt", "stops"),
    [
        # To be predicted: one with a cause stops, without one it takes a tenth and three.
        ("turned", 1, False, True), ("1 later", 1, False, True), ("shuffled", 4, False, False),
        ("shuffled", 5, False, True),
        # To be learnt from, one or two are an accident.
        ("turned", 2, True, False), ("turned", 3, True, True), ("13 later", 3, True, True),
        ("shuffled", 4, True, False),
    ],
)  # fmt: skip
def test_samples_are_told_one_by_one(communities, beginning, kind, samples, learnt, stops):
    change, cause = CHANGES[kind]
    table = changed(communities, change, samples)
    own = Beginning.of(table) if learnt else beginning
    if stops:
        ids = ", ".join(table.sample_ids[:samples])
        what = "most others do" if learnt else "those do that the model has learnt from"
        with pytest.raises(ValueError, match=rf"^{samples} of 40 samples .* as {what} .*: {ids}\. {cause}"):
            beginning_caution(table, own, "error", learnt=learnt)
    else:
        assert beginning_caution(table, own, "error", learnt=learnt).startswith(f"{samples} of 40 samples")


def test_a_mixture_has_the_beginning_of_the_commonest_and_not_the_mean_of_all(communities, beginning):
    mixed = changed(communities, CHANGES["turned"][0], 15)
    assert Beginning.of(mixed).shares == pytest.approx(beginning.shares, abs=0.1)
    with pytest.raises(ValueError, match=f"^15 of 40 samples .* as most others do .* {TURNED} Or set foreign"):
        beginning_caution(mixed, Beginning.of(mixed), "error", learnt=True)


def test_reverse_complements_are_turned_round_to_what_they_were(communities, beginning):
    other = changed(communities, reverse_complements, 9)
    with pytest.raises(ValueError, match=f"{TURNED} Set foreign to 'mend' to have that done, or set foreign"):
        beginning_caution(other, beginning, "error", mend=True)
    mended, said = turn_round(other, beginning)
    assert said == f"{len(communities.tokens)} of {2 * len(communities.tokens)} ASVs were turned round: they were " + (
        "reverse complements."
    )
    assert np.array_equal(mended.tokens, communities.tokens)
    assert np.array_equal(mended.counts.toarray(), communities.counts.toarray())


def test_it_passes_through_a_model(beginning):
    again = Beginning.from_arrays({"shares": beginning.shares, "worst": np.array(beginning.worst)})
    assert np.array_equal(again.shares, beginning.shares) and again.worst == beginning.worst
    for shares in (np.zeros((0, 4)), np.zeros((5, 4)), np.full((5, 3), 0.3), np.full((5, 4), 2.0), np.full(4, 0.2)):
        with pytest.raises(ValueError, match="shares of nucleotides"):
            Beginning(shares, -1.0)


@pytest.mark.parametrize("text", ["A", "ACG", "N" * 30, "ACGT" * 20])
def test_short_and_unknown_sequences_have_an_answer(beginning, text):
    one = read_communities(biom.Table(np.ones((1, 1)), ["a"], ["only"]), {"a": text}, max_length=100)
    own = Beginning.of(one)
    assert not own.shifts(one.tokens).any() and not own.turned(one.tokens).any()
    assert beginning.shifts(one.tokens).shape == (1,)
    assert beginning_caution(one, own, "error", learnt=True) is None
    said = beginning_caution(one, beginning, "ignore")
    assert said is None or said.startswith("1 of 1 samples")


@pytest.mark.parametrize("places", [[5], [1, 2, 3, 4], list(range(20, 30))])
def test_places_that_no_sequence_tells_shift_nothing(communities, places):
    """A failed cycle, or a joiner of N: the places behind them stay where they are."""
    tokens = communities.tokens.copy()
    tokens[:, places] = N
    own = Beginning.of(replace(communities, tokens=tokens))
    assert not own.shifts(tokens).any() and not own.shifts(communities.tokens).any()


def test_sequences_of_which_too_little_is_known_are_not_judged(communities, beginning):
    tokens = communities.tokens.copy()
    tokens[:, 1:46] = N
    assert not beginning.shifts(tokens).any()


@pytest.mark.parametrize("asvs", [1, 3, 10])
def test_a_model_of_few_asvs_knows_its_region(communities, beginning, asvs):
    few = replace(communities, counts=communities.counts[:, :asvs], tokens=communities.tokens[:asvs])
    few = few.subset(np.flatnonzero(np.diff(few.counts.indptr)))
    small = Beginning.of(few)
    assert beginning_caution(communities, small, "error") is None
    for kind in ("turned", "13 later", "shuffled"):
        with pytest.raises(ValueError, match="^40 of 40 samples"):
            beginning_caution(changed(communities, CHANGES[kind][0], 40), small, "error")


@pytest.mark.parametrize("asvs", [5, 20, 100])
def test_a_table_that_begins_in_no_common_way_is_not_refused(asvs):
    rng = np.random.default_rng(asvs)
    texts = ["".join(rng.choice(list("ACGT"), 90)) for _ in range(asvs)]
    table = biom.Table((rng.random((asvs, 10)) < 0.6) * 10.0 + np.eye(asvs, 10), texts, [f"s{i}" for i in range(10)])
    own = read_communities(table, None, max_length=100)
    assert beginning_caution(own, Beginning.of(own), "error", learnt=True) is None


def test_unknown_nucleotides_are_not_counted(communities, beginning):
    tokens = communities.tokens.copy()
    tokens[:, 1:61:3] = N
    assert not beginning.shifts(tokens).any()


@pytest.mark.skipif(not STUDIES.exists(), reason="the public studies are not here")
@pytest.mark.parametrize("name", ["ecam-infant-age", "ibd-crohns-families", "corpus/feces-v34-192people"])
def test_public_studies(name):
    """Each begins as itself; those of V4 begin alike, and otherwise than V3-V4."""

    def read(name: str) -> Communities:
        return read_study(STUDIES / name / "table.biom", STUDIES / name / "sequences.fasta").communities

    own, v4 = read(name), read("soil88-ph")
    found = Beginning.of(own)
    assert beginning_caution(own, found, "error", learnt=True) is None
    later = own.rewritten(np.delete(own.tokens, range(1, 6), axis=1))
    with pytest.raises(ValueError, match="They begin 5 nucleotides later"):
        beginning_caution(later, found, "error")
    with pytest.raises(ValueError, match=TURNED):
        beginning_caution(own.rewritten(reverse_complements(own.tokens)), found, "error")
    if "v34" in name:
        with pytest.raises(ValueError, match=OTHER):
            beginning_caution(v4, found, "error")
    else:
        assert beginning_caution(v4, found, "error") is None


def test_an_oddity_that_all_samples_hold_is_not_the_beginning(communities):
    """A contaminant may be the commonest ASV; what most others are like counts."""
    counts = communities.counts.toarray()
    counts[np.arange(40), counts.argmax(1)] = 0
    oddity = tokenize(["".join(np.random.default_rng(0).choice(list("ACGT"), 60))], 60)
    wide = np.hstack([counts, np.ones((40, 1))])
    counts[:, 0] = 0
    # No ASV but the oddity is in all samples.
    wide[np.arange(counts.shape[1]) % 40, np.arange(counts.shape[1])] = 0
    held = (wide > 0).sum(0)
    assert held.argmax() == counts.shape[1] and held[-1] > held[:-1].max()
    tokens = np.concatenate([communities.tokens, oddity])
    table = replace(communities, counts=type(communities.counts)(wide.astype(np.float32)), tokens=tokens)
    shifts = Beginning.of(table).shifts(tokens)
    assert not shifts[:-1].any() and shifts[-1] != 0


@pytest.mark.parametrize("region, start", REGIONS.items())
def test_regions_are_known_by_how_reads_of_their_primers_begin(region, start):
    rng = np.random.default_rng(0)
    drawn = rng.integers(A, T + 1, (30, 80)).astype(np.uint8)
    own = tokenize([start], 80)[0, 1:]
    drawn[:, : len(own)] = np.where(own == N, drawn[:, : len(own)], own)
    ids = [f"s{number}" for number in range(30)]
    table = biom.Table(np.eye(30) + 1, texts(np.pad(drawn, ((0, 0), (1, 0)))), ids)
    beginning = Beginning.of(read_communities(table, None, max_length=80))
    assert beginning.region() == region
    assert beginning.usual[: len(own)] == start
    later = biom.Table(np.eye(30) + 1, texts(drawn[:, 8:]), ids)
    assert Beginning.of(read_communities(later, None, max_length=80)).region() is None


def test_the_simulated_survey_is_of_v4_and_some_tables_of_no_region_that_is_known(communities, beginning):
    assert beginning.region() == "V4 (or V4-V5), from primer 515F on"
    turned = replace(communities, tokens=reverse_complements(communities.tokens))
    assert Beginning.of(turned).region() is None
    nothing = Beginning(np.full((60, 4), 0.25, dtype=np.float32), float(np.log(0.01)))
    assert nothing.region() is None and nothing.usual == "N" * 60


@pytest.mark.parametrize(
    "study, region",
    [
        ("ibd-crohns-families", "V4 "),
        ("soil88-ph", "V4 "),
        ("corpus/feces-v12-192people", "V1-"),
        ("oral-saliva-ph", "V3 "),
    ],
)
def test_regions_of_real_studies(study, region):
    folder = STUDIES / study
    if not folder.exists():
        pytest.skip("the studies are not here")
    table = biom.load_table(str(folder / "table.biom"))
    table = table.filter(table.ids()[:30], inplace=False).remove_empty()
    read = read_study(table, folder / "sequences.fasta")
    assert Beginning.of(read.communities).region().startswith(region)
