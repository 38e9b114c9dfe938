"""Which studies are warned of, in which words, and which are left in peace."""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from q2_aam.study.cautions import Caution, cautions, distance_caution, learnt_caution, warn_of_cautions

STUDIES = Path(__file__).parents[3] / "shared" / "data"
ROUGH = (
    "With fewer than 50, scores are rough: on other samples of the same kind they may be quite different, and small "
    "differences between models mean nothing. Add samples before you build on the scores."
)
SMALL = (
    "A model learns little from so few, and scores on so few are largely chance; so is balanced accuracy, in which "
    "such a class weighs as much as a large one. Add samples of it, merge it with a class that it resembles, or leave "
    "its samples out."
)
ONE_GROUP = (
    "What is peculiar to such a class cannot be told from what is peculiar to its group, and a model may have learnt "
    "to recognise the group. Add samples of the class from other groups, or make no claim about it."
)


def repeats(groups):
    return (
        f"Scores are as uncertain as those of a study of {groups} samples, and only those on groups that the model has "
        "not seen count: keep the groups together when splitting, and add groups rather than samples of the same ones."
    )


def column(values, name="ph"):
    values = list(values)
    return pd.Series(values, index=[f"s{i}" for i in range(len(values))], name=name)


def labels(name="habitat", **sizes):
    return column([label for label, size in sizes.items() for _ in range(size)], name)


def subjects(n, each, name="subject"):
    return column([f"P{i:02d}" for i in range(n) for _ in range(each)], name)


def measured(n, seed=0):
    return column(np.random.default_rng(seed).normal(7, 1, n))


# How many samples


def test_fewer_than_50_samples():
    assert cautions(measured(49)) == [f"Only 49 samples have a value of 'ph'. {ROUGH}"]
    assert cautions(measured(50)) == []
    assert cautions(measured(1)) == [f"Only 1 sample has a value of 'ph'. {ROUGH}"]
    assert cautions(labels(bog=24, fen=25)) == [f"Only 49 samples have a value of 'habitat'. {ROUGH}"]


def test_samples_without_a_value_do_not_count():
    values = measured(60)
    values.iloc[:15] = np.nan
    assert cautions(values) == [f"Only 45 samples have a value of 'ph'. {ROUGH}"]
    assert cautions(values.iloc[:15]) == []


def test_fewer_than_10_samples_a_class():
    assert cautions(labels(bog=30, fen=9, heath=10, moor=1)) == [
        f"2 of 4 classes of 'habitat' have fewer than 10 samples: moor (1), fen (9). {SMALL}"
    ]
    assert cautions(labels(bog=60, fen=9)) == [
        f"1 of 2 classes of 'habitat' has fewer than 10 samples: fen (9). {SMALL}"
    ]
    assert cautions(labels(bog=40, fen=10)) == []


def test_many_small_classes_are_counted_and_some_named():
    sizes = {f"c{i}": 3 for i in range(20)}
    (sentence,) = cautions(labels(**sizes))
    assert sentence.startswith(
        "20 of 20 classes of 'habitat' have fewer than 10 samples: c0 (3), c1 (3), c10 (3), c11 (3), c12 (3), ... "
        "(20 in all). "
    )


# Groups


def test_one_group_only():
    assert cautions(measured(60), subjects(1, 60)) == [
        "All 60 samples are of one group, 'P00' of 'subject': scores say nothing about samples of other groups. Add "
        "samples of other groups, or make no claim beyond this one."
    ]
    assert cautions(measured(60), subjects(2, 30)) == []


def test_classes_that_are_constant_within_groups():
    classes = column(["sick"] * 50 + ["well"] * 30, "health")
    assert cautions(classes, subjects(16, 5)) == [
        "'health' has one value for all samples of each group of 'subject': the 80 samples are 16 independent values "
        f"(well: 6, sick: 10). {repeats(16)}"
    ]
    classes.iloc[0] = "well"
    assert cautions(classes, subjects(16, 5)) == []
    assert cautions(classes) == []


def test_numbers_that_are_constant_within_groups():
    ages = column(np.repeat(np.random.default_rng(1).uniform(1, 90, 20), 4), "age")
    assert cautions(ages, subjects(20, 4)) == [
        f"'age' has one value for all samples of each group of 'subject': the 80 samples are 20 independent values. "
        f"{repeats(20)}"
    ]
    ages.iloc[-1] += 1
    assert cautions(ages, subjects(20, 4)) == []


def test_groups_of_one_sample_repeat_nothing():
    assert cautions(measured(60), subjects(60, 1)) == []
    # 48 and 49 groups of 60 samples: a fifth repeats, or less.
    for n_groups, n_sentences in ((48, 1), (49, 0)):
        groups = column(np.arange(60) % n_groups, "subject")
        values = column(np.random.default_rng(2).normal(size=n_groups)[groups], "ph")
        assert len(cautions(values, groups.astype(str))) == n_sentences


def test_a_class_of_one_group_only():
    classes = column(["bog", "fen"] * 25 + ["heath"] * 15, "habitat")
    groups = column([f"site {i // 10}" for i in range(50)] + ["site 4"] * 15, "site")
    assert cautions(classes, groups) == [
        f"1 of 3 classes of 'habitat' is in one group only of 'site': heath (site 4). {ONE_GROUP}"
    ]
    groups.iloc[-1] = "site 0"
    assert cautions(classes, groups) == []


def test_the_only_sample_of_a_class_is_said_to_be_few_and_no_more():
    classes = column(["bog", "fen"] * 25 + ["heath"], "habitat")
    groups = column([f"site {i // 10}" for i in range(51)], "site")
    assert cautions(classes, groups) == [f"1 of 3 classes of 'habitat' has fewer than 10 samples: heath (1). {SMALL}"]


def test_classes_that_are_the_groups_are_one_matter():
    classes = labels("country", France=20, Spain=20, Italy=20)
    groups = classes.map({"France": "A", "Spain": "B", "Italy": "C"}).rename("study")
    assert cautions(classes, groups) == [
        "3 of 3 classes of 'country' are in one group only, each, of 'study': France (A), Italy (C), Spain (B). "
        f"{ONE_GROUP}"
    ]


def test_groups_are_matched_by_sample_and_may_be_missing():
    classes = column(["sick"] * 50 + ["well"] * 30, "health")
    groups = subjects(16, 5)
    expected = cautions(classes, groups)
    assert cautions(classes, groups.sample(frac=1, random_state=0)) == expected
    groups.iloc[75:] = None
    (sentence,) = cautions(classes, groups)
    assert "the 75 samples are 15 independent values (well: 5, sick: 10)" in sentence
    groups.iloc[:] = None
    assert cautions(classes, groups) == []


# Identifiers


def test_classes_of_a_sample_each():
    names = column([f"sample-{i}" for i in range(60)], "barcode")
    words = (
        "'barcode' looks like an identifier: 60 samples are of 60 different classes. What only one sample has cannot "
        "be learnt from others, and scores of it mean nothing. Choose a column whose classes many samples share."
    )
    assert cautions(names) == [words]
    assert cautions(names, subjects(12, 5)) == [words]
    names.iloc[:12] = "sample-59"
    assert cautions(names)[0].startswith("'barcode' looks like an identifier: 60 samples are of 48 different classes.")
    names.iloc[12] = "sample-59"
    assert cautions(names)[0].startswith("46 of 47 classes of 'barcode' have fewer than 10 samples: sample-13 (1),")


def test_numbers_declared_classes_are_said_to_be_that():
    (sentence,) = cautions(measured(60).astype(str))
    assert sentence.startswith("'ph' looks like an identifier: 60 samples are of 60 different classes. ")
    assert sentence.endswith(
        " If it is a measurement, declare it numeric in the metadata file (a row '#q2:types' below the header)."
    )


def test_a_handful_of_samples_of_a_class_each_is_only_a_handful():
    assert [text.split()[0] for text in cautions(column("abcdefghi"))] == ["Only", "9"]
    assert "looks like an identifier" in cautions(column("abcdefghij"))[1]


@pytest.mark.parametrize("first", [0, 1, 4001])
def test_numbers_that_were_counted_up(first):
    numbers = column(range(first, first + 60), "row").astype(float)
    (sentence,) = cautions(numbers.sample(frac=1, random_state=0))
    assert sentence == (
        f"'row' looks like a row number: 60 samples have different whole numbers, from {first} to {first + 59} almost "
        "without a gap. If they were merely counted up, they are no property of a sample, and scores of them mean at "
        "best that samples were numbered in some order: choose another column. If they were measured (days in a row, "
        "say), nothing is wrong."
    )
    # The ends are kept, so that 60 numbers are still spanned.
    assert len(cautions(numbers.drop(numbers.index[10:16]))) == 1
    assert cautions(numbers.drop(numbers.index[10:17])) == []


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.arange(60) + 0.5, id="no whole numbers"),
        pytest.param(np.arange(60) // 2, id="repeated"),
        pytest.param(np.arange(60) * 7, id="weekly"),
        pytest.param(np.random.default_rng(0).choice(3000, 60, replace=False), id="metres of elevation"),
        pytest.param(np.random.default_rng(0).permutation(443)[:371], id="days of one subject, most sampled"),
        pytest.param(np.random.default_rng(0).integers(1000, 90000, 60), id="reads"),
    ],
)
def test_measurements_that_are_whole_numbers_or_evenly_spaced(values):
    assert cautions(column(values)) == []


def test_few_ages_in_a_row_are_no_row_numbers():
    assert cautions(column(range(19), "age")) == [f"Only 19 samples have a value of 'age'. {ROUGH}"]
    assert "looks like a row number" in cautions(column(range(20), "age"))[1]


# Real studies


def real_columns():
    """Columns of real metadata that are measured or observed, and what should be said of them beside their groups."""
    quiet = {
        "ecam-infant-age": ["month_of_life", "day_of_life", "month", "antiexposedall"],
        "soil88-ph": ["ph", "elevation", "annual_season_precpt", "cmin_rate", "silt_clay", "env_feature"],
        "ibd-crohns-families": ["timepoint", "days_since_epoch", "tot_mass"],
        "moving-pictures-bodysite": ["body_site", "host_subject_id", "age"],
        "oral-saliva-ph": ["ph_saliva", "Braces", "height_cm", "weight_kg"],
    }
    return [(study, name) for study, names in quiet.items() for name in names]


GROUPS = {
    "ecam-infant-age": "host_subject_id",
    "soil88-ph": "specific_location",
    "ibd-crohns-families": "host_subject_id",
    "moving-pictures-bodysite": "collection_timestamp",
    "oral-saliva-ph": "city",
}


@lru_cache
def metadata_of(path):
    from q2_aam.framework import qiime2

    return qiime2.Metadata.load(path)


def real(study, name):
    path = STUDIES / study / "metadata.tsv"
    if not path.is_file():
        pytest.skip("the studies are not there")
    return metadata_of(str(path)).get_column(name).to_series()


@pytest.mark.parametrize("study, name", real_columns())
def test_real_measurements_are_left_in_peace(study, name):
    assert cautions(real(study, name), real(study, GROUPS[study])) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # Teachers among pupils of 14 to 16 years.
        ("age", "13 of 1286 values of 'age' lie far beyond all others, of which four fifths are between 14.3"),
        # A mistake of the source.
        ("bmi", "1 of 1244 values of 'bmi' lie far beyond all others, of which four fifths are between 17.4"),
    ],
)
def test_real_values_far_beyond_all_others_are_told(name, values):
    (sentence,) = cautions(real("oral-saliva-ph", name), real("oral-saliva-ph", "city"))
    assert sentence.startswith(values)


def test_days_of_real_subjects_are_no_row_numbers():
    study = "moving-pictures-bodysite"
    days, subject, site = (
        real(study, name) for name in ("days_since_experiment_start", "host_subject_id", "common_sample_site")
    )
    parts = [part for _, part in days.groupby([subject, site])]
    assert max(len(part) for part in parts) > 300
    assert not [sentence for part in parts for sentence in cautions(part) if "looks like" in sentence]


@pytest.mark.parametrize("study", GROUPS)
def test_ids_of_real_samples_are_identifiers(study):
    ids = real(study, GROUPS[study]).index
    for values, what in ((ids, "an identifier"), (np.arange(1.0, len(ids) + 1), "a row number")):
        (sentence,) = cautions(pd.Series(values, index=ids, name="x"))
        assert sentence.startswith(f"'x' looks like {what}: {len(ids)} samples")


def test_real_repeats_are_counted():
    (sentence,) = cautions(real("ecam-infant-age", "delivery"), real("ecam-infant-age", "host_subject_id"))
    assert "the 699 samples are 42 independent values (Cesarean: 18, Vaginal: 24)." in sentence


# Warnings


def test_each_caution_is_a_warning_of_its_own_category():
    classes, groups = labels(bog=30, fen=9), subjects(13, 3)
    with pytest.warns(Caution) as caught:
        warn_of_cautions(classes, groups)
    assert [str(entry.message) for entry in caught] == cautions(classes, groups)
    assert len(caught) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warn_of_cautions(measured(50))


def test_samples_that_seem_to_be_of_another_study():
    novelty = pd.DataFrame({"nearest_percentile": [95.0] * 4 + [50.0] * 6})
    assert distance_caution(novelty) == (
        "4 of 10 samples lie farther from the samples that were learnt from than 90% of these from each other (usually "
        "10% do): they seem to be of another study. There intervals of 90% may hold half as often, and probabilities "
        "are too sure. Learn from samples of several studies, with the study as group, or have some of these samples "
        "among those that are learnt from."
    )
    assert distance_caution(novelty.iloc[1:].reset_index()) is None, "fewer than ten"
    assert distance_caution(pd.DataFrame({"nearest_percentile": [95.0] * 3 + [50.0] * 7})) is None
    assert distance_caution(pd.DataFrame({"unseen_read_share": [1.0] * 20})) is None


def test_samples_that_were_learnt_from_are_counted():
    novelty = pd.DataFrame({"learnt_from": [0.0, 1, 1, 0]}, index=list("abcd"))
    assert learnt_caution(novelty) == (
        "2 of 4 samples are the very communities that the model was fitted to: b, c. How well these are predicted says "
        "nothing about new samples: evaluate the out-of-fold predictions of fit or cross-validate, or samples that "
        "were kept apart."
    )
    assert learnt_caution(novelty[novelty["learnt_from"] == 0]) is None
    assert learnt_caution(novelty[[]]) is None
