"""Checks of the parts of `model.json`: what actions read of it must be there, and of its type."""

import json

from q2_aam.framework import ValidationError
from q2_aam.settings import TRANSFORMS
from q2_aam.types._checks import check_keys, is_finite, is_integer, wrong_value

# The kind of target that each kind of model has.
TARGET_OF_KIND = {"encoder": None, "regressor": "numeric", "classifier": "categorical"}
# Settings of the architecture that are counts or widths.
ARCHITECTURE_SIZES = (
    "dim",
    "heads",
    "nucleotides_per_token",
    "nucleotide_layers",
    "sample_layers",
    "anchors",
    "lineages",
    "feed_forward",
    "max_length",
)
CONDITIONING_KEYS = ("name", "kind", "location", "scale", "lowest", "highest", "categories")
TARGET_KEYS = ("name", "kind", "transform", "location", "scale", "classes", "class_weights")


def check_target(name: str, kind, target):
    """The target of a model of some kind: whatever an action reads of it, of the type it reads."""
    if not isinstance(kind, str) or kind not in TARGET_OF_KIND:
        wrong_value(name, "kind", kind, f"one of {', '.join(TARGET_OF_KIND)}")
    expected = TARGET_OF_KIND[kind]
    if expected is None:
        if target is not None:
            wrong_value(name, "target", target, "null, as kind is encoder")
        return
    if not isinstance(target, dict):
        raise ValidationError(
            f"{name}: kind is {kind}, but target is {json.dumps(target)}: what it predicts is unknown. Train "
            "the model again with `qiime aam fit`."
        )
    check_keys(name, target, TARGET_KEYS, "target")
    if target["kind"] != expected:
        wrong_value(name, "target.kind", target["kind"], f'"{expected}", as kind is {kind}')
    if not isinstance(target["name"], str):
        wrong_value(name, "target.name", target["name"], "the name of a metadata column")
    if target["transform"] not in (TRANSFORMS if expected == "numeric" else ("none",)):
        known = ", ".join(TRANSFORMS) if expected == "numeric" else "none"
        wrong_value(name, "target.transform", target["transform"], f"one of {known}, as kind is {kind}")
    if not is_finite(target["location"]):
        wrong_value(name, "target.location", target["location"], "a number")
    if not is_finite(target["scale"]) or target["scale"] <= 0:
        wrong_value(name, "target.scale", target["scale"], "a number above 0")
    _check_classes(name, expected, target["classes"], target["class_weights"])


def _check_classes(name: str, expected: str, classes, weights):
    for key, value in (("classes", classes), ("class_weights", weights)):
        if expected == "numeric" and value != []:
            wrong_value(name, f"target.{key}", value, "an empty list, as kind is regressor")
    if expected == "numeric":
        return
    if not (isinstance(classes, list) and len(classes) > 1):
        wrong_value(name, "target.classes", classes, "a list of two classes or more")
    if not all(isinstance(value, str) for value in classes) or len(set(classes)) < len(classes):
        wrong_value(name, "target.classes", classes, "a list of names, each once")
    if not (isinstance(weights, list) and len(weights) == len(classes) and all(map(is_finite, weights))):
        wrong_value(name, "target.class_weights", weights, f"a list of {len(classes)} numbers, one for each class")


def check_intervals(name: str, kind: str, intervals):
    """The intervals, which a regressor has and nothing else has."""
    if kind != "regressor":
        if intervals is not None:
            wrong_value(name, "intervals", intervals, f"null, as kind is {kind}")
        return
    if not isinstance(intervals, dict):
        wrong_value(name, "intervals", intervals, "an object ({...}), as kind is regressor")
    check_keys(name, intervals, ("half_width", "coverage"), "intervals")
    if not is_finite(intervals["half_width"]) or intervals["half_width"] < 0:
        wrong_value(name, "intervals.half_width", intervals["half_width"], "a number from 0")
    if not is_finite(intervals["coverage"]) or not 0 < intervals["coverage"] < 1:
        wrong_value(name, "intervals.coverage", intervals["coverage"], "a number between 0 and 1")


def check_temperature(name: str, kind: str, temperature):
    """What a classifier's logits are divided by."""
    # Models written before there were temperatures lack the key.
    if temperature is None:
        return
    if kind != "classifier":
        wrong_value(name, "temperature", temperature, f"null, as kind is {kind}")
    if not is_finite(temperature) or temperature <= 0:
        wrong_value(name, "temperature", temperature, "a number above 0")


def check_architecture(name: str, architecture: dict):
    """The sizes of the network."""
    # Whether all settings are there is for the core to say, which knows of which version they are.
    for key in ARCHITECTURE_SIZES:
        value = architecture.get(key, 1)
        if not is_integer(value) or value < 1:
            wrong_value(name, f"architecture.{key}", value, "a positive whole number")
    dropout = architecture.get("dropout", 0)
    if not is_finite(dropout) or not 0 <= dropout < 1:
        wrong_value(name, "architecture.dropout", dropout, "a number from 0 and below 1")


def check_training(name: str, training: dict):
    """What later actions read of the training settings."""
    check_keys(name, training, ("sampling",), "training")
    sampling = training["sampling"]
    if not isinstance(sampling, dict):
        wrong_value(name, "training.sampling", sampling, "an object ({...})")
    check_keys(name, sampling, ("token_limit",), "training.sampling")
    limit = sampling["token_limit"]
    if not is_integer(limit) or limit < 1:
        wrong_value(name, "training.sampling.token_limit", limit, "a positive whole number")
    metric = training.get("metric")
    if not (metric is None or isinstance(metric, str)):
        wrong_value(name, "training.metric", metric, "the name of a UniFrac or null")


def check_conditioning(name: str, kind: str, conditioning):
    # Models written before there were conditioning columns lack the key.
    if conditioning is None:
        return
    if kind == "encoder":
        wrong_value(name, "conditioning", conditioning, "null, as kind is encoder")
    columns = conditioning.get("columns") if isinstance(conditioning, dict) else None
    if not (isinstance(columns, list) and columns and all(isinstance(column, dict) for column in columns)):
        wrong_value(name, "conditioning", conditioning, "null or an object with a list of columns")
    for place, column in enumerate(columns):
        within = f"conditioning.columns[{place}]"
        check_keys(name, column, CONDITIONING_KEYS, within)
        if column["kind"] not in ("numeric", "categorical"):
            wrong_value(name, f"{within}.kind", column["kind"], "one of numeric, categorical")
        for key in ("location", "scale", "lowest", "highest"):
            if not is_finite(column[key]):
                wrong_value(name, f"{within}.{key}", column[key], "a number")
        if not isinstance(column["categories"], list):
            wrong_value(name, f"{within}.categories", column["categories"], "a list")
