"""The registry of what is learnt. A new objective is a term in `settings.LOSS_TERMS` and a function here."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from q2_aam.encoder.aam import AAM, Encoding
from q2_aam.encoder.asv_encoder import hide_nucleotides
from q2_aam.encoder.batches import Batch
from q2_aam.encoder.chunks import room
from q2_aam.encoder.sample_encoder import unifrac_distances, weighted_distances
from q2_aam.encoder.training.distributed import gather_rows
from q2_aam.encoder.training.losses import count_loss, nucleotide_errors, pairs, target_loss, unifrac_loss
from q2_aam.encoder.training.meters import EpochMeter
from q2_aam.settings import LOSS_TERMS, LossTerm, Training

# Share of a batch's ASVs, and of its samples, of which something is masked. They are encoded once more for that:
# distances and targets are learnt on what they are later predicted from, which is never masked.
MASKED_SHARE = 0.25


def random_rows(number: int, generator: torch.Generator, share: float = MASKED_SHARE) -> Tensor:
    """A random share of the numbers below ``number``, at least one of them, in order."""
    rows = torch.randperm(number, generator=generator)[: max(1, round(share * number))]
    return rows.sort().values


@dataclass
class LossInput:
    """What the losses of one batch are computed from."""

    network: AAM
    batch: Batch
    encoding: Encoding
    rows: Tensor | None
    """Which of the ASVs gradients are computed through, boolean ``[U]``; None: all."""
    settings: Training
    generator: torch.Generator
    """Draws what is masked; the objectives share it, in the order of the registry."""
    meter: EpochMeter
    """Is shown what was predicted."""
    class_weights: Tensor | None = None
    """``[O]``, of a categorical target."""


Loss = tuple[Tensor, int]
"""A mean, and the number of things that it is a mean over."""


def unifrac(data: LossInput) -> Loss:
    """Error of the distances between all communities of a step."""
    batch, presence = data.batch, data.encoding.sample.presence
    lengths = data.network.sample_encoder.terminal_lengths(data.encoding.asv_embeddings)
    branches = torch.cat([presence, terminal_branches(batch, lengths)], 1)
    # Pairs of samples that are in different processes are learnt from like all others.
    rows = gather_rows(branches.reshape(len(batch.rows), -1), batch.together).view(-1, branches.shape[1])
    distances = unifrac_distances(*rows.split([presence.shape[1], batch.asvs_together], 1))
    # Metrics are of whole samples, as in validation.
    whole = slice(None, None, batch.step)
    data.meter.add_distances(pairs(distances[whole, whole]), pairs(batch.unifrac[whole, whole]))
    return unifrac_loss(distances, batch.unifrac), len(pairs(distances))


def weighted_unifrac(data: LossInput) -> Loss:
    """Error of the weighted distances between all communities of a step, which shares of reads in branches make."""
    batch, encoder = data.batch, data.network.sample_encoder
    lengths = encoder.terminal_lengths(data.encoding.asv_embeddings)
    lineages = data.encoding.sample.share * encoder.log_branch_length.exp()
    branches = torch.cat([lineages, terminal_branches(batch, lengths, batch.abundance)], 1)
    rows = gather_rows(branches.reshape(len(batch.rows), -1), batch.together).view(-1, branches.shape[1])
    distances = weighted_distances(rows)
    return unifrac_loss(distances, batch.weighted_unifrac), len(pairs(distances))


def terminal_branches(batch: Batch, lengths: Tensor, abundance: Tensor | None = None) -> Tensor:
    """Length ``[U]`` of each ASV's own branch where a community holds it, else 0: ``[C, W]``.

    With abundances ``[C, S]`` it is that share of the length.
    """
    community = torch.arange(len(batch.mask), device=lengths.device)[:, None].expand_as(batch.mask)[batch.mask]
    asv = batch.asv_index[batch.mask]
    held = lengths.new_zeros(len(batch.mask), batch.asvs_together)
    values = lengths[asv] if abundance is None else lengths[asv] * abundance[batch.mask]
    return held.index_put((community, batch.places[asv]), values)


def nucleotide(data: LossInput) -> Loss:
    """Cross entropy of masked nucleotides."""
    network, share = data.network, data.settings.objective.mask_share
    tokens = data.batch.tokens[random_rows(len(data.batch.tokens), data.generator)]
    masked_tokens, mask = hide_nucleotides(tokens, share, data.generator)
    # What the pass before stores until the backward pass is there beside.
    tokens_stored = data.batch.tokens if data.rows is None else data.batch.tokens[data.rows]
    stored = int(room(network.asv_encoder.lengths(tokens_stored)).sum())
    max_tokens = max(0, data.settings.runtime.max_tokens - stored)
    total, logits, true = network.guess_nucleotides(tokens, masked_tokens, mask, nucleotide_errors, max_tokens)
    data.meter.add_nucleotides(logits, true)
    return total / max(1, len(true)), len(true)


def count(data: LossInput) -> Loss:
    """Error of masked abundances."""
    batch, generator, settings = data.batch, data.generator, data.settings
    rows = random_rows(len(batch.rows), generator)
    abundance, mask, index = (part[:: batch.step][rows] for part in (batch.abundance, batch.mask, batch.asv_index))
    hidden = (torch.rand(mask.shape, generator=generator).to(mask.device) < settings.objective.mask_share) & mask
    predicted, true = data.network.guess_abundances(
        data.encoding.asv_embeddings, index, abundance, mask, hidden, settings.runtime.max_tokens
    )
    return count_loss(predicted, true), len(predicted)


def target(data: LossInput) -> Loss:
    """Error of the target of whole samples."""
    batch = data.batch
    predicted = data.network.target_head(data.encoding.sample.embedding[:: batch.step], batch.covariates)
    data.meter.add_targets(predicted, batch.target)
    return target_loss(predicted, batch.target, data.class_weights), len(batch.target)


@dataclass(frozen=True)
class Objective:
    """One term of the total loss, and its function."""

    term: LossTerm
    compute: Callable[[LossInput], Loss]
    joint: bool = False
    """Whether each process computes it of the samples of all processes."""

    def applies(self, settings: Training, batch: Batch) -> bool:
        """Whether its weight is above 0, and the batch has what it needs."""
        inputs = {
            None: True,
            "distances": batch.unifrac is not None,
            "weighted_distances": batch.weighted_unifrac is not None,
            "target": batch.target is not None,
        }
        return settings.objective.weight_of(self.term.loss) > 0 and inputs[self.term.needs]


JOINT = ("distances", "weighted_distances")
COMPUTE = {
    "unifrac": unifrac,
    "weighted_unifrac": weighted_unifrac,
    "nucleotide": nucleotide,
    "count": count,
    "target": target,
}
OBJECTIVES = tuple(Objective(term, COMPUTE[term.name], joint=term.needs in JOINT) for term in LOSS_TERMS)
JOINT_LOSSES = frozenset(objective.term.loss for objective in OBJECTIVES if objective.joint)
