"""What ``model.json`` says, and what is refused in it: formats check by it, the core writes and reads by it."""

import json
from dataclasses import asdict, dataclass, fields

from q2_aam.settings import DECISIONS, HEADS, METRICS, TRANSFORMS, Architecture
from q2_aam.untrusted import (
    SchemaError,
    check_keys,
    check_schema_version,
    is_finite,
    is_integer,
    is_number,
    printable,
    wrong_value,
)

# 5: probabilities refer to the classes' shares, and the decision is said. 4: one encoder and one head, as today. 1 to 3
# had the network's own head in the weights, and trees and kernels under names of their own. Encoders of all are read.
SCHEMA_VERSION = 5
FIRST_OF_THESE_KEYS = 4


# The kind of target that each kind of model has.
TARGET_OF_KIND = {"encoder": None, "regressor": "numeric", "classifier": "categorical"}
# Settings of the architecture that are counts or widths.
ARCHITECTURE_SIZES = tuple(entry.name for entry in fields(Architecture) if entry.type is int)
COVARIATE_KEYS = ("name", "kind", "location", "scale", "lowest", "highest", "categories", "imputed", "missing")
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
        unknown = f"kind is {kind}, but target is {printable(json.dumps(target))}: what it predicts is unknown."
        raise SchemaError(f"{name}: {unknown} Train the model again with `qiime aam fit`.")
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


def belongs(name: str, key: str, value, kind: str, owner: str) -> bool:
    """Whether models of this kind have this; refuses a value where they have not."""
    if kind != owner and value is not None:
        wrong_value(name, key, value, f"null, as kind is {kind}")
    return kind == owner


def check_certainty(name: str, kind: str, content: dict):
    """What a regressor's intervals, or a classifier's probabilities and classes, are made by."""
    intervals, temperature = content["intervals"], content["temperature"]
    if belongs(name, "intervals", intervals, kind, "regressor"):
        if not isinstance(intervals, dict):
            wrong_value(name, "intervals", intervals, "an object ({...}), as kind is regressor")
        check_keys(name, intervals, ("half_width", "coverage"), "intervals")
        if not is_finite(intervals["half_width"]) or intervals["half_width"] < 0:
            wrong_value(name, "intervals.half_width", intervals["half_width"], "a number from 0")
        if not is_finite(intervals["coverage"]) or not 0 < intervals["coverage"] < 1:
            wrong_value(name, "intervals.coverage", intervals["coverage"], "a number between 0 and 1")
    if belongs(name, "temperature", temperature, kind, "classifier"):
        if not is_finite(temperature) or temperature <= 0:
            wrong_value(name, "temperature", temperature, "a number above 0")
    decision = content.get("decision", DECISIONS[0])
    # Of earlier versions encoders alone are read, which have none.
    if content["schema_version"] == SCHEMA_VERSION and belongs(name, "decision", decision, kind, "classifier"):
        if decision not in DECISIONS:
            wrong_value(name, "decision", decision, f"one of {', '.join(DECISIONS)}")


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


def check_covariates(name: str, kind: str, covariates):
    """The covariates, which an encoder does not have."""
    if covariates is None:
        return
    if kind == "encoder":
        wrong_value(name, "covariates", covariates, "null, as kind is encoder")
    columns = covariates.get("columns") if isinstance(covariates, dict) else None
    if not (isinstance(columns, list) and columns and all(isinstance(column, dict) for column in columns)):
        wrong_value(name, "covariates", covariates, "null or an object with a list of columns")
    for place, column in enumerate(columns):
        within = f"covariates.columns[{place}]"
        check_keys(name, column, COVARIATE_KEYS, within)
        if column["kind"] not in ("numeric", "categorical"):
            wrong_value(name, f"{within}.kind", column["kind"], "one of numeric, categorical")
        for key in ("location", "scale", "lowest", "highest"):
            if not is_finite(column[key]):
                wrong_value(name, f"{within}.{key}", column[key], "a number")
        if not isinstance(column["categories"], list):
            wrong_value(name, f"{within}.categories", column["categories"], "a list")
        if not (column["imputed"] is None or is_finite(column["imputed"])):
            wrong_value(name, f"{within}.imputed", column["imputed"], "a number or null")


def check_head(name: str, kind: str, head):
    """Name of the head, which an encoder does not have."""
    if kind == "encoder":
        if head is not None:
            wrong_value(name, "head", head, "null, as kind is encoder")
    elif head not in HEADS:
        wrong_value(name, "head", head, f"one of {', '.join(HEADS)}")


def check_data(name: str, data: dict):
    """What predictions are compared with of the samples that were learnt from; earlier models lack some of it."""
    depth, values = data.get("depth"), data.get("values", "counts")
    if not (isinstance(values, str) and values in ("counts", "shares", "presence")):
        wrong_value(name, "data.values", values, "one of counts, shares, presence")
    ends = [depth.get(key) for key in ("lowest", "highest")] if isinstance(depth, dict) else [depth]
    if depth is not None and not (len(ends) == 2 and all(map(is_finite, ends))):
        wrong_value(name, "data.depth", depth, "null or the lowest, median and highest number of reads")


def check_learnt(name: str, within: str, settings: dict):
    """What distances an encoder has learnt, of the settings that it was made with."""
    metric, objective = settings.get("metric"), settings.get("objective")
    if not (metric is None or isinstance(metric, str) and metric in METRICS):
        wrong_value(name, f"{within}.metric", metric, f"null or one of {', '.join(METRICS)}")
    if not (objective is None or isinstance(objective, dict)):
        wrong_value(name, f"{within}.objective", objective, "null or an object ({...})")


def check_scores(name: str, scores: dict):
    """Scores are numbers, or null where they are not defined."""
    for score, value in scores.items():
        if value is not None and not is_number(value):
            wrong_value(name, f"scores.{score}", value, "a number or null")


@dataclass
class ModelDescription:
    """All that is needed to rebuild a network and a head, and what is known about them."""

    kind: str
    """``encoder``, ``regressor`` or ``classifier``."""
    architecture: dict
    """Sizes of the network."""
    tokenizer: dict
    """Alphabet of nucleotides, and how much of a sequence is read."""
    token_limit: int
    """Most ASVs read of a sample."""
    settings: dict
    """What it was made with."""
    random_seed: int
    data: dict
    """Sizes of what was learnt from, and of what was left out of it."""
    scores: dict
    """Of samples that were not learnt from."""
    versions: dict
    """Of the packages that it depends on."""
    target: dict | None = None
    covariates: dict | None = None
    head: str | None = None
    """Name of the head; null for an encoder."""
    intervals: dict | None = None
    """Half width of a regressor's intervals, in the transform's units."""
    temperature: float | None = None
    """What a classifier's outputs are divided by before the classes' shares make them probabilities."""
    decision: str | None = None
    """Which class a classifier names."""
    encoder: dict | None = None
    """What is known about the encoder that was begun with or that is inside; null where there was none."""
    sha256: str = ""
    """Of the weights beside it."""
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict:
        """For ``model.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict, name: str = "model.json") -> "ModelDescription":
        """Read what ``model.json`` says; an encoder of an earlier schema is read as one of today's.

        Raises
        ------
        SchemaError
            If something is missing or contradicts itself, or it is a fitted model of an earlier schema.
        """
        check_description(content, name)
        if content["schema_version"] < SCHEMA_VERSION:
            content = upgraded(content, name)
        return cls(**{entry.name: content[entry.name] for entry in fields(cls)})


DESCRIPTION_KEYS = tuple(entry.name for entry in fields(ModelDescription))
OLD_KEYS = "schema_version kind sha256 architecture tokenizer target training random_seed versions data scores"


def check_description(content: dict, name: str = "model.json") -> None:
    """Refuse a description that lacks something, or contradicts itself."""
    check_schema_version(name, content, SCHEMA_VERSION)
    old = content["schema_version"] < FIRST_OF_THESE_KEYS
    new = set() if content["schema_version"] == SCHEMA_VERSION else {"decision"}
    check_keys(name, content, OLD_KEYS.split() if old else [key for key in DESCRIPTION_KEYS if key not in new])
    for key in ("architecture", "tokenizer", "training" if old else "settings", "versions", "data", "scores"):
        if not isinstance(content[key], dict):
            wrong_value(name, key, content[key], "an object ({...})")
    kind = content["kind"]
    check_target(name, kind, content["target"])
    check_architecture(name, content["architecture"])
    check_keys(name, content["tokenizer"], ("vocabulary", "max_length"), "tokenizer")
    _check_count(name, "tokenizer.max_length", content["tokenizer"]["max_length"])
    check_scores(name, content["scores"])
    if kind == "encoder":
        check_learnt(name, "training" if old else "settings", content["training" if old else "settings"])
    if old:
        return
    check_covariates(name, kind, content["covariates"])
    if kind != "encoder":
        check_data(name, content["data"])
    check_certainty(name, kind, content)
    check_head(name, kind, content["head"])
    _check_count(name, "token_limit", content["token_limit"])
    encoder = content["encoder"]
    if not (encoder is None or isinstance(encoder, dict)):
        wrong_value(name, "encoder", encoder, "null or an object ({...})")
    for key in ("settings", "data", "scores", "versions"):
        if not isinstance((encoder or {}).get(key, {}), dict):
            wrong_value(name, f"encoder.{key}", encoder[key], "an object ({...})")
    check_learnt(name, "encoder.settings", (encoder or {}).get("settings", {}))


def _check_count(name: str, key: str, value):
    if not is_integer(value) or value < 1:
        wrong_value(name, key, value, "a positive whole number")


def upgraded(content: dict, name: str) -> dict:
    """An encoder's description of an earlier schema as one of today's.

    An encoder took minutes to hours, so it is read. A fitted model takes seconds, so it is not.
    """
    if content["kind"] != "encoder":
        raise SchemaError(
            f"{name}: this {content['kind']} was made by an earlier q2-aam (schema version "
            f"{content['schema_version']}; this one reads {SCHEMA_VERSION}). Fit it again with `qiime aam fit` and the "
            "encoder that it was made with: encoders of earlier versions are still read."
        )
    if content["schema_version"] >= FIRST_OF_THESE_KEYS:
        return {**content, "decision": None, "schema_version": SCHEMA_VERSION}
    training = content["training"]
    limit = training.get("sampling", {}).get("token_limit") if isinstance(training.get("sampling"), dict) else None
    _check_count(name, "training.sampling.token_limit", limit)
    today = {key: content.get(key) for key in DESCRIPTION_KEYS}
    before = {"sha256": training["encoder"]} if training.get("encoder") else None
    today |= {"token_limit": limit, "settings": training, "encoder": before, "schema_version": SCHEMA_VERSION}
    return today
