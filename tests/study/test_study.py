"""`read_study`: files or objects to a study, by ID; what cannot be used is refused by name."""

import doctest
import re

import biom
import h5py
import numpy as np
import pandas as pd
import pytest

from q2_aam.study import study as study_module
from q2_aam.study.phylogeny import read_phylogeny
from q2_aam.study.study import Study, read_study
from q2_aam.study.tokenizer import PAD
from tests.study.small import COUNTS, IDS, NEWICK, SEQUENCES, metadata_of, quiet_study, refused, table_of


def as_text(study: Study) -> dict:
    """Everything about each sample by its ID and its ASVs' tokens: the same whatever the order."""
    counts = study.communities.counts.tocoo()
    asvs = [bytes(row[row != PAD]) for row in study.communities.tokens]
    samples = {sample: {} for sample in study.communities.sample_ids}
    for sample, asv, count in zip(counts.row, counts.col, counts.data, strict=True):
        samples[study.communities.sample_ids[sample]][asvs[asv]] = count
    for column in ("target", "groups"):
        for sample, value in getattr(study, column).items():
            samples[sample][column] = value
    for sample, row in study.covariates.iterrows():
        samples[sample].update(row)
    return samples


# What is read


def test_the_docstrings_examples():
    assert doctest.testmod(study_module).failed == 0


def test_a_study_has_all_its_parts_in_the_tables_order():
    metadata = metadata_of()
    study = quiet_study(
        table_of(), SEQUENCES, metadata=metadata, target="ph", groups="site", covariates=["age"],
        missing_covariates="impute",
    )  # fmt: skip
    assert len(study) == 4 and study.values == "counts" and study.kind == "numeric"
    assert study.target.dtype == np.float64 and study.target.name == "ph"
    assert study.groups.dtype == object and study.groups.tolist() == list("abab")
    for part in (study.target, study.groups, study.covariates):
        assert list(part.index) == list(study.communities.sample_ids) == IDS
    assert study.covariates["age"].isna().tolist() == [False, True, False, False]
    assert study.depths().dtype == np.float64 and study.depths().tolist() == [8, 8, 1, 3]
    assert study.phylogeny is None and study.table is None
    assert len(study.communities.asv_of_feature) == 0
    assert study.record == {
        "samples_not_in_metadata": 0,
        "samples_without_value": 0,
        "reads_dropped": 0.0,
        "features_cut": 0,
        "missing_covariates": {"age": 1},
    }


def test_a_table_and_its_sequences_are_a_study():
    study = quiet_study(table_of(), SEQUENCES)
    assert study.target is study.groups is study.covariates is study.kind is None
    assert "missing_covariates" not in study.record


def test_parts_go_by_their_ids_whatever_their_order():
    options = {"target": "ph", "groups": "site", "covariates": ["age"], "missing_covariates": "impute"}
    straight = quiet_study(table_of(), SEQUENCES, metadata=metadata_of(), **options)
    table = biom.Table(COUNTS[::-1, [2, 0, 3, 1]], list(SEQUENCES)[::-1], ["s2", "s0", "s3", "s1"])
    frame = metadata_of().iloc[[3, 1, 0, 2]]
    shuffled = quiet_study(table, dict(reversed(SEQUENCES.items())), metadata=frame, **options)
    assert list(shuffled.communities.sample_ids) == ["s2", "s0", "s3", "s1"]
    assert str(as_text(shuffled)["s1"]) == str(as_text(straight)["s1"])  # with a NaN
    del frame["age"]
    options.update(covariates=["other"], metadata=frame.assign(other=[4, 2, 1, 3]))
    assert as_text(quiet_study(table, SEQUENCES, **options)) == as_text(
        quiet_study(table_of(), SEQUENCES, **{**options, "metadata": options["metadata"].sort_index()})
    )


def test_series_and_frames_do_for_names():
    metadata = metadata_of(ph=[6, 5, 7, 4], site=[1, 2, 1, 2], age=list("xyxy"))
    by_name = quiet_study(
        table_of(), SEQUENCES, metadata=metadata, target="ph", groups="site", covariates=["age"]
    )
    given = quiet_study(
        table_of(), SEQUENCES, target=metadata["ph"][::-1], groups=metadata["site"], covariates=metadata[["age"]]
    )
    assert as_text(given) == as_text(by_name)
    assert given.target.dtype == np.float64 and given.groups.tolist() == ["1", "2", "1", "2"]
    unnamed = quiet_study(table_of(), SEQUENCES, target=pd.Series([1.0, 2.0, 3.0, 4.0], index=IDS))
    assert unnamed.target.name == "target"


def test_files_are_read_as_objects_are(tmp_path):
    paths = {name: tmp_path / name for name in ("table.biom", "sequences.fasta", "metadata.tsv", "tree.nwk")}
    with h5py.File(paths["table.biom"], "w") as file:
        table_of().to_hdf5(file, "test")
    paths["sequences.fasta"].write_text("".join(f">{name}\n{text}\n" for name, text in SEQUENCES.items()))
    metadata_of(ph=[6.0, 5.0, 7.5, 4.0], site=list("abab"), age=[1, 2, 3, 4]).to_csv(paths["metadata.tsv"], sep="\t")
    paths["tree.nwk"].write_text(NEWICK)
    options = {"target": "ph", "groups": "site", "covariates": ["age"]}
    of_files = quiet_study(
        paths["table.biom"],
        paths["sequences.fasta"],
        metadata=str(paths["metadata.tsv"]),
        phylogeny=paths["tree.nwk"],
        **options,
    )
    of_objects = quiet_study(
        table_of(),
        SEQUENCES,
        metadata=metadata_of(ph=[6.0, 5.0, 7.5, 4.0], site=list("abab"), age=[1.0, 2.0, 3.0, 4.0]),
        phylogeny=read_phylogeny(paths["tree.nwk"]),
        **options,
    )
    assert as_text(of_files) == as_text(of_objects)
    np.testing.assert_array_equal(of_files.unifrac()(np.arange(4)), of_objects.unifrac()(np.arange(4)))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2, 3, 4], "numeric", [1.0, 2.0, 3.0, 4.0]),
        (pd.array([1, 2, 3, 4], dtype="Int64"), "numeric", [1.0, 2.0, 3.0, 4.0]),
        (list("abab"), "categorical", list("abab")),
        (pd.Categorical(list("abab")), "categorical", list("abab")),
        ([True, False, True, True], "categorical", ["True", "False", "True", "True"]),
        (["nan", "None", "", "1"], "categorical", ["nan", "None", "", "1"]),
    ],
)
def test_kinds_of_targets(values, kind, expected):
    study = quiet_study(table_of(), SEQUENCES, target=pd.Series(values, index=IDS, name="x"))
    assert study.kind == kind and study.target.tolist() == expected
    assert study.target.dtype == (np.float64 if kind == "numeric" else object)


# Counts, shares, presence


def test_shares_are_read_as_shares():
    shares = COUNTS / COUNTS.sum(axis=0)
    with pytest.warns(UserWarning, match="1 of 4 features have a sequence longer than 4"):
        study = read_study(table_of(shares), SEQUENCES, max_length=4)
    counts = quiet_study(table_of(), SEQUENCES)
    assert study.values == "shares" and study.communities.counts.dtype == np.float32
    reads = counts.communities.counts.toarray()
    np.testing.assert_allclose(study.communities.counts.toarray(), reads / reads.sum(1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(study.communities.reads_cut, shares[0])
    np.testing.assert_allclose(study.depths(), 1, rtol=1e-6)
    assert study.record["reads_dropped"] == 0 and study.record["features_cut"] == 1


@pytest.mark.parametrize("metric", ["unweighted", "weighted_normalized", "generalized"])
def test_distances_of_shares_are_those_of_counts(tmp_path, metric):
    tree = tmp_path / "tree.nwk"
    tree.write_text(NEWICK)
    counts, shares = (
        quiet_study(table_of(values), SEQUENCES, phylogeny=tree).unifrac(metric)(np.arange(4))
        for values in (COUNTS, COUNTS / COUNTS.sum(axis=0))
    )
    np.testing.assert_allclose(shares, counts, atol=1e-6)


def test_presence_has_unweighted_distances_only(tmp_path):
    tree = tmp_path / "tree.nwk"
    tree.write_text(NEWICK)
    study = quiet_study(table_of(COUNTS > 0), SEQUENCES, phylogeny=tree)
    assert study.values == "presence" and study.depths().tolist() == [3, 3, 1, 2]
    whole = quiet_study(table_of(), SEQUENCES, phylogeny=tree)
    np.testing.assert_array_equal(study.unifrac()(np.arange(4)), whole.unifrac()(np.arange(4)))
    with refused(
        "metric is 'weighted_normalized', which weighs features by their reads, but the feature table holds presence "
        "and absence only (each value is 1). Give a table of counts, or set metric to 'unweighted'."
    ):
        study.unifrac("weighted_normalized")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (-3, "has 1 negative counts (-3 of feature f4 in sample s1)"),
        (np.nan, "has 1 non-finite counts (nan of feature f4 in sample s1)"),
        (0.25, "has 1 fractional counts (0.25 of feature f4 in sample s1)"),
    ],
)
def test_values_that_are_none_are_refused(value, sentence):
    counts = COUNTS.copy()
    counts[4, 1] = value
    with pytest.raises(ValueError, match=f"^The feature table {re.escape(sentence)}"):
        read_study(table_of(counts), SEQUENCES)
    # A sample that is left out harms nobody.
    with pytest.warns(UserWarning, match="1 of the table's 4 samples are not in the metadata"):
        study = read_study(
            table_of(counts), SEQUENCES, metadata=metadata_of().drop("s1"), target="ph", missing_samples="ignore"
        )
    assert len(study) == 3


def test_empty_samples_are_refused():
    counts = COUNTS.copy()
    counts[:, 2] = 0
    with refused("1 of 4 samples have no reads: s2. Remove them from the feature table."):
        read_study(table_of(counts), SEQUENCES)


# Parts of a study


def test_a_subset_is_the_same_study_of_some_samples(tmp_path):
    tree = tmp_path / "tree.nwk"
    tree.write_text(NEWICK)
    study = quiet_study(
        table_of(), SEQUENCES, metadata=metadata_of(), target="ph", groups="site", covariates=["age"],
        phylogeny=tree, missing_covariates="impute",
    )  # fmt: skip
    rows = np.array([3, 0])
    part = study.subset(rows)
    assert len(part) == 2 and part.record == study.record and part.values == study.values
    for ids in (part.communities.sample_ids, part.target.index, part.groups.index, part.covariates.index):
        assert list(ids) == ["s3", "s0"]
    assert part.target.tolist() == [4.0, 6.0] and part.depths().tolist() == [3, 8]
    np.testing.assert_array_equal(part.unifrac()(np.arange(2)), study.unifrac()(rows))
    assert len(quiet_study(table_of(), SEQUENCES).subset(rows)) == 2


def test_reading_changes_nothing_that_was_given():
    table, metadata = table_of(), metadata_of()
    quiet_study(table, SEQUENCES, metadata=metadata, target="ph", covariates=["age"], missing_covariates="impute")
    np.testing.assert_array_equal(table.matrix_data.toarray(), COUNTS)
    pd.testing.assert_frame_equal(metadata, metadata_of())


def test_a_real_study(study):
    files = study("soil88-ph")
    soil = quiet_study(
        files.table, files.fasta, metadata=files.fasta.parent / "metadata.tsv", target="ph", covariates=["elevation"]
    )
    assert len(soil) == 86 and soil.kind == "numeric" and soil.covariates["elevation"].dtype == np.float64
    assert soil.depths().sum() == files.table.matrix_data.sum()
