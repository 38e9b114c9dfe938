"""The interactive pictures: they compile, carry the right data, and stay small."""

import numpy as np
import pandas as pd
import pytest
import vl_convert

from q2_aam.evaluation import charts
from q2_aam.evaluation.metrics import regression_scores


def rows(specification):
    """All rows of data in a specification."""
    return [row for dataset in specification["datasets"].values() for row in dataset]


def marks(specification):
    return [layer["mark"]["type"] for layer in specification["layer"]]


def samples(n=30, **columns):
    random = np.random.default_rng(0)
    truth = random.normal(5, 1, n)
    frame = {
        "sample": [f"S{k}" for k in range(n)],
        "true": truth,
        "predicted": truth + random.normal(0, 0.5, n),
    }
    return pd.DataFrame({**frame, **columns})


def scatter(frame):
    return charts.scatter(frame, "ph", regression_scores(frame["true"], frame["predicted"]))


def test_scatter_draws_every_sample_and_the_lines():
    frame = samples()
    specification = scatter(frame)
    drawn = [row for row in rows(specification) if "sample" in row]
    assert [row["predicted"] for row in drawn] == frame["predicted"].tolist()
    assert marks(specification) == ["line", "circle", "line"]  # 1:1 line, samples, linear fit
    svg = vl_convert.vegalite_to_svg(specification)
    assert "true ph" in svg and "predicted ph" in svg
    slope, intercept = np.polyfit(frame["true"], frame["predicted"], 1)
    ends = [row for row in rows(specification) if "x" in row][-2:]
    assert [row["y"] for row in ends] == pytest.approx([slope * row["x"] + intercept for row in ends])


def test_scatter_draws_intervals_until_they_hide_each_other():
    frame = samples(charts.MAX_INTERVALS)
    frame["lower"], frame["upper"] = frame["predicted"] - 1, frame["predicted"] + 1
    assert "rule" in marks(scatter(frame))
    frame = samples(charts.MAX_INTERVALS + 1)
    frame["lower"], frame["upper"] = frame["predicted"] - 1, frame["predicted"] + 1
    assert "rule" not in marks(scatter(frame))


def test_scatter_takes_more_than_5000_samples_and_leaves_altairs_limit_alone():
    import altair

    before = altair.data_transformers.options
    frame = samples(6000)
    assert sum("sample" in row for row in rows(scatter(frame))) == 6000
    assert altair.data_transformers.options == before


@pytest.mark.parametrize("n_groups, coloured", [(20, True), (21, False)])
def test_scatter_colours_as_many_groups_as_can_be_told_apart(n_groups, coloured):
    frame = samples(42, group=[f"g{k % n_groups}" for k in range(42)])
    colour = scatter(frame)["layer"][1]["encoding"]["color"]
    assert ("field" in colour) == coloured


def test_scatter_of_one_sample_compiles():
    assert "<svg" in vl_convert.vegalite_to_svg(scatter(samples(1)))


def test_error_against_novelty_names_the_target():
    frame = samples(20, unseen_read_share=0.25, absolute_error=1.0)
    assert "absolute error of ph" in vl_convert.vegalite_to_svg(charts.error_against_novelty(frame, "ph"))


def test_group_bars_name_groups_with_their_samples_and_stop_at_forty():
    table = pd.DataFrame({"group": [f"g{k}" for k in range(60)], "mae": np.linspace(2, 1, 60), "samples": 3})
    specification = charts.group_bars(table, "mae", "mean absolute error", 1.5)
    svg = vl_convert.vegalite_to_svg(specification)
    assert "g0 (n = 3)" in svg and "g39 (n = 3)" in svg and "g40" not in svg


def test_training_curve_overlays_parts_and_marks_the_best_epoch():
    history = pd.DataFrame({"epoch": [0, 1, 2], "train/r2": [None, 0.5, 0.6], "val/r2": [0.1, 0.4, 0.3]})
    specification = charts.training_curve(history, {"train/r2": "train", "val/r2": "val"}, best_epoch=1)
    drawn = [(row["part"], row["epoch"], row["value"]) for row in rows(specification) if "part" in row]
    assert drawn == [("train", 1, 0.5), ("train", 2, 0.6), ("val", 0, 0.1), ("val", 1, 0.4), ("val", 2, 0.3)]
    assert marks(specification) == ["line", "rule", "text"]
    assert "best: 1" in vl_convert.vegalite_to_svg(specification)


def test_training_curve_of_one_epoch_shows_its_point():
    history = pd.DataFrame({"epoch": [4], "train/r2": [0.5]})
    specification = charts.training_curve(history, {"train/r2": "train"})
    assert specification["layer"][0]["mark"]["point"]
    assert marks(specification) == ["line"]


def test_nucleotide_shares_are_stacked_by_place():
    shares = np.array([[0.97, 0.01, 0.01, 0.01], [0.1, 0.2, 0.3, 0.4]], dtype=np.float32)
    specification = charts.nucleotide_shares(shares)
    drawn = {(row["place"], row["nucleotide"]): row["share"] for row in rows(specification)}
    assert len(drawn) == 8 and drawn[1, "A"] == pytest.approx(0.97) and drawn[2, "T"] == pytest.approx(0.4)
    assert "place in the sequence" in vl_convert.vegalite_to_svg(specification)
