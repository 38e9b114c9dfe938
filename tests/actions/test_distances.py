"""The distances that an encoder learns are of the features that it reads."""

import numpy as np
import pytest
from q2_types.feature_data import DNAFASTAFormat

from q2_aam import fine_tuning
from q2_aam.encoder import pretraining
from q2_aam.study.unifrac import UniFracDistances

from .small import run_fine_tune, run_pretrain


class TrainingBegins(Exception):
    """Training would begin."""


@pytest.fixture
def datasets(monkeypatch):
    """The data set of the run that would begin."""
    datasets = []

    def train(module, dataset, *arguments, **options):
        datasets.append(dataset)
        raise TrainingBegins

    monkeypatch.setattr(pretraining, "train", train)
    monkeypatch.setattr(fine_tuning, "train", train)
    return datasets


@pytest.mark.parametrize("action", ["pretrain", "fine_tune"])
@pytest.mark.parametrize("metric", ["unweighted", "weighted_normalized"])
def test_features_without_a_sequence_have_no_part_in_the_distances(
    study, encoder, tmp_path, datasets, action, metric
):
    ids = study.table.ids("observation")
    (tmp_path / "few.fasta").write_text("".join(f">{name}\n{study.sequence_of[name]}\n" for name in ids[30:]))
    inputs = {
        "sequences": DNAFASTAFormat(str(tmp_path / "few.fasta"), "r"),
        "phylogeny": study.phylogeny,
        "missing_features": "ignore",
        "metric": metric,
    }
    with pytest.raises(TrainingBegins):
        run_pretrain(study, **inputs) if action == "pretrain" else run_fine_tune(study, "ph", encoder, **inputs)
    rows = np.arange(48)
    read = study.table.filter(set(ids[30:]), axis="observation", inplace=False)
    distances = datasets[0].unifrac(rows)
    np.testing.assert_array_equal(distances, UniFracDistances(read, str(study.phylogeny), metric)(rows))
    assert np.abs(distances - UniFracDistances(study.table, str(study.phylogeny), metric)(rows)).max() > 0.01
