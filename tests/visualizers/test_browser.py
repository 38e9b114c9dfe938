"""The pages in a real browser, without any network: the charts are drawn by what is in the page's own folder."""

import json
import re
import shutil
import subprocess
from html import unescape

import numpy as np
import pytest

from q2_aam.simulation.cohorts import simulate_cohorts
from q2_aam.types import AAMModelDirectoryFormat
from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.importance import show_importance
from q2_aam.visualizers.maturity import show_maturity
from q2_aam.visualizers.model import summarize_model
from tests.tiny_predictors import predictor
from tests.visualizers.pages import numeric, predictions_of
from tests.visualizers.test_importance_page import EVIL, made, trust_of
from tests.visualizers.test_maturity_page import made as maturity_of

CHROMIUM = shutil.which("chromium")


pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


def shown(page, *options, clock="--virtual-time-budget=10000"):
    """What the browser makes of a page's folder; with no clock of its own, as soon as it is loaded."""
    # Every name is sent to nowhere: nothing could be fetched even if the page asked for it.
    usual = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    command = [CHROMIUM, *usual.split(), "--host-resolver-rules=MAP * ~NOTFOUND", *filter(None, [clock])]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [*command, profile, *options, "--dump-dom", f"file://{page / 'index.html'}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    return folder


def test_charts_are_drawn_offline(page):
    truth = np.linspace(4, 9, 30)
    ids = [f"S{k:02d}" for k in range(30)]
    evaluate(
        str(page),
        predictions_of(dict(zip(ids, truth + np.sin(truth), strict=True))),
        numeric(dict(zip(ids, truth, strict=True))),
    )
    drawn = shown(page)
    assert drawn.count('class="marks"') == 2, "predicted against true values, and errors"
    (page / "vega.js").unlink()
    assert shown(page).count('class="marks"') == 0, "it is the page's own copy that draws"


def after(page, script, *options, **more):
    """What the browser makes of a page when a script has run there: once the charts are drawn, or at once."""
    index = page / "index.html"
    script = f"(() => {{ {script} }})()" if more else f"setTimeout(() => {{ {script} }}, 3000)"
    index.write_text(index.read_text().replace("</body>", f"<script>{script}</script></body>"))
    return shown(page, *options, **more)


def assert_no_wider_than_the_window(page, width, charts):
    measure = "const page = document.documentElement; document.title = page.scrollWidth + ' of ' + page.clientWidth;"
    drawn = after(page, measure, f"--window-size={width},900")
    assert len(re.findall('class="marks"', drawn)) == charts
    wide, window = map(int, re.search(r"<title>(\d+) of (\d+)</title>", drawn).groups())
    # The browser makes no window of less than 485.
    assert wide <= window <= max(width, 485)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_of_a_model_is_no_wider_than_the_window(page, width):
    model = AAMModelDirectoryFormat()
    predictor("ensemble", "numeric", True).save(model.path)
    summarize_model(str(page), model)
    assert_no_wider_than_the_window(page, width, charts=1)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("classes", [(), (EVIL, "b")])
def test_the_page_of_an_importance_is_no_wider_than_the_window(page, width, classes):
    importance, effects, _ = made([f"{EVIL}{n}" for n in range(40)], classes=classes, trust=trust_of())
    show_importance(str(page), importance, effects)
    assert_no_wider_than_the_window(page, width, charts=5)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_of_maturity_is_no_wider_than_the_window(page, width):
    frame = simulate_cohorts(0)
    frame[["subject", "cohort"]] = EVIL + frame[["subject", "cohort"]]
    show_maturity(str(page), maturity_of(frame, f"{EVIL}control"))
    assert_no_wider_than_the_window(page, width, charts=4)


def test_a_subject_is_chosen(page):
    show_maturity(str(page), maturity_of(simulate_cohorts(0)))
    script = """
      const seen = () => document.querySelector("#chart-subjects svg").innerHTML;
      const first = seen(), select = document.querySelector("#chart-subjects select");
      select.selectedIndex = 9;
      select.dispatchEvent(new Event("change"));
      setTimeout(() => { document.title = JSON.stringify([select.value, first !== seen()]); }, 500);
    """
    drawn = after(page, script)
    assert json.loads(unescape(re.search(r"<title>(.*?)</title>", drawn)[1])) == ["subject 9", True]


def test_a_sample_and_a_class_are_chosen(page):
    names = [f"{EVIL}{n}" for n in range(3)]
    importance, effects, frame = made(names, classes=[EVIL, "b"])
    show_importance(str(page), importance, effects)
    script = """
      const marks = (chart) => document.querySelectorAll("#chart-" + chart + " .mark-rect.role-mark path");
      const seen = (chart) => Array.from(marks(chart)).map((mark) => mark.getAttribute("aria-label")).join("|");
      const first = ["importance_bars", "waterfall"].map(seen);
      for (const chart of ["importance_bars", "waterfall"]) {
        const select = document.querySelector("#chart-" + chart + " select");
        select.selectedIndex = 1;
        select.dispatchEvent(new Event("change"));
      }
      setTimeout(() => {
        const then = ["importance_bars", "waterfall"].map(seen);
        document.title = JSON.stringify([first, then]);
      }, 500);
    """
    drawn = after(page, script)
    first, then = json.loads(unescape(re.search(r"<title>(.*?)</title>", drawn)[1]))
    assert all(first) and all(then) and first[0] != then[0] and first[1] != then[1]
    assert first[0].count("lower") == then[0].count("higher"), "the other class's probability"


def test_what_is_known_of_a_bar_stands_beside_the_mouse_as_text(page):
    importance, effects, _ = made([EVIL, "other"])
    importance_first = importance.index[0]
    show_importance(str(page), importance, effects)
    script = """
      const bar = document.querySelector("#chart-importance_bars .mark-rect.role-mark path");
      const place = bar.getBoundingClientRect();
      const where = { bubbles: true, clientX: place.x + 5, clientY: place.y + 5, view: window };
      bar.dispatchEvent(new PointerEvent("pointerover", where));
      bar.dispatchEvent(new PointerEvent("pointermove", where));
    """
    drawn = after(page, script)
    told = re.search(r'<div id="vg-tooltip-element".*?</div>', drawn, re.DOTALL)[0]
    cells = dict(re.findall(r'<td class="key">(.*?)</td><td class="value">(.*?)</td>', told))
    assert unescape(cells["feature"]) == importance_first and "<b" not in cells["feature"]
    assert float(cells["importance"]) == pytest.approx(importance["importance"].iloc[0], rel=1e-3)
    assert cells["prevalence"] == f"{importance['samples'].iloc[0] / 12:.1%}"


def searched(drawn):
    """The rows of the table that is searched, as lists of text."""
    body = re.search(r"<table[^>]*data-browse.*?<tbody>(.*?)</tbody>", drawn, re.DOTALL)[1]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [[unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(r"<td.*?</td>", row)] for row in rows]


def test_a_table_is_searched_and_sorted(page):
    names = [f"asv{n:04d}" for n in range(5000)]
    importance, effects, _ = made(names, trust=trust_of())
    show_importance(str(page), importance, effects)
    script = """
      const table = document.querySelector("table[data-browse]"), input = document.querySelector(".search input");
      const start = performance.now();
      input.value = "asv123"; input.dispatchEvent(new Event("input"));
      const heads = table.tHead.querySelectorAll("button");
      heads[0].click(); heads[0].click();
      document.title = document.querySelector(".search span").textContent + ": " + (performance.now() - start);
    """
    # A second that the browser makes up would be no measure.
    drawn = after(page, script, clock=None)
    title = re.search(r"<title>(.*?)</title>", drawn)[1]
    count, took = title.split(": ")
    assert count == "10 of 5,000" and float(took) < 2000, "smooth"
    assert [row[0] for row in searched(drawn)] == [f"asv123{n}" for n in reversed(range(10))]
    assert 'aria-sort="descending"' in drawn


def test_a_name_is_copied_or_shown_whole(page):
    importance, effects, _ = made([EVIL, "other"])
    show_importance(str(page), importance, effects)
    drawn = after(page, "document.querySelectorAll('button.copy').forEach((button) => button.click())")
    for name, row in zip(importance.index, searched(drawn), strict=True):
        assert row[-1].endswith("copied") or row[-1] == f"{name} copy"


def test_rows_are_drawn_as_they_are_needed_and_names_stay_text(page):
    names = [f"{EVIL}{n}" for n in range(150)]
    importance, effects, _ = made(names)
    show_importance(str(page), importance, effects)
    drawn = after(page, "document.querySelector('.scroll + button').click()")
    rows = searched(drawn)
    assert len(rows) == 120 and "Show 30 more" in drawn
    assert [float(row[1]) for row in rows] == sorted((float(row[1]) for row in rows), reverse=True)
    body = drawn.split("<body")[1]
    assert "<b onclick" not in body and "&lt;b onclick" in body
    assert all(row[-1].endswith("copy") for row in rows)
