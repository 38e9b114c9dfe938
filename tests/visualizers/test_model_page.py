"""The page of `summarize-model`: each fact is the model's, and what its file does not tell is said not to be there."""

import json
import shlex
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from q2_aam.encoder.encoder import Encoder
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.heads.linear import LinearHead
from q2_aam.predictor import Predictor
from q2_aam.settings import Fitting
from q2_aam.types import AAMModelDirectoryFormat
from q2_aam.visualizers._page import number
from q2_aam.visualizers._predictor_limits import class_sizes
from q2_aam.visualizers._predictor_scores import trivial_scores
from q2_aam.visualizers.model import summarize_model
from tests.actions.small import tampered
from tests.test_readme import options
from tests.tiny_predictors import encoder, predictor, study
from tests.visualizers.pages import assert_works_offline, read_page

UNKNOWN = "not in the file"
EVIL = "<b onclick=\"alert('x')\">it's</b> & {{ 7*7 }} $(reboot) `id`"


def as_format(model):
    """A model's directory, as an action is given it."""
    directory = AAMModelDirectoryFormat()
    model.save(directory.path)
    directory.validate("max")
    return directory


def shown(model, folder):
    """The page of a model that is in memory, or in a directory."""
    folder.mkdir(exist_ok=True)
    directory = model if isinstance(model, AAMModelDirectoryFormat) else as_format(model)
    summarize_model(str(folder), directory)
    return read_page(folder)


def facts(page):
    """All tables of two columns as one: what, and its value."""
    tables = [rows[1:] for rows in page.tables if rows[0] == ["What", "Value"]]
    return {name: value for rows in tables for name, value in rows}


def table(page, *headers):
    """The rows of the table that has these headings."""
    [rows] = [rows[1:] for rows in page.tables if rows[0] == list(headers)]
    return rows


def held(page):
    """What the file holds, and of how much."""
    return {what: count for what, count, _ in table(page, "What", "How many", "What that means")}


def commands(folder):
    """The commands of a page, as a shell splits them."""
    source = (folder / "index.html").read_text()
    found = [text.split("</pre>")[0].split(">", 1)[1] for text in source.split("<pre")[1:]]
    return [shlex.split(unescape(text).replace("\\\n", " ")) for text in found]


def test_regressor(tmp_path):
    fitted, samples = predictor("ensemble", "numeric"), study("numeric")
    page = shown(fitted, tmp_path)
    values = facts(page)
    assert "What is in this model? (regressor of 'ph')" in page.text
    assert "It predicts the number 'ph' of a sample from its ASVs. It learnt from 30 samples." in page.text
    assert values["Column"] == "ph" and values["Kind"] == "a number"
    assert values["Units"] == "those of the column; the file does not name them"
    assert values["Mean"] == number(float(samples.target.mean()))
    assert values["Standard deviation"] == number(float(samples.target.std(ddof=0)))
    assert values["Covariates that it needs"] == "none"
    depths = samples.depths()
    assert values["Samples"] == "30" and values["Groups"] == "none were given"
    assert values["Reads"] == f"{int(depths.sum()):,}"
    assert values["Reads of a sample"].startswith(f"{int(depths.min()):,} to {int(depths.max()):,} (median ")
    assert values["Distinct ASVs of the table"] == values["ASVs that it learnt from"] == str(len(fitted.seen_asvs))
    assert values["The table held"] == "counts of reads"
    assert values["ASVs read of a sample, at most"] == "1,024"
    assert "Further samples, to pick the best epoch by" not in values
    assert values["Length of the sequences"] == "60 nucleotides, all alike"
    assert values["Region"] == "V4 (or V4-V5), from primer 515F on"
    assert values["They begin (N: they differ)"] == fitted.beginning.usual
    assert fitted.head.describe() in page.text
    assert values["Head"] == "ensemble" and values["Tuned to the column"] == "no"
    assert values["Encoder"] == f"another one (checksum {encoder().description.sha256})"
    assert values["Distances that it has learnt"] == "unweighted UniFrac"
    assert values["Samples that it has read"] == "24"
    assert "Only 30 samples have a value of 'ph'." in page.text
    assert "or trimmed to another length than 60 nucleotides;" in page.text
    assert "Tables that do not hold counts of reads or relative frequencies." in page.text
    far = f"{round(depths.min() / 2):,} or more than {round(depths.max() * 2):,}"
    assert f"Samples of fewer than {far} reads." in page.text
    assert_works_offline(tmp_path)


def test_scores_are_the_models_and_rivals_are_said_not_to_be_there(tmp_path):
    fitted, samples = predictor("linear", "numeric"), study("numeric")
    page = shown(fitted, tmp_path)
    own = regression_scores(samples.target.to_numpy(), fitted.out_of_fold.values.to_numpy())
    rows = {row[0]: row[1:3] for row in table(page, "Score", "Model", "Always the mean", "Meaning")}
    assert rows == {
        "R²": [number(own["r2"]), "0.000"],
        "Mean absolute error": [number(own["mae"]), "–"],
        "Root mean squared error": [number(own["rmse"]), number(float(samples.target.std(ddof=0)))],
        "Spearman correlation": [number(own["spearman"]), "–"],
    }
    assert f"On its own samples: R² {number(own['r2'])}. Always the mean would get 0.000." in page.text
    assert "Each sample was predicted by a model that had not learnt from it" in page.text
    assert "Settings were chosen by these predictions: expect somewhat worse of new samples." in page.text
    assert "Intervals of these scores, and scores of a random forest and other rivals, are not in the file" in page.text


def test_intervals_are_in_the_units_of_the_column(tmp_path):
    fitted = predictor("linear", "numeric")
    values = facts(shown(fitted, tmp_path))
    widths = fitted.out_of_fold.certainty
    half = float((widths["upper"] - widths["lower"]).mean() / 2)
    assert values["Interval, in the units of the column"] == f"prediction ± {number(half)}"
    assert values["Should hold the true value of"] == "90% of new samples of the same kind"
    assert values["Errors that it is by"] == "30"


@pytest.mark.parametrize("transform", ["none", "minmax", "log1p"])
def test_other_transforms(tmp_path, transform):
    samples = study("numeric")
    settings = Fitting(head="linear", target_transform=transform, threads=1)
    fitted = Predictor.fit(encoder(), samples, settings)
    page = shown(fitted, tmp_path)
    values, truth = facts(page), samples.target
    expected = {
        "none": {},
        "minmax": {"Lowest value": truth.min(), "Highest value": truth.max()},
        "log1p": {
            "Mean of log(1 + value)": np.log1p(truth).mean(), "Standard deviation of that": np.log1p(truth).std(ddof=0)
        },
    }  # fmt: skip
    names = {name for each in expected.values() for name in each} | {"Mean", "Standard deviation"}
    assert {name: value for name, value in values.items() if name in names} == {
        name: number(float(value)) for name, value in expected[transform].items()
    }
    lower, upper = (fitted.out_of_fold.certainty[end].iloc[0] for end in ("lower", "upper"))
    width = values["Interval, in the units of the column"]
    if transform == "log1p":
        factor = number(float(np.sqrt((1 + upper) / (1 + lower))))
        assert width == f"1 + prediction, divided by {factor} to times {factor}, less 1"
    else:
        assert width == f"prediction ± {number(float(upper - lower) / 2)}"
    meaning = {what: text for what, _, text in table(page, "What", "How many", "What that means")}["The column 'ph'"]
    assert meaning == {
        "none": "Its name alone.",
        "minmax": "Its lowest value and highest value.",
        "log1p": "Its mean of log(1 + value) and standard deviation of that.",
    }[transform]


def test_groups_of_a_regressor_are_known(tmp_path):
    samples = study("numeric", groups="site")
    fitted = Predictor.fit(encoder(), samples, Fitting(head="linear", threads=1))
    page = shown(fitted, tmp_path)
    assert facts(page)["Groups"] == str(samples.groups.nunique())
    assert ("The groups are too few" in page.text) == (not fitted.calibration.intervals["enough"])


def test_classifier(tmp_path):
    fitted, samples = predictor("kernel", "categorical"), study("categorical")
    page = shown(fitted, tmp_path)
    values, sizes = facts(page), samples.target.value_counts().sort_index()
    assert "What is in this model? (classifier of 'habitat')" in page.text
    assert values["Kind"] == "one of 3 classes"
    assert values["Class that is named"].startswith("the one that stands out if classes count alike")
    assert table(page, "Class", "Samples", "Share") == [
        [name, str(size), f"{size / 30:.3f}"] for name, size in sizes.items()
    ]
    assert values["Groups"] == "none were given"
    assert values["Temperature"] == number(fitted.calibration.temperature)
    own = classification_scores(samples.target, fitted.out_of_fold.values)
    rows = {row[0]: row[1:3] for row in table(page, "Score", "Model", "Always the largest class", "Meaning")}
    names = {"Balanced accuracy": "balanced_accuracy", "Accuracy": "accuracy", "Mean F1": "macro_f1"}
    assert rows == {label: [number(own[name]), number(own["baseline"][name])] for label, name in names.items()}
    assert "Samples of other classes: one of its 3 classes is named of every sample." in page.text
    assert_works_offline(tmp_path)


def test_the_largest_class_scores_as_if_it_had_been_named():
    target = predictor("linear", "categorical").target
    truth = study("categorical").target
    baseline = classification_scores(truth, truth)["baseline"]
    assert trivial_scores(target) == pytest.approx({name: baseline[name] for name in trivial_scores(target)})


def test_covariates(tmp_path):
    both = two_covariates()
    fitted = Predictor.fit(encoder(), both, Fitting(head="kernel", threads=1))
    page = shown(fitted, tmp_path)
    depth = both.covariates["depth"].dropna()
    assert "from its ASVs and 2 covariates." in page.text
    assert facts(page)["Covariates that it needs"] == "habitat, depth"
    assert table(page, "Column", "Kind", "Learnt from", "Missing values") == [
        ["habitat", "category", "forest, grassland, wetland", "read as a category of their own"],
        [
            "depth", "number", f"{number(float(depth.min()))} to {number(float(depth.max()))}",
            f"read as the median, {number(float(depth.median()))}",
        ],
    ]  # fmt: skip
    assert held(page)["Covariates"] == "2"
    assert "how much it holds of each lineage of the encoder, and its covariates." in page.text
    assert "Samples whose covariates are not known, or were measured otherwise." in page.text
    assert "--m-covariates-file" in commands(tmp_path)[0]


def two_covariates():
    """The study with two covariates, one of which some samples lack."""
    samples = study("numeric", covariates=True)
    frame = samples.covariates.assign(depth=np.linspace(-3.5, 20, len(samples)))
    frame.iloc[:2, -1] = np.nan
    return replace(samples, covariates=frame, all_covariates=frame, missing_covariates="impute")


def test_covariates_whose_gaps_are_refused(tmp_path):
    page = shown(predictor("linear", "numeric", True), tmp_path)
    assert table(page, "Column", "Kind", "Learnt from", "Missing values")[0][-1] == "refused"


@pytest.mark.parametrize("head", ["ensemble", "kernel", "trees", "linear"])
def test_what_of_its_samples_the_file_holds(tmp_path, head):
    fitted = predictor(head, "numeric")
    found = held(shown(fitted, tmp_path))
    landmarks, trees = "Landmarks: single samples that it learnt from", "Decision trees"
    assert found.get(landmarks) == ("30" if head in ("ensemble", "kernel") else None)
    assert found.get(trees) == {"ensemble": "14", "trees": "8"}.get(head)
    assert found.get("Single samples") == ("0" if head == "linear" else None)
    assert found.get("Distances of landmarks to the nearest others") == found.get(landmarks)
    assert found["Hashes of the ASVs that it learnt from"] == str(len(fitted.seen_asvs))
    assert found["Hashes of the ASVs that the encoder has read"] == str(len(encoder().seen_asvs))
    assert found["First places of the sequences"] == str(len(fitted.beginning.shares))


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_commands_are_complete(tmp_path, kind):
    shown(predictor("linear", kind), tmp_path)
    predict, evaluate = commands(tmp_path)
    assert_complete(predict, "predict")
    assert_complete(evaluate, "evaluate")
    assert evaluate[evaluate.index("--m-metadata-column") + 1] == {"numeric": "ph", "categorical": "habitat"}[kind]
    assert "--m-covariates-file" not in predict


def assert_complete(words, action):
    known, needed = options(action)
    given = {word for word in words if word.startswith("--")}
    assert words[:3] == ["qiime", "aam", action]
    assert given <= known and all(either & given for either in needed)


def test_ready_encoder(tmp_path):
    ready = Encoder.ready()
    page = shown(ready, tmp_path)
    values, scores = facts(page), ready.description.scores
    r, rmse = (number(scores[f"val/unifrac_{name}"]) for name in ("r", "rmse"))
    assert "What is in this model? (encoder)" in page.text
    assert f"Predicted and exact distances: r {r}, RMSE {rmse}, among samples that it had not learnt from." in page.text
    assert values["Which one"] == "the one that comes with q2-aam (ready-encoder)"
    assert values["Samples"] == "4,023" and values["Studies"] == "22"
    assert values["Further samples, to pick the best epoch by"] == "447"
    assert values["Length of the sequences"] == "150 to 410 nucleotides"
    assert values["Region"].startswith("not in the file; for this encoder see https://")
    assert values["It began with"] == "random weights"
    assert values["ASVs that it has read"] == f"{len(ready.seen_asvs):,}"
    studies = table(page, "Study", "Samples")
    assert len(studies) == 22 and studies[0] == ["bees-umelliferae", "300"]
    named = {row[0]: row[1:] for row in table(page, "Name", "Training samples", "Validation samples")}
    assert named["unifrac_r"] == [number(scores["train/unifrac_r"]), r]
    weights = sum(weight.numel() for weight in ready.network.state_dict().values())
    assert held(page)["Weights of the network"] == f"{weights:,}" and held(page)["Single samples"] == "0"
    [command] = commands(tmp_path)
    assert_complete(command, "fit")
    settings = dict(table(page, "Setting", "Value"))
    assert settings["optimization.learning_rate"] == "0.003" and settings["metric"] == "unweighted"


def test_a_model_with_the_ready_encoder_says_so(tmp_path):
    fitted = predictor("linear", "numeric")
    known = {**fitted.description.encoder, "sha256": Encoder.ready().description.sha256}
    page = shown(replace(fitted, description=replace(fitted.description, encoder=known)), tmp_path)
    assert facts(page)["Encoder"] == "the one that comes with q2-aam (ready-encoder)"


def test_encoder_that_measured_nothing(tmp_path):
    one = encoder()
    bare = replace(one.description, scores={}, settings={}, data={}, encoder={"sha256": "abc"})
    page = shown(replace(one, description=bare), tmp_path)
    values = facts(page)
    assert "How near its distances are to UniFrac is not in the file." in page.text
    assert values["Samples"] == values["Length of the sequences"] == values["Distances"] == UNKNOWN
    assert values["It began with"] == "another one (checksum abc)"
    assert "How well it learnt" not in page.text


@pytest.mark.parametrize("schema_version", [3, 4])
def test_encoder_of_an_earlier_schema(tmp_path, schema_version):
    one = as_format(encoder())
    training = {"sampling": {"token_limit": 77}, "metric": "generalized", "encoder": "0ld"}
    changes = {"training": training} if schema_version < 4 else {}
    data = {"training_samples": 5}
    folder = tampered(one, tmp_path / "old", lambda content: None, schema_version=schema_version, data=data, **changes)
    page = shown(AAMModelDirectoryFormat(folder, "r"), tmp_path / "page")
    values = facts(page)
    assert values["Samples"] == "5" and values["The table held"] == UNKNOWN
    assert values["Length of the sequences"] == UNKNOWN
    if schema_version < 4:
        assert values["ASVs read of a sample, at most"] == "77" and values["Distances"] == "generalized UniFrac"
        assert values["It began with"] == "another one (checksum 0ld)"


def test_a_fitted_model_of_an_earlier_schema_is_refused_in_a_sentence(tmp_path):
    folder = tampered(
        as_format(predictor("linear", "numeric")), tmp_path / "old", lambda content: None, schema_version=4
    )
    with pytest.raises(ValueError, match="^model.json: this regressor was made by an earlier q2-aam"):
        summarize_model(str(tmp_path), AAMModelDirectoryFormat(folder, "r"))


def test_model_from_before_beginnings_and_lengths(tmp_path):
    fitted = predictor("kernel", "categorical")
    old = replace(fitted.description, data={"training_samples": 30, "validation_samples": 0}, encoder=None, scores={})
    page = shown(replace(fitted, beginning=None, neighbours=None, description=old), tmp_path)
    values = facts(page)
    for name in ("Region", "They begin (N: they differ)", "Length of the sequences", "Groups", "The table held"):
        assert values[name] == UNKNOWN, name
    assert values["Encoder"] == values["Predicted and exact distances"] == UNKNOWN
    assert "How its sequences begin" not in page.text and "Reads" not in values
    assert "How good its predictions are is not in the file." in page.text
    assert "trimmed to another length than those that it learnt from;" in page.text
    assert "First places of the sequences" not in held(page)
    assert not (tmp_path / "charts.js").exists()


def test_sizes_of_classes_that_do_not_fit_are_not_told(tmp_path):
    fitted = predictor("linear", "categorical")
    other = replace(fitted.description, data={**fitted.description.data, "training_samples": 31})
    page = shown(replace(fitted, description=other), tmp_path)
    assert [row[0] for row in table(page, "Class", "Share")] == fitted.target.classes
    assert class_sizes(replace(fitted, description=replace(other, data={"training_samples": 10**15}))) is None


@pytest.mark.parametrize("score, level", [(0.5, "info"), (-0.2, "danger")])
def test_fine_tuned_model(tmp_path, score, level):
    fitted = predictor("linear", "numeric")
    data = {**fitted.description.data, "training_samples": 24, "validation_samples": 6}
    scores = {"val/total_loss": 0.1, "validation/r2": score}
    tuned = replace(fitted, description=replace(fitted.description, data=data, scores=scores))
    page = shown(tuned, tmp_path)
    values = facts(page)
    assert values["Samples"] == "24" and values["Further samples, to pick the best epoch by"] == "6"
    assert values["Tuned to the column"] == "yes"
    assert values["Predicted and exact distances, before it was tuned"].startswith("r ")
    assert "Of samples that the weights were not learnt from; the best epoch was picked by them: expect" in page.text
    assert f"alert-{level}" in (tmp_path / "index.html").read_text()
    assert ("It is no better than that." in page.text) == (level == "danger")
    assert [row[0] for row in table(page, "Score", "Model", "Always the mean", "Meaning")] == ["R²"]


def test_names_of_columns_and_classes_stay_text(tmp_path):
    samples = study("categorical", covariates=True)
    target = samples.target.map(lambda name: f"{name}{EVIL}").rename(EVIL)
    frame = samples.covariates.rename(columns=lambda name: f"{name}{EVIL}")
    evil = replace(samples, target=target, covariates=frame, all_covariates=frame)
    fitted = Predictor.fit(encoder(), evil, Fitting(head="linear", threads=1))
    told = {**fitted.description.settings, EVIL: EVIL}
    description = replace(fitted.description, settings=told, versions={EVIL: EVIL}, encoder={"sha256": EVIL})
    page = shown(replace(fitted, description=description), tmp_path)
    source = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<b onclick" not in source and 'onclick="' not in source and EVIL in page.text
    assert facts(page)["Column"] == EVIL and facts(page)[f"Version of {EVIL}"] == EVIL
    assert facts(page)["Encoder"] == f"another one (checksum {EVIL})"
    assert dict(table(page, "Setting", "Value"))[EVIL] == EVIL
    assert [row[0] for row in table(page, "Class", "Samples", "Share")] == fitted.target.classes
    assert table(page, "Column", "Kind", "Learnt from", "Missing values")[0][0] == f"ph{EVIL}"
    evaluate = commands(tmp_path)[1]
    assert evaluate[evaluate.index("--m-metadata-column") + 1] == EVIL, "a shell takes it as one word"


def test_studies_of_an_encoder_stay_text(tmp_path):
    one = encoder()
    data = {**one.description.data, "studies": [{"name": EVIL, "samples": EVIL}, 7, {"other": 1}], "reads": EVIL}
    page = shown(replace(one, description=replace(one.description, data=data)), tmp_path)
    assert table(page, "Study", "Samples")[0] == [EVIL, EVIL] and facts(page)["Reads"] == EVIL
    assert "<b onclick" not in (tmp_path / "index.html").read_text()


def test_300_classes(tmp_path):
    fitted, rng = predictor("linear", "categorical"), np.random.default_rng(0)
    sizes = rng.integers(1, 9, 300)
    classes = [f"class {number:03d}" for number in range(300)]
    weights = (sizes.sum() / (300 * sizes)).tolist()
    target = replace(fitted.target, classes=classes, class_weights=weights)
    width = len(fitted.head.mean)
    head = LinearHead(fitted.head.mean, fitted.head.scale, rng.normal(size=(300, width)), np.zeros(300))
    data = {**fitted.description.data, "training_samples": int(sizes.sum())}
    many = replace(fitted.description, target=target.to_dict(), data=data)
    page = shown(replace(fitted, target=target, head=head, description=many), tmp_path)
    rows = table(page, "Class", "Samples", "Share")
    assert len(rows) == 40 and "260 more rows are in the file." in page.text
    lines = (tmp_path / "classes.tsv").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == [str(size) for size in sizes]
    assert facts(page)["Kind"] == "one of 300 classes"


def test_downloads_and_versions(tmp_path):
    directory = as_format(predictor("linear", "numeric"))
    page = shown(directory, tmp_path)
    described = json.loads((directory.path / "model.json").read_text())
    assert json.loads((tmp_path / "model.json").read_text()) == described
    values = facts(page)
    assert values["Seed"] == "0" and values["Schema of the file"] == "5"
    assert values["Checksum (SHA-256) of best_model.pt"] == described["sha256"]
    for name, version in described["versions"].items():
        assert values[f"Version of {name}"] == version
    assert "./model.json" in page.links


def test_a_damaged_model_is_refused(tmp_path):
    directory = as_format(predictor("linear", "numeric"))
    (directory.path / "best_model.pt").write_bytes(b"no")
    with pytest.raises(ValueError, match="best_model.pt is not the file that model.json describes"):
        summarize_model(str(tmp_path), directory)


def test_presence_alone(tmp_path):
    fitted = predictor("linear", "numeric")
    data = {**fitted.description.data, "values": "presence"}
    page = shown(replace(fitted, description=replace(fitted.description, data=data)), tmp_path)
    assert facts(page)["The table held"] == "presence and absence" and "Reads" not in facts(page)
    assert "Tables that do not hold presence and absence." in page.text
