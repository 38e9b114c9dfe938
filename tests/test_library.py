"""The library without QIIME 2: its examples run where neither the framework nor any of its plugins can be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = (
    "q2_aam",
    "q2_aam.study.study",
    "q2_aam.simulation.study",
    "q2_aam.encoder.encoder",
    "q2_aam.predictor",
    "q2_aam.cross_validation",
)
BLOCKED = ("qiime2", "rachis", "q2_types", "q2_sample_classifier", "q2templates", "q2cli")
PROGRAM = """
import doctest, importlib, sys
# None: importing it is an error.
sys.modules.update(dict.fromkeys({blocked!r}))
module = importlib.import_module({module!r})
done = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
print(done.attempted, done.failed)
assert not set({blocked!r}) & {{name for name, value in sys.modules.items() if value is not None}}
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("module", MODULES)
def test_examples_run_without_qiime2(module):
    done = run(PROGRAM.format(blocked=BLOCKED, module=module))
    assert done.returncode == 0, done.stdout + done.stderr
    attempted, failed = map(int, done.stdout.split()[-2:])
    assert attempted and not failed, done.stdout


def test_importing_the_package_loads_nothing_heavy():
    program = "import sys, q2_aam; print([n for n in ('torch', 'lightning', 'pandas', 'sklearn') if n in sys.modules])"
    assert run(program).stdout.strip() == "[]"


def test_what_is_not_there_is_an_attribute_error():
    import q2_aam

    with pytest.raises(AttributeError, match="^module 'q2_aam' has no attribute 'Forest'$"):
        q2_aam.Forest  # noqa: B018
