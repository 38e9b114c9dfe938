"""The pages in a real browser, without any network: the charts are drawn by what is in the page's own folder."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from q2_aam.types import AAMModelDirectoryFormat
from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.model import summarize_model
from tests.tiny_predictors import predictor
from tests.visualizers.pages import numeric, predictions_of

CHROMIUM = shutil.which("chromium")


pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


def shown(page, *options):
    """What the browser makes of a page's folder."""
    # Every name is sent to nowhere: nothing could be fetched even if the page asked for it.
    usual = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    command = [CHROMIUM, *usual.split(), "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000"]
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
    assert drawn.count('class="marks"') == 1, "the chart"
    (page / "vega.js").unlink()
    assert shown(page).count('class="marks"') == 0, "it is the page's own copy that draws"


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_of_a_model_is_no_wider_than_the_window(page, width):
    model = AAMModelDirectoryFormat()
    predictor("ensemble", "numeric", True).save(model.path)
    summarize_model(str(page), model)
    index = page / "index.html"
    measure = "const page = document.documentElement; document.title = page.scrollWidth + ' of ' + page.clientWidth;"
    # When the chart is there, too.
    script = f"<script>setTimeout(() => {{ {measure} }}, 3000)</script>"
    index.write_text(index.read_text().replace("</body>", f"{script}</body>"))
    drawn = shown(page, f"--window-size={width},900")
    assert drawn.count('class="marks"') == 1, "the nucleotides"
    wide, window = map(int, re.search(r"<title>(\d+) of (\d+)</title>", drawn).groups())
    # The browser makes no window of less than 485.
    assert wide <= window <= max(width, 485)
