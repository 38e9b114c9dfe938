import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from q2_aam.encoder.output_heads import TargetHead
from q2_aam.heads.linear import LOGISTIC_INVERSE_PENALTIES, RIDGE_PENALTIES, fit_probe, inner_splits

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


def outputs(probe, embedding, condition=None):
    """What a target head that starts from the probe says."""
    head = TargetHead(embedding.shape[1], len(probe.bias), probe.weight.shape[1] - embedding.shape[1])
    head.start_from(*(torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in probe))
    with torch.no_grad():
        return head(torch.from_numpy(embedding), None if condition is None else torch.from_numpy(condition)).numpy()


@pytest.mark.parametrize("groups", [None, groups_of()])
def test_a_numeric_probe_and_the_head_it_starts_are_scikit_learns_pipeline(groups):
    embedding, level = samples()
    new, _ = samples(seed=1)
    splits = inner_splits(None, 40, groups, 0)
    ridge = RidgeCV(RIDGE_PENALTIES, cv=splits, scoring="neg_mean_squared_error")
    expected = make_pipeline(standardiser(embedding), ridge).fit(embedding, level.astype(float)).predict(new)
    probe = fit_probe(embedding, level, groups, 0)
    assert probe.weight.shape == (1, 6) and probe.bias.shape == (1,)
    assert np.allclose(outputs(probe, new)[:, 0], expected, atol=1e-4)
    assert np.corrcoef(expected, samples(seed=1)[1])[0, 1] > 0.9


@pytest.mark.parametrize("groups", [None, groups_of()])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_of_classes_and_the_head_it_starts_are_scikit_learns_pipeline(classes, groups):
    embedding, level = samples()
    new, _ = samples(seed=1)
    target = labels(level, classes)
    logistic = LogisticRegressionCV(
        Cs=LOGISTIC_INVERSE_PENALTIES,
        cv=inner_splits(target, 40, groups, 0),
        class_weight="balanced",
        max_iter=1000,
        scoring="balanced_accuracy",
    )
    pipeline = make_pipeline(standardiser(embedding), logistic).fit(embedding, target)
    found = outputs(fit_probe(embedding, target, groups, 0), new)
    assert found.shape == (40, classes)
    assert np.allclose(torch.from_numpy(found).softmax(1).numpy(), pipeline.predict_proba(new), atol=1e-3)
    assert np.array_equal(found.argmax(1), pipeline.predict(new))
    assert np.mean(found.argmax(1) == labels(samples(seed=1)[1], classes)) > 0.5


def test_classes_of_unequal_size_count_alike():
    """Few of a class that overlaps with a large one: weighted, about half of its samples are still recognised."""
    rng = np.random.default_rng(0)
    target = np.repeat([0, 1], [180, 20]).astype(np.int64)
    embedding = (rng.normal(0, 1, (200, 1)) + target[:, None]).astype(np.float32)
    guessed = outputs(fit_probe(embedding, target, None, 0), embedding).argmax(1)
    assert np.mean(guessed[target == 1]) > 0.5


def test_a_feature_that_is_the_same_in_all_samples_is_left_out():
    embedding, level = samples()
    embedding[:, 2] = 0.7
    embedding[:, 3] = np.float32(1e5) + np.arange(40) % 2 * np.float32(1e-2)
    for target in (level, labels(level, 3)):
        probe = fit_probe(embedding, target, None, 0)
        new = embedding.copy()
        new[:, 2] = 1e4
        assert np.allclose(outputs(probe, new), outputs(probe, embedding), atol=1e-5)


def test_a_lineage_that_training_samples_hardly_hold_cannot_drown_the_others_in_a_new_sample():
    embedding, level = samples()
    embedding[:, 2] = 1e-5 * np.random.default_rng(0).random(40).astype(np.float32)
    probe = fit_probe(embedding, level, None, 0)
    new = embedding.copy()
    new[:, 2] = 1.0
    assert np.abs(outputs(probe, new) - outputs(probe, embedding)).max() < 0.1 * level.std()
    new[:, 0] = 1e6
    assert np.abs(outputs(probe, new)).max() < 10 * np.abs(level).max()


def lineages(n, seed, features=512):
    """As many features as a sample embedding has, which go back to a few latent ones that tell `level`."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 12))
    mixed = latent @ np.random.default_rng(1).normal(size=(12, features)) / 3
    embedding = np.tanh(mixed + rng.normal(0, 0.5, mixed.shape)).astype(np.float32)
    return embedding, latent[:, :2].sum(1) / np.sqrt(2), rng


def r2(truth, found):
    return 1 - np.mean((truth - found) ** 2) / np.var(truth)


def with_condition(target_of, n=40):
    """R2 on new samples of the probe with the condition, and of a plain regression on the condition alone."""
    embedding, level, rng = lineages(n + 400, 0)
    condition, target = target_of(level, rng)
    train, new = slice(0, n), slice(n, None)
    probe = fit_probe(embedding[train], target[train], None, 0, condition[train])
    plain = LinearRegression().fit(condition[train], target[train]).predict(condition[new])
    return r2(target[new], outputs(probe, embedding[new], condition[new])[:, 0]), r2(target[new], plain)


def test_a_condition_that_tells_the_target_is_not_drowned_among_lineages():
    def target_of(level, rng):
        age = rng.normal(size=(len(level), 1)).astype(np.float32)
        return age, (age[:, 0] + rng.normal(0, 0.3, len(level))).astype(np.float32)

    found, plain = with_condition(target_of)
    assert found > plain - 0.03 > 0.85


def test_a_rare_category_that_tells_the_target_is_found():
    def target_of(level, rng):
        rare = rng.random(len(level)) < 0.06
        condition = np.eye(2, dtype=np.float32)[rare.astype(int)]
        return condition, (5 * rare + rng.normal(0, 0.3, len(level))).astype(np.float32)

    found, plain = with_condition(target_of)
    assert found > plain - 0.05 > 0.85


def test_condition_and_community_are_used_together():
    def target_of(level, rng):
        sex = rng.integers(0, 2, len(level))
        target = 2 * sex + level + rng.normal(0, 0.3, len(level))
        return np.eye(2, dtype=np.float32)[sex], target.astype(np.float32)

    found, plain = with_condition(target_of, 100)
    assert found > 0.85 > plain + 0.2


def test_a_condition_that_tells_nothing_does_little_harm():
    """30 categories by chance, one or two samples each: free of the penalty they would be learnt by heart."""

    def target_of(level, rng):
        return np.eye(30, dtype=np.float32)[rng.integers(0, 30, len(level))], level.astype(np.float32)

    assert with_condition(target_of)[0] > 0.9


def test_classes_that_a_condition_tells_are_found():
    embedding, _, rng = lineages(440, 0)
    age = rng.normal(size=(440, 1)).astype(np.float32)
    classes = np.digitize(age[:, 0], [-0.5, 0.5])
    probe = fit_probe(embedding[:40], classes[:40], None, 0, age[:40])
    assert np.mean(outputs(probe, embedding[40:], age[40:]).argmax(1) == classes[40:]) > 0.85
    # also where there is no split to choose by
    groups = classes[:40].astype(str)
    assert inner_splits(classes[:40], 40, groups, 0) == []
    probe = fit_probe(embedding[:40], classes[:40], groups, 0, age[:40])
    assert np.mean(outputs(probe, embedding[40:], age[40:]).argmax(1) == classes[40:]) > 0.8


def test_a_probe_follows_from_its_seed():
    embedding, level = samples()
    first, again = (fit_probe(embedding, level, None, 3) for _ in range(2))
    assert all(np.array_equal(*parts) for parts in zip(first, again, strict=True))
    assert not np.array_equal(inner_splits(None, 40, None, 3)[0][1], inner_splits(None, 40, None, 4)[0][1])


@pytest.mark.parametrize("classes", [None, 3])
def test_inner_splits_keep_groups_together(classes):
    _, level = samples()
    groups = groups_of()
    splits = inner_splits(None if classes is None else labels(level, classes), 40, groups, 0)
    assert len(splits) == 5
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(40))


def test_inner_splits_are_stratified_and_every_training_part_has_every_class():
    target = np.array([0] * 30 + [1] * 8 + [2] * 2)
    for train, test in inner_splits(target, 40, None, 0):
        assert set(target[train]) == {0, 1, 2}
        assert np.bincount(target[test], minlength=3).tolist() == [15, 4, 1]


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
    probe = fit_probe(embedding, level if target is None else target.astype(np.int64), groups, 0)
    assert all(np.isfinite(part).all() for part in probe)
    if target is None:
        assert np.abs(probe.weight).max() > 0
    else:
        assert len(probe.bias) == target.max() + 1


def test_without_a_split_to_choose_it_by_the_penalty_is_a_middling_one():
    target = np.repeat([0, 1], 20).astype(np.int64)
    embedding, _ = samples()
    logistic = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    expected = make_pipeline(standardiser(embedding), logistic).fit(embedding, target).predict_proba(embedding)
    found = outputs(fit_probe(embedding, target, np.repeat(["a", "b"], 20), 0), embedding)
    assert np.allclose(torch.from_numpy(found).softmax(1).numpy(), expected, atol=1e-3)
