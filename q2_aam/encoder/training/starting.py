"""A fresh network's start from the data: random weights, but distances of the right size."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from q2_aam.encoder.aam import AAM
from q2_aam.encoder.batches import Batch
from q2_aam.encoder.sample_encoder import lineage_distances, soft_or
from q2_aam.encoder.training.losses import pairs
from q2_aam.study.tokenizer import PAD

# What a survey's samples are typically at, where there is no phylogeny to tell.
USUAL_DISTANCE = 0.6
# Mean presence of a lineage in a sample: near 0 or 1 its gradients vanish.
PRESENCE = 0.1
# Where distances this large need rarer ones: no rarer than that.
RAREST = 0.01
# Beyond that, memberships are so steep that they hardly learn.
STEEPEST = 2.0
BATCHES = 4
# What is looked for is one number for all lineages: some of them tell it.
LINEAGES = 64
STEPS = 12
# Length of a sample's terminal branches, of that of its lineages.
TERMINAL = 0.3
SHORTEST = 1e-4


@torch.no_grad()
def start_from_data(network: AAM, loader: DataLoader) -> None:
    """Choose the anchors, and set how steep and how rare lineages are, from the first batches of the training samples.

    And how long terminal branches are, which all are alike.

    The mean distance is then right from the first step on. Otherwise finding it takes many steps, in which all lineages
    move together and what random weights know of the sequences is lost.

    Parameters
    ----------
    network : AAM
        Changed in place.
    loader : DataLoader
        Batches of training samples, with or without ``unifrac``.
    """
    network.eval()
    batches, studies = first_batches(loader)
    some_asvs = [row for batch in batches[:studies] for row in batch.tokens]
    network.asv_encoder.anchor_on(pad_sequence(some_asvs, batch_first=True, padding_value=PAD))
    membership = network.sample_encoder.membership
    masks = [batch.mask for batch in batches]
    contextual = []
    for batch in batches:
        embeddings = F.embedding(batch.asv_index, network.asv_encoder(batch.tokens))
        contextual.append(network.sample_encoder.contextual(embeddings, batch.abundance, batch.mask))
    logits = [membership(part) for part in contextual]
    centre = torch.cat([part[mask] for part, mask in zip(logits, masks, strict=True)]).mean(0)
    some = [(part - centre)[..., :LINEAGES] for part in logits]
    true = [pairs(batch.unifrac) for batch in batches if batch.unifrac is not None]
    mean_true = float(torch.cat(true).mean()) if sum(map(len, true)) else USUAL_DISTANCE

    def presences(steepness: float, bias: float) -> list[Tensor]:
        changed = [F.softplus(part * steepness + bias) for part in some]
        return [soft_or(*both) for both in zip(changed, masks, strict=True)]

    def mean_distance(steepness: float, bias: float) -> float:
        return float(torch.cat([pairs(lineage_distances(part)) for part in presences(steepness, bias)]).mean())

    def bias_of(steepness: float, presence: float = PRESENCE) -> float:
        return bisect(lambda bias: float(torch.cat(presences(steepness, bias)).mean()) < presence, -40.0, 10.0)

    # One sample a batch has no distance: lineages stay as steep as they were drawn.
    steepness, paired = 1.0, any(len(mask) > 1 for mask in masks)
    # Steeper lineages are shared by fewer samples, and so are rarer ones.
    if paired:
        steepness = bisect(lambda value: mean_distance(value, bias_of(value)) < mean_true, 0.0, STEEPEST)
    bias = bias_of(steepness)
    if paired and mean_distance(steepness, bias) < 0.99 * mean_true:
        bias = bisect(lambda value: mean_distance(steepness, value) > mean_true, bias_of(steepness, RAREST), bias)
    membership.bias.copy_((membership.bias - centre) * steepness + bias)
    membership.weight.mul_(steepness)
    lineages = [soft_or(F.softplus(membership(part)), mask) for part, mask in zip(contextual, masks, strict=True)]
    length = TERMINAL * sum(float(part.sum()) for part in lineages) / sum(int(mask.sum()) for mask in masks)
    network.sample_encoder.terminal_branch.bias.fill_(float(np.log(np.expm1(max(length, SHORTEST)))))


def first_batches(loader: DataLoader) -> tuple[list[Batch], int]:
    """The first batch of each study, then others where studies are few; and how many studies there are."""
    keys, members = list(loader.sampler), loader.dataset.members
    studies = [0 if members is None else members[key.rows[0]] for key in keys]
    first = np.sort(np.unique(studies, return_index=True)[1])
    others = np.setdiff1d(np.arange(len(keys)), first)[: max(0, BATCHES - len(first))]
    return [loader.dataset[keys[place]] for place in (*first, *others)], len(first)


def bisect(below: Callable[[float], bool], low: float, high: float) -> float:
    """The point between ``low`` and ``high`` where ``below`` turns from True to False."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2
