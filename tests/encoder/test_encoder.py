"""The encoder as a Python object: made, written, read, asked."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from q2_aam.encoder.encoder import Encoder
from q2_aam.predictor import Predictor
from q2_aam.settings import Embedding, Fitting
from q2_aam.simulation.study import simulate_study
from q2_aam.study.two_parts import two_parts
from tests.encoder.small import SIZES, training


@pytest.fixture(scope="module")
def predictor(simulated, encoder):
    return Predictor.fit(encoder, simulated, Fitting(head="kernel", threads=1, device="cpu"))


def same_weights(one, other):
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_what_was_saved_is_loaded(simulated, encoder, tmp_path):
    encoder.save(tmp_path / "made" / "model")
    loaded = Encoder.load(tmp_path / "made" / "model")
    assert same_weights(loaded, encoder)
    assert loaded.description == encoder.description and loaded.description.kind == "encoder"
    assert np.array_equal(loaded.seen_asvs, np.sort(encoder.seen_asvs))
    assert loaded.state.keys() == encoder.state.keys() and loaded.state["epoch"] == encoder.state["epoch"]
    assert loaded.digest() == encoder.digest()
    assert np.array_equal(loaded.embed(simulated).samples, encoder.embed(simulated).samples)


def test_an_encoder_is_known_by_its_weights(simulated, encoder):
    """Also one that is in no file, and has no checksum."""
    again = Encoder.pretrain(simulated, training(2), architecture=SIZES)
    other = Encoder.pretrain(simulated, training(2, random_seed=1), architecture=SIZES)
    assert again.digest() == encoder.digest() != other.digest()


def test_embedding_has_vectors_and_distances(simulated, encoder):
    embedding = encoder.embed(simulated)
    assert embedding.samples.shape == (24, 32) and embedding.presence.shape == (24, 16)
    distances = embedding.distances()
    assert distances.shape == (24, 24) and np.allclose(distances, distances.T, atol=1e-6)
    assert np.allclose(np.diag(distances), 0, atol=1e-6) and (distances <= 1).all()
    true = simulated.unifrac()(np.arange(24))
    upper = np.triu_indices(24, 1)
    assert np.corrcoef(distances[upper], true[upper])[0, 1] > 0.5


def test_settings_of_reading_are_heeded(simulated, encoder):
    whole, few = encoder.embed(simulated), encoder.embed(simulated, Embedding(token_limit=3, threads=1))
    assert not np.allclose(whole.samples, few.samples, atol=1e-3)
    on_disk = encoder.embed(simulated, Embedding(batch_size=5, asv_cache="disk", threads=1))
    assert np.allclose(whole.samples, on_disk.samples, atol=1e-5)


def test_the_encoders_own_token_limit_is_the_default(simulated, tmp_path):
    limited = Encoder.pretrain(simulated, training(token_limit=3), architecture=SIZES)
    limited.save(tmp_path)
    loaded = Encoder.load(tmp_path)
    expected = limited.embed(simulated, Embedding(token_limit=3, threads=1))
    assert np.array_equal(loaded.embed(simulated).samples, expected.samples)


def short_encoder(simulated, **changes):
    """One that reads 50 nucleotides."""
    return Encoder.pretrain(simulated, training(), architecture=replace(SIZES, max_length=50), **changes)


def test_a_study_of_longer_sequences_is_refused(simulated):
    cut = simulate_study(n_samples=12, length=50, with_phylogeny=True)
    small = short_encoder(cut)
    message = (
        r"^The study has sequences of 60 nucleotides, but the encoder reads 50\. Read the study with max_length=50\.$"
    )
    for call in (
        lambda: small.embed(simulated),
        lambda: short_encoder(simulated),
        lambda: Encoder.pretrain(simulated, training(), encoder=small),
        lambda: Predictor.fit(small, simulated, Fitting(threads=1)),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_fitted_model_is_no_encoder(predictor, tmp_path):
    predictor.save(tmp_path)
    message = r"^The model is a regressor of 'ph', but an encoder is needed\. Give what `qiime aam pretrain` made\.$"
    with pytest.raises(ValueError, match=message):
        Encoder.load(tmp_path)


def test_the_encoder_in_a_predictor_keeps_its_own_description(simulated, encoder, predictor, tmp_path):
    predictor.save(tmp_path)
    inside, own = Predictor.load(tmp_path).encoder, encoder.description
    assert same_weights(inside, encoder) and inside.digest() == encoder.digest()
    for name in ("kind", "architecture", "settings", "data", "scores", "random_seed", "versions", "sha256"):
        assert getattr(inside.description, name) == getattr(own, name), name
    assert inside.description.target is inside.description.head is inside.description.temperature is None
    assert inside.metric == encoder.metric == "unweighted"
    assert np.array_equal(inside.seen_asvs, np.sort(encoder.seen_asvs))
    # It can stand alone again.
    inside.save(tmp_path / "alone")
    assert Encoder.load(tmp_path / "alone").digest() == encoder.digest()


def test_new_asvs_are_those_of_no_pretraining_sample(simulated, encoder):
    learnt_from, _ = two_parts(24, 0.2, random_seed=0, name="validation part")
    communities = simulated.communities
    known = np.isin(np.arange(len(communities.tokens)), communities.subset(learnt_from).present_asvs())
    assert np.array_equal(encoder.new_asvs(communities), ~known)
    other = simulate_study(n_samples=12, random_seed=99)
    assert encoder.new_asvs(other.communities).all()


def test_the_metric_that_was_learnt_is_gone_on_with(encoder):
    assert encoder.metric_for("auto") == encoder.metric_for("unweighted") == "unweighted"
    message = (
        r"^The encoder has learnt unweighted UniFrac, but metric is 'generalized': what it has learnt will change\. "
        r"Leave metric out to go on with unweighted\.$"
    )
    with pytest.warns(UserWarning, match=message):
        assert encoder.metric_for("generalized") == "generalized"


def test_the_same_seed_gives_identical_predictions(simulated, encoder, predictor):
    again = Predictor.fit(encoder, simulated, Fitting(head="kernel", threads=1, device="cpu"))
    first, second = (one.predict(simulated) for one in (predictor, again))
    pd.testing.assert_series_equal(first.values, second.values, check_exact=True)
    pd.testing.assert_frame_equal(first.certainty, second.certainty, check_exact=True)
