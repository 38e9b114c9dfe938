"""Every page in a real browser without any network: wide and narrow, light and dark, by keyboard alone.

axe-core judges whether everybody can read it: ``npm install --no-save --no-package-lock axe-core`` in the repository.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest

from q2_aam.encoder.encoder import READY
from q2_aam.types import AAMModelDirectoryFormat
from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.importance import show_importance
from q2_aam.visualizers.model import summarize_model
from q2_aam.visualizers.training import summarize_training
from tests.tiny_predictors import predictor
from tests.visualizers.browser import CHROMIUM, Browser
from tests.visualizers.pages import categorical, numeric, predictions_of
from tests.visualizers.test_classification import classification
from tests.visualizers.test_evaluate import regression
from tests.visualizers.test_importance_page import EVIL, made, trust_of
from tests.visualizers.test_training import HISTORY, training_log

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
WINDOWS = [(1280, False), (1280, True), (400, False), (400, True)]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def numbers_page(folder):
    ids, truth, predicted, intervals, novelty, groups = regression(60)
    values = (dict(zip(ids, array, strict=True)) for array in (predicted, truth))
    predicted, truth = values
    evaluate(folder, predictions_of(predicted), numeric(truth), intervals, novelty, groups)


def classes_page(folder, classes=("a", EVIL, "b"), n=80):
    ids, truth, predicted, probabilities = classification(list(classes), n)
    groups = categorical({name: f"{EVIL}{k % 12}" for k, name in enumerate(ids)}, EVIL)
    predicted, truth = (dict(zip(ids, array, strict=True)) for array in (predicted, truth))
    evaluate(folder, predictions_of(predicted), categorical(truth), probabilities, None, groups)


def two_classes_page(folder):
    classes_page(folder, ("ill", "well"))


def importance_page(folder):
    importance, effects, _ = made([f"{EVIL}{n}" for n in range(60)], classes=(EVIL, "b"), trust=trust_of())
    show_importance(folder, importance, effects)


def model_page(folder):
    model = AAMModelDirectoryFormat()
    predictor("ensemble", "numeric", True).save(model.path)
    summarize_model(folder, model)


def encoder_page(folder):
    summarize_model(folder, AAMModelDirectoryFormat(READY, "r"))


def training_page(folder):
    summarize_training(folder, training_log(HISTORY, plots=(1, 0), best_epoch=1))


PAGES = {
    make.__name__: make
    for make in (
        numbers_page, classes_page, two_classes_page, importance_page, model_page, encoder_page, training_page
    )  # fmt: skip
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folder of a page by its name, written when it is asked for."""
    written = {}

    def folder(name):
        if name not in written:
            written[name] = tmp_path_factory.mktemp(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                PAGES[name](str(written[name]))
        return written[name]

    return folder


def assert_fits(page):
    """No error, nothing from elsewhere, and no wider than the window."""
    assert page.messages() == []
    assert [address for address in page.addresses() if not address.startswith("file://")] == []
    wide, window = page.run("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window
    drawn = "Array.from(document.querySelectorAll('.chart')).filter((chart) => !chart.querySelector('.marks')).length"
    assert page.run(drawn) == 0


@pytest.mark.parametrize(("width", "dark"), WINDOWS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_is_as_dark_as_is_asked_for(browser, folders, name, width, dark):
    with browser.page(folders(name), width, dark) as page:
        assert_fits(page)
        back = page.run("getComputedStyle(document.body).backgroundColor")
        brightness = np.mean([int(part) for part in back[4:-1].split(",")])
        assert (brightness < 60) == dark and (brightness > 230) != dark
        # Charts go with the page: their background is its own.
        backs = page.run(
            "Array.from(document.querySelectorAll('.marks > rect')).map((back) => getComputedStyle(back).fill)"
        )
        assert set(backs) <= {back}


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_it(browser, folders, name, width, dark):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm install --no-save --no-package-lock axe-core")
    with browser.page(folders(name), width, dark) as page:
        page.run(AXE.read_text() + ";0")
        found = page.run(
            "axe.run().then((all) => all.violations.filter((rule) => ['serious', 'critical'].includes(rule.impact))"
            ".map((rule) => [rule.id, rule.nodes.map((node) => node.html.slice(0, 200))]))"
        )
        assert found == []


CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']"


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_everything_and_is_seen(browser, folders, name, width):
    with browser.page(folders(name), width) as page:
        count = page.run(
            f"window.controls = Array.from(document.querySelectorAll({CONTROLS!r}))"
            ".filter((each) => each.offsetParent !== null); controls.length"
        )
        reached = []
        for _ in range(count):
            page.press("Tab")
            reached.append(
                page.run(
                    "[controls.indexOf(document.activeElement),"
                    "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
                    " * (getComputedStyle(document.activeElement).outlineStyle !== 'none')]"
                )
            )
        assert [number for number, _ in reached] == list(range(count))
        assert min(outline for _, outline in reached) >= 2
        # What looks as if it could be clicked is something that the keyboard reaches, too.
        clicked = (
            "Array.from(document.querySelectorAll('main *')).filter((each) => getComputedStyle(each).cursor === "
            f"'pointer' && !each.closest({(CONTROLS + ', label')!r})).map((each) => each.outerHTML.slice(0, 200))"
        )
        assert page.run(clicked) == []
