"""What is trained once for all tests of the actions."""

import pytest

from q2_aam.heads import ensemble, trees
from q2_aam.simulation.survey import simulate_survey

from .small import Survey, run_fine_tune, run_fit, run_pretrain


@pytest.fixture(scope="package", autouse=True)
def few_trees():
    """A tenth of the trees, of which nothing here depends on the number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "TREES", 20)
        patch.setattr(ensemble, "ABUNDANCE_TREES", 10)
        for module in (trees, ensemble):
            patch.setattr(module, "INNER_SHARE", 1.0)
        yield


@pytest.fixture(scope="package")
def study(tmp_path_factory):
    """48 samples of 9 sites, with at most 120 ASVs of 60 nt, whose IDs are MD5 sums."""
    survey = simulate_survey(48, 120, 60)
    directory = survey.write(tmp_path_factory.mktemp("study"))
    return Survey(survey.table, survey.sequences, survey.tree, survey.metadata, directory)


@pytest.fixture(scope="package")
def pretrained(study):
    """An encoder and its training log."""
    return run_pretrain(study)


@pytest.fixture(scope="package")
def encoder(pretrained):
    return pretrained[0]


@pytest.fixture(scope="package")
def weighted_encoder(study):
    """An encoder that has learnt another kind of UniFrac."""
    return run_pretrain(study, metric="weighted_normalized")[0]


@pytest.fixture(scope="package")
def regressor(study, encoder):
    """Model, predictions and certainty for `ph`, with the default head."""
    return run_fit(study, "ph", encoder)


@pytest.fixture(scope="package")
def classifier(study, encoder):
    """Model, predictions and certainty for `habitat`, with the default head, by site."""
    return run_fit(study, "habitat", encoder, groups=study.column("site"))


@pytest.fixture(scope="package")
def tuned(study, encoder):
    """Model, predictions, certainty and log for `ph`, with the encoder tuned."""
    return run_fine_tune(study, "ph", encoder)
