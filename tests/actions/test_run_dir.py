"""`run_dir`: a run goes on from where it was killed, and only that run."""

import re

import pandas as pd
import pytest

from q2_aam.encoder.training.callbacks import History

from .small import as_column, description, newick, run_fine_tune, run_pretrain, told

RUN_TO_KILL = {"epochs": 4, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def finished(study, encoder, tmp_path_factory):
    """A finished run of `fine_tune` and its directory."""
    directory = tmp_path_factory.mktemp("run")
    return run_fine_tune(study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(directory)), directory


def killed_in_epoch_3(monkeypatch, call):
    """Kill a run once its third epoch is noted."""

    def killed(self, trainer, seconds, add=History.add):
        add(self, trainer, seconds)
        if self.rows[-1]["epoch"] == 3:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(History, "add", killed)
        call()


def same_histories(log, other):
    histories = [pd.read_csv(one.path / "history.tsv", sep="\t").drop(columns="seconds") for one in (log, other)]
    pd.testing.assert_frame_equal(*histories)
    return list(histories[0]["epoch"])


def test_killed_run_goes_on_to_the_same_end(study, encoder, tmp_path, monkeypatch):
    whole = run_fine_tune(study, "ph", encoder, **RUN_TO_KILL)

    def run():
        return run_fine_tune(study, "ph", encoder, run_dir=str(tmp_path), **RUN_TO_KILL)

    killed_in_epoch_3(monkeypatch, run)
    with told() as messages:
        resumed = run()
    assert messages == []
    pd.testing.assert_series_equal(whole[1], resumed[1])
    assert same_histories(whole[3], resumed[3]) == [0, 1, 2, 3, 4]
    resumed[3].validate("max")
    # The directory is no part of the model.
    assert (whole[0].path / "best_model.pt").read_bytes() == (resumed[0].path / "best_model.pt").read_bytes()
    assert description(whole[0]) == description(resumed[0])


def test_killed_pretraining_goes_on_to_the_same_end(study, tmp_path, monkeypatch):
    whole = run_pretrain(study, epochs=4)
    killed_in_epoch_3(monkeypatch, lambda: run_pretrain(study, epochs=4, run_dir=str(tmp_path)))
    resumed = run_pretrain(study, epochs=4, run_dir=str(tmp_path))
    assert same_histories(whole[1], resumed[1]) == [1, 2, 3, 4]
    assert (whole[0].path / "best_model.pt").read_bytes() == (resumed[0].path / "best_model.pt").read_bytes()


def test_run_that_is_finished_is_not_run_again(study, encoder, finished, capsys):
    outputs, directory = finished
    capsys.readouterr()
    with told() as messages:
        again = run_fine_tune(study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(directory))
    assert messages == [] and "epoch 1/2" not in capsys.readouterr().out
    pd.testing.assert_series_equal(again[1], outputs[1])
    again[3].validate("max")


def test_run_dir_keeps_what_the_log_holds(finished):
    outputs, directory = finished
    assert (directory / "history.tsv").read_text() == (outputs[3].path / "history.tsv").read_text()
    assert list((directory / "events").glob("events.out.tfevents.*"))
    assert (directory / "best_model.pt").exists()


def test_run_dir_is_made_where_it_is_not_there(study, tmp_path):
    run_pretrain(study, epochs=1, run_dir=str(tmp_path / "made" / "run"))
    assert (tmp_path / "made" / "run" / "history.tsv").exists()


def refuses(directory, change):
    message = (
        f"run_dir {directory} holds a run that was begun with other input: {change}. Repeat it with the same input to "
        "go on with it, or give another run_dir."
    )
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_settings_of_another_run(study, encoder, finished):
    with refuses(finished[1], "learning_rate was 3e-05, now 0.01"):
        run_fine_tune(
            study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(finished[1]), learning_rate=0.01
        )


@pytest.mark.parametrize("change", ["target", "table"])
def test_data_of_another_run(study, encoder, finished, change):
    column, table = study.column("ph"), study.table
    if change == "target":
        column = as_column(study.frame["ph"].sample(frac=1, random_state=0).set_axis(study.frame.index))
    else:
        table = study.samples(study.table.ids()[1:])
    with refuses(finished[1], "the table, its split or the target"):
        run_fine_tune(study, column, encoder, table=table, phylogeny=study.phylogeny, run_dir=str(finished[1]))


@pytest.mark.parametrize("change", ["phylogeny", "no phylogeny", "metric", "encoder"])
def test_start_or_distances_of_another_run(study, encoder, finished, change, tmp_path):
    inputs = {"encoder": encoder, "phylogeny": study.phylogeny}
    if change == "phylogeny":
        tree = study.tree.copy()
        next(tree.tips()).length += 0.1
        inputs["phylogeny"] = newick(tree, tmp_path / "tree.nwk")
    elif change == "no phylogeny":
        inputs["phylogeny"] = None
    elif change == "encoder":
        inputs["encoder"] = run_pretrain(study, epochs=1, random_seed=1)[0]
    else:
        inputs["metric"] = "generalized"
    with pytest.raises(ValueError, match=f"^run_dir {finished[1]} holds a run that was begun with other input: "):
        run_fine_tune(study, "ph", run_dir=str(finished[1]), **inputs)


def test_pretraining_from_another_encoder(study, encoder, tmp_path):
    run_pretrain(study, epochs=1, run_dir=str(tmp_path))
    with refuses(tmp_path, "the encoder, metric or phylogeny"):
        run_pretrain(study, epochs=1, run_dir=str(tmp_path), encoder=encoder)


def test_refused_runs_leave_the_directory_as_it_was(study, encoder, finished):
    outputs, directory = finished
    again = run_fine_tune(study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(directory))
    pd.testing.assert_series_equal(again[1], outputs[1])
