"""What the benchmarks share. The benchmarks themselves are never run here."""

import importlib
import importlib.util
import sys
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.study.communities import read_communities, read_sequences
from q2_aam.study.unifrac import UniFracDistances

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def script(name):
    """A fixture: one of the scripts, imported as they import one another."""

    @pytest.fixture
    def load(monkeypatch):
        monkeypatch.syspath_prepend(FOLDER)
        yield importlib.import_module(name)
        for other in (path.stem for path in FOLDER.glob("*.py")):
            sys.modules.pop(other, None)

    return load


report, large_survey, scale, skill, step = map(script, ("report", "large_survey", "scale", "skill", "step"))


def ones(megabytes: int) -> float:
    return float(np.ones(megabytes * 2**17).sum())


def fail() -> None:
    raise ValueError("as it should")


def test_a_function_is_measured_in_a_process_of_its_own(report):
    ballast = np.ones(400 * 2**17)  # 400 MB of this process are not those of the other
    small, large = report.measured(ones, 1), report.measured(ones, 200)
    assert (small.value, large.value) == (2**17, 200 * 2**17)
    assert small.peak_mb < 350 and len(ballast)
    assert 190 < large.peak_mb - small.peak_mb < 215
    assert 0 < large.cpu_seconds and 0 < large.seconds
    with pytest.raises(RuntimeError, match="test_benchmarks.fail failed. (.|\n)*ValueError: as it should"):
        report.measured(fail)


def test_a_command_is_measured(report):
    code = "x = bytearray(100 * 2**20)\nfor _ in range(10**6): pass"
    took = report.measured([sys.executable, "-c", code])
    assert took.peak_mb > 100 and took.cpu_seconds > 0 and took.value is None
    with pytest.raises(RuntimeError, match="-c raise SystemExit.3. failed with code 3."):
        report.measured([sys.executable, "-c", "raise SystemExit(3)"])


def test_stages_have_their_own_peaks(report):
    with report.stage() as first:
        ones(200)
    with report.stage() as second:
        ones(20)
    assert first.peak_mb - second.peak_mb > 150


def test_a_section_of_the_page_is_replaced_or_added(report, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- a begin -->\nold\n<!-- a end -->\nkept\n")
    report.write_section("a", "new\n", page)
    report.write_section("b", "first", page)
    report.write_section("b", "second", page)
    assert page.read_text() == (
        "# Title\n<!-- a begin -->\nnew\n<!-- a end -->\nkept\n\n<!-- b begin -->\nsecond\n<!-- b end -->\n"
    )


def test_each_section_has_a_page(report):
    for name, page in report.SECTIONS.items():
        text = (report.PAGES / page).read_text()
        # scores with an encoder that is given were never kept
        assert f"<!-- {name} begin -->" in text or name == "skill-other"


def test_markdown_rounds_to_significant_digits(report):
    rows = [{"samples": 1000, "seconds": 0.012345, "peak": 1234.5, "note": None}]
    assert report.markdown(rows) == (
        "| samples | seconds | peak | note |\n| --- | --- | --- | --- |\n| 1,000 | 0.0123 | 1,234 |  |\n"
    )


def test_no_script_stands_in_the_way_of_a_library():
    """Python looks beside the script first: unifrac.py there would be what `import unifrac` finds."""
    assert [path.stem for path in FOLDER.glob("*.py") if importlib.util.find_spec(path.stem)] == []


def test_large_surveys_grow_as_they_should(large_survey):
    rng = np.random.default_rng(0)
    found = [large_survey.draw_counts(n, rng) for n in (100, 1000)]
    for counts, samples in zip(found, (100, 1000), strict=True):
        assert counts.shape[0] == samples and 180 < counts.nnz / samples < 220
        assert counts.data.min() >= 1 and np.array_equal(counts.data, np.floor(counts.data))
        assert (np.diff(counts.tocsc().indptr) > 0).all()
    # the ASVs as a power of the samples between a half and one: new ones keep coming, ever fewer
    assert 0.5 < np.log10(found[1].shape[1] / found[0].shape[1]) < 0.9


def test_a_large_survey_is_read_from_its_files(large_survey, tmp_path):
    survey, again = large_survey.simulate(30, length=60), large_survey.simulate(30, length=60)
    assert survey.table == again.table and np.array_equal(survey.sequences, again.sequences)
    survey.write(tmp_path)
    table = biom.load_table(str(tmp_path / "table.biom"))
    sequences = read_sequences(tmp_path / "sequences.fasta")
    assert [sequences[i].encode() for i in survey.table.ids("observation")] == survey.sequences.tolist()
    communities = read_communities(table, sequences, max_length=60)
    assert communities.counts.sum() == survey.table.sum() and communities.tokens.shape[1] == 61
    distances = UniFracDistances(table, tmp_path / "tree.nwk")(np.arange(30))
    assert 0.2 < distances[np.triu_indices(30, 1)].min() and distances.max() < 1


def test_neighbours_in_a_large_surveys_tree_have_like_sequences(large_survey):
    survey = large_survey.simulate(20)
    tips = survey.tree.names[survey.tree.tips()]
    assert tips.tolist() == survey.table.ids("observation").tolist()
    letters = np.array([list(sequence) for sequence in survey.sequences])
    apart = [
        (letters[1:] != letters[:-1]).mean(),
        (letters[1:] != np.random.default_rng(0).permutation(letters)[:-1]).mean(),
    ]
    assert apart[0] < 0.6 * apart[1]


def test_growth_is_the_slope_on_log_log_axes(scale):
    assert scale.slope([10, 100, 1000], [3, 300, 30000]) == pytest.approx(2)
    assert scale.slope([10], [3]) is None


def test_scores_of_further_seeds_are_added_to_those_that_are_there(skill, tmp_path, monkeypatch):
    monkeypatch.setattr(skill, "PAGES", tmp_path)
    by = ["study", "seed"]
    assert not len(skill.keep("skill", pd.DataFrame(), by)) and not (tmp_path / "skill.tsv").exists()
    first = pd.DataFrame({"study": ["b", "a"], "seed": [0, 0], "ours": [0.5, 0.25]})
    skill.keep("skill", first, by)
    again = pd.DataFrame({"study": ["a", "a"], "seed": [1, 0], "ours": [0.125, 0.75], "forest": [0.5, 0.5]})
    rows = skill.keep("skill", again, by)
    assert rows["ours"].tolist() == [0.75, 0.125, 0.5] and rows["study"].tolist() == ["a", "a", "b"]
    assert pd.read_csv(tmp_path / "skill.tsv", sep="\t").equals(rows.reset_index(drop=True))
    assert len(skill.keep("skill", pd.DataFrame(), by)) == 3
    rows = skill.keep("skill", again.drop(columns="forest").assign(ours=1), by)
    assert rows["ours"].tolist() == [1, 1, 0.5] and rows["forest"].tolist()[:2] == [0.5, 0.5]


def test_studies_that_nothing_was_chosen_on_have_a_table_and_ranks_of_their_own(skill):
    known = {"study": "soil88-ph", "target": "ph", "seed": 0, "samples": 9, "q2-aam": 0.5, "random forest": 0.6}
    other = {**known, "study": "another", "q2-aam": 0.7}
    unifrac = pd.DataFrame({"study": ["another"], "r": [0.9], "rmse": [0.1], "seed": [0], "fold": [0]})
    text = skill.page({"targets": pd.DataFrame([known, other]), "unifrac": unifrac})
    first, second = text.split("Other studies (`--study`):\n\n")
    # One seed has no spread.
    assert "| soil88-ph | ph | 1 | 0.500 | 0.600 |" in first and "| mean rank |  |  | 2.00 | 1.00 |" in first
    assert "| another | ph |" in second and "| mean rank |  |  | 1.00 | 2.00 |" in second and "0.900" in second
    assert "another" not in first and "soil88-ph" not in second
    alone = skill.page({"targets": pd.DataFrame([known]), "unifrac": pd.DataFrame()})
    assert "Other studies" not in alone


def test_the_table_of_skill_ranks_all_methods_and_shows_what_was_measured_alone(skill):
    rows = [
        {"study": "s", "target": "age", "q2-aam": 0.5, "random forest": 0.6, "covered": 0.9},
        {"study": "s", "target": "kind", "q2-aam": 0.5, "random forest": 0.4, "balanced forest": 0.45},
    ]
    scores = pd.DataFrame([row | {"seed": seed, "samples": 9} for row in rows for seed in (0, 1)])
    scores.loc[3, "q2-aam"] = 0.7
    text = skill.tables({"targets": scores, "unifrac": pd.DataFrame()})
    assert text.splitlines()[2:] == [
        "| s | age | 2 | 0.500 ± 0.000 | 0.600 ± 0.000 |  | 0.900 |  |  |",
        "| s | kind | 2 | 0.600 ± 0.141 | 0.400 ± 0.000 | 0.450 ± 0.000 |  |  |  |",
        # of numbers both forests are one: ranks 3, 1.5 and 1.5
        "| mean rank |  |  | 2.00 | 2.25 | 1.75 |  |  |  |",
        "",
        "q2-aam where it does worst: less the random forest -0.100, less the balanced forest -0.100.",
    ]
    waiting = pd.concat([scores, scores.assign(seed=2, **{"q2-aam": np.nan, "random forest": 0.9})])
    assert skill.tables({"targets": waiting, "unifrac": pd.DataFrame()}) == text
    assert skill.tables({"targets": waiting[waiting["seed"] == 2], "unifrac": pd.DataFrame()}) == ""
    alone = scores.drop(columns=["random forest", "balanced forest"]).assign(**{"random forest": np.nan})
    text = skill.tables({"targets": alone, "unifrac": pd.DataFrame()})
    assert "nan" not in text and "forest" not in text and "worst" not in text
    without = scores[scores["target"] == "age"].drop(columns="balanced forest")
    assert "less the random forest -0.100.\n" in skill.tables({"targets": without, "unifrac": pd.DataFrame()})


def test_a_baseline_that_some_folds_lack_has_no_score(skill, tmp_path):
    """As it is where the folds were begun with `--ours`."""
    for fold in range(skill.FOLDS):
        folder = tmp_path / "study" / "seed-0" / f"fold-{fold}"
        folder.mkdir(parents=True)
        (folder / "facts.json").write_text('{"unifrac": {"r": 0.9, "rmse": 0.1, "samples": 2}}')
        age = pd.DataFrame({"true": [1.0, 2.0], "q2-aam": [1.0, 2.0], "lower": 0.0, "upper": 1.5, "group": ["a", "b"]})
        kind = pd.DataFrame({"true": ["a", "b"], "q2-aam": ["a", "b"], "probability": 0.9, "group": ["a", "b"]})
        for name, frame in (("age", age), ("kind", kind)):
            frame["median" if name == "age" else "largest class"] = frame["true"]
            if fold < 2:
                frame["random forest"] = frame["true"]
            frame.index = pd.Index([f"{fold}-1", f"{fold}-2"], name="sample-id")
            frame.to_csv(folder / f"{name}.tsv", sep="\t")
    rows = skill.collect(tmp_path)["targets"].set_index("target")
    assert "random forest" not in rows
    assert (rows[["q2-aam", "trivial"]] == 1).all(axis=None) and rows.loc["age", "covered"] == 0.5


def test_busy_loops_are_busy_and_end_after_an_error_too(step):
    with pytest.raises(ZeroDivisionError), step.busy_loops(2) as loops:
        assert [loop.poll() for loop in loops] == [None, None]
        raise ZeroDivisionError
    assert [loop.returncode for loop in loops] == [-9, -9]


def test_losses_are_of_the_same_seeds(skill):
    whole = pd.DataFrame(
        {"study": "s", "target": "age", "seed": [0, 1, 2], "q2-aam": [0.5, 0.6, 9], "random forest": [0.4, 0.4, 9]}
    )
    part = whole[whole["seed"] < 2].assign(**{"q2-aam": [0.4, 0.45], "random forest": [0.5, 0.4], "covered": 0.9})
    assert skill.losses(whole, part).splitlines()[2:] == [
        "| study | target | seeds | q2-aam | random forest |",
        "| --- | --- | --- | --- | --- |",
        "| s | age | 2 | +0.125 | -0.050 |",
    ]
    assert skill.losses(whole, part.assign(study="another")) == ""
    waiting = whole.assign(**{"q2-aam": [0.5, np.nan, 9]})
    assert "| s | age | 1 | +0.100 | -0.100 |" in skill.losses(waiting, part)


def test_an_encoder_that_is_not_there_is_refused(skill, tmp_path, capsys):
    """Else it would be pretrained on the first fold, and know samples of the others' tests."""
    with pytest.raises(SystemExit):
        skill.main(["--encoder", str(tmp_path / "none"), "--directory", str(tmp_path / "skill")])
    assert f"{tmp_path / 'none'} is no folder. Give the folder of an encoder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def written_study(folder: Path) -> Path:
    """Files of a study: twelve samples of two classes, one of them in no group."""
    ids = [f"s{number}" for number in range(12)]
    table = biom.Table(np.ones((2, 12)), ["ACGT", "ACGA"], ids)
    with biom.util.biom_open(str(folder / "table.biom"), "w") as handle:
        table.to_hdf5(handle, "test")
    (folder / "sequences.fasta").write_text(">ACGT\nACGT\n>ACGA\nACGA\n")
    (folder / "tree.nwk").write_text("(ACGT:1,ACGA:1);\n")
    places = [*"aabcdefghij", ""]
    rows = [f"{name}\t{number}\t{'xy'[number % 2]}\t{places[number]}" for number, name in enumerate(ids)]
    (folder / "metadata.tsv").write_text("\n".join(["sample-id\tage\tdisease\tplace", *rows]) + "\n")
    return folder


@pytest.mark.parametrize("targets", [["age"], ["disease", "age"], ["age", "disease"]])
@pytest.mark.parametrize("groups", [None, "place"])
def test_folds_of_another_study_hold_whole_groups_of_all_that_are_in_one(skill, tmp_path, groups, targets):
    study = skill.Study(written_study(tmp_path), groups, targets)
    names = [f"s{number}" for number in range(12 if groups is None else 11)]
    assert study.table.ids().tolist() == study.frame.index.tolist() == names
    folds = study.folds(0)
    assert len(folds) == skill.FOLDS
    assert np.sort(np.concatenate([test for _, test in folds])).tolist() == list(range(len(names)))
    members = study.members().to_numpy()
    assert not any(set(members[train]) & set(members[test]) for train, test in folds)
    assert len(set(members)) == (12 if groups is None else 10)
