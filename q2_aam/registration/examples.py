"""Usage examples: one an action, on a small simulated survey.

QIIME 2 shows them in the help of each action and in Galaxy, and runs them where asked to. Nothing is simulated or
trained until then.
"""

import contextlib
import io
import tempfile
from functools import lru_cache, partial

from q2_aam.framework import Artifact, qiime2, sdk

# Enough for what an example shows, and seconds of computing.
SMALL = {"dim": 16, "lineages": 16}


@lru_cache(maxsize=1)
def _parts() -> tuple:
    """Samples to learn from, and samples of other sites to predict."""
    from q2_aam.simulation.survey import keep_sites_apart, simulate_survey

    return keep_sites_apart(simulate_survey(n_samples=64, n_asvs=120, length=60))


def training_table():
    """Counts of the samples to learn from."""
    return Artifact.import_data("FeatureTable[Frequency]", _parts()[0].table)


def new_table():
    """Counts of the samples to predict."""
    return Artifact.import_data("FeatureTable[Frequency]", _parts()[1].table)


def sequences():
    """Sequences of all features."""
    return _imported("FeatureData[Sequence]", "sequences.fasta")


def phylogeny():
    """Phylogeny of all features."""
    return _imported("Phylogeny[Rooted]", "tree.nwk")


def _imported(semantic_type: str, file: str):
    with tempfile.TemporaryDirectory() as directory:
        return Artifact.import_data(semantic_type, str(_parts()[0].write(directory) / file))


def metadata():
    """Metadata of all samples: `ph` is numeric, `habitat` and `site` are categorical."""
    import pandas as pd

    return qiime2.Metadata(pd.concat([part.metadata for part in _parts()]))


def _run(name: str, **given) -> tuple:
    """Outputs of an action, without what it prints: it is not the one that the user asked for."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tuple(sdk.PluginManager().plugins["aam"].methods[name](**given))


@lru_cache(maxsize=1)
def _pretrained() -> tuple:
    given = {"table": training_table(), "sequences": sequences(), "phylogeny": phylogeny()}
    return _run("pretrain", **given, epochs=2, **SMALL)


@lru_cache(maxsize=1)
def _fitted() -> tuple:
    given = {"table": training_table(), "sequences": sequences(), "encoder": encoder()}
    return _run("fit", **given, metadata=metadata().get_column("ph"))


@lru_cache(maxsize=1)
def _predicted() -> tuple:
    return _run("predict", table=new_table(), sequences=sequences(), model=model())


def encoder():
    """What `pretrain` makes."""
    return _pretrained()[0]


def model():
    """What `fit` makes for the column `ph`."""
    return _fitted()[0]


def training_log():
    """What `pretrain` leaves to look at."""
    return _pretrained()[1]


def predictions():
    """What `predict` makes for the new samples."""
    return _predicted()[0]


def certainty():
    """Its intervals."""
    return _predicted()[1]


def pretrain_example(use):
    """Learn an encoder."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="pretrain"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            phylogeny=use.init_artifact("phylogeny", phylogeny),
            epochs=2,
            **SMALL,
        ),
        use.UsageOutputNames(model="encoder", training_log="pretraining_log"),
    )


def fit_regressor_example(use):
    """Fit an encoder to a numeric column."""
    _fit(use, "ph")


def fit_classifier_example(use):
    """Fit an encoder to a categorical column."""
    _fit(use, "habitat")


def fit_covariates_example(use):
    """Fit an encoder to a numeric column, with a covariate."""
    _fit(use, "ph", ["habitat"])


def _fit(use, column: str, covariate_columns: list | None = None):
    samples = use.init_metadata("metadata", metadata)
    further = {}
    if covariate_columns:
        further = {"covariates": samples, "covariate_columns": covariate_columns}
    use.action(
        use.UsageAction(plugin_id="aam", action_id="fit"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            encoder=use.init_artifact("encoder", encoder),
            metadata=use.get_metadata_column(column, column, samples),
            groups=use.get_metadata_column("site", "site", samples),
            **further,
        ),
        use.UsageOutputNames(
            model=f"{column}_model",
            predictions=f"{column}_out_of_fold",
            certainty=f"{column}_out_of_fold_certainty",
        ),
    )


def fine_tune_example(use):
    """Tune an encoder to a numeric column."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="fine_tune"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            encoder=use.init_artifact("encoder", encoder),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
            epochs=2,
        ),
        use.UsageOutputNames(
            model="ph_model",
            predictions="ph_validation_predictions",
            certainty="ph_validation_certainty",
            training_log="ph_training_log",
        ),
    )


def split_samples_example(use):
    """Keep a fifth of the samples apart, whole sites."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="split_samples"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
        ),
        use.UsageOutputNames(train_table="train_table", test_table="test_table"),
    )


def predict_example(use):
    """Predict new samples."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="predict"),
        use.UsageInputs(
            table=use.init_artifact("new_table", new_table),
            sequences=use.init_artifact("sequences", sequences),
            model=use.init_artifact("ph_model", model),
        ),
        use.UsageOutputNames(predictions="ph_predictions", certainty="ph_certainty", novelty="novelty"),
    )


def predict_baselines_example(use):
    """Predict new samples by the baselines."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="predict_baselines"),
        use.UsageInputs(
            train_table=use.init_artifact("table", training_table),
            table=use.init_artifact("new_table", new_table),
            phylogeny=use.init_artifact("phylogeny", phylogeny),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
        ),
        use.UsageOutputNames(baselines="ph_baselines"),
    )


def cross_validate_example(use):
    """Predict each sample of a table by what is learnt from other sites."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="cross_validate"),
        use.UsageInputs(
            table=use.init_artifact("table", training_table),
            sequences=use.init_artifact("sequences", sequences),
            phylogeny=use.init_artifact("phylogeny", phylogeny),
            encoder=use.init_artifact("encoder", encoder),
            metadata=use.get_metadata_column("ph", "ph", samples),
            groups=use.get_metadata_column("site", "site", samples),
            folds=2,
        ),
        use.UsageOutputNames(
            predictions="ph_out_of_fold",
            certainty="ph_out_of_fold_certainty",
            baselines="ph_baselines",
            scores="ph_scores",
            report="ph_report",
        ),
    )


def merge_folds_example(use):
    """Put two folds together, each of half of the samples."""
    samples = use.init_metadata("metadata", metadata)
    folds = {
        f"fold_{number}_{name}": partial(_half, name, number)
        for name in ("predictions", "certainty", "novelty", "baselines")
        for number in (1, 2)
    }
    made = {name: use.init_artifact(name, make) for name, make in folds.items()}
    use.action(
        use.UsageAction(plugin_id="aam", action_id="merge_folds"),
        use.UsageInputs(
            predictions=[made["fold_1_predictions"], made["fold_2_predictions"]],
            certainty=[made["fold_1_certainty"], made["fold_2_certainty"]],
            novelty=[made["fold_1_novelty"], made["fold_2_novelty"]],
            baselines=[made["fold_1_baselines"], made["fold_2_baselines"]],
            metadata=use.get_metadata_column("ph", "ph", samples),
            pretraining="each_fold",
        ),
        use.UsageOutputNames(
            merged_predictions="ph_out_of_fold",
            merged_certainty="ph_out_of_fold_certainty",
            merged_novelty="novelty",
            merged_baselines="ph_baselines",
            scores="ph_scores",
        ),
    )


def _half(name: str, number: int):
    """One half of the new samples, as if it had been a fold."""
    import pandas as pd

    if name == "baselines":
        whole = pd.DataFrame({"median": 6.5}, index=_predicted()[0].view(pd.Series).index)
        semantic_type = "SampleData[BaselinePredictions]"
    else:
        artifact = _predicted()[("predictions", "certainty", "novelty").index(name)]
        whole = artifact.view(pd.Series if name == "predictions" else pd.DataFrame)
        semantic_type = artifact.type
    half = len(whole) // 2
    return Artifact.import_data(semantic_type, whole.iloc[:half] if number == 1 else whole.iloc[half:])


def evaluate_example(use):
    """Compare predictions with the truth."""
    samples = use.init_metadata("metadata", metadata)
    use.action(
        use.UsageAction(plugin_id="aam", action_id="evaluate"),
        use.UsageInputs(
            predictions=use.init_artifact("ph_predictions", predictions),
            certainty=use.init_artifact("ph_certainty", certainty),
            metadata=use.get_metadata_column("ph", "ph", samples),
        ),
        use.UsageOutputNames(visualization="ph_evaluation"),
    )


def summarize_training_example(use):
    """Look at a training run."""
    use.action(
        use.UsageAction(plugin_id="aam", action_id="summarize_training"),
        use.UsageInputs(training_log=use.init_artifact("pretraining_log", training_log)),
        use.UsageOutputNames(visualization="pretraining"),
    )
