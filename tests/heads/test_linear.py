import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from q2_aam.encoder.output_heads import TargetHead
from q2_aam.evaluation.search_arguments import ridge_alone
from q2_aam.heads import inner_folds
from q2_aam.heads.folds import inner_splits
from q2_aam.heads.linear import LOGISTIC_ALPHAS, RIDGE_ALPHAS, LinearHead, fit_linear
from tests.heads import made_up

pytestmark = pytest.mark.filterwarnings("error")


def samples(n=40, features=6, seed=0):
    """Embeddings on quite different scales, of which two features matter."""
    rng = np.random.default_rng(seed)
    scales = np.logspace(-0.5, 0.5, features)
    embedding = rng.normal(3, 1, (n, features)) * scales
    level = embedding[:, 0] / scales[0] + embedding[:, 5] / scales[5] + rng.normal(0, 0.3, n)
    return embedding.astype(np.float32), level.astype(np.float32)


def standardiser(embedding):
    """What the head does first, as scikit-learn's pipelines take it: a floor for the spread, and a limit."""
    spread = embedding.std(0)
    scale = np.sqrt(spread**2 + np.median(spread) ** 2)
    mean = embedding.mean(0)
    return FunctionTransformer(lambda x: np.clip((x - mean) / scale, -4, 4).astype(float))


def groups_of(n=40, size=5):
    return np.array([f"subject {i // size}" for i in range(n)], dtype=object)


def labels(level, classes):
    return np.digitize(level, np.quantile(level, np.arange(1, classes) / classes)).astype(np.int64)


def outputs(head, embedding, covariates=None):
    """Outputs of the network's target head that starts from a linear head."""
    network_head = TargetHead(embedding.shape[1], len(head.bias), head.n_covariates)
    parts = (head.mean, head.scale, head.weight, head.bias)
    network_head.start_from(*parts)
    with torch.no_grad():
        network_outputs = network_head(*(None if x is None else torch.from_numpy(x) for x in (embedding, covariates)))
    return network_outputs.numpy()


@pytest.mark.parametrize("groups", [None, groups_of()])
def test_a_numeric_head_and_the_head_it_starts_are_scikit_learns_pipeline(groups):
    embedding, level = samples()
    new, _ = samples(seed=1)
    splits = inner_splits(level, groups, 0, 5)
    ridge = RidgeCV(RIDGE_ALPHAS, cv=splits, scoring="neg_mean_squared_error")
    expected = make_pipeline(standardiser(embedding), ridge).fit(embedding, level.astype(float)).predict(new)
    head = fit_linear(embedding, level, groups, 0)
    assert head.weight.shape == (1, 6) and head.bias.shape == (1,)
    assert np.allclose(outputs(head, new)[:, 0], expected, atol=1e-4)
    assert np.corrcoef(expected, samples(seed=1)[1])[0, 1] > 0.9


@pytest.mark.parametrize("groups", [None, groups_of()])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_of_classes_and_the_head_it_starts_are_scikit_learns_pipeline(classes, groups):
    embedding, level = samples()
    new, _ = samples(seed=1)
    target = labels(level, classes)
    logistic = LogisticRegressionCV(
        Cs=1 / LOGISTIC_ALPHAS,
        cv=inner_splits(target, groups, 0, 5),
        class_weight="balanced",
        max_iter=1000,
        scoring="balanced_accuracy",
        **ridge_alone(LogisticRegressionCV),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        pipeline = make_pipeline(standardiser(embedding), logistic).fit(embedding, target)
    result = outputs(fit_linear(embedding, target, groups, 0), new)
    assert result.shape == (40, classes)
    assert np.allclose(torch.from_numpy(result).softmax(1).numpy(), pipeline.predict_proba(new), atol=1e-3)
    assert np.array_equal(result.argmax(1), pipeline.predict(new))
    assert np.mean(result.argmax(1) == labels(samples(seed=1)[1], classes)) > 0.5


def test_classes_of_unequal_size_count_alike():
    """Few of a class that overlaps with a large one: weighted, about half of its samples are still recognised."""
    rng = np.random.default_rng(0)
    target = np.repeat([0, 1], [180, 20]).astype(np.int64)
    embedding = (rng.normal(0, 1, (200, 1)) + target[:, None]).astype(np.float32)
    guessed = outputs(fit_linear(embedding, target, None, 0), embedding).argmax(1)
    assert np.mean(guessed[target == 1]) > 0.5


def test_a_feature_that_is_the_same_in_all_samples_is_left_out():
    embedding, level = samples()
    embedding[:, 2] = 0.7
    embedding[:, 3] = np.float32(1e5) + np.arange(40) % 2 * np.float32(1e-2)
    for target in (level, labels(level, 3)):
        head = fit_linear(embedding, target, None, 0)
        new = embedding.copy()
        new[:, 2] = 1e4
        assert np.allclose(outputs(head, new), outputs(head, embedding), atol=1e-5)


def test_a_lineage_that_training_samples_hardly_hold_cannot_drown_the_others_in_a_new_sample():
    embedding, level = samples()
    embedding[:, 2] = 1e-5 * np.random.default_rng(0).random(40).astype(np.float32)
    head = fit_linear(embedding, level, None, 0)
    new = embedding.copy()
    new[:, 2] = 1.0
    assert np.abs(outputs(head, new) - outputs(head, embedding)).max() < 0.1 * level.std()
    new[:, 0] = 1e6
    assert np.abs(outputs(head, new)).max() < 10 * np.abs(level).max()


def lineages(n, seed, features=512):
    """As many features as a sample embedding has, which go back to a few latent ones that tell `level`."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 12))
    mixed = latent @ np.random.default_rng(1).normal(size=(12, features)) / 3
    embedding = np.tanh(mixed + rng.normal(0, 0.5, mixed.shape)).astype(np.float32)
    return embedding, latent[:, :2].sum(1) / np.sqrt(2), rng


def r2(truth, result):
    return 1 - np.mean((truth - result) ** 2) / np.var(truth)


def with_covariates(target_of, n=40):
    """R2 on new samples of the head with covariates, and of a plain regression on the covariates alone."""
    embedding, level, rng = lineages(n + 400, 0)
    covariates, target = target_of(level, rng)
    train, new = slice(0, n), slice(n, None)
    head = fit_linear(embedding[train], target[train], None, 0, covariates[train])
    plain = LinearRegression().fit(covariates[train], target[train]).predict(covariates[new])
    return r2(target[new], outputs(head, embedding[new], covariates[new])[:, 0]), r2(target[new], plain)


def test_a_covariate_that_tells_the_target_is_not_drowned_among_lineages():
    def target_of(level, rng):
        age = rng.normal(size=(len(level), 1)).astype(np.float32)
        return age, (age[:, 0] + rng.normal(0, 0.3, len(level))).astype(np.float32)

    result, plain = with_covariates(target_of)
    assert result > plain - 0.03 > 0.85


def test_a_rare_category_that_tells_the_target_is_found():
    def target_of(level, rng):
        rare = rng.random(len(level)) < 0.06
        covariates = np.eye(2, dtype=np.float32)[rare.astype(int)]
        return covariates, (5 * rare + rng.normal(0, 0.3, len(level))).astype(np.float32)

    result, plain = with_covariates(target_of)
    assert result > plain - 0.05 > 0.85


def test_covariate_and_community_are_used_together():
    def target_of(level, rng):
        sex = rng.integers(0, 2, len(level))
        target = 2 * sex + level + rng.normal(0, 0.3, len(level))
        return np.eye(2, dtype=np.float32)[sex], target.astype(np.float32)

    result, plain = with_covariates(target_of, 100)
    assert result > 0.85 > plain + 0.2


def test_a_covariate_that_tells_nothing_does_little_harm():
    """30 categories by chance, one or two samples each: free of the penalty they would be learnt by heart."""

    def target_of(level, rng):
        return np.eye(30, dtype=np.float32)[rng.integers(0, 30, len(level))], level.astype(np.float32)

    assert with_covariates(target_of)[0] > 0.9


def test_classes_that_a_covariate_tells_are_found():
    embedding, _, rng = lineages(440, 0)
    age = rng.normal(size=(440, 1)).astype(np.float32)
    classes = np.digitize(age[:, 0], [-0.5, 0.5])
    head = fit_linear(embedding[:40], classes[:40], None, 0, age[:40])
    assert np.mean(outputs(head, embedding[40:], age[40:]).argmax(1) == classes[40:]) > 0.85
    # also where there is no split to choose by
    groups = classes[:40].astype(str)
    assert inner_splits(classes[:40], groups, 0, 5) == []
    head = fit_linear(embedding[:40], classes[:40], groups, 0, age[:40])
    assert np.mean(outputs(head, embedding[40:], age[40:]).argmax(1) == classes[40:]) > 0.8


def test_a_head_follows_from_its_seed():
    embedding, level = samples()
    first, again = (fit_linear(embedding, level, None, 3).to_tensors() for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)


EDGES = {
    "two samples": (None, 2, None),
    "a part of one sample": (None, 6, None),
    "groups of one sample": (None, 5, groups_of(5, 1)),
    "one group": (None, 40, np.repeat("a", 40)),
    "a group for each class": (np.repeat([0, 1], 20), 40, np.repeat(["a", "b"], 20)),
    "classes that are not in every group": (np.repeat([0, 1, 2, 1], 10), 40, groups_of(40, 10)),
    "a class of one sample": (np.array([0] * 39 + [1]), 40, None),
    "two classes of one sample": (np.array([0] * 38 + [1, 2]), 40, None),
    "a class of two samples": (np.array([0] * 38 + [1, 1]), 40, None),
}


@pytest.mark.parametrize("edge", EDGES)
def test_few_samples_of_a_class_or_a_group_are_no_error_and_no_warning(edge):
    target, n, groups = EDGES[edge]
    embedding, level = samples(n)
    head = fit_linear(embedding, level if target is None else target.astype(np.int64), groups, 0)
    assert all(np.isfinite(part).all() for part in (head.weight, head.bias))
    if target is None:
        assert np.abs(head.weight).max() > 0
    else:
        assert len(head.bias) == target.max() + 1


def test_without_a_split_to_choose_it_by_the_penalty_is_a_middling_one():
    target = np.repeat([0, 1], 20).astype(np.int64)
    embedding, _ = samples()
    logistic = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    expected = make_pipeline(standardiser(embedding), logistic).fit(embedding, target).predict_proba(embedding)
    result = outputs(fit_linear(embedding, target, np.repeat(["a", "b"], 20), 0), embedding)
    assert np.allclose(torch.from_numpy(result).softmax(1).numpy(), expected, atol=1e-3)


def covariates_of(n=made_up.N):
    return np.random.default_rng(2).normal(size=(n, 2)).astype(np.float32)


@pytest.mark.parametrize("classes", [None, 2, 3])
@pytest.mark.parametrize("covariates", [None, covariates_of()])
def test_its_outputs_are_those_of_the_network_that_starts_from_it(classes, covariates):
    features, level = made_up.samples(covariates)
    target = level if classes is None else labels(level, classes)
    head = LinearHead.fit(features, target, inner_folds(target, None, 0)).head
    assert head.outputs(features).dtype == np.float32
    assert np.allclose(head.outputs(features), outputs(head, features.embedding, covariates), atol=1e-5)


@pytest.mark.parametrize("groups", [None, groups_of()])
@pytest.mark.parametrize("classes", [None, 3])
def test_out_of_fold_predictions_are_scikit_learns_pipeline_without_the_fold(classes, groups):
    features, level = made_up.samples()
    target = level if classes is None else labels(level, classes)
    folds = inner_folds(target, groups, 0)
    head, out_of_fold = LinearHead.fit(features, target, folds)
    alone = fit_linear(features.embedding, target, groups, 0)
    assert np.array_equal(head.weight, alone.weight) and head.alpha == alone.alpha
    for train, test in folds.splits:
        embedding, new = features.embedding[train], features.embedding[test]
        if classes is None:
            model = Ridge(head.alpha)
        else:
            model = LogisticRegression(C=1 / head.alpha, class_weight="balanced", max_iter=1000)
        pipeline = make_pipeline(standardiser(embedding), model).fit(embedding, target[train])
        if classes is None:
            assert np.allclose(out_of_fold[test, 0], pipeline.predict(new), atol=1e-5)
        else:
            expected = pipeline.predict_proba(new)
            assert np.allclose(torch.from_numpy(out_of_fold[test]).softmax(1).numpy(), expected, atol=1e-3)


def test_it_says_what_was_chosen():
    features, level = made_up.samples(covariates_of())
    head = LinearHead.fit(features, level, inner_folds(level, None, 0)).head
    assert head.describe() == (
        "Linear head: a weighted sum of the 16 numbers of the sample embedding and 2 covariates (alpha "
        f"{head.alpha:g}, covariate weight {head.covariate_weight:g})."
    )
    tuned = LinearHead(head.mean, head.scale, head.weight[:, :16], head.bias)
    assert tuned.describe() == "Linear head: a weighted sum of the 16 numbers of the sample embedding."
    assert tuned.landmarks is None and tuned.known_asvs is None


@pytest.mark.parametrize("tuned", [False, True])
def test_a_stored_head_predicts_the_same(tuned):
    features, level = made_up.samples(covariates_of())
    head = LinearHead.fit(features, level, inner_folds(level, None, 0)).head
    if tuned:
        head = LinearHead(*(part.astype(np.float32) for part in (head.mean, head.scale, head.weight, head.bias)))
    again = LinearHead.from_tensors(head.to_tensors())
    assert np.array_equal(again.outputs(features), head.outputs(features)) and again.describe() == head.describe()


def test_samples_of_another_encoder_are_refused():
    features, level = made_up.samples()
    head = fit_linear(features.embedding[:, :-1], level, None, 0)
    with pytest.raises(ValueError, match="reads embeddings of 15 numbers, but these samples have 16"):
        head.outputs(features)


def test_parts_that_do_not_fit_are_refused():
    features, level = made_up.samples()
    tensors = fit_linear(features.embedding, level, None, 0).to_tensors()
    LinearHead.from_tensors(tensors)
    for wrong in (
        {"mean": np.zeros(15)},
        {"mean": np.full(16, np.nan)},
        {"mean": np.zeros(0), "scale": np.zeros(0), "weight": np.zeros((1, 0))},
        {"scale": np.zeros(16)},
        {"scale": np.arange(16)},
        {"weight": np.zeros((1, 15))},
        {"weight": np.zeros((2, 16))},
        {"weight": np.zeros(16)},
        {"weight": np.zeros((0, 16)), "bias": np.zeros(0)},
        {"bias": np.full(1, np.inf)},
        {"alpha": np.array(-1.0)},
        {"more": np.zeros(1)},
    ):
        with pytest.raises(ValueError, match="stored (linear )?head"):
            LinearHead.from_tensors({**tensors, **wrong})
    for name in ("mean", "scale", "weight", "bias"):
        with pytest.raises(KeyError):
            LinearHead.from_tensors({other: part for other, part in tensors.items() if other != name})
        with pytest.raises(TypeError):
            LinearHead.from_tensors({**tensors, name: [1.0]})
