"""Covariates by the commands of the documents."""

import json

import pandas as pd

from .conftest import COLUMN, plain


def test_a_model_is_fitted_with_them_and_needs_them_to_predict(flow, survey, qiime):
    said = qiime(
        rf"""qiime aam fit --i-table T.qza --i-sequences S.qza --i-encoder encoder.qza {COLUMN.format("ph")} \
        --m-covariates-file md.tsv --p-covariate-columns habitat --p-head linear --o-model c-model.qza \
        --o-predictions c-oof.qza --o-certainty c-oof-certainty.qza --verbose"""
    )
    assert "Covariates: habitat (forest, grassland, wetland)." in said.lines
    qiime.check("c-model.qza").export_data(str(qiime.folder / "c-model"))
    (column,) = json.loads((qiime.folder / "c-model" / "model.json").read_text())["covariates"]["columns"]
    assert column["name"] == "habitat" and column["categories"] == ["forest", "grassland", "wetland"]
    predict = r"""qiime aam predict --i-table new.qza --i-sequences S.qza --i-model c-model.qza \
        --o-predictions c-pred.qza --o-certainty c-cert.qza --o-novelty c-nov.qza """
    refused = qiime(predict, ok=False)
    assert refused.code == 1
    assert "The model was fitted with the covariates habitat, and needs them of the new samples, too." in plain(
        refused.out + refused.err
    )
    qiime(predict + "--m-covariates-file md.tsv")
    assert set(qiime.check("c-pred.qza").view(pd.Series).index) == set(survey[1].metadata.index)
