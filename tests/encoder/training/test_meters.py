import numpy as np
import pytest
import torch

from q2_aam.encoder.training.meters import EpochMeter, mode_of
from q2_aam.encoder.training.non_finite import describe, finite
from tests import tiny


def test_distances_of_all_batches_are_scored_together():
    meter = EpochMeter(None)
    predicted, true = torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0.2, 0.3, 0.5, 0.9])
    meter.add_distances(predicted[:1], true[:1])
    meter.add_distances(predicted[1:], true[1:])
    metrics = meter.compute()
    assert metrics["unifrac_rmse"] == pytest.approx(np.sqrt((0.01 + 0.01 + 0.0225 + 0.01) / 4), rel=1e-5)
    assert metrics["unifrac_r"] == pytest.approx(np.corrcoef(predicted, true)[0, 1], rel=1e-5)


def test_nucleotide_accuracy_is_of_all_that_were_masked():
    meter = EpochMeter(None)
    meter.add_nucleotides(torch.eye(4), torch.tensor([1, 2, 3, 1]))
    meter.add_nucleotides(torch.eye(4)[:1], torch.tensor([4]))
    assert meter.compute() == {"nucleotide_accuracy": 3 / 5}


def test_a_numeric_target_is_scored_in_its_own_units():
    target, _ = tiny.target("numeric")
    meter = EpochMeter(target)
    true = np.array([4.0, 6.0, 9.0, 5.0])
    predicted = np.array([5.0, 6.0, 7.0, 5.0])
    scaled = [torch.tensor((v - target.location) / target.scale, dtype=torch.float32) for v in (predicted, true)]
    meter.add_targets(scaled[0][:3, None], scaled[1][:3])
    meter.add_targets(scaled[0][3:, None], scaled[1][3:])
    metrics = meter.compute()
    assert metrics["mae"] == pytest.approx(3 / 4, rel=1e-5)
    assert metrics["rmse"] == pytest.approx(np.sqrt(5 / 4), rel=1e-5)
    assert metrics["r2"] == pytest.approx(1 - 5 / 14, rel=1e-5)
    shown = meter.targets()
    assert np.allclose(shown[0], true) and np.allclose(shown[1], predicted)


def test_classes_are_scored_by_name():
    target, _ = tiny.target("categorical", 3)
    meter = EpochMeter(target)
    meter.add_targets(torch.tensor([[2.0, 1, 0], [2.0, 1, 0], [0, 0, 1.0]]), torch.tensor([0, 0, 2]))
    meter.add_targets(torch.tensor([[0.0, 0, 9.0]]), torch.tensor([1]))
    assert meter.compute() == {"accuracy": 3 / 4, "balanced_accuracy": pytest.approx(2 / 3)}
    true, predicted = meter.targets()
    assert true.tolist() == ["zone 0", "zone 0", "zone 2", "zone 1"]
    assert predicted.tolist() == ["zone 0", "zone 0", "zone 2", "zone 2"]


def test_what_is_undefined_is_left_out():
    meter = EpochMeter(None)
    assert meter.compute() == {} and meter.targets() is None
    meter.add_distances(torch.zeros(0), torch.zeros(0))
    meter.add_nucleotides(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    assert meter.compute() == {}
    meter.add_distances(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.1]))
    assert set(meter.compute()) == {"unifrac_rmse"}
    meter.add_distances(torch.tensor([0.3]), torch.tensor([0.1]))
    assert set(meter.compute()) == {"unifrac_rmse"}, "a correlation with a constant"


def test_an_r2_of_one_sample_is_left_out():
    meter = EpochMeter(tiny.target("numeric")[0])
    meter.add_targets(torch.zeros(1, 1), torch.zeros(1))
    assert set(meter.compute()) == {"mae", "rmse"}


def test_reset_forgets_and_take_adds():
    target, _ = tiny.target("numeric")
    first, second = EpochMeter(target), EpochMeter(target)
    for meter, value in ((first, 0.0), (second, 2.0)):
        meter.add_targets(torch.zeros(1, 1), torch.tensor([value]))
        meter.add_distances(torch.tensor([0.5]), torch.tensor([0.5]))
        meter.add_nucleotides(torch.eye(4)[:1], torch.tensor([1 + int(value)]))
    first.merge(second)
    assert first.compute()["mae"] == pytest.approx(target.scale)
    assert first.compute()["nucleotide_accuracy"] == 0.5
    first.reset()
    assert first.compute() == {}


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.tensor([[1, 2, 9]], dtype=torch.uint8), "x (1, 3) uint8 min 1 max 9 mean 4"),
        (torch.tensor([True, False]), "x (2,) bool min 0 max 1 mean 0.5"),
        (torch.tensor([1.0, float("nan"), 3.0]), "x (3,) float32 min 1 max 3 mean 2, 1 not finite"),
        (torch.tensor([float("inf"), float("nan")]), "x (2,) float32, 2 not finite"),
        (torch.tensor(0.5, dtype=torch.bfloat16), "x () bfloat16 min 0.5 max 0.5 mean 0.5"),
        (torch.zeros(0, 4), "x (0, 4) float32 (empty)"),
        (torch.tensor([2**62]), "x (1,) int64 min 4.612e+18 max 4.612e+18 mean 4.612e+18"),
    ],
)
def test_8_7_statistics_of_any_tensor_never_fail(tensor, text):
    assert describe("x", tensor) == text


def test_finite():
    assert finite(torch.tensor([1.0, 2.0])) and finite(torch.tensor([1, 2]))
    assert not finite(torch.tensor([1.0, float("inf")])) and not finite(torch.tensor(float("nan")))


def test_mode_of_a_metric():
    for name in ("r2", "val/r2", "train/unifrac_r", "nucleotide_accuracy", "balanced_accuracy", "accuracy"):
        assert mode_of(name) == "max"
    for name in ("total_loss", "val/total_loss", "unifrac_rmse", "mae", "val/count_loss"):
        assert mode_of(name) == "min"


def test_a_loss_is_a_mean_over_all_that_its_batches_count():
    meter, batch = EpochMeter(None), EpochMeter(None)
    meter.add_loss("unifrac_loss", 0.5, 55)
    meter.add_loss("count_loss", 2.0, 3)
    batch.add_loss("unifrac_loss", 0.0, 0)
    batch.add_loss("count_loss", 1.0, 1)
    batch.add_loss("target_loss", 0.0, 0)
    meter.merge(batch)
    assert meter.compute() == {"unifrac_loss": 0.5, "count_loss": 1.75}, "what counts nothing has no loss"
    meter.reset()
    assert meter.compute() == {}
