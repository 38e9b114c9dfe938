"""What scikit-bio calls otherwise from one release to the next."""

import subprocess
import sys
from functools import cache
from inspect import signature

from skbio.diversity.beta import unweighted_unifrac


def tips_of_columns(names) -> dict:
    """How UniFrac is told the tips of a table's columns: ``otu_ids`` up to scikit-bio 0.6, then ``taxa``."""
    return {"taxa" if "taxa" in signature(unweighted_unifrac).parameters else "otu_ids": names}


@cache
def torch_by_scikit_bio() -> set:
    """{"torch"} where `import skbio` loads it, which 0.7.4 does for functions of its own tests."""
    code = "import sys, skbio; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return {"torch"} if done.stdout.strip() == "True" else set()
