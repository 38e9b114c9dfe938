"""The pages in a real browser, without any network: the charts are drawn by what is in the page's own folder."""

import shutil
import subprocess

import numpy as np
import pytest

from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import numeric, predictions_of

CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.filterwarnings("ignore")
def test_charts_are_drawn_offline(tmp_path):
    truth = np.linspace(4, 9, 30)
    ids = [f"S{k:02d}" for k in range(30)]
    page = tmp_path / "page"
    page.mkdir()
    evaluate(
        str(page),
        predictions_of(dict(zip(ids, truth + np.sin(truth), strict=True))),
        numeric(dict(zip(ids, truth, strict=True))),
    )

    def shown():
        # Every name is sent to nowhere: nothing could be fetched even if the page asked for it.
        options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
        command = [CHROMIUM, *options.split(), "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000"]
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        done = subprocess.run(
            [*command, profile, "--dump-dom", f"file://{page / 'index.html'}"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout

    drawn = shown()
    assert drawn.count('class="marks"') == 1, "the chart"
    (page / "vega.js").unlink()
    assert shown().count('class="marks"') == 0, "it is the page's own copy that draws"
