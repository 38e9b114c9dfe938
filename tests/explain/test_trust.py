"""Trust in an explanation: planted microbes carry the score, permuted labels carry nothing."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from q2_aam.encoder.encoder import Encoder
from q2_aam.explain import deletion, measure_trust
from q2_aam.explain import trust as module
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.simulation.survey import simulate_survey
from q2_aam.study.study import read_study
from q2_aam.study.tokenizer import reverse_complements

from ..tiny_predictors import few_trees

QUIET = Explaining(threads=1, foreign="ignore")


def planted(kind, permuted=False, samples=120, features=60):
    """A predictor of a target that two ASVs make, and its study."""
    rng = np.random.default_rng(1)
    survey = simulate_survey(40, 80, 60)
    names = list(survey.table.ids("observation"))[:features]
    held = rng.random((samples, len(names))) < 0.4
    held[:, 5] |= ~held.any(1)
    counts = np.where(held, rng.integers(20, 60, held.shape), 0)
    ids = [f"s{n}" for n in range(samples)]
    values = 2.0 * held[:, 0] - 2.0 * held[:, 1] + rng.normal(0, 0.3, samples)
    values = pd.Series(rng.permutation(values) if permuted else values, ids, name="y")
    if kind == "categorical":
        values = pd.Series(np.where(values > 0, "high", "low"), ids, name="y")
    groups = pd.Series([f"g{n // 4}" for n in range(samples)], ids, name="g")
    table = type(survey.table)(sp.csr_matrix(counts.T.astype(float)), names, ids)
    study = read_study(table, {name: survey.sequences[name] for name in names}, target=values, groups=groups)
    with few_trees():
        fitting = Fitting(threads=1, foreign="ignore", head="kernel")
        return Predictor.fit(Encoder.ready(), study, fitting), study, names


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_without_the_planted_microbes_nothing_is_left(kind):
    predictor, study, names = planted(kind)
    said = []
    trust = measure_trust(predictor, study, settings=QUIET, progress=said.append)
    assert said == [f"Fold {n} of 5: fitted to 96 samples, 24 explained." for n in range(1, 6)]
    scores = trust.deletion.set_index("removed")
    chance = 0 if kind == "numeric" else 0.5
    assert scores["top"][0] > chance + 0.15 and scores["top"][2] < chance + 0.2
    assert (scores["random_low"] <= scores["random"]).all() and (scores["random"] <= scores["random_high"]).all()
    assert scores["random_low"][2] > scores["top"][2] + 0.1
    assert (trust.importance.rank(ascending=False).loc[names[:2]] <= 3).all().all()
    assert list(scores.index) == [0, 1, 2, 5, 10, 20]


def test_permuted_labels_carry_nothing_and_nothing_is_stable():
    predictor, study, _ = planted("numeric", permuted=True)
    trust = measure_trust(predictor, study, settings=QUIET)
    scores = trust.deletion.set_index("removed")
    assert scores["top"][0] < 0.15 and abs(scores["top"][10] - scores["random"][10]) < 0.2
    # Names drawn at random would overlap by a third.
    assert abs(trust.overlap - trust.by_chance) < 0.15


def test_models_of_the_folds_know_nothing_of_what_they_explain(monkeypatch):
    predictor, study, _ = planted("numeric")
    fitted, explained = [], []
    fit, occlude = Predictor.fit.__func__, module.occlude

    def fit_and_note(cls, encoder, part, settings):
        fitted.append(set(part.communities.sample_ids))
        assert settings.head == "kernel", "that the predictor was fitted with"
        return fit(cls, encoder, part, settings)

    def occlude_and_note(one, part, *further):
        explained.append(set(part.communities.sample_ids))
        assert part.target is None
        return occlude(one, part, *further)

    monkeypatch.setattr(Predictor, "fit", classmethod(fit_and_note))
    monkeypatch.setattr(module, "occlude", occlude_and_note)
    measure_trust(predictor, study, settings=QUIET)
    group = study.groups
    # Of each fold also a model of permuted values.
    assert fitted[::2] == fitted[1::2]
    explained = explained[::2]
    for train, test in zip(fitted[::2], explained, strict=True):
        assert train | test == set(group.index) and not set(group[list(train)]) & set(group[list(test)])
    assert sorted(sum(map(list, explained), [])) == sorted(group.index)


def test_permuted_values_stay_in_their_fold():
    _, study, _ = planted("categorical")
    # Ten samples are in no fold.
    folds = [(np.arange(60, 120), np.arange(60)), (np.arange(60), np.arange(60, 110))]
    permuted = module.permuted_values(study, folds, 0)
    assert list(permuted.target.index) == list(study.target.index) and not permuted.target.equals(study.target)
    for test in (np.arange(60), np.arange(60, 110), np.arange(110, 120)):
        assert sorted(permuted.target.iloc[test]) == sorted(study.target.iloc[test])
        assert list(permuted.target.iloc[test]) != list(study.target.iloc[test])


def test_values_of_whole_groups_change_with_each_other():
    _, study, _ = planted("numeric")
    values = pd.Series(study.groups.map(lambda name: float(name[1:])).to_numpy(), study.target.index, name="y")
    study = module.replace(study, target=values)
    folds = [(np.arange(4, 120), np.arange(4)), (np.arange(4), np.arange(4, 120))]
    permuted = module.permuted_values(study, folds, 0).target
    assert (permuted.groupby(study.groups.to_numpy()).nunique() == 1).all()
    assert sorted(permuted) == sorted(values) and (permuted != values).mean() > 0.8
    constant = module.replace(study, target=pd.Series("x", values.index), groups=None)
    assert module.permuted_values(constant, folds, 0) is not None
    alone = [(np.arange(1, 120), np.arange(1)), *[(np.delete(np.arange(120), n), np.array([n])) for n in range(1, 120)]]
    assert module.permuted_values(module.replace(study, groups=None), alone, 0) is None


def test_what_was_mended_is_learnt_from_mended():
    """A model of sequences as they are; a table in which a third are turned round."""
    predictor, study, names = planted("numeric", samples=60)
    tokens = study.communities.tokens.copy()
    turned = np.arange(0, len(tokens), 3)
    tokens[turned] = reverse_complements(tokens[turned])
    communities = module.replace(study.communities, asv_of_feature=study.asv_of_feature).rewritten(tokens)
    strange = module.replace(study, communities=communities, asv_of_feature=communities.asv_of_feature)
    mend = Explaining(threads=1, foreign="mend")
    found = measure_trust(predictor, strange, settings=mend)
    expected = measure_trust(predictor, study, settings=QUIET)
    pd.testing.assert_frame_equal(found.importance.sort_index(), expected.importance.sort_index(), atol=1e-4)


def test_few_names_have_no_stability():
    predictor, study, _ = planted("numeric", features=15)
    trust = measure_trust(predictor, study, settings=QUIET)
    assert np.isnan(trust.overlap) and trust.to_dict()["stability"] == {"top": 20, "overlap": None, "by_chance": None}
    assert list(trust.deletion["removed"]) == [0, 1, 2, 5]


def test_random_ones_are_like_the_top_ones():
    places = pd.DataFrame({"prevalence": np.arange(50.0), "abundance": np.arange(50.0)})
    for seed in range(5):
        drawn = deletion._like(np.array([10, 40]), places, np.random.default_rng(seed))
        assert len(set(drawn)) == 2 and not set(drawn) & {10, 40}
        assert abs(drawn[0] - 10) <= 6 and abs(drawn[1] - 40) <= 6
