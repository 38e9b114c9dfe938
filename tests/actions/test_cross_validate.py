"""The pipeline by itself, its actions played by stand-ins: who is given what, and what is made of their answers."""

import biom
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.merge_folds import merge_folds
from q2_aam.framework import Artifact, qiime2, sdk
from q2_aam.plugin_setup import plugin
from q2_aam.study.folds import cross_validation_folds

from .small import RUN, SIZES, as_column, told

N = 30
IDS = [f"{k:02d}" for k in range(N)]
FEATURES = ["ACGT", "CCCC", "GGGG", "TTTT"]


@pytest.fixture
def table():
    counts = np.random.default_rng(0).integers(1, 50, (len(FEATURES), N)).astype(float)
    return biom.Table(counts, FEATURES, IDS)


@pytest.fixture
def frame():
    random = np.random.default_rng(1)
    kinds = np.array(["01", "1", "x"])[np.arange(N) % 3]
    return pd.DataFrame(
        {"ph": random.normal(7, 1, N), "kind": kinds, "site": [f"site {k // 3}" for k in range(N)]}, index=IDS
    )


class Made:
    """Stands in for an artifact: something that can be viewed."""

    def __init__(self, content, **marks):
        self.content = content
        self.__dict__.update(marks)

    def view(self, kind):
        assert isinstance(self.content, kind)
        return self.content


class Actions:
    """Stands in for the context of a pipeline. Its models are sums of all that they were given: whatever a model has
    seen can be told from its predictions."""

    def __init__(self):
        self.calls = []

    def get_action(self, plugin_id, name):
        assert plugin_id == ("feature_table" if name == "filter_samples" else "aam")
        parameters = sdk.PluginManager().plugins[plugin_id.replace("_", "-")].actions[name].signature
        known = {*parameters.inputs, *parameters.parameters}

        def call(**given):
            assert set(given) <= known, name
            self.calls.append((name, given))
            return getattr(self, name)(**given)

        return call

    def given_to(self, name):
        return [given for called, given in self.calls if called == name]

    def filter_samples(self, table, metadata):
        return [Made(table.view(biom.Table).filter(metadata.ids, inplace=False).remove_empty("observation"))]

    def pretrain(self, table, encoder, **_):
        return Made(None, seen=table.content.sum() + getattr(encoder, "seen", 0)), Made(None)

    def fit(self, table, encoder, metadata, groups, **_):
        values = metadata.to_series()
        self.groups = groups
        seen = table.content.sum() + getattr(encoder, "seen", 0)
        if values.dtype == object:
            seen, classes = seen + (values == "x").sum(), sorted(set(values))
        else:
            seen, classes = seen + values.sum(), None
        return Made(None, seen=seen, classes=classes), Made(None), Made(None), Made(None)

    def predict(self, table, model, **_):
        ids = table.content.ids()
        scores = pd.Series(table.content.sum("sample") * np.sin(model.seen) + model.seen % 1, index=ids)
        novelty = pd.DataFrame(0.0, index=ids, columns=list(NOVELTY))
        if model.classes is None:
            return Made(scores), Made(pd.DataFrame({"lower": scores - 1, "upper": scores + 2})), Made(novelty)
        angles = scores.to_numpy()[:, None] + np.arange(len(model.classes))
        shares = np.exp(3 * np.sin(angles))
        shares = pd.DataFrame(shares / shares.sum(1, keepdims=True), index=ids, columns=model.classes)
        return Made(shares.idxmax(axis=1)), Made(shares), Made(novelty)

    def predict_baselines(self, train_table, table, metadata, random_seed, **_):
        ids, values = table.content.ids(), metadata.to_series()
        if values.dtype == object:
            random = np.random.default_rng(random_seed)
            trivial, forest = values.mode()[0], random.choice(["01", "1", "x"], len(ids))
            return [Made(pd.DataFrame({"largest class": trivial, "random forest": forest}, index=ids))]
        forest = values.sum() + table.content.sum("sample")
        return [Made(pd.DataFrame({"median": values.median(), "random forest": forest}, index=ids))]

    def merge_folds(self, metadata, groups, pretraining, **parts):
        views = {name: [artifact.content for artifact in artifacts] for name, artifacts in parts.items()}
        made = merge_folds(**views, metadata=metadata, pretraining=pretraining, groups=groups)
        kinds = ("Regressor", "PredictionIntervals") if metadata.type == "numeric" else ("Classifier", "Probabilities")
        types = (f"{kinds[0]}Predictions", kinds[1], "Novelty", "BaselinePredictions")
        named = [*(f"SampleData[{name}]" for name in types), "AAMScores"]
        return [Artifact.import_data(name, view) for name, view in zip(named, made, strict=True)]

    def evaluate(self, **_):
        return ["report"]


NOVELTY = (
    "asvs",
    "reads",
    "unseen_asvs",
    "unseen_read_share",
    "reads_cut",
    "reads_dropped",
    "reads_ambiguous",
)


def run(table, frame, column="ph", **changes):
    """Actions called, and what came out by name."""
    context = Actions()
    given = {"phylogeny": "tree", "groups": as_column(frame["site"]), **changes}
    made = cross_validate(context, Made(table), as_column(frame[column]), **given)
    return context, dict(zip(("predictions", "certainty", "baselines", "scores", "report"), made, strict=True))


def parts_of(frame, column="ph", grouped=True, seed=0, **changes):
    return cross_validation_folds(
        N,
        **{"folds": 5, **changes},
        groups=frame["site"] if grouped else None,
        classes=None if column == "ph" else frame[column],
        random_seed=seed,
    )


@pytest.mark.parametrize("column", ["ph", "kind"])
@pytest.mark.parametrize("how", [{}, {"leave_one_group_out": True}, {"folds": 3, "groups": None}])
def test_folds_are_filtered_and_only_their_training_samples_have_values(table, frame, column, how):
    context, _ = run(table, frame, column, **how)
    parts = parts_of(frame, column, "groups" not in how, **{k: v for k, v in how.items() if k != "groups"})
    fits, predicts, others = (context.given_to(name) for name in ("fit", "predict", "predict_baselines"))
    assert len(parts) == len(fits) == len(predicts) == len(others)
    for (train, test), fit, predict, baselines in zip(parts, fits, predicts, others, strict=True):
        train_ids, test_ids = ({IDS[k] for k in rows} for rows in (train, test))
        assert set(fit["table"].content.ids()) == train_ids == set(baselines["train_table"].content.ids())
        assert set(predict["table"].content.ids()) == test_ids == set(baselines["table"].content.ids())
        for given in (fit, baselines):
            assert set(given["metadata"].ids) == train_ids and given["metadata"].name == column
            assert given["groups"] is None if "groups" in how else set(given["groups"].ids) == train_ids


def changed(table, frame, rows):
    """Other values of some samples, and another community of the first of them."""
    other = frame.copy()
    other.iloc[rows, 0] = 1e6 + np.arange(len(rows))
    counts = table.matrix_data.toarray()
    counts[:, rows[0]] = counts[::-1, rows[0]] * 7 + 1
    return biom.Table(counts, FEATURES, IDS), other


def differing(first, second):
    """IDs of samples that are predicted differently, by the model or by a baseline."""
    found = []
    for one, two in zip(first, second, strict=True):
        one, two = (
            pd.concat([m["predictions"].view(pd.Series), m["baselines"].view(pd.DataFrame)], axis=1) for m in (one, two)
        )
        found.append(set(one.index[(one != two).any(axis=1)]))
    return found


def test_nothing_of_a_fold_is_seen_before_it_is_predicted(table, frame):
    for test in (rows for _, rows in parts_of(frame)):
        other = changed(table, frame, test)
        here, first = {IDS[k] for k in test}, IDS[test[0]]
        before, after = run(table, frame)[1], run(*other)[1]
        [found] = differing([before], [after])
        # the sample itself, whose community is another one, and those that are learnt from these samples
        assert found & here == {first}
        assert found - here == set(IDS) - here


def test_a_leak_would_be_seen(table, frame, monkeypatch):
    """The same with folds that learn from a sample that they predict, and with an encoder that has seen it."""
    parts = parts_of(frame)
    test = parts[0][1]
    other, here = changed(table, frame, test), {IDS[k] for k in test}
    [found] = differing(
        [run(table, frame, pretraining="transductive")[1]], [run(*other, pretraining="transductive")[1]]
    )
    assert found & here == here
    leaking = [(np.sort(np.append(train, rows[-1:])), rows) for train, rows in parts]
    monkeypatch.setattr("q2_aam.study.folds.cross_validation_folds", lambda *_, **__: leaking)
    [found] = differing([run(table, frame)[1]], [run(*other)[1]])
    assert found & here == here


# The same by the real actions, at tiny sizes


@pytest.fixture(scope="module")
def survey(study):
    """16 samples, of which the last eight are a fold; of the last four values and communities can be changed."""
    ids = list(study.table.ids()[:16])
    return study.samples(ids).remove_empty("observation"), study.frame.loc[ids, ["ph"]].copy()


def really(study, table, frame):
    """Predictions, certainty and baselines of each sample, by the registered pipeline."""
    with told():
        made = plugin.pipelines["cross_validate"](
            table=Artifact.import_data("FeatureTable[Frequency]", table),
            sequences=Artifact.import_data("FeatureData[Sequence]", str(study.directory / "sequences.fasta")),
            phylogeny=Artifact.import_data("Phylogeny[Rooted]", str(study.directory / "tree.nwk")),
            metadata=as_column(frame["ph"]),
            folds=2,
            pretrain_epochs=1,
            fit_epochs=1,
            **SIZES,
            **RUN,
        )
    predicted = made.predictions.view(pd.Series).rename("ours")
    parts = [predicted, made.certainty.view(pd.DataFrame), made.baselines.view(pd.DataFrame)]
    return pd.concat(parts, axis=1).loc[table.ids()]


def other_samples(table, frame):
    """Absurd values of the last eight samples, and other communities of the last four of these."""
    counts, values = table.matrix_data.toarray(), frame.copy()
    counts[:, -4:] = counts[::-1, -4:] * 3 + (np.arange(len(counts)) % 3 == 0)[:, None]
    values.iloc[-8:, 0] = 1e6 * np.arange(1, 9)
    return biom.Table(counts, table.ids("observation"), table.ids()), values


@pytest.mark.parametrize("leaking", [False, True])
def test_what_is_predicted_is_unseen_by_the_real_actions(study, survey, monkeypatch, leaking):
    first, second = np.arange(8), np.arange(8, 16)
    parts = [(first, second), (second, first)]
    if leaking:
        # planted: one of the samples that are to be unseen is learnt from
        learnt = np.append(first, 15)
        parts = [(learnt, second[:-1]), (second[:-1], learnt)]
    # the inner folds of the baselines are as they are
    monkeypatch.setattr(
        "q2_aam.study.folds.cross_validation_folds",
        lambda n, *given, **named: parts if n == 16 else cross_validation_folds(n, *given, **named),
    )
    before, after = really(study, *survey), really(study, *other_samples(*survey))
    # the samples of the fold whose own communities are the same
    unseen = before.index[8:12]
    for name in before:
        moved = not np.allclose(after.loc[unseen, name], before.loc[unseen, name], rtol=1e-4, atol=1e-4)
        assert moved == leaking or (leaking and name == "median"), name
    # those that were predicted by what was learnt from absurd values
    assert (np.abs(after.iloc[:8] - before.iloc[:8]) > 1e3).all(axis=None)


def test_numbers_come_out_in_the_order_of_the_table_with_their_scores(table, frame):
    context, made = run(table, frame, repeats=2, random_seed=4)
    predicted = made["predictions"].view(pd.Series)
    assert predicted.index.tolist() == IDS
    by_repeat = {}
    for repeat in range(2):
        answers = [Actions().predict(**{**given, "table": given["table"]}) for given in context.given_to("predict")]
        here = answers[repeat * 5 : repeat * 5 + 5]
        by_repeat[repeat] = [pd.concat([part[k].content for part in here]) for k in (0, 1)]
    mean = (by_repeat[0][0][IDS] + by_repeat[1][0][IDS]) / 2
    assert predicted.to_numpy() == pytest.approx(mean.to_numpy())
    assert (by_repeat[0][0][IDS] != by_repeat[1][0][IDS]).all()
    certainty = made["certainty"].view(pd.DataFrame)
    assert certainty.index.tolist() == IDS
    assert certainty["lower"].to_numpy() == pytest.approx(mean.to_numpy() - 1)
    scores = made["scores"].view(pd.DataFrame)
    assert len(scores) == 2 * (5 + 1) * 3
    row = scores.loc["repeat 2, all folds, q2-aam"]
    assert row["r2"] == pytest.approx(r2_score(frame["ph"], by_repeat[1][0][IDS]))
    assert row["samples"] == N and row["groups"] == 10 and np.isnan(row["fold"]) and row["pretraining"] == "each_fold"
    seeds = {given["random_seed"] for given in context.given_to("fit")}
    assert seeds == {4, 5}
    tests = [frozenset(given["table"].content.ids()) for given in context.given_to("predict")]
    assert len(set(tests)) > 5
    # novelty differs between the repeats, and is not shown
    assert context.given_to("evaluate")[0]["novelty"] is None


def test_classes_stay_text_and_follow_the_mean_probability(table, frame):
    context, made = run(table, frame, "kind", repeats=3)
    probabilities = made["certainty"].view(pd.DataFrame)
    classes = Made(None)
    assert probabilities.columns.tolist() == ["01", "1", "x"] and probabilities.index.tolist() == IDS
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(np.ones(N))
    text = (made["predictions"]._archiver.data_dir / "predictions.tsv").read_text()
    classes = dict(line.split("\t") for line in text.splitlines()[1:])
    assert classes == probabilities.idxmax(axis=1).to_dict()
    singles = [Actions().predict(**given)[1].content for given in context.given_to("predict")]
    assert probabilities.loc["07"].to_numpy() == pytest.approx(
        np.mean([single.loc["07"] for single in singles if "07" in single.index], axis=0)
    )
    votes = [Actions().predict_baselines(**given)[0].content for given in context.given_to("predict_baselines")]
    forest = [vote.loc["07", "random forest"] for vote in votes if "07" in vote.index]
    assert made["baselines"].view(pd.DataFrame).loc["07", "random forest"] == pd.Series(forest).mode()[0]
    assert len(forest) == 3


def test_the_report_is_evaluates_with_everything(table, frame):
    context, made = run(table, frame)
    [given] = context.given_to("evaluate")
    for name in ("predictions", "certainty", "baselines", "scores"):
        assert given[name] is made[name]
    assert given["novelty"].view(pd.DataFrame).index.tolist() != [] and made["report"] == "report"
    assert given["metadata"].name == "ph" and given["groups"].name == "site"


@pytest.mark.parametrize(
    "given, pretrained, begun, stated",
    [
        ({}, 5, "own", "each_fold"),
        ({"pretraining": "transductive"}, 1, "own", "transductive"),
        ({"pretraining": "none"}, 0, None, "none"),
        ({"encoder": True}, 0, "given", "encoder+none"),
        ({"encoder": True, "pretraining": "each_fold"}, 5, "own", "encoder+each_fold"),
        ({"encoder": True, "pretraining": "transductive"}, 1, "own", "encoder+transductive"),
    ],
)
def test_which_encoder_is_fitted(table, frame, given, pretrained, begun, stated):
    encoder = Made(None, seen=5) if "encoder" in given else None
    context, made = run(table, frame, **{**given, "encoder": encoder})
    pretrainings, fits = context.given_to("pretrain"), context.given_to("fit")
    assert len(pretrainings) == pretrained and len(fits) == 5
    for call in pretrainings:
        assert call["encoder"] is encoder
    if stated.endswith("each_fold"):
        assert [call["table"] for call in pretrainings] == [call["table"] for call in fits]
    elif pretrained:
        assert set(pretrainings[0]["table"].content.ids()) == set(IDS)
    found = {fit["encoder"] for fit in fits}
    if begun == "own":
        assert len(found) == pretrained and encoder not in found and None not in found
    else:
        assert found == {encoder}
    assert set(made["scores"].view(pd.DataFrame)["pretraining"]) == {stated}


def test_settings_reach_the_actions(table, frame):
    given = {
        "batch_size": 7,
        "precision": "32",
        "device": "cpu",
        "threads": 3,
        "dim": 24,
        "max_length": 99,
        "sampling_depth": 1,
        "missing_features": "ignore",
    }
    context, _ = run(table, frame, **given, pretrain_epochs=6, fit_epochs=8, target_transform="log1p", sequences="s")
    for name in ("pretrain", "fit"):
        assert {key: context.given_to(name)[0][key] for key in given} == given
    assert context.given_to("pretrain")[0]["epochs"] == 6 and context.given_to("fit")[0]["epochs"] == 8
    assert context.given_to("fit")[0]["target_transform"] == "log1p"
    assert not context.given_to("fit")[0]["freeze_encoder"]
    read = {"sampling_depth": 1, "missing_features": "ignore", "threads": 3}
    for name in ("predict", "predict_baselines"):
        assert {key: context.given_to(name)[0][key] for key in read} == read
    for name in ("pretrain", "fit", "predict"):
        assert context.given_to(name)[0]["sequences"] == "s"
    assert context.given_to("predict_baselines")[0]["phylogeny"] == "tree"


def test_samples_without_value_group_or_reads_are_left_out_with_a_count(table, frame):
    counts = table.matrix_data.toarray()
    counts[:, 4] = [1, 0, 0, 0]
    shallow = biom.Table(counts, FEATURES, IDS)
    frame.loc["02", "ph"] = np.nan
    frame.loc["03", "site"] = None
    with told() as messages:
        context, made = run(shallow, frame.drop(index="01"), missing_samples="ignore", sampling_depth=3)
    left = sorted(set(IDS) - {"01", "02", "03", "04"})
    assert made["predictions"].view(pd.Series).index.tolist() == left
    assert {sample for call in context.given_to("fit") for sample in call["table"].content.ids()} == set(left)
    assert messages[-1] == "1 of 27 samples have fewer than 3 reads and were left out: 04."
    assert [message.split(" and were")[0] for message in messages[:-1]] == [
        "1 of the table's 30 samples are not in the metadata",
        "1 of the table's 30 samples have no value in column 'ph'",
        "1 of the table's 28 samples have no value in column 'site'",
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
        run(table, frame, encoder=Made(None))
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
    _, made = run(table, frame, repeats=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Repeat 1 of 2, fold 1 of 5: samples to learn from 24 (8 groups), to predict 6 (2 groups)."
    assert len(lines) == 10 + 3
    scores = made["scores"].view(pd.DataFrame)
    ours = scores.loc[[f"repeat {k}, all folds, q2-aam" for k in (1, 2)]].mean(numeric_only=True)
    assert lines[10] == f"q2-aam (ph): r2 {ours['r2']:.4g}, mae {ours['mae']:.4g}."
    run(table, frame, groups=None)
    assert capsys.readouterr().out.splitlines()[4] == "Fold 5 of 5: samples to learn from 24, to predict 6."


@pytest.mark.parametrize(
    "given, sentence",
    [
        (
            {"phylogeny": None},
            "pretraining is 'each_fold', which needs the phylogeny: its distances are what is learnt. Give the "
            "phylogeny, or set pretraining to 'none'.",
        ),
        (
            {"phylogeny": None, "pretraining": "transductive", "encoder": Made(None)},
            "pretraining is 'transductive', which needs the phylogeny: its distances are what is learnt. Give the "
            "phylogeny, or set pretraining to 'none'.",
        ),
        (
            {"pretraining": "none", "freeze_encoder": True},
            "freeze_encoder needs an encoder, but none is given and pretraining is 'none': only random weights would "
            "be frozen. Give an encoder, have one pretrained, or leave freeze_encoder out.",
        ),
        (
            {"pretraining": "none", "pretrain_epochs": 7},
            "pretrain_epochs is 7, but nothing is pretrained: pretraining is 'none'. Leave pretrain_epochs out, or set "
            "pretraining to 'each_fold'.",
        ),
        (
            {"encoder": Made(None), "pretrain_epochs": 7},
            "pretrain_epochs is 7, but nothing is pretrained: an encoder is given and pretraining is not asked for. "
            "Leave pretrain_epochs out, or set pretraining to 'each_fold'.",
        ),
        (
            {"folds": 3, "leave_one_group_out": True},
            "folds is 3, but leave_one_group_out makes each group a fold. Leave one of them out.",
        ),
        (
            {"groups": None, "leave_one_group_out": True},
            "leave_one_group_out needs groups. Give the column of the groups, or leave it out.",
        ),
        (
            {"folds": 11},
            "folds is 11, but there are 10 groups only. Give fewer folds, or more samples or a column of smaller "
            "groups.",
        ),
        ({"dim": 16, "heads": 3}, None),
    ],
)
def test_contradictions_are_refused_before_anything_is_called(table, frame, given, sentence):
    context = Actions()
    given = {"phylogeny": "tree", "groups": as_column(frame["site"]), **given}
    with pytest.raises(ValueError) as error:
        cross_validate(context, Made(table), as_column(frame["ph"]), **given)
    assert sentence is None or str(error.value) == sentence
    assert context.calls == []


def test_a_class_called_as_ids_are_is_refused(table, frame):
    frame["kind"] = frame["kind"].replace("x", "sample-id")
    with pytest.raises(ValueError, match="^1 classes of column 'kind' are called what QIIME 2 calls a column of IDs"):
        run(table, frame, "kind")


def test_the_registered_outputs_follow_the_column():
    record = plugin.pipelines["cross_validate"]
    kinds = {
        qiime2.NumericMetadataColumn: ("RegressorPredictions", "PredictionIntervals"),
        qiime2.CategoricalMetadataColumn: ("ClassifierPredictions", "Probabilities"),
    }
    for kind, names in kinds.items():
        dtype = float if kind is qiime2.NumericMetadataColumn else object
        series = pd.Series([1.5 if dtype is float else "a"], index=pd.Index(["s"], name="id"), name="c", dtype=dtype)
        given = dict.fromkeys((*record.signature.inputs, *record.signature.parameters))
        given.update(metadata=kind(series), table=Artifact.import_data("FeatureTable[Frequency]", small_table()))
        solved = record.signature.solve_output(**given)
        assert [str(spec.qiime_type) for spec in solved.values()] == [
            f"SampleData[{names[0]}]",
            f"SampleData[{names[1]}]",
            "SampleData[BaselinePredictions]",
            "AAMScores",
            "Visualization",
        ]


def small_table():
    return biom.Table(np.ones((1, 1)), ["f"], ["s"])


def test_what_the_study_cannot_support_is_said_once(table, frame):
    with told(cautions=True) as messages:
        run(table, frame, folds=3)
    assert len([message for message in messages if message.startswith("Only 30 samples")]) == 1
