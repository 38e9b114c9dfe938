"""What the usage examples work on: a small simulated survey, and what the actions make of it."""

import contextlib
import io
import tempfile
from functools import lru_cache
from pathlib import Path

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


def genes():
    """Genes that hold all sequences."""
    from q2_aam.simulation.genes import write_genes

    with tempfile.TemporaryDirectory() as directory:
        path = write_genes(_parts()[0].sequences, Path(directory) / "genes.fasta")
        return Artifact.import_data("FeatureData[Sequence]", str(path))


def metadata():
    """Metadata of all samples: `ph` is numeric, `habitat`, `site` and `treatment` are categorical."""
    import pandas as pd

    frame = pd.concat([part.metadata for part in _parts()])
    # Samples of each site lie side by side in them: some are of either treatment.
    return qiime2.Metadata(frame.assign(treatment=["none" if row % 2 else "limed" for row in range(len(frame))]))


def _run(name: str, **inputs) -> tuple:
    """Outputs of an action, without what it prints: it is not the one that the user asked for."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tuple(sdk.PluginManager().plugins["aam"].methods[name](**inputs))


@lru_cache(maxsize=1)
def _pretrained() -> tuple:
    inputs = {"table": training_table(), "sequences": sequences(), "phylogeny": phylogeny()}
    return _run("pretrain", **inputs, epochs=2, **SMALL)


@lru_cache(maxsize=1)
def _fitted() -> tuple:
    samples = metadata()
    columns = {"metadata": samples.get_column("ph"), "groups": samples.get_column("site")}
    return _run("fit", table=training_table(), sequences=sequences(), **columns)


@lru_cache(maxsize=1)
def _predicted() -> tuple:
    return _run("predict", table=new_table(), sequences=sequences(), model=model())


def encoder():
    """What `pretrain` makes."""
    return _pretrained()[0]


def model():
    """What `fit` makes for the column `ph`."""
    return _fitted()[0]


def out_of_fold():
    """What `fit` predicts of the samples that it learnt from, each by what it had learnt from other sites."""
    return _fitted()[1]


@lru_cache(maxsize=1)
def maturity():
    """What `maturity` makes of these."""
    samples = metadata()
    columns = {name: samples.get_column(of) for name, of in (("cohorts", "treatment"), ("groups", "site"))}
    return _run("maturity", predictions=out_of_fold(), metadata=samples.get_column("ph"), control="none", **columns)[0]


@lru_cache(maxsize=1)
def _explained() -> tuple:
    return _run("explain", table=new_table(), sequences=sequences(), model=model())


def importance():
    """What `explain` makes of the new samples."""
    return _explained()[0]


def effects():
    """Its effects."""
    return _explained()[1]


def training_log():
    """What `pretrain` leaves to look at."""
    return _pretrained()[1]


def predictions():
    """What `predict` makes for the new samples."""
    return _predicted()[0]


def certainty():
    """Its intervals."""
    return _predicted()[1]


def novelty():
    """How much of them the model had not met."""
    return _predicted()[2]


def half(name: str, number: int):
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
