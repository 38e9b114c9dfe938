"""The arrows of the design: which part of the house may import which (contracts in pyproject.toml)."""

import ast
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
    assert "Contracts: 5 kept, 0 broken." in result.stdout


def test_a_broken_arrow_is_seen(tmp_path):
    # the same contracts on an empty house of the same plan, in which `study` imports `encoder` and the framework
    package = tmp_path / "q2_aam"
    rooms = ("actions", "visualizers", "registration", "encoder", "heads", "explain", "evaluation", "study", "types")
    rooms += ("simulation", "untrusted")
    for name in rooms:
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    modules = ("__init__", "plugin_setup", "framework", "settings", "schema", "predictor", "predictions")
    modules += ("cross_validation", "fine_tuning", "placement")
    for name in modules:
        (package / f"{name}.py").touch()
    contracts = "[tool.importlinter]" + (ROOT / "pyproject.toml").read_text().split("[tool.importlinter]", 1)[1]
    (tmp_path / "pyproject.toml").write_text(contracts)
    assert lint_imports(tmp_path, "pyproject.toml").returncode == 0
    (package / "study" / "__init__.py").write_text("import q2_aam.encoder\nimport qiime2\n")
    result = lint_imports(tmp_path, "pyproject.toml")
    assert result.returncode == 1
    assert "Contracts: 3 kept, 2 broken." in result.stdout
    assert "q2_aam.study is not allowed to import q2_aam.encoder" in result.stdout
    assert "q2_aam.study is not allowed to import qiime2" in result.stdout


MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FUNCTION = 300, 60


def test_files_are_no_longer_than_one_room():
    files = {path: len(path.read_text().splitlines()) for path in sorted((ROOT / "q2_aam").rglob("*.py"))}
    assert {str(path): lines for path, lines in files.items() if lines > MOST_LINES_OF_A_FILE} == {}


def functions(path):
    """Names of the functions of a file and how many lines each has, its docstring and its signature not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_can_be_read_on_one_screen():
    long = {
        f"{path.relative_to(ROOT)}:{name}": lines
        for path in sorted((ROOT / "q2_aam").rglob("*.py"))
        for name, lines in functions(path)
        if lines > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_a_long_function_is_seen(tmp_path):
    path = tmp_path / "long.py"
    path.write_text('def long():\n    """Words."""\n' + "    x = 1\n" * 61)
    assert list(functions(path)) == [("long", 61)]


# Inputs and metadata columns not counted: the table of the design.
MOST_PARAMETERS = {
    "pretrain": 24,
    "fit": 12,
    "fine_tune": 26,
    "predict": 8,
    "explain": 8,
    "embed": 6,
    "embed_vectors": 6,
    "harmonize_regions": 7,
    "ready_encoder": 1,
    "cross_validate": 16,
    "predict_baselines": 8,
    "merge_folds": 8,
    "split_samples": 8,
    "evaluate": 6,
    "summarize_training": 6,
    "summarize_model": 6,
    "show_importance": 6,
    "maturity": 6,
    "show_maturity": 6,
    "show_novelty": 6,
}


def test_actions_have_as_few_parameters_as_the_design_says():
    from q2_aam.plugin_setup import plugin

    counts = {}
    for name, action in plugin.actions.items():
        types = {parameter: str(spec.qiime_type) for parameter, spec in action.signature.parameters.items()}
        counts[name] = sum(not kind.startswith("Metadata") for kind in types.values())
    assert counts.keys() == MOST_PARAMETERS.keys()
    assert {name: count for name, count in counts.items() if count > MOST_PARAMETERS[name]} == {}


def test_fit_and_predict_load_no_lightning():
    """It takes as long to load as a small table takes to predict."""
    command = "import sys, q2_aam.predictor; print(sorted({'lightning', 'torch._dynamo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
