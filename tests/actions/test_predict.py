"""`predict` called as QIIME 2 calls it: what may not change a prediction, what may, and novelty by hand."""

import hashlib

import biom
import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions.predict import predict

from .small import run_fit, run_predict, told

TOLERANCE = 1e-5


def fasta(sequences, path):
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    return DNAFASTAFormat(str(path), "r")


def renamed(table, new_id):
    ids = {name: new_id(name) for name in table.ids("observation")}
    return table.update_ids(ids, axis="observation", inplace=False)


def shuffled(table, seed=0):
    rng = np.random.default_rng(seed)
    for axis in ("sample", "observation"):
        table = table.sort_order(rng.permutation(table.ids(axis)), axis=axis)
    return table


def assert_same(outputs, others):
    """Predictions, certainty and novelty of the same samples, whatever their order."""
    for ours, theirs in zip(outputs, others, strict=True):
        theirs = theirs.reindex(ours.index)
        if ours.ndim == 1 and ours.dtype == object:
            assert list(ours) == list(theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module", params=["regressor", "classifier"])
def model(request):
    return request.getfixturevalue(request.param)[0]


@pytest.fixture(scope="module")
def outputs(study, model):
    return run_predict(study, model)


# What may not change a prediction


def test_order_of_rows_and_columns_changes_nothing(study, model, outputs):
    again = run_predict(study, model, table=shuffled(study.table))
    assert list(again[0].index) != list(outputs[0].index)
    assert_same(outputs, again)


@pytest.mark.parametrize("batch_size", [1, 5, 47, 1000])
def test_batch_size_changes_nothing(study, model, outputs, batch_size):
    assert_same(outputs, run_predict(study, model, batch_size=batch_size))


def test_embeddings_on_disk_change_nothing(study, model, outputs):
    for ours, theirs in zip(outputs, run_predict(study, model, asv_cache="disk"), strict=True):
        assert ours.equals(theirs)


def test_company_changes_nothing(study, model, outputs):
    few = outputs[0].index[[3, 17, 40]]
    assert_same([part.loc[few] for part in outputs], run_predict(study, model, table=study.samples(few)))


def test_names_of_features_change_nothing(study, model, outputs, tmp_path):
    table = renamed(study.table, lambda name: f"ASV-{name[:12]}")
    sequences = {f"ASV-{name[:12]}": sequence for name, sequence in study.sequence_of.items()}
    again = run_predict(study, model, table=table, sequences=fasta(sequences, tmp_path / "renamed.fasta"))
    assert_same(outputs, again)


def test_ids_that_are_sequences_need_no_sequences(study, model, outputs):
    table = renamed(study.table, study.sequence_of.__getitem__)
    assert_same(outputs, run_predict(study, model, table=table, sequences=None))
    assert_same(outputs, run_predict(study, model, table=shuffled(table), sequences=None))


def test_lower_case_and_rna_are_the_same_sequences(study, model, outputs):
    table = renamed(study.table, lambda name: study.sequence_of[name].lower().replace("t", "u"))
    assert_same(outputs, run_predict(study, model, table=table, sequences=None))


def test_features_that_share_a_sequence_are_one_asv(study, model, outputs, tmp_path):
    # every feature is parted in two of the same sequence, with the reads parted between them
    counts = study.table.matrix_data.toarray()
    half = np.floor(counts / 2)
    ids = list(study.table.ids("observation"))
    table = biom.Table(np.vstack([half, counts - half]), ids + [f"{name}-b" for name in ids], study.table.ids())
    sequences = {**study.sequence_of, **{f"{name}-b": study.sequence_of[name] for name in ids}}
    again = run_predict(study, model, table=table, sequences=fasta(sequences, tmp_path / "twice.fasta"))
    assert_same(outputs, again)


def test_features_without_a_read_change_nothing(study, model, outputs):
    blank = biom.Table(np.zeros((1, 48)), ["no-sequence-at-all"], study.table.ids())
    assert_same(outputs, run_predict(study, model, table=study.table.concat([blank], axis="observation")))


def test_the_model_is_not_changed_by_predicting(study, model):
    before = hashlib.sha256((model.path / "best_model.pt").read_bytes()).hexdigest()
    run_predict(study, model)
    assert hashlib.sha256((model.path / "best_model.pt").read_bytes()).hexdigest() == before


# What changes it


def test_other_reads_give_other_predictions(study, regressor):
    predictions = run_predict(study, regressor[0])[0]
    assert predictions.nunique() == 48
    counts = study.table.matrix_data.toarray()
    swapped = biom.Table(counts[::-1], study.table.ids("observation"), study.table.ids())
    assert (run_predict(study, regressor[0], table=swapped)[0] - predictions).abs().max() > 0.01


def test_bf16_is_near_and_not_the_same(study, regressor):
    exact, coarse = (run_predict(study, regressor[0], precision=p)[0] for p in ("32", "bf16"))
    difference = (exact - coarse).abs()
    assert 0 < difference.max() < study.frame["ph"].std()


def test_token_limit_of_training_is_kept(study, encoder):
    limited = run_fit(study, "ph", encoder, token_limit=5, freeze_encoder=True)
    predictions, _, novelty = run_predict(study, limited[0])
    # only the five most abundant ASVs are read, so that rare ones may come and go
    counts = study.table.matrix_data.toarray()
    rare = counts < np.sort(counts, axis=0)[-5]
    table = biom.Table(np.where(rare & (counts <= 1), 0, counts), study.table.ids("observation"), study.table.ids())
    fewer, _, _ = run_predict(study, limited[0], table=table)
    np.testing.assert_allclose(fewer, predictions, atol=0.2)
    assert novelty["asvs"].max() > 5


# Certainty


def test_intervals_of_new_samples_are_as_wide_as_those_of_the_validation_samples(study, regressor):
    predictions, certainty, _ = run_predict(study, regressor[0])
    width = (regressor[2]["upper"] - regressor[2]["lower"]).iloc[0]
    np.testing.assert_allclose(certainty["upper"] - certainty["lower"], width, rtol=1e-9)
    np.testing.assert_allclose((certainty["upper"] + certainty["lower"]) / 2, predictions, rtol=1e-9)


def test_probabilities_of_new_samples(study, classifier):
    predictions, certainty, _ = run_predict(study, classifier[0])
    np.testing.assert_allclose(certainty.sum(axis=1), 1, atol=1e-12)
    assert certainty.to_numpy().min() >= 0
    assert (certainty.idxmax(axis=1) == predictions).all()


# Novelty


@pytest.fixture(scope="module")
def early(study):
    """A model, without an encoder, that has seen the first 16 samples only."""
    outputs = run_fit(study, "ph", table=study.samples(study.table.ids()[:16]), epochs=1, validation_share=0.6)
    return outputs[0], [i for i in study.table.ids()[:16] if i not in outputs[1].index]


def test_novelty_is_what_pandas_counts(study, early):
    model, seen_samples = early
    novelty = run_predict(study, model)[2]
    counts = pd.DataFrame(study.table.matrix_data.toarray(), study.table.ids("observation"), study.table.ids())
    unseen = counts[seen_samples].sum(axis=1) == 0
    assert unseen.sum() > 5
    expected = pd.DataFrame(
        {
            "asvs": (counts > 0).sum(),
            "reads": counts.sum(),
            "unseen_asvs": (counts[unseen] > 0).sum(),
            "unseen_read_share": counts[unseen].sum() / counts.sum(),
            "reads_cut": 0.0,
            "reads_dropped": 0.0,
            "reads_ambiguous": 0.0,
        }
    )
    pd.testing.assert_frame_equal(novelty, expected.astype(float), check_names=False, rtol=1e-12)


def test_last_line_sums_novelty_up(study, early, capsys):
    model, seen_samples = early
    run_predict(study, model)
    out, err = capsys.readouterr()
    counts = pd.DataFrame(study.table.matrix_data.toarray(), study.table.ids("observation"), study.table.ids())
    unseen = counts[seen_samples].sum(axis=1) == 0
    share = counts[unseen].sum().sum() / counts.sum().sum()
    by_sample = counts[unseen].sum() / counts.sum()
    assert err == ""
    assert out.splitlines() == [
        "48 samples predicted: ph.",
        f"Novelty: {unseen.sum()} of {len(counts)} ASVs, with {share:.1%} of the reads, were never seen in training "
        f"(most in sample {by_sample.idxmax()}: {by_sample.max():.1%}); reads cut 0, dropped 0, ambiguous 0.",
    ]


def test_last_line_where_nothing_is_new(study, regressor, capsys):
    seen = study.frame.index.difference(regressor[1].index)
    run_predict(study, regressor[0], table=study.samples(seen).remove_empty("observation"))
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("Novelty: 0 of ")
    assert line.endswith(
        "ASVs, with 0.0% of the reads, were never seen in training; reads cut 0, dropped 0, ambiguous 0."
    )


def test_reads_cut_dropped_and_ambiguous_are_counted(study, regressor, tmp_path):
    ids = study.table.ids("observation")
    sequences = dict(study.sequence_of)
    cut, ambiguous, dropped = ids[0], ids[1], ids[2]
    sequences[cut] = sequences[cut] + "ACGT" * 120  # 540 nucleotides, of which 512 are read
    sequences[ambiguous] = "R" + sequences[ambiguous][1:]
    del sequences[dropped]
    with told() as messages:
        predictions, _, novelty = run_predict(
            study, regressor[0], sequences=fasta(sequences, tmp_path / "odd.fasta"), missing_features="ignore"
        )
    assert messages == [
        f"1 of {len(ids) - 1} features have a sequence longer than 512 nucleotides (max_length); only the first 512 "
        "are read."
    ]
    counts = pd.DataFrame(study.table.matrix_data.toarray(), ids, study.table.ids())
    for column, feature in (("reads_cut", cut), ("reads_ambiguous", ambiguous), ("reads_dropped", dropped)):
        np.testing.assert_array_equal(novelty[column], counts.loc[feature], err_msg=column)
    np.testing.assert_array_equal(novelty["reads"], counts.sum())
    new = counts.loc[[cut, ambiguous]].sum() / (counts.sum() - counts.loc[dropped])
    np.testing.assert_allclose(novelty["unseen_read_share"], new, rtol=1e-12)
    assert np.isfinite(predictions).all()


def test_rarefied_by_seed(study, regressor):
    depth = int(study.table.sum("sample").min())
    first, again, other = (
        run_predict(study, regressor[0], sampling_depth=depth, random_seed=seed) for seed in (0, 0, 1)
    )
    pd.testing.assert_series_equal(first[0], again[0])
    assert (first[0] != other[0]).any()
    assert (first[2]["reads"] == depth).all()


def test_one_sample(study, regressor):
    with told() as messages:
        predictions, certainty, novelty = run_predict(study, regressor[0], table=study.samples(["S07"]))
    assert messages == []
    assert len(predictions) == len(certainty) == len(novelty) == 1


def test_sample_ids_that_look_like_numbers_stay_text(study, regressor):
    ids = {name: name.replace("S", "0") for name in study.table.ids()}
    table = study.table.update_ids(ids, axis="sample", inplace=False)
    predictions = run_predict(study, regressor[0], table=table)[0]
    assert list(predictions.index[:2]) == ["001", "002"]


def test_defaults_need_only_table_model_and_sequences(study, regressor, outputs):
    predictions, _, _ = predict(study.table, regressor[0], study.sequences)
    assert len(predictions) == 48


def test_a_table_of_another_region_is_warned_of(study, regressor, tmp_path):
    other = {i: sequence.translate(str.maketrans("ACGT", "CATG")) for i, sequence in study.sequence_of.items()}
    with told() as messages:
        _, _, novelty = run_predict(study, regressor[0], sequences=fasta(other, tmp_path / "other.fasta"))
    assert (novelty["unseen_read_share"] == 1).all()
    assert messages == [
        "Most reads of most samples are in ASVs that the model had never seen. If the table is of another region of "
        "the gene or trimmed to another length than the training table, its predictions mean nothing."
    ]
