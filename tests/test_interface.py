"""Messages in the language of the interface."""

import inspect
import sys
import warnings

import pytest

from q2_aam import interface
from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.fit import fit
from q2_aam.interface import in_options, parameters_of, spoken

NAMES = ["folds", "foreign", "missing_samples", "missing_features", "covariate_columns", "max_length", "metric"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Add them, or set missing_samples to 'ignore'.", "Add them, or set --p-missing-samples ignore."),
        ("Set foreign to 'mend' to have that done.", "Set --p-foreign mend to have that done."),
        ("set folds to 3, or more", "set --p-folds 3, or more"),
        ("missing_features must be one of a, b, but is 'c'.", "--p-missing-features must be one of a, b, but is 'c'."),
        ("metric is 'weighted', which no metric is", "--p-metric is 'weighted', which no metric is"),
        ("No column 'max_length'; folds of max_length", "No column 'max_length'; folds of --p-max-length"),
        ("Sequences are foreign. All folds of it.", "Sequences are foreign. All folds of it."),
        ("covariate_columns names columns", "--p-covariate-columns names columns"),
        ("unmissing_samples and missing_samples_too", "unmissing_samples and missing_samples_too"),
        ("The table's s1: set missing_samples to 'ignore'.", "The table's s1: set --p-missing-samples ignore."),
        ("", ""),
    ],
)  # fmt: skip
def test_parameters_are_called_as_options(message, said):
    assert in_options(message, NAMES) == said


def test_metadata_and_artifacts_are_no_parameters():
    assert {"missing_samples", "covariate_columns", "foreign", "threads", "random_seed"} <= parameters_of(fit)
    assert not {"table", "metadata", "groups", "covariates", "encoder", "sequences"} & parameters_of(fit)
    assert {"folds", "covariate_columns"} <= parameters_of(cross_validate)
    assert not {"ctx", "encoder", "phylogeny", "groups"} & parameters_of(cross_validate)


def action(table: list, missing_samples: str = "error", groups: dict = None) -> int:
    """What it does."""
    if missing_samples == "warn":
        warnings.warn("They are left out: missing_samples is so.", UserWarning, stacklevel=2)
        return 7
    raise ValueError("Add them, or set missing_samples to 'ignore'.")


@pytest.mark.parametrize(
    ("command", "option"), [("/usr/bin/qiime", "--p-missing-samples ignore"), ("python", "missing_samples to 'ignore'")]
)
def test_errors_speak_the_language_of_whoever_runs_it(monkeypatch, command, option):
    monkeypatch.setattr(sys, "argv", [command, "aam", "fit"])
    with pytest.raises(ValueError) as error:
        spoken(action)([])
    assert str(error.value) == f"Add them, or set {option}."


def test_so_do_warnings_and_nothing_is_left_behind(monkeypatch):
    shown = []

    def show(message, category, *rest, **further):
        shown.append((str(message), category))

    monkeypatch.setattr(sys, "argv", ["qiime"])
    monkeypatch.setattr(warnings, "showwarning", show)
    assert spoken(action)([], missing_samples="warn") == 7
    assert shown == [("They are left out: --p-missing-samples is so.", UserWarning)]
    assert warnings.showwarning is show


def test_the_signature_stays():
    wrapped = spoken(action)
    assert inspect.signature(wrapped) == inspect.signature(action)
    assert wrapped.__annotations__ == action.__annotations__ and wrapped.__doc__ == "What it does."


def test_the_name_of_the_command_is_all_that_tells(monkeypatch):
    called = {"qiime": True, "/x/qiime2": True, "/x/q2cli/__main__.py": True, "/x/__main__.py": False, "pytest": False}
    for name, told in called.items():
        monkeypatch.setattr(sys, "argv", [name])
        assert interface.on_command_line() is told
    monkeypatch.setattr(sys, "argv", [])
    assert interface.on_command_line() is False
