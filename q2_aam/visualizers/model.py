"""`summarize-model`: what a model is, from its own file alone."""

import json
import shutil

from q2_aam.types import AAMModelDirectoryFormat


def summarize_model(output_dir: str, model: AAMModelDirectoryFormat) -> None:
    """Write a page that shows what a model predicts, what it was made from, and what its file holds.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    model : AAMModelDirectoryFormat
        An encoder, a regressor or a classifier.

    Raises
    ------
    ValueError
        If the model is damaged, or a fitted one of an earlier q2-aam.
    """
    from q2_aam.encoder.encoder import Encoder
    from q2_aam.predictor import Predictor

    from ._encoder_page import encoder_page
    from ._model_facts import settings_section
    from ._predictor_page import predictor_page

    description = model.path / "model.json"
    if json.loads(description.read_text(encoding="utf-8"))["kind"] == "encoder":
        loaded = Encoder.load(model.path)
        page = encoder_page(output_dir, loaded)
    else:
        loaded = Predictor.load(model.path)
        page = predictor_page(output_dir, loaded)
    settings_section(page, loaded.description)
    shutil.copyfile(description, page.directory / "model.json")
    page.download("model.json", "all that the model says of itself; its numbers (weights, trees) are not in it")
    page.render()
