"""The distances that an encoder learns are of the features that it reads."""

import numpy as np
import pytest
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.encoder.training import trainer
from q2_aam.study.unifrac import UniFracDistances

from .small import run_fit, run_pretrain


class Begun(Exception):
    """Training would begin."""


@pytest.fixture
def begun(monkeypatch):
    """The data set of the run that would begin."""
    datasets = []

    def train(task, dataset, *arguments, **how):
        datasets.append(dataset)
        raise Begun

    monkeypatch.setattr(trainer, "train", train)
    return datasets


@pytest.mark.parametrize("action", ["pretrain", "fit"])
@pytest.mark.parametrize("metric", ["unweighted", "weighted_normalized"])
def test_features_without_a_sequence_have_no_part_in_the_distances(study, tmp_path, begun, action, metric):
    ids = study.table.ids("observation")
    (tmp_path / "few.fasta").write_text("".join(f">{name}\n{study.sequence_of[name]}\n" for name in ids[30:]))
    how = {
        "sequences": DNAFASTAFormat(str(tmp_path / "few.fasta"), "r"),
        "phylogeny": study.phylogeny,
        "missing_features": "ignore",
        "metric": metric,
    }
    with pytest.raises(Begun):
        run_pretrain(study, **how) if action == "pretrain" else run_fit(study, "ph", **how)
    rows = np.arange(48)
    read = study.table.filter(set(ids[30:]), axis="observation", inplace=False)
    distances = begun[0].unifrac(rows)
    np.testing.assert_array_equal(distances, UniFracDistances(read, str(study.phylogeny), metric)(rows))
    assert np.abs(distances - UniFracDistances(study.table, str(study.phylogeny), metric)(rows)).max() > 0.01
