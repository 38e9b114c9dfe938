"""Settings that cannot be are refused before anything is trained."""

import pytest

from q2_aam.actions.fine_tune import fine_tune
from q2_aam.actions.pretrain import pretrain
from q2_aam.settings import FINE_TUNE_MONITORS

from .refusing import no_training, refused  # noqa: F401
from .small import run_fine_tune, run_fit, run_predict, run_pretrain, told

MEASURED = {
    "ph": "total_loss, target_loss, r2, mae, rmse",
    "habitat": "total_loss, target_loss, accuracy, balanced_accuracy",
}


@pytest.mark.parametrize(
    "column, monitor", [("ph", "accuracy"), ("habitat", "r2"), ("ph", "unifrac_r"), ("ph", "val/total_loss")]
)
def test_monitor_that_is_not_measured(study, encoder, column, monitor):
    with refused(f"monitor is {monitor!r}, which is not measured here; choose one of {MEASURED[column]}."):
        run_fine_tune(study, column, encoder, monitor=monitor)


def test_monitors_to_choose_from_are_those_that_some_run_measures():
    measured = {name for names in MEASURED.values() for name in names.split(", ")}
    assert set(FINE_TUNE_MONITORS) == measured | {"unifrac_loss", "unifrac_rmse", "unifrac_r"}


@pytest.mark.parametrize(("name", "value"), [("metric", "generalized"), ("unifrac_weight", 5.0)])
def test_settings_of_distances_without_a_phylogeny(study, encoder, name, value):
    with refused(
        f"{name} is {value!r}, but there is no phylogeny, without which no distances are learnt. Give the phylogeny, "
        f"or leave {name} out."
    ):
        run_fine_tune(study, "ph", encoder, **{name: value})


def test_transform_of_classes_is_warned_of(study, encoder):
    with told() as messages, pytest.raises(ValueError, match="^monitor is 'r3'"):
        run_fine_tune(study, "habitat", encoder, target_transform="log1p", monitor="r3")
    assert messages == [
        "target_transform is 'log1p', but the column is categorical: classes take no transform. Leave target_transform "
        "out."
    ]


def test_no_validation_part_to_tune_by(study, encoder):
    with refused(
        "validation_share is 0, but fine-tuning needs validation samples: they pick the best epoch and tell the "
        "errors. Set it above 0."
    ):
        run_fine_tune(study, "ph", encoder, validation_share=0.0)


def test_wrong_settings_are_refused_before_anything_is_read():
    with refused("batch_size must be at least 1, but is 0."):
        pretrain(table=None, phylogeny=None, batch_size=0)
    with refused("batch_size must be at least 1, but is 0."):
        fine_tune(table=None, metadata=None, batch_size=0)


def test_cuda_where_there_is_none(study, encoder, regressor, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for call in (
        lambda: run_pretrain(study, device="cuda"),
        lambda: run_fit(study, "ph", encoder, device="cuda"),
        lambda: run_fine_tune(study, "ph", encoder, device="cuda"),
        lambda: run_predict(study, regressor[0], device="cuda"),
    ):
        with refused("device is 'cuda', but torch finds no CUDA device. Set device to 'auto' or 'cpu'."):
            call()


def test_precision_16_on_a_cpu(study, encoder):
    for call in (
        lambda: run_pretrain(study, device="cpu", precision="16"),
        lambda: run_fine_tune(study, "ph", encoder, device="cpu", precision="16"),
    ):
        with refused("precision 16 needs a GPU. On a CPU set precision to 'auto', 'bf16' or '32'."):
            call()


# The run directory


def test_run_dir_that_is_a_file(study, encoder, tmp_path):
    (tmp_path / "run").write_text("")
    message = f"run_dir {tmp_path / 'run'} is a file. Give a directory; it is made where it is not there."
    for call in (
        lambda: run_pretrain(study, run_dir=str(tmp_path / "run")),
        lambda: run_fine_tune(study, "ph", encoder, run_dir=str(tmp_path / "run")),
    ):
        with refused(message):
            call()


def test_run_dir_that_cannot_be_written_to(study, encoder, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "run"
    with refused(f"Nothing can be written to run_dir {path} (Not a directory). Give another directory."):
        run_fine_tune(study, "ph", encoder, run_dir=str(path))
