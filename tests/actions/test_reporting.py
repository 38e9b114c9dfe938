"""What the actions share: sentences, warnings as sentences, temporary directories."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from q2_aam.actions._reporting import (
    describe_new_asvs,
    describe_novelty,
    describe_study,
    percent,
    readable_warnings,
    say,
    warn_of,
)
from q2_aam.encoder.encoder import Encoder
from q2_aam.study.communities import asv_hashes
from tests import tiny


@pytest.mark.parametrize("known", [36, 30, 0])
def test_how_much_is_new_to_the_encoder(known):
    communities = tiny.survey()
    encoder = Encoder(None, None, asv_hashes(communities.tokens[:known]), {})
    counts = communities.counts.toarray()
    share = counts[:, known:].sum() / counts.sum()
    assert describe_new_asvs(encoder, SimpleNamespace(communities=communities)) == (
        "The encoder has read all of these ASVs in pretraining."
        if known == 36
        else f"{36 - known} of these ASVs, with {share:.1%} of the reads, are new to the encoder, which reads them by "
        "their sequences."
    )


def test_a_study_in_a_sentence():
    communities = tiny.survey()
    richness = np.diff(communities.counts.indptr)
    sentence = f"36 distinct ASVs, {int(np.median(richness))} a sample (median), {richness.max()} at most."

    class Study(SimpleNamespace):
        def __len__(self):
            return 20

    assert describe_study(Study(communities=communities, groups=None)) == f"20 samples, {sentence}"
    dropped = np.full(20, communities.counts.sum() / 60)  # a quarter of what is there with them
    lost = tiny.changed(communities, reads_dropped=dropped)
    assert describe_study(Study(communities=lost, groups=pd.Series(list("abcd") * 5))) == (
        f"20 samples of 4 groups, {sentence} Left out: 25.0% of the reads, whose features have no sequence."
    )


def test_novelty_in_a_sentence():
    columns = {"reads": [10.0, 30.0], "reads_dropped": [2.0, 0.0], "reads_cut": [1.0, 0.0], "reads_ambiguous": 4.0}
    novelty = pd.DataFrame({**columns, "unseen_read_share": [0.5, 0.1]}, index=["a", "b"])
    assert describe_novelty(novelty) == (
        f"Novelty: {7 / 38:.1%} of the reads are in ASVs that were never met in training (most in sample a: 50.0%); "
        "reads cut 1, dropped 2, ambiguous 8."
    )


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0%"), (0.0004, "less than 0.1%"), (0.0005, "0.1%"), (0.1234, "12.3%"), (1, "100.0%")]
)
def test_a_little_is_not_rounded_to_nothing(share, text):
    assert percent(share) == text


def test_warnings_are_sentences(capsys):
    before = warnings.formatwarning
    with readable_warnings(), warnings.catch_warnings():
        warnings.simplefilter("always")
        # pytest collects warnings; Python itself writes them as they are formatted
        print(warnings.formatwarning("3 samples were left out.", UserWarning, "file.py", 7), end="")
    assert capsys.readouterr().out == "Warning: 3 samples were left out.\n"
    assert warnings.formatwarning is before


def test_warnings_of_other_packages_are_not_shown_as_ours():
    inside = "/env/lib/python3.11/site-packages/{}"
    ours = [inside.format("q2_aam/study/tables.py"), inside.format("rachis/sdk/action.py"), "<decorator-gen-1>"]
    others = [
        (UserWarning, inside.format("torch/nn/functional.py")),
        (UserWarning, "/usr/lib/python3/dist-packages/pandas/core/frame.py"),
        (RuntimeWarning, inside.format("q2_aam/study/tables.py")),
    ]
    with readable_warnings():
        for file in ours:
            assert warnings.formatwarning("It is so.", UserWarning, file, 7) == "Warning: It is so.\n"
        for category, file in others:
            line = warnings.formatwarning("It is so.", category, file, 7)
            assert line.startswith(f"{file}:7: {category.__name__}: It is so.\n")


def test_what_other_packages_will_do_some_day_is_not_shown():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with readable_warnings():
            for category in (FutureWarning, DeprecationWarning, PendingDeprecationWarning):
                warnings.warn("The default will change.", category, stacklevel=1)
            warnings.warn("pkg_resources is deprecated as an API.", UserWarning, stacklevel=1)
            warn_of(["ours"])
    assert [str(warning.message) for warning in caught] == ["ours"]


def test_long_lines_are_wrapped(capsys):
    text = "word " * 40 + "as-it-is"
    say("short: 0.5-1")
    say(text)
    with readable_warnings():
        print(warnings.formatwarning(text, UserWarning, "file.py", 7), end="")
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "short: 0.5-1" and len(lines) == 4 and max(map(len, lines)) <= 120
    assert " ".join(line.strip() for line in lines) == f"{text} Warning: {text}"
    assert lines[1].startswith("  word")


def test_warnings_of_inner_folds_are_not_shown():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with readable_warnings():
            warnings.warn_explicit("fold", UserWarning, "f.py", 1, module="sklearn.model_selection._split")
            warn_of(["ours", "too"])
    assert [str(warning.message) for warning in caught] == ["ours", "too"]
