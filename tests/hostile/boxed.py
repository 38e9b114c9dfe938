"""Hostile files are read in a process of their own: one that hangs, crashes or fills memory ends that one alone."""

import os
import resource
import shutil
import sys
import traceback
import zipfile
from hashlib import sha256
from json import dumps, loads
from pathlib import Path

import torch

from q2_aam.encoder.encoder import Encoder
from q2_aam.framework import ValidationError
from q2_aam.predictor import Predictor
from q2_aam.types import AAMModelDirectoryFormat

# The issue's: seconds of a process, which a busy machine does not stretch.
SECONDS = 10
# To read a tiny model takes some 50 MB, most of it for torch itself.
MEGABYTES = 150


def boxed(function, seconds: int = SECONDS) -> str:
    """What a function returns in a process of its own, 'done', or 'ValueError: ...' (also of the framework's error).

    Raises
    ------
    AssertionError
        If it takes too long or too much memory, or ends without a word.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEGABYTES * 2**20,) * 2)
            own = resource.getrusage(resource.RUSAGE_SELF)
            end = int(own.ru_utime + own.ru_stime) + seconds
            resource.setrlimit(resource.RLIMIT_CPU, (end, end))
            try:
                returned = function()
                said = returned if isinstance(returned, str) else "done"
            except (ValueError, ValidationError) as error:
                said = f"ValueError: {error}"
            except BaseException as error:
                said = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            os.write(writing, said.encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert said, f"ended without a word, by signal {os.waitstatus_to_exitcode(status)}"
    return said


def sentence(said: str) -> str:
    """The sentence of a refusal, without the framework's first line."""
    assert said.startswith("ValueError: "), said
    return said.removeprefix("ValueError: ").split("\n\n")[-1]


def validated(directory):
    AAMModelDirectoryFormat(str(directory), mode="r").validate("min")
    AAMModelDirectoryFormat(str(directory), mode="r").validate("max")


def loaded(directory, kind: str):
    return (Encoder if kind == "encoder" else Predictor).load(directory)


def copy(model: Path, directory: Path) -> Path:
    shutil.copytree(model, directory)
    return directory


def describe(directory: Path, **changes) -> None:
    """Change what model.json says, with a checksum that fits, as someone up to no good would; ... takes a key out."""
    path = directory / "model.json"
    digest = sha256((directory / "best_model.pt").read_bytes()).hexdigest()
    content = {**loads(path.read_text()), "sha256": digest, **changes}
    path.write_text(dumps({name: value for name, value in content.items() if value is not ...}))


def content_of(directory: Path) -> dict:
    return torch.load(directory / "best_model.pt", weights_only=True)


def put(directory: Path, content) -> None:
    """Write other tensors, without the digest by which a changed model.json is known."""
    if isinstance(content, dict):
        content.pop("description_sha256", None)
    torch.save(content, directory / "best_model.pt")
    describe(directory)


def records_of(directory: Path) -> dict[str, bytes]:
    """The records of the zip file, by name."""
    with zipfile.ZipFile(directory / "best_model.pt") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def put_records(directory: Path, records: dict[str, bytes], compression=zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(directory / "best_model.pt", "w", compression) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    describe(directory)
