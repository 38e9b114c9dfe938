"""Every page in a real browser without any network: wide and narrow, light and dark, by keyboard alone.

axe-core judges whether everybody can read it: ``npm install --no-save --no-package-lock axe-core`` in the repository.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from q2_aam.encoder.encoder import READY
from q2_aam.simulation.cohorts import simulate_cohorts
from q2_aam.types import AAMModelDirectoryFormat
from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.importance import show_importance
from q2_aam.visualizers.maturity import show_maturity
from q2_aam.visualizers.model import summarize_model
from q2_aam.visualizers.novelty import show_novelty
from q2_aam.visualizers.training import summarize_training
from tests.tiny_predictors import predictor
from tests.visualizers.browser import CHROMIUM
from tests.visualizers.pages import categorical, numeric, predictions_of
from tests.visualizers.test_classification import classification
from tests.visualizers.test_columns import metadata_of
from tests.visualizers.test_evaluate import regression
from tests.visualizers.test_importance_page import EVIL, made, trust_of
from tests.visualizers.test_importance_page import of_clades as made_of_clades
from tests.visualizers.test_maturity_page import made as matured
from tests.visualizers.test_training import HISTORY, training_log

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
WINDOWS = [(1280, False), (1280, True), (400, False), (400, True)]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),
]


def numbers_page(folder):
    ids, truth, predicted, intervals, novelty, groups = regression(60)
    intervals["upper"] += np.linspace(0, 1, 60)
    predicted, truth = (dict(zip(ids, array, strict=True)) for array in (predicted, truth))
    more = metadata_of(ids, **{EVIL: [f"{EVIL}{k % 3}" for k in range(60)], "age": np.arange(60.0)})
    evaluate(folder, predictions_of(predicted), numeric(truth), intervals, novelty, groups, sample_metadata=more)


def classes_page(folder, classes=("a", EVIL, "white"), n=80):
    ids, truth, predicted, probabilities = classification(list(classes), n)
    groups = categorical({name: f"{EVIL}{k % 12}" for k, name in enumerate(ids)}, EVIL)
    predicted, truth = (dict(zip(ids, array, strict=True)) for array in (predicted, truth))
    more = metadata_of(ids, country=[f"c{k % 3}" for k in range(n)], age=np.r_[np.nan, np.arange(n - 1.0)])
    evaluate(folder, predictions_of(predicted), categorical(truth), probabilities, None, groups, sample_metadata=more)


def two_classes_page(folder):
    classes_page(folder, ("ill", "well"))


def importance_page(folder):
    about = {"trust": trust_of(), "true_values": {f"S{n}": (EVIL, "b")[n % 2] for n in range(11)}}
    importance, effects, _ = made([f"{EVIL}{n}" for n in range(60)], classes=(EVIL, "b"), **about)
    show_importance(folder, importance, effects)


def clades_page(folder):
    show_importance(folder, *made_of_clades()[:2])


def maturity_page(folder):
    cohorts = simulate_cohorts(0)
    cohorts.loc[cohorts["cohort"] == "late", "cohort"] = EVIL
    show_maturity(folder, matured(cohorts, origin="out-of-fold"))


def novelty_page(folder):
    ids, *_ = regression(60)
    percentile = np.linspace(40, 100, 60)
    columns = {"unseen_read_share": np.linspace(0, 1, 60), "nearest_distance": percentile / 200}
    novelty = pd.DataFrame({"asvs": 10.0, **columns, "nearest_percentile": percentile}, index=ids)
    show_novelty(folder, novelty, metadata_of(ids, **{EVIL: [f"{EVIL}{k}" for k in range(60)], "age": np.arange(60.0)}))


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
        numbers_page, classes_page, two_classes_page, importance_page, clades_page, maturity_page, novelty_page,
        model_page, encoder_page, training_page,
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


def test_the_values_of_a_picture_are_read_by_the_keyboard(browser, folders):
    """What stands in a tooltip needs a mouse."""
    details = "document.getElementById('chart-predicted_against_true').closest('figure').querySelector('details')"
    cells = "Array.from(row.cells).map((cell) => cell.textContent)"
    cells = f"Array.from({details}.querySelectorAll('tr')).map((row) => {cells})"
    with browser.page(folders("numbers_page"), 400, True) as page:
        assert page.run(cells) == []
        page.run(f"{details}.querySelector('summary').focus()")
        page.press("Enter")
        page.wait(f"{cells}.length === 61")
        head, *rows = page.run(cells)
        ids, truth, predicted, *_ = regression(60)
        assert [row[head.index("sample")] for row in rows] == ids
        for column, values in (("true", truth), ("predicted", predicted)):
            assert [float(row[head.index(column)]) for row in rows] == pytest.approx(values, rel=1e-3)
        assert_fits(page)


# Labels of the samples of a chart, of the picture that is there now.
DRAWN = (
    "Array.from(document.querySelectorAll('#chart-{} .mark-symbol.role-mark path'))"
    ".map((mark) => mark.getAttribute('aria-label'))"
)


def choose(page, chart, label, place):
    """Choose by the keyboard what a chart is coloured or split by."""
    page.run(
        f"Array.from(document.getElementById('chart-{chart}').closest('figure').querySelectorAll('.choices label'))"
        f".find((each) => each.textContent.startsWith({label!r})).querySelector('select').focus()"
    )
    for key in ("Home", *("ArrowDown",) * place):
        page.press(key)


def test_a_class_that_is_called_as_a_colour_stays_itself(browser, folders):
    with browser.page(folders("classes_page"), dark=True) as page:
        for chart in ("class_reliability", "roc"):
            options = page.run(
                f"Array.from(document.querySelectorAll('#chart-{chart} option')).map((each) => each.textContent)"
            )
            assert [option for option in options if option.startswith("white")], options
        # Its sample marks are there: the name that is chosen is one of the data.
        page.run("document.querySelector('#chart-class_reliability select').focus()")
        page.press("End")
        page.wait("document.querySelectorAll('#chart-class_reliability .mark-symbol.role-mark path').length > 1")
        assert page.run("document.querySelector('#chart-class_reliability select').value").endswith("white")


@pytest.mark.parametrize("dark", [False, True])
def test_a_chart_is_coloured_and_split_by_a_column(browser, folders, dark):
    chart = "probabilities_of_samples"
    with browser.page(folders("two_classes_page"), 1280, dark) as page:
        first = page.run(DRAWN.format(chart))
        assert len(first) == 80 and all("country" not in label for label in first)
        # Behind "as drawn" stand groups, country and age.
        choose(page, chart, "Colour by", 2)
        page.wait(f"{DRAWN.format(chart)}.filter((label) => label.includes('country: ')).length === 80")
        coloured = page.run(DRAWN.format(chart))
        assert sorted(label.split("country: ")[1][:2] for label in coloured) == sorted(f"c{k % 3}" for k in range(80))
        choose(page, chart, "Colour by", 3)
        page.wait(f"{DRAWN.format(chart)}.filter((label) => label.includes('age: ')).length === 80")
        choose(page, chart, "Split by", 2)
        cells = f"Array.from(document.querySelectorAll('#chart-{chart} .role-scope.cell > g')).map((cell) => "
        cells += "cell.querySelectorAll('.mark-symbol.role-mark path').length).join()"
        page.wait(f"{cells} === '27,27,26'")
        assert_fits(page)
        # What was chosen stays when the browser turns to other colours.
        page.run(f"window.before = document.querySelector('#chart-{chart} .marks')")
        scheme = {"name": "prefers-color-scheme", "value": "light" if dark else "dark"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.wait(f"document.querySelector('#chart-{chart} .marks') !== before && {cells} === '27,27,26'")


def test_the_threshold_of_two_classes_is_moved_by_the_keyboard(browser, folders):
    matrix = "Array.from(document.querySelectorAll('#widget-threshold tbody td')).map((cell) => cell.textContent)"
    with browser.page(folders("two_classes_page")) as page:
        found = page.run("[WIDGETS.threshold.truth, WIDGETS.threshold.probability]")
        truth, probability = (np.array(values) for values in found)

        def expected(limit):
            named, cells = probability >= limit, []
            for code in (0, 1):
                counts = [int(((truth == code) & (named == other)).sum()) for other in (0, 1)]
                cells += [str(count) for count in counts] + [f"{counts[code] / sum(counts):.1%}"]
            return cells

        assert page.run(matrix) == expected(page.run("WIDGETS.threshold.threshold"))
        page.run("document.getElementById('threshold').focus()")
        for key in ("ArrowRight",) * 12:
            page.press(key)
        limit = page.run("Number(document.getElementById('threshold').value)")
        assert limit > page.run("WIDGETS.threshold.threshold") + 0.05
        assert page.run(matrix) == expected(limit)
        said = page.run("document.querySelector('#widget-threshold .explanation').textContent")
        recalls = [((probability >= limit) == code)[truth == code].mean() for code in (0, 1)]
        assert said.startswith(f"Balanced accuracy {np.mean(recalls):.3f}, accuracy ")
        page.press("End")
        assert page.run(matrix)[1] == "0" and page.messages() == []
