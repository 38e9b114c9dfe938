"""A directory for temporary files that is this run's own, and gone after it.

QIIME 2 keeps a cache with a lock in the system's one: a run that was killed would leave it locked for ten minutes.
"""

import atexit
import os
import shutil
import tempfile

os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="q2-aam-tests-")
tempfile.tempdir = None
atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)
