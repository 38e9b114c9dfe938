"""Types and descriptions of parameters and inputs that several actions share. Defaults stand in the settings."""

from q2_aam.framework import Bool, Categorical, Choices, Float, Int, List, Metadata, MetadataColumn, Range, Str
from q2_aam.settings import (
    ASV_CACHES,
    AUTO_STEPS,
    DECISIONS,
    DEVICES,
    FEWEST_EPOCHS,
    FOREIGN,
    FOREIGN_PREDICTED,
    HEADS,
    LARGEST_SEED,
    METRIC_CHOICES,
    MISSING_COVARIATES,
    MISSING_FEATURES,
    MISSING_SAMPLES,
    MOST_EPOCHS,
    PRECISIONS,
    PRETRAINING,
    SCHEDULERS,
    TRANSFORMS,
)

TABLE = "ASVs in samples: counts of reads, relative frequencies, or presence and absence alone."
SEQUENCES = "Sequences of the table's features. Not needed where the feature IDs are themselves the sequences."
ENCODER = (
    "An encoder that pretrain made; by default the one that comes with q2-aam, which has read many public studies. It "
    "stays as it is."
)
GROUPS = (
    MetadataColumn[Categorical],
    "Column whose groups (subjects, households, sites) never stand on both sides of a "
    "split. Give it whenever samples of a group resemble each other: without it scores are too good to be true. Numbers "
    "that are names of groups are categorical only where the metadata file says so in a line '#q2:types'.",
)
COVARIATES = (
    Metadata,
    "Metadata with columns (age, sex, body site) that are known of a sample beside its community and help to predict: "
    "the covariates, numeric or categorical. ",
)

COUNT = Int % Range(1, None)
WEIGHT = Float % Range(0, None)
SHARE = Float % Range(0, 1, inclusive_start=True, inclusive_end=False)
INNER_SHARE = Float % Range(0, 1, inclusive_start=False, inclusive_end=False)
# What stands in the scores of a cross-validation.
PRETRAINED = Str % Choices(
    ["ready", *(f"{before}{kind}" for before in ("", "encoder+") for kind in PRETRAINING)]
)

MONITOR = (
    "Metric that picks the best epoch (the highest where more is better, else the lowest), measured on the validation "
    "samples, or on the training samples where there are none."
)

# How a table and its metadata are read.
READING = {
    "missing_features": (
        Str % Choices(MISSING_FEATURES),
        "Features without a sequence (and, where a phylogeny is used, features that are no tip of it): refuse them by "
        "name, or leave them out with a count.",
    ),
    "missing_samples": (
        Str % Choices(MISSING_SAMPLES),
        "Samples of the table that are not in the metadata: refuse them by name, or leave them out with a count. "
        "Samples whose value is missing are always left out, with a count.",
    ),
}
COVARIATE_READING = {
    "covariates": COVARIATES,
    "covariate_columns": (
        List[Str],
        "The columns of the covariates' metadata to read; all by default. The column to predict and the group column "
        "cannot be among them.",
    ),
    "missing_covariates": (
        Str % Choices(MISSING_COVARIATES),
        "Samples without a value of a covariate: refuse them by name, or fill it in (the median; a category of its own) "
        "with a count. The model does the same with new samples.",
    ),
}
FITTING = {
    "head": (
        Str % Choices(HEADS),
        "What predicts the column from the sample embedding. kernel: a comparison with the samples that were learnt from, "
        "by the UniFrac that the encoder predicts, by shared ASVs and by abundances. trees: decision trees on the sample "
        "embedding. ensemble: a weighted mean of both and of trees on abundances, the weights by inner folds. "
        "linear: ridge or logistic regression on the sample embedding.",
    ),
    "target_transform": (
        Str % Choices(TRANSFORMS),
        "What a numeric column is learnt as; predictions are always in its own units. log1p is log(1 + x), then zscore. A "
        "categorical column takes none.",
    ),
    "decision": (
        Str % Choices(DECISIONS),
        "Which class is named of a categorical column. balanced: the one whose probability exceeds its share of the samples "
        "learnt from by the largest factor, which finds rare classes (best for balanced accuracy). likeliest: the one of the "
        "highest probability (best for accuracy). Probabilities are the same in both. A numeric column has no use for it.",
    ),
}
FOREIGN_READING = {
    "foreign": (
        Str % Choices(FOREIGN),
        "Samples that hold mostly sequences whose like the encoder has not read (reverse complements, another region or gene, "
        "another place to begin at, primers still there), or that were trimmed to different lengths: refuse them by name and "
        "with the cause, or go on with a caution.",
    ),
}
FOREIGN_PREDICTED_READING = {
    "foreign": (
        Str % Choices(FOREIGN_PREDICTED),
        "Samples that hold mostly sequences that the model cannot judge (reverse complements, another region or gene, another "
        "place to begin at, primers still there, another length than was learnt from): refuse them by name and with the "
        "cause (error), turn reverse complements round, cut longer sequences to the model's length and refuse the rest "
        "(mend), or go on with a caution (ignore).",
    ),
}
BATCH_SIZE = (COUNT, "Samples at a time; changes nothing but time and memory.")
RUNTIME = {
    "device": (Str % Choices(DEVICES), "Where to compute; auto is cuda where there is one."),
    "threads": (COUNT | Str % Choices(["auto"]), "Processor threads; auto takes all cores (in Galaxy, those of the job)."),
}
SEED = {
    "random_seed": (
        Int % Range(0, LARGEST_SEED + 1),
        "Seed of everything random. On a CPU the same seed and number of threads give the same model.",
    )
}
ASV_CACHE = {
    "asv_cache": (
        Str % Choices(ASV_CACHES),
        "Where the embeddings of the table's ASVs are kept. For tables of millions of ASVs choose disk: a file in the "
        "temporary directory (TMPDIR), which needs 4 bytes x dim for each ASV. It changes no prediction.",
    )
}

# How a network is trained.
OPTIMIZATION = {
    "epochs": (
        COUNT | Str % Choices(["auto"]),
        f"Most passes over the training samples; auto makes {AUTO_STEPS} steps of them, in {FEWEST_EPOCHS} to {MOST_EPOCHS} "
        "epochs.",
    ),
    "batch_size": (
        COUNT,
        "Samples a step (and process, where there are several). For UniFrac the number of pairs grows as its square.",
    ),
    "accumulation": (COUNT, "Batches whose gradients are averaged before the weights change."),
    "learning_rate": (Float % Range(0, None, inclusive_start=False), "Highest learning rate."),
    "scheduler": (
        Str % Choices(SCHEDULERS),
        "Course of the learning rate. 'plateau' halves it when the monitored metric stalls.",
    ),
    "gradient_clip": (WEIGHT, "Largest norm of the gradient; 0 turns clipping off."),
    "patience": (
        Int % Range(0, None),
        "Epochs without improvement after which training ends; 0 turns early stopping off.",
    ),
}
TRAINING = {
    "metric": (
        Str % Choices(METRIC_CHOICES),
        "The UniFrac that distances between samples are to be; auto is the encoder's, or unweighted where there is none.",
    ),
    "token_limit": (COUNT, "Most ASVs read of a sample, the most abundant."),
    "precision": (
        Str % Choices(PRECISIONS),
        "Precision of matrix products in training: auto is bf16 where the processor has it, else 32. Distances and losses "
        "are always computed in 32, and so are predictions.",
    ),
    "devices": (
        COUNT,
        "Processes that train together on this machine, each on a graphics card of its own, or on its share of the "
        "threads where there are none. Each takes batch_size samples a step.",
    ),
    "num_nodes": (
        COUNT,
        "Machines that train together. Each runs this command, with MASTER_ADDR, MASTER_PORT and NODE_RANK (or "
        "SLURM_NODEID) in its environment; all end with the same model.",
    ),
    "run_dir": (
        Str,
        "Directory in which event files (for TensorBoard), history and last state are written while the run goes "
        "on. Repeat a command that was killed with the same run_dir and it goes on from its last epoch. A new run "
        "removes event files and plots that another one has left there.",
    ),
}
ARCHITECTURE = {
    "dim": (COUNT, "Width of the network's vectors, a multiple of 4."),
    "nucleotide_layers": (COUNT, "Transformer layers over the tokens of an ASV."),
    "sample_layers": (COUNT, "Transformer layers over the ASVs of a sample."),
    "lineages": (
        COUNT,
        "Learnt branches on which distances are computed; a sample embedding has twice as many numbers.",
    ),
    "max_length": (
        COUNT | Str % Choices(["auto"]),
        "Nucleotides read of each sequence; longer ones are cut to a number that is given. auto reads all whole: 512, "
        "1024, ..., as the longest asks for.",
    ),
}

FOLDS = {
    "folds": (
        Int % Range(2, None),
        "Parts into which the samples are parted (whole groups where groups are given, classes in like shares); each is "
        "predicted by what was learnt from the others.",
    ),
    "leave_one_group_out": (Bool, "Make each group a fold of its own, instead of folds."),
    "repeats": (
        COUNT,
        "Times that all is done, each with other folds and another seed (random_seed, the next one, ...). The "
        "predictions that come out are then the means, and of classes those named most often.",
    ),
    "pretraining": (
        Str % Choices(PRETRAINING),
        "What is pretrained. none: nothing; the encoder that is given is taken, or the one that comes with q2-aam. each_fold: an "
        "encoder for each fold, on its training samples alone. transductive: one encoder is pretrained on all samples, those that "
        "are predicted included, without their values; scores then hold for samples that are there when the encoder is "
        "pretrained, not for later ones. Where an encoder is given, each_fold and transductive go on from it.",
    ),
    "pretrain_epochs": (
        OPTIMIZATION["epochs"][0],
        "Most passes over the training samples in pretraining; auto as in pretrain.",
    ),
}


def types(*tables: dict, without: tuple = ()) -> dict:
    """Parameter types of registration tables."""
    return {name: entry[0] for table in tables for name, entry in table.items() if name not in without}


def descriptions(*tables: dict, without: tuple = ()) -> dict:
    """Parameter descriptions of registration tables."""
    return {name: entry[1] for table in tables for name, entry in table.items() if name not in without}
