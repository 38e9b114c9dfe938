"""What changes the weights: AdamW, or Muon for the matrices inside the network and AdamW for the rest."""

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from q2_aam.encoder.device import multiplies_bf16
from q2_aam.settings import Optimization

# Matrices that stand for single things (words, places, lineages, outputs) rather than turn vectors into vectors.
EMBEDDINGS = (
    "asv_encoder.nucleotides",
    "asv_encoder.positions",
    "sample_encoder.membership",
    "nucleotide_head",
    "count_head",
    "target_head",
)
# Each matrix' rate such that its changes are as large as AdamW's would be.
ADJUSTED = "match_rms_adamw"


def build_optimizer(network: nn.Module, settings: Optimization) -> Optimizer:
    """Make the optimizer that the settings name, for all parameters.

    Parameters
    ----------
    network : nn.Module
        An ``AAM``.
    settings : Optimization
        ``optimizer``, ``learning_rate``, ``weight_decay``. Norms, biases and single vectors have nothing to gain from
        decay.

    References
    ----------
    Jordan K et al. (2024). Muon: an optimizer for hidden layers in neural networks.
    Liu J et al. (2025). Muon is scalable for LLM training. arXiv:2502.16982 (the learning rate that suits both).
    """
    named = dict(network.named_parameters())
    matrices = [
        p
        for name, p in named.items()
        if settings.optimizer == "muon" and p.ndim == 2 and min(p.shape) > 1 and not name.startswith(EMBEDDINGS)
    ]
    matrix_ids = {id(p) for p in matrices}
    rest = [p for p in named.values() if id(p) not in matrix_ids]
    adamw = AdamW(
        [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
    )
    if not matrices:
        return adamw
    # torch's works in bf16: where that is emulated it takes as long as all the rest of a step.
    muon = Muon if multiplies_bf16(matrices[0].device.type) else Float32Muon
    options = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "adjust_lr_fn": ADJUSTED}
    return CombinedOptimizer(muon(matrices, **options), adamw)


class Float32Muon(Muon):
    """torch's Muon in the precision of the weights, matrices of one shape together; its state is torch's.

    With Nesterov's momentum, and rates that suit AdamW, too: of other options it would be another optimizer.
    """

    def __init__(self, params, **options):
        super().__init__(params, **options)
        for group in self.param_groups:
            if not group["nesterov"] or group["adjust_lr_fn"] != ADJUSTED:
                raise ValueError(f"Float32Muon has Nesterov's momentum and adjust_lr_fn {ADJUSTED!r} alone.")

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for (rows, columns), matrices in shapes.items():
                changes = orthogonal(torch.stack([self._direction(p, group["momentum"]) for p in matrices]), group)
                rate = group["lr"] * 0.2 * max(rows, columns) ** 0.5
                for p, change in zip(matrices, changes, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(change, alpha=rate)
        return loss

    def _direction(self, p: Tensor, momentum: float) -> Tensor:
        """The gradient, led on by those of the steps before (Nesterov's momentum)."""
        if "momentum_buffer" not in self.state[p]:
            self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        return p.grad.lerp(self.state[p]["momentum_buffer"].lerp_(p.grad, 1 - momentum), momentum)


def orthogonal(matrices: Tensor, group: dict) -> Tensor:
    """Matrices ``[M, R, C]`` with singular values brought near 1, by Muon's Newton-Schulz steps."""
    a, b, c = group["ns_coefficients"]
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    wide = wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp_min(group["eps"])
    for _ in range(group["ns_steps"]):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide.mT if matrices.shape[1] > matrices.shape[2] else wide


class CombinedOptimizer(Optimizer):
    """Two optimizers of different parameters as one, as Lightning and schedulers take it."""

    def __init__(self, *parts: Optimizer):
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts

    def step(self, closure=None):
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)
        # Loading gives them new groups; schedulers change those that stand here.
        self.param_groups = [group for part in self.parts for group in part.param_groups]
