import json
import re

import pytest

from q2_aam.settings import Architecture


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 30, "heads": 4}, "dim (30) must be a multiple of heads (4)."),
        ({"dim": 0}, "dim must be at least 1, but is 0."),
        ({"heads": 0}, "heads must be at least 1, but is 0."),
        ({"nucleotides_per_token": 0}, "nucleotides_per_token must be at least 1, but is 0."),
        ({"nucleotide_layers": 0}, "nucleotide_layers must be at least 1, but is 0."),
        ({"sample_layers": -1}, "sample_layers must be at least 1, but is -1."),
        ({"lineages": 0}, "lineages must be at least 1, but is 0."),
        ({"feed_forward": 0}, "feed_forward must be at least 1, but is 0."),
        ({"max_length": 0}, "max_length must be at least 1, but is 0."),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, but is 1.0."),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, but is -0.1."),
        ({"dim": "128"}, "dim must be a whole number, but is '128'."),
        ({"lineages": 256.0}, "lineages must be a whole number, but is 256.0."),
        ({"heads": True}, "heads must be a whole number, but is True."),
        ({"anchors": None}, "anchors must be a whole number, but is None."),
        ({"dropout": "0"}, "dropout must be a number, but is '0'."),
        ({"dropout": float("nan")}, "dropout must be at least 0 and below 1, but is nan."),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Architecture(**changes)


@pytest.mark.parametrize(("length", "span", "tokens"), [(30, 3, 11), (31, 3, 12), (1, 5, 2), (512, 1, 513), (5, 5, 2)])
def test_max_tokens_is_start_and_the_spans_of_the_longest_sequence(length, span, tokens):
    assert Architecture(max_length=length, nucleotides_per_token=span).max_tokens == tokens


def test_json_gives_the_architecture_back():
    architecture = Architecture(dim=48, heads=3, dropout=0.1)
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


def test_an_unknown_setting_is_refused_by_name():
    message = "The model was made with unknown settings: depth, width. Update q2-aam and try again."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Architecture.from_dict({**Architecture().to_dict(), "width": 2, "depth": 3})


def test_a_description_that_lacks_a_setting_is_refused():
    settings = Architecture().to_dict()
    del settings["anchors"]
    with pytest.raises(ValueError, match="^The model's description lacks these settings: anchors. It was"):
        Architecture.from_dict(settings)
