import hashlib
import json
import os
import pickle
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from q2_aam.encoder import files
from q2_aam.encoder.batches import CommunityDataset
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import (
    DESCRIPTION,
    MISFIT,
    WEIGHTS,
    digest_of,
    package_versions,
    read_tensors,
    sha256_of,
    tokenizer_of,
    write_atomically,
)
from q2_aam.encoder.sample_encoder import lineage_distances
from q2_aam.encoder.sampler import BatchKey
from q2_aam.schema import SCHEMA_VERSION, ModelDescription
from tests import tiny


def saved(directory, seen=(5, -3, 5), **facts):
    """An encoder, written to a directory."""
    network = tiny.network().eval()
    optimizer = torch.optim.AdamW(network.parameters())
    state = {"optimizer": [optimizer.state_dict()], "epoch": 3, "score": 0.25}
    description = ModelDescription(
        kind="encoder",
        architecture=network.architecture.to_dict(),
        tokenizer=tokenizer_of(network.architecture),
        token_limit=64,
        settings={"metric": "unweighted"},
        random_seed=7,
        data={"samples": 20},
        scores={"val/unifrac_r": 0.1 + 0.2},
        versions=package_versions(),
    )
    encoder = Encoder(network, replace(description, **facts), np.array(seen), state)
    encoder.save(directory)
    return encoder


def edit(directory, **changes):
    """Change keys of model.json."""
    path = directory / DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(directory, **changes):
    """Change keys of best_model.pt, with a checksum that fits; None takes a key out."""
    content = {**torch.load(directory / WEIGHTS, weights_only=True), **changes}
    torch.save({key: value for key, value in content.items() if value is not None}, directory / "other.pt")
    replace_weights(directory, (directory / "other.pt").read_bytes())
    (directory / "other.pt").unlink()


def replace_weights(directory, content: bytes):
    """Put another weights file in the place, and its checksum with it, as someone up to no good would."""
    (directory / WEIGHTS).write_bytes(content)
    edit(directory, sha256=hashlib.sha256(content).hexdigest())


def without_digest(directory):
    """As the first versions wrote it, or someone who is up to no good."""
    edit_weights(directory, description_sha256=None)


def test_an_encoder_comes_back_with_identical_outputs(tmp_path):
    encoder = saved(tmp_path)
    loaded = Encoder.load(tmp_path)
    batch = CommunityDataset(tiny.survey())[BatchKey(np.arange(5), 0)]
    inputs = batch.tokens, batch.asv_index, batch.abundance, batch.mask
    assert torch.equal(loaded.network(*inputs).sample.embedding, encoder.network(*inputs).sample.embedding)
    assert not loaded.network.training
    assert loaded.description == encoder.description
    assert loaded.description.to_dict() == json.loads((tmp_path / DESCRIPTION).read_text())
    assert loaded.state.keys() == encoder.state.keys()


def test_model_json_describes_all_that_is_needed(tmp_path):
    encoder = saved(tmp_path)
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    assert description["schema_version"] == 5
    assert description["architecture"] == encoder.network.architecture.to_dict()
    assert description["tokenizer"] == {
        "vocabulary": ["PAD", "A", "C", "G", "T", "N", "START", "MASK"],
        "max_length": 30,
    }
    assert description["sha256"] == hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    assert description["versions"] == package_versions()
    assert description["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_seen_asvs_are_kept_sorted_and_once(tmp_path):
    saved(tmp_path, seen=(5, -3, 5, 2**62))
    seen = Encoder.load(tmp_path).seen_asvs
    assert seen.tolist() == [-3, 5, 2**62]
    assert seen.dtype == np.int64


def test_8_2_the_weights_file_holds_optimizer_state_and_loads_with_weights_only(tmp_path):
    saved(tmp_path)
    content = torch.load(tmp_path / WEIGHTS, weights_only=True)
    assert content["epoch"] == 3 and content["score"] == 0.25
    assert content["optimizer"][0]["param_groups"][0]["lr"] == 1e-3


CHANGED = (
    "model.json was changed since the model was made: it is not the one that best_model.pt was written with. Use an "
    "unaltered copy of the model."
)


@pytest.mark.parametrize(
    "changes", [{"token_limit": 9}, {"settings": {}}, {"scores": {"r2": 1.0}}, {"versions": {}}, {"random_seed": 8}]
)
def test_any_change_of_the_description_is_refused(tmp_path, changes):
    """The checksum of the weights does not cover it."""
    saved(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"^{re.escape(CHANGED)}$"):
        Encoder.load(tmp_path)


def test_a_description_laid_out_in_another_way_is_the_same(tmp_path):
    encoder = saved(tmp_path, data={"b": 1, "a": {"d": 2, "c": 3}})
    content = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert Encoder.load(tmp_path).description == encoder.description


@pytest.mark.parametrize("schema_version", [1, 2, 3])
def test_encoders_of_earlier_versions_are_read(tmp_path, schema_version):
    encoder = saved(tmp_path)
    training = {"sampling": {"token_limit": 512}, "metric": "generalized", "encoder": None}
    old = json.loads((tmp_path / DESCRIPTION).read_text())
    old = {name: old[name] for name in old if name not in ("settings", "token_limit", "covariates", "head", "encoder")}
    old = {**old, "schema_version": schema_version, "training": training}
    edit_weights(tmp_path, description_sha256=None if schema_version == 1 else digest_of(old))
    sha256 = json.loads((tmp_path / DESCRIPTION).read_text())["sha256"]
    (tmp_path / DESCRIPTION).write_text(json.dumps({**old, "sha256": sha256}))
    loaded = Encoder.load(tmp_path)
    assert loaded.description.token_limit == 512 and loaded.metric == "generalized"
    pairs = zip(loaded.network.state_dict().values(), encoder.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    loaded.save(tmp_path / "again")
    assert Encoder.load(tmp_path / "again").description.schema_version == SCHEMA_VERSION


def test_an_encoder_without_terminal_branches_is_read(tmp_path):
    """Those of before knew lineages alone: distances are what they were."""
    encoder, communities = saved(tmp_path), tiny.survey()
    old = read_tensors(tmp_path / WEIGHTS)
    old["model"] = {name: value for name, value in old["model"].items() if "terminal_branch" not in name}
    assert len(old["model"]) == len(encoder.network.state_dict()) - 2
    loaded = Encoder.from_content(old, encoder.description)
    with torch.no_grad():
        assert not loaded.network.sample_encoder.terminal_lengths(torch.ones(3, tiny.architecture().dim)).any()
    placed, before = (tiny.embed(each.network, communities) for each in (loaded, encoder))
    assert np.array_equal(placed.presence, before.presence) and not placed.terminal.data.any()
    lineages = lineage_distances(torch.from_numpy(placed.presence)).numpy()
    assert np.allclose(placed.distances(), lineages, atol=1e-6)
    assert not np.allclose(before.distances(), lineages, atol=1e-3)


def test_an_encoder_of_schema_4_is_read(tmp_path):
    """It lacks what only fitted models have."""
    encoder = saved(tmp_path)
    old = json.loads((tmp_path / DESCRIPTION).read_text())
    assert old.pop("decision") is None
    old["schema_version"] = 4
    edit_weights(tmp_path, description_sha256=digest_of(old))
    sha256 = json.loads((tmp_path / DESCRIPTION).read_text())["sha256"]
    (tmp_path / DESCRIPTION).write_text(json.dumps({**old, "sha256": sha256}))
    loaded = Encoder.load(tmp_path)
    assert loaded.description.settings == encoder.description.settings and loaded.description.decision is None
    # Written again, it is one of today.
    loaded.save(tmp_path / "again")
    assert Encoder.load(tmp_path / "again").description.schema_version == SCHEMA_VERSION


@pytest.mark.parametrize(
    "changes",
    [
        {"lineages": 10**9},
        {"lineages": 10**30},
        {"dim": 2**40},
        {"anchors": 10**12},
        {"nucleotide_layers": 10**9},
        {"sample_layers": 10**9},
        {"feed_forward": 10**18},
    ],
)
def test_sizes_that_the_weights_do_not_have_are_never_made(tmp_path, changes):
    """A network of that size would take all memory, or hours."""
    architecture = saved(tmp_path).description.architecture
    without_digest(tmp_path)
    edit(tmp_path, architecture={**architecture, **changes})
    start = time.monotonic()
    with pytest.raises(ValueError, match=f"^{re.escape(MISFIT)}$"):
        Encoder.load(tmp_path)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("what", ["flipped", "truncated", "empty"])
def test_a_tampered_or_truncated_file_is_refused(tmp_path, what):
    saved(tmp_path)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    if what == "flipped":
        content[len(content) // 2] ^= 1
    else:
        del content[len(content) // 2 if what == "truncated" else 0 :]
    (tmp_path / WEIGHTS).write_bytes(content)
    message = (
        "best_model.pt is not the file that model.json describes (its SHA-256 differs). "
        "Use an unaltered copy of the model."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.load(tmp_path)


AGAIN = "Export it again from the artifact it comes from, or train the model again."
OURS = "this is not a model of q2-aam. Give a model that `qiime aam pretrain` or `qiime aam fit` wrote."
CODE = "Loading such a file could run code of a stranger: do not use it, and ask where it comes from."


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_refused_also_with_a_fitting_checksum(tmp_path, share):
    saved(tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    replace_weights(tmp_path, content[: int(share * len(content))])
    what = "truncated or damaged (File is not a zip file)" if share else "empty"
    with pytest.raises(ValueError, match=f"^{re.escape(f'best_model.pt is {what}. {AGAIN}')}$"):
        Encoder.load(tmp_path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" * 9, b"feature table\n", b"PK\x05\x06" + bytes(18)])
def test_a_foreign_file_is_refused(tmp_path, content):
    saved(tmp_path)
    replace_weights(tmp_path, content)
    message = f"best_model.pt is no zip file, but PyTorch writes zip files: {OURS}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.load(tmp_path)


class Intruder:
    """Makes a directory when it is unpickled."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_a_pickle_is_never_executed(tmp_path, form):
    saved(tmp_path)
    trace, path = tmp_path / "trace", tmp_path / "evil.pt"
    content = {"model": {}, "seen_asvs": Intruder(trace)}
    if form == "bare":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    replace_weights(tmp_path, path.read_bytes())
    message = f"best_model.pt is no zip file, but PyTorch writes zip files: {OURS}"
    if form == "zip":
        message = f"best_model.pt names 1 things that no model of q2-aam holds (posix.mkdir). {CODE}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.load(tmp_path)
    assert not trace.exists()
    # The trap is a real one.
    with open(path, "rb") as file:
        if form == "bare":
            pickle.load(file)
        else:
            torch.load(file, weights_only=False)
    assert trace.is_dir()


@pytest.mark.parametrize(
    "content", [{"seen_asvs": torch.zeros(1)}, [1, 2], {"model": 3, "seen_asvs": torch.zeros(1)}, None]
)
def test_weights_of_another_build_are_refused(tmp_path, content):
    saved(tmp_path)
    torch.save(content, tmp_path / "other.pt")
    replace_weights(tmp_path, (tmp_path / "other.pt").read_bytes())
    with pytest.raises(ValueError, match=f"^{re.escape(MISFIT)}$"):
        Encoder.load(tmp_path)


def test_weights_that_do_not_fit_the_architecture_are_refused(tmp_path):
    architecture = saved(tmp_path).description.architecture
    without_digest(tmp_path)
    for changes in ({"lineages": 9}, {"sample_layers": 2}, {"dim": 32}):
        edit(tmp_path, architecture={**architecture, **changes})
        with pytest.raises(ValueError, match=f"^{re.escape(MISFIT)}$"):
            Encoder.load(tmp_path)


def test_weights_without_the_list_of_seen_asvs_are_refused(tmp_path):
    torch.save({"model": saved(tmp_path).network.state_dict()}, tmp_path / "other.pt")
    replace_weights(tmp_path, (tmp_path / "other.pt").read_bytes())
    with pytest.raises(ValueError, match=f"^{re.escape(MISFIT)}$"):
        Encoder.load(tmp_path)


def test_an_unknown_setting_of_the_architecture_is_refused(tmp_path):
    architecture = saved(tmp_path).description.architecture
    without_digest(tmp_path)
    edit(tmp_path, architecture={**architecture, "rotary": 1})
    with pytest.raises(ValueError, match="^The model was made with unknown settings: rotary. Update q2-aam"):
        Encoder.load(tmp_path)


def test_a_newer_schema_and_another_alphabet_are_refused(tmp_path):
    saved(tmp_path)
    edit(tmp_path, schema_version=6)
    message = (
        "model.json was made by a newer q2-aam (schema version 6, while this one reads up to 5): update q2-aam."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.load(tmp_path)
    edit(tmp_path, schema_version=5, tokenizer={"vocabulary": ["PAD", "T", "G"], "max_length": 30})
    message = "The model was trained with another alphabet of tokens. Use the q2-aam that made it."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.load(tmp_path)


def test_8_2_an_exception_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / WEIGHTS
    write_atomically({"epoch": 1}, path)

    def dies(content, target):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(files.torch, "save", dies)
    with pytest.raises(OSError, match="no space left"):
        write_atomically({"epoch": 2}, path)
    monkeypatch.undo()
    assert read_tensors(path) == {"epoch": 1}
    write_atomically({"epoch": 3}, path)
    assert read_tensors(path) == {"epoch": 3}
    assert [file.name for file in tmp_path.iterdir()] == [WEIGHTS]


def test_8_2_a_new_file_is_complete_before_it_takes_the_old_ones_place(tmp_path, monkeypatch):
    path = tmp_path / WEIGHTS
    write_atomically({"epoch": 1}, path)
    seen = []

    def watching(source, target):
        seen.append((read_tensors(source), read_tensors(target)))
        os.rename(source, target)

    monkeypatch.setattr(files.os, "replace", watching)
    write_atomically({"epoch": 2}, path)
    assert seen == [({"epoch": 2}, {"epoch": 1})]


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / WEIGHTS)


def test_sha256_is_that_of_the_whole_file(tmp_path):
    content = np.random.default_rng(0).bytes(2**20 + 17)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
