"""Sequences to predict that are not of the kind that was learnt: all, some samples, or a part of each."""

import pytest

from .inputs import PRIMER, GoesOn, outcome, shuffled, turned, unrelated

CASES = {
    "all reversed, in predict": (
        lambda g: g.predict(**g.changed(turned)),
        "30 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05, ... (30 in all). They are the reverse complements: turn them round. "
        "Set foreign to 'mend' to have that done, or set foreign to 'ignore' to go on.",
    ),
    "all reversed and mended, in predict": (
        lambda g: g.predict(foreign="mend", **g.changed(turned)),
        GoesOn(
            "40 of 40 ASVs were turned round: they were reverse complements.",
        ),
    ),
    "one sample reversed, in predict": (
        lambda g: g.predict(**g.changed(turned, slice(0, 1))),
        "1 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01. They are the reverse complements: turn them round. Set foreign to 'mend' to have that "
        "done, or set foreign to 'ignore' to go on.",
    ),
    "30% of the reads reversed, in predict": (
        lambda g: g.predict(**g.changed(turned, share=0.3)),
        "30% of a sample's reads, on average, do not begin as those do that the model has learnt from, in 30 of 30 "
        "samples: s01, s02, s03, s04, s05, ... (30 in all). They are the reverse complements: turn them round. Set "
        "foreign to 'mend' to have that done, or set foreign to 'ignore' to go on.",
    ),
    "all at 140 nt, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text[:140])),
        "30 of 30 samples hold mostly sequences of 140 nucleotides, while the model has learnt from sequences of 150 "
        "(100% of their reads are of another length): s01, s02, s03, s04, s05, ... (30 in all). The same microbe is "
        "another ASV then, and what is predicted means little. Trim reads as those that were learnt from, make both "
        "tables alike by "
        "harmonize-regions, or set "
        "foreign to 'ignore' to go on.",
    ),
    "all at 100 nt, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text[:100])),
        "30 of 30 samples hold mostly sequences of 100 nucleotides, while the model has learnt from sequences of 150 "
        "(100% of their reads are of another length): s01, s02, s03, s04, s05, ... (30 in all). The same microbe is "
        "another ASV then, and what is predicted means little. Trim reads as those that were learnt from, make both "
        "tables alike by "
        "harmonize-regions, or set "
        "foreign to 'ignore' to go on.",
    ),
    "30% of the reads at 140 nt, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text[:140], share=0.3)),
        "30 of 30 samples hold partly sequences of 140 nucleotides, while the model has learnt from sequences of 150 "
        "(30% of their reads are of another length): s01, s02, s03, s04, s05, ... (30 in all). The same microbe is "
        "another ASV then, and what is predicted means little. Trim reads as those that were learnt from, make both "
        "tables alike by "
        "harmonize-regions, or set "
        "foreign to 'ignore' to go on.",
    ),
    "all 10 nt longer, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text + "ACGTACGTAC")),
        "30 of 30 samples hold mostly sequences of 160 nucleotides, while the model has learnt from sequences of 150 "
        "(100% of their reads are of another length): s01, s02, s03, s04, s05, ... (30 in all). The same microbe is "
        "another ASV then, and what is predicted means little. Set foreign to 'mend' to have sequences cut to that "
        "length, or trim reads as those that were learnt from, make both tables alike by harmonize-regions, or set "
        "foreign to 'ignore' to go on.",
    ),
    "all 10 nt longer and mended, in predict": (
        lambda g: g.predict(foreign="mend", **g.changed(lambda text: text + "ACGTACGTAC")),
        GoesOn(
            "40 of 40 ASVs were cut to the 150 nucleotides that the model has learnt from; 40 distinct ones are left.",
        ),
    ),
    "30% of the reads 10 nt longer, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text + "ACGTACGTAC", share=0.3)),
        "30 of 30 samples hold partly sequences of 160 nucleotides, while the model has learnt from sequences of 150 "
        "(30% of their reads are of another length): s01, s02, s03, s04, s05, ... (30 in all). The same microbe is "
        "another ASV then, and what is predicted means little. Set foreign to 'mend' to have sequences cut to that "
        "length, or trim reads as those that were learnt from, make both tables alike by harmonize-regions, or set "
        "foreign to 'ignore' to go on.",
    ),
    "all begun 10 nt late, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text[10:])),
        "30 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05, ... (30 in all). They begin 10 nucleotides later: cut all sequences "
        "at the same place. Or set foreign to 'ignore' to go on.",
    ),
    "five samples with the primer, in predict": (
        lambda g: g.predict(**g.changed(lambda text: PRIMER + text, slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05. They begin 19 nucleotides sooner (a primer may be there still): cut "
        "all sequences at the same place. Or set foreign to 'ignore' to go on.",
    ),
    "all of another region, in predict": (
        lambda g: g.predict(**g.changed(lambda text: text[70:] + text[:70])),
        "30 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05, ... (30 in all). They may be of another gene, or of another region of "
        "it: then harmonize-regions helps. Leave these samples out, or set foreign to 'ignore' to go on.",
    ),
    "all shuffled, in predict": (
        lambda g: g.predict(**g.changed(shuffled)),
        "30 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05, ... (30 in all). They may be of another gene, or of another region of "
        "it: then harmonize-regions helps. Leave these samples out, or set foreign to 'ignore' to go on.",
    ),
    "all of another gene, in predict": (
        lambda g: g.predict(**g.changed(unrelated)),
        "30 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05, ... (30 in all). They may be of another gene, or of another region of "
        "it: then harmonize-regions helps. Leave these samples out, or set foreign to 'ignore' to go on.",
    ),
    "one sample of another gene, in predict": (
        lambda g: g.predict(**g.changed(unrelated, slice(0, 1))),
        GoesOn(
            "1 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% "
            "of their reads): s01. They may be of another gene, or of another region of it: then harmonize-regions "
            "helps. What is predicted "
            "of them means little.",
        ),
    ),
    "all of another gene, in explain": (
        lambda g: g.explain(**g.changed(unrelated)),
        "30 of 30 samples hold mostly sequences that do not begin as those do that the model has learnt from (100% of "
        "their reads): s01, s02, s03, s04, s05, ... (30 in all). They may be of another gene, or of another region of "
        "it: then harmonize-regions helps. Leave these samples out, or set foreign to 'ignore' to go on.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_predicted_sequences(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
