"""Logs, explanations and comparisons that someone made on purpose: a page shows them as text, or a sentence is said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from q2_aam.framework import ValidationError
from q2_aam.simulation.cohorts import simulate_cohorts
from q2_aam.types import (
    AAMEffectsDirectoryFormat,
    AAMMaturityDirectoryFormat,
    AAMTrainingLogDirectoryFormat,
    BaselinePredictionsFormat,
    NoveltyFormat,
    PredictionIntervalsFormat,
)
from q2_aam.visualizers import _page, training
from q2_aam.visualizers.importance import show_importance
from q2_aam.visualizers.maturity import show_maturity
from tests.hostile.test_mutations import FEW, VALUES, places, put_in
from tests.types.conftest import log_folder  # noqa: F401 (a fixture)
from tests.visualizers import test_importance_page, test_maturity_page

ESCAPES = "\x1b[2J\x1b]0;evil\x07"


@pytest.fixture
def quick(monkeypatch):
    """Pages without pictures, whose drawing has tests of its own."""
    monkeypatch.setattr(_page, "pictures", lambda specification: ("", b""))


def shows_anything(content, path, format_of, show, tmp_path_factory):
    """Whatever stands wherever in a JSON file: it is refused in a sentence, or its page is written."""
    paths = list(places(content))

    @FEW
    @given(st.sampled_from(paths), VALUES | st.just(...))
    def test(place, value):
        path.write_text(json.dumps(put_in(content, place, value)))
        try:
            format_of.validate("min")
            show(tmp_path_factory.mktemp("page"))
        except (ValueError, ValidationError) as error:
            assert str(error).replace("\n", "").isprintable(), repr(error)

    test()


@pytest.mark.parametrize("trust", [None, test_importance_page.trust_of()])
def test_any_value_in_an_explanation(quick, tmp_path_factory, trust):
    importance, effects, _ = test_importance_page.made([f"asv{number}" for number in range(4)], trust=trust)
    path = effects.path / "explanation.json"
    shows_anything(
        json.loads(path.read_text()),
        path,
        AAMEffectsDirectoryFormat(str(effects.path), "r"),
        lambda folder: show_importance(str(folder), importance, effects),
        tmp_path_factory,
    )


def test_any_value_in_a_comparison(quick, tmp_path_factory):
    artifact = test_maturity_page.made(simulate_cohorts(0))
    path = artifact.path / "maturity.json"
    shows_anything(
        json.loads(path.read_text()),
        path,
        AAMMaturityDirectoryFormat(str(artifact.path), "r"),
        lambda folder: show_maturity(str(folder), artifact),
        tmp_path_factory,
    )


def test_any_value_in_a_log(quick, tmp_path_factory, log_folder):  # noqa: F811
    log = AAMTrainingLogDirectoryFormat(str(log_folder), "r")
    path = log_folder / "log.json"
    shows_anything(
        json.loads(path.read_text()),
        path,
        log,
        lambda folder: training.summarize_training(str(folder), log),
        tmp_path_factory,
    )


@pytest.mark.parametrize("kind", [NoveltyFormat, PredictionIntervalsFormat, BaselinePredictionsFormat])
@pytest.mark.parametrize(
    "text", [f"SampleID\t{ESCAPES}\nS1\t1\n", f"{ESCAPES}\n", f"SampleID\tmedian\t{ESCAPES}\n{ESCAPES}\t1\t{ESCAPES}\n"]
)
def test_a_screen_obeys_no_table(tmp_path, kind, text):
    (tmp_path / "table.tsv").write_text(text)
    with pytest.raises(ValidationError) as error:
        kind(str(tmp_path / "table.tsv"), "r").validate("max")
    assert str(error.value).replace("\n", "").isprintable(), repr(error.value)


def test_a_line_without_end_is_refused(tmp_path):
    (tmp_path / "table.tsv").write_text("SampleID\tlower\tupper\n" + "x" * (2**24 + 1))
    with pytest.raises(ValidationError, match="table.tsv has lines of more than 16777216 letters: it is no "):
        PredictionIntervalsFormat(str(tmp_path / "table.tsv"), "r").validate("min")
