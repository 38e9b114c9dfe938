"""The directory of a run: one that no other run writes into, and that holds nobody else's files."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from q2_aam.encoder.training.launcher import meeting_of
from q2_aam.encoder.training.run_identity import SETTINGS_FILE, read_settings
from q2_aam.study.tables import name_ids


@contextlib.contextmanager
def run_directory(run_dir: str | Path | None, num_nodes: int = 1) -> Iterator[Path]:
    """The directory asked for, made where it is not there, or one that is gone afterwards.

    Meanwhile no other run can have it. Each node of a run of several has a lock of its own: they may share a file
    system.

    Parameters
    ----------
    run_dir : str or Path or None
        None for one that is gone afterwards.
    num_nodes : int
        Nodes of the run, whose number the environment has where there are several.

    Raises
    ------
    ValueError
        If nothing can be written there, another run has it, there are files of somebody else, or this is a job of
        Galaxy.
    """
    if run_dir is None:
        with tempfile.TemporaryDirectory(prefix="q2-aam-") as temporary:
            yield Path(temporary)
        return
    if not str(run_dir).strip():
        raise ValueError("run_dir is empty. Name a directory, or leave it out.")
    # Every job of Galaxy has it; who fills in its form is not to write anywhere on the server.
    if "GALAXY_SLOTS" in os.environ:
        raise ValueError(f"run_dir {run_dir} would be a directory of the Galaxy server. Leave run_dir empty in Galaxy.")
    directory, node = Path(run_dir), meeting_of(num_nodes).node if num_nodes > 1 else 0
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"run_dir {run_dir} is a file. Give a directory; it is made where it is not there.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Before anything is written.
        refuse_foreign(directory)
        # The system gives it back however this process ends.
        lock = FileLock(directory / f".q2-aam-{node}.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another run is writing into run_dir {run_dir}. Wait for its end, or give another directory."
        ) from error
    except OSError as error:
        raise ValueError(
            f"Nothing can be written to run_dir {run_dir} ({error.strerror}). Give another directory."
        ) from error
    try:
        yield directory
    finally:
        lock.release()


def refuse_foreign(directory: Path) -> None:
    """Refuse a directory with files, but without the settings of a run: a new run would remove what looks like its own.

    Raises
    ------
    ValueError
        With the names of some of the files.
    """
    names = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    try:
        ours = not names or "origin" in read_settings(directory / SETTINGS_FILE)
    except ValueError:
        ours = False
    if not ours:
        raise ValueError(
            f"run_dir {directory} holds files, but no {SETTINGS_FILE} of a run of q2-aam ({name_ids(names)}). Nothing "
            "was changed. Give an empty directory or a new one."
        )
