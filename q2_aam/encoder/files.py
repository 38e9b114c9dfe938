"""Files of tensors: written whole, read without running anything, known by their checksum."""

import hashlib
import os
import zipfile
from pathlib import Path

import torch

WEIGHTS = "best_model.pt"


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def write_atomically(content: dict, path: str | Path) -> None:
    """``torch.save`` such that the path holds the old file or the new one, never a part of it."""
    path = Path(path)
    temporary = path.with_name(path.name + ".new")
    torch.save(content, temporary)
    os.replace(temporary, path)


def read_tensors(path: str | Path) -> dict:
    """Read a weights file; nothing in it is ever executed.

    Raises
    ------
    ValueError
        If it is no such file, is cut short, or holds anything but tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (RuntimeError, OSError, EOFError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a model's weights; it is cut short or no such file.") from error
    except Exception as error:  # torch raises pickle.UnpicklingError; importing pickle for it would suggest its use
        raise ValueError(f"{path} holds something other than weights and was not loaded.") from error
