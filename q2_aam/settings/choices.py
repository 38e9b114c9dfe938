"""What may be chosen, and the checks that settings share."""

from typing import NamedTuple

# What is done with features without a sequence and samples without metadata unless something else is asked for.
ON_MISSING = "error"
MISSING_FEATURES = ("error", "ignore")
MISSING_SAMPLES = ("error", "ignore")
MISSING_COVARIATES = ("error", "impute")
FOREIGN = ("error", "ignore")
# What is predicted can be mended; what is learnt from had better be as others will bring it.
FOREIGN_PREDICTED = ("error", "mend", "ignore")
TOKEN_CHOICES = ("abundant", "random")
TRANSFORMS = ("none", "zscore", "minmax", "log1p")
USUAL_TRANSFORM = "zscore"
# All from 0 to 1, as the distances between sample embeddings are: unnormalized weighted UniFrac has no such bound.
METRICS = ("unweighted", "weighted_normalized", "generalized")
USUAL_METRIC, WEIGHTED_METRIC = METRICS[:2]
PRETRAINING = ("none", "each_fold", "transductive")
OPTIMIZERS = ("muon", "adamw")
SCHEDULERS = ("warmup_cosine", "cosine", "plateau", "onecycle", "constant")
PRECISIONS = ("auto", "32", "bf16", "16")
DEVICES = ("auto", "cpu", "cuda")
NON_FINITE = ("error", "skip")
ASV_CACHES = ("memory", "disk")
HEADS = ("ensemble", "kernel", "trees", "linear")
# Which class is named: the one that stands out if classes count alike, or the one of the highest probability.
DECISIONS = ("balanced", "likeliest")
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
    """``distances``, ``weighted_distances``, ``target``, or nothing but the table."""
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
    LossTerm("weighted_unifrac", "weighted distances between samples", "weighted_distances"),
    LossTerm("nucleotide", "masked nucleotides", None, NUCLEOTIDE_METRICS),
    LossTerm("count", "masked abundances", None),
    LossTerm("target", "target", "target", (*NUMERIC_METRICS, *CATEGORICAL_METRICS)),
)
# What the best epoch can be picked by, in the order of their interest. Weighted distances are learnt beside others.
PRETRAIN_MONITORS = (
    "total_loss",
    *(n for t in LOSS_TERMS if t.needs in (None, "distances") for n in (t.loss, *t.metrics)),
)
FINE_TUNE_MONITORS = (
    "total_loss",
    *(n for t in LOSS_TERMS if t.needs == "target" for n in (t.loss, *t.metrics)),
    *(n for t in LOSS_TERMS if t.needs == "distances" for n in (t.loss, *t.metrics)),
)
# Steps that pretraining takes by itself, whatever the number of samples, within these numbers of epochs.
AUTO_STEPS = 300
# Features of an explanation whose effects are kept for each sample: more would be a table of gigabytes.
MOST_EFFECTS = 500
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
        if isinstance(value, str) or not value >= bound:
            raise ValueError(f"{name} must be at least {bound}, but is {value}.")


def check_seed(settings) -> None:
    if not 0 <= settings.random_seed <= LARGEST_SEED:
        raise ValueError(f"random_seed must be from 0 to {LARGEST_SEED}, but is {settings.random_seed}.")
