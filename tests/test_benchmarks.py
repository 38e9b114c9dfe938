"""What the benchmarks share. The benchmarks themselves are never run here."""

import importlib
import importlib.util
import sys
from pathlib import Path

import biom
import numpy as np
import pytest

from q2_aam.study.communities import read_communities, read_sequences
from q2_aam.study.unifrac import UniFracDistances

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def script(name):
    """A fixture: one of the scripts, imported as they import one another."""

    @pytest.fixture
    def load(monkeypatch):
        monkeypatch.syspath_prepend(FOLDER)
        yield importlib.import_module(name)
        for other in (path.stem for path in FOLDER.glob("*.py")):
            sys.modules.pop(other, None)

    return load


NAMES = ("report", "large_survey", "scale", "skill", "distances", "predict", "step")
report, large_survey, scale, skill, distances, predict, step = map(script, NAMES)


def ones(megabytes: int) -> float:
    return float(np.ones(megabytes * 2**17).sum())


def fail() -> None:
    raise ValueError("as it should")


def test_a_function_is_measured_in_a_process_of_its_own(report):
    ballast = np.ones(400 * 2**17)  # 400 MB of this process are not those of the other
    small, large = report.measured(ones, 1), report.measured(ones, 200)
    assert (small.value, large.value) == (2**17, 200 * 2**17)
    assert small.peak_mb < 350 and len(ballast)
    assert 190 < large.peak_mb - small.peak_mb < 215
    assert 0 < large.cpu_seconds and 0 < large.seconds
    with pytest.raises(RuntimeError, match="test_benchmarks.fail failed. (.|\n)*ValueError: as it should"):
        report.measured(fail)


def test_a_command_is_measured(report):
    code = "x = bytearray(100 * 2**20)\nfor _ in range(10**6): pass"
    took = report.measured([sys.executable, "-c", code])
    assert took.peak_mb > 100 and took.cpu_seconds > 0 and took.value is None
    with pytest.raises(RuntimeError, match="-c raise SystemExit.3. failed with code 3."):
        report.measured([sys.executable, "-c", "raise SystemExit(3)"])


def test_stages_have_their_own_peaks(report):
    with report.stage() as first:
        ones(200)
    with report.stage() as second:
        ones(20)
    assert first.peak_mb - second.peak_mb > 150


def test_a_section_of_the_page_is_replaced_or_added(report, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- a begin -->\nold\n<!-- a end -->\nkept\n")
    report.write_section("a", "new\n", page)
    report.write_section("b", "first", page)
    report.write_section("b", "second", page)
    assert page.read_text() == (
        "# Title\n<!-- a begin -->\nnew\n<!-- a end -->\nkept\n\n<!-- b begin -->\nsecond\n<!-- b end -->\n"
    )


def test_each_section_has_a_page(report):
    for name, page in report.SECTIONS.items():
        text = (report.PAGES / page).read_text()
        # scores with an encoder that is given were never kept
        assert f"<!-- {name} begin -->" in text or name.endswith("-other")


def test_markdown_rounds_to_significant_digits(report):
    rows = [{"samples": 1000, "seconds": 0.012345, "peak": 1234.5, "note": None}]
    assert report.markdown(rows) == (
        "| samples | seconds | peak | note |\n| --- | --- | --- | --- |\n| 1,000 | 0.0123 | 1,234 |  |\n"
    )


def test_no_script_stands_in_the_way_of_a_library():
    """Python looks beside the script first: unifrac.py there would be what `import unifrac` finds."""
    assert [path.stem for path in FOLDER.glob("*.py") if importlib.util.find_spec(path.stem)] == []


def test_large_surveys_grow_as_they_should(large_survey):
    rng = np.random.default_rng(0)
    found = [large_survey.draw_counts(n, rng) for n in (100, 1000)]
    for counts, samples in zip(found, (100, 1000), strict=True):
        assert counts.shape[0] == samples and 180 < counts.nnz / samples < 220
        assert counts.data.min() >= 1 and np.array_equal(counts.data, np.floor(counts.data))
        assert (np.diff(counts.tocsc().indptr) > 0).all()
    # the ASVs as a power of the samples between a half and one: new ones keep coming, ever fewer
    assert 0.5 < np.log10(found[1].shape[1] / found[0].shape[1]) < 0.9


def test_a_large_survey_is_read_from_its_files(large_survey, tmp_path):
    survey, again = large_survey.simulate(30, length=60), large_survey.simulate(30, length=60)
    assert survey.table == again.table and np.array_equal(survey.sequences, again.sequences)
    survey.write(tmp_path)
    table = biom.load_table(str(tmp_path / "table.biom"))
    sequences = read_sequences(tmp_path / "sequences.fasta")
    assert [sequences[i].encode() for i in survey.table.ids("observation")] == survey.sequences.tolist()
    communities = read_communities(table, sequences, max_length=60)
    assert communities.counts.sum() == survey.table.sum() and communities.tokens.shape[1] == 61
    distances = UniFracDistances(table, tmp_path / "tree.nwk")(np.arange(30))
    assert 0.2 < distances[np.triu_indices(30, 1)].min() and distances.max() < 1


def test_neighbours_in_a_large_surveys_tree_have_like_sequences(large_survey):
    survey = large_survey.simulate(20)
    tips = survey.tree.names[survey.tree.tips()]
    assert tips.tolist() == survey.table.ids("observation").tolist()
    letters = np.array([list(sequence) for sequence in survey.sequences])
    apart = [
        (letters[1:] != letters[:-1]).mean(),
        (letters[1:] != np.random.default_rng(0).permutation(letters)[:-1]).mean(),
    ]
    assert apart[0] < 0.6 * apart[1]


def test_growth_is_the_slope_on_log_log_axes(scale):
    assert scale.slope([10, 100, 1000], [3, 300, 30000]) == pytest.approx(2)
    assert scale.slope([10], [3]) is None


def test_each_measurement_can_be_made(scale, distances, predict, step, tmp_path, monkeypatch):
    """At sizes that say nothing; in this process."""
    assert scale.write_survey(tmp_path, 8)["samples"] == 8
    assert scale.reading(tmp_path, 1)["cpu_seconds"] > 0
    assert scale.training(tmp_path, 1, 1)["steps"] == 1
    assert scale.prediction(tmp_path, 1, 2)["samples"] == 2
    monkeypatch.setattr(distances, "BATCH", 4)
    distances.write_tree(tmp_path / "tree.nwk", 3000)
    measured = distances.measure(tmp_path / "tree.nwk", 8, 1)
    assert measured["tips"] == 3000 and measured["largest_difference"] < 1e-6
    small = {"architecture": {"dim": 16, "lineages": 16}, "batch_size": 4, "samples": 8, "asvs": 40, "richness": 10}
    for module in (predict, step):
        monkeypatch.setitem(module.SIZES, "default", small)
    assert predict.predict("default", 1, 4)["samples"] == 8
    assert step.step("default", 1, "32", 1)["GFLOP"] > 0


def test_busy_loops_are_busy_and_end_after_an_error_too(step):
    with pytest.raises(ZeroDivisionError), step.busy_loops(2) as loops:
        assert [loop.poll() for loop in loops] == [None, None]
        raise ZeroDivisionError
    assert [loop.returncode for loop in loops] == [-9, -9]
