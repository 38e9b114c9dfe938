"""Every default, once: one dataclass a concern. Signatures, help and ``model.json`` read them. Imports no torch."""

import math
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import NamedTuple

# What is done with features without a sequence and samples without metadata unless something else is asked for.
ON_MISSING = "error"
MISSING_FEATURES = ("error", "ignore")
MISSING_SAMPLES = ("error", "ignore")
MISSING_COVARIATES = ("error", "impute")
TOKEN_CHOICES = ("abundant", "random")
TRANSFORMS = ("none", "zscore", "minmax", "log1p")
USUAL_TRANSFORM = "zscore"
METRICS = ("unweighted", "weighted_unnormalized", "weighted_normalized", "generalized")
USUAL_METRIC = "unweighted"
PRETRAINING = ("auto", "each_fold", "transductive", "none")
OPTIMIZERS = ("muon", "adamw")
SCHEDULERS = ("warmup_cosine", "cosine", "plateau", "onecycle", "constant")
PRECISIONS = ("auto", "32", "bf16", "16")
DEVICES = ("auto", "cpu", "cuda")
NON_FINITE = ("error", "skip")
ASV_CACHES = ("memory", "disk")
HEADS = ("ensemble", "kernel", "trees", "linear")
METRIC_CHOICES = ("auto", *METRICS)
# What an epoch measures beside its losses.
UNIFRAC_METRICS = ("unifrac_rmse", "unifrac_r")
NUCLEOTIDE_METRICS = ("nucleotide_accuracy",)
NUMERIC_METRICS = ("r2", "mae", "rmse")
CATEGORICAL_METRICS = ("accuracy", "balanced_accuracy")
TARGET_METRICS = {"numeric": NUMERIC_METRICS, "categorical": CATEGORICAL_METRICS}


class LossTerm(NamedTuple):
    """One term of ``total_loss``; its function is in `encoder/training/objectives.py`."""

    name: str
    label: str
    """What it is about, as the heading of its charts in TensorBoard."""
    needs: str | None
    """``distances``, ``target``, or nothing but the table."""
    metrics: tuple[str, ...] = ()
    """What is measured beside the loss, of any kind of target."""

    @property
    def loss(self) -> str:
        return f"{self.name}_loss"

    @property
    def weight(self) -> str:
        """Name of its setting."""
        return f"{self.name}_weight"


LOSS_TERMS = (
    LossTerm("unifrac", "distances between samples", "distances", UNIFRAC_METRICS),
    LossTerm("nucleotide", "masked nucleotides", None, NUCLEOTIDE_METRICS),
    LossTerm("count", "masked abundances", None),
    LossTerm("target", "target", "target", (*NUMERIC_METRICS, *CATEGORICAL_METRICS)),
)
# What the best epoch can be picked by, in the order of their interest.
PRETRAIN_MONITORS = ("total_loss", *(n for t in LOSS_TERMS if t.needs != "target" for n in (t.loss, *t.metrics)))
FINE_TUNE_MONITORS = (
    "total_loss",
    *(n for t in LOSS_TERMS if t.needs == "target" for n in (t.loss, *t.metrics)),
    *(n for t in LOSS_TERMS if t.needs == "distances" for n in (t.loss, *t.metrics)),
)
# Steps that pretraining takes by itself, whatever the number of samples, within these numbers of epochs.
AUTO_STEPS = 300
FEWEST_EPOCHS, MOST_EPOCHS = 4, 60
# Standardised embeddings are cut there: a new sample may hold a lineage that training samples hardly did.
FEATURE_LIMIT = 4.0
# What scikit-learn takes.
LARGEST_SEED = 2**32 - 1


def check_choice(settings, name: str, choices: tuple) -> None:
    value = getattr(settings, name)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, but is {value!r}.")


def check_least(settings, **least: float) -> None:
    for name, bound in least.items():
        value = getattr(settings, name)
        if not value >= bound:
            raise ValueError(f"{name} must be at least {bound}, but is {value}.")


def check_seed(settings) -> None:
    if not 0 <= settings.random_seed <= LARGEST_SEED:
        raise ValueError(f"random_seed must be from 0 to {LARGEST_SEED}, but is {settings.random_seed}.")


@dataclass(frozen=True)
class Reading:
    """How a table and its metadata are read."""

    missing_features: str = ON_MISSING
    """What features without a sequence, or that are no tip of the phylogeny, do: stop, or be left out with a count."""

    missing_samples: str = ON_MISSING
    """What samples that are not in the metadata do: stop, or be left out with a count."""

    missing_covariates: str = ON_MISSING
    """What samples without a value of a covariate do: stop, or get the median or a category of their own."""

    def __post_init__(self):
        check_choice(self, "missing_features", MISSING_FEATURES)
        check_choice(self, "missing_samples", MISSING_SAMPLES)
        check_choice(self, "missing_covariates", MISSING_COVARIATES)


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
class Embedding:
    """How samples are read by an encoder that stays as it is: in float32, the same numbers on every machine."""

    token_limit: int = Sampling.token_limit
    """Most ASVs read of a sample, the most abundant."""

    batch_size: int = 32
    """Samples at a time; changes nothing but time and memory."""

    asv_cache: str = "memory"
    """Where the embeddings of the table's ASVs are kept; changes nothing but time and memory."""

    device: str = Runtime.device
    """``auto`` is cuda where there is one."""

    threads: int | str = Runtime.threads
    """Threads; ``auto`` takes all cores."""

    def __post_init__(self):
        check_choice(self, "asv_cache", ASV_CACHES)
        check_choice(self, "device", DEVICES)
        check_least(self, token_limit=1, batch_size=1)
        if self.threads != "auto":
            check_least(self, threads=1)


@dataclass(frozen=True)
class Fitting(Embedding):
    """How a predictor is fitted: what `fit` does, and `cross-validate` in each fold."""

    head: str = "ensemble"
    """What predicts the target from the sample embedding."""

    target_transform: str = USUAL_TRANSFORM
    """What a numeric column is learnt as."""

    random_seed: int = Runtime.random_seed
    """Seed of everything random."""

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "head", HEADS)
        check_choice(self, "target_transform", TRANSFORMS)
        check_seed(self)


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

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "target_transform", TRANSFORMS)
        if not self.sampling.validation_share:
            raise ValueError(
                "validation_share is 0, but fine-tuning needs validation samples: they pick the best epoch and tell "
                "the errors. Set it above 0."
            )


def of_arguments(kind: type, arguments: dict):
    """Fill a settings dataclass from arguments of the same names, and its parts from those of theirs."""
    values = {entry.name: arguments[entry.name] for entry in fields(kind) if entry.name in arguments}
    for entry in fields(kind):
        if entry.default_factory is not MISSING:
            values[entry.name] = of_arguments(entry.default_factory, arguments)
    return kind(**values)


@dataclass(frozen=True)
class Architecture:
    """Sizes of the two encoders. Stored in ``model.json``, so that a model is rebuilt without its training script."""

    dim: int = 128
    """Width of nucleotide, ASV and sample representations."""

    heads: int = 4
    """Attention heads, in both transformers; must divide ``dim``."""

    nucleotides_per_token: int = 5
    """Nucleotides that one token spans; 1 is a token a nucleotide, several shorten the sequence by that factor."""

    nucleotide_layers: int = 1
    """Transformer blocks over the tokens of an ASV."""

    sample_layers: int = 1
    """Transformer blocks over the ASVs of a sample."""

    anchors: int = 64
    """ASVs of the first training batches whose mean embedding is subtracted from every ASV's."""

    lineages: int = 256
    """Learnt branches on which UniFrac's own formula is evaluated."""

    feed_forward: int = 2
    """Width of a block's hidden layer, in multiples of ``dim``."""

    dropout: float = 0.0
    """Dropout inside the sample encoder's blocks, on the path to the target only."""

    max_length: int = 512
    """Longest sequence read, in nucleotides; longer ones are cut."""

    def __post_init__(self):
        for entry in fields(self):
            value = getattr(self, entry.name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if entry.type is int and not whole or not isinstance(value, int | float):
                kind = "a whole number" if entry.type is int else "a number"
                raise ValueError(f"{entry.name} must be {kind}, but is {value!r}.")
            if entry.name == "dropout":
                if not 0 <= value < 1:
                    raise ValueError(f"dropout must be at least 0 and below 1, but is {value}.")
            elif value < 1:
                raise ValueError(f"{entry.name} must be at least 1, but is {value}.")
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) must be a multiple of heads ({self.heads}).")

    @property
    def max_tokens(self) -> int:
        """Positions that the longest sequence takes: START and one a span of nucleotides."""
        return 1 + -(-self.max_length // self.nucleotides_per_token)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: dict) -> "Architecture":
        """Rebuild from ``model.json``; an unknown or missing key is refused: it would change the network silently."""
        known = {entry.name for entry in fields(cls)}
        missing = known - set(settings)
        if missing:
            raise ValueError(
                f"The model's description lacks these settings: {', '.join(sorted(missing))}. It was made by another "
                "q2-aam: use that one, or train the model again."
            )
        unknown = set(settings) - known
        if unknown:
            raise ValueError(
                f"The model was made with unknown settings: {', '.join(sorted(unknown))}. Update q2-aam and try again."
            )
        return cls(**settings)


@dataclass(frozen=True)
class Baselines:
    """How baselines are computed."""

    threads: int | str = Runtime.threads
    """Threads; ``auto`` takes all cores."""

    random_seed: int = Runtime.random_seed
    """Seed of the forests and of inner folds."""

    def __post_init__(self):
        check_seed(self)
        if self.threads != "auto":
            check_least(self, threads=1)


@dataclass(frozen=True)
class Splitting:
    """How a table is split in two."""

    share: float = 0.2
    """Share of the samples in the second table."""

    random_seed: int = Runtime.random_seed
    """Seed of the choice."""

    def __post_init__(self):
        check_seed(self)
        if not 0 < self.share < 1:
            raise ValueError(f"share must be between 0 and 1, but is {self.share}.")


@dataclass(frozen=True)
class CrossValidation:
    """How samples are parted, and what each fold's encoder has read."""

    folds: int = 5
    """Parts; each is predicted by what was learnt from the others."""

    leave_one_group_out: bool = False
    """Make each group a fold of its own."""

    repeats: int = 1
    """Times that all is done, each with other folds and another seed."""

    pretraining: str = "auto"
    """``auto`` is each_fold where no encoder is given, none where one is."""

    pretrain_epochs: int | str = Optimization.epochs
    """Most epochs of pretraining."""

    def __post_init__(self):
        check_choice(self, "pretraining", PRETRAINING)
        check_least(self, folds=2, repeats=1)
        if self.pretrain_epochs != "auto":
            check_least(self, pretrain_epochs=1)
        if self.leave_one_group_out and self.folds != CrossValidation.folds:
            raise ValueError(
                f"folds is {self.folds}, but leave_one_group_out makes each group a fold. Leave one of them out."
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
    inputs = {None: True, "distances": unifrac, "target": kind is not None}
    names = ["total_loss"]
    for term in LOSS_TERMS:
        if inputs[term.needs] and objective.weight_of(term.loss):
            names += [term.loss, *(TARGET_METRICS[kind] if term.needs == "target" else term.metrics)]
    return names
