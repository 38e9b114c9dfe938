import pytest

from tests.tiny_predictors import encoder, predictor


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Directories of an encoder, a regressor, a classifier and a model as fine-tuning makes them (a linear head)."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "encoder": encoder(),
        "regressor": predictor("ensemble", "numeric"),
        "classifier": predictor("ensemble", "categorical"),
        "fine-tuned": predictor("linear", "numeric", True),
    }
    for name, model in made.items():
        model.save(folder / name)
    return {name: folder / name for name in made}
