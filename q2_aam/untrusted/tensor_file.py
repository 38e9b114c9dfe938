"""What is checked of a file of ``torch.save`` before anything in it is loaded: nobody knows who wrote it.

It is a zip file of a pickle, which says what there is, and a record of bytes for each tensor. Loaded as it is, a small
one could run code, fill all memory or take hours.
"""

import os
import pickletools
import re
import struct
import zipfile
from pathlib import Path

from q2_aam.untrusted import SchemaError, printable, refuse_no_file

# Bytes of a number in each kind of storage.
ITEM_BYTES = {
    **{"Byte": 1, "Char": 1, "Bool": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4},
    **{"Long": 8, "Double": 8},
}
# What a PyTorch file of plain weights and states names. Anything else could run code, or make something of any size
# out of a number.
HARMLESS = re.compile(
    r"collections OrderedDict"
    r"|torch\._utils _rebuild_tensor_v2"
    rf"|torch ({'|'.join(ITEM_BYTES)})Storage"
    r"|torch (Size|device|bool|(float|bfloat|int|uint)\d+)"
    r"|(builtins|__builtin__) set"
)
# Instructions of a pickle by which it names what to import; torch.save writes the first of them only.
IMPORTING = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}
# Others that torch.save writes: those that put one plain value on the stack, and those that put several together.
PLAIN = {"BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1", "NONE", "NEWTRUE", "NEWFALSE", "GLOBAL"}
WRITTEN = PLAIN | {
    *("PROTO", "STOP", "MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "REDUCE", "BUILD", "BINPERSID"),
    *("SETITEM", "SETITEMS", "APPEND", "APPENDS"),
}
# Of data.pkl, which tells of each tensor in a hundred bytes; the weights are not in it.
MOST_PICKLED = 2**19
AGAIN = "Export it again from the artifact it comes from, or train the model again."
OURS = "Give a model that `qiime aam pretrain` or `qiime aam fit` wrote."
# The end of a zip file, and what stands before it in one with 64-bit numbers: a longer end and where that is.
END, POINTER, LONG_END = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")


def check_tensor_file(path: Path) -> None:
    """Refuse what is no whole file of tensors and plain values as ``torch.save`` writes it, or claims more than it has.

    Raises
    ------
    SchemaError
        With the file's name.
    FileNotFoundError
    """
    path = Path(path)
    refuse_no_file(path)
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        raise SchemaError(f"{path.name} is empty. {AGAIN}")
    if not start.startswith(b"PK\x03\x04"):
        what = "a tar archive" if start[257:262] == b"ustar" else "no zip file"
        raise SchemaError(
            f"{path.name} is {what}, but PyTorch writes zip files: this is not a model of q2-aam. {OURS}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = _sizes(path, archive)
            root = next((name[: -len("/data.pkl")] for name in sizes if name.endswith("/data.pkl")), None)
            if root is None or f"{root}/version" not in sizes:
                raise SchemaError(
                    f"{path.name} is a zip file, but not one that PyTorch wrote: it has no records data.pkl and "
                    f"version. {OURS}"
                )
            if sizes[f"{root}/data.pkl"] > MOST_PICKLED:
                raise SchemaError(f"{path.name} is no model of q2-aam: its data.pkl is too large. {OURS}")
            pickled = archive.read(f"{root}/data.pkl")
            # PyTorch does not look at the records' checksums.
            if (bad := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"wrong checksum of {bad}")
    # RuntimeError: encrypted.
    except (zipfile.BadZipFile, EOFError, RuntimeError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path.name} is truncated or damaged ({printable(error)}). {AGAIN}") from error
    _check_pickled(path, pickled, {name.removeprefix(f"{root}/data/"): size for name, size in sizes.items()})


def _sizes(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    """Bytes of each record, which together are no more than the file has: none is compressed, none stands twice."""
    records = archive.infolist()
    sizes = {record.filename: record.file_size for record in records}
    packed = any(record.compress_type or record.compress_size != record.file_size for record in records)
    size = os.path.getsize(path)
    if packed or len(sizes) < len(records) or sum(sizes.values()) > size or not _ends_once(path, size):
        raise SchemaError(
            f"{path.name} is no model of q2-aam: its records are compressed or overlap, so that it could fill all "
            f"memory. {OURS}"
        )
    return sizes


def _ends_once(path: Path, size: int) -> bool:
    """Whether the list of records ends where the file does: else another program could find another list in it."""
    with open(path, "rb") as file:
        file.seek(max(0, size - LONG_END.size - POINTER.size - END.size))
        tail = file.read()
    mark, *_, length, offset, comment = END.unpack(tail[-END.size :])
    place, before = size - END.size, tail[: -END.size]
    if before[-POINTER.size :].startswith(b"PK\x06\x07"):
        pointed, place = POINTER.unpack(before[-POINTER.size :])[2], place - POINTER.size - LONG_END.size
        before = before[: -POINTER.size]
        if len(before) < LONG_END.size or pointed != place:
            return False
        *_, length, offset = LONG_END.unpack(before[-LONG_END.size :])
    return mark == b"PK\x05\x06" and not comment and offset + length == place


def _check_pickled(path: Path, pickled: bytes, sizes: dict[str, int]) -> None:
    storages, odd, known = _Storages(sizes), set(), True
    try:
        for code, argument, _ in pickletools.genops(pickled):
            if code.name in IMPORTING and not (code.name == "GLOBAL" and HARMLESS.fullmatch(argument)):
                odd.add(str(argument))
            known = known and code.name in WRITTEN
            storages.read(code.name, argument)
    except Exception as error:
        raise SchemaError(f"{path.name} is damaged: its data.pkl cannot be read ({printable(error)}).") from error
    if odd:
        named = ", ".join(printable(argument.replace(" ", ".")) for argument in sorted(odd)[:5])
        raise SchemaError(
            f"{path.name} names {len(odd)} things that no model of q2-aam holds ({named}). Loading such a file could "
            "run code of a stranger: do not use it, and ask where it comes from."
        )
    if not (known and storages.fit):
        raise SchemaError(f"{path.name} is damaged: its data.pkl does not fit its other records. {AGAIN}")


class _Storages:
    """Reads a pickle's instructions, and tells whether each storage that they name has the bytes of its record.

    A storage is named by a tuple of five plain values: 'storage', its kind, the record, a device, how many numbers.
    Of all else nothing needs to be known.
    """

    def __init__(self, sizes: dict[str, int]):
        self.sizes, self.fit = sizes, True
        # What is on top of the stack, and what the next tuple is made of; None where that is not known.
        self.last, self.values, self.memo = None, None, {}

    def read(self, name: str, argument) -> None:
        if name in PLAIN or name in ("BINGET", "LONG_BINGET"):
            self.last = argument if name in PLAIN else self.memo.get(argument)
            if self.values is not None:
                self.values.append(self.last)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.last
        elif name == "MARK":
            self.values, self.last = [], None
        elif name == "TUPLE" and self.values is not None:
            self.values, self.last = None, tuple(self.values)
        else:
            if name == "BINPERSID":
                self.fit = self.fit and self._has_its_record(self.last)
            self.values, self.last = None, None

    def _has_its_record(self, named) -> bool:
        if not (isinstance(named, tuple) and len(named) == 5):
            return False
        _, kind, key, _, count = named
        item = ITEM_BYTES.get(str(kind).removeprefix("torch ").removesuffix("Storage"))
        return item is not None and isinstance(count, int) and self.sizes.get(key) == item * count
