"""What the pages of encoders and of fitted models have in common: what was read of samples, settings, commands."""

import json
import shlex

import pandas as pd

from q2_aam.study.trims import Lengths
from q2_aam.types._transformer import flattened
from q2_aam.untrusted import is_finite

from ._page import fact, number

METRICS = {
    "unweighted": "unweighted UniFrac",
    "weighted_normalized": "weighted normalized UniFrac",
    "generalized": "generalized UniFrac",
}
VALUES = {"counts": "counts of reads", "shares": "relative frequencies", "presence": "presence and absence"}
# What was left out of a table, where the model says so.
LEFT_OUT = {
    "samples_not_in_metadata": "Samples left out: not in the metadata",
    "samples_without_value": "Samples left out: without a value",
    "reads_dropped": "Reads left out: of features without a sequence or place in the tree",
    "features_cut": "Sequences that were longer, and cut",
}
HASHES = "A hash is not a sequence, but whoever has a sequence can compute its hash and look whether it is among them."
# The reference page of the encoder that ships says more than its file does.
READY_PAGE = "https://github.com/q2-aam/q2-aam/blob/main/docs/reference/ready-encoder.md"


def samples_facts(data: dict, values: dict) -> dict:
    """Sizes of what was learnt from, of ``data`` in ``model.json``, with further ones behind the samples.

    Parameters
    ----------
    data : dict
    values : dict
        By name; see :meth:`q2_aam.visualizers._page.Page.facts`.
    """
    facts = {"Samples": data.get("training_samples"), **values}
    if data.get("validation_samples"):
        facts["Further samples, to pick the best epoch by"] = data["validation_samples"]
    facts |= {"Features of the table": data.get("features"), "Distinct ASVs of the table": data.get("asvs")}
    kind = data.get("values")
    facts["The table held"] = VALUES.get(kind, kind) if isinstance(kind, str) else None
    if kind == "counts":
        facts |= {"Reads": _whole(data.get("reads")), "Reads of a sample": _depth(data.get("depth"))}
    return facts | {label: _whole(data[name]) for name, label in LEFT_OUT.items() if name in data}


def _whole(value):
    """Reads of counts are whole numbers, which JSON may write as others."""
    return int(value) if is_finite(value) and float(value).is_integer() else value


def _depth(depth) -> str | None:
    if not isinstance(depth, dict):
        return None
    lowest, median, highest = (fact(_whole(depth.get(name))) for name in ("lowest", "median", "highest"))
    return f"{lowest} to {highest} (median {median})"


def lengths_facts(data: dict, max_length: int) -> dict:
    """Lengths of the sequences, where the file has them: those of an earlier q2-aam have not."""
    lengths = Lengths.from_dict(data.get("lengths"))
    text = None if lengths is None else f"{lengths} nucleotides{', all alike' * lengths.trimmed}"
    return {"Length of the sequences": text, "Nucleotides read of a sequence, at most": max_length}


def distances_of(encoder) -> str | None:
    """The kind of distances that an encoder has learnt."""
    metric = encoder.metric
    return METRICS.get(metric, metric) if isinstance(metric, str) else None


def agreement(encoder) -> str | None:
    """How well predicted distances agree with exact ones, as a phrase; None where the file does not say it."""
    scores = encoder.description.scores
    for part, samples in (("val", "samples that it had not learnt from"), ("train", "the samples that it learnt from")):
        r, rmse = (scores.get(f"{part}/unifrac_{name}") for name in ("r", "rmse"))
        if r is not None and rmse is not None:
            return f"r {number(r)}, RMSE {number(rmse)}, among {samples}"
    return None


def is_ready(sha256) -> bool:
    """Whether this is the checksum of the encoder that comes with q2-aam."""
    from q2_aam.encoder.encoder import READY

    return sha256 == json.loads((READY / "model.json").read_text())["sha256"]


def which_encoder(known: dict) -> str:
    """An encoder by what a model that was made with it says of it."""
    if is_ready(known.get("sha256")):
        return "the one that comes with q2-aam (ready-encoder)"
    # One that was in no file has none.
    return f"another one (checksum {fact(known.get('sha256') or None)})"


def command(action: str, *lines: str) -> str:
    """A command of ``qiime aam``, an element of ``lines`` a line."""
    return " \\\n  ".join([f"qiime aam {action} {lines[0]}", *lines[1:]])


def quoted(name: str) -> str:
    """A column's name as a shell takes it, whatever it holds."""
    return shlex.quote(name)


def settings_section(page, description) -> None:
    """What the model was made with, and what its file is known again by."""
    page.section("Settings, seed and versions", "What it was made with. These do not change when it predicts.")
    page.facts({
        "Seed": description.random_seed,
        **{f"Version of {name}": version for name, version in description.versions.items()},
        "Schema of the file": description.schema_version,
        "Checksum (SHA-256) of best_model.pt": description.sha256,
    })  # fmt: skip
    rows = [(name, value) for name, value in flattened(description.settings) if name != "random_seed"]
    page.table("settings", pd.DataFrame(rows, columns=["setting", "value"]), {"setting": "Setting", "value": "Value"})
