"""What the actions tell whoever runs them, with `--verbose` or as warnings."""

import contextlib
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator

import numpy as np


def say(message: str) -> None:
    """A line for `--verbose`, at once also where the output goes to a file."""
    print(wrapped(message), flush=True)


def wrapped(text: str) -> str:
    """A text in lines of at most 120 columns; those after the first are indented."""
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


@contextlib.contextmanager
def readable_warnings() -> Iterator[None]:
    """Our warnings as one sentence each, without the line of code that raised them; others' as Python writes them."""
    before = warnings.formatwarning

    def sentence(message, category, filename, *rest, **keywords) -> str:
        if not _is_ours(category, filename):
            return before(message, category, filename, *rest, **keywords)
        return wrapped(f"Warning: {message}") + "\n"

    warnings.formatwarning = sentence
    try:
        with warnings.catch_warnings():
            # They speak of inner folds, of which the user knows nothing and about which there is nothing to do.
            warnings.filterwarnings("ignore", module=r"sklearn\.")
            # What other packages will do some day is for those who write code.
            for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            warnings.filterwarnings("ignore", "pkg_resources is deprecated")
            yield
    finally:
        warnings.formatwarning = before
        sys.stderr.flush()


def _is_ours(category: type, filename: str) -> bool:
    """Whether a warning is one of q2-aam's: no other kind is raised, nor from the files of any package but those that
    call an action."""
    installed = re.findall(r"(?:site|dist)-packages[/\\](\w+)", filename)
    callers = ("q2_aam", "qiime2", "rachis", "decorator", "q2cli", "rachis_cli")
    return issubclass(category, UserWarning) and (not installed or installed[-1] in callers)


def warn_of(cautions) -> None:
    """Warn of sentences."""
    for sentence in cautions:
        warnings.warn(sentence, stacklevel=3)


def percent(share: float) -> str:
    """A share in percent; of what is there but rounds to nothing, that it is less."""
    return "less than 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def describe_study(study) -> str:
    """A study in one sentence."""
    communities = study.communities
    richness = np.diff(communities.counts.indptr)
    dropped = communities.reads_dropped.sum() / (communities.reads_dropped.sum() + communities.counts.sum())
    groups = "" if study.groups is None else f" of {study.groups.nunique()} groups"
    return (
        f"{len(study)} samples{groups}, {len(communities.tokens)} distinct ASVs, {int(np.median(richness))} a sample "
        f"(median), {richness.max()} at most."
        + (f" Left out: {percent(dropped)} of the reads, whose features have no sequence." if dropped else "")
    )


def describe_new_asvs(encoder, study) -> str:
    """How much of a study the encoder has not been pretrained on, in a sentence."""
    communities = study.communities
    new = encoder.new_asvs(communities)
    if not new.any():
        return "The encoder has read all of these ASVs in pretraining."
    reads = np.asarray(communities.counts.sum(0, dtype=np.float64)).ravel()
    share = percent(reads[new].sum() / reads.sum())
    part = f"{new.sum()} of these ASVs, with {share} of the reads"
    return f"{part}, are new to the encoder, which reads them by their sequences."


def describe_covariates(predictor) -> list[str]:
    """The covariates of a predictor, as lines; none where it has none."""
    return [] if predictor.covariates is None else [f"Covariates: {predictor.covariates.describe()}."]


def describe_scores(predictor, stage: str, samples: str) -> str:
    """Scores of a predictor on samples that were not learnt from, in a sentence; and whether to believe them."""
    from q2_aam.study.near_copies import enough_copies

    scores = predictor.description.scores
    shown = ", ".join(f"{name.split('/')[1]} {value:.4g}" for name, value in scores.items() if name.startswith(stage))
    data = predictor.description.data
    copies, looked_at = data["near_copies"], data["near_copies_looked_at"]
    doubt = f" Too good for new samples: {copies} of {looked_at} samples are near copies of others."
    return f"{samples} ({predictor.target.name}): {shown}.{doubt if enough_copies(copies, looked_at) else ''}"


def describe_novelty(novelty) -> str:
    """The novelty of a whole table, in a sentence."""
    reads = novelty["reads"] - novelty["reads_dropped"]
    share = (novelty["unseen_read_share"] * reads).sum() / reads.sum()
    worst = novelty["unseen_read_share"].idxmax()
    most = f" (most in sample {worst}: {percent(novelty.loc[worst, 'unseen_read_share'])})" if share else ""
    return (
        f"Novelty: {percent(share)} of the reads are in ASVs that were never met in training{most}; reads cut "
        f"{novelty['reads_cut'].sum():.0f}, dropped {novelty['reads_dropped'].sum():.0f}, ambiguous "
        f"{novelty['reads_ambiguous'].sum():.0f}."
    )
