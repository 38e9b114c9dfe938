"""A model's weights that someone made on purpose: no code runs, nothing hangs or fills memory, a sentence is said."""

import os
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest
import torch

from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import MISFIT
from tests.hostile.boxed import (
    boxed,
    content_of,
    copy,
    describe,
    loaded,
    put,
    put_records,
    records_of,
    sentence,
    validated,
)

MISFITS = re.escape(MISFIT)
TOO_MUCH = "best_model.pt is no model of q2-aam: its records are compressed or overlap, so that it could fill all "
DAMAGED = "best_model.pt is damaged: its data.pkl does not fit its other records."
FOREIGN = r"best_model.pt names \d things that no model of q2-aam holds "
MORE = "best_model.pt holds more than its bytes can say and was not loaded."


def pickled(directory, data: bytes) -> None:
    records = records_of(directory)
    put_records(directory, {**records, next(name for name in records if name.endswith("/data.pkl")): data})


def text(string: str) -> bytes:
    return b"X" + struct.pack("<I", len(string)) + string.encode()


def integer(number: int) -> bytes:
    digits = pickle.encode_long(number)
    return b"\x8a" + bytes([len(digits)]) + digits


def whole(number: int, name=b"storage", kind=b"torch\nLongStorage\n", size=None) -> bytes:
    """A pickle of a model whose seen ASVs are so many numbers of record 0."""
    named = b"(" + text("storage") + b"c" + kind + text("0") + text("cpu") + integer(number) + b"tQ"
    shape = integer(number if size is None else size) + b"\x85"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + named + b"K\x00" + shape + b"K\x01\x85"
    return model(tensor + b"\x89ccollections\nOrderedDict\n)RtR")


def model(value: bytes) -> bytes:
    return b"\x80\x02}(" + text("model") + b"}" + text("seen_asvs") + value + b"u."


def bomb(name: str):
    """One record of 200 MB of zeros, which 200 kB of the file say."""

    def change(directory):
        records = records_of(directory)
        with zipfile.ZipFile(directory / "best_model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            for each, record in records.items():
                with archive.open(each, "w", force_zip64=True) as file:
                    file.write(record)
                    if each.endswith(name):
                        for _ in range(12):
                            file.write(bytes(2**24))
        describe(directory)

    return change


def appended_list(directory):
    """A second list of records behind the first: programs may differ in which they read."""
    path = directory / "best_model.pt"
    path.write_bytes(path.read_bytes() + path.read_bytes()[-22:])
    describe(directory)


def overlapping(directory):
    """A thousand names for the largest record: what is read is larger than the file."""
    with zipfile.ZipFile(directory / "best_model.pt", "a") as archive:
        largest = max(archive.infolist(), key=lambda record: record.file_size)
        for number in range(1000):
            record = zipfile.ZipInfo(f"best_model/data/{number + 1000}")
            for part in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(record, part, getattr(largest, part))
            archive.filelist.append(record)
            archive.NameToInfo[record.filename] = record
        archive._didModify = True
    describe(directory)


def with_content(**changes):
    def change(directory):
        put(directory, {**content_of(directory), **changes})

    return change


def laughs():
    """Two names for the same dict, forty times one in the other: a walk through it has 2^40 steps."""
    parts = {"a": torch.zeros(1)}
    for _ in range(40):
        parts = {"a": parts, "b": parts}
    return parts


def raw(data):
    return lambda directory: pickled(directory, data)


HASHES = torch.zeros(1, dtype=torch.int64)
FILES = {
    "all deflated": (lambda directory: put_records(directory, records_of(directory), zipfile.ZIP_DEFLATED), TOO_MUCH),
    "a bomb in a tensor": (bomb("/data/0"), TOO_MUCH),
    "a bomb in data.pkl": (bomb("/data.pkl"), TOO_MUCH),
    "records that overlap": (overlapping, TOO_MUCH),
    "two lists of records": (appended_list, "best_model.pt is (no model|truncated or damaged)"),
    "more numbers than bytes": (raw(whole(10**9)), DAMAGED),
    "fewer numbers than bytes": (raw(whole(1)), DAMAGED),
    "a negative number of numbers": (raw(whole(-8)), DAMAGED),
    "2^62 numbers": (raw(whole(2**62)), DAMAGED),
    "a negative size": (raw(whole(8, size=-1)), "best_model.pt"),
    "a storage that is called": (raw(model(b"ctorch.storage\nUntypedStorage\n" + integer(10**10) + b"\x85R")), FOREIGN),
    "a storage without type": (raw(whole(8, kind=b"torch.storage\nUntypedStorage\n")), FOREIGN),
    "an array of bytes": (raw(model(b"c__builtin__\nbytearray\n" + integer(10**10) + b"\x85R")), FOREIGN),
    "a tensor that is called": (raw(model(b"ctorch\nTensor\n" + integer(10**10) + b"\x85R")), FOREIGN),
    "a number without end": (raw(b"\x80\x02\x8b\xff\xff\xff\x7f."), "best_model.pt is damaged: its data.pkl cannot"),
    "lists in lists": (raw(b"\x80\x02" + b"]" * 250_000 + b"a" * 249_999 + b"."), f"best_model.pt|{MISFITS}"),
    "tuples in tuples": (raw(b"\x80\x02)" + b"\x85" * 500_000 + b"."), f"best_model.pt|{MISFITS}"),
    "a large data.pkl": (raw(b"\x80\x02" + b"N0" * 2**20 + b"N."), "best_model.pt is no model .*data.pkl is too large"),
    "an unknown instruction": (raw(b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}."), DAMAGED),
    "ASVs without bytes": (with_content(seen_asvs=HASHES.expand(10**12)), MORE),
    "ASVs that are no numbers": (with_content(seen_asvs=torch.tensor([float("nan")])), MISFITS),
    "ASVs in two dimensions": (with_content(seen_asvs=HASHES[None]), MISFITS),
    "ASVs on no device": (with_content(seen_asvs=torch.zeros(1, device="meta")), FOREIGN),
    "ASVs that are sparse": (with_content(seen_asvs=torch.eye(3).to_sparse()), FOREIGN),
    "ASVs that learn": (with_content(seen_asvs=torch.nn.Parameter(torch.zeros(3))), FOREIGN),
    "the same dict again and again": (with_content(more=laughs()), MORE),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused(models, tmp_path, name):
    change, said = FILES[name]
    directory = copy(models["encoder"], tmp_path / "model")
    change(directory)
    found = sentence(boxed(lambda: Encoder.load(directory)))
    assert re.search(said, found), found
    # A format knows nothing of torch, so not all; what it finds it says in the same way.
    assert boxed(lambda: validated(directory)).startswith(("done", "ValueError: ")), name


@pytest.mark.parametrize("kind", ["regressor", "fine-tuned"])
def test_a_hostile_head_is_refused(models, tmp_path, kind):
    """Also where the walk through it, or a look at its numbers, would never end."""
    for number, part in enumerate((laughs(), {"weight": torch.zeros(1, 1).expand(10**6, 10**6)}, [[]], HASHES)):
        directory = copy(models[kind], tmp_path / str(number))
        put(directory, {**content_of(directory), "head": part})
        assert sentence(boxed(lambda directory=directory: loaded(directory, kind))).endswith((MORE, MISFIT))


@pytest.mark.parametrize("kind", ["encoder", "regressor", "classifier", "fine-tuned"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(models, tmp_path, kind, value):
    content = content_of(models[kind])
    names = [name for name, tensor in content["model"].items() if tensor.is_floating_point()]
    for place, name in enumerate(names[:: len(names) // 3]):
        directory = copy(models[kind], tmp_path / str(place))
        tensor = content["model"][name].clone()
        tensor.view(-1)[-1] = value
        put(directory, {**content, "model": {**content["model"], name: tensor}})
        expected = f"best_model.pt holds numbers that are not finite ({name}). Use an unaltered copy of it."
        assert sentence(boxed(lambda directory=directory: loaded(directory, kind))) == (
            expected if kind == "encoder" else MISFIT
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_weights_of_another_type_are_refused(models, tmp_path, dtype):
    """They were turned into numbers of the right type, and other ones, without a word."""
    directory = copy(models["encoder"], tmp_path / "model")
    content = content_of(directory)
    name = next(iter(content["model"]))
    put(directory, {**content, "model": {**content["model"], name: content["model"][name].to(dtype)}})
    assert sentence(boxed(lambda: Encoder.load(directory))) == MISFIT


@pytest.mark.parametrize("name", ["best_model.pt", "model.json"])
def test_what_is_no_file_is_refused(models, tmp_path, name):
    """A pipe that nobody writes to would be waited for; a device has no end."""
    for number, make in enumerate((os.mkfifo, lambda path: os.symlink("/dev/zero", path), os.mkdir)):
        directory = copy(models["encoder"], tmp_path / str(number))
        (directory / name).unlink()
        make(directory / name)
        for read in (validated, Encoder.load):
            said = sentence(boxed(lambda read=read, directory=directory: read(directory)))
            assert name in said.replace("\\", ""), said


def test_a_link_to_a_file_is_that_file(models, tmp_path):
    """As tools for large files put them."""
    directory = copy(models["encoder"], tmp_path / "model")
    (directory / "best_model.pt").rename(tmp_path / "elsewhere")
    (directory / "best_model.pt").symlink_to(tmp_path / "elsewhere")
    assert boxed(lambda: (validated(directory), Encoder.load(directory))) == "done"


def test_names_of_records_are_no_paths(models, tmp_path):
    """Whatever they are called, nothing is written."""
    directory = copy(models["encoder"], tmp_path / "model")
    evil = {"../../evil": b"x", str(tmp_path / "evil"): b"x", "a/../../b": b""}
    put_records(directory, {**records_of(directory), **evil})
    assert re.search("^done|best_model.pt", boxed(lambda: (validated(directory), Encoder.load(directory))))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    assert sorted(path.name for path in directory.iterdir()) == ["best_model.pt", "model.json"]
