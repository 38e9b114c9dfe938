"""Linear models on log-ratios and boosted trees: they learn, by whole groups, and take hostile tables."""

import numpy as np
import pytest
import scipy.sparse as sp
from skbio.stats.composition import clr

from q2_aam.evaluation import forests, table_baselines
from q2_aam.evaluation.forests import common_columns
from q2_aam.evaluation.table_baselines import boosted_trees, centred_log_ratios, log_ratio_model

BOTH = pytest.mark.parametrize("method", [log_ratio_model, boosted_trees])


def table(n=80, seed=0):
    """Samples along a gradient, on which the first ten of twenty ASVs live at one end."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(-1, 1, n)
    fitness = np.exp(3 * level[:, None] * np.where(np.arange(20) < 10, 1, -1))
    return sp.csr_matrix(rng.poisson(20 * fitness / fitness.mean(1, keepdims=True))), level


def test_log_ratios_are_scikit_bios():
    counts = sp.csr_matrix(np.array([[1.0, 4, 2], [3, 3, 9]]))
    assert np.allclose(centred_log_ratios(counts), clr(counts.toarray()))
    # A 0 is half of the least; multiplied counts are the same; an empty sample is 0.
    with_zero = sp.csr_matrix(np.array([[2.0, 0, 8], [20, 0, 80], [0, 0, 0]]))
    found = centred_log_ratios(with_zero)
    assert np.allclose(found[0], clr(np.array([2.0, 1, 8]))) and np.allclose(found[0], found[1])
    assert (found[2] == 0).all()


def test_the_most_common_asvs_are_read(monkeypatch):
    monkeypatch.setattr(forests, "MAX_ASVS", 2)
    assert common_columns(sp.csr_matrix(np.array([[1, 0, 2, 3], [1, 0, 0, 1], [1, 0, 0, 0]]))).tolist() == [0, 3]
    monkeypatch.setattr(forests, "MAX_ASVS", 9)
    assert common_columns(sp.csr_matrix(np.array([[1, 0, 2, 3]]))).tolist() == [0, 2, 3]


@BOTH
def test_numbers_are_learnt(method):
    counts, level = table()
    predicted = method(counts[:60], level[:60], counts[60:], kind="numeric")
    assert predicted.dtype == np.float64 and np.corrcoef(predicted, level[60:])[0, 1] > 0.8


@BOTH
def test_a_rare_class_is_found(method):
    """Classes count alike: one of a tenth of the samples is named where it is."""
    counts, level = table(200)
    names = np.where(level > 0.8, "rare", "common").astype(object)
    predicted = method(counts[:150], names[:150], counts[150:], kind="categorical")
    assert set(predicted) <= {"rare", "common"} and (predicted == "rare")[names[150:] == "rare"].mean() > 0.6


@BOTH
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_one_sample_changes_nothing_about_another(method, kind):
    counts, level = table()
    target = level if kind == "numeric" else np.where(level > 0, "b", "a").astype(object)
    all_at_once = method(counts[:60], target[:60], counts[60:], kind=kind)
    alone = np.concatenate([method(counts[:60], target[:60], counts[row : row + 1], kind=kind) for row in (60, 70)])
    if kind == "numeric":
        assert alone == pytest.approx(all_at_once[[0, 10]], rel=1e-9)
    else:
        assert alone.tolist() == all_at_once[[0, 10]].tolist()


@BOTH
def test_tables_of_nothing_and_of_one_class_have_an_answer(method):
    counts, level = table(20)
    empty = sp.csr_matrix((20, 5))
    assert np.allclose(method(empty, level, empty[:2], kind="numeric"), level.mean())
    one = np.array(["a"] * 20, dtype=object)
    assert method(counts, one, counts[:2], kind="categorical").tolist() == ["a", "a"]
    lonely = np.array(["a"] * 19 + ["b"], dtype=object)
    assert len(method(counts, lonely, counts[:3], kind="categorical")) == 3
    assert len(method(counts[:2], level[:2], counts[:3], kind="numeric")) == 3


def test_the_penalty_is_chosen_by_whole_groups(monkeypatch):
    asked = []
    folds = table_baselines.grouped_folds
    watched = lambda *args, **given: asked.append(given) or folds(*args, **given)  # noqa: E731
    monkeypatch.setattr(table_baselines, "grouped_folds", watched)
    counts, level = table(40)
    groups = np.arange(40) // 4
    log_ratio_model(counts, level, counts[:1], kind="numeric", groups=groups, random_state=3)
    [given] = asked
    assert given["groups"] is groups and given["random_seed"] == 3
