"""How studies are read, heads fitted, samples predicted and parted."""

from dataclasses import dataclass
from typing import ClassVar

from q2_aam.settings.architecture import LONGEST
from q2_aam.settings.choices import (
    ASV_CACHES,
    DECISIONS,
    DEVICES,
    FOREIGN,
    FOREIGN_PREDICTED,
    HEADS,
    MISSING_COVARIATES,
    MISSING_FEATURES,
    MISSING_SAMPLES,
    ON_MISSING,
    PRETRAINING,
    TRANSFORMS,
    USUAL_TRANSFORM,
    check_choice,
    check_least,
    check_seed,
)
from q2_aam.settings.training import Optimization, Runtime, Sampling


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

    foreign: str = ON_MISSING
    """What samples of sequences that cannot be judged do: stop, be told of or, where they are predicted, be mended."""

    foreign_choices: ClassVar = FOREIGN_PREDICTED

    def __post_init__(self):
        check_choice(self, "asv_cache", ASV_CACHES)
        check_choice(self, "device", DEVICES)
        check_choice(self, "foreign", self.foreign_choices)
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

    decision: str = DECISIONS[0]
    """Which class is named of a categorical column."""

    random_seed: int = Runtime.random_seed
    """Seed of everything random."""

    foreign_choices: ClassVar = FOREIGN

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "head", HEADS)
        check_choice(self, "target_transform", TRANSFORMS)
        check_choice(self, "decision", DECISIONS)
        check_seed(self)


@dataclass(frozen=True)
class Explaining(Embedding):
    """How predictions are explained."""

    level: int = 7
    """Ranks of a taxonomy that are kept of a group's name."""

    clusters: bool = False
    """Whether groups of ASVs that the encoder finds alike leave, too."""

    most_read: int = 10_000_000
    """ASVs read in all samples that something has left, together; of more, a random part of the samples is explained.
    About three minutes on two cores."""

    random_seed: int = Runtime.random_seed
    """Seed of that part."""

    def __post_init__(self):
        super().__post_init__()
        check_least(self, level=1, most_read=1)
        check_seed(self)


@dataclass(frozen=True)
class Harmonizing:
    """How references take the place of ASVs."""

    min_identity: float = 0.9
    """Share of nucleotides that an ASV and its reference have in common, at least."""

    min_matched: float = 0.5
    """Share of a sample's reads that have a reference, at least; 0 keeps all samples of which anything is left."""

    unmatched_samples: str = ON_MISSING
    """What samples below that do: stop, or be left out."""

    primer: str = "GTGYCAGCMGCCGCGGTAA"
    """What stands before the region that is read of a reference: 515F, before V4."""

    length: int = 150
    """Nucleotides that are read of it: what most studies have that the ready encoder has learnt from."""

    threads: int | str = Runtime.threads
    """Threads; ``auto`` takes all cores."""

    def __post_init__(self):
        check_choice(self, "unmatched_samples", MISSING_SAMPLES)
        check_least(self, length=1)
        if self.threads != "auto":
            check_least(self, threads=1)
        if len(self.primer.strip()) < 10:
            raise ValueError(
                f"primer is {self.primer!r}, which is found anywhere. Give one of ten nucleotides or more, such as "
                "GTGYCAGCMGCCGCGGTAA."
            )
        if self.length > LONGEST:
            raise ValueError(f"length is {self.length}; no more than {LONGEST} nucleotides are read of a sequence.")
        if not (0 < self.min_identity <= 1 and 0 <= self.min_matched <= 1):
            raise ValueError(
                "min_identity must be above 0 and at most 1, and min_matched from 0 to 1, but they are "
                f"{self.min_identity} and {self.min_matched}."
            )


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

    pretraining: str = PRETRAINING[0]
    """``none``: the encoder is the one that is given, or the ready one."""

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
