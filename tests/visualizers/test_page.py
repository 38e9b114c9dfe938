"""What the pages share: numbers for reading, files for download, nothing from the network."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from q2_aam.visualizers import _page
from q2_aam.visualizers._page import Page, number
from tests.visualizers.pages import assert_works_offline, read_page

CHART = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "datasets": {"d": [{"x": 1}, {"x": 2}]},
    "data": {"name": "d"},
    "mark": "point",
    "encoding": {"x": {"field": "x", "type": "quantitative"}},
}


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "–"),
        (float("nan"), "–"),
        (3, "3"),
        (np.int64(12345), "12,345"),
        (0.0, "0.000"),
        (-4e-17, "0.000"),
        (1.0, "1.000"),
        (0.12345, "0.123"),
        (-3.45678, "-3.457"),
        (12.3456, "12.35"),
        (1234.56, "1,235"),
        (0.000672, "0.000672"),
        (0.0000123, "1.23e-05"),
        (12345678.0, "1.23e+07"),
    ],
)
def test_numbers_for_reading(value, text):
    assert number(value) == text


def test_table_is_shown_short_and_written_whole(tmp_path):
    frame = pd.DataFrame({"name": [f"n{k}" for k in range(45)], "value": np.linspace(0, 1, 45), "more": 1})
    frame.loc[0, "value"] = np.nan
    page = Page(str(tmp_path), "title", "lead")
    page.section("section")
    page.table("table", frame, {"name": "Name", "value": "Value"})
    page.render()
    written = pd.read_csv(tmp_path / "table.tsv", sep="\t", float_precision="round_trip")
    assert list(written) == ["name", "value", "more"] and len(written) == 45
    assert (written["value"][1:] == frame["value"][1:]).all() and np.isnan(written["value"][0])
    shown = read_page(tmp_path)
    assert shown.tables[0][:3] == [["Name", "Value"], ["n0", "–"], ["n1", "0.023"]]
    assert len(shown.tables[0]) == 1 + _page.MAX_ROWS
    assert "5 more rows are in the file." in shown.text
    assert not (tmp_path / "vega.js").exists()  # no chart, no script for it
    assert_works_offline(tmp_path)


def test_numbers_that_are_written_as_text_stand_as_numbers(tmp_path):
    page = Page(str(tmp_path), "title", "lead")
    page.section("section")
    frame = pd.DataFrame({"a": ["0.5 ± 0.1"], "b": ["0.5 ± 0.1"]})
    page.table("table", frame, {"a": "A", "b": "B"}, numbers=["b"])
    page.render()
    source = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<td>0.5 ± 0.1</td><td class=\"number\">0.5 ± 0.1</td>" in source


def test_chart_is_drawn_from_files_beside_the_page(tmp_path):
    page = Page(str(tmp_path), "title", "lead")
    page.section("section")
    page.chart("one", CHART, "Heading", "Caption")
    page.chart("two", CHART)
    page.render()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.svg").read_text().startswith("<svg")
    script = (tmp_path / "charts.js").read_text()
    charts = json.loads(script.removeprefix("const CHARTS = ").removesuffix(";\n"))
    assert [chart["name"] for chart in charts] == ["one", "two"]
    assert all(chart["specification"] == CHART for chart in charts)
    assert (tmp_path / "vega.js").stat().st_size > 500_000
    shown = read_page(tmp_path)
    assert [path for path in shown.fetched if path.endswith(".js")][-5:] == [
        "./vega.js", "./charts.js", "./draw.js", "./values.js", "./page.js"
    ]
    assert {"./one.png", "./one.svg", "./two.png", "./two.svg"} <= set(shown.links)
    assert_works_offline(tmp_path)


@pytest.mark.parametrize("n_rows, renderer", [(2000, "svg"), (2001, "canvas")])
def test_large_charts_are_drawn_on_a_canvas(tmp_path, n_rows, renderer):
    page = Page(str(tmp_path), "title", "lead")
    page.section("section")
    page.chart("one", {**CHART, "datasets": {"d": [{"x": k} for k in range(n_rows)]}})
    page.render()
    assert f'"renderer": "{renderer}"' in (tmp_path / "charts.js").read_text()


def test_text_is_text_wherever_it_stands(tmp_path):
    evil = "</script><script>alert(1)</script>"
    page = Page(str(tmp_path), evil, evil)
    page.verdict(evil, evil, "info")
    page.notes.append(evil)
    page.section(evil, evil)
    page.table("table", pd.DataFrame({"a": [evil]}), {"a": evil}, evil)
    page.chart("one", {**CHART, "title": evil}, evil, evil)
    page.render()
    source = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in source and source.count("&lt;script&gt;alert(1)") >= 10


def test_importing_the_visualizers_loads_nothing_heavy():
    import subprocess

    code = (
        "import sys; import q2_sample_classifier; import q2_aam.types; before = set(sys.modules); "
        "import q2_aam.visualizers.evaluate, q2_aam.visualizers.importance, q2_aam.visualizers.training; "
        "print({name.split('.')[0] for name in set(sys.modules) - before} "
        "& {'torch', 'lightning', 'sklearn', 'altair', 'matplotlib', 'vl_convert', 'unifrac', 'scipy'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
