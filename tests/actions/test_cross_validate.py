"""The pipeline by itself, its actions played by stand-ins: which arguments they get, and what becomes of results."""

import biom
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from q2_aam.framework import Artifact, qiime2
from q2_aam.plugin_setup import plugin

from .small import told
from .stand_ins import FEATURES, IDS, Actions, Content, N, folds_of, run, small_frame, small_table


@pytest.fixture
def table():
    return small_table()


@pytest.fixture
def frame():
    return small_frame()


@pytest.mark.parametrize("column", ["ph", "kind"])
@pytest.mark.parametrize("changes", [{}, {"leave_one_group_out": True}, {"folds": 3, "groups": None}])
def test_folds_are_filtered_and_only_their_training_samples_have_values(table, frame, column, changes):
    context, _ = run(table, frame, column, **changes)
    ungrouped = "groups" in changes
    folds = folds_of(frame, column, not ungrouped, **{k: v for k, v in changes.items() if k != "groups"})
    fits, predicts, others = (context.arguments_of(name) for name in ("fit", "predict", "predict_baselines"))
    assert len(folds) == len(fits) == len(predicts) == len(others)
    for (train, test), fit, predict, baselines in zip(folds, fits, predicts, others, strict=True):
        train_ids, test_ids = ({IDS[k] for k in rows} for rows in (train, test))
        assert set(fit["table"].content.ids()) == train_ids == set(baselines["train_table"].content.ids())
        assert set(predict["table"].content.ids()) == test_ids == set(baselines["table"].content.ids())
        for arguments in (fit, baselines):
            assert set(arguments["metadata"].ids) == train_ids and arguments["metadata"].name == column
            assert arguments["groups"] is None if ungrouped else set(arguments["groups"].ids) == train_ids


def changed(table, frame, rows):
    """Other values of some samples, and another community of the first of them."""
    other = frame.copy()
    other.iloc[rows, 0] = 1e6 + np.arange(len(rows))
    counts = table.matrix_data.toarray()
    counts[:, rows[0]] = counts[::-1, rows[0]] * 7 + 1
    return biom.Table(counts, FEATURES, IDS), other


def differing(first, second):
    """IDs of samples that are predicted differently, by the model or by a baseline."""
    one, two = (
        pd.concat([outputs["predictions"].view(pd.Series), outputs["baselines"].view(pd.DataFrame)], axis=1)
        for outputs in (first, second)
    )
    return set(one.index[(one != two).any(axis=1)])


def test_nothing_of_a_fold_is_seen_before_it_is_predicted(table, frame):
    for _, test in folds_of(frame):
        other = changed(table, frame, test)
        here, first = {IDS[k] for k in test}, IDS[test[0]]
        difference = differing(run(table, frame)[1], run(*other)[1])
        # the sample itself, whose community is another one, and those that are learnt from these samples
        assert difference & here == {first}
        assert difference - here == set(IDS) - here


def test_a_leak_would_be_seen(table, frame, monkeypatch):
    """The same with folds that learn from a sample that they predict, and with an encoder that has seen it."""
    folds = folds_of(frame)
    test = folds[0][1]
    other, here = changed(table, frame, test), {IDS[k] for k in test}
    encoders = {"pretraining": "transductive"}
    assert differing(run(table, frame, **encoders)[1], run(*other, **encoders)[1]) & here == here
    leaking = [(np.sort(np.append(train, rows[-1:])), rows) for train, rows in folds]
    monkeypatch.setattr("q2_aam.study.folds.grouped_folds", lambda *_, **__: leaking)
    assert differing(run(table, frame)[1], run(*other)[1]) & here == here


def test_numbers_come_out_in_the_order_of_the_table_with_their_scores(table, frame):
    context, outputs = run(table, frame, repeats=2, random_seed=4)
    predicted = outputs["predictions"].view(pd.Series)
    assert predicted.index.tolist() == IDS
    answers = [Actions().predict(**arguments)[0].content for arguments in context.arguments_of("predict")]
    first, second = (pd.concat(answers[start : start + 5])[IDS] for start in (0, 5))
    assert (first != second).all()
    assert predicted.to_numpy() == pytest.approx(((first + second) / 2).to_numpy())
    certainty = outputs["certainty"].view(pd.DataFrame)
    assert certainty.index.tolist() == IDS
    assert certainty["lower"].to_numpy() == pytest.approx(predicted.to_numpy() - 1)
    scores = outputs["scores"].view(pd.DataFrame)
    assert len(scores) == 2 * (5 + 1) * 3
    row = scores.loc["repeat 2, all folds, q2-aam"]
    assert row["r2"] == pytest.approx(r2_score(frame["ph"], second))
    assert row["samples"] == N and row["groups"] == 10 and np.isnan(row["fold"]) and row["pretraining"] == "ready"
    assert {arguments["random_seed"] for arguments in context.arguments_of("fit")} == {4, 5}
    tests = {frozenset(arguments["table"].content.ids()) for arguments in context.arguments_of("predict")}
    assert len(tests) > 5
    # novelty differs between the repeats, and is not shown
    assert context.arguments_of("evaluate")[0]["novelty"] is None


def test_classes_stay_text_and_are_those_named_most_often(table, frame):
    context, outputs = run(table, frame, "kind", repeats=3)
    probabilities = outputs["certainty"].view(pd.DataFrame)
    assert probabilities.columns.tolist() == ["01", "1", "x"] and probabilities.index.tolist() == IDS
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(np.ones(N))
    text = (outputs["predictions"]._archiver.data_dir / "predictions.tsv").read_text()
    classes = dict(line.split("\t") for line in text.splitlines()[1:])
    predicted = [Actions().predict(**arguments) for arguments in context.arguments_of("predict")]
    named = pd.concat([one[0].content for one in predicted])
    for name, votes in named.groupby(level=0):
        most = votes.mode()
        assert len(votes) == 3 and classes[name] == probabilities.loc[name, list(most)].idxmax()
    singles = [one[1].content for one in predicted]
    mean = np.mean([single.loc["07"] for single in singles if "07" in single.index], axis=0)
    assert probabilities.loc["07"].to_numpy() == pytest.approx(mean)
    votes = [Actions().predict_baselines(**arguments) for arguments in context.arguments_of("predict_baselines")]
    forest = [vote.content.loc["07", "random forest"] for [vote] in votes if "07" in vote.content.index]
    assert outputs["baselines"].view(pd.DataFrame).loc["07", "random forest"] == pd.Series(forest).mode()[0]
    assert len(forest) == 3


def test_the_report_is_evaluates_with_everything(table, frame):
    context, outputs = run(table, frame)
    [arguments] = context.arguments_of("evaluate")
    for name in ("predictions", "certainty", "baselines", "scores"):
        assert arguments[name] is outputs[name]
    assert set(arguments["novelty"].view(pd.DataFrame).index) == set(IDS) and outputs["report"] == "report"
    assert arguments["metadata"].name == "ph" and arguments["groups"].name == "site"


@pytest.mark.parametrize(
    "changes, pretrained, stated",
    [
        ({}, 0, "ready"),
        ({"phylogeny": None}, 0, "ready"),
        ({"pretraining": "each_fold"}, 5, "each_fold"),
        ({"pretraining": "transductive"}, 1, "transductive"),
        ({"encoder": Content(None, seen=5)}, 0, "encoder+none"),
        ({"encoder": Content(None, seen=5), "pretraining": "none", "phylogeny": None}, 0, "encoder+none"),
        ({"encoder": Content(None, seen=5), "pretraining": "each_fold"}, 5, "encoder+each_fold"),
        ({"encoder": Content(None, seen=5), "pretraining": "transductive"}, 1, "encoder+transductive"),
    ],
)
def test_which_encoder_is_fitted(table, frame, changes, pretrained, stated):
    context, outputs = run(table, frame, **changes)
    pretrainings, fits = context.arguments_of("pretrain"), context.arguments_of("fit")
    assert len(pretrainings) == pretrained and len(fits) == 5
    assert all(arguments["encoder"] is changes.get("encoder") for arguments in pretrainings)
    if stated.endswith("each_fold"):
        assert [arguments["table"] for arguments in pretrainings] == [arguments["table"] for arguments in fits]
    elif pretrained:
        assert set(pretrainings[0]["table"].content.ids()) == set(IDS)
    encoders = {arguments["encoder"] for arguments in fits}
    if pretrained:
        assert len(encoders) == pretrained and not encoders & {changes.get("encoder"), None}
    else:
        assert encoders == {changes.get("encoder")}
    assert set(outputs["scores"].view(pd.DataFrame)["pretraining"]) == {stated}


def test_settings_reach_the_actions(table, frame):
    covariates = qiime2.Metadata(frame.rename_axis("id"))
    shared = {"device": "cpu", "threads": 3, "missing_features": "ignore"}
    fitting = {"head": "kernel", "target_transform": "log1p", "decision": "likeliest"}
    reading = {"covariates": covariates, "covariate_columns": ["kind"], "missing_covariates": "impute"}
    pretraining = {"pretraining": "each_fold", "pretrain_epochs": 6}
    context, _ = run(table, frame, sequences="s", **pretraining, **shared, **fitting, **reading)
    expected = {
        "pretrain": {**shared, "epochs": 6, "sequences": "s", "phylogeny": "tree"},
        "fit": {**shared, **fitting, **reading, "sequences": "s"},
        "predict": {
            **{name: shared[name] for name in ("device", "threads", "missing_features")},
            "covariates": covariates,
            "sequences": "s",
        },
        "predict_baselines": {**reading, "threads": 3, "missing_features": "ignore", "phylogeny": "tree"},
    }
    for name, settings in expected.items():
        for arguments in context.arguments_of(name):
            assert {key: arguments[key] for key in settings} == settings


@pytest.mark.parametrize("encoder", [Content(None, seen=5), None])
def test_the_encoder_judges_all_samples_once(table, frame, encoder):
    context, _ = run(table, frame, encoder=encoder, phylogeny=None, foreign="error", threads=2)
    (looked,) = context.looked_at
    assert sorted(looked.pop("table").ids()) == IDS
    assert looked.pop("groups").to_series().equals(frame["site"])
    assert looked == {
        "encoder": encoder, "sequences": None, "missing_features": "error", "foreign": "error", "threads": 2,
        "pretrained": False,
    }  # fmt: skip
    # Not again in the midst of the folds.
    for name in ("fit", "predict"):
        assert {arguments["foreign"] for arguments in context.arguments_of(name)} == {"ignore"}
    # One that will be pretrained on them is not asked; how they were cut is looked at all the same.
    (looked,) = run(table, frame, pretraining="each_fold")[0].looked_at
    assert looked["pretrained"]


def test_all_of_fits_parameters_are_the_pipelines(table, frame):
    """What is cross-validated is what is fitted: an option of `fit` that the pipeline lacks could not be judged."""
    context, _ = run(table, frame)
    signature = plugin.methods["fit"].signature
    # samples that are not in the metadata the pipeline has left out before
    missing = {*signature.inputs, *signature.parameters} - set(context.arguments_of("fit")[0])
    assert missing == {"missing_samples"}


def test_samples_without_value_group_or_covariates_are_left_out_with_a_count(table, frame):
    frame.loc["02", "ph"] = np.nan
    frame.loc["03", "site"] = None
    covariates = qiime2.Metadata(frame.drop(index="04")[["kind"]].rename_axis("id"))
    with told() as messages:
        context, outputs = run(
            table, frame.drop(index="01"), missing_samples="ignore", covariates=covariates
        )
    left = sorted(set(IDS) - {"01", "02", "03", "04"})
    assert outputs["predictions"].view(pd.Series).index.tolist() == left
    fitted = {sample for arguments in context.arguments_of("fit") for sample in arguments["table"].content.ids()}
    assert fitted == set(left)
    assert [message.split(" and were")[0] for message in messages] == [
        "1 of the table's 30 samples are not in the metadata",
        "1 of the table's 30 samples have no value in column 'ph'",
        "1 of the table's 28 samples have no value in column 'site'",
        "1 of the table's 27 samples are not in the metadata of the covariates",
    ]


def test_warnings_say_what_the_encoder_may_have_seen(table, frame):
    with told() as messages:
        run(table, frame)
    assert messages == []
    with told() as messages:
        run(table, frame, pretraining="transductive")
    assert messages == [
        "pretraining is 'transductive': the encoder learns from the communities of all samples, those that are "
        "predicted included, without their values. The scores hold for samples that are there when the encoder is "
        "pretrained, not for later ones."
    ]
    with told() as messages:
        run(table, frame, encoder=Content(None, seen=5))
    assert messages == [
        "An encoder was given: if it was pretrained on samples of this table, it has seen the communities (not the "
        "values) of samples that are predicted here, and the scores do not hold for later samples."
    ]


def test_repeats_with_the_same_folds_are_told(table, frame):
    frame["site"] = ["a"] * 15 + ["b"] * 15
    with told() as messages:
        run(table, frame, folds=2, repeats=2)
    assert messages == [
        "The folds of all repeats are the same, because the groups can be parted evenly in one way only. The repeats "
        "differ by the seeds of the models alone."
    ]
    with told() as messages:
        run(table, frame, leave_one_group_out=True, repeats=2)
    assert messages == []


def test_progress_and_scores_are_printed(table, frame, capsys):
    _, outputs = run(table, frame, repeats=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Repeat 1 of 2, fold 1 of 5: samples to learn from 24 (8 groups), to predict 6 (2 groups)."
    assert len(lines) == 10 + 3
    scores = outputs["scores"].view(pd.DataFrame)
    ours = scores.loc[[f"repeat {k}, all folds, q2-aam" for k in (1, 2)]].mean(numeric_only=True)
    assert lines[10] == f"q2-aam (ph): r2 {ours['r2']:.4g}, mae {ours['mae']:.4g}."
    run(table, frame, groups=None)
    assert capsys.readouterr().out.splitlines()[4] == "Fold 5 of 5: samples to learn from 24, to predict 6."


def test_the_registered_outputs_follow_the_column():
    record = plugin.pipelines["cross_validate"]
    kinds = {
        qiime2.NumericMetadataColumn: ("RegressorPredictions", "PredictionIntervals"),
        qiime2.CategoricalMetadataColumn: ("ClassifierPredictions", "Probabilities"),
    }
    artifact = Artifact.import_data("FeatureTable[Frequency]", biom.Table(np.ones((1, 1)), ["f"], ["s"]))
    for kind, names in kinds.items():
        dtype = float if kind is qiime2.NumericMetadataColumn else object
        series = pd.Series([1.5 if dtype is float else "a"], index=pd.Index(["s"], name="id"), name="c", dtype=dtype)
        arguments = dict.fromkeys((*record.signature.inputs, *record.signature.parameters))
        arguments.update(metadata=kind(series), table=artifact)
        assert [str(spec.qiime_type) for spec in record.signature.solve_output(**arguments).values()] == [
            f"SampleData[{names[0]}]",
            f"SampleData[{names[1]}]",
            "SampleData[BaselinePredictions]",
            "AAMScores",
            "Visualization",
        ]


def test_what_the_study_cannot_support_is_said_once(table, frame):
    with told(cautions=True) as messages:
        run(table, frame, folds=3)
    assert len([message for message in messages if message.startswith("Only 30 samples")]) == 1
