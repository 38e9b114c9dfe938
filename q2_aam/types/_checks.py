"""Checks of files that several formats share. Each refusal is a sentence that says where and what to do."""

import contextlib
import csv
import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from q2_aam.framework import ValidationError
from q2_aam.untrusted import SchemaError, check_like, printable, read_object, refuse_no_file
from q2_aam.untrusted.tensor_file import check_tensor_file

# In a line of a table: one of effects has a number for each of thousands of features.
MOST_LETTERS = 2**24


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


def check_torch_file(path: Path):
    """Refuse what is no whole file of torch.save, names more than tensors, or claims more than it has."""
    with refusals():
        check_tensor_file(path)


def read_json(path: Path, level: str) -> dict:
    """Read a JSON object; NaN and Infinity, which JSON does not have, are refused at level 'max'."""
    with refusals():
        return read_object(path, strict=level == "max")


def check_object(path: Path, level: str, like: dict):
    """Refuse a JSON file that is of another version, or whose parts are not like those of ours."""
    content = read_json(path, level)
    missing = [key for key in like if key not in content]
    if missing or content["schema_version"] != 1:
        raise ValidationError(
            f"{path.name} must have schema_version 1 and the keys {', '.join(like)}"
            + (f"; it lacks {', '.join(missing)}." if missing else f", but has {content['schema_version']!r}.")
        )
    with refusals():
        check_like(path.name, content, like)


def check_is_file(path: Path):
    """Refuse a pipe or a device in the place of a file."""
    with refusals():
        refuse_no_file(path)


def listed(names: list[str]) -> str:
    """Names of a file's columns, as a message shows them."""
    return printable(", ".join(names))


def _lines(path: Path, file) -> Iterator[str]:
    """Lines of a file, none of which fills all memory."""
    while line := file.readline(MOST_LETTERS + 1):
        if len(line) > MOST_LETTERS:
            raise ValidationError(f"{path.name} has lines of more than {MOST_LETTERS} letters: it is no table of ours.")
        yield line


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
    check_is_file(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(_lines(path, file), delimiter="\t", quoting=csv.QUOTE_NONE)
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
                        f"columns ({listed(header)}). Separate all of them by tabs."
                    )
                yield line, dict(zip(header, cells, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValidationError(f"{path.name} is not a text file of tab-separated values: {printable(error)}.") from error
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
            f"{path.name} line {line}, column {printable(column)}: {text!r} is not a finite number. Write a number "
            "such as 1.5."
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
                f"{path.name} line 1 has the columns {listed(header)}; they must be SampleID, "
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
