"""The arrows of the design: which part of the house may import which (contracts in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def lint_imports(folder, config):
    """Run import-linter on the package in a folder; a process of its own, as it changes the import path."""
    command = (
        "import sys; from importlinter.cli import lint_imports; "
        f"sys.exit(lint_imports(config_filename={str(config)!r}, no_cache=True, no_logo=True))"
    )
    return subprocess.run([sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module", autouse=True)
def import_linter():
    pytest.importorskip("importlinter")


def test_contracts_are_kept():
    result = lint_imports(ROOT, ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Contracts: 4 kept, 0 broken." in result.stdout


def test_a_broken_arrow_is_seen(tmp_path):
    # the same contracts on an empty house of the same plan, in which `study` imports `encoder` and the framework
    package = tmp_path / "q2_aam"
    rooms = ("actions", "visualizers", "registration", "encoder", "heads", "evaluation", "study", "types", "simulation")
    for name in rooms:
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    for name in ("__init__", "plugin_setup", "framework", "settings", "fitting", "prediction", "model_file"):
        (package / f"{name}.py").touch()
    contracts = "[tool.importlinter]" + (ROOT / "pyproject.toml").read_text().split("[tool.importlinter]", 1)[1]
    (tmp_path / "pyproject.toml").write_text(contracts)
    assert lint_imports(tmp_path, "pyproject.toml").returncode == 0
    (package / "study" / "__init__.py").write_text("import q2_aam.encoder\nimport qiime2\n")
    result = lint_imports(tmp_path, "pyproject.toml")
    assert result.returncode == 1
    assert "Contracts: 2 kept, 2 broken." in result.stdout
    assert "q2_aam.study is not allowed to import q2_aam.encoder" in result.stdout
    assert "q2_aam.study is not allowed to import qiime2" in result.stdout
