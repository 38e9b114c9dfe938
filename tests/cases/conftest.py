"""The study that all cases are changes of."""

import pytest

from .inputs import Inputs


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("cases"))
