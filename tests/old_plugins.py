"""What Debian's plugins of QIIME 2 2022.11 cannot do on the newest releases, where tests/newest lets them run."""

from importlib.metadata import version

import pandas as pd
import pytest

ON_NEWER_PANDAS = version("q2templates").startswith("2022") and int(pd.__version__.split(".")[0]) >= 2

tables_of_q2templates = pytest.mark.skipif(
    ON_NEWER_PANDAS, reason="q2templates of 2022.11 asks for columns as wide as -1, which pandas 2 refuses"
)
