"""A directory for temporary files that is this run's own, and gone after it.

QIIME 2 keeps a cache with a lock in the system's one: a run that was killed would leave it locked for ten minutes.
"""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="q2-aam-tests-")
tempfile.tempdir = None
atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)


def pytest_collection_modifyitems(session):
    """A file that another test left to be closed is no error of the one that runs when it is collected."""
    # Marks of the whole session are applied last, after those that make warnings errors.
    session.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
    session.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
