"""What changes the weights: AdamW, or Muon for the matrices inside the network and AdamW for the rest."""

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

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
    options = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
    return CombinedOptimizer(Muon(matrices, **options), adamw)


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
