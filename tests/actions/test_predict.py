"""`predict` called as QIIME 2 calls it: what may not change a prediction, what may, and novelty by hand."""

import hashlib
import re

import biom
import numpy as np
import pandas as pd
import pytest
import torch
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions.predict import predict
from q2_aam.encoder.files import MISFIT

from .small import description, printed, run_fit, run_predict, run_pretrain, shuffled, tampered, told

# Rounding may lead a tree or two another way; of most samples it leads none.
TOLERANCE, MEDIAN_TOLERANCE = 0.1, 1e-4


def fasta(sequences, path):
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    return DNAFASTAFormat(str(path), "r")


def renamed(table, new_id):
    ids = {name: new_id(name) for name in table.ids("observation")}
    return table.update_ids(ids, axis="observation", inplace=False)


def assert_same(outputs, others):
    """Predictions, certainty and novelty of the same samples, whatever their order."""
    for ours, theirs in zip(outputs, others, strict=True):
        theirs = theirs.reindex(ours.index)
        if ours.ndim == 1 and ours.dtype == object:
            assert list(ours) == list(theirs)
        else:
            off = np.abs(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float))
            assert off.max() < TOLERANCE and np.median(off) < MEDIAN_TOLERANCE


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


# Certainty


def test_intervals_of_new_samples_are_as_wide_as_the_out_of_fold_ones(study, regressor):
    predictions, certainty, _ = run_predict(study, regressor[0])
    width = (regressor[2]["upper"] - regressor[2]["lower"]).iloc[0]
    np.testing.assert_allclose(certainty["upper"] - certainty["lower"], width, rtol=1e-9)
    np.testing.assert_allclose((certainty["upper"] + certainty["lower"]) / 2, predictions, rtol=1e-9)


def test_probabilities_of_new_samples(study, classifier):
    predictions, certainty, _ = run_predict(study, classifier[0])
    np.testing.assert_allclose(certainty.sum(axis=1), 1, atol=1e-12)
    assert certainty.to_numpy().min() >= 0
    shares = study.frame["habitat"].value_counts(normalize=True)
    assert ((certainty / shares).idxmax(axis=1) == predictions).all()


# Novelty


@pytest.fixture(scope="module")
def early(study):
    """A model that has met the first 5 samples only, in pretraining and in the fit."""
    table = study.samples(study.table.ids()[:5])
    with told():
        encoder = run_pretrain(study, table=table, epochs=1, validation_share=0.0)[0]
        return run_fit(study, "ph", encoder, table=table, head="kernel")[0]


def unseen_by(study):
    """Counts, and which ASVs are in none of the first 5 samples."""
    counts = pd.DataFrame(study.table.matrix_data.toarray(), study.table.ids("observation"), study.table.ids())
    return counts, counts[study.table.ids()[:5]].sum(axis=1) == 0


def test_novelty_is_what_pandas_counts(study, early):
    novelty = run_predict(study, early)[2]
    counts, unseen = unseen_by(study)
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
    pd.testing.assert_frame_equal(novelty[list(expected)], expected.astype(float), check_names=False, rtol=1e-12)
    own = ["learnt_from", "near_copy"]
    assert list(novelty)[len(expected.columns) :] == ["nearest_distance", "nearest_percentile", *own]
    for name in own:
        assert novelty[name].tolist() == [1.0] * 5 + [0.0] * (len(novelty) - 5)
    # The five samples that it learnt from are in the middle of what is known, others mostly are not.
    assert novelty["nearest_percentile"].iloc[:5].max() < novelty["nearest_percentile"].iloc[5:].median()


def test_last_line_sums_novelty_up(study, early, capsys):
    with told():
        run_predict(study, early)
    lines = printed(capsys)
    counts, unseen = unseen_by(study)
    share = counts[unseen].sum().sum() / counts.sum().sum()
    by_sample = counts[unseen].sum() / counts.sum()
    assert lines == [
        "48 samples predicted: ph.",
        f"Novelty: {share:.1%} of the reads are in ASVs that were never met in training (most in sample "
        f"{by_sample.idxmax()}: {by_sample.max():.1%}); reads cut 0, dropped 0, ambiguous 0.",
    ]


def test_last_line_where_nothing_is_new(study, regressor, capsys):
    run_predict(study, regressor[0])
    assert capsys.readouterr().out.splitlines()[-1] == (
        "Novelty: 0.0% of the reads are in ASVs that were never met in training; reads cut 0, dropped 0, ambiguous 0."
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
            study,
            regressor[0],
            sequences=fasta(sequences, tmp_path / "odd.fasta"),
            missing_features="ignore",
            foreign="ignore",
        )
    assert messages[0] == (
        f"1 of {len(ids) - 1} features have a sequence longer than 512 nucleotides (max_length); only the first 512 "
        "are read."
    )
    # One sample has most of its reads in the longer one.
    assert len(messages) == 2 and messages[1].startswith("1 of 48 samples hold mostly sequences of 60 to 512 nucleot")
    counts = pd.DataFrame(study.table.matrix_data.toarray(), ids, study.table.ids())
    for column, feature in (("reads_cut", cut), ("reads_ambiguous", ambiguous), ("reads_dropped", dropped)):
        np.testing.assert_array_equal(novelty[column], counts.loc[feature], err_msg=column)
    np.testing.assert_array_equal(novelty["reads"], counts.sum())
    new = counts.loc[[cut, ambiguous]].sum() / (counts.sum() - counts.loc[dropped])
    np.testing.assert_allclose(novelty["unseen_read_share"], new, rtol=1e-12)
    assert np.isfinite(predictions).all()


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


def test_a_table_of_another_region_is_all_new(study, regressor, tmp_path, capsys):
    other = {i: sequence.translate(str.maketrans("ACGT", "CATG")) for i, sequence in study.sequence_of.items()}
    sequences = fasta(other, tmp_path / "other.fasta")
    for foreign in ("error", "mend"):
        with pytest.raises(ValueError, match="^48 of 48 samples hold mostly sequences that do not begin as those do"):
            run_predict(study, regressor[0], sequences=sequences, foreign=foreign)
    predicted, _, novelty = run_predict(study, regressor[0], sequences=sequences, foreign="ignore")
    assert (novelty["unseen_read_share"] == 1).all() and np.isfinite(predicted).all()
    assert printed(capsys)[-1].startswith("Novelty: 100.0% of the reads are in ASVs that were ")


# Depth


def test_samples_far_outside_the_depths_learnt_from_are_named_with_numbers(study, regressor):
    depth = study.table.sum("sample")
    low, high = depth.min(), depth.max()
    counts = study.table.matrix_data.toarray()
    counts[:, 0] = np.ceil(counts[:, 0] / depth[0] * low / 10)
    counts[:, 4] *= np.ceil(3 * high / depth[4])
    table = biom.Table(counts, study.table.ids("observation"), study.table.ids())
    assert description(regressor[0])["data"]["depth"] == {"lowest": low, "median": np.median(depth), "highest": high}
    with told() as messages:
        run_predict(study, regressor[0], table=table)
    assert messages == [
        f"2 of 48 samples have far fewer or far more reads ({counts[:, 0].sum():.0f} to {counts[:, 4].sum():.0f}) than "
        f"those that were learnt from ({low:.0f} to {high:.0f}): S01, S05. With other depths, other rare ASVs are met: "
        "rarefy both tables alike (`qiime feature-table rarefy`), or doubt these predictions."
    ]


# What is refused


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_an_encoder(study, encoder):
    with refused("The model is an encoder, which has no target. Give it to `qiime aam fit` first."):
        run_predict(study, encoder)


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"threads": 0}, {"asv_cache": "tape"}, {"device": "tpu"}, {"missing_features": "drop"}]
)
def test_settings_out_of_range(study, regressor, wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be .*, but is "):
        run_predict(study, regressor[0], **wrong)


def test_a_model_that_was_changed(study, regressor, tmp_path):
    def change(content):
        content["head"]["kernel"]["bias"] = torch.zeros(7)

    model = tampered(regressor[0], tmp_path / "model", change)
    with refused(MISFIT):
        run_predict(study, model)
