"""Names of 300 letters, 1 to 300 classes, 10 to 10,000 samples: a page opens, its pictures are of a size to be seen."""

import re
import time

import numpy as np
import pandas as pd
import pytest

from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.importance import show_importance
from tests.visualizers.browser import CHROMIUM
from tests.visualizers.pages import categorical, charts_of, numeric, predictions_of, read_table
from tests.visualizers.test_columns import metadata_of
from tests.visualizers.test_every_page import assert_fits
from tests.visualizers.test_importance_page import EVIL, made, metadata, trust_of

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


def further(ids):
    """Novelty, groups and metadata of samples."""
    random = np.random.default_rng(0)
    n = len(ids)
    columns = {"unseen_read_share": random.random(n), "nearest_distance": random.random(n)}
    novelty = pd.DataFrame({**columns, "nearest_percentile": 100 * random.random(n)}, index=ids)
    groups = categorical({name: f"{EVIL}{k % 60}" for k, name in enumerate(ids)}, EVIL)
    country = [("日本", EVIL, "Ελλάδα")[k % 3] for k in range(n)]
    return novelty, groups, metadata_of(ids, country=country, age=random.normal(40, 9, n))


def assert_opens(browser, folder, start):
    """It was written, and opens, in seconds; its pictures are not larger than a screen can show by scrolling."""
    assert time.process_time() - start < 60
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 40e6
    for name in charts_of(folder):
        svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
        size = [float(side) for side in re.search(r'width="([\d.]+)" height="([\d.]+)"', svg).groups()]
        assert max(size) < 2000, name
    for width, dark in ((1280, False), (400, True)):
        with browser.page(folder, width, dark) as page:
            assert_fits(page)


@pytest.mark.parametrize(("count", "samples"), [(1, 10), (2, 10), (2, 10000), (40, 200), (300, 900)])
def test_classes(browser, tmp_path, count, samples):
    random, start = np.random.default_rng(0), time.process_time()
    names = np.array([f"{EVIL}{k}" if k % 2 else f"class {k}" for k in range(count)], dtype=object)
    ids = [f"S{k:05d}" for k in range(samples)]
    truth = np.arange(samples) % count
    probabilities = random.dirichlet(np.ones(count), samples) + min(0.2, 2 / count) * np.eye(count)[truth]
    probabilities = pd.DataFrame(probabilities / probabilities.sum(1, keepdims=True), ids, names)
    predicted = probabilities.to_numpy().argmax(1)
    novelty, groups, metadata = further(ids)
    evaluate(
        str(tmp_path), predictions_of(dict(zip(ids, names[predicted], strict=True))),
        categorical(dict(zip(ids, names[truth], strict=True)), EVIL), probabilities, novelty, groups,
        sample_metadata=metadata,
    )  # fmt: skip
    assert_opens(browser, tmp_path, start)
    if count > 12:
        mistakes = read_table(tmp_path, "confusions")
        assert (mistakes["true"] != mistakes["predicted"]).all()
        assert mistakes["samples"].sum() == (truth != predicted).sum()
        assert mistakes["samples"].is_monotonic_decreasing
    labels = [part["encoding"]["x"]["axis"]["labels"] for part in charts_of(tmp_path)["confusion_matrix"]["layer"]]
    assert labels == ([True, True] if count <= 60 else [False])


@pytest.mark.parametrize("samples", [10, 10000])
def test_numbers(browser, tmp_path, samples):
    random, start = np.random.default_rng(0), time.process_time()
    ids = [f"S{k:05d}" for k in range(samples)]
    truth = random.normal(7, 1, samples)
    predicted, width = truth + random.normal(0, 0.4, samples), random.gamma(4, 0.2, samples)
    intervals = pd.DataFrame({"lower": predicted - width, "upper": predicted + width}, index=ids)
    novelty, groups, metadata = further(ids)
    evaluate(
        str(tmp_path), predictions_of(dict(zip(ids, predicted, strict=True))),
        numeric(dict(zip(ids, truth, strict=True)), EVIL), intervals, novelty, groups, sample_metadata=metadata,
    )  # fmt: skip
    assert_opens(browser, tmp_path, start)


TOOK = """(async () => {
  const table = document.querySelector("table[data-browse]"), input = document.querySelector(".search input");
  const heads = Array.from(table.tHead.querySelectorAll("button"));
  // Until the browser has laid it out, which is what is waited for.
  const timed = (work) => {
    const start = performance.now();
    work();
    table.offsetHeight;
    return performance.now() - start;
  };
  const best = (work) => Math.min(...Array.from({ length: 5 }, () => timed(work)));
  const typed = (text) => best(() => { input.value = text; input.dispatchEvent(new Event("input")); });
  const keys = ["g", "genus 1", "acgt", ""].map(typed);
  const sorts = heads.map((head) => best(() => head.click()));
  return [keys, sorts, heads.length];
})()"""


def test_5000_asvs_are_searched_and_sorted_in_no_time(browser, tmp_path):
    random, start = np.random.default_rng(0), time.process_time()
    names = ["".join(letters) for letters in random.choice(list("ACGT"), (5000, 150))]
    importance, effects, _ = made(names, samples=200, trust=trust_of())
    taxa = {name: f"d__Bacteria; p__phylum {n % 30}; f__family {n % 300}; g__genus {n}" for n, name in enumerate(names)}
    show_importance(str(tmp_path), importance, effects, metadata(Taxon=taxa))
    assert time.process_time() - start < 60
    with browser.page(tmp_path) as page:
        assert_fits(page)
        keys, sorts, heads = page.run(TOOK)
        assert heads == 8
        # Milliseconds: below 200 nothing seems to be waited for.
        assert max(keys) < 200 and max(sorts) < 200, (keys, sorts)
