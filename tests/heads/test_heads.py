"""What holds of every head in the registry."""

import numpy as np
import pytest

from q2_aam.heads import HEADS, ensemble, head_class, inner_folds, kernel, linear
from q2_aam.heads import trees as trees_module
from tests import tiny
from tests.heads.made_up import N, changed, features_of, fitted, fold_features, level_of, new_features, samples, zones

ALL = pytest.mark.parametrize("name", HEADS)


@pytest.fixture(autouse=True)
def few_settings(monkeypatch):
    """Fewer trees, and less to choose from, so that a fit takes a moment."""
    monkeypatch.setattr(trees_module, "TREES", 20)
    monkeypatch.setattr(ensemble, "ABUNDANCE_TREES", 20)
    monkeypatch.setattr(kernel, "GAMMAS", (0.3,))
    monkeypatch.setattr(kernel, "LOGISTIC_ALPHAS", [1.0, 0.1])
    monkeypatch.setattr(kernel, "COVARIATE_WEIGHTS", (0.5, 8.0))
    monkeypatch.setattr(linear, "LOGISTIC_ALPHAS", np.array([100.0, 1.0]))


def test_heads_go_by_their_names():
    assert list(HEADS) == ["ensemble", "kernel", "trees", "linear"]
    assert all(head_class(name).name == name for name in HEADS)
    with pytest.raises(ValueError, match="^head must be one of ensemble, kernel, trees, linear, but is 'forest'.$"):
        head_class("forest")


@ALL
@pytest.mark.parametrize("classes", [None, 2, 3])
@pytest.mark.parametrize("columns", [0, 2])
def test_a_fitted_head_is_stored_and_predicts_the_same(name, classes, columns):
    covariates = np.random.default_rng(0).normal(size=(N, columns)).astype(np.float32) if columns else None
    features, level = samples(covariates)
    target = level if classes is None else zones(level, classes)
    head, out_of_fold = fitted(HEADS[name], features, target)
    assert out_of_fold.shape == (N, classes or 1) and out_of_fold.dtype == np.float32
    assert np.isfinite(out_of_fold).all()
    assert all(isinstance(part, np.ndarray | dict) for part in head.to_tensors().values())
    again = HEADS[name].from_tensors(head.to_tensors())
    outputs = head.outputs(features)
    assert outputs.shape == (N, classes or 1) and outputs.dtype == np.float32
    assert np.array_equal(again.outputs(features), outputs) and again.describe() == head.describe()
    assert head.describe().endswith(".") and (("covariates" in head.describe()) == (columns > 0))
    assert (head.landmarks is None) == (name in ("trees", "linear"))
    assert (head.known_asvs is None) == (name == "linear")
    if name != "linear":
        assert np.array_equal(head.known_asvs, features.hashes)


@ALL
def test_covariates_that_were_not_learnt_from_or_lack_are_refused(name):
    features, level = samples()
    more = changed(features, covariates=np.zeros((N, 1), dtype=np.float32))
    for old, new in ((features, more), (more, features)):
        with pytest.raises(ValueError, match="The head was fitted with . covariates"):
            fitted(HEADS[name], old, level).head.outputs(new)


@ALL
@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize("kind", ["alone", "with community"])
def test_a_target_that_depends_on_a_covariate_is_predicted_better_with_it(name, classes, kind):
    """A covariate alone tells the target, or how the community does."""
    n = 100
    level = level_of(n)
    covariate = np.sign(np.random.default_rng(3).normal(size=n)).astype(np.float32)
    numbers = covariate * 2 if kind == "alone" else (1 + covariate) * (1.5 + level)
    target = numbers.astype(np.float32) if classes is None else (numbers > np.median(numbers)).astype(np.int64)
    blind, _ = samples(n=n)
    errors = []
    for features in (changed(blind, covariates=covariate[:, None]), blind):
        outputs = fitted(HEADS[name], features, target).out_of_fold
        errors.append(np.mean(outputs.argmax(1) != target) if classes else np.mean((outputs[:, 0] - target) ** 2))
    assert errors[0] < 0.65 * errors[1]


@ALL
def test_a_row_in_no_fold_is_not_predicted(name):
    features, level = samples()
    folds = inner_folds(level, None, 0)
    left = folds.splits[-1][1]
    out_of_fold = HEADS[name].fit(features, level, changed(folds, splits=folds.splits[:-1])).out_of_fold
    assert np.isnan(out_of_fold[left]).all() and np.isnan(out_of_fold).sum() == len(left)


@ALL
@pytest.mark.parametrize("columns", [0, 1])
def test_what_is_said_of_a_fold_is_what_predict_would_say(name, columns, monkeypatch):
    """The head of the other folds, given the fold as a new table is given to it."""
    monkeypatch.setattr(ensemble, "ensemble_weights", lambda *arguments: (0.4, 0.3, 0.3))
    for module in (kernel, linear):
        monkeypatch.setattr(module, "RIDGE_ALPHAS", np.array([0.1]))
        monkeypatch.setattr(module, "COVARIATE_WEIGHTS", (2.0,))
    monkeypatch.setattr(kernel, "GAMMAS", (1.0,))
    communities, level = tiny.survey(N), level_of()
    covariates = np.random.default_rng(0).normal(size=(N, columns)).astype(np.float32) if columns else None
    # An ASV that one sample alone holds, which is new to the head of the other folds.
    communities.counts[:, 0] = 0
    communities.counts[7, 0] = 50
    communities.counts.eliminate_zeros()
    folds = inner_folds(level, None, 0)
    head, out_of_fold = HEADS[name].fit(fold_features(communities, folds, covariates), level, folds)
    landmarks = getattr(head, "kernel", head)
    if hasattr(landmarks, "typical"):
        # Typical distances alone are of all samples.
        monkeypatch.setattr(kernel, "typical_distances", lambda _: landmarks.typical)
    for train, test in folds.splits:
        mine, theirs = (None if covariates is None else covariates[rows] for rows in (train, test))
        part = features_of(communities.subset(train), mine)
        own = HEADS[name].fit(part, level[train], inner_folds(level[train], None, 0)).head
        outputs = own.outputs(new_features(communities.subset(test), own, theirs))
        assert np.allclose(outputs, out_of_fold[test], atol=1e-4)
