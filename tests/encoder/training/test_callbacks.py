import io
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from q2_aam.encoder.files import read_tensors
from q2_aam.encoder.training import callbacks
from q2_aam.encoder.training.callbacks import BestModel, History
from q2_aam.settings import TargetObjective, measured_names
from tests import tiny

pytestmark = pytest.mark.filterwarnings("error")

# Weights that no step can change: nothing ever improves.
STILL = {"learning_rate": 1e-30, "weight_decay": 0.0}
# Steps so large that some epochs are worse than the ones before.
WILD = {"learning_rate": 0.1, "epochs": 8, "patience": 0, "scheduler": "constant"}


def events(directory):
    """Scalars, as lists of (step, value) by tag, and steps of the images by tag, of a run's event files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        accumulator = EventAccumulator(str(directory / "events"), size_guidance={"images": 0, "scalars": 0})
        accumulator.Reload()
        tags = accumulator.Tags()
    scalars = {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in tags["scalars"]}
    return scalars, {tag: [e.step for e in accumulator.Images(tag)] for tag in tags["images"]}


def improvements(scores):
    """Epochs (from 1) that are better than all before."""
    return [n for n, score in enumerate(scores, 1) if n == 1 or score < min(scores[: n - 1])]


@pytest.fixture
def written(monkeypatch):
    """Content of each best_model.pt that is written."""
    contents = []
    write = callbacks.write_atomically

    def spy(content, path):
        write(content, path)
        contents.append(read_tensors(path))

    monkeypatch.setattr(callbacks, "write_atomically", spy)
    return contents


@pytest.mark.parametrize("stage", ["val", "train"])
def test_8_2_best_model_is_written_when_the_loss_improves_and_only_then(tmp_path, written, stage):
    """By the training loss where there is no validation part."""
    rows = tiny.VALIDATION_ROWS if stage == "val" else tiny.NO_ROWS
    run = tiny.Run(tmp_path, validation_rows=rows, **WILD)
    result = run()
    scores = run.history()[f"{stage}/total_loss"].tolist()
    best = improvements(scores)
    assert 1 < len(best) < len(scores), "some epochs improve and some do not"
    assert [content["epoch"] for content in written] == best
    assert [content["score"] for content in written] == pytest.approx([scores[n - 1] for n in best])
    assert result.monitor == f"{stage}/total_loss" and result.best_epoch == best[-1]
    assert read_tensors(tmp_path / "best_model.pt")["epoch"] == best[-1]
    assert not any(name.startswith("val/") for name in run.history()) or stage == "val"


def test_8_2_it_holds_the_weights_of_its_epoch_and_the_optimizers_and_schedulers_state(tmp_path, written):
    run = tiny.Run(tmp_path, epochs=2)
    run()
    state = written[-1]
    assert state["epoch"] == 2, "the last epoch is the best here: its weights are those the network ends with"
    for name, weight in run.network.state_dict().items():
        assert torch.equal(state["model"][name], weight), name
    assert not torch.equal(
        written[0]["model"]["sample_encoder.membership.weight"], state["model"]["sample_encoder.membership.weight"]
    )
    [optimizer], [scheduler] = state["optimizer"], state["scheduler"]
    muon, adamw = optimizer["parts"]
    assert {int(moments["step"]) for moments in adamw["state"].values()} == {8} and scheduler["last_epoch"] == 8
    assert len(muon["state"]) == len(muon["param_groups"][0]["params"]) > 0
    assert written[0]["scheduler"][0]["last_epoch"] == 4


def test_8_2_another_metric_picks_the_best_epoch(tmp_path, written, undrawn):
    run = tiny.Run(tmp_path, kind="numeric", monitor="r2", **WILD)
    result = run()
    scores = run.history()["val/r2"]
    assert result.best_epoch == scores.idxmax()
    assert result.mode == "max" and result.monitor == "val/r2"
    assert [content["epoch"] for content in written] == improvements((-scores).tolist())


def test_8_2_a_metric_that_is_not_measured_is_refused_by_name(tmp_path):
    """With names as they are given, of the part that picks the epoch."""
    metrics = {name: torch.tensor(0.5) for name in ("train/r2", "val/total_loss", "val/mae")}
    message = "monitor is 'unifrac_r', which was not measured in epoch 3; choose one of mae, total_loss."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        BestModel(tmp_path, "val/unifrac_r").on_train_epoch_end(training(metrics, epoch=2), None)


def training(metrics, epoch=0):
    """Stands in for Lightning's trainer at the end of an epoch."""
    return SimpleNamespace(
        callback_metrics=metrics,
        current_epoch=epoch,
        global_step=epoch + 1,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        fast_dev_run=False,
        sanity_checking=False,
        is_global_zero=True,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.001}])],
        strategy=SimpleNamespace(reduce_boolean_decision=bool),
    )


def test_8_2_the_start_is_kept_unless_training_improves_on_it(tmp_path, written, undrawn):
    run = tiny.Run(tmp_path, kind="numeric", epochs=2, learning_rate=0.5, optimizer="adamw")
    before = {name: weight.clone() for name, weight in run.network.state_dict().items()}
    result = run(validate_first=True)
    scores = run.history()["val/total_loss"]
    assert scores.index.tolist() == [0, 1, 2] and scores.idxmin() == result.best_epoch == 0
    assert [content["epoch"] for content in written] == [0]
    assert all(torch.equal(result.state["model"][name], weight) for name, weight in before.items())
    assert result.describe() == (
        "None of 2 epochs did better than the linear head alone, which is kept. All 2 epochs were run."
    )


@pytest.mark.parametrize(("rows", "stage"), [(tiny.VALIDATION_ROWS, "val"), (tiny.NO_ROWS, "train")])
def test_8_3_training_ends_after_patience_epochs_without_improvement(tmp_path, rows, stage):
    run = tiny.Run(tmp_path, epochs=12, patience=3, validation_rows=rows, **STILL, **fixed_loss(stage))
    result = run()
    waited = 4 if stage == "val" else run.history()["train/total_loss"].idxmin() + 3
    assert result.epochs == len(run.history()) == waited < 12
    assert result.best_epoch == waited - 3
    assert result.stopped == f"{stage}/total_loss had not improved for 3 epochs."
    assert result.describe() == (
        f"Epoch {waited - 3} of {waited} was best and is kept. {stage}/total_loss had not improved for 3 epochs."
    )


def fixed_loss(stage):
    """Training masks anew every epoch: its loss is only fixed without."""
    return {"nucleotide_weight": 0.0, "count_weight": 0.0} if stage == "train" else {}


def test_8_3_improvement_resets_the_wait_and_patience_0_never_stops(tmp_path):
    run = tiny.Run(tmp_path / "0", epochs=6, patience=0, **STILL)
    assert run().epochs == 6
    assert run.result.stopped == "All 6 epochs were run."
    run = tiny.Run(tmp_path / "2", **{**WILD, "epochs": 30, "patience": 2})
    result = run()
    best = improvements(run.history()["val/total_loss"].tolist())
    assert result.epochs == best[-1] + 2 and len(best) > 1


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_8_4_validation_is_drawn_when_it_improves_as_png_and_in_tensorboard(tmp_path, monkeypatch, kind):
    drawn = []

    def spied(name, draw):
        def spy(*shown, **options):
            drawn.append((name, shown, options))
            return draw(*shown, **options)

        return spy

    for name in ("predicted_against_true", "confusion_matrix_figure"):
        monkeypatch.setattr(callbacks, name, spied(name, getattr(callbacks, name)))
    run = tiny.Run(tmp_path, kind=kind, **WILD)
    run()
    best = improvements(run.history()["val/total_loss"].tolist())
    assert len(best) < 8
    plots = sorted((tmp_path / "plots").iterdir())
    assert [path.name for path in plots] == [f"epoch-{n:04d}.png" for n in best]
    assert all(path.read_bytes().startswith(PNG) for path in plots)
    _, images = events(tmp_path)
    assert images == {"val/predictions": best}
    name, (truth, predicted), options = drawn[-1]
    assert name == ("predicted_against_true" if kind == "numeric" else "confusion_matrix_figure")
    if kind == "numeric":
        assert np.allclose(truth, 4 + 5 * tiny.gradient()[tiny.VALIDATION_ROWS], atol=1e-5), "in its own units"
        error = np.abs(truth - predicted).mean()
        assert error == pytest.approx(run.history()["val/mae"][best[-1]], rel=1e-5)
        assert options == {"title": f"ph: validation samples, epoch {best[-1]}", "units": "ph"}
    else:
        assert options == {"title": f"zone: validation samples, epoch {best[-1]}", "classes": ["zone 0", "zone 1"]}
        assert np.mean(truth == predicted) == pytest.approx(run.history()["val/accuracy"][best[-1]])


def test_8_4_without_a_target_or_a_validation_part_there_is_nothing_to_draw(tmp_path):
    tiny.Run(tmp_path / "encoder", epochs=1)()
    tiny.Run(tmp_path / "whole", kind="numeric", epochs=1, validation_rows=tiny.NO_ROWS)()
    for name in ("encoder", "whole"):
        assert not (tmp_path / name / "plots").exists()


COLUMNS = {
    None: {"unifrac_rmse", "unifrac_r", "nucleotide_accuracy"},
    "numeric": {"unifrac_rmse", "unifrac_r", "nucleotide_accuracy", "target_loss", "r2", "mae", "rmse"},
    "categorical": {
        *("unifrac_rmse", "unifrac_r", "nucleotide_accuracy"),
        *("target_loss", "accuracy", "balanced_accuracy"),
    },
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_8_1_train_and_val_are_logged_under_the_same_names_and_steps(tmp_path, kind, undrawn):
    """In TensorBoard, where they overlay, and in history.tsv, with the same numbers."""
    run = tiny.Run(tmp_path, kind=kind, accumulation=3)
    run()
    names = {*tiny.LOSSES, *COLUMNS[kind]}
    history = run.history()
    assert set(history) == {"learning_rate", "seconds"} | {f"{s}/{name}" for s in ("train", "val") for name in names}
    assert list(history)[:2] == ["learning_rate", "seconds"]
    assert history.index.tolist() == [1, 2, 3]
    assert np.isfinite(history.to_numpy()).all()
    scalars, _ = events(tmp_path)
    assert set(scalars) - {"epoch"} == set(history) - {"learning_rate", "seconds"}
    for name in names:
        train, val = scalars[f"train/{name}"], scalars[f"val/{name}"]
        assert [step for step, _ in train] == [step for step, _ in val] == [1, 3, 5], name
        assert np.allclose([value for _, value in train], history[f"train/{name}"], rtol=1e-5)
        assert np.allclose([value for _, value in val], history[f"val/{name}"], rtol=1e-5)


def test_8_1_the_history_has_the_rate_of_each_epochs_last_step_and_its_seconds(tmp_path):
    run = tiny.Run(tmp_path, scheduler="cosine", learning_rate=0.01)
    run()
    last = np.array([3, 7, 11])
    assert np.allclose(run.history()["learning_rate"], 0.01 * (1 + np.cos(np.pi * last / 12)) / 2)
    assert (run.history()["seconds"] > 0).all()


def test_8_1_epoch_0_has_validation_only(tmp_path, undrawn):
    run = tiny.Run(tmp_path, kind="numeric", epochs=1)
    run(validate_first=True)
    first = run.history().loc[0]
    assert set(first.dropna().index) == {"seconds"} | {name for name in run.history() if name.startswith("val/")}
    assert np.isfinite(run.history().loc[1]).all()


def test_the_history_is_never_half_written(tmp_path, monkeypatch):
    history = History(tmp_path, 3, "val/total_loss")
    history.rows = [{"epoch": 1, "seconds": 1.0}]
    history.write()
    before = history.path.read_text()

    def dies(frame, path, **options):
        path.write_text("epo")
        raise OSError

    monkeypatch.setattr(callbacks.pd.DataFrame, "to_csv", dies)
    with pytest.raises(OSError):
        history.write()
    assert history.path.read_text() == before


NUMBER = r"-?[\d.]+"
LINE = re.compile(
    rf"epoch (\d)/3  total_loss {NUMBER} \(val {NUMBER}\)  unifrac_r {NUMBER} \(val {NUMBER}\)  [\d.]+ s  [\d.]+ s left"
)


def test_8_10_a_line_an_epoch_where_there_is_no_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr", Screen(terminal=False))
    tiny.Run(tmp_path)()
    out = capsys.readouterr().out
    assert [LINE.fullmatch(line)[1] for line in out.splitlines()] == ["1", "2", "3"]
    assert callbacks.sys.stderr.getvalue() == ""


EVERYTHING = measured_names(TargetObjective(nucleotide_weight=1.0, count_weight=1.0), True, "categorical")


@pytest.mark.parametrize("monitor", EVERYTHING)
@pytest.mark.parametrize("value", [0.875, -123456.0])
def test_8_10_a_line_is_at_most_120_columns_and_has_what_picks_the_epoch(tmp_path, capsys, monkeypatch, monitor, value):
    """Whatever is measured, with the longest names and numbers."""
    monkeypatch.setattr("sys.stderr", Screen(terminal=False))
    history = History(tmp_path, 1000, f"val/{monitor}")
    history._rate = 0.001
    # Shares and correlations are not beyond 1.
    values = {name: max(-1.0, value) if name.endswith(("_r", "accuracy")) else value for name in EVERYTHING}
    metrics = {f"{stage}/{name}": torch.tensor(values[name]) for stage in ("train", "val") for name in EVERYTHING}
    history.add(training(metrics, epoch=99), 12345.6)
    [line] = capsys.readouterr().out.splitlines()
    assert len(line) <= 120
    assert line.startswith("epoch 100/1000  total_loss ") and line.endswith("  3.4 h  3086.4 h left")
    shown = f"{float(torch.tensor(values[monitor])):.3g}"
    assert f"{monitor} {shown} (val {shown})" in line


def test_8_10_the_score_of_a_target_stands_before_that_of_distances(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr", Screen(terminal=False))
    for score in ("r2", "balanced_accuracy", "unifrac_r"):
        history = History(tmp_path, 20, "val/total_loss")
        names = ("total_loss", score, "unifrac_r", "nucleotide_accuracy")
        history.rows = [{"epoch": 3, "seconds": 7.5, **{f"val/{name}": 0.5 for name in names}}]
        assert history.line() == f"epoch 3/20  total_loss (val 0.5)  {score} (val 0.5)  7.5 s  2.1 min left"


class Screen(io.StringIO):
    """Standard error that says whether it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize("accumulation", [1, 3])
def test_8_10_a_bar_with_named_losses_on_a_terminal(tmp_path, capsys, monkeypatch, accumulation):
    screen = Screen(terminal=True)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    tiny.Run(tmp_path, accumulation=accumulation)()
    shown = screen.getvalue().split("\r")[-1]
    assert re.match(r"epoch 3/3: 100%\|\S+\| 12/12 \[\d\d:\d\d<00:00, +[\d.]+batch/s, ", shown), shown
    for name in ("unifrac_loss", "nucleotide_loss", "count_loss", "total_loss", "learning_rate"):
        assert re.search(rf"{name}=[\d.e-]+", shown), name
    assert capsys.readouterr().out == "", "no lines between"


def test_8_10_the_bar_is_closed_when_training_fails(tmp_path, monkeypatch):
    screen = Screen(terminal=True)
    monkeypatch.setattr("sys.stderr", screen)
    communities = tiny.survey()
    run = tiny.Run(tmp_path, communities=communities, unifrac=tiny.Distances(communities, broken=6))
    with pytest.raises(ValueError, match="not finite"):
        run()
    assert screen.getvalue().endswith("\n")
