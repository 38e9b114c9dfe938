"""Which head `fit` fits, and what of its arguments that head has no use for. Imports no torch."""

import warnings
from dataclasses import fields

from q2_aam.training.config import FineTuning, Head, Runtime, Sampling, TargetObjective

# Arguments that only the steps of a tuned network read.
TUNING = {
    **{field.name: field.default for field in fields(FineTuning) if field.name != "batch_size"},
    **{field.name: field.default for field in fields(TargetObjective)},
    **{name: getattr(Runtime, name) for name in ("max_tokens", "devices", "num_nodes", "compile")},
    **{name: getattr(Sampling, name) for name in ("token_choice", "validation_share")},
    "phylogeny": None,
}


def chosen_head(head: str, encoder: bool) -> str:
    """'kernel' or 'linear' for what was asked for.

    Raises
    ------
    ValueError
        If the kernel is asked for without an encoder.
    """
    Head(head)
    if head == "kernel" and not encoder:
        raise ValueError(
            "head 'kernel' needs an encoder: it compares samples by what the encoder finds in them, and learns nothing "
            "about sequences itself. Give the encoder that pretrain made, or set head to 'linear'."
        )
    if head == "auto":
        return "kernel" if encoder else "linear"
    return head


def warn_of_tuning(arguments: dict) -> None:
    """Warn of arguments that are not at their defaults and that only tuning reads; the kernel head tunes nothing."""
    asked = sorted(name for name, default in TUNING.items() if arguments[name] != default)
    if asked:
        warnings.warn(
            f"The kernel head leaves the encoder as it is: {', '.join(asked)} will not be read. Set head to 'linear' "
            "to tune the network, or leave them out.",
            stacklevel=2,
        )


def describe_kernel(kernel) -> str:
    """What a kernel head was fitted to, as a sentence."""
    return (
        f"Kernel head: samples are compared with {len(kernel.support)} by learnt UniFrac, shared ASVs and abundances "
        f"(sharpness {kernel.sharpness:g})."
    )


def describe_kernel_log(scores: str) -> str:
    """What the training log of a kernel head shows, which was computed rather than trained."""
    return (
        "The encoder was left as it is, and nothing was trained. What is shown is a linear head, for comparison; the "
        f"kernel head, which predicts, had in its inner folds: {scores}."
    )
