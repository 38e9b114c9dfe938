"""The page of `show-importance`: its texts and numbers are those of the artifacts, and what is not known is said."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.framework import qiime2
from q2_aam.types import AAMEffectsDirectoryFormat
from q2_aam.visualizers._clade_tree import drawn_tree
from q2_aam.visualizers._explanation import match_explanation
from q2_aam.visualizers._feature_names import different, short_name
from q2_aam.visualizers._page import number
from q2_aam.visualizers._single_samples import steps
from q2_aam.visualizers.importance import show_importance
from tests.visualizers.pages import assert_works_offline, charts_of, read_page, read_table, rows_of

EVIL = "</script><b onclick=\"alert('x')\">it's</b> & {{ 7*7 }} ümlaut 菌 " + "x" * 240
REMOVED = (0, 1, 2, 5, 10, 20)


def trust_of(tops=(0.5, 0.4, 0.3, 0.2, 0.1, 0.0), overlap=0.6, by_chance=0.3, metric="r2", removed=REMOVED):
    """Trust as `explain` writes it; random removals leave 0.5, of 0.45 to 0.52."""
    rows = [
        {"removed": count, "top": top, "random": 0.5, "random_low": 0.45, "random_high": 0.52, "top_reads": 0.3,
         "random_reads": 0.25}
        for count, top in zip(removed, tops, strict=True)
    ]
    stability = {"top": 20, "overlap": overlap, "by_chance": by_chance}
    trivial = 0.0 if metric == "r2" else 0.5
    about = {"folds": 5, "metric": metric, "score": tops[0], "trivial": trivial}
    return {**about, "stability": stability, "deletion": rows}


def made(names, samples=12, classes=(), seed=0, **about):
    """Importance and effects of made-up features, each held by about half of the samples; the first matters most."""
    rng = np.random.default_rng(seed)
    sizes = np.linspace(1, 0.1, len(names))
    effects = rng.normal(size=(samples, len(names))) * sizes * (rng.random((samples, len(names))) < 0.5)
    effects[0] = sizes
    ids = [f"S{number}" for number in range(samples)]
    held = (effects != 0).sum(0)
    columns = {"importance": np.abs(effects).mean(0)}
    if about.get("trust"):
        columns["spread"] = sizes / 7
    if classes:
        columns |= {f"effect_{name}": effects.sum(0) / held * (-1) ** n for n, name in enumerate(classes)}
    else:
        columns["effect"] = effects.sum(0) / held
    importance = pd.DataFrame({**columns, "samples": held.astype(float)}, index=pd.Index(names, name="id"))
    importance = importance.sort_values("importance", ascending=False)
    frame = pd.DataFrame(effects, ids, names)[list(importance.index)]
    frame.insert(0, "prediction", rng.uniform(0.4, 1, samples) if classes else rng.uniform(4, 9, samples))
    explanation = {
        "schema_version": 1,
        "target": {"name": "ph", "kind": "categorical" if classes else "numeric", "classes": list(classes)},
        "samples": samples, "of_samples": samples, "alone": 0, "groups": None, "trust": None, "notes": [], **about,
    }  # fmt: skip
    directory = AAMEffectsDirectoryFormat()
    directory.effects.write_data(frame, pd.DataFrame)
    (directory.path / "explanation.json").write_text(json.dumps(explanation), encoding="utf-8")
    directory.validate("max")
    return importance, directory, frame


def metadata(**columns):
    """Feature metadata, a column a dict of texts or numbers by feature."""
    return qiime2.Metadata(pd.DataFrame(columns).rename_axis("feature-id"))


def shown(folder, given, **more):
    """The page, the script that draws it, and the table that is searched."""
    folder.mkdir(exist_ok=True)
    show_importance(str(folder), given[0], given[1], **more)
    page = read_page(folder)
    script = (folder / "tables.js").read_text(encoding="utf-8")
    tables = json.loads(script.removeprefix("const TABLES = ").rstrip(";\n"))
    return SimpleNamespace(text=page.text, tables=page.tables, charts=charts_of(folder), searched=tables["importance"])


NAMES = [f"asv{number}" for number in range(4)]


def test_numbers_are_those_of_the_artifacts(tmp_path):
    given = made(NAMES)
    page = shown(tmp_path, given)
    importance = given[0]
    assert "Which microbes do predictions of 'ph' rest on?" in page.text
    assert "4 ASVs in 12 samples: each left each sample that holds it" in page.text
    header, *rows = page.tables[0]
    assert header == ["Name", "Importance", "Effect", "Samples", "Feature"]
    assert rows == [
        [name, number(row["importance"]), number(row["effect"]), str(int(row["samples"])), name]
        for name, row in importance.iterrows()
    ]
    assert [[cell[0] if isinstance(cell, list) else cell for cell in row] for row in page.searched["rows"]] == rows
    assert [row[1][1] for row in page.searched["rows"]] == list(importance["importance"])
    written = read_table(tmp_path, "importance").set_index("feature")
    np.testing.assert_allclose(written[importance.columns], importance)
    np.testing.assert_allclose(written["prevalence"], importance["samples"] / 12)
    bars = rows_of(page.charts["importance_bars"], "direction")
    assert {row["label"]: row["direction"] for row in bars} == {
        name: "higher" if effect > 0 else "lower" for name, effect in importance["effect"].items()
    }
    assert (tmp_path / "effects.tsv").read_bytes() == (given[1].path / "effects.tsv").read_bytes()
    for name in ("importance_bars", "beeswarm", "heatmap", "waterfall"):
        assert (tmp_path / f"{name}.png").exists() and (tmp_path / f"{name}.svg").exists()
    assert_works_offline(tmp_path)


def test_single_samples(tmp_path):
    given = made(NAMES)
    page, frame = shown(tmp_path, given), given[2]
    held = {
        (sample, name): effect
        for sample, row in frame.drop(columns="prediction").iterrows()
        for name, effect in row.items()
        if effect
    }
    for chart in ("beeswarm", "heatmap"):
        cells = {(row["sample"], row["label"]): row["effect"] for row in rows_of(page.charts[chart], "label")}
        assert cells.keys() == held.keys()
        np.testing.assert_allclose(list(cells.values()), [held[key] for key in cells], rtol=1e-5)
    places = {row["sample"]: row["place"] for row in rows_of(page.charts["heatmap"], "place")}
    order = list(frame["prediction"].sort_values().index)
    assert all(order[place] == sample for sample, place in places.items())
    low, high = (number(float(frame["prediction"].agg(which))) for which in ("min", "max"))
    assert f"Predictions go from {low} to {high}." in page.text
    for sample, bars in pd.DataFrame(rows_of(page.charts["waterfall"], "place")).groupby("sample"):
        bars = bars.sort_values("place")
        assert bars["end"].iloc[0] == pytest.approx(frame.loc[sample, "prediction"], rel=1e-5)
        np.testing.assert_allclose(bars["end"].iloc[1:], bars["start"].iloc[:-1])
        # Pictures have nine digits.
        np.testing.assert_allclose(bars["end"] - bars["start"], bars["effect"], atol=1e-6)
        whole = frame.loc[sample, "prediction"] - frame.loc[sample].iloc[1:].sum()
        assert bars["start"].iloc[-1] == pytest.approx(whole, rel=1e-4, abs=1e-5)


def test_the_rest_of_a_sample_is_one_bar():
    effects = pd.DataFrame([np.arange(20.0, 0, -1), np.zeros(20)], ["one", "none"])
    frame = pd.DataFrame({"label": [f"f{n}" for n in range(20)]})
    prediction = pd.Series([3.0, 4.0], effects.index)
    bars = steps(SimpleNamespace(frame=frame, effects=effects, prediction=prediction), ["one", "none"])
    one, none = (bars[bars["sample"] == sample] for sample in ("one", "none"))
    assert list(one["label"]) == [*(f"f{n}" for n in range(12)), "8 others"]
    assert one["effect"].iloc[-1] == 36 and one["start"].iloc[-1] == 3 - 210
    assert none[["label", "start", "end"]].values.tolist() == [["0 others", 4.0, 4.0]]


def test_without_true_values_it_is_not_known_how_far_it_can_be_trusted(tmp_path):
    page = shown(tmp_path, made(NAMES))
    assert (
        "It is not known how far this can be trusted. explain was given no true values. With its parameter metadata "
        "(--m-metadata-file and --m-metadata-column, the column that the model predicts) it fits"
    ) in page.text
    assert "alert-warning verdict" in (tmp_path / "index.html").read_text()
    assert "Deletion curve" not in page.text and "deletion" not in page.charts and "spread" not in page.text


def test_trust(tmp_path):
    page = shown(tmp_path, made(NAMES, trust=trust_of()))
    told = (
        "Predictions rest on the most important ASVs: without the 20 most important ones of each fold (30% of the "
        "reads) R² goes from 0.500 to 0.000, without as many random ones of like prevalence and abundance (25% of the "
        "reads) to 0.500 (0.450 to 0.520)."
    )
    stable = (
        "The ranks are more stable than by chance: of the 20 most important ones of a fold 60% are among those of "
        "another one, of models that learnt from permuted values 30%."
    )
    assert f"This passes the checks of trust. {told} {stable}" in page.text
    assert page.text.count(told) == 2, "at the top, and beside the curve"
    assert "alert-success verdict" in (tmp_path / "index.html").read_text()
    assert page.tables[0][0][:3] == ["Name", "Importance", "Spread"]
    assert len(rows_of(page.charts["deletion"], "kind")) == 2 * len(REMOVED)
    assert list(read_table(tmp_path, "deletion")["top"]) == [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert_works_offline(tmp_path)


@pytest.mark.parametrize("overlap", [0.3, 0.2])
def test_at_or_below_chance_no_single_one_should_be_believed(tmp_path, overlap):
    page = shown(tmp_path, made(NAMES, trust=trust_of(overlap=overlap)))
    assert (
        f"No single ASV should be believed: of the 20 most important ones of a fold {overlap:.0%} are among those of "
        "another one, of models that learnt from permuted values 30%."
    ) in page.text
    assert "This cannot be trusted far." in page.text and "alert-danger" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("values", [{"overlap": 0.39}, {"overlap": None, "by_chance": None}])
def test_hardly_more_than_chance_and_unknown_stability(tmp_path, values):
    page = shown(tmp_path, made(NAMES, trust=trust_of(**values)))
    assert "This can be trusted in part." in page.text
    said = "The ranks are hardly more stable than by chance; a single ASV says little: of the 20"
    if values["overlap"] is None:
        said = "How stable the ranks are is not known: there are fewer than 40 ASVs, or values cannot be permuted."
    assert said in page.text


@pytest.mark.parametrize(
    "tops, costly",
    [
        ((0.5, 0.1, 0.1, 0.45, 0.5, 0.6), False),
        ((0.5, 0.5, 0.5, 0.5, 0.5, 0.44), True),
        # Judged by what is told, the 20: the best of several would be below by chance twice as often.
        ((0.5, 0.5, 0.5, 0.44, 0.5, 0.5), False),
    ],
)
def test_removal_that_costs_no_more_than_that_of_random_ones(tmp_path, tops, costly):
    page = shown(tmp_path, made(NAMES, trust=trust_of(tops)))
    plain = "Removal of the most important ASVs costs no more than that of random ones, so that predictions do not rest"
    assert (plain in page.text) != costly and ("This cannot be trusted far." in page.text) != costly


def test_samples_by_their_true_values(tmp_path):
    """Numbers in order, equal ones by their prediction, those of which nothing is known at the end."""
    truth = {f"S{n}": float(n // 4) for n in range(11)}
    given = made(NAMES, true_values=truth)
    page, prediction = shown(tmp_path, given), given[2]["prediction"]
    order = sorted(prediction.index, key=lambda name: (truth.get(name, 9), prediction[name]))
    rows = rows_of(page.charts["heatmap"], "place")
    assert all(order[row["place"]] == row["sample"] for row in rows) and order[-1] == "S11"
    assert all(row["true"] == truth.get(row["sample"]) for row in rows)
    assert "Samples by their true ph" in page.text and "1 sample without one is at the end." in page.text


def test_samples_by_their_true_classes(tmp_path):
    truth = {f"S{n}": "ba"[n % 2] for n in range(12)}
    page = shown(tmp_path, made(NAMES, classes=("a", "b"), true_values=truth))
    places = {row["sample"]: row["place"] for row in rows_of(page.charts["heatmap"], "effect")}
    assert all((places[name] >= 6) == (truth[name] == "b") for name in places)
    assert [(row["place"], row["short"]) for row in rows_of(page.charts["heatmap"], "short")] == [(0, "a"), (6, "b")]
    assert "without one" not in page.text


def test_few_features_are_judged_by_what_was_removed(tmp_path):
    page = shown(tmp_path / "two", made(NAMES, trust=trust_of((0.5, 0.4, 0.3), removed=(0, 1, 2))))
    assert "without the 2 most important ones of each fold (30% of the reads) R² goes from 0.500 to 0.300" in page.text
    page = shown(tmp_path / "none", made(NAMES, trust=trust_of((0.5,), removed=(0,))))
    assert "There are too few ASVs to remove some of them." in page.text


@pytest.mark.parametrize("classes, score, bad", [((), -0.1, True), (("a", "b"), 0.5, True), (("a", "b"), 0.6, False)])
def test_a_model_without_skill(tmp_path, classes, score, bad):
    trust = trust_of((score, *[-1] * 5), metric="balanced_accuracy" if classes else "r2")
    page = shown(tmp_path, made(NAMES, classes=classes, trust=trust))
    assert ("predict no better than an answer that looks at no sample" in page.text) == bad
    assert ("balanced accuracy goes from" in page.text) == bool(classes)


def test_classes(tmp_path):
    classes = ["forest", "meadow", "it's \"odd\""]
    given = made(NAMES, classes=classes)
    page = shown(tmp_path, given)
    assert page.tables[0][0] == ["Name", "Importance", *(f"Effect ({name})" for name in classes), "Samples", "Feature"]
    chart = page.charts["importance_bars"]
    [picked] = chart["params"]
    assert picked["bind"]["options"] == classes and picked["value"] == "forest"
    found = {(row["label"], row["class"]): row["direction"] for row in rows_of(chart, "direction")}
    assert len(found) == 12
    for (name, label), direction in found.items():
        assert direction == ("higher" if given[0].loc[name, f"effect_{label}"] > 0 else "lower")
    assert "Effects are on the probability of the class that is the likeliest in that sample" in page.text
    assert "PNG and SVG are of 'forest'." in page.text


def of_all_classes(given, classes):
    """The same effects with those on all classes: on class number n what is on the likeliest, n times."""
    _, directory, frame = given
    rng = np.random.default_rng(4)
    probabilities = pd.DataFrame(rng.dirichlet(np.ones(len(classes)), len(frame)), frame.index, list(classes))
    effects = frame.drop(columns="prediction").stack()
    effects = effects[effects != 0]
    rows = pd.DataFrame(list(effects.index), columns=["sample-id", "feature-id"])
    for place, name in enumerate(classes):
        rows[name] = effects.to_numpy() * place
    directory.probabilities.write_data(probabilities, pd.DataFrame)
    rows.to_csv(directory.path / "class-effects.tsv", sep="\t", index=False, quoting=3)
    directory.validate("max")
    return probabilities


def test_effects_on_any_class(tmp_path):
    classes = ["forest", "meadow", "it's \"odd\""]
    given = made(NAMES, classes=classes)
    probabilities = of_all_classes(given, classes)
    page, frame = shown(tmp_path, given), given[2]
    likeliest = "the likeliest class of each sample"
    for chart in ("beeswarm", "heatmap", "waterfall"):
        params = {param["name"]: param for param in page.charts[chart]["params"]}
        assert params["of"]["bind"]["options"] == [likeliest, *classes] and params["of"]["value"] == likeliest
    cells = pd.DataFrame(rows_of(page.charts["heatmap"], "class"))
    for times, name in enumerate(classes):
        part = cells[cells["class"] == name]
        assert len(part) == (0 if times == 0 else (frame.drop(columns="prediction") != 0).sum().sum())
        expected = [times * frame.loc[sample, f] for sample, f in zip(part["sample"], part["label"], strict=True)]
        np.testing.assert_allclose(part["effect"], expected, rtol=1e-5)
        order = probabilities[name].sort_values().index
        assert all(order[place] == sample for place, sample in zip(part["place"], part["sample"], strict=True))
    bars = pd.DataFrame(rows_of(page.charts["waterfall"], "class"))
    ends = bars[bars["place"] == 0].set_index(["class", "sample"])["end"]
    for name in classes:
        np.testing.assert_allclose(ends[name][probabilities.index], probabilities[name], rtol=1e-5)
    for name in ("probabilities.tsv", "class-effects.tsv"):
        assert (tmp_path / name).read_bytes() == (given[1].path / name).read_bytes()
    assert "PNG and SVG are of the likeliest class of each sample." in page.text
    assert_works_offline(tmp_path)


def test_of_many_classes_the_likeliest_can_be_chosen(tmp_path):
    classes = [f"class {n}" for n in range(40)]
    given = made(NAMES, samples=30, classes=classes)
    probabilities = of_all_classes(given, classes)
    page = shown(tmp_path, given)
    [params] = [p for p in page.charts["beeswarm"]["params"] if p["name"] == "of"]
    counts = probabilities.idxmax(axis=1).value_counts()
    chosen = params["bind"]["options"][1:]
    assert len(chosen) == 6 and counts[chosen].min() >= counts.drop(chosen).max()
    assert "34 more classes are in the file alone." in page.text


CLADES = "((('asv0':1,'asv4':2)'clade-2':1,'asv1':1)'clade-1':1,('asv2':1,'asv3':3)'clade-6':2)'clade-0';"


def of_clades(names=("clade-2", "asv1", "asv2", "asv3", "elsewhere"), kind="phylogeny"):
    """An explanation of clades of a tree of five ASVs; one ASV is not in it."""
    given = made(list(names), groups={"tree": kind})
    given[0]["asvs"] = [2.0 if name == "clade-2" else 1.0 for name in given[0].index]
    members = {"asv0": "clade-2", "asv4": "clade-2"} | {name: name for name in names if name != "clade-2"}
    rows = "".join(f"{feature}\t{clade}\n" for feature, clade in members.items())
    (given[1].path / "members.tsv").write_text("feature-id\tclade\n" + rows)
    (given[1].path / "tree.nwk").write_text(CLADES)
    given[1].validate("max")
    return given


def test_clades_in_their_tree(tmp_path):
    given = of_clades()
    taxa = {"asv0": "k__B; g__Blautia; s__one", "asv4": "k__B; g__Blautia; s__two", "asv1": "k__B; g__Dorea"}
    page = shown(tmp_path, given, feature_metadata=metadata(Taxon=pd.Series(taxa)))
    assert "5 clades in 12 samples: each left each sample" in page.text
    assert "4 of the clades are single ASVs. A clade of several stands for them where they" in page.text
    header, *rows = page.tables[0]
    assert header == ["Name", "Importance", "Effect", "Samples", "ASVs", "Taxon", "Clade or feature"]
    names = {row[-1]: row for row in rows}
    assert names["clade-2"][0] == "Blautia (2 ASVs)" and names["clade-2"][4:6] == ["2", "k__B; g__Blautia"]
    assert names["asv1"][0] == "Dorea" and names["asv2"][0] == "asv2"
    drawn = {row["feature"] for row in rows_of(page.charts["tree"], "feature")}
    assert drawn == {"clade-2", "asv1", "asv2", "asv3"}
    for name in ("members.tsv", "tree.nwk"):
        assert (tmp_path / name).read_bytes() == (given[1].path / name).read_bytes()
    assert_works_offline(tmp_path)


def test_what_is_inside_a_clade_or_leads_to_nothing_important_is_not_drawn():
    importance, directory, _ = of_clades()
    explanation = match_explanation(importance, directory)
    explanation.frame["label"] = explanation.frame.index
    tips, branches, forks = drawn_tree(explanation, 25)
    places = {tip["feature"]: (tip["x"], tip["y"]) for tip in tips.to_dict("records")}
    assert places == {"clade-2": (2, 0), "asv1": (2, 1), "asv2": (3, 2), "asv3": (5, 3)}
    assert sorted(branches.values.tolist()) == [
        [0, 1, 0.5], [0, 2, 2.5], [1, 2, 0], [1, 2, 1], [2, 3, 2], [2, 5, 3],
    ]  # fmt: skip
    assert sorted(forks.values.tolist()) == [[0, 0.5, 2.5], [1, 0, 1], [2, 2, 3]]
    order = [name for name in explanation.frame.index if name != "elsewhere"]
    tips, branches, _ = drawn_tree(explanation, 2 + ("elsewhere" in explanation.frame.index[:2]))
    assert set(tips["feature"]) <= set(order) and len(tips) >= 2 and len(branches) <= 5


def test_clusters_are_called_so(tmp_path):
    page = shown(tmp_path, of_clades(kind="clusters"))
    assert "5 clusters in 12 samples" in page.text and "The encoder's tree of sequences, cut to the most" in page.text


def test_many_classes(tmp_path):
    page = shown(tmp_path, made(NAMES, classes=[f"class {n}" for n in range(40)]))
    assert "Effects on the first 6 of 40 classes are shown; the file has all." in page.text
    assert len(page.tables[0][0]) == 10
    assert "effect_class 39" in read_table(tmp_path, "importance")


def test_names_of_a_taxonomy_and_sequences(tmp_path):
    given = made(NAMES)
    order = list(given[0].index)
    taxa = ["k__B; g__Blautia; s__", "k__B; g__Blautia; s__", "k__B; g__Prevotella; s__copri"]
    fasta = DNAFASTAFormat()
    fasta.path.write_text("".join(f">{name}\nACGT{'A' * n}\n" for n, name in enumerate(order[:3])))
    given_metadata = metadata(
        Other=pd.Series("x", order), Taxon=pd.Series(taxa, order[:3]).reindex(order), size=pd.Series(1.0, order)
    )
    page = shown(tmp_path, given, feature_metadata=given_metadata, sequences=fasta)
    header, *rows = page.tables[0]
    assert header == ["Name", "Importance", "Effect", "Samples", "Taxon", "Sequence", "Feature"]
    assert [row[0] for row in rows] == ["Blautia #1", "Blautia #2", "Prevotella copri", order[3]]
    assert [row[4] for row in rows] == [*taxa, ""] and [row[5] for row in rows] == ["ACGT", "ACGTA", "ACGTAA", ""]
    assert "feature_metadata names no Taxon of 1 of 4 ASVs." in page.text
    assert "The sequences hold none of 1 of 4 ASVs." in page.text
    assert page.searched["copied"] == [5, 6]
    details = rows_of(page.charts["importance_bars"], "sequence")
    assert {row["sequence"] for row in details} == {"ACGT", "ACGTA", "ACGTAA", ""}


def test_the_first_categorical_column_names_where_there_is_no_taxon(tmp_path):
    given = made(NAMES)
    names = pd.Series([f"name of {name}" for name in NAMES], NAMES)
    page = shown(tmp_path, given, feature_metadata=metadata(size=pd.Series(1.0, NAMES), name=names))
    assert [row[0] for row in page.tables[0][1:]] == [f"name of {name}" for name in given[0].index]
    with pytest.raises(ValueError, match="^feature_metadata has no categorical column to name the features by; it has"):
        shown(tmp_path, given, feature_metadata=metadata(size=pd.Series(1.0, NAMES)))
    with pytest.raises(ValueError, match="^None of the features is in feature_metadata. The features are called asv"):
        shown(tmp_path, given, feature_metadata=metadata(Taxon=pd.Series("x", ["other"])))


@pytest.mark.parametrize(
    "text, name",
    [
        ("d__Bacteria;p__Firmicutes;g__Roseburia;s__uncultured_bacterium", "Roseburia"),
        ("k__B; g__Prevotella; s__copri", "Prevotella copri"),
        ("k__B; g__Prevotella; s__Prevotella_copri", "Prevotella_copri"),
        ("k__B; f__Lachnospiraceae; g__; s__", "Lachnospiraceae"),
        ("Unassigned", "Unassigned"),
        ("Bacteria;Firmicutes;uncultured", "Firmicutes"),
        (" ; ", ";"),
        ("x" * 300, f"{'x' * 13}…{'x' * 14}"),
    ],
)
def test_short_names(text, name):
    assert short_name(text) == name


def test_names_differ():
    assert different(["a", "b", "a", "a #1"]) == ["a #2", "b", "a #3", "a #1"]
    assert len(set(different(["x"] * 5000))) == 5000


def test_sequences_that_are_the_names(tmp_path):
    names = [letter * 40 for letter in "ACGT"]
    page = shown(tmp_path, made(names))
    assert "Sequence" in page.tables[0][0] and {row[-2] for row in page.tables[0][1:]} == set(names)


def test_groups_of_features(tmp_path):
    names = ["k__B; p__0; g__Blautia", "k__B; p__0; g__Roseburia", "k__B; p__1"]
    given = made(names, groups={"column": "Taxon", "level": 6}, trust=trust_of(overlap=0.1))
    taxonomy = metadata(Taxon=pd.Series("k__B", ["asv0", "asv1"]))
    page = shown(tmp_path, given, feature_metadata=taxonomy)
    assert "3 groups in 12 samples" in page.text and "No single group should be believed" in page.text
    assert {row[0] for row in page.tables[0][1:]} == {"Blautia", "Roseburia", "1"}
    assert page.tables[0][0][-1] == "Group" and "The most important groups" in page.text


@pytest.mark.parametrize("classes", [(), (EVIL, "b")])
def test_names_stay_text(tmp_path, classes):
    names = [f"{EVIL}{number}" for number in range(3)]
    target = {"name": EVIL, "kind": "categorical" if classes else "numeric", "classes": list(classes)}
    trust = trust_of(metric=EVIL)
    given = made(names, classes=classes, target=target, trust=trust)
    taxa = pd.Series([f"{name}; g__<i>{n}</i>" for n, name in enumerate(names)], names)
    page = shown(tmp_path, given, feature_metadata=metadata(Taxon=taxa))
    source = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<b onclick" not in source and "<i>" not in source and "<script>" not in source
    assert EVIL in page.text and {row[-1] for row in page.tables[0][1:]} == set(names)
    assert {row[-1] for row in page.searched["rows"]} == set(names)
    assert "{{ 7*7 }}" in page.text
    for svg in tmp_path.glob("*.svg"):
        assert "<b onclick" not in svg.read_text(encoding="utf-8")
    assert_works_offline(tmp_path)


def test_one_feature_and_one_sample(tmp_path):
    page = shown(tmp_path, made(["only"], samples=1))
    assert "1 ASV in 1 sample" in page.text and len(page.tables[0]) == 2
    assert "PNG and SVG are of the sample S0." in page.text


def test_of_many_features_the_effects_of_the_first_500_are_there(tmp_path):
    importance, directory, frame = made([f"f{n}" for n in range(520)], samples=8)
    directory.effects.write_data(frame.iloc[:, :501], pd.DataFrame)
    page = shown(tmp_path / "kept", (importance, directory))
    assert len(page.searched["rows"]) == 520
    directory.effects.write_data(frame.drop(columns=importance.index[3]).iloc[:, :501], pd.DataFrame)
    with pytest.raises(ValueError, match="not of the same explanation"):
        shown(tmp_path / "other", (importance, directory))


def test_5000_features_and_many_samples(tmp_path):
    names = [f"asv{number:05d}" for number in range(5010)]
    page = shown(tmp_path, made(names, samples=620))
    assert len(page.tables[0]) == 41 and len(page.searched["rows"]) == 5000
    assert "10 more rows are in the file alone, and are not searched." in page.text
    assert len(read_table(tmp_path, "importance")) == 5010
    swarm = pd.DataFrame(rows_of(page.charts["beeswarm"], "lane"))
    assert swarm["label"].nunique() == 20 and swarm.groupby("label").size().max() == 300
    assert "Of those that more samples hold, 300 are drawn at random (seed 0)." in page.text
    cells = pd.DataFrame(rows_of(page.charts["heatmap"], "place"))
    assert cells["label"].nunique() == 30 and cells["sample"].nunique() == 300
    assert "300 of 620 samples are drawn at random (seed 0)." in page.text
    bars = pd.DataFrame(rows_of(page.charts["waterfall"], "place"))
    assert bars["sample"].nunique() == 500 and bars.groupby("sample").size().max() == 13
    assert "500 of 620 samples, drawn at random (seed 0); effects.tsv has all." in page.text
    assert sum(path.stat().st_size for path in tmp_path.glob("*s.js")) < 6e6


def test_a_part_of_the_samples_is_said(tmp_path):
    page = shown(tmp_path, made(NAMES, of_samples=700, alone=2))
    assert "Of the 700 samples, 12 drawn at random were explained (the parameter most_read of explain sets" in page.text
    assert "2 samples held nothing but one ASV, which could not leave." in page.text


def test_parts_of_different_explanations_are_refused(tmp_path):
    given = made(NAMES)
    advice = "Give the importance and the effects that the same run of explain made."
    with pytest.raises(ValueError, match=re.escape(
        "The importance and the effects are not of the same explanation. The importance is not of asv0, the effects "
        f"are not of new. {advice}"
    )):  # fmt: skip
        shown(tmp_path, (given[0].rename(index={"asv0": "new"}), given[1]))
    with pytest.raises(ValueError, match=re.escape("The effects are not of new.")):
        shown(tmp_path, (pd.concat([given[0], given[0].head(1).set_axis(["new"])]), given[1]))
    with pytest.raises(ValueError, match="The importance lacks the columns effect, which explain makes for the column"):
        shown(tmp_path, (made(NAMES, classes=["a", "b"])[0], given[1]))
    with pytest.raises(ValueError, match="The importance lacks the columns effect_a, effect_b, which explain makes"):
        shown(tmp_path, (given[0], made(NAMES, classes=["a", "b"])[1]))
    with pytest.raises(ValueError, match="importance is the mean size of the effects, but not of asv"):
        shown(tmp_path, (made(NAMES, seed=1)[0], given[1]))


def test_notes_of_the_explanation_are_on_the_page(tmp_path):
    failed = "How far the explanation can be trusted could not be measured: A fold cannot be fitted."
    page = shown(tmp_path / "failed", made(NAMES, notes=[failed]))
    assert f"It is not known how far this can be trusted. {failed}" in page.text
    assert "was given no true values" not in page.text
    page = shown(tmp_path / "groups", made(NAMES, trust=trust_of(), notes=["No groups were given."]))
    assert "No groups were given." in page.text
