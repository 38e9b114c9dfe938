"""Sequences to learn from that are of several kinds: in some samples, or in a part of each."""

import pytest

from .inputs import PRIMER, GoesOn, outcome, shuffled, turned, unrelated

CASES = {
    "all reversed, to learn from": (
        lambda g: g.fit(**g.changed(turned)),
        GoesOn(),
    ),
    "a run of five samples reversed": (
        lambda g: g.fit(**g.changed(turned, slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They are the reverse complements: turn them round. Or set foreign to 'ignore' to go on.",
    ),
    "one sample reversed, to learn from": (
        lambda g: g.fitted(**g.changed(turned, slice(0, 1))),
        GoesOn(
            "1 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01. "
            "They are the reverse complements: turn them round. What is learnt of them means little.",
        ),
    ),
    "30% of the reads of each sample reversed": (
        lambda g: g.fit(**g.changed(turned, share=0.3)),
        "30% of a sample's reads, on average, do not begin as most others do, in 30 of 30 samples: s01, s02, s03, "
        "s04, s05, ... (30 in all). They are the reverse complements: turn them round. Or set foreign to 'ignore' to "
        "go on.",
    ),
    "one class reversed": (
        lambda g: g.fit(g.own("habitat"), **g.changed(turned, g.frame["habitat"] == "bog")),
        "11 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s03, "
        "s05, s06, s15, ... (11 in all). They are the reverse complements: turn them round. Or set foreign to "
        "'ignore' to go on.",
    ),
    "a run of five samples at 140 nt": (
        lambda g: g.fit(**g.changed(lambda text: text[:140], slice(0, 5))),
        "Samples were trimmed to different lengths (nucleotides): 5 of 140 (s01, s02, s03, s04, s05), 25 of 150 (s06, "
        "s07, s08, s09, s10, ... (25 in all)). The same microbe is another ASV at each, and a model learns the trim "
        "in place of the microbes. Trim all to 140, or set foreign to 'ignore' to go on.",
    ),
    "30% of the reads of each sample at 140 nt": (
        lambda g: g.fit(**g.changed(lambda text: text[:140], share=0.3)),
        "Sequences of the same microbes were trimmed to different lengths (nucleotides): 30% of the reads of 140, 70% "
        "of the reads of 150. The shorter ones are the beginnings of longer ones, and count as other ASVs. Trim all "
        "to 140, or set foreign to 'ignore' to go on.",
    ),
    "one group at 140 nt": (
        lambda g: g.fit(groups=g.own("site"), **g.changed(lambda text: text[:140], g.frame["site"] == "site 1")),
        "Samples were trimmed to different lengths (nucleotides): 5 of 140 (s02, s08, s14, s20, s26), 25 of 150 (s01, "
        "s03, s04, s05, s06, ... (25 in all)). The same microbe is another ASV at each, and a model learns the trim "
        "in place of the microbes. Trim all to 140, or set foreign to 'ignore' to go on.",
    ),
    "a run of five samples begun 10 nt late": (
        lambda g: g.fit(**g.changed(lambda text: text[10:], slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They begin 10 nucleotides later: cut all sequences at the same place. Or set foreign to "
        "'ignore' to go on.",
    ),
    "30% of the reads of each sample begun 10 nt late": (
        lambda g: g.fit(**g.changed(lambda text: text[10:], share=0.3)),
        "30% of a sample's reads, on average, do not begin as most others do, in 30 of 30 samples: s01, s02, s03, "
        "s04, s05, ... (30 in all). They begin 10 nucleotides later: cut all sequences at the same place. Or set "
        "foreign to 'ignore' to go on.",
    ),
    "a run of five samples with the primer": (
        lambda g: g.fit(**g.changed(lambda text: PRIMER + text, slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They begin 19 nucleotides sooner (a primer may be there still): cut all sequences at the same "
        "place. Or set foreign to 'ignore' to go on.",
    ),
    "a run of five samples of another region": (
        lambda g: g.fit(**g.changed(lambda text: text[70:] + text[:70], slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They may be of another gene, or of another region of it: then harmonize-regions helps. Leave "
        "these samples out, or "
        "set foreign to 'ignore' to go on.",
    ),
    "a run of five samples shuffled": (
        lambda g: g.fit(**g.changed(shuffled, slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They may be of another gene, or of another region of it: then harmonize-regions helps. Leave "
        "these samples out, or "
        "set foreign to 'ignore' to go on.",
    ),
    "a run of five samples of another gene": (
        lambda g: g.fit(**g.changed(unrelated, slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They may be of another gene, or of another region of it: then harmonize-regions helps. Leave "
        "these samples out, or "
        "set foreign to 'ignore' to go on.",
    ),
    "a run of five samples reversed, in cross-validate": (
        lambda g: g.cross_validate(**g.changed(turned, slice(0, 5))),
        "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, s02, "
        "s03, s04, s05. They are the reverse complements: turn them round. Or set foreign to 'ignore' to go on.",
    ),
    "a run of five samples reversed, insisted on": (
        lambda g: g.fitted(foreign="ignore", **g.changed(turned, slice(0, 5))),
        GoesOn(
            "5 of 30 samples hold mostly sequences that do not begin as most others do (100% of their reads): s01, "
            "s02, s03, s04, s05. They are the reverse complements: turn them round. What is learnt of them means "
            "little.",
        ),
    ),
    "all of 560 nt, for an encoder of 512": (
        lambda g: g.fit(**g.changed(lambda text: text[:140] * 4)),
        "40 of 80 features have a sequence of more than 512 nucleotides, of which the encoder reads the first 512 "
        "alone. Pretrain an encoder on such sequences, which then reads them whole, or set foreign to 'ignore' to go "
        "on with what it reads.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_learnt_sequences(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
