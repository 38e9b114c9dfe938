"""The `qiime` launcher of .venv, whose cache follows the plugin's sources, and the page of all actions."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def script(name):
    """A file of the tools, as a module."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def launcher(monkeypatch, tmp_path):
    module = script("qiime")
    package = tmp_path / "q2_aam"
    package.mkdir()
    (package / "plugin_setup.py").write_text("plugin = 1\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def test_description_of_the_sources_changes_with_them(launcher, tmp_path):
    source = tmp_path / "q2_aam" / "plugin_setup.py"
    before = launcher.describe_sources()
    assert launcher.describe_sources() == before
    (tmp_path / "q2_aam" / "notes.txt").write_text("no source")
    assert launcher.describe_sources() == before
    os.utime(source, ns=(0, 0))
    touched = launcher.describe_sources()
    assert touched != before
    (tmp_path / "q2_aam" / "citations.bib").write_text("@article{a}")
    assert launcher.describe_sources() != touched


def test_program_is_called_qiime_and_keeps_its_cache_in_the_environment():
    if sys.prefix == sys.base_prefix or not (Path(sys.prefix) / "bin" / "qiime").exists():
        pytest.skip("not in the .venv that tools/setup-env.sh makes")
    program = Path(sys.prefix) / "bin" / "qiime"
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=True, timeout=120).stdout
    assert told.startswith("Usage: qiime [OPTIONS] COMMAND [ARGS]...")
    told = subprocess.run([program, "info"], capture_output=True, text=True, check=True, timeout=120).stdout
    assert f"Application config directory\n{sys.prefix}/var/q2cli" in told
    assert f"aam: {importlib.import_module('q2_aam').__version__}" in told


def test_the_page_of_actions_is_what_the_plugin_says():
    reference = script("reference")
    assert reference.PAGE.read_text() == reference.page(), "run `make reference`"


def test_the_page_of_actions_names_everything_with_its_default():
    from q2_aam.plugin_setup import plugin

    sections = script("reference").page().split("\n## ")[1:]
    assert sorted(section.splitlines()[0].replace("-", "_") for section in sections) == sorted(plugin.actions)
    for section in sections:
        action = plugin.actions[section.splitlines()[0].replace("-", "_")]
        rows = {line.split("`")[1]: line for line in section.splitlines() if line.startswith("| `")}
        for name, spec in {**action.signature.inputs, **action.signature.parameters}.items():
            assert rows[name].endswith(f"| {spec.description} |"), name
        for name, spec in action.signature.parameters.items():
            if spec.has_default() and spec.default is not None:
                assert f" | `{spec.default}` | " in rows[name]
