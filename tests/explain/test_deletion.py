"""The deletion curve: predictions without many ASVs at once."""

from dataclasses import replace

import numpy as np
import pytest

from q2_aam.explain.deletion import outputs_without
from q2_aam.settings import Explaining
from q2_aam.study.tables import keep_columns

from ..tiny_predictors import new_samples, predictor


@pytest.mark.parametrize("head", ["ensemble", "linear"])
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_they_are_those_of_a_table_without_them(head, kind):
    fitted, study = predictor(head, kind), new_samples()
    quiet = Explaining(threads=1, foreign="ignore", token_limit=fitted.description.token_limit)
    study, known, _ = fitted.read(study, quiet)
    assert known.nnz < study.communities.counts.nnz or head == "linear", "or nothing is new"
    gone = np.random.default_rng(0).random((2, len(study.communities.tokens))) < [[0.5], [0.1]]
    found = outputs_without(fitted, study, known, list(gone), quiet)
    for leaves, outputs in zip(gone, found, strict=True):
        counts = keep_columns(study.communities.counts, ~leaves)
        without = replace(study, communities=replace(study.communities, counts=counts))
        values = fitted.predict(without, quiet).values.to_numpy()
        decided = fitted.calibration.decide(fitted.target, outputs)
        if kind == "numeric":
            np.testing.assert_allclose(decided, values, rtol=1e-4)
        else:
            assert list(decided) == list(values)
