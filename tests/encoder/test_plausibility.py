"""Sequences whose like an encoder has not read: refused with the cause, in every way a table can be wrong."""

from dataclasses import replace

import numpy as np
import pytest
import skbio

from q2_aam.cross_validation import cross_validate
from q2_aam.encoder import plausibility
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.plausibility import (
    FOREIGN,
    PRIMERS,
    begin_later,
    begin_sooner,
    cause,
    foreign_caution,
    guessing_losses,
)
from q2_aam.fine_tuning import fine_tune
from q2_aam.predictor import Predictor
from q2_aam.settings import CrossValidation, Embedding, FineTuning, Fitting, Runtime
from q2_aam.study.communities import Communities
from q2_aam.study.tokenizer import reverse_complements, tokenize

SMALL = Fitting(head="kernel", threads=1)


@pytest.fixture(scope="module")
def study(nucleotide_study):
    return nucleotide_study


@pytest.fixture(scope="module")
def encoder(nucleotide_encoder):
    return nucleotide_encoder


def plain(primer: str) -> str:
    """A primer without ambiguous letters."""
    return str(next(skbio.DNA(primer).expand_degenerates()))


def texts(tokens: np.ndarray) -> list[str]:
    return ["".join("?ACGTN??"[token] for token in row[1:] if token) for row in tokens]


def shuffled(tokens: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([tokens[:, :1], rng.permuted(tokens[:, 1:], axis=1)], axis=1)


def with_primer(tokens: np.ndarray) -> np.ndarray:
    primer = plain(PRIMERS["515F"])
    return tokenize([primer + text for text in texts(tokens)], 80)


CHANGES = {
    "reverse complements": (reverse_complements, "They are the reverse complements of sequences that it knows"),
    "begun later": (lambda tokens: begin_later(tokens, 5), "They seem to begin 5 nucleotides behind where those"),
    "begun sooner": (
        lambda tokens: tokenize(["ACTGA" + text for text in texts(tokens)], 80),
        "They seem to begin 5 nucleotides before where those",
    ),
    "primer": (with_primer, r"They begin with the primer 515F \(GTGYCAGCMGCCGCGGTAA\): cut primers off\."),
    "shuffled": (shuffled, r"They may be of another gene \(.*\), or of a region of it that the encoder has not read\."),
}


def changed(study, change, asvs=slice(None)):
    """The study with other sequences for some of its ASVs."""
    tokens = study.communities.tokens
    other = change(tokens)
    width = max(tokens.shape[1], other.shape[1])
    tokens, other = (np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in (tokens, other))
    tokens = tokens.copy()
    tokens[asvs] = other[asvs]
    return replace(study, communities=replace(study.communities, tokens=tokens))


def test_known_sequences_are_guessed_far_better_than_by_chance(study, encoder):
    tokens = study.communities.tokens
    assert np.median(guessing_losses(encoder.network, tokens)) < 0.6
    for change, _ in CHANGES.values():
        losses = guessing_losses(encoder.network, change(tokens))
        assert np.median(losses) > FOREIGN
    assert np.array_equal(guessing_losses(encoder.network, tokens), guessing_losses(encoder.network, tokens))


def test_a_sequences_loss_is_its_own_whatever_stands_beside_it(study, encoder):
    tokens = study.communities.tokens
    losses = guessing_losses(encoder.network, tokens)
    wider = np.pad(tokens[[5, 90, 7]], ((0, 0), (0, 30)))
    assert guessing_losses(encoder.network, wider) == pytest.approx(losses[[5, 90, 7]], abs=1e-4)
    assert guessing_losses(encoder.network, tokens[5:6]) == pytest.approx(losses[5:6], abs=1e-4)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_table_of_other_sequences_is_refused_with_the_cause(study, encoder, kind):
    change, said = CHANGES[kind]
    communities = changed(study, change).communities
    start = r"^\d+ of 40 samples hold mostly sequences whose like the encoder has not read \(\d+% of the reads that "
    with pytest.raises(ValueError, match=f"{start}were looked at\\): S.* {said}.* set foreign to 'ignore' to go on"):
        foreign_caution(encoder, communities, "error")
    caution = foreign_caution(encoder, communities, "ignore")
    assert caution.endswith("What is predicted of them means little.")


def test_samples_of_a_run_that_was_turned_round_are_named(study, encoder):
    """Those of one run in a table, each by itself, and not by the median of all."""
    both = changed(study, reverse_complements)
    tokens = np.concatenate([study.communities.tokens, both.communities.tokens])
    counts = study.communities.counts.tolil()
    wide = np.zeros((40, len(tokens)))
    wide[:, : counts.shape[1]] = counts.toarray()
    wide[7, counts.shape[1] :], wide[7, : counts.shape[1]] = wide[7, : counts.shape[1]].copy(), 0
    communities = replace(study.communities, counts=type(study.communities.counts)(wide), tokens=tokens)
    name = study.communities.sample_ids[7]
    end = "turn them round. Or set foreign to 'ignore' to go on.$"
    with pytest.raises(ValueError, match=f"^1 of 40 samples .*: {name}. They are the reverse complements .*{end}"):
        foreign_caution(encoder, communities, "error")


def odd_samples(study, odd: int, samples: int, change=shuffled) -> Communities:
    """Some samples, the first of which hold other sequences."""
    communities, rows = study.communities, study.communities.counts.toarray()[:samples]
    wide = np.hstack([rows, np.zeros_like(rows)])
    wide[:odd] = np.roll(wide[:odd], rows.shape[1], axis=1)
    tokens = np.concatenate([communities.tokens, changed(study, change).communities.tokens])
    ids = communities.sample_ids[:samples]
    return replace(communities, counts=type(communities.counts)(wide), tokens=tokens, sample_ids=ids)


@pytest.mark.parametrize(("odd", "samples", "stops"), [(1, 40, False), (3, 40, False), (5, 40, True), (2, 2, False)])
def test_samples_without_a_cause_stop_where_they_are_many(study, encoder, odd, samples, stops):
    communities = odd_samples(study, odd, samples)
    if stops:
        with pytest.raises(ValueError, match="has not read. Leave these samples out, or set foreign to 'ignore'"):
            foreign_caution(encoder, communities, "error")
    else:
        said = foreign_caution(encoder, communities, "error")
        assert said.startswith(f"{odd} of {samples} samples hold mostly sequences") and "another gene" in said


def test_a_single_sample_that_is_turned_round_stops(study, encoder):
    with pytest.raises(ValueError, match="^1 of 1 samples .* They are the reverse complements"):
        foreign_caution(encoder, odd_samples(study, 1, 1, reverse_complements), "error")


def test_random_sequences_have_no_cause(study, encoder):
    """Some of 50 ways to change an odd sequence make it less odd; that is no cause."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        tokens = tokenize(["".join(rng.choice(list("ACGT"), 60)) for _ in range(3)], 60)
        assert cause(encoder.network, tokens) is None
        assert cause(encoder.network, reverse_complements(study.communities.tokens[:2])) is None


def test_own_sequences_and_encoders_that_cannot_tell_say_nothing(study, encoder):
    assert foreign_caution(encoder, study.communities, "error") is None
    wrong = changed(study, reverse_complements).communities
    for scores in ({}, {"val/nucleotide_loss": 1.3}):
        unknowing = replace(encoder, description=replace(encoder.description, scores=scores))
        assert foreign_caution(unknowing, wrong, "error") is None


def test_fit_predict_and_cross_validate_refuse_before_any_work(study, encoder, monkeypatch):
    wrong = changed(study, reverse_complements)
    predictor = Predictor.fit(encoder, study, SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "embed_tables", None)
        for work in (
            lambda: Predictor.fit(encoder, wrong, SMALL),
            lambda: predictor.predict(wrong),
            lambda: cross_validate(wrong, encoder, CrossValidation(folds=2), SMALL, baselines=False),
        ):
            with pytest.raises(ValueError, match="They are the reverse complements"):
                work()
    told = predictor.predict(wrong, Embedding(foreign="ignore"))
    assert any("They are the reverse complements" in caution for caution in told.cautions)
    assert not any("hold mostly sequences" in caution for caution in predictor.predict(study).cautions)
    fitted = Predictor.fit(encoder, wrong, replace(SMALL, foreign="ignore"))
    assert any("hold mostly sequences" in caution for caution in fitted.out_of_fold.cautions)


def test_cross_validation_of_what_is_ignored_ends(study, encoder):
    wrong = changed(study, reverse_complements)
    with pytest.warns(UserWarning, match="^40 of 40 samples .* They are the reverse complements"):
        done = cross_validate(
            wrong, encoder, CrossValidation(folds=2), replace(SMALL, foreign="ignore"), baselines=False
        )
    assert done.predictions.notna().all()


def test_fine_tuning_refuses_them_too(study, encoder, tmp_path):
    settings, wrong = FineTuning(runtime=Runtime(threads=1)), changed(study, reverse_complements)
    with pytest.raises(ValueError, match="They are the reverse complements"):
        fine_tune(encoder, wrong, settings, directory=tmp_path)


@pytest.mark.parametrize("text", ["A", "ACG", "N" * 30, "ACGTACGTACGTACGTACGTACGTACGTACGTACGT"])
def test_a_single_sample_of_a_single_short_or_unknown_sequence_has_an_answer(study, encoder, text):
    tokens = tokenize([text], 60)
    counts = type(study.communities.counts)(np.ones((1, 1), dtype=np.float32))
    one = replace(study.communities, counts=counts, tokens=tokens, sample_ids=np.array(["only"], dtype=object))
    said = foreign_caution(encoder, one, "ignore")
    assert said is None or said.startswith("1 of 1 samples hold mostly sequences")
    if set(text) == {"N"}:
        # Nothing could be hidden.
        assert said is None and np.isnan(guessing_losses(encoder.network, tokens)).all()


def test_sequences_stay_within_their_width():
    tokens = tokenize(["ACG"], 10)
    for number in (1, 3, 25):
        assert begin_sooner(tokens, number).shape == tokens.shape
        assert begin_later(tokens, number).shape[1] == max(1, tokens.shape[1] - number)


def test_tokens_are_turned_and_moved_as_texts_are():
    tokens = tokenize(["AACGTN", "GATTACA"], 10)
    assert texts(reverse_complements(tokens)) == ["NACGTT", "TGTAATC"]
    assert texts(begin_later(tokens, 2)) == ["CGTN", "TTACA"]
    assert texts(begin_sooner(tokens, 2)) == ["NNAACGT", "NNGATTA"]
    assert (reverse_complements(tokens)[:, 0] == tokens[:, 0]).all()


def test_primers_of_either_end_are_known(encoder):
    for name, primer in plausibility.PRIMERS.items():
        begin = plain(primer)
        rng = np.random.default_rng(1)
        sequences = [begin + "".join(rng.choice(list("ACGT"), 40)) for _ in range(10)]
        assert cause(encoder.network, tokenize(sequences, 80)) == (
            f"They begin with the primer {name} ({primer}): cut primers off."
        )
