"""Bad input is refused before anything is trained, with a sentence that names it and says what to do."""

import re

import biom
import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat

from .refusing import no_training, refused  # noqa: F401
from .small import SIZES, as_column, newick, run_fine_tune, run_fit, run_predict, run_pretrain, told


def with_count(table, row, column, value):
    counts = table.matrix_data.toarray()
    counts[row, column] = value
    return biom.Table(counts, table.ids("observation"), table.ids())


def actions(study, model, encoder):
    """Each action, with a table to be given."""
    return {
        "pretrain": lambda table: run_pretrain(study, table=table),
        "fit": lambda table: run_fit(study, "ph", encoder, table=table),
        "fine_tune": lambda table: run_fine_tune(study, "ph", encoder, table=table),
        "predict": lambda table: run_predict(study, model, table=table),
    }


@pytest.fixture(params=["pretrain", "fit", "fine_tune", "predict"])
def run(request, study, regressor, encoder):
    return actions(study, regressor[0], encoder)[request.param]


# The table


def test_empty_samples(study, run):
    counts = study.table.matrix_data.toarray()
    counts[:, [2, 5]] = 0
    with refused("2 of 48 samples have no reads: S03, S06. Remove them from the feature table."):
        run(biom.Table(counts, study.table.ids("observation"), study.table.ids()))


READS = "Reads are needed: give the table as it was before it was normalized or transformed."
UNITS = (
    "Give counts of reads, relative frequencies or presence and absence: the table as it was before it was transformed "
    "otherwise."
)


@pytest.mark.parametrize(
    "value, kind, advice", [(-3, "negative", READS), (2.5, "fractional", UNITS), (np.inf, "non-finite", READS)]
)
def test_counts_that_are_no_counts(study, run, value, kind, advice):
    feature = study.table.ids("observation")[7]
    with refused(
        f"The feature table has 1 {kind} counts ({value:g} of feature {feature} in sample S05). {advice}"
    ):
        run(with_count(study.table, 7, 4, value))


def test_features_without_a_sequence(study, run):
    ids = {name: f"OTU{number}" for number, name in enumerate(study.table.ids("observation"))}
    table = study.table.update_ids(ids, axis="observation", inplace=False)
    lacking = "(have no sequence|are no tips of the phylogeny)"
    named = rf"OTU0, OTU1, OTU2, OTU3, OTU4, \.\.\. \({len(ids)} in all\)"
    with pytest.raises(ValueError, match=f"^{len(ids)} of {len(ids)} features {lacking}: {named}"):
        run(table)


def test_features_without_a_sequence_in_full(study, encoder):
    ids = study.table.ids("observation")
    sequences = {name: study.sequence_of[name] for name in ids[2:]}
    path = study.directory / "few.fasta"
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    with refused(
        f"2 of {len(ids)} features have no sequence: {ids[0]}, {ids[1]}. Their IDs are no nucleotide sequences and are "
        "not among the sequences. Give the sequences of all features, or set missing_features to 'ignore' to leave "
        "these features out."
    ):
        run_fit(study, "ph", encoder, sequences=DNAFASTAFormat(str(path), "r"))


def test_duplicate_ids_of_sequences(study, encoder, tmp_path):
    (tmp_path / "twice.fasta").write_text(">x\nACGTACGTACGTACGTACGTACGT\n>x\nACGTACGTACGTACGTACGTACGA\n")
    message = "more than one sequence for these feature IDs: x. Keep one of each; an ID ends at the first blank.$"
    with pytest.raises(ValueError, match=message):
        run_fit(study, "ph", encoder, sequences=DNAFASTAFormat(str(tmp_path / "twice.fasta"), "r"))


def test_duplicate_ids_of_the_table(study, run):
    table = study.table.copy()
    table._sample_ids[1] = "S01"  # biom makes no such table itself
    with refused("The feature table has more than one sample of the same ID: S01. Rename or merge them."):
        run(table)


def test_one_sample_is_too_few_to_learn_from(study, encoder):
    with refused("column 'ph': there is 1 sample to learn from (S01); two or more are needed."):
        run_fine_tune(study, "ph", encoder, table=study.samples(["S01"]))


def test_one_sample_is_too_few_to_learn_distances_from(study):
    with refused(
        "There is 1 sample to learn distances from; two or more are needed. Give more samples, or a smaller "
        "validation_share."
    ):
        run_pretrain(study, table=study.samples(["S01"]), validation_share=0.0)


# The phylogeny


def test_phylogeny_that_lacks_features(study, encoder, tmp_path):
    ids = study.table.ids("observation")
    tree = newick(study.tree.shear(set(ids[3:])), tmp_path / "tree.nwk")
    for call in (
        lambda: run_pretrain(study, phylogeny=tree),
        lambda: run_fine_tune(study, "ph", encoder, phylogeny=tree),
    ):
        with refused(
            f"3 of {len(ids)} features are no tips of the phylogeny: {ids[0]}, {ids[1]}, {ids[2]}. Give the phylogeny "
            "that was made for this table, or set missing_features to 'ignore' to leave these features out."
        ):
            call()


def test_tips_of_the_same_name(study, tmp_path):
    path = tmp_path / "tree.nwk"
    path.write_text("((a:1,b:1):1,(a:1,c:1):1);")
    with pytest.raises(ValueError, match="has more than one tip of the same name: a. Keep one tip of each.$"):
        run_pretrain(study, phylogeny=str(path))


# The target


def test_constant_target(study, encoder):
    column = as_column(pd.Series(7.0, index=study.frame.index, name="depth"))
    with refused(
        "column 'depth' has the same value (7) in all 48 training samples: there is nothing to learn. Choose another "
        "column."
    ):
        run_fine_tune(study, column, encoder)


def test_one_class_only(study, encoder):
    column = as_column(pd.Series("soil", index=study.frame.index, name="biome"))
    with refused(
        "column 'biome' has one class only ('soil') in the 48 training samples: two or more are needed. Choose another "
        "column, or samples of more classes."
    ):
        run_fine_tune(study, column, encoder)


def test_no_value_at_all(study, encoder):
    values = study.frame["ph"].copy()
    values[:] = np.nan
    values["elsewhere"] = 5.0
    with refused("no sample of the table has a value in the metadata column 'ph'. Choose another column."):
        run_fine_tune(study, as_column(values), encoder)


def test_logarithm_of_too_little(study, encoder):
    values = study.frame["ph"].copy()
    values.iloc[:2] = -1.0
    with pytest.raises(ValueError, match="^column 'ph': . samples have values of -1 or less.*'zscore'.$"):
        run_fine_tune(study, as_column(values), encoder, target_transform="log1p")


def test_metadata_of_none_of_the_samples(study, encoder):
    elsewhere = study.frame["ph"].rename(index=lambda name: f"x{name}")
    for missing_samples in ("error", "ignore"):
        with refused(
            "none of the table's 48 samples (S01, S02, S03, S04, S05, ... (48 in all)) is in the metadata (xS01, xS02, "
            "xS03, xS04, xS05, ... (48 in all)). Those in the metadata have 'x' before the same names. Name them alike."
        ):
            run_fine_tune(study, as_column(elsewhere), encoder, missing_samples=missing_samples)


def test_metadata_that_lacks_samples(study, encoder):
    with refused(
        "6 of the table's 48 samples are not in the metadata: S01, S02, S03, S04, S05, ... (6 in all). Add them to the "
        "metadata, filter them from the table, or set missing_samples to 'ignore'."
    ):
        run_fine_tune(study, as_column(study.frame["ph"].iloc[6:]), encoder)


# The groups


def test_one_group(study, encoder):
    groups = as_column(pd.Series("here", index=study.frame.index, name="site"))
    with refused(
        "All samples are of one group: two parts need two groups or more. Choose another group column, leave it out, "
        "or set the share of the validation part to 0."
    ):
        run_fine_tune(study, "ph", encoder, groups=groups)


def test_groups_that_lack_samples(study, encoder):
    with refused(
        "2 of the table's 48 samples are not in the metadata: S01, S02. Add them to the metadata, filter them from the "
        "table, or set missing_samples to 'ignore'."
    ):
        run_fine_tune(study, "ph", encoder, groups=as_column(study.frame["site"].iloc[2:]))


def test_classes_that_are_whole_groups(study, encoder):
    with told(), pytest.raises(ValueError) as refusal:
        run_fine_tune(study, "site", encoder, groups=study.column("site"))
    assert re.fullmatch(
        r"No sample is left to learn these classes of column 'site' from: site-\d(, site-\d)*\. Their groups \(column "
        r"'site'\) were all kept apart for validation\. Give a column of smaller groups, another random_seed, or leave "
        r"the samples of these classes out\.",
        str(refusal.value),
    )


# The models


def test_encoder_given_to_predict(study, encoder):
    with refused("The model is an encoder, which has no target. Give it to `qiime aam fit` first."):
        run_predict(study, encoder)


def test_other_sizes_than_the_encoders(study, encoder):
    message = (
        "The encoder has sizes of its own, but others were asked for: dim 32 (the encoder has 16), max_length 100 (the "
        "encoder has 512). Leave them out, or pretrain an encoder with them."
    )
    with refused(message):
        run_pretrain(study, encoder=encoder, **{**SIZES, "dim": 32}, max_length=100)


def test_regressor_given_as_encoder(study, regressor):
    message = (
        "The model is a regressor of 'ph', but an encoder is needed. Give what `qiime aam pretrain` made."
    )
    for call in (
        lambda: run_pretrain(study, encoder=regressor[0]),
        lambda: run_fit(study, "ph", regressor[0]),
        lambda: run_fine_tune(study, "ph", regressor[0]),
    ):
        with refused(message):
            call()
