"""What `pretrain` and `fit` share: which network to start from. Imports torch: call from inside actions."""

import warnings
from dataclasses import fields

import numpy as np
import torch

from q2_aam.actions._reporting import percent
from q2_aam.encoder.aam import AAM
from q2_aam.model_file import Model, conditions_of, outputs_of
from q2_aam.settings import USUAL_METRIC, Architecture
from q2_aam.study.communities import Communities
from q2_aam.study.covariates import Conditioning
from q2_aam.study.targets import Target


def chosen_architecture(arguments: dict, before: Model | None) -> Architecture:
    """The given encoder's sizes, or those asked for.

    Raises
    ------
    ValueError
        If sizes are asked for (other than the defaults) that the given encoder does not have.
    """
    asked = {field.name: arguments[field.name] for field in fields(Architecture) if field.name in arguments}
    if before is None:
        return Architecture(**asked)
    own = before.network.architecture
    default = Architecture()
    differing = [
        f"{name} {value} (the encoder has {getattr(own, name)})"
        for name, value in asked.items()
        if value not in (getattr(default, name), getattr(own, name))
    ]
    if differing:
        raise ValueError(
            f"The encoder's architecture is given with it, but other settings were asked for: {', '.join(differing)}. "
            "Leave them out, or pretrain an encoder with them."
        )
    return own


def starting_network(
    architecture: Architecture,
    before: Model | None,
    target: Target | None,
    random_seed: int,
    conditioning: Conditioning | None = None,
) -> AAM:
    """A network with the given encoder's weights, or fresh ones from the seed; the target head is always fresh."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed)
        network = AAM(architecture, outputs_of(target), conditions_of(conditioning))
    if before is not None:
        state = before.network.state_dict()
        head = {name: value for name, value in network.state_dict().items() if name.startswith("target_head.")}
        network.load_state_dict({**{k: v for k, v in state.items() if not k.startswith("target_head.")}, **head})
    return network


def seen_asvs(communities: Communities, train_rows: np.ndarray, before: Model | None) -> np.ndarray:
    """Hashes of all ASVs learnt from, int64 ``[V]``: those of the training samples and of the encoder begun with."""
    hashes = communities.hashes[communities.subset(train_rows).present_asvs()]
    return hashes if before is None else np.union1d(hashes, before.seen_asvs)


def describe_new_to(encoder: Model, communities: Communities) -> str:
    """How much of a table the given encoder has not learnt from, in a sentence."""
    new = ~np.isin(communities.hashes, encoder.seen_asvs)
    if not new.any():
        return "The encoder has learnt from all of these ASVs."
    reads = np.asarray(communities.counts.sum(0, dtype=np.float64)).ravel()
    share = reads[new].sum() / reads.sum()
    return f"Of these ASVs the encoder has not learnt from {new.sum()}, which hold {percent(share)} of the reads."


def chosen_metric(metric: str, before: Model | None) -> str:
    """The UniFrac asked for; for ``auto`` the one that the given encoder learnt, or the usual one.

    Warns
    -----
    UserWarning
        If the encoder learnt another one.
    """
    own = None if before is None else before.description["training"].get("metric")
    if metric == "auto":
        return own or USUAL_METRIC
    if own not in (None, metric):
        warnings.warn(
            f"The encoder learnt {own} UniFrac, but metric is {metric!r}: what it learnt will be changed. Leave metric "
            f"out to go on with {own}.",
            stacklevel=2,
        )
    return metric
