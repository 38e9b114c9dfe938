"""Random changes of models, by byte and by structure: whatever is read is refused in a sentence, or is what it was.

Who changes a file can fit its checksums to it; here that is done, so that what lies behind them is tested. Of a file
that is read still, the tensors are the same (what was hit is a name or a padding that nothing reads), since each record
has a checksum of its own. Of ``model.json`` without the digest that the weights keep of it, other plausible values are
read: another temperature cannot be told from the right one.
"""

import json
import math
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import WEIGHTS
from q2_aam.framework import ValidationError
from q2_aam.predictor import Predictor
from q2_aam.untrusted import read_object
from tests.hostile.boxed import boxed, content_of, copy, describe, loaded, put, validated
from tests.tiny_predictors import new_samples

FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def changed(data: bytes, rng) -> bytes:
    """Another byte or some, or a part that is gone or there twice."""
    data, place = bytearray(data), int(rng.integers(len(data)))
    match rng.integers(6):
        case 0:
            del data[place : place + int(rng.integers(1, 100))]
        case 1:
            data[place:place] = data[place : place + int(rng.integers(1, 100))]
        case _:
            for offset in range(int(rng.integers(1, 4))):
                data[(place + offset) % len(data)] = rng.integers(256)
    return bytes(data)


def outcome(directory, kind, same) -> str:
    """What becomes of a directory: 'refused', or 'read' as it was."""
    refused = {}
    for read in (validated, lambda directory: loaded(directory, kind)):
        try:
            read(directory)
        except (ValueError, ValidationError) as error:
            said = str(error).split("\n\n")[-1].strip()
            assert said.endswith(".") and said.isprintable(), repr(said)
            refused[read] = said
    # A format knows nothing of what weights must be; to load them is what counts.
    if read in refused:
        return "refused"
    return "read" if same(directory) else "read as another"


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize("kind", ["encoder", "fine-tuned"])
def test_200_random_changes_of_the_weights(models, tmp_path, kind):
    directory = copy(models[kind], tmp_path / "model")
    whole, content = (directory / WEIGHTS).read_bytes(), content_of(directory)
    parts = {name: value for name, value in content.items() if name != "description_sha256"}

    def same(directory):
        return equal(parts, {name: value for name, value in content_of(directory).items() if name in parts})

    def run() -> str:
        rng, found = np.random.default_rng(0), Counter()
        for _ in range(200):
            (directory / WEIGHTS).write_bytes(changed(whole, rng))
            describe(directory)
            found[outcome(directory, kind, same)] += 1
        return json.dumps(found)

    found = json.loads(boxed(run, seconds=60))
    assert found.keys() == {"refused", "read"} and found["refused"] > 150, found


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_50_random_changes_of_the_description(models, tmp_path, kind):
    directory = copy(models[kind], tmp_path / "model")
    whole = (directory / "model.json").read_bytes()
    content = json.loads(whole)
    rng, found = np.random.default_rng(1), Counter()
    for _ in range(50):
        (directory / "model.json").write_bytes(changed(whole, rng))
        found[outcome(directory, kind, lambda _: read_object(directory / "model.json") == content)] += 1
    assert found["refused"] >= 40 and found.keys() <= {"refused", "read"}, found


NUMBERS = st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**400, 1e308, -1e-300, 0.5, math.nan, math.inf, -math.inf])
TEXTS = st.sampled_from(["", "x", "\x1b[2J\x1b]0;evil\x07", "</script><script>alert(1)", "{{ 7*7 }}", "a\nb\tc"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)


def places(value, before=()):
    """Paths of all parts of nested dicts and lists; of long lists the first two."""
    parts = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*before, name)
        yield from places(part, (*before, name))


def put_in(value, path, part):
    """The same with another part, or without it."""
    value = at = deepcopy(value)
    for name in path[:-1]:
        at = at[name]
    if part is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = part
    return value


def predicts(directory, kind) -> None:
    """A model that is read is of use: it embeds or predicts numbers that are finite, or says why not."""
    model, samples = loaded(directory, kind), new_samples().subset([0, 1])
    if isinstance(model, Encoder):
        assert np.isfinite(model.embed(samples).samples).all() and isinstance(model.summary(), dict)
        assert model.metric is None or isinstance(model.metric_for("auto"), str)
    else:
        predictions = model.predict(samples)
        assert np.isfinite(predictions.certainty).all(axis=None) and predictions.values.notna().all()


@pytest.mark.parametrize("kind", ["encoder", "regressor", "classifier"])
def test_any_value_in_the_description(models, tmp_path_factory, kind):
    """Wherever it stands: refused in a sentence, or nothing is hurt."""
    directory = copy(models[kind], tmp_path_factory.mktemp("description") / "model")
    put(directory, content_of(directory))
    content = json.loads((directory / "model.json").read_text())
    paths = [path for path in places(content) if path != ("sha256",)]

    @FEW
    @given(st.sampled_from(paths), VALUES | st.just(...))
    def test(path, value):
        (directory / "model.json").write_text(json.dumps(put_in(content, path, value)))
        try:
            validated(directory)
            predicts(directory, kind)
        except (ValueError, ValidationError) as error:
            assert str(error).replace("\n", "").isprintable(), repr(error)

    test()


TENSORS = st.sampled_from([
    torch.zeros(0),
    torch.tensor(math.nan),
    torch.full((3,), math.inf, dtype=torch.float64),
    torch.arange(5),
    torch.tensor([2**62, -(2**62)]),
    torch.zeros(2, 2, dtype=torch.uint8),
    torch.ones(3, dtype=torch.bfloat16),
    torch.ones(1, 3, dtype=torch.bool),
])


@pytest.mark.parametrize("kind", ["encoder", "regressor"])
def test_anything_in_place_of_a_part_of_the_weights_file(models, tmp_path_factory, kind):
    """Parts of the head have a test of their own."""
    directory = copy(models[kind], tmp_path_factory.mktemp("weights") / "model")
    content = content_of(directory)
    paths = [path for path in places(content) if path[0] != "head"]

    @FEW
    @given(st.sampled_from(paths), TENSORS | NUMBERS | TEXTS | st.none() | st.just(...))
    def test(path, value):
        put(directory, put_in(content, path, value))
        try:
            validated(directory)
            predicts(directory, kind)
        except (ValueError, ValidationError) as error:
            assert str(error).replace("\n", "").isprintable(), repr(error)

    test()


def test_predictions_of_a_model_are_those_of_its_file(models):
    """What all of these compare with: a model that was not changed predicts."""
    assert isinstance(loaded(models["fine-tuned"], "fine-tuned"), Predictor)
    for kind in ("encoder", "regressor", "classifier"):
        predicts(models[kind], kind)
