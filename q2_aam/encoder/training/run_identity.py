"""What a run is known again by: when it goes on, and by the nodes that train together."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.files import package_versions
from q2_aam.encoder.training.distributed import gather
from q2_aam.encoder.training.module import TrainingModule
from q2_aam.encoder.training.run_files import begin_anew

SETTINGS_FILE = "settings.json"
# Settings that a run may be continued with in another value.
FREE_SETTINGS = ("threads", "compile")
# Packages that a run may be continued with in another version, though it may then end otherwise.
PACKAGES = ("q2-aam", "torch", "lightning")
OTHER_INPUT = {
    "data": "the table, its split or the target",
    "covariates": "the covariates",
    "origin": "the encoder, metric or phylogeny",
}


def describe_run(
    module: TrainingModule,
    dataset: CommunityDataset,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    origin: str,
) -> dict:
    """Settings, architecture and a fingerprint of data and starting weights, to know a run again."""
    digest = hashlib.blake2b(digest_size=16)
    communities = dataset.communities
    arrays = [
        communities.tokens,
        communities.counts.indptr,
        communities.counts.indices,
        communities.counts.data,
        train_rows,
        validation_rows,
    ]
    if dataset.target is not None:
        arrays.append(dataset.target)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update("\n".join(map(str, communities.sample_ids)).encode())
    free = FREE_SETTINGS
    if module.settings.optimization.gradient_share != "auto":
        # Otherwise it decides what is learnt from.
        free += ("max_tokens",)
    parts = [value if isinstance(value, dict) else {name: value} for name, value in asdict(module.settings).items()]
    settings = {name: value for part in parts for name, value in part.items() if name not in free}
    covariates = dataset.covariates
    return {
        "data": digest.hexdigest(),
        "covariates": None if covariates is None else hashlib.blake2b(covariates.tobytes(), digest_size=16).hexdigest(),
        "origin": origin,
        **module.network.architecture.to_dict(),
        **settings,
        "versions": {name: version for name, version in package_versions().items() if name in PACKAGES},
    }


def differences(one: dict, other: dict, words: str) -> str:
    """What differs between two descriptions, in words (with places for both values); empty when nothing does."""
    return "; ".join(
        OTHER_INPUT.get(name) or f"{name} {words.format(value, other.get(name))}"
        for name, value in one.items()
        if other.get(name) != value
    )


def check_same_everywhere(description: dict) -> None:
    """Refuse to train together with a process of another node that was given something else."""
    first, *others = gather(description)
    for number, other in enumerate(others, start=1):
        shown = differences(first, other, "is {!r} here, {!r} there")
        if shown:
            raise ValueError(
                f"The first node and that of process {number} were given other input: {shown}. Give the same command "
                "on all nodes."
            )


def check_same_run(directory: Path, description: dict, resumed: bool) -> str:
    """Refuse to go on with a run of other data or settings; note those of a new run for the next time.

    Returns
    -------
    str
        A sentence about packages of another version than the run was begun with; empty where there are none.
    """
    path = directory / SETTINGS_FILE
    if resumed:
        noted = read_settings(path)
        # A run of an earlier version may lack what is new.
        before = {name: noted.get(name) for name in description if name != "versions"}
        shown = differences(before, description, "was {!r}, now {!r}")
        if shown:
            raise ValueError(
                f"run_dir {directory} holds a run that was begun with other input: {shown}. "
                "Repeat it with the same input to go on with it, or give another run_dir."
            )
        return other_versions(noted.get("versions") or {}, description["versions"])
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(description, indent=1) + "\n")
    new.replace(path)
    return ""


def other_versions(before: dict[str, str], now: dict[str, str]) -> str:
    """Which packages have another version than when the run was begun, as a sentence; empty where none has."""
    others = [name for name in now if before.get(name) != now[name]]
    changed = [f"{name} {before.get(name, 'unknown')} (now {now[name]})" for name in others]
    return f"The run was begun with {', '.join(changed)}." if changed else ""


def read_settings(path: Path) -> dict:
    """What a run was begun with."""
    try:
        before = json.loads(path.read_text())
        if not isinstance(before, dict):
            raise ValueError("It holds no settings.")
    except FileNotFoundError as error:
        raise ValueError(f"{path} is not there, without which the run cannot go on. {begin_anew(path)}") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: it is cut short or was changed. {begin_anew(path)}") from error
    return before
