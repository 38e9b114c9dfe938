"""What `read_study` refuses, by name, or leaves out with a count."""

import re

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.study import read_study
from q2_aam.study.unifrac import UniFracDistances
from tests.study.small import COUNTS, IDS, SEQUENCES, metadata_of, quiet_study, refused, table_of

# Samples without metadata


def test_samples_without_metadata_are_refused_or_counted():
    metadata = metadata_of(ph=[6.0, np.nan, 7.5, 4.0], site=["a", "b", None, "b"]).drop("s0")
    with refused(
        "1 of the table's 4 samples are not in the metadata: s0. Add them to the metadata, filter them from the table, "
        "or set missing_samples to 'ignore'."
    ):
        read_study(table_of(), SEQUENCES, metadata=metadata, target="ph")
    with pytest.warns(UserWarning) as caught:
        study = read_study(
            table_of(), SEQUENCES, metadata=metadata, target="ph", groups="site", missing_samples="ignore"
        )
    assert [str(entry.message) for entry in caught] == [
        "1 of the table's 4 samples are not in the metadata and were left out: s0.",
        "1 of the table's 4 samples have no value in column 'ph' and were left out: s1.",
        "1 of the table's 2 samples have no value in column 'site' and were left out: s2.",
    ]
    assert list(study.communities.sample_ids) == list(study.target.index) == list(study.groups.index) == ["s3"]
    assert (study.record["samples_not_in_metadata"], study.record["samples_without_value"]) == (1, 2)


def test_samples_without_covariates_are_refused_or_counted():
    covariates = metadata_of()[["age"]].drop("s0")
    with refused(
        "1 of the table's 4 samples are not in the metadata of the covariates: s0. Add them to the metadata of the "
        "covariates, filter them from the table, or set missing_samples to 'ignore'."
    ):
        read_study(table_of(), SEQUENCES, covariates=covariates)
    with refused(
        "Covariate 'age' has no value in 1 of 4 samples: s1. Fill them in, filter these samples from the table, leave "
        "the covariate out, or set missing_covariates to 'impute'."
    ):
        read_study(table_of(), SEQUENCES, metadata=metadata_of(), covariates=["age"])
    with pytest.warns(UserWarning, match="1 of the table's 4 samples are not in the metadata of the covariates"):
        study = read_study(
            table_of(), SEQUENCES, covariates=covariates, missing_samples="ignore", missing_covariates="impute"
        )
    assert study.record["samples_not_in_metadata"] == 1 and study.record["samples_without_value"] == 0
    assert study.covariates["age"].tolist()[1:] == [3.0, 4.0] and study.record["missing_covariates"] == {"age": 1}


def test_what_is_asked_for_and_is_not_there():
    metadata = metadata_of()
    for options, sentence in (
        ({"target": "ph"}, "target names the metadata column 'ph', but there is no metadata. Give it."),
        ({"covariates": ["age", "x"]}, "covariates names columns (age, x), but there is no metadata. Give it."),
        (
            {"metadata": metadata, "groups": "Site"},
            "The metadata has no column 'Site' (groups); there are ph, site, age.",
        ),
        (
            {"metadata": metadata, "target": ["ph"]},
            "target must be the name of a metadata column or a pandas Series by sample ID, but is of type list.",
        ),
        (
            {"metadata": metadata, "covariates": ["Age"]},
            "The metadata of the covariates has no column Age; there are ph, site, age. Correct the names of the "
            "covariates.",
        ),
        (
            {"metadata": metadata, "target": "ph", "covariates": ["age", "ph"]},
            "Covariate 'ph' is the column to predict: the model would be given the answer. Name the columns to use as "
            "covariates, without it.",
        ),
        (
            {"target": metadata["ph"], "groups": metadata["site"], "covariates": metadata[["site"]]},
            "Covariate 'site' is the group column: new samples are of other groups, of which nothing can be learnt. "
            "Name the columns to use as covariates, without it.",
        ),
        (
            {"metadata": pd.concat([metadata, metadata.iloc[:1]]), "target": "ph"},
            "1 sample IDs stand more than once in the metadata: s0. Keep one row of each.",
        ),
        (
            {"target": pd.Series([1.0, np.inf, 2.0, 3.0], index=IDS, name="ph")},
            "column 'ph': 1 samples have no finite number: s1. Leave them out or mend their values.",
        ),
        (
            {"target": pd.Series([1, "1", "x", "y"], index=IDS, name="class")},
            "column 'class' has different values that are printed as the same text (1): they would be one "
            "class. Write all values of the column as text.",
        ),
        ({"missing_samples": "drop", "target": metadata["ph"]}, "missing_samples is 'drop'; it must be one of error, "
         "ignore."),
        ({"missing_features": "drop"}, "missing_features is 'drop'; it must be one of error, ignore."),
        ({"missing_covariates": "drop"}, "missing_covariates is 'drop'; it must be one of error, impute."),
    ):  # fmt: skip
        with refused(sentence):
            read_study(table_of(), SEQUENCES, **options)


# Sequences and phylogeny


def test_features_without_a_sequence_are_refused_or_counted():
    sequences = {name: text for name, text in SEQUENCES.items() if name != "f1"}
    with refused(
        "1 of 4 features have no sequence: f1. Their IDs are no nucleotide sequences and are not among the sequences. "
        "Give the sequences of all features, or set missing_features to 'ignore' to leave these features out."
    ):
        read_study(table_of(), sequences)
    study = quiet_study(table_of(), sequences, missing_features="ignore")
    assert study.record["reads_dropped"] == COUNTS[1].sum() == 5
    assert study.depths().tolist() == [6, 5, 1, 3]


def test_distances_are_of_features_that_are_read(tmp_path):
    """f2 is no tip, f1 has no sequence; the tip 'extra' is no feature."""
    tree = tmp_path / "tree.nwk"
    tree.write_text("((f0:1,f1:2):1,(f3:1,extra:1):2);")
    sequences = {name: text for name, text in SEQUENCES.items() if name != "f1"}
    counts = COUNTS.copy()
    counts[3, 3] = 1
    with refused(
        "1 of 5 features are no tips of the phylogeny: f2. Give the phylogeny that was made for this table, or set "
        "missing_features to 'ignore' to leave these features out."
    ):
        read_study(table_of(counts), sequences, phylogeny=tree)
    with pytest.warns(UserWarning, match="1 of 5 features, with 23.81% of the reads, are no tips of the phylogeny"):
        study = read_study(table_of(counts), sequences, phylogeny=tree, missing_features="ignore")
    assert study.record["reads_dropped"] == 10
    assert list(study.table.ids("observation")) == ["f0", "f3"]
    assert study.asv_of_feature.to_dict() == {"f0": 0, "f3": 1}
    assert study.depths().tolist() == [6, 1, 1, 3]
    expected = UniFracDistances(study.table, str(tree))(np.arange(4))
    np.testing.assert_array_equal(study.unifrac()(np.arange(4)), expected)
    parts = study.unifrac(subcommunities=True)
    np.testing.assert_array_equal(parts(np.arange(4), study.communities.counts), expected)
    with refused("UniFrac distances need a phylogeny, but the study has none. Give one to read_study."):
        quiet_study(table_of(), SEQUENCES).unifrac()


def test_files_that_cannot_be_read_are_named(tmp_path):
    path = tmp_path / "file"
    path.write_text("what is this\n")
    for options, what in (
        ({"table": path}, "a BIOM table"),
        ({"table": table_of(), "sequences": path}, "a FASTA file"),
        ({"table": table_of(), "sequences": SEQUENCES, "phylogeny": path}, "a Newick tree"),
        ({"table": table_of(), "sequences": SEQUENCES, "metadata": path, "target": "x"}, "a metadata file"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))} cannot be read as {what}: "):
            read_study(**options)
