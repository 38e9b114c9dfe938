"""The files of a model: ``best_model.pt`` (tensors) and ``model.json`` (everything else)."""

import hashlib
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.files import WEIGHTS, read_tensors, sha256_of, write_atomically
from q2_aam.heads.kernel import KernelHead
from q2_aam.heads.trees import JointHead
from q2_aam.settings import Architecture
from q2_aam.study.covariates import Conditioning
from q2_aam.study.targets import Target
from q2_aam.study.tokenizer import VOCABULARY

# 2: models may have trees beside the kernel head; 3: two kinds of them, and weights.
SCHEMA_VERSION = 3
DESCRIPTION = "model.json"
MISFIT = (
    f"The weights in {WEIGHTS} do not fit the architecture in {DESCRIPTION}: the model was made by another q2-aam, or "
    "is damaged. Use the q2-aam that made it, or train it again."
)
KINDS = {None: "encoder", "numeric": "regressor", "categorical": "classifier"}
PACKAGES = ("q2-aam", "torch", "lightning", "numpy", "scikit-learn", "scikit-bio", "unifrac")


@dataclass
class Model:
    """A network and what is known about it."""

    network: AAM
    """In evaluation mode."""
    target: Target | None
    """None for an encoder."""
    seen_asvs: np.ndarray
    """int64 ``[V]``, sorted, the hashes of the ASVs of all training samples so far, pretraining included."""
    description: dict
    """``model.json``."""
    conditioning: Conditioning | None = None
    """None where the model reads nothing but the community."""
    head: KernelHead | JointHead | None = None
    """None where the network's own linear head predicts."""


def outputs_of(target: Target | None) -> int | None:
    """Outputs that the target head needs."""
    if target is None:
        return None
    return max(1, len(target.classes))


def conditions_of(conditioning: Conditioning | None) -> int:
    """Numbers that the target head is given beside the sample embedding."""
    return 0 if conditioning is None else conditioning.width


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


def refuse_other_sizes(architecture: Architecture, state: dict) -> None:
    """Stop before a network is made of sizes that a description states, but its weights do not have.

    Raises
    ------
    ValueError
        If the weights of an encoder of that architecture are of other shapes.
    """
    shapes = {name: value.shape for name, value in state.items() if isinstance(value, torch.Tensor)}
    # Each layer has weights of its own; without that many, not even an empty network of so many layers is made.
    if architecture.nucleotide_layers + architecture.sample_layers > len(shapes):
        raise ValueError(MISFIT)
    try:
        # Networks on this device take no memory.
        with torch.device("meta"):
            expected = AAM(architecture).state_dict()
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes that no tensor can have
        raise ValueError(MISFIT) from error
    if any(shapes.get(name) != tensor.shape for name, tensor in expected.items()):
        raise ValueError(MISFIT)


def save_model(
    directory: str | Path,
    state: dict,
    architecture: Architecture,
    target: Target | None,
    seen_asvs: np.ndarray,
    conditioning: Conditioning | None = None,
    head: KernelHead | JointHead | None = None,
    **facts,
) -> dict:
    """Write a model's two files.

    Parameters
    ----------
    directory : str or Path
        Exists already.
    state : dict
        ``model`` (state dict), ``optimizer``, ``scheduler``, ``epoch``, ``score`` as :class:`BestModel` leaves them.
    architecture : Architecture
        Sizes of the network.
    target : Target or None
        None for an encoder.
    seen_asvs : np.ndarray
        int64 ``[V]``.
    conditioning : Conditioning, optional
        What the target head is given beside the sample embedding.
    head : KernelHead or JointHead, optional
        What predicts in place of the network's own linear head.
    **facts
        Further keys of ``model.json``: ``training``, ``random_seed``, ``data``, ``scores``, ``intervals``,
        ``temperature``.

    Returns
    -------
    dict
        The description as written.
    """
    directory = Path(directory)
    description = {
        "schema_version": SCHEMA_VERSION,
        "kind": KINDS[None if target is None else target.kind],
        "sha256": "",
        "architecture": architecture.to_dict(),
        "tokenizer": {"vocabulary": list(VOCABULARY), "max_length": architecture.max_length},
        "target": None if target is None else target.to_dict(),
        "conditioning": None if conditioning is None else conditioning.to_dict(),
        "versions": package_versions(),
        **facts,
    }
    # Each of the two files tells whether the other one was changed.
    seen = torch.from_numpy(np.unique(seen_asvs).astype(np.int64))
    content = {**state, "seen_asvs": seen, "description_sha256": digest_of(description)}
    if isinstance(head, JointHead):
        content["joint_head"] = head.to_tensors()
        head = head.kernel
    if head is not None:
        content["kernel_head"] = head.to_tensors()
    write_atomically(content, directory / WEIGHTS)
    description["sha256"] = sha256_of(directory / WEIGHTS)
    text = json.dumps(description, indent=1, allow_nan=False)
    (directory / DESCRIPTION).write_text(text + "\n")
    return description


def load_model(directory: str | Path) -> Model:
    """Read a model's two files.

    Raises
    ------
    ValueError
        If a checksum, the vocabulary, the schema or the weights do not fit.
    """
    directory = Path(directory)
    description = json.loads((directory / DESCRIPTION).read_text())
    if description["schema_version"] > SCHEMA_VERSION:
        raise ValueError(
            f"The model has schema version {description['schema_version']}, this q2-aam reads up to {SCHEMA_VERSION}. "
            "Update q2-aam."
        )
    if sha256_of(directory / WEIGHTS) != description["sha256"]:
        raise ValueError(
            f"{WEIGHTS} is not the file that {DESCRIPTION} describes (its SHA-256 differs). "
            "Use an unaltered copy of the model."
        )
    if description["tokenizer"]["vocabulary"] != list(VOCABULARY):
        raise ValueError("The model was trained with another alphabet of tokens. Use the q2-aam that made it.")
    content = read_tensors(directory / WEIGHTS)
    if not (isinstance(content, dict) and isinstance(content.get("model"), dict)):
        raise ValueError(MISFIT)
    architecture = Architecture.from_dict(description["architecture"])
    refuse_other_sizes(architecture, content["model"])
    # Models written before there was one lack it.
    if content.get("description_sha256", digest_of(description)) != digest_of(description):
        raise ValueError(
            f"{DESCRIPTION} was changed since the model was made: it is not the one that {WEIGHTS} was written with. "
            "Use an unaltered copy of the model."
        )
    target = None if description["target"] is None else Target.from_dict(description["target"])
    # Models written before there was any lack the key.
    conditioning = Conditioning.from_dict(description.get("conditioning"))
    network = AAM(architecture, outputs_of(target), conditions_of(conditioning))
    try:
        network.load_state_dict(content["model"])
        seen_asvs = content["seen_asvs"].numpy()
        # Encoders, linear heads and models written before there was another lack it.
        head = KernelHead.from_tensors(content["kernel_head"]) if "kernel_head" in content else None
        joint = content.get("joint_head")
        if description["schema_version"] == 2 and "forest_head" in content:
            # Of trees on the embedding alone, which counted for one half.
            joint = {"weights": torch.tensor([0.5, 0.5, 0.0]), "embedding": content["forest_head"]}
        if joint is not None:
            head = JointHead.from_tensors(joint, head, 2 * architecture.lineages)
        elif description.get("training", {}).get("head") == "joint":
            raise ValueError(MISFIT)
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(MISFIT) from error
    return Model(network.eval(), target, seen_asvs, description, conditioning, head)
