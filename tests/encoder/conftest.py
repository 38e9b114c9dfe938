import pytest
import torch

from q2_aam.encoder.encoder import Encoder
from q2_aam.simulation.study import simulate_study
from tests.encoder.small import SIZES, training
from tests.study.conftest import survey  # noqa: F401 (a fixture)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small lose time to a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[1, 2, 3])
def threads(request, one_thread):
    """Torch's threads, set to each of a few numbers."""
    torch.set_num_threads(request.param)
    return request.param


@pytest.fixture(scope="session")
def simulated():
    """A study of 24 samples with a phylogeny and a numeric target."""
    return simulate_study(n_samples=24, target="ph", groups="site", with_phylogeny=True)


@pytest.fixture(scope="session")
def encoder(simulated):
    """Of these samples."""
    return Encoder.pretrain(simulated, training(2), architecture=SIZES)
