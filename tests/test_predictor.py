"""`Predictor.fit` and `Predictor.predict` without QIIME 2: all heads, both kinds of target."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from q2_aam import predictor as module
from q2_aam.encoder.distances import predicted_unifrac
from q2_aam.evaluation.metrics import regression_scores
from q2_aam.heads import head_class
from q2_aam.predictor import Predictor, encode_target
from q2_aam.settings import Embedding, Fitting
from q2_aam.study.tables import keep_columns

from .tiny_predictors import COLUMN, EACH, HEADS, SAMPLES, encoder, few_trees, new_samples, predictor, study


@pytest.mark.parametrize("head, kind", EACH)
def test_out_of_fold_predictions_are_of_all_samples_and_scored(head, kind):
    fitted, samples = predictor(head, kind), study(kind)
    values, certainty = fitted.out_of_fold.values, fitted.out_of_fold.certainty
    assert list(values.index) == list(certainty.index) == list(samples.communities.sample_ids)
    assert fitted.out_of_fold.novelty is None and fitted.description.head == head
    scores = fitted.description.scores
    if kind == "numeric":
        assert scores["out-of-fold/r2"] == pytest.approx(regression_scores(samples.target, values)["r2"])
        assert ((certainty["lower"] <= values) & (values <= certainty["upper"])).all()
        assert fitted.calibration.temperature is None and fitted.calibration.intervals["residuals"] == SAMPLES
    else:
        assert scores["out-of-fold/accuracy"] == pytest.approx((values == samples.target).mean())
        assert list((certainty / fitted.target.class_shares).idxmax(axis=1)) == list(values)
        assert np.allclose(certainty.sum(axis=1), 1)
        assert fitted.calibration.intervals is None and fitted.calibration.temperature > 0


@pytest.mark.parametrize("head", HEADS)
def test_nothing_of_a_sample_is_in_its_out_of_fold_prediction(head):
    """Of numbers drawn at random nothing can be known, but of samples that were learnt from."""
    samples, found = study("numeric"), []
    for seed in range(4):
        values = samples.target.copy()
        values[:] = np.random.default_rng(seed).normal(size=SAMPLES)
        with few_trees():
            fitted = Predictor.fit(encoder(), replace(samples, target=values), Fitting(head=head, threads=1))
        found.append(r2_score(values, fitted.out_of_fold.values))
    # The best of many settings is a little above 0 by chance; what was learnt from is near 1.
    assert np.mean(found) < 0.3, found


class Watch:
    """Stands in for the registry: keeps what the head that is fitted was given."""

    def __init__(self, head):
        self.head = head_class(head)

    def fit(self, features, target, folds, **settings):
        self.features, self.target, self.folds, self.settings = features, target, folds, settings
        return self.head.fit(features, target, folds, **settings)


def watched(monkeypatch, head):
    watch = Watch(head)
    monkeypatch.setattr(module, "head_class", lambda name: watch)
    return watch


@pytest.mark.parametrize("kind", COLUMN)
def test_groups_are_whole_in_all_inner_folds(kind, monkeypatch):
    watch, samples = watched(monkeypatch, "linear"), study(kind, groups="site")
    Predictor.fit(encoder(), samples, Fitting(head="linear", random_seed=5))
    sites = samples.groups.to_numpy()
    tested = np.concatenate([test for _, test in watch.folds.splits])
    assert sorted(tested) == list(range(SAMPLES)) and len(watch.folds.splits) > 2
    for train, test in watch.folds.splits:
        assert not set(sites[train]) & set(sites[test]) and len(train) + len(test) == SAMPLES
    assert watch.settings["random_seed"] == 5


def test_heads_read_samples_as_they_will_read_new_ones(monkeypatch):
    """An ASV that only a sample's own fold holds is not known to the others."""
    rare = np.flatnonzero(np.diff(study("numeric").communities.counts.tocsc().indptr) > 0)[::2]
    samples = study("numeric")
    counts = samples.communities.counts.tolil()
    counts[1:, rare] = 0
    samples = replace(samples, communities=replace(samples.communities, counts=counts.tocsr()))
    watch = watched(monkeypatch, "kernel")
    Predictor.fit(encoder(), samples, Fitting(head="kernel"))
    communities = samples.communities
    for train, test in watch.folds.splits:
        held = np.asarray((communities.counts[train] > 0).sum(0)).ravel() > 0
        known = replace(communities, counts=keep_columns(communities.counts, held)).subset(test)
        expected = encoder().embed_tables([communities.subset(test), known])[1]
        np.testing.assert_allclose(watch.features.known_presence[test], expected.presence, atol=1e-5)
    assert not np.allclose(watch.features.known_presence[0], watch.features.presence[0], atol=1e-4)


def test_the_encoder_stays_as_it_was():
    before = {name: value.clone() for name, value in encoder().network.state_dict().items()}
    seen = encoder().seen_asvs.copy()
    fitted = Predictor.fit(encoder(), study("numeric"), Fitting(head="linear"))
    after = fitted.encoder.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before) and before.keys() == after.keys()
    assert set(seen) <= set(fitted.seen_asvs) and np.array_equal(encoder().seen_asvs, seen)
    assert fitted.description.encoder == encoder().summary()


def leaves(tensors, *path):
    """Each array of nested dicts, with the way to it."""
    for name, part in sorted(tensors.items()):
        if isinstance(part, dict):
            yield from leaves(part, *path, name)
        else:
            yield (*path, name), part


@pytest.mark.parametrize("head", HEADS)
def test_the_same_seed_gives_the_same_model(head):
    with few_trees():
        again = Predictor.fit(encoder(), study("numeric"), Fitting(head=head, threads=2))
    first = predictor(head, "numeric")
    for (name, ours), (_, theirs) in zip(leaves(again.head.to_tensors()), leaves(first.head.to_tensors()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=str(name))
    np.testing.assert_allclose(again.out_of_fold.values, first.out_of_fold.values, rtol=1e-4)


def test_another_seed_gives_other_folds():
    settings = Fitting(head="linear", threads=1, random_seed=9)
    other = Predictor.fit(encoder(), study("numeric"), settings)
    assert not other.out_of_fold.values.equals(predictor("linear", "numeric").out_of_fold.values)
    assert other.description.random_seed == 9 and other.description.settings == asdict(settings)


def test_a_study_without_a_target_is_refused():
    with pytest.raises(ValueError, match=r"^The study has no target\. Read it with the metadata column to predict\.$"):
        Predictor.fit(encoder(), new_samples())


def test_the_target_is_encoded_by_the_rows_learnt_from():
    target, encoded = encode_target(study("numeric"), "zscore", np.arange(5))
    assert target.location == pytest.approx(study("numeric").target[:5].mean())
    assert encoded.dtype == np.float32 and encoded.shape == (SAMPLES,)
    rows = np.flatnonzero(study("categorical").target != "wetland")
    with pytest.raises(ValueError, match=r"^column 'habitat': \d+ samples \(.*\) are of classes that no train"):
        encode_target(study("categorical"), "none", rows)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("samples", [2, 3, 4])
@pytest.mark.parametrize("kind", COLUMN)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_fewest_samples_are_fitted_to_or_refused_in_a_sentence(head, samples, kind):
    target = study(kind).target
    rows = [np.flatnonzero(target == value)[0] for value in target.unique()[:2]]
    rows = np.concatenate([rows, np.setdiff1d(np.arange(SAMPLES), rows)])[:samples]
    few = study(kind).subset(rows)
    try:
        with few_trees():
            fitted = Predictor.fit(encoder(), few, Fitting(head=head, threads=1))
    except ValueError as error:
        assert kind == "categorical" and str(error).startswith("The head needs inner folds"), error
    else:
        assert np.isfinite(fitted.predict(few).certainty.to_numpy()).all()


# Predict


@pytest.mark.parametrize("head, kind", EACH)
def test_predictions_are_what_head_and_calibration_say(head, kind):
    """In the target's own units; of samples learnt from better than out-of-fold."""
    fitted, samples = predictor(head, kind), study(kind)
    predicted = fitted.predict(samples)
    assert list(predicted.values.index) == list(samples.communities.sample_ids)
    if kind == "numeric":
        both = (predicted.values, fitted.out_of_fold.values)
        error, out_of_fold = ((values - samples.target).abs().mean() for values in both)
        assert error < out_of_fold < samples.target.std()
        half_width = (predicted.certainty["upper"] - predicted.certainty["lower"]) / 2
        expected = fitted.calibration.intervals["half_width"] * fitted.target.scale
        np.testing.assert_allclose(half_width, expected, rtol=1e-6)
    else:
        again, out_of_fold = (
            (values == samples.target).mean() for values in (predicted.values, fitted.out_of_fold.values)
        )
        assert again > max(out_of_fold, 1 / 3)
        assert list(predicted.certainty.columns) == fitted.target.classes


@pytest.mark.parametrize("head", HEADS)
def test_order_batches_and_company_change_nothing(head):
    fitted, samples = predictor(head, "numeric"), new_samples()
    expected = fitted.predict(samples)
    order = np.random.default_rng(0).permutation(len(samples))
    again = fitted.predict(samples.subset(order), Embedding(batch_size=5))
    few = fitted.predict(samples.subset(order[:3]))
    for found in (again, few):
        # Rounding may lead one tree of few another way.
        off = np.abs(found.values - expected.values[found.values.index]).to_numpy()
        assert np.median(off) < 1e-5 and off.max() < 0.3
    assert again.novelty.loc[expected.novelty.index].equals(expected.novelty)


def test_novelty_is_about_the_samples_learnt_from_whatever_the_encoder_has_read():
    fitted, samples = predictor("kernel", "numeric"), new_samples()
    known = study("numeric").communities.hashes
    few = study("numeric").subset(np.arange(10))
    with few_trees():
        novelty = Predictor.fit(encoder(), few, Fitting(threads=1)).predict(study("numeric")).novelty
    read = np.isin(study("numeric").communities.hashes, encoder().seen_asvs)
    assert read.all() and novelty["unseen_asvs"].sum() > 0 and (novelty["unseen_asvs"].iloc[:10] == 0).all()
    new = ~np.isin(samples.communities.hashes, known)
    counts = samples.communities.counts.toarray()
    novelty = fitted.predict(samples).novelty
    np.testing.assert_array_equal(novelty["unseen_asvs"], (counts[:, new] > 0).sum(1))
    np.testing.assert_allclose(novelty["unseen_read_share"], counts[:, new].sum(1) / counts.sum(1))
    assert new.any() and (fitted.predict(study("numeric")).novelty["unseen_asvs"] == 0).all()


@pytest.mark.parametrize("head", HEADS)
def test_how_far_a_sample_lies_from_its_nearest_training_samples(head):
    fitted, samples = predictor(head, "numeric"), study("numeric")
    novelty = fitted.predict(samples).novelty
    if head not in ("ensemble", "kernel"):
        assert fitted.neighbours is None and "nearest_percentile" not in novelty
        return
    presence = fitted.head.landmarks.presence
    apart = predicted_unifrac(presence, presence).astype(float)
    own = np.sort(apart + np.diag(np.full(SAMPLES, np.inf)), axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(fitted.neighbours.distances, np.sort(own), rtol=1e-5)
    # Among its nearest ones is the sample itself, at no distance.
    expected = np.sort(apart, axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(novelty["nearest_distance"], expected, atol=1e-5)
    # Without groups each sample weighs the same.
    rank = [100 * (own < distance).mean() for distance in novelty["nearest_distance"]]
    np.testing.assert_allclose(novelty["nearest_percentile"], rank, atol=100 / SAMPLES + 1e-6)
    assert novelty["nearest_percentile"].between(0, 100).all()
