import pytest
import torch

from q2_aam.encoder.encoder import Encoder
from q2_aam.settings import Architecture, Objective, Optimization, PretrainingSampling, Runtime, Training
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


@pytest.fixture(scope="session")
def nucleotide_study():
    """A study of 40 samples of 120 ASVs of 60 nucleotides."""
    return simulate_study(n_samples=40, target="ph", with_phylogeny=True)


@pytest.fixture(scope="session")
def nucleotide_encoder(nucleotide_study) -> Encoder:
    """It has learnt nucleotides alone, of these samples."""
    settings = Training(
        Optimization(epochs=20, batch_size=8, learning_rate=1e-2),
        Objective(unifrac_weight=0, count_weight=0, nucleotide_weight=1),
        PretrainingSampling(subcommunities=0),
        Runtime(threads=1),
    )
    return Encoder.pretrain(nucleotide_study, settings, architecture=Architecture(dim=32, heads=2, lineages=16))
