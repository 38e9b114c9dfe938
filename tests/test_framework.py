import ast
import subprocess
import sys
from pathlib import Path

import pytest

import q2_aam
from q2_aam import framework
from tests.scikit_bio import torch_by_scikit_bio

PACKAGE = Path(q2_aam.__file__).parent

without_rachis = pytest.mark.skipif(framework.NAME == "rachis", reason="rachis itself is here")

# A stand-in for the renamed framework: the modules of `qiime2` under the name `rachis`, as in 2026.1.
RENAMED = """
import importlib, sys
import qiime2, qiime2.plugin, qiime2.plugin.model, qiime2.sdk, qiime2.sdk.usage
for name in [name for name in sys.modules if name.split('.')[0] == 'qiime2']:
    sys.modules['rachis' + name[len('qiime2'):]] = sys.modules[name]
"""


def test_the_framework_is_imported_in_one_place():
    importers = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in ("qiime2", "rachis") for name in names):
                importers.add(file.relative_to(PACKAGE).as_posix())
    assert importers == set()
    assert framework.NAME in ("qiime2", "rachis")


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@without_rachis
def test_rachis_stands_in_for_qiime2(tmp_path):
    (tmp_path / "rachis").mkdir()
    (tmp_path / "rachis" / "__init__.py").write_text(RENAMED)
    (tmp_path / "rachis" / "plugin.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code += "from q2_aam.framework import NAME, model, qiime2\n"
    code += "from q2_aam.plugin_setup import plugin\n"
    code += "print(NAME, plugin.name, 'AAMModel' in plugin.type_fragments, issubclass(model.File, object))"
    assert run(code) == ["rachis", "aam", "True", "True"]


@without_rachis
def test_another_package_called_rachis_is_no_framework(tmp_path):
    (tmp_path / "rachis.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom q2_aam.framework import NAME; print(NAME)"
    )
    assert run(code) == ["qiime2"]


def test_types_load_neither_torch_nor_lightning():
    code = "import sys; import q2_aam.types\n"
    code += "print(*[name for name in ('torch', 'lightning') if name in sys.modules])"
    assert set(run(code)) <= torch_by_scikit_bio()
