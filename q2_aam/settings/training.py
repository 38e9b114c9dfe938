"""How a network is trained: `pretrain` and `fine-tune`."""

import math
from dataclasses import asdict, dataclass, field, replace

from q2_aam.settings.choices import (
    AUTO_STEPS,
    DECISIONS,
    DEVICES,
    FEWEST_EPOCHS,
    FOREIGN,
    LOSS_TERMS,
    METRIC_CHOICES,
    MOST_EPOCHS,
    NON_FINITE,
    ON_MISSING,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULERS,
    TARGET_METRICS,
    TOKEN_CHOICES,
    TRANSFORMS,
    USUAL_TRANSFORM,
    check_choice,
    check_least,
    check_seed,
)


@dataclass(frozen=True)
class Optimization:
    """How the weights are changed."""

    epochs: int | str = "auto"
    """Most passes over the training samples; ``auto`` makes ``AUTO_STEPS`` steps of them."""

    batch_size: int = 32
    """Samples a step and process; pairs for UniFrac grow as its square."""

    accumulation: int = 1
    """Batches whose gradients are averaged before the weights change."""

    optimizer: str = "muon"
    """``muon``: Muon for the matrices inside the network, AdamW for the rest; ``adamw``: AdamW for all."""

    learning_rate: float = 3e-3
    """Highest learning rate; AdamW alone wants a tenth of what suits Muon."""

    weight_decay: float = 0.01
    """Decoupled weight decay, on matrices only."""

    scheduler: str = "warmup_cosine"
    """Course of the learning rate."""

    warmup_share: float = 0.1
    """Share of the run's steps in which the learning rate rises (``warmup_cosine``, ``onecycle``)."""

    gradient_share: float | str = "auto"
    """Share of a batch's ASVs, drawn anew each step, that gradients are computed through; 1 is all, ``auto`` as many as
    ``max_tokens`` have room for, and half at least."""

    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 turns clipping off."""

    patience: int = 10
    """Epochs without improvement after which training ends; 0 turns early stopping off."""

    monitor: str = "total_loss"
    """Metric of the validation part (of the training part where there is none) that picks the best epoch."""

    non_finite: str = "error"
    """What a loss or gradient that is not finite does: stop with an explanation, or skip the step and count it."""

    def __post_init__(self):
        check_choice(self, "optimizer", OPTIMIZERS)
        check_choice(self, "scheduler", SCHEDULERS)
        check_choice(self, "non_finite", NON_FINITE)
        if self.epochs != "auto":
            check_least(self, epochs=1)
        check_least(
            self, batch_size=1, accumulation=1, weight_decay=0, warmup_share=0, gradient_clip=0, patience=0
        )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, but is {self.learning_rate}.")
        if self.gradient_share != "auto" and not 0 < self.gradient_share <= 1:
            raise ValueError(f"gradient_share must be above 0 and at most 1, but is {self.gradient_share}.")
        if self.warmup_share >= 1:
            raise ValueError(f"warmup_share must be below 1, but is {self.warmup_share}.")

    def of(self, samples: int, processes: int = 1) -> "Optimization":
        """The same with a number of epochs, for so many training samples."""
        if self.epochs != "auto":
            return self
        steps = math.ceil(math.ceil(samples / (self.batch_size * processes)) / self.accumulation)
        return replace(self, epochs=min(max(math.ceil(AUTO_STEPS / max(1, steps)), FEWEST_EPOCHS), MOST_EPOCHS))


@dataclass(frozen=True)
class FineTuningOptimization(Optimization):
    """`fine-tune` starts from a linear head: few epochs at a low rate."""

    epochs: int = 20
    optimizer: str = "adamw"
    learning_rate: float = 3e-5
    gradient_share: float = 1.0


@dataclass(frozen=True)
class Objective:
    """What the loss is made of: ``total_loss`` is the weighted sum of the named losses."""

    unifrac_weight: float = 10.0
    """Weight of ``unifrac_loss``, the mean squared error of pairwise distances (of the order of 0.01)."""

    weighted_unifrac_weight: float = 0.0
    """Weight of ``weighted_unifrac_loss``, the same of normalized weighted UniFrac by shares of reads; not of
    `fine-tune`."""

    nucleotide_weight: float = 0.1
    """Weight of ``nucleotide_loss``, the cross entropy of masked nucleotides (of the order of 1)."""

    count_weight: float = 0.1
    """Weight of ``count_loss``, the squared error of withheld abundances (of the order of 1)."""

    target_weight: float = 0.0
    """Weight of ``target_loss``: squared error in the transform's units, or cross entropy weighted by class."""

    mask_share: float = 0.15
    """Share of nucleotides, and of abundances, withheld where their losses are on."""

    def __post_init__(self):
        check_least(self, **{term.weight: 0 for term in LOSS_TERMS})
        if not 0 < self.mask_share < 1:
            raise ValueError(f"mask_share must be between 0 and 1, but is {self.mask_share}.")
        if not any(getattr(self, term.weight) for term in LOSS_TERMS):
            raise ValueError("All loss weights are 0: there is nothing to learn.")

    def weight_of(self, loss: str) -> float:
        """Weight of a named loss, ``unifrac_loss`` say."""
        return getattr(self, loss.replace("_loss", "_weight"))


@dataclass(frozen=True)
class TargetObjective(Objective):
    """`fine-tune` learns the target; with a phylogeny it keeps the UniFrac loss beside it."""

    unifrac_weight: float = 1.0
    nucleotide_weight: float = 0.0
    count_weight: float = 0.0
    target_weight: float = 1.0


@dataclass(frozen=True)
class Sampling:
    """Which samples and ASVs are read."""

    validation_share: float = 0.2
    """Share of the samples kept apart to pick the best epoch."""

    token_limit: int = 1024
    """Most ASVs read of a sample."""

    token_choice: str = "abundant"
    """Which ASVs are read of a sample that has more: the most abundant, or, in training, any, drawn anew each epoch."""

    def __post_init__(self):
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share must be at least 0 and below 1, but is {self.validation_share}.")
        check_least(self, token_limit=1)
        check_choice(self, "token_choice", TOKEN_CHOICES)


@dataclass(frozen=True)
class PretrainingSampling(Sampling):
    """`pretrain` learns distances from parts of samples, too."""

    subcommunities: int = 4
    """Random parts of each sample that stand beside it in a batch as samples of their own."""

    def __post_init__(self):
        super().__post_init__()
        check_least(self, subcommunities=0)


@dataclass(frozen=True)
class Runtime:
    """Where and how the run computes."""

    random_seed: int = 0
    """Seed of everything random."""

    precision: str = "auto"
    """``auto`` is bf16 where the processor multiplies it natively, else 32."""

    device: str = "auto"
    """``auto`` is cuda where there is one."""

    threads: int | str = "auto"
    """Threads; ``auto`` takes all cores."""

    max_tokens: int = 5 * 2**14
    """Tokens of a step whose intermediate values are kept for the backward pass; those of more are computed again."""

    devices: int = 1
    """Processes of a node that train together, each on a graphics card of its own or on its share of the threads."""

    num_nodes: int = 1
    """Machines that train together, each with ``devices`` processes."""

    compile: bool = False
    """Have torch compile the transformers."""

    def __post_init__(self):
        check_seed(self)
        check_choice(self, "precision", PRECISIONS)
        check_choice(self, "device", DEVICES)
        check_least(self, max_tokens=1, devices=1, num_nodes=1)
        if self.threads != "auto":
            check_least(self, threads=1)


@dataclass(frozen=True)
class Training:
    """How a network is trained: all but its data and architecture."""

    optimization: Optimization = field(default_factory=Optimization)
    objective: Objective = field(default_factory=Objective)
    sampling: Sampling = field(default_factory=PretrainingSampling)
    runtime: Runtime = field(default_factory=Runtime)
    metric: str = "auto"
    """Kind of UniFrac; ``auto`` is the encoder's, or unweighted where there is none."""

    def __post_init__(self):
        check_choice(self, "metric", METRIC_CHOICES)

    def to_dict(self) -> dict:
        """For ``model.json``."""
        return asdict(self)


@dataclass(frozen=True)
class FineTuning(Training):
    """How `fine-tune` trains."""

    optimization: Optimization = field(default_factory=FineTuningOptimization)
    objective: Objective = field(default_factory=TargetObjective)
    sampling: Sampling = field(default_factory=Sampling)
    target_transform: str = USUAL_TRANSFORM
    """What a numeric column is learnt as."""
    decision: str = DECISIONS[0]
    """Which class is named of a categorical column."""
    foreign: str = ON_MISSING
    """What samples of sequences whose like the encoder has not read do: stop, or be told of."""

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "foreign", FOREIGN)
        check_choice(self, "target_transform", TRANSFORMS)
        check_choice(self, "decision", DECISIONS)
        if self.objective.weighted_unifrac_weight:
            raise ValueError("weighted_unifrac_weight is for pretraining; in fine-tuning nothing reads it.")
        if not self.sampling.validation_share:
            raise ValueError(
                "validation_share is 0, but fine-tuning needs validation samples: they pick the best epoch and tell "
                "the errors. Set it above 0."
            )


def measured_names(objective: Objective, unifrac: bool, kind: str | None) -> list[str]:
    """What an epoch measures, without its stage.

    Parameters
    ----------
    objective : Objective
        Losses of weight 0 are not measured.
    unifrac : bool
        Whether there are distances.
    kind : str or None
        Kind of the target, 'numeric' or 'categorical'.
    """
    inputs = {
        None: True, "distances": unifrac, "weighted_distances": unifrac and kind is None, "target": kind is not None,
    }  # fmt: skip
    names = ["total_loss"]
    for term in LOSS_TERMS:
        if inputs[term.needs] and objective.weight_of(term.loss):
            names += [term.loss, *(TARGET_METRICS[kind] if term.needs == "target" else term.metrics)]
    return names
