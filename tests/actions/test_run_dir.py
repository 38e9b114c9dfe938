"""`run_dir`: a run goes on from where it was killed, and only that run."""

import re

import pandas as pd
import pytest

from q2_aam.encoder.training.callbacks import History

from .small import as_column, newick, run_fit, run_pretrain, told

RUN_TO_KILL = {"epochs": 4, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def tuned(study, encoder, tmp_path_factory):
    """A finished run of `fit` and its directory."""
    directory = tmp_path_factory.mktemp("run")
    return run_fit(study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(directory)), directory


def test_killed_run_goes_on_to_the_same_end(study, encoder, tmp_path, monkeypatch):
    whole = run_fit(study, "ph", encoder, **RUN_TO_KILL)

    def killed(self, trainer, epoch, seconds, add=History.add):
        add(self, trainer, epoch, seconds)
        if epoch == 3:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(History, "add", killed)
        run_fit(study, "ph", encoder, run_dir=str(tmp_path), **RUN_TO_KILL)
    with told() as messages:
        resumed = run_fit(study, "ph", encoder, run_dir=str(tmp_path), **RUN_TO_KILL)
    assert messages == []
    pd.testing.assert_series_equal(whole[1], resumed[1])
    histories = [pd.read_csv(outputs[3].path / "history.tsv", sep="\t") for outputs in (whole, resumed)]
    assert list(histories[1]["epoch"]) == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(*(history.drop(columns="seconds") for history in histories))
    resumed[3].validate("max")


def refuses(directory, what):
    message = (
        f"run_dir {directory} holds a run that was begun with other input: {what}. Repeat it with the same input to go "
        "on with it, or give another run_dir."
    )
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_settings_of_another_run(study, encoder, tuned):
    with refuses(tuned[1], "learning_rate was 3e-05, now 0.01"):
        run_fit(study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(tuned[1]), learning_rate=0.01)


@pytest.mark.parametrize("change", ["target", "table"])
def test_data_of_another_run(study, encoder, tuned, change):
    column = study.column("ph")
    table = study.table
    if change == "target":
        column = as_column(study.frame["ph"].sample(frac=1, random_state=0).set_axis(study.frame.index))
    else:
        table = study.samples(study.table.ids()[1:])
    with refuses(tuned[1], "the table, its split or the target"):
        run_fit(study, column, encoder, table=table, phylogeny=study.phylogeny, run_dir=str(tuned[1]))


@pytest.mark.parametrize("change", ["phylogeny", "no phylogeny", "metric", "encoder", "freeze_encoder"])
def test_start_or_distances_of_another_run(study, encoder, tuned, change, tmp_path):
    given = {"encoder": encoder, "phylogeny": study.phylogeny}
    if change == "phylogeny":
        tree = study.tree.deepcopy()
        next(tree.tips()).length += 0.1
        given["phylogeny"] = newick(tree, tmp_path / "tree.nwk")
    elif change == "no phylogeny":
        given["phylogeny"] = None
    elif change == "encoder":
        given["encoder"] = run_pretrain(study, epochs=1)[0]
    else:
        given |= {"metric": {"metric": "generalized"}, "freeze_encoder": {"freeze_encoder": True}}[change]
    with pytest.raises(ValueError, match=f"^run_dir {tuned[1]} holds a run that was begun with other input: "):
        run_fit(study, "ph", run_dir=str(tuned[1]), **given)


def test_refused_runs_leave_the_directory_as_it_was(study, encoder, tuned):
    outputs, directory = tuned
    again = run_fit(study, "ph", encoder, phylogeny=study.phylogeny, run_dir=str(directory))
    pd.testing.assert_series_equal(again[1], outputs[1])
