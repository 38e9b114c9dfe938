import pytest
import torch

from q2_aam.encoder.training import callbacks


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small lose time to a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def undrawn(monkeypatch):
    """Runs without pictures, which take longer than all else."""
    monkeypatch.setattr(callbacks.BestModel, "plot", lambda *_: None)
