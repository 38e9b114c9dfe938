"""For tests of what is refused: nothing may be trained meanwhile."""

import re

import pytest

from q2_aam import fine_tuning
from q2_aam.encoder import pretraining


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    def train(*arguments, **options):
        pytest.fail("training began")

    monkeypatch.setattr(pretraining, "train", train)
    monkeypatch.setattr(fine_tuning, "train", train)


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")
