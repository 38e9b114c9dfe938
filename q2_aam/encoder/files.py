"""The files of a model: ``best_model.pt`` (tensors), of which nothing is executed, and ``model.json`` (all else)."""

import hashlib
import json
import math
import os
import zipfile
from importlib import metadata
from pathlib import Path

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from q2_aam.encoder.aam import AAM
from q2_aam.schema import ModelDescription
from q2_aam.settings import Architecture
from q2_aam.study.tokenizer import VOCABULARY
from q2_aam.untrusted import read_object, refuse_no_file
from q2_aam.untrusted.tensor_file import check_tensor_file

WEIGHTS = "best_model.pt"
DESCRIPTION = "model.json"
MISFIT = (
    f"The weights in {WEIGHTS} do not fit what {DESCRIPTION} says: the model was made by another q2-aam, or is "
    "damaged. Use the q2-aam that made it, or make it again."
)
# Softplus of it is 0.
NO_LENGTH = -1e4
PACKAGES = ("q2-aam", "torch", "lightning", "numpy", "scikit-learn", "scikit-bio", "unifrac")


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
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
        If it is no such file, is cut short, claims more than it has, or holds anything but tensors and plain values.
    """
    check_tensor_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a model's weights; it is cut short or no such file.") from error
    except Exception as error:  # torch raises pickle.UnpicklingError; importing pickle for it would suggest its use
        raise ValueError(f"{path} holds something other than weights and was not loaded.") from error
    _refuse_odd_content(content, Path(path))
    return content


def _refuse_odd_content(content, path: Path) -> None:
    """Stop where walking through what was loaded would never end, or copies of its tensors would fill all memory."""
    parts, met, size = [content], set(), path.stat().st_size
    while parts:
        part = parts.pop()
        if isinstance(part, torch.Tensor):
            plain = part.layout == torch.strided and part.device.type == "cpu" and not part.requires_grad
            own = plain and part.nbytes <= part.untyped_storage().nbytes()
            # Several may be parts of one storage, but not all of all of it.
            size -= part.nbytes if own else math.inf
        elif isinstance(part, dict | list | tuple | set):
            if part and id(part) in met and not isinstance(part, tuple):
                size = -math.inf
            elif id(part) not in met:
                met.add(id(part))
                parts += [*part.keys(), *part.values()] if isinstance(part, dict) else part
        if size < 0:
            raise ValueError(f"{path} holds more than its bytes can say and was not loaded.")


def package_versions() -> dict[str, str]:
    """Versions of the packages a model depends on; those that are not installed are left out."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def digest_of(description: dict) -> str:
    """SHA-256 of what ``model.json`` says, however it is laid out; not of the checksum of the weights beside it."""
    stated = {name: value for name, value in description.items() if name != "sha256"}
    # By way of JSON, so that what is about to be written has the digest of what will be read.
    text = json.dumps(json.loads(json.dumps(stated, allow_nan=False)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizer_of(architecture: Architecture) -> dict:
    """The tokenizer's entry in ``model.json``."""
    return {"vocabulary": list(VOCABULARY), "max_length": architecture.max_length}


def write_model(directory: str | Path, content: dict, description: ModelDescription) -> None:
    """Write a model's two files, each of which tells whether the other one was changed.

    Parameters
    ----------
    directory : str or Path
        Exists already.
    content : dict
        Tensors and plain values: ``model`` (the network's state), ``seen_asvs`` and whatever else belongs to it.
    description : ModelDescription
        Its ``sha256`` is set.
    """
    directory = Path(directory)
    content = {**content, "description_sha256": digest_of(description.to_dict())}
    write_atomically(content, directory / WEIGHTS)
    description.sha256 = sha256_of(directory / WEIGHTS)
    (directory / DESCRIPTION).write_text(json.dumps(description.to_dict(), indent=1, allow_nan=False) + "\n")


def read_model(directory: str | Path) -> tuple[dict, ModelDescription]:
    """Read a model's two files, as :func:`write_model` takes them.

    Raises
    ------
    ValueError
        If a checksum, the alphabet or the schema do not fit.
    """
    directory = Path(directory)
    stated = read_object(directory / DESCRIPTION)
    description = ModelDescription.from_dict(stated)
    refuse_no_file(directory / WEIGHTS)
    if sha256_of(directory / WEIGHTS) != description.sha256:
        raise ValueError(
            f"{WEIGHTS} is not the file that {DESCRIPTION} describes (its SHA-256 differs). "
            "Use an unaltered copy of the model."
        )
    if description.tokenizer["vocabulary"] != list(VOCABULARY):
        raise ValueError("The model was trained with another alphabet of tokens. Use the q2-aam that made it.")
    content = read_tensors(directory / WEIGHTS)
    if not (isinstance(content, dict) and isinstance(content.get("model"), dict)):
        raise ValueError(MISFIT)
    for name in ("seen_asvs", "encoder_asvs"):
        hashes = content.get(name)
        if isinstance(hashes, torch.Tensor) and (hashes.dtype, hashes.ndim) != (torch.int64, 1):
            raise ValueError(MISFIT)
    # Models of the first versions lack it.
    if content.get("description_sha256", digest_of(stated)) != digest_of(stated):
        raise ValueError(
            f"{DESCRIPTION} was changed since the model was made: it is not the one that {WEIGHTS} was written with. "
            "Use an unaltered copy of the model."
        )
    return content, description


class _NoDraws(TorchFunctionMode):
    """Random numbers are not drawn: on the device of empty networks, to draw them loads torch's compiler (2 s)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def network_of(content: dict, architecture: Architecture) -> AAM:
    """The network of a model's weights, in evaluation mode.

    Raises
    ------
    ValueError
        If the weights are not those of such a network.
    """
    state = with_terminal_branches(content["model"])
    shapes = {name: (value.shape, value.dtype) for name, value in state.items() if isinstance(value, torch.Tensor)}
    # Each layer has weights of its own; without that many, not even an empty network of so many layers is made.
    if architecture.nucleotide_layers + architecture.sample_layers > len(shapes):
        raise ValueError(MISFIT)
    try:
        # Networks on this device take no memory: sizes that are not those of the weights are never made.
        with torch.device("meta"), _NoDraws():
            expected = AAM(architecture).state_dict()
        if any(shapes.get(name) != (tensor.shape, tensor.dtype) for name, tensor in expected.items()):
            raise ValueError(MISFIT)
        # What is drawn for it is thrown away, and must not be missing from the generator of whoever loads a model.
        with torch.random.fork_rng(devices=[]):
            network = AAM(architecture)
        network.load_state_dict(state)
    except (RuntimeError, OverflowError, TypeError) as error:
        raise ValueError(MISFIT) from error
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{WEIGHTS} holds numbers that are not finite ({name}). Use an unaltered copy of it.")
    return network.eval()


def with_terminal_branches(state: dict) -> dict:
    """The weights of a network; of one that knew no terminal branches with such of length 0."""
    names = [f"sample_encoder.terminal_branch.{name}" for name in ("weight", "bias")]
    membership = state.get("sample_encoder.membership.weight")
    if any(name in state for name in names) or not isinstance(membership, torch.Tensor) or membership.ndim != 2:
        return state
    none = torch.full((1,), NO_LENGTH)
    return {**state, names[0]: torch.zeros(1, membership.shape[1]), names[1]: none}


def as_tensors(arrays: dict) -> dict:
    """Nested dicts of arrays as tensors, for the weights file."""
    return {
        name: as_tensors(part) if isinstance(part, dict) else torch.as_tensor(part) for name, part in arrays.items()
    }


def as_arrays(tensors: dict) -> dict:
    """The way back from :func:`as_tensors`."""
    return {name: as_arrays(part) if isinstance(part, dict) else part.numpy() for name, part in tensors.items()}
