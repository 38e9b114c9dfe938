"""What cannot be learnt or measured is refused before anything is trained."""

import re

import numpy as np
import pytest

from q2_aam.encoder.training.measured import pairs_in
from tests import tiny

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.usefixtures("undrawn")]

ONLY_UNIFRAC = {"nucleotide_weight": 0.0, "count_weight": 0.0}
ONE = {"validation_rows": np.array([15])}


def refused(directory, message, **changes):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tiny.Run(directory, **changes)()
    assert list(directory.iterdir()) == [], "nothing was begun"


@pytest.mark.parametrize(
    ("rows", "batch_size", "processes", "pairs"),
    [
        (4, 4, 1, 6),
        (5, 4, 1, 6),
        (5, 1, 1, 0),
        (5, 1, 2, 1 + 3),
    ],
)
def test_pairs_of_an_epoch(rows, batch_size, processes, pairs):
    """In several processes a sample that is left over goes to the batch before it."""
    assert pairs_in(np.arange(rows), batch_size, processes) == pairs


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        (ONE, "1 samples for validation, in batches of 4"),
        ({"batch_size": 1}, "15 samples to learn from, in batches of 1"),
        ({"train_rows": np.array([3])}, "1 samples to learn from, in batches of 4"),
    ],
)
def test_unifrac_alone_takes_two_samples(tmp_path, changes, where):
    message = (
        f"UniFrac is the only loss, and takes two samples in a batch: none are among the {where}. Give more samples, "
        "another validation_share or a larger batch_size, or set another weight above 0."
    )
    refused(tmp_path, message, **ONLY_UNIFRAC, **changes)


def test_beside_another_loss_it_does_not(tmp_path):
    run = tiny.Run(tmp_path, epochs=1, nucleotide_weight=0.0, **ONE)
    run()
    history = run.history()
    assert history["val/total_loss"][1] == pytest.approx(
        run.settings.objective.count_weight * history["val/count_loss"][1]
    )


def test_two_samples_without_a_validation_part_are_enough(tmp_path):
    run = tiny.Run(tmp_path, epochs=1, train_rows=np.arange(2), validation_rows=tiny.NO_ROWS, **ONLY_UNIFRAC)
    assert run().monitor == "train/total_loss"


@pytest.mark.parametrize(
    ("monitor", "changes", "where", "known"),
    [
        ("unifrac_loss", ONE, "1 samples for validation, in batches of 4", ""),
        ("unifrac_rmse", {"batch_size": 1}, "5 samples for validation, in batches of 1", ""),
        (
            "unifrac_r",
            {"validation_rows": np.array([15, 16])},
            "2 samples for validation, in batches of 4",
            "unifrac_loss, unifrac_rmse, ",
        ),
        (
            "unifrac_r",
            {"validation_rows": tiny.NO_ROWS, "batch_size": 1},
            "15 samples to learn from, in batches of 1",
            "",
        ),
    ],
)
def test_a_monitor_that_needs_more_samples(tmp_path, monitor, changes, where, known):
    message = (
        f"monitor is {monitor!r}, which is not measured on {where}; choose one of total_loss, {known}nucleotide_loss, "
        "nucleotide_accuracy, count_loss."
    )
    refused(tmp_path, message, monitor=monitor, **changes)


def test_r2_takes_targets_that_differ(tmp_path):
    message = (
        "monitor is 'r2', which is not measured on 1 samples for validation, in batches of 4; choose one of "
        "total_loss, target_loss, mae, rmse."
    )
    refused(tmp_path, message, kind="numeric", unifrac=None, monitor="r2", **ONLY_UNIFRAC, **ONE)
