"""Stand-ins for the actions that `cross_validate` calls, and a table so small that folds can be read by eye."""

import sys
from unittest.mock import patch

import biom
import numpy as np
import pandas as pd

from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.merge_folds import merge_folds
from q2_aam.framework import Artifact, sdk
from q2_aam.study.folds import grouped_folds
from tests.visualizers.pages import predictions_of

from .small import as_column

N = 30
IDS = [f"{k:02d}" for k in range(N)]
FEATURES = ["ACGT", "CCCC", "GGGG", "TTTT"]
NOVELTY = ("asvs", "reads", "unseen_asvs", "unseen_read_share", "reads_cut", "reads_dropped", "reads_ambiguous")
OUTPUTS = ("predictions", "certainty", "baselines", "scores", "report")


def small_table():
    counts = np.random.default_rng(0).integers(1, 50, (len(FEATURES), N)).astype(float)
    return biom.Table(counts, FEATURES, IDS)


def small_frame():
    random = np.random.default_rng(1)
    kinds = np.array(["01", "1", "x"])[np.arange(N) % 3]
    return pd.DataFrame(
        {"ph": random.normal(7, 1, N), "kind": kinds, "site": [f"site {k // 3}" for k in range(N)]}, index=IDS
    )


class Content:
    """Stands in for an artifact: something that can be viewed."""

    def __init__(self, content, **marks):
        self.content, self.type, self.waited_for = content, "FeatureTable[Frequency]", False
        self.__dict__.update(marks)

    def view(self, kind):
        assert isinstance(self.content, kind)
        return self.content

    @property
    def uuid(self):
        self.waited_for = True
        return "an artifact's"


class Actions:
    """Stands in for the context of a pipeline. Its models are sums of all that they were given: whatever a model has
    seen can be told from its predictions."""

    def __init__(self):
        self.calls = []

    def get_action(self, plugin_id, name):
        assert plugin_id == ("feature_table" if name == "filter_samples" else "aam")
        signature = sdk.PluginManager().plugins[plugin_id.replace("_", "-")].actions[name].signature
        known = {*signature.inputs, *signature.parameters}

        def call(**arguments):
            assert set(arguments) <= known, name
            self.calls.append((name, arguments))
            return getattr(self, name)(**arguments)

        return call

    def arguments_of(self, name):
        return [arguments for action, arguments in self.calls if action == name]

    def filter_samples(self, table, metadata):
        return [Content(table.view(biom.Table).filter(metadata.ids, inplace=False).remove_empty("observation"))]

    def pretrain(self, table, encoder, **_):
        return Content(None, seen=table.content.sum() + getattr(encoder, "seen", 0)), Content(None)

    def fit(self, table, encoder, metadata, groups, **_):
        values = metadata.to_series()
        seen = table.content.sum() + getattr(encoder, "seen", 0)
        if values.dtype == object:
            seen, classes = seen + (values == "x").sum(), sorted(set(values))
        else:
            seen, classes = seen + values.sum(), None
        return Content(None, seen=seen, classes=classes), Content(None), Content(None)

    def predict(self, table, model, **_):
        ids = table.content.ids()
        scores = pd.Series(table.content.sum("sample") * np.sin(model.seen) + model.seen % 1, index=ids)
        novelty = Content(pd.DataFrame(0.0, index=ids, columns=list(NOVELTY)))
        if model.classes is None:
            return Content(scores), Content(pd.DataFrame({"lower": scores - 1, "upper": scores + 2})), novelty
        shares = np.exp(3 * np.sin(scores.to_numpy()[:, None] + np.arange(len(model.classes))))
        shares = pd.DataFrame(shares / shares.sum(1, keepdims=True), index=ids, columns=model.classes)
        return Content(shares.idxmax(axis=1)), Content(shares), novelty

    def predict_baselines(self, train_table, table, metadata, random_seed, **_):
        ids, values = table.content.ids(), metadata.to_series()
        if values.dtype == object:
            random = np.random.default_rng(random_seed)
            trivial, forest = values.mode()[0], random.choice(["01", "1", "x"], len(ids))
            return [Content(pd.DataFrame({"largest class": trivial, "random forest": forest}, index=ids))]
        forest = values.sum() + table.content.sum("sample")
        return [Content(pd.DataFrame({"median": values.median(), "random forest": forest}, index=ids))]

    def merge_folds(self, metadata, groups, pretraining, **parts):
        # As lists of promises they would be waited for while the framework holds the lock of its cache.
        assert all(artifact.waited_for for artifacts in parts.values() for artifact in artifacts)
        views = {name: [artifact.content for artifact in artifacts] for name, artifacts in parts.items()}
        views["predictions"] = [predictions_of(values) for values in views["predictions"]]
        merged = merge_folds(**views, metadata=metadata, pretraining=pretraining, groups=groups)
        kinds = ("Regressor", "PredictionIntervals") if metadata.type == "numeric" else ("Classifier", "Probabilities")
        types = (f"{kinds[0]}Predictions", kinds[1], "Novelty", "BaselinePredictions")
        named = [*(f"SampleData[{name}]" for name in types), "AAMScores"]
        return [Artifact.import_data(name, view) for name, view in zip(named, merged, strict=True)]

    def evaluate(self, **_):
        return ["report"]


def run(table, frame, column="ph", **changes):
    """The context with all calls, and the outputs by name."""
    context = Actions()
    arguments = {"phylogeny": "tree", "groups": as_column(frame["site"]), **changes}
    # An encoder that is only a name cannot judge sequences.
    with patch.object(sys.modules[cross_validate.__module__], "foreign_cautions", return_value=[]) as looked:
        outputs = cross_validate(context, Content(table), as_column(frame[column]), **arguments)
    context.looked_at = [call.kwargs | {"table": call.args[0]} for call in looked.call_args_list]
    return context, dict(zip(OUTPUTS, outputs, strict=True))


def folds_of(frame, column="ph", grouped=True, **changes):
    """The folds that should be made, as rows."""
    return grouped_folds(
        N,
        **{"folds": 5, **changes},
        groups=frame["site"] if grouped else None,
        classes=None if column == "ph" else frame[column],
    )
