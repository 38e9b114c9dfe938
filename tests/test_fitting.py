import numpy as np
import pandas as pd
import pytest
from q2_aam.fitting import encode_target, start_head
from q2_aam.prediction import encode_samples, predict_targets

from q2_aam.heads.linear import fit_probe
from tests import tiny

pytestmark = pytest.mark.filterwarnings("error")

VALUES = pd.Series([1.0, 3.0, 5.0, 100.0], index=list("abcd"), name="ph")


def test_the_transform_is_fitted_on_the_training_part_alone():
    target, encoded = encode_target(VALUES, np.array([0, 1, 2]), "zscore")
    assert (target.location, target.scale) == (3.0, pytest.approx(np.sqrt(8 / 3)))
    assert np.allclose(encoded, (VALUES - 3) / np.sqrt(8 / 3))
    assert encoded.dtype == np.float32


def test_classes_and_their_weights_are_those_of_the_training_part():
    values = pd.Series(["x", "y", "y", "x", "y", "y", "x", "x"], name="habitat")
    target, encoded = encode_target(values, np.arange(6), None)
    assert target.classes == ["x", "y"] and target.class_weights == [1.5, 0.75]
    assert encoded.tolist() == [0, 1, 1, 0, 1, 1, 0, 0]


def test_a_class_that_is_in_no_training_sample_is_refused():
    values = pd.Series(list("xyxyz"), index=["s1", "s2", "s3", "s4", "s5"], name="habitat")
    message = r"^column 'habitat': 1 samples \(s5\) are of classes that no training sample has \(z\); known are x, y\."
    with pytest.raises(ValueError, match=message):
        encode_target(values, np.arange(4), None)


@pytest.mark.parametrize(("kind", "outputs"), [("numeric", 1), ("categorical", 3)])
def test_the_head_starts_as_the_probe_of_embedding_and_condition(kind, outputs):
    _, encoded = tiny.target(kind, 3)
    condition = np.random.default_rng(0).normal(size=(tiny.SAMPLES, 2)).astype(np.float32)
    communities, network = tiny.survey(), tiny.network(outputs, covariates=2)
    start_head(network, communities, encoded, None, 7, condition, batch_size=3)
    encoding = encode_samples(network, communities)
    probe = fit_probe(encoding.embedding.numpy(), encoded, None, 7, condition)
    standard = np.hstack([(encoding.embedding.numpy() - probe.mean) / probe.scale, condition])
    expected = standard @ probe.weight.T + probe.bias
    assert probe.weight.shape == (outputs, 2 * 8 + 2)
    assert np.allclose(predict_targets(network, encoding, condition), expected, atol=0.01 * expected.std())


@pytest.mark.parametrize(("kind", "outputs"), [("numeric", 1), ("categorical", 3)])
@pytest.mark.parametrize("groups", [None, np.arange(tiny.SAMPLES) // 2])
def test_the_head_starts_as_the_probe_of_the_training_samples(kind, outputs, groups):
    _, encoded = tiny.target(kind, 3)
    communities, network = tiny.survey(), tiny.network(outputs)
    rows = np.arange(1, tiny.SAMPLES)
    members = None if groups is None else groups[rows]
    start_head(network, communities.subset(rows), encoded[rows], members, 7, batch_size=3)
    embedding = encode_samples(network, communities).embedding.numpy()
    probe = fit_probe(embedding[rows], encoded[rows], members, 7)
    expected = ((embedding - probe.mean) / probe.scale) @ probe.weight.T + probe.bias
    found = predict_targets(network, encode_samples(network, communities))
    assert found.shape == (tiny.SAMPLES, outputs)
    # The embeddings differ by rounding with the batch size, and the probe divides by small deviations.
    assert np.allclose(found, expected, atol=0.01 * expected.std())
