"""Occlusion: what leaves a sample, against predictions of tables without it; planted microbes are found."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from q2_aam.encoder.encoder import Encoder
from q2_aam.explain import groups_at, occlude
from q2_aam.explain import occlusion as module
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.simulation.survey import simulate_survey
from q2_aam.study.study import read_study

from ..tiny_predictors import few_trees

QUIET = Explaining(threads=1, foreign="ignore")


@pytest.fixture(scope="module")
def survey():
    return simulate_survey(40, 60, 60)


def read(survey, table=None, **options):
    return read_study(survey.table if table is None else table, survey.sequences, **options)


@pytest.fixture(scope="module")
def fitted(survey):
    """Predictors of samples 10 to 39, of numbers and of classes, the first with a covariate."""
    new = set(survey.table.ids()[:10])
    table = survey.table.filter(set(survey.table.ids()) - new, inplace=False)
    # Eight ASVs will be new.
    table = table.filter(set(table.ids("observation")[8:]), axis="observation", inplace=False).remove_empty()
    frame, fitting = survey.metadata.assign(depth=np.arange(40.0)), Fitting(threads=1, foreign="ignore")
    with few_trees():
        return {
            target: Predictor.fit(
                Encoder.ready(), read(survey, table, metadata=frame, target=target, covariates=covariates), fitting
            )
            for target, covariates in (("ph", ["depth"]), ("habitat", None))
        }


def samples_to_explain(survey, predictor):
    """Ten samples that were not learnt from, some with ASVs that are new."""
    table = survey.table.filter(set(survey.table.ids()[:10]), inplace=False).remove_empty()
    frame = survey.metadata.assign(depth=np.arange(40.0))
    covariates = None if predictor.covariates is None else ["depth"]
    return table, frame, read(survey, table, metadata=frame if covariates else None, covariates=covariates)


def predicted(survey, predictor, table, frame):
    covariates = None if predictor.covariates is None else ["depth"]
    study = read(survey, table, metadata=frame if covariates else None, covariates=covariates)
    found = predictor.predict(study, QUIET)
    return found.values.to_frame() if predictor.target.kind == "numeric" else found.certainty


@pytest.mark.parametrize("target", ["ph", "habitat"])
def test_changes_are_those_of_predictions_of_a_table_without_it(survey, fitted, target):
    predictor = fitted[target]
    table, frame, study = samples_to_explain(survey, predictor)
    assert (~np.isin(study.communities.hashes, predictor.head.known_asvs)).any(), "or nothing is new"
    effects = occlude(predictor, study, settings=QUIET)
    whole = predicted(survey, predictor, table, frame)
    np.testing.assert_allclose(effects.predictions.to_numpy(), whole.to_numpy(), rtol=1e-5, atol=1e-5)
    features = list(table.ids("observation"))
    for place in np.random.default_rng(0).permutation(len(effects.left))[:12]:
        sample, feature = table.ids()[effects.sample[place]], effects.names[effects.left[place]]
        data = table.matrix_data.toarray()
        data[features.index(feature), list(table.ids()).index(sample)] = 0
        without = type(table)(data, features, table.ids()).remove_empty("observation", inplace=False)
        expected = whole.loc[sample] - predicted(survey, predictor, without, frame).loc[sample]
        np.testing.assert_allclose(effects.change[place], expected.to_numpy(dtype=float), atol=2e-5)
    held = {(s, f) for f, s in zip(*table.matrix_data.nonzero(), strict=True)}
    found = {(s, features.index(effects.names[n])) for s, n in zip(effects.sample, effects.left, strict=True)}
    assert found == held


def test_a_group_leaves_as_one(survey, fitted):
    predictor = fitted["ph"]
    table, frame, study = samples_to_explain(survey, predictor)
    features = table.ids("observation")
    groups = pd.Series(["odd" if n % 2 else "even" for n in range(len(features))], features)
    groups.iloc[:4] = None
    effects = occlude(predictor, study, groups, QUIET)
    assert sorted(effects.names) == ["even", "odd"] and len(effects.left) == 20
    whole = predicted(survey, predictor, table, frame)
    for name in ("even", "odd"):
        gone = set(groups.index[groups == name])
        without = table.filter(set(features) - gone, axis="observation", inplace=False)
        expected = whole["prediction"] - predicted(survey, predictor, without, frame)["prediction"]
        found = effects.change[effects.names[effects.left] == name, 0]
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_table_sums_up_what_changes(survey, fitted):
    effects = occlude(fitted["ph"], samples_to_explain(survey, fitted["ph"])[2], settings=QUIET)
    table, wide = effects.table(), effects.by_sample()
    assert list(table.columns) == ["importance", "effect", "samples"]
    assert table["importance"].is_monotonic_decreasing
    assert list(wide) == ["prediction", *table.index]
    np.testing.assert_allclose(wide["prediction"], effects.predictions["prediction"])
    changes = wide.drop(columns="prediction")
    np.testing.assert_allclose(table["importance"], changes.abs().mean(), rtol=1e-6)
    np.testing.assert_allclose(table["effect"] * table["samples"], changes.sum(), atol=1e-9)

    effects = occlude(fitted["habitat"], samples_to_explain(survey, fitted["habitat"])[2], settings=QUIET)
    table, wide = effects.table(), effects.by_sample()
    classes = fitted["habitat"].target.classes
    assert list(table.columns) == ["importance", *(f"effect_{name}" for name in classes), "samples"]
    np.testing.assert_allclose(table[[f"effect_{name}" for name in classes]].sum(1), 0, atol=1e-9)
    np.testing.assert_allclose(wide["prediction"], effects.predictions.max(axis=1))
    likeliest = effects.predictions.to_numpy().argmax(1)
    expected = effects.change[np.arange(len(effects.sample)), likeliest[effects.sample]]
    np.testing.assert_allclose(wide.to_numpy()[effects.sample, [wide.columns.get_loc(effects.names[n])
                               for n in effects.left]], expected)  # fmt: skip


def test_batches_and_the_order_of_samples_change_nothing(survey, fitted, monkeypatch):
    predictor = fitted["ph"]
    study = samples_to_explain(survey, predictor)[2]
    whole = occlude(predictor, study, settings=QUIET).by_sample()
    monkeypatch.setattr(module, "READ_AT_ONCE", 500)
    back = occlude(predictor, study.subset(np.arange(len(study))[::-1]), settings=QUIET).by_sample()
    pd.testing.assert_frame_equal(back.loc[whole.index, whole.columns], whole, atol=2e-5)


def test_of_many_samples_a_random_part_is_explained(survey, fitted):
    predictor, said = fitted["habitat"], []
    study = read(survey)
    part = [
        occlude(predictor, study, settings=Explaining(threads=1, foreign="ignore", most_read=20_000, random_seed=seed),
                progress=said.append)
        for seed in (0, 0, 1)
    ]  # fmt: skip
    chosen = [list(effects.predictions.index) for effects in part]
    assert chosen[0] == chosen[1] != chosen[2] and 10 <= len(chosen[0]) < 40
    assert said[0] == (
        f"Explaining {len(chosen[0])} of 40 samples: each of 59 ASVs leaves each sample that holds it, and 0.0 million "
        "ASVs are read."
    )
    assert said[-1] == "100% done."
    fewest = occlude(predictor, study, settings=Explaining(threads=1, foreign="ignore", most_read=1))
    assert len(fewest.predictions) == 10


def test_what_is_alone_in_its_sample_cannot_leave(survey, fitted):
    predictor = fitted["habitat"]
    table = survey.table.filter(set(survey.table.ids()[:3]), inplace=False)
    counts = table.matrix_data.toarray()
    counts[:, 0] = 0
    counts[5, 0] = 9
    study = read(survey, type(table)(counts, table.ids("observation"), table.ids()).remove_empty())
    effects = occlude(predictor, study, settings=QUIET)
    assert effects.alone == 1 and 0 not in effects.sample and len(effects.by_sample()) == 3
    everything = pd.Series("all", index=survey.table.ids("observation"))
    with pytest.raises(ValueError, match="None of the 3 samples holds two different groups: nothing can leave"):
        occlude(predictor, study, everything, QUIET)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_planted_microbes_are_found_with_their_direction(kind):
    """Two ASVs make the target; one that comes with the first of them, and the many others, do nothing."""
    rng = np.random.default_rng(3)
    survey = simulate_survey(40, 60, 150)
    features = list(survey.table.ids("observation"))[:50]
    held = rng.random((150, 50)) < 0.4
    # A twin that comes with the first in nine of ten samples.
    held[:, 2] = np.where(rng.random(150) < 0.9, held[:, 0], ~held[:, 0])
    held[~held.any(1), 10] = True
    counts = np.where(held, rng.integers(20, 60, held.shape), 0)
    signal = 2.0 * held[:, 0] - 2.0 * held[:, 1]
    ids = [f"s{n}" for n in range(150)]
    values = pd.Series(signal + rng.normal(0, 0.3, 150), ids, name="y")
    if kind == "categorical":
        values = pd.Series(np.where(values > 0.5, "high", "low"), ids, name="y")
    table = type(survey.table)(sp.csr_matrix(counts.T.astype(float)), features, ids)
    sequences = {name: survey.sequences[name] for name in features}
    study = read_study(table, sequences, target=values)
    predictor = Predictor.fit(Encoder.ready(), study, Fitting(threads=1, foreign="ignore"))
    found = occlude(predictor, study, settings=QUIET).table()
    effect = "effect" if kind == "numeric" else "effect_high"
    assert set(found.index[:2]) == set(features[:2])
    assert found[effect][features[0]] > 0 > found[effect][features[1]]
    assert found["importance"][features[2]] < 0.7 * found["importance"][features[0]]
    assert found["importance"].iloc[3:].max() < 0.4 * found["importance"].iloc[1]


def test_ranks_of_a_taxonomy():
    taxa = pd.Series({"a": "k__B; p__F;c__C", "b": "k__B", "c": None, "d": "k__B;p__F; c__D"})
    assert groups_at(taxa, 2).to_dict() == {"a": "k__B; p__F", "b": "k__B", "d": "k__B; p__F"}
    assert groups_at(pd.Series({"a": "; x", "b": " "}), 1).empty
    assert groups_at(taxa, 7)["d"] == "k__B; p__F; c__D"
