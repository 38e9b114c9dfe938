import hashlib
import json
import os
import pickle
import re
import time

import numpy as np
import pandas as pd
import pytest
import torch

from q2_aam import model_file
from q2_aam.encoder.aam import AAM
from q2_aam.encoder.files import WEIGHTS, read_tensors, sha256_of, write_atomically
from q2_aam.model_file import DESCRIPTION, conditions_of, load_model, outputs_of, package_versions, save_model
from q2_aam.study.batches import BatchKey, CommunityDataset
from q2_aam.study.covariates import Conditioning
from tests import tiny

MISFIT = (
    "The weights in best_model.pt do not fit the architecture in model.json: the model was made by another q2-aam, or "
    "is damaged. Use the q2-aam that made it, or train it again."
)

KINDS = {"encoder": (None, 0), "regressor": ("numeric", 0), "classifier": ("categorical", 3)}


def saved(directory, kind="encoder", seen=(5, -3, 5), **facts):
    """A network of a kind, written to a directory; gives the network, its target and the description."""
    column, classes = KINDS[kind]
    target = None if column is None else tiny.target(column, classes)[0]
    network = tiny.network(outputs_of(target)).eval()
    optimizer = torch.optim.AdamW(network.parameters())
    state = {"model": network.state_dict(), "optimizer": [optimizer.state_dict()], "epoch": 3, "score": 0.25}
    description = save_model(directory, state, network.architecture, target, np.array(seen), **facts)
    return network, target, description


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back_with_identical_outputs(tmp_path, kind):
    network, target, description = saved(tmp_path, kind, random_seed=7)
    loaded = load_model(tmp_path)
    batch = CommunityDataset(tiny.survey())[BatchKey(np.arange(5), 0)]
    inputs = batch.tokens, batch.asv_index, batch.abundance, batch.mask
    expected, found = network(*inputs).sample.embedding, loaded.network(*inputs).sample.embedding
    assert torch.equal(found, expected)
    if kind != "encoder":
        assert torch.equal(loaded.network.target_head(found), network.target_head(expected))
    assert not loaded.network.training
    assert loaded.target == target
    assert loaded.description == description == json.loads((tmp_path / DESCRIPTION).read_text())
    assert loaded.description["random_seed"] == 7
    assert loaded.description["kind"] == kind


def test_conditioning_columns_come_back_and_widen_the_head(tmp_path):
    samples = pd.DataFrame({"age": [0.1, 0.1 + 0.2, 7.0], "sex": ["m", "f", "f"]}, index=list("abc"))
    conditioning = Conditioning.fit(samples)
    target = tiny.target("numeric")[0]
    network = AAM(tiny.architecture(), 1, conditions_of(conditioning)).eval()
    state = {"model": network.state_dict()}
    save_model(tmp_path, state, network.architecture, target, np.array([1]), conditioning=conditioning)
    loaded = load_model(tmp_path)
    assert loaded.conditioning == conditioning
    inputs = torch.randn(3, 16), torch.from_numpy(conditioning.encode(samples))
    assert torch.equal(loaded.network.target_head(*inputs), network.target_head(*inputs))


def test_without_conditioning_columns_the_key_is_null_and_may_be_absent(tmp_path):
    """Models written before there were any lack it."""
    _, _, description = saved(tmp_path, "regressor")
    assert description["conditioning"] is None and conditions_of(None) == 0
    del description["conditioning"]
    # Nor had they a digest of the description among the weights.
    content = read_tensors(tmp_path / WEIGHTS)
    del content["description_sha256"]
    write_atomically(content, tmp_path / WEIGHTS)
    description["sha256"] = sha256_of(tmp_path / WEIGHTS)
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    assert load_model(tmp_path).conditioning is None


def test_model_json_describes_all_that_is_needed(tmp_path):
    network, target, description = saved(tmp_path, "classifier")
    assert description["schema_version"] == 3
    assert description["architecture"] == network.architecture.to_dict()
    assert description["tokenizer"] == {
        "vocabulary": ["PAD", "A", "C", "G", "T", "N", "START", "MASK"],
        "max_length": 30,
    }
    assert description["target"] == target.to_dict()
    assert description["sha256"] == hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    assert description["versions"] == package_versions()
    assert description["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_seen_asvs_are_kept_sorted_and_once(tmp_path):
    saved(tmp_path, seen=(5, -3, 5, 2**62))
    seen = load_model(tmp_path).seen_asvs
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


@pytest.mark.parametrize("key, value", [("scale", 2.0), ("transform", "log1p"), ("location", 0.0), ("name", "age")])
def test_a_changed_target_is_refused(tmp_path, key, value):
    """It would change predictions, and the checksum of the weights does not cover it."""
    _, target, _ = saved(tmp_path, "regressor")
    edit(tmp_path, target={**target.to_dict(), key: value})
    with pytest.raises(ValueError, match=f"^{re.escape(CHANGED)}$"):
        load_model(tmp_path)


def test_any_other_change_of_the_description_is_refused(tmp_path):
    _, _, description = saved(tmp_path, "regressor", intervals={"half_width": 0.1 + 0.2}, training={"sampling": {}})
    for changes in ({"intervals": {"half_width": 0.4}}, {"training": {}}, {"scores": {"r2": 1.0}}, {"versions": {}}):
        edit(tmp_path, **{**description, **changes})
        with pytest.raises(ValueError, match=f"^{re.escape(CHANGED)}$"):
            load_model(tmp_path)


def test_a_description_laid_out_in_another_way_is_the_same(tmp_path):
    _, _, description = saved(tmp_path, "classifier", data={2: "b", 10: "a"}, scores={"val/r2": 0.1 + 0.2})
    content = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert load_model(tmp_path).description == content


def test_models_written_before_the_description_had_a_digest_are_read(tmp_path):
    _, target, _ = saved(tmp_path, "regressor")
    edit_weights(tmp_path, description_sha256=None)
    assert load_model(tmp_path).target == target


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
    _, _, description = saved(tmp_path)
    edit(tmp_path, architecture={**description["architecture"], **changes})
    begun = time.monotonic()
    with pytest.raises(ValueError, match=f"^{re.escape(MISFIT)}$"):
        load_model(tmp_path)
    assert time.monotonic() - begun < 5


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
        load_model(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_refused_also_with_a_fitting_checksum(tmp_path, share):
    saved(tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    replace_weights(tmp_path, content[: int(share * len(content))])
    message = "best_model.pt cannot be read as a model's weights; it is cut short or no such file."
    with pytest.raises(ValueError, match=f"{re.escape(message)}$"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" * 9, b"feature table\n", b"PK\x05\x06" + bytes(18)])
def test_a_foreign_file_is_refused(tmp_path, content):
    saved(tmp_path)
    replace_weights(tmp_path, content)
    with pytest.raises(ValueError, match=r"best_model\.pt (cannot be read as a model's weights|holds something other)"):
        load_model(tmp_path)


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
    with pytest.raises(ValueError, match=r"best_model\.pt holds something other than weights and was not loaded\.$"):
        load_model(tmp_path)
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
        load_model(tmp_path)


def test_weights_that_do_not_fit_the_architecture_are_refused(tmp_path):
    _, _, description = saved(tmp_path)
    for changes in ({"lineages": 9}, {"sample_layers": 2}, {"dim": 32}):
        edit(tmp_path, architecture={**description["architecture"], **changes})
        with pytest.raises(ValueError, match="do not fit the architecture"):
            load_model(tmp_path)


def test_weights_without_the_list_of_seen_asvs_are_refused(tmp_path):
    network, _, _ = saved(tmp_path)
    torch.save({"model": network.state_dict()}, tmp_path / "other.pt")
    replace_weights(tmp_path, (tmp_path / "other.pt").read_bytes())
    with pytest.raises(ValueError, match="do not fit the architecture"):
        load_model(tmp_path)


def test_an_unknown_setting_of_the_architecture_is_refused(tmp_path):
    _, _, description = saved(tmp_path)
    edit(tmp_path, architecture={**description["architecture"], "rotary": 1})
    with pytest.raises(ValueError, match="^The model was made with unknown settings: rotary. Update q2-aam"):
        load_model(tmp_path)


def test_a_newer_schema_and_another_alphabet_are_refused(tmp_path):
    saved(tmp_path)
    edit(tmp_path, schema_version=4)
    message = "The model has schema version 4, this q2-aam reads up to 3. Update q2-aam."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_model(tmp_path)
    edit(tmp_path, schema_version=1, tokenizer={"vocabulary": ["PAD", "T", "G"], "max_length": 30})
    message = "The model was trained with another alphabet of tokens. Use the q2-aam that made it."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_model(tmp_path)


def test_8_2_an_exception_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / WEIGHTS
    write_atomically({"epoch": 1}, path)

    def dies(content, target):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(model_file.torch, "save", dies)
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

    monkeypatch.setattr(model_file.os, "replace", watching)
    write_atomically({"epoch": 2}, path)
    assert seen == [({"epoch": 2}, {"epoch": 1})]


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / WEIGHTS)


def test_sha256_is_that_of_the_whole_file(tmp_path):
    content = np.random.default_rng(0).bytes(2**20 + 17)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
