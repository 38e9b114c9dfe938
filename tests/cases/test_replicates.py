"""Technical replicates: what is learnt of them, and predicted of them, is said where it is read."""

import numpy as np
import pytest

from q2_aam.visualizers.evaluate import evaluate
from q2_aam.visualizers.model import summarize_model
from tests.actions.small import description, printed
from tests.visualizers.pages import predictions_of, read_page


@pytest.fixture(scope="module")
def fitted(given):
    """A model of samples that were each sequenced twice, without groups."""
    return given.fitted(table=given.replicated(), head="kernel")


def again(given):
    """The samples, sequenced once more."""
    rng = np.random.default_rng(5)
    shares = given.counts / given.counts.sum(0)
    return given.table_of(np.stack([rng.multinomial(8000, column) for column in shares.T], 1))


def test_the_last_line_says_so(given, capsys):
    given.fitted(table=given.replicated())
    last = printed(capsys)[-1]
    assert last.endswith(". Too good for new samples: 30 of 30 samples are near copies of others.")
    given.fitted()
    assert "near copies" not in capsys.readouterr().out


def test_so_does_the_page_of_the_model(given, fitted, tmp_path):
    assert description(fitted[0])["data"]["near_copies"] == 30
    summarize_model(str(tmp_path), fitted[0])
    text = read_page(tmp_path).text
    assert "No verdict: samples that it learnt from are near copies of one another." in text
    assert "30 of 30 samples are near copies of another one" in text and "On its own samples" not in text


def test_replicates_of_what_was_learnt_from_are_told_and_there_is_no_verdict(given, tmp_path):
    values, certainty, novelty = given.predict(table=again(given))
    assert not novelty["learnt_from"].any() and novelty["near_copy"].sum() >= 25
    given_to_evaluate = predictions_of(values), given.own("ph"), certainty
    for name, seen in (("copies", novelty), ("others", novelty.assign(near_copy=0.0))):
        (tmp_path / name).mkdir()
        evaluate(str(tmp_path / name), *given_to_evaluate, seen)
    text = read_page(tmp_path / "copies").text
    assert "No verdict: there are near copies of samples that were learnt from." in text
    assert "samples are near copies of samples that were learnt from (nearly all ASVs" in text
    assert "No verdict" not in read_page(tmp_path / "others").text


def test_predictions_by_shares_are_those_by_counts(given):
    shares = given.table_of(given.counts / given.counts.sum(0))
    by_counts, by_shares = (given.predict(table=table)[0] for table in (given.table, shares))
    np.testing.assert_allclose(by_shares, by_counts, rtol=1e-5)
