"""References in the place of ASVs: the same features whatever the region, trim or strand."""

import shutil

import biom
import numpy as np
import pytest

from q2_aam.settings import Harmonizing
from q2_aam.study import references as module
from q2_aam.study.references import harmonize, regions_of
from q2_aam.study.tables import check_table

PRIMER = "GTGCCAGCAGCCGCGGTAA"
COMPLEMENT = str.maketrans("ACGT", "TGCA")
needs_vsearch = pytest.mark.skipif(shutil.which("vsearch") is None, reason="vsearch is not installed")


def drawn(generator, length):
    return "".join(generator.choice(list("ACGT"), length))


@pytest.fixture(scope="module")
def genes():
    """Twelve genes: 300 nucleotides, primer 515F, and 300 more; all begin as the first one but for a tenth."""
    generator = np.random.default_rng(0)
    first, found = np.array(list(drawn(generator, 600))), {}
    for number in range(12):
        changed = np.where(generator.random(600) < 0.3, list(drawn(generator, 600)), first)
        found[f"gene {number}"] = "".join(changed[:300]) + PRIMER + "".join(changed[300:])
    return found


def table_of(genes, start, length, errors=0, turned=False):
    """Three samples of four genes each, seen from one place on; with names of their own for the ASVs."""
    generator = np.random.default_rng(start)
    texts = {}
    for number, text in enumerate(genes.values()):
        part = list(text[start : start + length])
        for place in generator.integers(0, length, errors):
            part[place] = "ACGT"["ACGT".index(part[place]) - 1]
        read = "".join(part)
        texts[f"asv{start}.{number}"] = read.translate(COMPLEMENT)[::-1] if turned else read
    counts = np.zeros((12, 3), dtype=int)
    for sample in range(3):
        counts[4 * sample : 4 * sample + 4, sample] = [50, 30, 15, 5]
        counts[(4 * sample + 5) % 12, sample] = 7
    return biom.Table(counts, list(texts), ["s1", "s2", "s3"]), texts


def frame(harmonized):
    return harmonized.table.to_dataframe(dense=True).sort_index()


@needs_vsearch
@pytest.mark.parametrize(
    ("start", "length", "errors", "turned"),
    [(0, 150, 0, False), (0, 100, 3, False), (150, 150, 5, False), (319, 250, 4, False), (40, 200, 2, True)],
    ids=["first 150", "100 with errors", "another region", "behind the primer", "reverse complements"],
)
def test_any_region_gives_the_same_table(genes, start, length, errors, turned):
    whole = harmonize(*table_of(genes, 0, 300), genes, Harmonizing(threads=1))
    part = harmonize(*table_of(genes, start, length, errors, turned), genes, Harmonizing(threads=1))
    assert set(frame(whole).index) == set(genes)
    assert frame(whole).loc["gene 0"].tolist() == [50, 0, 0]
    np.testing.assert_array_equal(frame(part), frame(whole))
    assert part.sequences == whole.sequences
    assert part.sequences["gene 3"] == genes["gene 3"].split(PRIMER)[1][:150]
    assert part.matched.tolist() == [1, 1, 1] and list(part.matched.index) == ["s1", "s2", "s3"]


@needs_vsearch
def test_asvs_of_one_reference_are_one_feature(genes):
    text = genes["gene 0"][:150]
    near = "".join("A" if letter != "A" else "C" for letter in text[:3]) + text[3:]
    table = biom.Table(np.array([[3, 1], [4, 0]]), [text, near], ["s1", "s2"])
    assert frame(harmonize(table, None, genes, Harmonizing(threads=1))).loc["gene 0"].tolist() == [7, 1]


@needs_vsearch
def test_shares_sum_to_one_when_some_have_no_reference(genes):
    texts = [genes["gene 0"][:150], genes["gene 1"][:150], drawn(np.random.default_rng(5), 150)]
    table = biom.Table(np.array([[0.6, 0.3], [0.3, 0.7], [0.1, 0]]), texts, ["s1", "s2"])
    harmonized = harmonize(table, None, genes, Harmonizing(threads=1))
    assert frame(harmonized).loc["gene 0"].tolist() == pytest.approx([2 / 3, 0.3])
    assert harmonized.matched.tolist() == pytest.approx([0.9, 1])
    assert check_table(harmonized.table) == "shares"


@needs_vsearch
@pytest.mark.parametrize("odd", ["juts out", "is mostly N", "is short"])
def test_what_is_no_part_of_a_reference_has_none(genes, odd):
    text = genes["gene 0"]
    foreign = {"juts out": text[-30:] + drawn(np.random.default_rng(5), 120), "is short": text[:40]}
    foreign["is mostly N"] = text[:100] + "N" * 50
    table = biom.Table(np.array([[6], [4]]), ["known", "odd"], ["s1"])
    known = {"known": text[:150], "odd": foreign[odd]}
    assert harmonize(table, known, genes, Harmonizing(threads=1)).matched["s1"] == 0.6
    known["odd"] = text[30:180] if odd != "is mostly N" else text[30:175] + "N" * 5
    assert harmonize(table, known, genes, Harmonizing(threads=1)).matched["s1"] == 1


@needs_vsearch
@pytest.mark.parametrize(("scale", "expected"), [(1, [1, 1]), (0.25, [0.5, 1])], ids=["presence", "shares"])
def test_presence_and_shares_stay_what_they_are(genes, scale, expected):
    text = genes["gene 0"][:150]
    near, other = "TTT" + text[3:], genes["gene 1"][:150]
    values = np.array([[1, 1], [1, 0], [1, 0], [1, 0]]) if scale == 1 else np.array([[1, 4], [1, 0], [1, 0], [1, 0]])
    table = biom.Table(values * scale, [text, near, other, genes["gene 2"][:150]], ["s1", "s2"])
    assert frame(harmonize(table, None, genes, Harmonizing(threads=1))).loc["gene 0"].tolist() == expected


@needs_vsearch
def test_reads_without_a_reference_are_left_out_and_counted(genes):
    foreign = drawn(np.random.default_rng(5), 150)
    table = biom.Table(np.array([[60, 10], [40, 90]]), [genes["gene 0"][:150], foreign], ["s1", "s2"])
    with pytest.raises(ValueError) as raised:
        harmonize(table, None, genes, Harmonizing(threads=1))
    assert str(raised.value) == (
        "Too small a share of the reads has a reference in 1 of 2 samples (min_matched is 0.5): s2 (0.1). What is left "
        "of them would be another community. Give references that hold such microbes, lower min_matched or "
        "min_identity, or set unmatched_samples to 'ignore' to leave these samples out."
    )
    left = harmonize(table, None, genes, Harmonizing(threads=1, unmatched_samples="ignore"))
    assert list(left.table.ids()) == ["s1"] == list(left.matched.index) and frame(left).loc["gene 0"].tolist() == [60]
    kept = harmonize(table, None, genes, Harmonizing(threads=1, min_matched=0))
    assert kept.matched.tolist() == [0.6, 0.1] and frame(kept).loc["gene 0"].tolist() == [60, 10]
    alone = biom.Table(np.array([[60, 0], [40, 90]]), [genes["gene 0"][:150], foreign], ["s1", "s2"])
    end = r"s2 \(0\)\. .*, lower min_identity, or set unmatched_samples to 'ignore' to leave these samples out\.$"
    with pytest.raises(ValueError, match=end):
        harmonize(alone, None, genes, Harmonizing(threads=1, min_matched=0))
    strict = Harmonizing(threads=1, min_matched=0.7, unmatched_samples="ignore")
    with pytest.raises(ValueError, match=r"in 2 of 2 samples .* microbes, lower min_matched or min_identity\.$"):
        harmonize(alone, None, genes, strict)
    with pytest.raises(ValueError, match=r"None of 1 ASVs is at least 0\.9 alike \(min_identity\) one of the 12 of 12"):
        harmonize(biom.Table(np.array([[1]]), [foreign], ["s1"]), None, genes, Harmonizing(threads=1))


@needs_vsearch
def test_features_without_a_sequence(genes):
    table, texts = table_of(genes, 0, 150)
    known = {name: text for name, text in texts.items() if name != "asv0.0"}
    with pytest.raises(ValueError, match=r"1 of 12 features have no sequence: asv0\.0\."):
        harmonize(table, known, genes, Harmonizing(threads=1))
    left = harmonize(table, known, genes, Harmonizing(threads=1, min_matched=0), "ignore")
    assert "gene 0" not in left.sequences and left.matched["s1"] == pytest.approx(57 / 107)


@needs_vsearch
def test_references_with_odd_names(genes):
    odd = {f"a;size={number} é|'\"": text for number, text in enumerate(genes.values())}
    harmonized = harmonize(*table_of(genes, 0, 150), odd, Harmonizing(threads=1))
    assert set(harmonized.sequences) == set(odd)


def test_what_is_read_of_a_reference():
    references = {
        "rna": "AAAGUGCCAGCAGCCGCGGUAAUACGUAGG", "lower": "gtgtcagccgccgcggtaatacggagg", "short": PRIMER + "TACG",
        "ambiguous": PRIMER + "TACNTAGG", "unread": "N" * 10 + PRIMER + "TACGTAGG", "without": "TACGTAGG" * 9,
    }  # fmt: skip
    regions = regions_of(references, Harmonizing.primer, 8)
    assert regions == {"rna": "TACGTAGG", "lower": "TACGGAGG"}
    with pytest.raises(ValueError) as raised:
        regions_of(references, Harmonizing.primer, 150)
    assert str(raised.value) == (
        "None of 6 references holds the primer GTGYCAGCMGCCGCGGTAA and 150 nucleotides (A, C, G or T) behind it "
        "(primer, length). Give references of the whole 16S gene, such as those of SILVA or Greengenes, not parts of "
        "it."
    )
    with pytest.raises(ValueError, match=r"primer is 'GTX-', but -, X is no letter of a nucleotide\."):
        regions_of(references, "GTX-", 8)


def test_without_vsearch(genes, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="The program vsearch, which finds the closest reference of each ASV"):
        harmonize(*table_of(genes, 0, 150), genes, Harmonizing())


@needs_vsearch
def test_a_vsearch_that_fails_is_told_of(genes, tmp_path, monkeypatch):
    program = tmp_path / "vsearch"
    program.write_text("#!/bin/sh\necho 'out of memory' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(program))
    with pytest.raises(RuntimeError, match="vsearch ended with code 3: out of memory"):
        harmonize(*table_of(genes, 0, 150), genes, Harmonizing())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"primer": ""}, "primer is '', which is found anywhere"),
        ({"primer": " NNNNNNNNN "}, "which is found anywhere"),
        ({"length": 5001}, "no more than 5000 nucleotides are read"),
        ({"min_identity": 0}, "min_identity must be above 0"),
        ({"min_matched": 1.5}, "min_matched from 0 to 1"),
        ({"length": 0}, "length"),
        ({"threads": 0}, "threads"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Harmonizing(**settings)
