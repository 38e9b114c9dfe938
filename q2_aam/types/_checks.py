"""Checks of files that several formats share. Each refusal is a sentence that says where and what to do."""

import contextlib
import csv
import hashlib
import json
import math
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from q2_aam.framework import ValidationError
from q2_aam.schema import SchemaError

# What a PyTorch file of plain weights and states names, and torch.load(weights_only=True) accepts. Anything
# else could run code, were the file ever loaded in another way.
_HARMLESS = re.compile(
    r"collections (OrderedDict|Counter|defaultdict)"
    r"|torch\._utils _rebuild_\w+"
    r"|torch (\w+Storage|Size|device|Tensor|bool|[a-z]+\d+\w*)"
    r"|torch\.storage \w+Storage"
    r"|torch\.nn\.parameter (Parameter|Buffer)"
    r"|torch\.serialization _get_layout"
    r"|torch\.torch_version TorchVersion"
    r"|_codecs encode"
    r"|(builtins|__builtin__) (bytearray|complex|set)"
)
# Instructions of a pickle by which it names what to import; torch.save writes the first of them only.
_IMPORTING = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What the schema refuses is a ValidationError to QIIME 2."""
    try:
        yield
    except SchemaError as error:
        raise ValidationError(str(error)) from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def check_torch_file(path: Path, level: str):
    """Refuse what is no whole file of torch.save and, at level 'max', what names more than tensors."""
    again = "Export it again from the artifact it comes from, or train the model again."
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        raise ValidationError(f"{path.name} is empty. {again}")
    if not start.startswith(b"PK\x03\x04"):
        what = "a tar archive" if start[257:262] == b"ustar" else "no zip file"
        raise ValidationError(
            f"{path.name} is {what}, but PyTorch writes zip files: this is not a model of q2-aam. Give a "
            "model that `qiime aam pretrain` or `qiime aam fit` wrote."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            root = next((name[: -len("/data.pkl")] for name in names if name.endswith("/data.pkl")), None)
            if root is None or f"{root}/version" not in names:
                raise ValidationError(
                    f"{path.name} is a zip file, but not one that PyTorch wrote: it has no records data.pkl "
                    "and version. Give a model that `qiime aam pretrain` or `qiime aam fit` wrote."
                )
            if level == "max":
                _check_imports(path, archive.read(f"{root}/data.pkl"))
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValidationError(f"{path.name} is truncated or damaged ({error}). {again}") from error


def _check_imports(path: Path, pickled: bytes):
    try:
        imports = [(code.name, argument) for code, argument, _ in pickletools.genops(pickled)]
    except Exception as error:
        raise ValidationError(f"{path.name} is damaged: its data.pkl cannot be read ({error}).") from error
    imports = [(name, str(argument)) for name, argument in imports if name in _IMPORTING]
    odd = sorted(
        {argument for name, argument in imports if name != "GLOBAL" or not _HARMLESS.fullmatch(argument)}
    )
    if odd:
        named = ", ".join(argument.replace(" ", ".") for argument in odd[:5])
        raise ValidationError(
            f"{path.name} names {len(odd)} things that no model of q2-aam holds ({named}). Loading such a "
            "file could run code of a stranger: do not use it, and ask where it comes from."
        )


def read_json(path: Path, level: str) -> dict:
    """Read a JSON object; NaN and Infinity, which JSON does not have, are refused at level 'max'."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON; null stands for what was not measured")

    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file, parse_constant=refuse if level == "max" else None)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{path.name} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValidationError(f"{path.name} holds a {type(content).__name__}, not a JSON object ({{...}}).")
    return content


def read_rows(path: Path, level: str, check_header: Callable) -> Iterator[tuple[int, dict]]:
    """Read a table of tab-separated values with a header.

    Parameters
    ----------
    path : Path
        The file.
    level : {'min', 'max'}
        At 'min' the first five rows only.
    check_header : callable
        Is given the list of column names, and raises when they are not those of the format.

    Yields
    ------
    line : int
        Number of the line in the file; the header is line 1.
    cells : dict
        Text of each column.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(rows, None)
            if not header:
                raise ValidationError(f"{path.name} is empty: it needs a header line and a row or more.")
            check_header(header)
            line = 1
            for line, cells in enumerate(rows, start=2):
                if level == "min" and line > 6:
                    return
                if len(cells) != len(header):
                    raise ValidationError(
                        f"{path.name} line {line} has {len(cells)} cells, but the header has {len(header)} "
                        f"columns ({', '.join(header)}). Separate all of them by tabs."
                    )
                yield line, dict(zip(header, cells, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValidationError(f"{path.name} is not a text file of tab-separated values: {error}.") from error
    if line == 1:
        raise ValidationError(f"{path.name} has a header, but no rows. Add at least one.")


def number(path: Path, line: int, column: str, text: str) -> float:
    """The finite number that a cell holds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise ValidationError(
            f"{path.name} line {line}, column {column}: {text!r} is not a finite number. Write a number such "
            "as 1.5."
        )
    return value


def check_sample_rows(
    path: Path, level: str, columns: tuple, optional: tuple = ()
) -> Iterator[tuple[int, str, dict]]:
    """Read a table with a sample a row: IDs in the first column, then `columns`, all numbers.

    Behind them `optional` may stand, or the first of these.

    Yields
    ------
    line : int
    sample_id : str
    values : dict
        Number in each column.
    """

    def check_header(header):
        if tuple(header[1:]) not in allowed or not header[0].strip():
            raise ValidationError(
                f"{path.name} line 1 has the columns {', '.join(header)}; they must be SampleID, "
                f"{', '.join(columns)}{behind}, separated by tabs."
            )

    allowed = [(*columns, *optional[:n]) for n in range(len(optional) + 1)]
    behind = f" (and {', '.join(optional)})" if optional else ""
    lines = {}
    for line, cells in read_rows(path, level, check_header):
        sample_id, *texts = cells.values()
        names = (*columns, *optional)[: len(texts)]
        if not sample_id or sample_id != sample_id.strip():
            raise ValidationError(
                f"{path.name} line {line}: {sample_id!r} is no sample ID. Give each row an ID without blanks "
                "around it."
            )
        if sample_id in lines:
            raise ValidationError(
                f"{path.name} line {line}: the sample ID {sample_id!r} stands in line {lines[sample_id]} "
                "already. Keep one row of each sample."
            )
        lines[sample_id] = line
        values = {
            column: number(path, line, column, text) for column, text in zip(names, texts, strict=True)
        }
        yield line, sample_id, values
