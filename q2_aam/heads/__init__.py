"""Heads: from features of samples to a target. A new head is one file, and one line here."""

from q2_aam.heads.ensemble import EnsembleHead
from q2_aam.heads.features import Features, known_to_others
from q2_aam.heads.folds import inner_folds
from q2_aam.heads.kernel import KernelHead
from q2_aam.heads.linear import LinearHead
from q2_aam.heads.protocol import Fit, Folds, Head
from q2_aam.heads.trees import TreesHead

__all__ = ["HEADS", "Features", "Fit", "Folds", "Head", "head_class", "inner_folds", "known_to_others"]

HEADS: dict[str, type[Head]] = {
    "ensemble": EnsembleHead,
    "kernel": KernelHead,
    "trees": TreesHead,
    "linear": LinearHead,
}


def head_class(name: str) -> type[Head]:
    """The head of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)}, but is {name!r}.")
    return HEADS[name]
