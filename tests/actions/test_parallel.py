"""`cross_validate` side by side, where the framework can do that (2024.10 and later): it ends, as in one row."""

import pandas as pd
import pytest

from q2_aam import framework
from q2_aam.framework import Artifact
from q2_aam.plugin_setup import plugin

from .small import as_column, told

parallel_config = pytest.importorskip(f"{framework.NAME}.sdk.parallel_config", reason="needs QIIME 2 2024.10 or later")
THREADS = {"class": "ThreadPoolExecutor", "label": "default", "max_threads": 2}


@pytest.mark.timeout(300)
def test_folds_side_by_side_are_those_in_one_row(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # parsl writes its log where it is
    ids = list(study.table.ids()[:24])
    arguments = {
        "table": Artifact.import_data("FeatureTable[Frequency]", study.samples(ids).remove_empty("observation")),
        "sequences": Artifact.import_data("FeatureData[Sequence]", str(study.directory / "sequences.fasta")),
        "metadata": as_column(study.frame.loc[ids, "ph"]),
        "folds": 2,
        "threads": 1,
        "head": "linear",
    }
    pipeline = plugin.pipelines["cross_validate"]
    config, _ = parallel_config.load_config_from_dict({"parsl": {"strategy": "None", "executors": [THREADS]}})
    with told():
        serial = pipeline(**arguments)
        with parallel_config.ParallelConfig(config):
            parallel = pipeline.parallel(**arguments)._result()
    for name in ("predictions", "certainty", "baselines", "scores"):
        kind = pd.Series if name == "predictions" else pd.DataFrame
        one, other = (getattr(outputs, name).view(kind) for outputs in (serial, parallel))
        assert other.loc[one.index].equals(one), name
