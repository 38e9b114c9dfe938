"""Conditioning columns by the commands of the documents."""

import json

import pandas as pd

from .conftest import SIZES, plain


def test_a_model_is_fitted_with_them_and_needs_them_to_predict(survey, qiime):
    qiime(
        r"""qiime aam fit --i-table T.qza --i-sequences S.qza --m-metadata-file md.tsv --m-metadata-column ph \
        --m-conditioning-file md.tsv --p-conditioning-columns habitat --o-model c-model.qza \
        --o-predictions c-val.qza --o-certainty c-val-certainty.qza --o-training-log c-log.qza """
        + SIZES
    )
    qiime.check("c-model.qza").export_data(str(qiime.folder / "c-model"))
    (column,) = json.loads((qiime.folder / "c-model" / "model.json").read_text())["conditioning"]["columns"]
    assert column["name"] == "habitat" and column["categories"] == ["forest", "grassland", "wetland"]
    predict = r"""qiime aam predict --i-table new.qza --i-sequences S.qza --i-model c-model.qza \
        --o-predictions c-pred.qza --o-certainty c-cert.qza --o-novelty c-nov.qza """
    refused = qiime(predict, ok=False)
    said = plain(refused.out + refused.err)
    assert refused.code == 1 and "The model was fitted with the conditioning columns habitat, and needs them" in said
    qiime(predict + "--m-conditioning-file md.tsv")
    assert set(qiime.check("c-pred.qza").view(pd.Series).index) == set(survey[1].metadata.index)
