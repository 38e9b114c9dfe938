"""Another strand and another trim, from what is learnt to what is predicted: refused, mended or told."""

from dataclasses import replace

import numpy as np
import pytest

from q2_aam.cross_validation import cross_validate
from q2_aam.encoder.encoder import Encoder
from q2_aam.predictor import Predictor
from q2_aam.settings import CrossValidation, Embedding, Fitting
from q2_aam.study.tokenizer import PAD, A, reverse_complements

SMALL = Fitting(head="kernel", threads=1)


@pytest.fixture(scope="module")
def predictor(nucleotide_study, nucleotide_encoder) -> Predictor:
    return Predictor.fit(nucleotide_encoder, nucleotide_study, SMALL)


def rewritten(study, tokens: np.ndarray):
    return replace(study, communities=replace(study.communities, tokens=tokens))


def longer(study):
    """The same sequences with ten nucleotides more."""
    more = np.full((len(study.communities.tokens), 10), A, dtype=np.uint8)
    return rewritten(study, np.concatenate([study.communities.tokens, more], axis=1))


def shorter(study):
    tokens = study.communities.tokens.copy()
    tokens[:, -6:] = PAD
    return replace(study, communities=study.communities.rewritten(tokens))


def turned(study):
    return rewritten(study, reverse_complements(study.communities.tokens))


def test_the_model_knows_the_lengths_that_it_has_learnt(predictor):
    assert predictor.description.data["lengths"] == {"shortest": 60, "longest": 60}


def test_longer_ones_are_refused_and_mended_to_the_same_predictions(nucleotide_study, predictor):
    other = longer(nucleotide_study)
    with pytest.raises(ValueError, match="^40 of 40 samples hold mostly sequences of 70 nucleotides.* 'mend'"):
        predictor.predict(other)
    right = predictor.predict(nucleotide_study)
    mended = predictor.predict(other, Embedding(foreign="mend"))
    assert mended.values.equals(right.values) and mended.certainty.equals(right.certainty)
    assert any("ASVs were cut to the 60 nucleotides" in caution for caution in mended.cautions)
    assert np.array_equal(mended.novelty["reads_cut"], mended.novelty["reads"])
    assert not mended.novelty["unseen_asvs"].any()


def test_reverse_complements_are_refused_and_mended(nucleotide_study, predictor):
    other = turned(nucleotide_study)
    with pytest.raises(ValueError, match="turn them round. Set foreign to 'mend' to have that done, or set foreign"):
        predictor.predict(other)
    mended = predictor.predict(other, Embedding(foreign="mend"))
    assert any("ASVs were turned round: they were reverse complements." in caution for caution in mended.cautions)
    # Some are read well from both ends; of the rest all reads are known.
    assert mended.novelty["unseen_read_share"].mean() < 0.1
    right = predictor.predict(nucleotide_study).values
    assert np.corrcoef(mended.values, right)[0, 1] > 0.95


def test_shorter_ones_cannot_be_mended(nucleotide_study, predictor):
    other = shorter(nucleotide_study)
    for foreign in ("error", "mend"):
        with pytest.raises(ValueError, match="of 54 nucleotides, while the model has learnt .* Trim reads as those"):
            predictor.predict(other, Embedding(foreign=foreign))
    told = predictor.predict(other, Embedding(foreign="ignore"))
    assert any("of 54 nucleotides" in caution for caution in told.cautions)


def test_what_is_right_is_left_as_it_is(nucleotide_study, predictor):
    right, mended = predictor.predict(nucleotide_study), predictor.predict(nucleotide_study, Embedding(foreign="mend"))
    assert mended.values.equals(right.values) and mended.cautions == right.cautions


def test_models_that_do_not_know_their_lengths_predict_as_before(nucleotide_study, predictor):
    data = {key: value for key, value in predictor.description.data.items() if key != "lengths"}
    old = replace(predictor, description=replace(predictor.description, data=data))
    told = old.predict(shorter(nucleotide_study))
    assert not any("nucleotides" in caution for caution in told.cautions)


def test_two_trims_in_one_table_are_not_learnt_from(nucleotide_study, nucleotide_encoder, monkeypatch):
    """Also where an encoder would be pretrained on them."""
    counts, short = nucleotide_study.communities.counts.toarray(), shorter(nucleotide_study).communities
    wide = np.hstack([counts, np.zeros((40, len(short.tokens)))])
    wide[:9] = np.hstack([np.zeros((9, counts.shape[1])), short.counts.toarray()[:9]])
    tokens = np.concatenate([nucleotide_study.communities.tokens, short.tokens])
    communities = replace(
        nucleotide_study.communities, counts=type(short.counts)(wide.astype(np.float32)), tokens=tokens
    )
    mixed = replace(nucleotide_study, communities=communities)
    monkeypatch.setattr(Encoder, "embed_tables", None)
    folds = CrossValidation(folds=2)
    for work in (
        lambda: Predictor.fit(nucleotide_encoder, mixed, SMALL),
        lambda: cross_validate(mixed, nucleotide_encoder, folds, SMALL, baselines=False),
        lambda: cross_validate(mixed, None, replace(folds, pretraining="each_fold"), SMALL, baselines=False),
    ):
        with pytest.raises(ValueError, match=r"^Samples were trimmed to different lengths .* 9 of 54 .* 31 of 60 "):
            work()


def test_a_table_that_begins_elsewhere_throughout_can_be_learnt_from(nucleotide_study, nucleotide_encoder):
    """Sets in the wild begin some nucleotides late. What must not be is that new samples begin somewhere else."""
    tokens = np.delete(nucleotide_study.communities.tokens, range(1, 14), axis=1)
    late = replace(nucleotide_study, communities=nucleotide_study.communities.rewritten(tokens))
    fitted = Predictor.fit(nucleotide_encoder, late, SMALL)
    said = [caution for caution in fitted.out_of_fold.cautions if "seem to begin 13 nucleotides behind" in caution]
    assert len(said) == 1 and said[0].endswith("They can be learnt from; new samples must begin there, too.")
    assert not any("begin" in caution for caution in fitted.predict(late).cautions)
    with pytest.raises(ValueError, match="They begin 13 nucleotides sooner"):
        fitted.predict(nucleotide_study)
