"""The same predictions with every release of what q2-aam stands on, and on every processor, within bounds.

`tests/predictions.json` holds what was predicted on Debian 12 (NumPy 1.24, scikit-learn 1.2), on a processor with
AVX-512. Other releases and AVX2 alone were compared with it: see docs/dev/decisions/0037-same-predictions.md. After a
change that is meant to change predictions: `python -m tests.test_same_predictions` writes the file anew.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from q2_aam.encoder.encoder import Encoder
from q2_aam.predictor import Predictor
from q2_aam.settings import Fitting
from q2_aam.simulation.study import simulate_study
from tests.tiny_predictors import COLUMN, EACH, few_trees

STORED = Path(__file__).with_name("predictions.json")
NAMES = [f"{head} {kind}" for head, kind in EACH]


@cache
def ready() -> Encoder:
    return Encoder.ready()


def predictions(head: str, kind: str) -> np.ndarray:
    """Of 12 new samples, by a head on the ready encoder: pH values, or a row of probabilities each."""
    study = simulate_study(30, length=120, target=COLUMN[kind])
    with few_trees():
        fitted = Predictor.fit(ready(), study, Fitting(head=head, threads=1))
    predicted = fitted.predict(simulate_study(12, length=120, random_seed=3))
    return (predicted.values if kind == "numeric" else predicted.certainty).to_numpy(dtype=float)


@pytest.mark.parametrize("head, kind", EACH, ids=NAMES)
def test_predictions_are_those_of_other_releases_and_processors(head, kind):
    stored = np.array(json.loads(STORED.read_text())[f"{head} {kind}"])
    np.testing.assert_allclose(predictions(head, kind), stored, rtol=0, atol=1e-4)


if __name__ == "__main__":
    made = {f"{head} {kind}": predictions(head, kind).round(7).tolist() for head, kind in EACH}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in made.items())
    STORED.write_text(f"{{\n{lines}\n}}\n")
