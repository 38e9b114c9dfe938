"""Fine-tuning from Python: it starts as the linear head, and learns from its training part alone."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from q2_aam import fine_tuning
from q2_aam.encoder.encoder import Encoder
from q2_aam.fine_tuning import fine_tune, split
from q2_aam.heads.folds import inner_folds
from q2_aam.heads.linear import LinearHead
from q2_aam.predictor import features_of
from q2_aam.settings import (
    Architecture,
    FineTuning,
    FineTuningOptimization,
    Optimization,
    Runtime,
    Sampling,
    TargetObjective,
    Training,
)
from q2_aam.simulation.study import simulate_study

RUNTIME = Runtime(precision="32", device="cpu", threads=1)
STUDY = {"n_samples": 40, "with_phylogeny": True}


def settings(epochs=1, learning_rate=1e-12, objective=None, runtime=RUNTIME, sampling=None, **changes) -> FineTuning:
    """Of a run that changes next to nothing."""
    return FineTuning(
        FineTuningOptimization(epochs=epochs, learning_rate=learning_rate),
        objective or TargetObjective(),
        sampling or Sampling(validation_share=0.25),
        runtime,
        **changes,
    )


@pytest.fixture(scope="module")
def numeric():
    return simulate_study(**STUDY, target="ph", groups="site")


@pytest.fixture(scope="module")
def categorical():
    return simulate_study(**STUDY, target="habitat", groups="site", covariates=["ph"])


@pytest.fixture(scope="module")
def encoder(numeric):
    sizes = Architecture(dim=16, heads=2, lineages=16)
    return Encoder.pretrain(numeric, Training(Optimization(epochs=2), runtime=RUNTIME), architecture=sizes)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_it_starts_as_the_linear_head_of_the_training_samples(kind, encoder, tmp_path, request):
    """By whole groups in its inner folds, with covariates where there are some."""
    study = request.getfixturevalue(kind)
    predictor, _ = fine_tune(encoder, study, settings(), directory=tmp_path)
    train_rows, validation_rows = split(study, settings())
    train, validation = study.subset(train_rows), study.subset(validation_rows)
    encoded = predictor.target.encode(train.target)
    reading = fine_tuning.embedding_settings(settings())
    features, new = (
        features_of(encoder, part, predictor.covariates, part.communities.counts, reading)
        for part in (train, validation)
    )
    head = LinearHead.fit(features, encoded, inner_folds(encoded, train.groups.to_numpy(), 0), random_seed=0).head
    # What is kept has hardly moved from there.
    np.testing.assert_allclose(predictor.head.outputs(new), head.outputs(new), rtol=1e-3, atol=1e-3)
    names = list(predictor.out_of_fold.values.index)
    assert names == list(validation.communities.sample_ids)


def test_the_target_is_encoded_by_the_training_part_alone(numeric, encoder, tmp_path):
    predictor, _ = fine_tune(encoder, numeric, settings(), directory=tmp_path)
    train_rows, _ = split(numeric, settings())
    training = numeric.target.iloc[train_rows]
    assert predictor.target.location == pytest.approx(training.mean(), rel=1e-12)
    assert predictor.target.scale == pytest.approx(training.std(ddof=0), rel=1e-12)


def test_classes_of_unequal_size_are_weighted_by_the_training_part(categorical, encoder, tmp_path):
    predictor, _ = fine_tune(encoder, categorical, settings(), directory=tmp_path)
    train_rows, _ = split(categorical, settings())
    training = categorical.target.iloc[train_rows]
    target = predictor.target
    for name, weight in zip(target.classes, target.class_weights, strict=True):
        assert weight == pytest.approx(len(training) / len(target.classes) / (training == name).sum())


def test_covariates_are_standardised_by_the_training_part(categorical, encoder, tmp_path):
    predictor, _ = fine_tune(encoder, categorical, settings(), directory=tmp_path)
    train_rows, _ = split(categorical, settings())
    [column] = predictor.description.covariates["columns"]
    assert column["location"] == pytest.approx(categorical.covariates["ph"].iloc[train_rows].mean())


def test_a_category_that_only_validation_samples_hold_is_read(categorical, encoder, tmp_path):
    _, validation_rows = split(categorical, settings())
    kit = pd.Series("a", index=categorical.covariates.index, dtype=object)
    kit.iloc[validation_rows[0]] = "b"
    frame = categorical.covariates.assign(kit=kit)
    study = replace(categorical, covariates=frame, all_covariates=frame)
    predictor, _ = fine_tune(encoder, study, settings(), directory=tmp_path)
    column = predictor.covariates.columns[-1]
    assert column.categories == ["a"] and column.unlearnt == ["b"]
    assert kit.index[validation_rows[0]] in predictor.out_of_fold.values.index
    assert "Covariate 'kit' is the same in all training samples" in " ".join(predictor.out_of_fold.cautions)


def test_a_predictor_that_was_saved_predicts_the_same(categorical, encoder, tmp_path):
    predictor, _ = fine_tune(encoder, categorical, settings(2, 1e-3), directory=tmp_path / "run")
    predictor.save(tmp_path / "model")
    loaded = type(predictor).load(tmp_path / "model")
    first, second = predictor.predict(categorical), loaded.predict(categorical)
    pd.testing.assert_series_equal(first.values, second.values)
    pd.testing.assert_frame_equal(first.certainty, second.certainty)
    # What was known of the encoder stays with it, whatever its weights are now.
    assert loaded.encoder.description.settings == encoder.description.settings
    assert np.array_equal(loaded.encoder.seen_asvs, encoder.seen_asvs)


def test_the_same_seed_gives_identical_predictions(numeric, encoder, tmp_path):
    outputs = []
    for name in ("first", "again"):
        predictor, _ = fine_tune(encoder, numeric, settings(2, 1e-3), directory=tmp_path / name)
        predictor.save(tmp_path / f"{name} model")
        outputs.append((predictor.predict(numeric), (tmp_path / f"{name} model" / "best_model.pt").read_bytes()))
    pd.testing.assert_series_equal(outputs[0][0].values, outputs[1][0].values, check_exact=True)
    pd.testing.assert_frame_equal(outputs[0][0].certainty, outputs[1][0].certainty, check_exact=True)
    assert outputs[0][1] == outputs[1][1]


def test_the_encoder_given_stays_as_it_was(numeric, encoder, tmp_path):
    before = encoder.digest()
    predictor, result = fine_tune(
        encoder, numeric, replace(settings(4, 1e-3), metric="unweighted"), directory=tmp_path
    )
    assert encoder.digest() == before
    assert (predictor.encoder.digest() == before) == (result.best_epoch == 0)


def test_settings_that_are_on_no_command_line_are_heeded(numeric, encoder, tmp_path):
    """Which ASVs are read, and masked nucleotides as a further loss."""
    def loss(name, **changes):
        history = fine_tune(encoder, numeric, settings(**changes), directory=tmp_path / name).result.directory
        return pd.read_csv(history / "history.tsv", sep="\t", index_col="epoch").loc[1]

    limits = {"validation_share": 0.25, "token_limit": 5}
    abundant = loss("abundant", sampling=Sampling(**limits))
    chosen = loss("random", sampling=Sampling(**limits, token_choice="random"))
    assert abundant["train/target_loss"] != chosen["train/target_loss"]
    assert abundant["val/target_loss"] == pytest.approx(chosen["val/target_loss"], rel=1e-3)
    masked = loss("masked", objective=TargetObjective(nucleotide_weight=0.1))
    assert "val/nucleotide_loss" in masked and "val/nucleotide_loss" not in abundant


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_a_study_without_target_is_refused(encoder, tmp_path):
    objective = TargetObjective(nucleotide_weight=1.0)
    for options in ({}, {"objective": objective}):
        with refused("The study has no target. Read it with the metadata column to predict."):
            fine_tune(encoder, simulate_study(n_samples=12), settings(**options), directory=tmp_path)


def test_a_study_of_longer_sequences_is_refused(encoder, tmp_path):
    cut = simulate_study(n_samples=12, length=50, with_phylogeny=True)
    sizes = Architecture(dim=16, heads=2, lineages=16, max_length=50)
    short = Encoder.pretrain(cut, Training(Optimization(epochs=1), runtime=RUNTIME), architecture=sizes)
    with pytest.raises(ValueError, match="^The study has sequences of 60 nucleotides, but the encoder reads 50. "):
        fine_tune(short, simulate_study(n_samples=12, target="ph"), settings(), directory=tmp_path)


def test_a_class_that_is_whole_groups_is_refused(encoder, tmp_path):
    study = simulate_study(**STUDY, target="site", groups="site")
    with pytest.raises(ValueError, match=r"^No sample is left to learn these classes of column 'site' from: site-"):
        fine_tune(encoder, study, settings(), directory=tmp_path)


def test_a_class_of_one_sample_is_learnt_from(encoder, tmp_path):
    study = simulate_study(**STUDY, target="habitat")
    values = study.target.copy()
    values.iloc[3] = "desert"
    study = replace(study, target=values)
    for seed in range(3):
        runtime = replace(RUNTIME, random_seed=seed)
        train_rows, _ = split(study, settings(runtime=runtime))
        assert 3 in train_rows
