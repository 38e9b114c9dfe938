"""A run that SIGKILL ends at a random moment, and that is begun again: nothing is damaged, an epoch is lost at most.

More moments than here: `KILLED_MOMENTS=20 pytest tests/encoder/training/test_sigkill.py`.
"""

import os
import signal
import time

import numpy as np
import pandas as pd
import pytest

from q2_aam.encoder.training import callbacks
from tests.encoder.training.test_resume import assert_same_outcome, run

MOMENTS = int(os.environ.get("KILLED_MOMENTS", 3))
EPOCHS = {"epochs": 12, "patience": 0}


def started(directory) -> int:
    """A run in a process of its own."""
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            run(directory, **EPOCHS)()
        finally:
            os._exit(0)
    return child


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.BestModel, "plot", lambda *_: None)
        expected = run(tmp_path_factory.mktemp("whole") / "run", **EPOCHS)
        begun = time.monotonic()
        expected()
        return expected, time.monotonic() - begun


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_run_that_is_killed_at_any_moment_goes_on(undrawn, whole, tmp_path, moment, capsys):
    expected, seconds = whole
    child = started(tmp_path / "run")
    time.sleep(np.random.default_rng(moment).uniform(0, 0.6 * seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    history = tmp_path / "run" / "history.tsv"
    before = len(pd.read_csv(history, sep="\t")) if history.exists() and history.stat().st_size else 0
    capsys.readouterr()
    resumed = run(tmp_path / "run", **EPOCHS)
    resumed()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    first = int(lines[0].split()[1].split("/")[0]) if lines else EPOCHS["epochs"] + 1
    # What the last row of the history tells of may not have been saved yet.
    assert before <= first <= before + 1
    assert_same_outcome(resumed, expected)
    print(f"killed after {before} of {EPOCHS['epochs']} epochs, went on with {first}")
    names = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert not {name for name in names if name.endswith(".new")}, names
