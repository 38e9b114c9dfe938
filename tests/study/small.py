"""A study small enough to be read by eye."""

import re
import warnings

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.study.study import read_study

# ASVs named by words; f4 has no reads.
SEQUENCES = {"f0": "ACGTACGT", "f1": "GGGG", "f2": "ACRT", "f3": "gggg", "f4": "TTTT"}
COUNTS = np.array([[5, 0, 1, 2], [2, 3, 0, 0], [0, 4, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=float)
IDS = ["s0", "s1", "s2", "s3"]
NEWICK = "(((f0:1,f1:2):1,f2:1):1,(f3:1,extra:1):2);"


def table_of(counts=COUNTS, samples=IDS):
    return biom.Table(np.array(counts, dtype=float), [f"f{i}" for i in range(len(counts))], samples)


def metadata_of(**columns):
    columns = columns or {"ph": [6.0, 5.0, 7.5, 4.0], "site": list("abab"), "age": [1.0, np.nan, 3.0, 4.0]}
    return pd.DataFrame(columns, index=pd.Index(IDS, name="sample-id"))


def quiet_study(*arguments, **options):
    """Without a single warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        return read_study(*arguments, **options)


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")
