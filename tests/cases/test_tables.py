"""Tables, in `fit` where nothing else is said."""

import biom
import numpy as np
import pytest

from .inputs import GoesOn, outcome

CASES = {
    "no samples": (
        lambda g: g.fit(table=biom.Table(np.zeros((40, 0)), g.features, [])),
        "The feature table is empty: it has no samples.",
    ),
    "no features": (
        lambda g: g.fit(table=biom.Table(np.zeros((0, 30)), [], g.ids)),
        "The feature table is empty: it has 0 features and 30 samples.",
    ),
    "nothing but zeros": (
        lambda g: g.fit(table=g.table_of(g.counts * 0)),
        "30 of 30 samples have no reads: s01, s02, s03, s04, s05, ... (30 in all). Remove them from the feature table.",
    ),
    "two samples without a read": (
        lambda g: g.fit(table=g.table_of(g.counts * (np.arange(30) > 1))),
        "2 of 30 samples have no reads: s01, s02. Remove them from the feature table.",
    ),
    "a negative count": (
        lambda g: g.fit(table=g.with_count(-3)),
        "The feature table has 1 negative counts (-3 of feature f07 in sample s05). Reads are needed: give the table "
        "as it was before it was normalized or transformed.",
    ),
    "a count that is not a number": (
        lambda g: g.fit(table=g.with_count(np.nan)),
        "The feature table has 1 non-finite counts (nan of feature f07 in sample s05). Reads are needed: give the "
        "table as it was before it was normalized or transformed.",
    ),
    "an infinite count": (
        lambda g: g.fit(table=g.with_count(np.inf)),
        "The feature table has 1 non-finite counts (inf of feature f07 in sample s05). Reads are needed: give the "
        "table as it was before it was normalized or transformed.",
    ),
    "a count of 1e300": (
        lambda g: g.fit(table=g.with_count(1e300)),
        "The feature table has 1 impossibly large counts (1e+300 of feature f07 in sample s05). Reads are needed: "
        "give the table as it was before it was normalized or transformed.",
    ),
    "a count of 2 to the 53rd": (
        lambda g: g.fit(table=g.with_count(2.0**53)),
        GoesOn(),
    ),
    "a fraction among counts": (
        lambda g: g.fit(table=g.with_count(2.5)),
        "The feature table has 1 fractional counts (2.5 of feature f07 in sample s05). Give counts of reads, relative "
        "frequencies or presence and absence: the table as it was before it was transformed otherwise.",
    ),
    "percentages": (
        lambda g: g.fit(table=g.table_of(100 * g.counts / g.counts.sum(0))),
        "The feature table holds percentages: its values sum to 100 in each sample. Divide them by 100, or give "
        "counts of reads.",
    ),
    "logarithms of counts": (
        lambda g: g.fit(table=g.table_of(np.log10(1 + g.counts))),
        "The feature table has 856 fractional counts (2.80686 of feature f01 in sample s01; 0.845098 of feature f02 "
        "in sample s01; 2.37475 of feature f04 in sample s01; 2.41497 of feature f05 in sample s01; 2.79865 of "
        "feature f06 in sample s01; ...). Give counts of reads, relative frequencies or presence and absence: the "
        "table as it was before it was transformed otherwise.",
    ),
    "centred logratios": (
        lambda g: g.fit(table=g.table_of(np.log(1 + g.counts) - np.log(1 + g.counts).mean(0))),
        "The feature table has 563 negative counts (-0.759806 of feature f02 in sample s01; -2.70572 of feature f03 "
        "in sample s01; -0.140767 of feature f13 in sample s01; -0.22081 of feature f24 in sample s01; -0.066659 of "
        "feature f25 in sample s01; ...). Reads are needed: give the table as it was before it was normalized or "
        "transformed.",
    ),
    "relative frequencies": (
        lambda g: g.fit(table=g.table_of(g.counts / g.counts.sum(0))),
        GoesOn(),
    ),
    "relative frequencies that were filtered": (
        lambda g: g.fit(table=g.table_of((g.counts / g.counts.sum(0))[:-20], g.features[:-20])),
        "The feature table holds shares of reads, but in 30 of 30 samples they do not sum to 1: s01 (0.9629), s02 "
        "(0.3705), s03 (0.8033), s04 (0.03787), s05 (0.47), ... (30 in all). Filter the table of counts first, then "
        "compute the relative frequencies.",
    ),
    "presence and absence": (
        lambda g: g.fit(table=g.table_of(g.counts > 0)),
        GoesOn(),
    ),
    "the table turned, its features sequences": (
        lambda g: g.fit(table=biom.Table(g.counts.T, g.ids, list(g.sequence_of.values()))),
        "none of the table's 40 samples (TGGCCAAAATGTGCTG...TGAGGGGGTTCCGAAC (150 letters), "
        "TGACCAAAAGGAGGTA...TTACGCGGTTTCCTAC (150 letters), TTGCCGTAGTGTGGTG...TTACGAGGTTGCCCTC (150 letters), "
        "TGGCCAAAATGTGCTG...TTTCGGGGTTCCCTCC (150 letters), AGGCCAAAAGGTGGTA...TAACTAGGTTCCCTAC (150 letters), ... "
        "(40 in all)) is in the metadata (s01, s02, s03, s04, s05, ... (30 in all)). They look like features: the "
        "table may be turned. Samples must be its columns.",
    ),
    "one sample": (
        lambda g: g.fit(table=g.table_of(g.counts[:, :1], ids=g.ids[:1])),
        "column 'ph': there is 1 sample to learn from (s01); two or more are needed.",
    ),
    "two samples": (
        lambda g: g.fitted(table=g.table_of(g.counts[:, :2], ids=g.ids[:2])),
        GoesOn(
            "Only 2 samples have a value of 'ph'. With fewer than 50, scores are rough: on other samples of the same "
            "kind they may be quite different, and small differences between models mean nothing. Add samples before "
            "you build on the scores.",
            "The samples are too few (2) for intervals of 90%: these are as wide as the largest error instead. Add "
            "samples.",
        ),
    ),
    "one ASV in all samples": (
        lambda g: g.fit(table=g.table_of(g.counts[:1], ["f01"])),
        "All 30 samples hold one and the same ASV alone: there is nothing by which they differ. Give a table of "
        "several ASVs.",
    ),
    "all samples alike": (
        lambda g: g.fit(table=g.table_of(np.repeat(g.counts[:, :1], 30, 1))),
        "All 30 samples hold the same ASVs in the same shares: there is nothing by which they differ. Look how the "
        "table was made.",
    ),
    "all samples alike but for their depth": (
        lambda g: g.fit(table=g.table_of(g.counts[:, :1] * np.arange(1, 31))),
        "All 30 samples hold the same ASVs in the same shares: there is nothing by which they differ. Look how the "
        "table was made.",
    ),
    "each sample twice, without groups": (
        lambda g: g.fitted(table=g.replicated()),
        GoesOn(
            "30 of 30 samples are near copies of another one (nearly all ASVs in nearly the same shares, as technical "
            "replicates have): s01, s02, s03, s04, s05, ... (30 in all). One is then predicted by what was learnt "
            "from the other, and scores are too good for new samples. Give the groups column, in which samples that "
            "belong together are of one group.",
        ),
    ),
    "each sample twice, the twins in one group": (
        lambda g: g.fitted(table=g.replicated(), groups=g.column([f"site {n // 2}" for n in range(30)])),
        GoesOn(),
    ),
    "each sample twice, the twins in two groups": (
        lambda g: g.fitted(table=g.replicated(), groups=g.column([f"site {n % 6}" for n in range(30)])),
        GoesOn(
            "30 of 30 samples are near copies of a sample of another group (nearly all ASVs in nearly the same "
            "shares, as technical replicates have): s01, s02, s03, s04, s05, ... (30 in all). One is then predicted "
            "by what was learnt from the other, and scores are too good for new samples. Put samples that belong "
            "together into one group.",
            "The groups are too few (6) for intervals of 90%: these are as wide as the largest error instead. Add "
            "groups.",
        ),
    ),
    "each sample twice, in cross-validate": (
        lambda g: g.cross_validate(table=g.replicated()),
        GoesOn(
            "An encoder was given: if it was pretrained on samples of this table, it has seen the communities (not "
            "the values) of samples that are predicted here, and the scores do not hold for later samples.",
            "30 of 30 samples are near copies of another one (nearly all ASVs in nearly the same shares, as technical "
            "replicates have): s01, s02, s03, s04, s05, ... (30 in all). One is then predicted by what was learnt "
            "from the other, and scores are too good for new samples. Give the groups column, in which samples that "
            "belong together are of one group.",
        ),
    ),
    "a sample of one read": (
        lambda g: g.fit(table=g.table_of(np.where(np.arange(30) == 4, np.arange(40)[:, None] == 1, g.counts))),
        GoesOn(),
    ),
    "two samples of the same ID but for capitals": (
        lambda g: g.fit(table=g.samples_called(lambda one: "S01" if one == "s02" else one)),
        "1 of the table's 30 samples are not in the metadata: S01. Add them to the metadata, filter them from the "
        "table, or set missing_samples to 'ignore'.",
    ),
    "samples that are called numbers": (
        lambda g: g.fit(g.renamed(lambda one: one[1:]), table=g.samples_called(lambda one: one[1:])),
        GoesOn(),
    ),
    "two features of the same sequence": (
        lambda g: g.fit(sequences=g.one_sequence(g.sequence_of["f02"])),
        GoesOn(),
    ),
    "features that are called sequences, one count negative": (
        lambda g: g.fit(
            table=biom.Table(np.where(g.counts == g.counts.max(), -1, g.counts), list(g.sequence_of.values()), g.ids),
            sequences=None,
        ),
        "The feature table has 1 negative counts (-1 of feature TGGCCAAAGTGTTGTG...ATACGACATTCCCTAC (150 letters) in "
        "sample s24). Reads are needed: give the table as it was before it was normalized or transformed.",
    ),
    "no samples, in predict": (
        lambda g: g.predict(table=biom.Table(np.zeros((40, 0)), g.features, [])),
        "The feature table is empty: it has 40 features and 0 samples.",
    ),
    "a sample without a read, in predict": (
        lambda g: g.predict(table=g.table_of(g.counts * (np.arange(30) > 0))),
        "1 of 30 samples have no reads: s01. Remove them from the feature table.",
    ),
    "presence and absence for a model of counts": (
        lambda g: g.predict(table=g.table_of(g.counts > 0)),
        "The table holds presence and absence, but the model has learnt from counts of reads. Give a table of the "
        "same kind, or fit a model to such a table.",
    ),
    "relative frequencies for a model of counts": (
        lambda g: g.predict(table=g.table_of(g.counts / g.counts.sum(0))),
        GoesOn(),
    ),
    "fifty times as many reads, in predict": (
        lambda g: g.predict(table=g.table_of(50 * g.counts)),
        GoesOn(
            "30 of 30 samples have far fewer or far more reads (121250 to 420600) than those that were learnt from "
            "(2425 to 8412): s01, s02, s03, s04, s05, ... (30 in all). With other depths, other rare ASVs are met: "
            "rarefy both tables alike (`qiime feature-table rarefy`), or doubt these predictions.",
        ),
    ),
    "one sample, in predict": (
        lambda g: g.predict(table=g.table_of(g.counts[:, :1], ids=g.ids[:1])),
        GoesOn(),
    ),
    "one sample, in embed": (
        lambda g: g.embed(table=g.table_of(g.counts[:, :1], ids=g.ids[:1])),
        "The table has 1 sample, and distances are between samples. Add samples, or take `qiime aam embed-vectors`.",
    ),
    "two samples, in embed": (
        lambda g: g.embed(table=g.table_of(g.counts[:, :2], ids=g.ids[:2])),
        GoesOn(),
    ),
    "all samples alike, in embed": (
        lambda g: g.embed(table=g.table_of(np.repeat(g.counts[:, :1], 30, 1))),
        GoesOn(),
    ),
    "all samples alike, in pretrain": (
        lambda g: g.pretrain(table=g.table_of(np.repeat(g.counts[:, :1], 30, 1))),
        "All 30 samples hold the same ASVs in the same shares: there is nothing by which they differ. Look how the "
        "table was made.",
    ),
    "one sample, in pretrain": (
        lambda g: g.pretrain(table=g.table_of(g.counts[:, :1], ids=g.ids[:1]), validation_share=0.0),
        "There is 1 sample to learn distances from; two or more are needed. Give more samples, or a smaller "
        "validation_share.",
    ),
    "one sample, in split-samples": (
        lambda g: g.split(table=g.table_of(g.counts[:, :1], ids=g.ids[:1])),
        "The table is to be parted in two, but only one of its samples has a value. Give a table of more samples, or "
        "the metadata of more of them.",
    ),
    "the same samples to learn from and to predict, in predict-baselines": (
        lambda g: g.baselines(),
        "30 samples are in both tables: s01, s02, s03, s04, s05, ... (30 in all). Baselines would be judged by their "
        "own training samples. Take these samples out of one of the tables.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_tables(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
