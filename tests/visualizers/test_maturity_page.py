"""The page of `show-maturity`: its texts and numbers are those of the artifact, and what is not known is said."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from q2_aam.actions.maturity import maturity
from q2_aam.simulation.cohorts import simulate_cohorts
from q2_aam.visualizers._page import number
from q2_aam.visualizers._samples import some
from q2_aam.visualizers.maturity import show_maturity
from tests.visualizers.pages import (
    assert_works_offline,
    categorical,
    charts_of,
    numeric,
    predictions_of,
    read_page,
    read_table,
)

EVIL = "</script><b onclick=\"alert('x')\">it's</b> & {{ 7*7 }} ümlaut 菌 " + "x" * 240


def made(frame, control="control", groups=True, origin=None):
    """What `maturity` makes of simulated cohorts."""
    artifact = maturity(
        predictions_of(frame["predicted"].to_dict()),
        numeric(frame["true"].to_dict(), "age"),
        categorical(frame["cohort"].to_dict(), "diet"),
        control,
        groups=categorical(frame["subject"].to_dict(), "infant") if groups else None,
    )
    if origin:
        path = artifact.path / "maturity.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"origin": origin}))
    return artifact


def shown(folder, artifact):
    """The page, its charts, the rows that are searched, and what the artifact holds."""
    folder.mkdir(exist_ok=True)
    show_maturity(str(folder), artifact)
    page = read_page(folder)
    tables = (folder / "tables.js").read_text(encoding="utf-8")
    return SimpleNamespace(
        text=page.text,
        tables=page.tables,
        charts=charts_of(folder),
        searched=json.loads(tables.removeprefix("const TABLES = ").rstrip(";\n"))["maturity"]["rows"],
        samples=pd.read_csv(artifact.path / "maturity.tsv", sep="\t"),
        about=json.loads((artifact.path / "maturity.json").read_text()),
        level=re.search(r"alert-(\w+) verdict", (folder / "index.html").read_text())[1],
    )


def rows_of(chart, column):
    """The rows of a chart's data that have a column."""
    return [row for rows in chart["datasets"].values() for row in rows if column in row]


def test_numbers_are_those_of_the_artifact(tmp_path):
    page = shown(tmp_path, made(simulate_cohorts(0), origin="out-of-fold"))
    samples, about = page.samples.set_index("SampleID"), page.about
    late = about["compared"][1]
    known = samples[samples["z"].notna()]
    own = known[known["cohort"] == "control"]
    assert "Is the predicted 'age' what is expected of controls?" in page.text
    assert (
        f"Predictions of 192 samples beside what is expected at their true 'age' by {len(own)} controls of 8 subjects "
        "(diet: control)."
    ) in page.text
    assert late["difference_high"] < 0 and page.level == "success"
    assert (
        "Does late differ from the controls? Yes, it is below. Predicted minus expected age of late "
        f"({late['samples']} samples of 8 subjects) is {number(late['difference'])} on average (95% interval "
        f"{number(late['difference_low'])} to {number(late['difference_high'])}), its z-score {number(late['z'])}. It "
        "need not be the same at all values of age, which stands further below."
    ) in page.text
    inside = (own["z"].abs() <= 1.96).mean()
    assert (
        f"As a check, the z-scores of the {len(own)} controls by such curves: mean {number(own['z'].mean())} (should "
        f"be 0), standard deviation {number(own['z'].std())} (1), between −1.96 and 1.96 {inside:.0%} (95%)."
    ) in page.text
    missing = samples[samples["z"].isna()]
    assert (
        f"Nothing is expected of {some(missing, 'sample')}, outside the range of the controls: "
        f"{', '.join(missing.index)}."
    ) in page.text
    assert "such models can make up for a difference between cohorts, in part" in page.text
    cohorts, ranges, _ = page.tables
    headers = ["Cohort", "Samples", "Subjects", "Predicted − expected", "From", "To", "z-score", "From", "To"]
    assert cohorts[0] == headers and ranges[0] == ["age", *headers]
    keys = ("difference", "difference_low", "difference_high", "z", "z_low", "z_high")
    for row, values in zip(cohorts[1:], about["compared"], strict=True):
        counts = [values["cohort"], str(values["samples"]), str(values["subjects"])]
        assert row == counts + [number(values[key]) for key in keys]
    assert [row[:2] for row in ranges[1:]] == [
        [f"{row['low']:g} to {row['high']:g}", row["cohort"]] for row in about["ranges"]
    ]
    assert [row[4] for row in ranges[1:]] == [number(row["difference"]) for row in about["ranges"]]
    points = {row["sample"]: row["predicted"] for row in rows_of(page.charts["predicted_and_expected"], "predicted")}
    assert points == pytest.approx(samples["predicted"].to_dict())
    line = pd.DataFrame(rows_of(page.charts["predicted_and_expected"], "low"))
    np.testing.assert_allclose(line["high"] - line["expected"], 1.96 * line["spread"])
    np.testing.assert_allclose(line["expected"], [row["expected"] for row in about["curve"]])
    boxes = {row["sample"]: (row["range"], row["z"]) for row in rows_of(page.charts["z_scores"], "range")}
    assert boxes.keys() == set(known.index)
    for sample, (text, z) in boxes.items():
        low, high = map(float, text.split(" to "))
        assert low <= known.loc[sample, "true"] < high and z == pytest.approx(known.loc[sample, "z"])
    assert [row[0] for row in page.searched] == list(samples.index)
    written = read_table(tmp_path, "maturity").set_index("sample")
    np.testing.assert_allclose(written["z"], samples["z"])
    for name in ("predicted_and_expected", "differences", "z_scores", "subjects"):
        assert (tmp_path / f"{name}.png").exists() and (tmp_path / f"{name}.svg").exists()
    assert_works_offline(tmp_path)


def test_one_subject_is_chosen(tmp_path):
    frame = simulate_cohorts(0)
    frame.loc["single"] = ("alone", 12.0, 9.0, "late")
    page = shown(tmp_path, made(frame))
    [picked] = page.charts["subjects"]["params"]
    assert picked["bind"]["options"] == [f"subject {n}" for n in range(16)], "in the order of their numbers"
    assert "PNG and SVG are of the subject subject 0." in page.text
    lines = rows_of(page.charts["subjects"], "subject")
    assert {row["subject"] for row in lines} == set(picked["bind"]["options"])


@pytest.mark.parametrize(
    "delay, others, answer, level",
    [(-6, 8, "Yes, it is above", "success"), (0, 8, "Cannot tell", "warning"), (2, 2, "Cannot tell", "warning")],
)
def test_answers(tmp_path, delay, others, answer, level):
    page = shown(tmp_path, made(simulate_cohorts(0, others=others, delay=delay)))
    assert f"Does late differ from the controls? {answer}." in page.text and page.level == level
    assert ("From so few subjects nothing can be said of the next ones." in page.text) == (others == 2)


def test_several_cohorts(tmp_path):
    frame = simulate_cohorts(0, others=24, delay=0)
    order = frame["subject"].map({f"subject {n}": n for n in range(32)})
    frame.loc[order >= 16, "predicted"] -= 8
    frame.loc[order >= 24, "predicted"] += 16
    frame.loc[order >= 16, "cohort"] = "lower"
    frame.loc[order >= 24, "cohort"] = "higher"
    page = shown(tmp_path, made(frame))
    assert "Yes, it is above: higher. Cannot tell: late. Yes, it is below: lower." in page.text
    chance = "of those that do not differ from the controls one in twenty seems to, by chance."
    assert f"3 cohorts are compared: {chance}" in page.text
    assert [row["cohort"] for row in rows_of(page.charts["differences"], "label")] == ["higher", "late", "lower"]


def test_controls_alone_and_without_subjects(tmp_path):
    frame = simulate_cohorts(0)
    page = shown(tmp_path, made(frame[frame["cohort"] == "control"], groups=False))
    assert "There are controls alone. No other cohort is there to be compared with them." in page.text
    assert "Without groups each sample counts as a subject of its own." in page.text
    assert "differences" not in page.charts and "subjects" not in page.charts
    assert page.tables[0][0][:3] == ["Cohort", "Samples", "Predicted − expected"]


@pytest.mark.parametrize(
    "origin, sentence",
    [
        ("new", "The predictions are of another table than the model was fitted to. Samples that are in both were "),
        ("unknown", "It is not known whether the predictions are out-of-fold. Samples that were learnt from are "),
    ],
)
def test_where_predictions_come_from_is_said_where_it_matters(tmp_path, origin, sentence):
    assert sentence in shown(tmp_path, made(simulate_cohorts(0), origin=origin)).text


def test_a_cohort_of_which_nothing_is_expected_and_a_broken_curve(tmp_path):
    frame = simulate_cohorts(0)
    frame.loc[frame["cohort"] == "late", "true"] += 40
    frame = frame[(frame["cohort"] == "late") | ~frame["true"].between(8, 19)]
    page = shown(tmp_path, made(frame))
    assert "Nothing is expected of any sample of late: none has a true value where there are controls." in page.text
    assert "It is broken where there are too few controls." in page.text
    beyond = page.samples["reason"].value_counts()["outside the range of the controls"]
    assert beyond >= 96 and f"Nothing is expected of {beyond} samples, outside the range of the controls: " in page.text
    assert page.tables[0][2] == ["late", "0", "0", *["–"] * 6]


def test_few_controls_have_one_spread(tmp_path):
    page = shown(tmp_path, made(simulate_cohorts(0, controls=4)))
    assert "it takes 50 samples of 5 subjects): it is taken as the same everywhere." in page.text
    assert "by which z-scores are divided, is one for all values." in page.text


def test_strange_names_and_many_cohorts(tmp_path):
    frame = simulate_cohorts(0, others=30)
    late = frame["cohort"] == "late"
    frame["subject"] = EVIL + frame["subject"]
    frame.loc[late, "cohort"] = EVIL + frame.loc[late, "subject"].str[-2:]
    page = shown(tmp_path, made(frame))
    assert "Shown are the 7 cohorts of the most samples, of 30; the tables have all." in page.text
    assert len(page.charts["predicted_and_expected"]["layer"][1]["encoding"]["color"]["scale"]["domain"]) == 8
    assert "<b onclick" not in (tmp_path / "index.html").read_text()
    assert_works_offline(tmp_path)


def test_many_subjects_are_drawn_in_part(tmp_path, monkeypatch):
    from q2_aam.visualizers import _maturity_sections

    monkeypatch.setattr(_maturity_sections, "MAX_SUBJECTS", 5)
    page = shown(tmp_path, made(simulate_cohorts(0)))
    assert "5 of 16 subjects are drawn at random (seed 0)." in page.text
    assert len(page.charts["subjects"]["params"][0]["bind"]["options"]) == 5
