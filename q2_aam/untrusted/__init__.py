"""Files that anyone may have written: what is refused in them before it is read, and how they are cited."""

import json
import sys
from pathlib import Path

# Bytes of a JSON file: of a model with thousands of classes it has a tenth of that.
MOST_JSON = 2**23
# Characters of a file's text in a message.
MOST_SHOWN = 500


class SchemaError(ValueError):
    """A file that is no file of this q2-aam, or not a whole one."""


def printable(text) -> str:
    """Text of a file as a message shows it: a screen obeys none of it, and it fits there."""
    text = str(text)
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[:MOST_SHOWN])
    return shown + ("..." if len(text) > MOST_SHOWN else "")


def refuse_no_file(path: Path) -> None:
    """Stop where there is something else than a file: of a pipe or a device there may be no end."""
    if path.exists() and not path.is_file():
        raise SchemaError(f"{path.name} is no file, but something else of that name. Put the file itself there.")


def read_object(path: Path, strict: bool = False) -> dict:
    """Read a JSON object; ``strict`` refuses NaN and Infinity, which JSON does not have.

    Raises
    ------
    SchemaError
        If it is none, or larger than any of ours.
    """

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON; null stands for what was not measured")

    refuse_no_file(path)
    with open(path, "rb") as file:
        read = file.read(MOST_JSON + 1)
    if len(read) > MOST_JSON:
        raise SchemaError(f"{path.name} has more than {MOST_JSON // 2**20} MiB: it is no file of q2-aam.")
    try:
        content = json.loads(read.decode("utf-8-sig"), parse_constant=refuse if strict else None)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{path.name} is not JSON: {printable(error)}.") from error
    if not isinstance(content, dict):
        raise SchemaError(f"{path.name} holds a {type(content).__name__}, not a JSON object ({{...}}).")
    return content


def is_integer(value) -> bool:
    """Whether a value of JSON is a whole number (in Python, true and false would be, too)."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value) -> bool:
    """Whether a value of JSON is a number, and neither NaN nor infinite, which Python's JSON may hold."""
    # Whole numbers of JSON have no largest one; those beyond this are no float.
    return is_number(value) and abs(value) <= sys.float_info.max


def check_schema_version(name: str, content: dict, known: int):
    """Refuse files of a later version by saying so, before their other keys look wrong."""
    version = content.get("schema_version")
    if version is None:
        raise SchemaError(f"{name} lacks the key schema_version: it is not a file of q2-aam, or a damaged one.")
    if not is_integer(version) or version < 1:
        wrong_value(name, "schema_version", version, f"a whole number from 1 to {known}")
    if version > known:
        raise SchemaError(
            f"{name} was made by a newer q2-aam (schema version {version}, while this one reads up to "
            f"{known}): update q2-aam."
        )


def check_keys(name: str, content: dict, keys: tuple, within: str = ""):
    """Refuse an object that lacks keys, naming all of them."""
    missing = [key for key in keys if key not in content]
    if missing:
        where = f"{name}: {within}" if within else name
        keys = ", ".join(missing)
        raise SchemaError(f"{where} lacks the keys {keys}: it is incomplete. Make the artifact again with q2-aam.")


def wrong_value(name: str, key: str, value, must: str):
    """Refuse a value of a JSON object, saying what it must be."""
    said = printable(json.dumps(value))
    raise SchemaError(f"{name}: {key} is {said}; it must be {must}. Make the artifact again with q2-aam.")


def check_like(name: str, value, like, within: str = ""):
    """Refuse a part of a JSON object that is not like another.

    Parameters
    ----------
    name : str
        Of the file.
    value
        What it holds.
    like : type, tuple, list or dict
        ``str``, ``int``, ``float`` (any finite number), ``bool`` or ``None``; a tuple of several, one of which it must
        be; a list with what each element must be like; a dict by key, all of which must be there.
    within : str
        Where in the file it stands.
    """
    if isinstance(like, dict) and isinstance(value, dict):
        check_keys(name, value, tuple(like), within)
        for key, part in like.items():
            check_like(name, value[key], part, f"{within}.{key}".lstrip("."))
    elif isinstance(like, list) and isinstance(value, list):
        for place, element in enumerate(value):
            check_like(name, element, like[0], f"{within}[{place}]")
    elif not any(_is(value, kind) for kind in (like if isinstance(like, tuple) else (like,))):
        wrong_value(name, within or "it", value, must_be(like))
    elif isinstance(like, tuple):
        for part in (each for each in like if isinstance(each, (dict, list)) and type(each) is type(value)):
            check_like(name, value, part, within)


def _is(value, kind) -> bool:
    if kind is None or isinstance(kind, (dict, list)):
        return value is None if kind is None else isinstance(value, type(kind))
    return {int: is_integer, float: is_finite}.get(kind, lambda value: isinstance(value, kind))(value)


def must_be(like) -> str:
    """What a value must be, in words."""
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", None: "null"}
    if isinstance(like, tuple):
        return " or ".join(map(must_be, like))
    return "an object ({...})" if isinstance(like, dict) else "a list" if isinstance(like, list) else words[like]
