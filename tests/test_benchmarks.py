"""What the benchmarks share. The benchmarks themselves are never run here."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    sys.modules.pop("report", None)
    yield importlib.import_module("report")
    sys.modules.pop("report", None)


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


def test_markdown_rounds_to_significant_digits(report):
    rows = [{"samples": 1000, "seconds": 0.012345, "peak": 1234.5, "note": None}]
    assert report.markdown(rows) == (
        "| samples | seconds | peak | note |\n| --- | --- | --- | --- |\n| 1,000 | 0.0123 | 1,234 |  |\n"
    )
