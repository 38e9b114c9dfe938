"""The directory of a run: made, locked, and refused where it holds somebody else's files."""

import json
import multiprocessing
import re

import pytest

from q2_aam.encoder.training.run_directory import run_directory


def refused(message, *given):
    """Whether a directory is refused with these words."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"), run_directory(*given):
        pass


def files(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_one_that_was_not_asked_for_is_gone_afterwards():
    with pytest.raises(RuntimeError), run_directory(None) as directory:
        (directory / "file").write_text("")
        raise RuntimeError
    assert not directory.exists()


def test_one_that_is_not_there_is_made(tmp_path):
    with run_directory(str(tmp_path / "a" / "b")) as directory:
        assert [path for path in directory.iterdir() if not path.name.startswith(".")] == []
    assert directory.is_dir()


def test_a_file(tmp_path):
    path = tmp_path / "run"
    path.write_text("")
    refused(f"run_dir {path} is a file. Give a directory; it is made where it is not there.", path)


def test_in_galaxy_none_may_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GALAXY_SLOTS", "4")
    with pytest.raises(ValueError, match="would be a directory of the Galaxy server. Leave run_dir empty in Galaxy."):
        with run_directory(tmp_path / "run"):
            pass
    assert not (tmp_path / "run").exists()
    with run_directory(None) as directory:
        assert directory.is_dir()


def test_one_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "run"
    refused(f"Nothing can be written to run_dir {path} (Not a directory). Give another directory.", path)


@pytest.mark.parametrize("text", ['{"theme": "dark"}', "// theme: dark"])
@pytest.mark.parametrize(
    "names",
    [
        ["history.tsv", "plots/epoch-0001.png"],
        ["best_model.pt"],
        # What other programs keep their settings in.
        ["plots/epoch-0001.png", "settings.json"],
    ],
)
def test_files_of_somebody_else_stay_as_they_are(tmp_path, names, text):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = files(tmp_path)
    shown = ", ".join(sorted({name.split("/")[0] for name in names}))
    refused(
        f"run_dir {tmp_path} holds files, but no settings.json of a run of q2-aam ({shown}). Nothing was changed. Give "
        "an empty directory or a new one.",
        tmp_path,
    )
    assert files(tmp_path) == before


def test_one_of_a_run(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"origin": "", "data": ""}))
    (tmp_path / "history.tsv").write_text("")
    with run_directory(tmp_path) as directory:
        assert directory == tmp_path


def hold(path, ready, end):
    """Have the directory until the end is said."""
    with run_directory(path):
        ready.set()
        end.wait(60)


@pytest.mark.timeout(120)
def test_a_second_run_has_to_wait(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready, end))
    process.start()
    assert ready.wait(60)
    message = f"Another run is writing into run_dir {tmp_path}. Wait for its end, or give another directory."
    refused(message, tmp_path)
    # A run that is killed leaves nothing in the way of the next one.
    process.kill()
    process.join()
    with run_directory(tmp_path), pytest.raises(ValueError, match="^Another run is writing"), run_directory(tmp_path):
        pass


def test_nodes_of_one_run_share_a_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "first")
    monkeypatch.setenv("MASTER_PORT", "1234")
    monkeypatch.setenv("NODE_RANK", "0")
    with run_directory(tmp_path, 2):
        monkeypatch.setenv("NODE_RANK", "1")
        with run_directory(tmp_path, 2):
            pass
