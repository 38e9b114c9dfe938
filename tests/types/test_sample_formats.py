import pytest

from q2_aam.framework import Artifact, ValidationError
from q2_aam.types import NoveltyFormat, PredictionIntervalsFormat

LEVELS = pytest.mark.parametrize("level", ["min", "max"])
INTERVALS = "SampleID\tlower\tupper\n001\t-1.5\t2\n1e5\t0\t0\n"
NOVELTY_HEADER = (
    "SampleID\tasvs\treads\tunseen_asvs\tunseen_read_share\treads_cut\treads_dropped\treads_ambiguous\n"
)
FURTHER = ("nearest_distance", "nearest_percentile", "learnt_from", "near_copy")
NOVELTY = NOVELTY_HEADER + "a\t10\t1000.0\t3\t0.25\t0\t12\t0\nb\t1\t5\t1\t1.0\t0\t0\t5\n"


def check(file_format, text, path, level):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    file_format(str(path), mode="r").validate(level)


def refused(file_format, text, path, level):
    with pytest.raises(ValidationError) as error:
        check(file_format, text, path, level)
    return str(error.value).split("\n\n")[-1]


@LEVELS
@pytest.mark.parametrize(
    "change", [str, lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text]
)
def test_whole_files_are_accepted(change, level, tmp_path):
    check(PredictionIntervalsFormat, change(INTERVALS), tmp_path / "x.tsv", level)
    check(NoveltyFormat, change(NOVELTY), tmp_path / "x.tsv", level)


def test_single_files_are_imported(tmp_path):
    (tmp_path / "mine.tsv").write_text(INTERVALS)
    Artifact.import_data("SampleData[PredictionIntervals]", str(tmp_path / "mine.tsv")).validate("max")
    (tmp_path / "mine.tsv").write_text(NOVELTY)
    Artifact.import_data("SampleData[Novelty]", str(tmp_path / "mine.tsv")).validate("max")


@LEVELS
@pytest.mark.parametrize(
    "old, new, sentence",
    [
        (
            "-1.5",
            "2.5",
            "intervals.tsv line 2, sample '001': lower (2.5) is above upper (2). Swap them.",
        ),
        (
            "-1.5",
            "low",
            "intervals.tsv line 2, column lower: 'low' is not a finite number. Write a number such as 1.5.",
        ),
        (
            "-1.5",
            "-inf",
            "intervals.tsv line 2, column lower: '-inf' is not a finite number. Write a number such as 1.5.",
        ),
        (
            "-1.5",
            "",
            "intervals.tsv line 2, column lower: '' is not a finite number. Write a number such as 1.5.",
        ),
        (
            "-1.5",
            "1_0",
            "intervals.tsv line 2, column lower: '1_0' is not a finite number. Write a number such as 1.5.",
        ),
        (
            "1e5",
            "001",
            "intervals.tsv line 3: the sample ID '001' stands in line 2 already. Keep one row of each "
            "sample.",
        ),
        (
            "1e5",
            "",
            "intervals.tsv line 3: '' is no sample ID. Give each row an ID without blanks around it.",
        ),
        (
            "1e5",
            " a",
            "intervals.tsv line 3: ' a' is no sample ID. Give each row an ID without blanks around it.",
        ),
        (
            "\t2\n",
            "\n",
            "intervals.tsv line 2 has 2 cells, but the header has 3 columns (SampleID, lower, upper). "
            "Separate all of them by tabs.",
        ),
        (
            "lower\tupper",
            "upper\tlower",
            "intervals.tsv line 1 has the columns SampleID, upper, lower; they must be SampleID, lower, "
            "upper, separated by tabs.",
        ),
        (
            "\t",
            ",",
            "intervals.tsv line 1 has the columns SampleID,lower,upper; they must be SampleID, lower, upper, "
            "separated by tabs.",
        ),
        (INTERVALS, "", "intervals.tsv is empty: it needs a header line and a row or more."),
        (INTERVALS, INTERVALS[:21], "intervals.tsv has a header, but no rows. Add at least one."),
    ],
)
def test_wrong_intervals_are_refused(old, new, sentence, level, tmp_path):
    assert old in INTERVALS
    text = INTERVALS.replace(old, new)
    assert refused(PredictionIntervalsFormat, text, tmp_path / "intervals.tsv", level) == sentence


@LEVELS
@pytest.mark.parametrize(
    "cells, sentence",
    [
        (
            "10\t1000\t11\t0.5\t0\t0\t0",
            "novelty.tsv line 2, sample 'a': unseen_asvs (11) is above asvs (10).",
        ),
        (
            "10\t1000\t3\t1.5\t0\t0\t0",
            "novelty.tsv line 2, sample 'a', column unseen_read_share: 1.5 is not a share from 0 to 1.",
        ),
        (
            "10.5\t9\t3\t1\t0\t0\t0",
            "novelty.tsv line 2, sample 'a', column asvs: 10.5 is not a whole number.",
        ),
        ("10\t9\t3\t1\t-2\t0\t0", "novelty.tsv line 2, sample 'a', column reads_cut: -2 is negative."),
        (
            "10\t9\t3\t1\t0\t0\tNA",
            "novelty.tsv line 2, column reads_ambiguous: 'NA' is not a finite number. Write a number such as "
            "1.5.",
        ),
    ],
)
def test_wrong_novelty_is_refused(cells, sentence, level, tmp_path):
    text = f"{NOVELTY_HEADER}a\t{cells}\n"
    assert refused(NoveltyFormat, text, tmp_path / "novelty.tsv", level) == sentence


@pytest.mark.parametrize("further", [FURTHER[:n] for n in (2, 3, 4)])
def test_novelty_of_models_with_landmarks_has_further_columns(further, tmp_path):
    header = NOVELTY_HEADER.strip() + "".join(f"\t{name}" for name in further)
    cells = "a\t10\t1000\t3\t0.5\t0\t0\t0" + "\t1" * len(further)
    check(NoveltyFormat, f"{header}\n{cells}\n", tmp_path / "novelty.tsv", "max")
    assert refused(NoveltyFormat, f"{header}\textra\n{cells}\t1\n", tmp_path / "novelty.tsv", "max").endswith(
        "reads_ambiguous (and nearest_distance, nearest_percentile, learnt_from, near_copy), separated by tabs."
    )
    if len(further) > 2:
        wrong = f"{header}\n{cells[:-1]}2\n"
        assert refused(NoveltyFormat, wrong, tmp_path / "novelty.tsv", "max") == (
            f"novelty.tsv line 2, sample 'a', column {further[-1]}: 2 is not 0 or 1."
        )


def test_late_rows_are_read_at_level_max_only(tmp_path):
    rows = "".join(f"s{i}\t0\t1\n" for i in range(5))
    text = "SampleID\tlower\tupper\n" + rows + "s5\t1\t0\n"
    check(PredictionIntervalsFormat, text, tmp_path / "x.tsv", "min")
    assert refused(PredictionIntervalsFormat, text, tmp_path / "x.tsv", "max") == (
        "x.tsv line 7, sample 's5': lower (1) is above upper (0). Swap them."
    )


@LEVELS
def test_files_that_are_no_text_are_refused(level, tmp_path):
    sentence = refused(PredictionIntervalsFormat, b"\x89PNG\x00\xff", tmp_path / "x.tsv", level)
    assert sentence.startswith("x.tsv is not a text file of tab-separated values: 'utf-8' codec can't decode")
