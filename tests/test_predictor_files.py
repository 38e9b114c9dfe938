"""Directories of predictors: what they keep, and those that do not fit together, which are refused and never crash."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from q2_aam import predictor as module
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import MISFIT, as_arrays, as_tensors, read_model, write_model
from q2_aam.heads import check_head
from q2_aam.predictor import Predictor

from .test_predictor import leaves
from .tiny_predictors import EACH, HEADS, encoder, new_samples, predictor, study

REFUSED = f"^{re.escape(MISFIT)}$"


def assert_same(ours, theirs):
    """Predictions in all their parts, to the last bit."""
    pd.testing.assert_series_equal(ours.values, theirs.values, check_exact=True)
    pd.testing.assert_frame_equal(ours.certainty, theirs.certainty, check_exact=True)
    pd.testing.assert_frame_equal(ours.novelty, theirs.novelty, check_exact=True)
    assert ours.cautions == theirs.cautions


@pytest.mark.parametrize(
    "head, kind, covariates", [(*each, False) for each in EACH] + [(head, "numeric", True) for head in HEADS]
)
def test_what_was_saved_predicts_the_same_to_the_last_bit(tmp_path, head, kind, covariates):
    fitted, samples = predictor(head, kind, covariates), study(kind, covariates=covariates)
    fitted.save(tmp_path / "made" / "model")
    loaded = Predictor.load(tmp_path / "made" / "model")
    assert_same(loaded.predict(samples), fitted.predict(samples))
    if not covariates:
        assert_same(loaded.predict(new_samples()), fitted.predict(new_samples()))
    assert loaded.description == fitted.description and loaded.calibration == fitted.calibration
    assert loaded.target == fitted.target and loaded.out_of_fold is None
    assert loaded.covariates == fitted.covariates and (loaded.covariates is None) != covariates
    assert loaded.head.describe() == fitted.head.describe()
    assert np.array_equal(loaded.seen_asvs, fitted.seen_asvs)
    # The encoder inside is as good as its own file.
    assert np.array_equal(loaded.encoder.seen_asvs, encoder().seen_asvs)
    assert loaded.encoder.summary() == encoder().summary() and loaded.encoder.metric == "unweighted"
    assert json.loads((tmp_path / "made" / "model" / "model.json").read_text())["schema_version"] == 5
    # Once more, and nothing has changed.
    loaded.save(tmp_path / "again")
    assert_same(Predictor.load(tmp_path / "again").predict(samples), fitted.predict(samples))


def test_arrays_come_back_from_tensors():
    arrays = {"a": np.array(2.5), "b": {"c": np.arange(3), "d": np.ones((2, 0), dtype=np.float32)}}
    for (name, ours), (_, theirs) in zip(leaves(as_arrays(as_tensors(arrays))), leaves(arrays), strict=True):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), name


def test_predictors_and_encoders_are_not_taken_for_each_other(tmp_path):
    encoder().save(tmp_path / "encoder")
    predictor("linear", "numeric").save(tmp_path / "predictor")
    with pytest.raises(ValueError, match=r"^The model is an encoder, which has no target\. Give it to `qiime aam "):
        Predictor.load(tmp_path / "encoder")
    message = "The model is a regressor of 'ph', but an encoder is needed. Give what `qiime aam pretrain` made."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Encoder.load(tmp_path / "predictor")


@pytest.mark.parametrize("schema_version", [1, 2, 3, 4])
def test_models_of_earlier_versions_are_refused_in_a_sentence(tmp_path, schema_version):
    predictor("linear", "categorical").save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    facts["schema_version"] = schema_version
    facts.pop("decision")
    if schema_version < 4:
        facts["training"] = facts.pop("settings")
    (tmp_path / "model.json").write_text(json.dumps(facts))
    message = (
        f"model.json: this classifier was made by an earlier q2-aam (schema version {schema_version}; this one reads "
        "5). Fit it again with `qiime aam fit` and the encoder that it was made with: encoders of earlier versions are "
        "still read."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Predictor.load(tmp_path)


# Directories that someone made, with checksums that fit


def tampered(directory, fitted, change, **facts):
    """A predictor's directory with other tensors and another description."""
    fitted.save(directory)
    content, description = read_model(directory)
    change(content)
    write_model(directory, content, replace(description, **facts))
    return directory


def test_a_head_of_another_encoder_or_target_is_told():
    one, other = predictor("kernel", "numeric"), predictor("kernel", "categorical")
    check_head(one.head, one.target, None, encoder())
    for head, target, network in (
        (one.head, other.target, encoder()),
        (other.head, one.target, encoder()),
        (one.head, one.target, encoder(9)),
    ):
        with pytest.raises(ValueError):
            check_head(head, target, None, network)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_other_parts_than_the_description_tells_are_refused(tmp_path, head, kind):
    fitted = predictor(head, kind)
    other = predictor(head, "categorical" if kind == "numeric" else "numeric")
    with_covariates = predictor(head, "numeric", True)
    foreign = encoder(9)

    def put(**parts):
        return lambda content: content.update(parts)

    def tensors(fitted):
        return as_tensors(fitted.head.to_tensors())

    changes = {
        "no head": (lambda content: content.pop("head"), {}),
        "no dict": (put(head=torch.zeros(3)), {}),
        "nothing in it": (put(head={}), {}),
        "plain values in it": (put(head={**tensors(fitted), "more": 7}), {}),
        "another head": (put(head=tensors(predictor("trees" if head == "linear" else "linear", kind))), {}),
        "another head's name": (put(), {"head": "trees" if head == "linear" else "linear"}),
        "another kind of target": (put(head=tensors(other)), {}),
        "covariates that nobody wrote down": (put(head=tensors(with_covariates)), {}),
        "covariates that the head does not read": (put(), {"covariates": with_covariates.description.covariates}),
        "the ASVs that were seen are text": (put(seen_asvs="ACGT"), {}),
        "the encoder's ASVs are gone": (lambda content: content.pop("encoder_asvs"), {}),
        "the encoder's ASVs are a number": (put(encoder_asvs=3), {}),
        "another encoder's weights": (put(model=foreign.network.state_dict()), {}),
        "another encoder": (
            put(model=foreign.network.state_dict()),
            {"architecture": foreign.network.architecture.to_dict()},
        ),
    }
    if kind == "categorical":
        target = fitted.description.target
        more = {"classes": [*target["classes"], "zoo"], "class_weights": [*target["class_weights"], 1.0]}
        changes["a class more"] = put(), {"target": {**target, **more}}
    for number, (name, (change, facts)) in enumerate(changes.items()):
        directory = tampered(tmp_path / str(number), fitted, change, **facts)
        with pytest.raises(ValueError, match=REFUSED):
            Predictor.load(directory)
            pytest.fail(name)


def mutations(tensor):
    """The same tensor in sizes, types and numbers that it should not have."""
    yield tensor.flatten()[:0]
    yield tensor[None]
    yield tensor.double() if tensor.dtype != torch.float64 else tensor.long()
    yield torch.full_like(tensor, -1)
    yield torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else torch.full_like(tensor, 2**31 - 1)
    if tensor.ndim:
        yield tensor[:-1]
        yield torch.cat([tensor, tensor[-1:]])
        yield tensor.flip(0)


def with_part(tensors, path, part):
    """Nested dicts with one leaf exchanged."""
    name, *further = path
    return {**tensors, name: with_part(tensors[name], further, part) if further else part}


@pytest.mark.parametrize("head, kind", EACH)
def test_no_tensor_of_a_head_makes_it_crash(tmp_path, monkeypatch, head, kind):
    """Whatever is read predicts finite numbers; all else is refused in the one sentence."""
    predictor(head, kind).save(tmp_path)
    content, description = read_model(tmp_path)
    # It is not the encoder that is damaged here: once read is enough.
    whole = encoder()
    monkeypatch.setattr(module.Encoder, "inside", lambda *_: whole)
    refused, parts = 0, list(leaves(content["head"]))
    for path, tensor in parts:
        for mutation in mutations(tensor):
            damaged = {**content, "head": with_part(content["head"], path, mutation)}
            monkeypatch.setattr(module, "read_model", lambda directory, damaged=damaged: (damaged, description))
            try:
                loaded = Predictor.load(tmp_path)
            except ValueError as error:
                assert str(error) == MISFIT, path
                refused += 1
            else:
                predicted = loaded.predict(new_samples().subset([0, 1]))
                assert np.isfinite(predicted.certainty).all(axis=None), (path, mutation)
    assert refused > 3 * len(parts)
