import pytest

from q2_aam.heads import ensemble, trees


@pytest.fixture(autouse=True)
def as_many_trees_in_inner_folds(monkeypatch):
    """So that what is said of a fold is what a head without the fold says."""
    for module in (trees, ensemble):
        monkeypatch.setattr(module, "INNER_SHARE", 1.0)
