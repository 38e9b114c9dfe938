"""ASV embeddings and abundances of a sample to its embedding."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from q2_aam.encoder.attention import Transformer
from q2_aam.settings import Architecture

# Shares of reads span about 1e-6 to 1; their logarithms are brought near zero mean and unit spread.
LOG_SHARE_MEAN = -6.0
LOG_SHARE_SPREAD = 3.0
# Softplus of a fresh network's terminal branches: together shorter than the lineages that a sample holds.
FIRST_TERMINAL_BRANCH = -1.5


class SampleEncoding(NamedTuple):
    """What the sample encoder says of the samples of a batch."""

    presence: Tensor
    """``[B, K]``, how much of each learnt branch (lineage) the sample holds; UniFrac is computed on it."""
    share: Tensor
    """``[B, K]``, share of the sample's reads in each lineage, 0 to 1."""

    @property
    def embedding(self) -> Tensor:
        """The sample embedding ``[B, 2 K]``: presence beside the square root of the share; 0 for a row without ASVs."""
        # At 0 the root's slope is infinite, and infinity times 0 is not a number.
        root = self.share.clamp_min(1e-12).sqrt()
        return torch.cat([self.presence, torch.where(self.share > 0, root, torch.zeros_like(root))], 1)


class SampleEncoder(nn.Module):
    """Set transformer over a sample's ASVs, then lineages. Nothing in it knows the ASVs' order.

    UniFrac compares the branches of a phylogeny that two samples hold. Here the branches are learnt: each ASV belongs
    to lineage ``k`` with a probability, a sample holds the lineage unless none of its ASVs belongs to it (a soft OR),
    and the distance is UniFrac's own formula on what the samples hold. The number of ASVs is never averaged away.

    The terminal branches of a phylogeny are more than any number of lineages could stand for. But whose they are needs
    no learning: each ASV has one, only its length is learnt.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        dim = architecture.dim
        self.abundance = nn.Sequential(nn.Linear(1, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim))
        self.hidden_abundance = nn.Parameter(torch.empty(dim).normal_(std=dim**-0.5))
        self.transformer = Transformer(
            architecture.sample_layers, dim, architecture.heads, architecture.feed_forward, architecture.dropout
        )
        self.norm = nn.LayerNorm(dim, bias=False)
        self.membership = nn.Linear(dim, architecture.lineages)
        # A lineage begins as a half-space that a few of the ASVs are in, so that samples differ from the first step on.
        nn.init.normal_(self.membership.weight, std=3 * dim**-0.5)
        nn.init.constant_(self.membership.bias, -5.0)
        self.log_branch_length = nn.Parameter(torch.zeros(architecture.lineages))
        self.terminal_branch = nn.Linear(dim, 1)
        nn.init.zeros_(self.terminal_branch.weight)
        nn.init.constant_(self.terminal_branch.bias, FIRST_TERMINAL_BRANCH)

    def forward(self, asv_embeddings: Tensor, abundance: Tensor, mask: Tensor) -> SampleEncoding:
        """Encode samples.

        Parameters
        ----------
        asv_embeddings, abundance, mask : Tensor
            As in :meth:`contextual`.

        Returns
        -------
        SampleEncoding
            All zeros for a row without any ASV.
        """
        logits = self.membership(self.contextual(asv_embeddings, abundance, mask)).float()
        # In float32, since it decides distances.
        with torch.autocast(logits.device.type, enabled=False):
            presence = soft_or(F.softplus(logits), mask) * self.log_branch_length.exp()
            share = torch.einsum("bs,bsk->bk", abundance * mask, logits.sigmoid())
        return SampleEncoding(presence, share)

    def terminal_lengths(self, asv_embeddings: Tensor) -> Tensor:
        """Length of each ASV's own branch, float32 ``[...]``, of embeddings ``[..., D]``."""
        with torch.autocast(asv_embeddings.device.type, enabled=False):
            return F.softplus(self.terminal_branch(asv_embeddings.float())).squeeze(-1)

    def contextual(
        self, asv_embeddings: Tensor, abundance: Tensor, mask: Tensor, hidden: Tensor | None = None
    ) -> Tensor:
        """Each ASV in the light of the others, ``[B, S, D]``.

        Parameters
        ----------
        asv_embeddings : Tensor
            ``[B, S, D]``.
        abundance : Tensor
            ``[B, S]``, share of the sample's reads, 0 to 1.
        mask : Tensor
            ``[B, S]`` boolean, True where there is an ASV.
        hidden : Tensor, optional
            ``[B, S]`` boolean, ASVs whose abundance is withheld (the count head has to guess it).
        """
        level = self.abundance(log_share(abundance).unsqueeze(-1))
        if hidden is not None:
            level = torch.where(hidden.unsqueeze(-1), self.hidden_abundance.to(level.dtype), level)
        return self.norm(self.transformer(asv_embeddings + level, mask))


def soft_or(doubt: Tensor, mask: Tensor) -> Tensor:
    """Probability that at least one ASV of a sample belongs to a lineage: one minus the product over its ASVs.

    Parameters
    ----------
    doubt : Tensor
        ``[B, S, K]``, minus the logarithm of the probability that the ASV does not belong: softplus of the logit.
    mask : Tensor
        ``[B, S]`` boolean.

    Returns
    -------
    Tensor
        ``[B, K]``, 0 for a row without any ASV.
    """
    # As a product: no copy of what is summed.
    return -torch.expm1(-torch.einsum("bs,bsk->bk", mask.to(doubt.dtype), doubt))


def log_share(abundance: Tensor) -> Tensor:
    """Shares of reads on a logarithmic scale near zero mean and unit spread; zero shares are as the rarest seen."""
    return (abundance.clamp_min(1e-8).log() - LOG_SHARE_MEAN) / LOG_SHARE_SPREAD


def lineage_distances(presence: Tensor) -> Tensor:
    """UniFrac's formula on learnt branches: length held by one of two samples over length held by either.

    Parameters
    ----------
    presence : Tensor
        ``[B, K]``, not negative, each lineage's presence times its branch length.

    Returns
    -------
    Tensor
        ``[B, B]`` float32, 0 (same lineages) to 1 (none shared); two samples without any lineage are at 0.
    """
    return unifrac_distances(presence, presence[:, :0])


def unifrac_distances(presence: Tensor, terminal: Tensor) -> Tensor:
    """:func:`lineage_distances` on terminal branches, too.

    Parameters
    ----------
    presence : Tensor
        ``[B, K]``.
    terminal : Tensor
        ``[B, W]``, length of each ASV's own branch where the sample holds it, else 0. Samples that hold an ASV have the
        same length for it.

    Returns
    -------
    Tensor
        ``[B, B]`` float32.
    """
    presence, terminal = presence.float(), terminal.float()
    # Whichever of the two samples the length is from.
    shared = terminal @ (terminal > 0).float().T
    own, lengths = terminal.sum(1), presence.sum(1) + terminal.sum(1)
    apart = torch.cdist(presence, presence, p=1) + own[:, None] + own[None, :] - shared - shared.T
    # sum(max(a, b)) = (sum(a) + sum(b) + sum(|a - b|)) / 2
    return 2 * apart / (lengths[:, None] + lengths[None, :] + apart).clamp_min(1e-12)


def weighted_distances(shares: Tensor) -> Tensor:
    """Normalized weighted UniFrac's formula on learnt branches, of the shares of reads in each times its length.

    Parameters
    ----------
    shares : Tensor
        ``[B, Q]``, not negative, of lineages and of terminal branches alike.

    Returns
    -------
    Tensor
        ``[B, B]`` float32, 0 to 1; two samples without any branch are at 0.
    """
    shares = shares.float()
    lengths = shares.sum(1)
    return torch.cdist(shares, shares, p=1) / (lengths[:, None] + lengths[None, :]).clamp_min(1e-12)
