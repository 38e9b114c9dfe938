"""What the actions tell whoever runs them, with `--verbose` or as warnings."""

import contextlib
import sys
import warnings
from collections.abc import Iterator

import numpy as np


def say(message: str) -> None:
    """A line for `--verbose`, at once also where the output goes to a file."""
    print(message, flush=True)


@contextlib.contextmanager
def readable_warnings() -> Iterator[None]:
    """Warnings as one sentence each, without the line of our code that raised them."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"Warning: {message}\n"
    try:
        with warnings.catch_warnings():
            # They speak of inner folds, of which the user knows nothing and about which there is nothing to do.
            warnings.filterwarnings("ignore", module=r"sklearn\.")
            yield
    finally:
        warnings.formatwarning = before
        sys.stderr.flush()


def percent(share: float) -> str:
    """A share in percent; of what is there but rounds to nothing, that it is less."""
    return "less than 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def describe_data(communities, train_rows: np.ndarray, validation_rows: np.ndarray) -> str:
    """A table and its two parts in one sentence."""
    richness = np.diff(communities.counts.indptr)
    dropped = communities.reads_dropped.sum() / (communities.reads_dropped.sum() + communities.counts.sum())
    return (
        f"{len(communities)} samples ({len(train_rows)} to learn from, {len(validation_rows)} for validation), "
        f"{len(communities.tokens)} distinct ASVs, {int(np.median(richness))} a sample (median), "
        f"{richness.max()} at most."
        + (f" Left out: {percent(dropped)} of the reads, whose features have no sequence." if dropped else "")
    )
