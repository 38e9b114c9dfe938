import base64
import hashlib
import json
import zipfile

import pytest

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# The first record of an event file: length, its checksum, time and version, checksum.
EVENTS = (
    bytes.fromhex("1800000000000000a37f4b22")
    + b"\t\x00\x00\x80\x1c\xc8\x5f\xda\x41\x1a\rbrain.Event:2"
    + b"0" * 4
)

NUMERIC_TARGET = {
    "name": "ph",
    "kind": "numeric",
    "transform": "zscore",
    "location": 6.1,
    "scale": 0.1 + 0.2,
    "classes": [],
    "class_weights": [],
}
CLASSES_TARGET = {
    "name": "habitat",
    "kind": "categorical",
    "transform": "none",
    "location": 0.0,
    "scale": 1.0,
    "classes": ["1", "10", "2"],
    "class_weights": [1.0, 0.5, 2.0],
}
TARGETS = {"encoder": None, "regressor": NUMERIC_TARGET, "classifier": CLASSES_TARGET}


INTERVALS = {"half_width": 0.25, "coverage": 0.9, "residuals": 12, "enough": True}


def write_torch_file(path, pickled=b"\x80\x02}.", names=("data.pkl", "version")):
    """A zip file as torch.save writes it, without torch; `pickled` is an empty dictionary by default."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"best_model/{name}", pickled if name == "data.pkl" else b"3\n")


def describe(folder, kind="regressor", **changes):
    """Write model.json beside best_model.pt; a change to ... takes a key out."""
    content = {
        "schema_version": 5,
        "kind": kind,
        "sha256": hashlib.sha256((folder / "best_model.pt").read_bytes()).hexdigest(),
        "architecture": {"dim": 8, "sample_layers": 2, "sample": {"layers": 2}},
        "tokenizer": {"vocabulary": ["PAD", "A"], "max_length": 512},
        "token_limit": 1024,
        "target": TARGETS[kind],
        "covariates": None,
        "head": None if kind == "encoder" else "ensemble",
        "encoder": None if kind == "encoder" else {"sha256": "0"},
        "settings": {"epochs": 3, "note": ""},
        "random_seed": 0,
        "versions": {"torch": "2.13"},
        "data": {"samples": 10, "asvs": 30},
        "scores": {"val/r2": 0.1 + 0.2},
        "intervals": INTERVALS if kind == "regressor" else None,
        "temperature": 1.5 if kind == "classifier" else None,
        "decision": "balanced" if kind == "classifier" else None,
        **changes,
    }
    content = {key: value for key, value in content.items() if value is not ...}
    (folder / "model.json").write_text(json.dumps(content))


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    write_torch_file(folder / "best_model.pt")
    describe(folder)
    return folder


HISTORY = (
    "epoch\tlearning_rate\tseconds\ttrain/total_loss\tval/total_loss\n"
    "0\t0\t0.5\t\t1.25\n"
    "1\t0.001\t2.5\t0.30000000000000004\t1e-05\n"
    "12\t0.0005\t2.5\t0.25\t\n"
)


def summarize(folder, **changes):
    """Write log.json; a change to ... takes a key out."""
    content = {
        "schema_version": 1,
        "action": "fine-tune",
        "monitor": "val/total_loss",
        "mode": "min",
        "best_epoch": 1,
        "epochs": 12,
        "stopped": "No improvement for 10 epochs.",
        "target": "ph",
        **changes,
    }
    content = {key: value for key, value in content.items() if value is not ...}
    (folder / "log.json").write_text(json.dumps(content))


@pytest.fixture
def log_folder(tmp_path):
    folder = tmp_path / "log"
    (folder / "events" / "train").mkdir(parents=True)
    (folder / "plots").mkdir()
    (folder / "events" / "events.out.tfevents.1.host.2.0").write_bytes(EVENTS)
    (folder / "events" / "train" / "events.out.tfevents.1.host.2.1").write_bytes(EVENTS)
    (folder / "plots" / "epoch-0001.png").write_bytes(PNG)
    (folder / "history.tsv").write_text(HISTORY)
    summarize(folder)
    return folder
