"""Two classes: the threshold by which one was named, and what the page hands to its script."""

import numpy as np
import pytest

from q2_aam.visualizers._threshold import used_threshold
from q2_aam.visualizers.evaluate import evaluate
from tests.visualizers.pages import categorical, predictions_of, read_page
from tests.visualizers.test_classification import classification
from tests.visualizers.test_columns import widgets

pytestmark = pytest.mark.filterwarnings("ignore")
FROM = "These predictions name 'ill' from a probability on that lies somewhere"
SHARE = (
    "as in the decision 'balanced', where a class is named when it stands out against its share of the samples that "
    "were learnt from."
)


@pytest.mark.parametrize(
    ("probability", "named", "threshold", "rule"),
    [
        ([0.4, 0.6], [0, 1], 0.5, f"{FROM} between 0.400 and 0.600, as the likeliest class is named."),
        ([0.1, 0.3, 0.9], [0, 1, 1], 0.2, f"{FROM} between 0.100 and 0.300, {SHARE}"),
        ([0.5, 0.7], [0, 1], 0.6, f"{FROM} between 0.500 and 0.700, {SHARE}"),
        # Of the same probability: whichever the threshold is, one of them is named otherwise.
        ([0.3, 0.3, 0.9], [0, 1, 1], 0.5, "No single threshold names 'ill' as these predictions do (repeats may "
         "disagree)."),
        ([0.3, 0.2], [0, 1], 0.5, "No single threshold names 'ill' as these predictions do (repeats may disagree)."),
        ([0.3, 0.2], [0, 0], 0.5, "These predictions never name 'ill'."),
        ([0.3, 0.2], [1, 1], 0.5, "These predictions always name 'ill'."),
    ],
)  # fmt: skip
def test_the_threshold_that_was_used(probability, named, threshold, rule):
    found = used_threshold(np.array(probability), np.array(named, dtype=bool), "ill")
    assert found == (pytest.approx(threshold), rule)


def test_the_script_gets_the_samples(tmp_path):
    ids, truth, predicted, probabilities = classification(["ill", "well"])
    evaluate(
        str(tmp_path), predictions_of(dict(zip(ids, predicted, strict=True))),
        categorical(dict(zip(ids, truth, strict=True))), probabilities,
    )  # fmt: skip
    found = widgets(tmp_path)["threshold"]
    assert found["classes"] == ["ill", "well"]
    assert found["truth"] == [int(name == "well") for name in truth]
    assert found["probability"] == probabilities["well"].tolist(), "one near the threshold stays there"
    named = np.array(found["probability"]) >= found["threshold"]
    assert named.tolist() == (predicted == "well").tolist(), "at first it is the confusion matrix of the predictions"
    assert "These predictions name 'well' from a probability on" in read_page(tmp_path).text
