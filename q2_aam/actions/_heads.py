"""Which head `fit` fits, and what of its arguments that head has no use for. Imports no torch."""

import warnings
from dataclasses import fields

from q2_aam.settings import FineTuning, Head, Runtime, Sampling, TargetObjective

# Arguments that only the steps of a tuned network read.
TUNING = {
    **{field.name: field.default for field in fields(FineTuning) if field.name != "batch_size"},
    **{field.name: field.default for field in fields(TargetObjective)},
    **{name: getattr(Runtime, name) for name in ("max_tokens", "devices", "num_nodes", "compile")},
    **{name: getattr(Sampling, name) for name in ("token_choice", "validation_share")},
    "phylogeny": None,
}


def chosen_head(head: str, encoder: bool, conditioned: bool) -> str:
    """'joint', 'kernel' or 'linear' for what was asked for.

    Raises
    ------
    ValueError
        If a head other than the linear one is asked for without an encoder, or the joint one with conditioning columns.
    """
    Head(head)
    if head in ("joint", "kernel") and not encoder:
        raise ValueError(
            f"head {head!r} needs an encoder: it compares samples by what the encoder finds in them, and learns "
            "nothing about sequences itself. Give the encoder that pretrain made, or set head to 'linear'."
        )
    if head == "joint" and conditioned:
        raise ValueError(
            "head 'joint' reads no conditioning columns: its trees cannot add them in proportion. Set head to "
            "'kernel', or leave the conditioning columns out."
        )
    if head == "auto":
        return "linear" if not encoder else "kernel" if conditioned else "joint"
    return head


def warn_of_tuning(arguments: dict) -> None:
    """Warn of arguments that are not at their defaults and that only tuning reads; other heads tune nothing."""
    asked = sorted(name for name, default in TUNING.items() if arguments[name] != default)
    if asked:
        warnings.warn(
            f"The {arguments['head']} head leaves the encoder as it is: {', '.join(asked)} will not be read. Set head "
            "to 'linear' to tune the network, or leave them out.",
            stacklevel=2,
        )


def describe_fitted(head: str, fitted) -> str:
    """What a kernel head or a joint head was fitted to, in a sentence or two."""
    kernel = fitted.kernel if head == "joint" else fitted
    told = (
        f"Kernel head: samples are compared with {len(kernel.support)} by learnt UniFrac, shared ASVs and abundances "
        f"(sharpness {kernel.sharpness:g})."
    )
    if head == "joint":
        told += f" {describe_weights(fitted)}"
    return told


def describe_weights(joint) -> str:
    """What a joint head predicts, in a sentence."""
    shares = [f"{weight:.0%}" for weight in joint.weights]
    return (
        f"The prediction is a weighted mean: kernel head {shares[0]}, trees on the sample embedding {shares[1]}, "
        f"trees on abundances of ASVs {shares[2]}."
    )


def describe_computed_log(head: str, fitted, scores: str) -> str:
    """What the training log of a joint or kernel head shows, which was computed rather than trained."""
    mean = f" {describe_weights(fitted)}" if head == "joint" else ""
    return (
        "The encoder was left as it is, and nothing was trained. What is shown is a linear head, for comparison; the "
        f"{head} head, which predicts, had in its inner folds: {scores}.{mean}"
    )
