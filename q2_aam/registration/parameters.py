"""Types and descriptions of parameters and inputs that several actions share. Defaults stand in the settings dataclasses."""

from q2_aam.framework import Bool, Categorical, Choices, Float, Int, List, Metadata, MetadataColumn, Range, Str
from q2_aam.settings import (
    ASV_CACHES,
    AUTO_STEPS,
    CATEGORICAL_METRICS,
    DEVICES,
    FEWEST_EPOCHS,
    HEADS,
    LARGEST_SEED,
    METRIC_CHOICES,
    MISSING_FEATURES,
    MOST_EPOCHS,
    NON_FINITE,
    NUCLEOTIDE_METRICS,
    NUMERIC_METRICS,
    OPTIMIZERS,
    PRECISIONS,
    PRETRAINING,
    SCHEDULERS,
    TOKEN_CHOICES,
    TRANSFORMS,
    UNIFRAC_METRICS,
)
from q2_aam.settings import MISSING_SAMPLES as MISSING_SAMPLES_CHOICES

TABLE = "Counts of ASVs in samples."
SEQUENCES = "Sequences of the table's features. Not needed where the feature IDs are themselves the sequences."

COUNT = Int % Range(1, None)
WEIGHT = Float % Range(0, None)
SHARE = Float % Range(0, 1, inclusive_start=True, inclusive_end=False)
INNER_SHARE = Float % Range(0, 1, inclusive_start=False, inclusive_end=False)

METRIC = Str % Choices(METRIC_CHOICES)
# What stands in the scores of a cross-validation.
PRETRAINED = Str % Choices([f"{before}{kind}" for before in ("", "encoder+") for kind in PRETRAINING if kind != "auto"])
TRANSFORM = Str % Choices(TRANSFORMS)
ASV_CACHE = Str % Choices(ASV_CACHES)
HEAD = (
    Str % Choices(HEADS),
    "Kernel: the encoder stays as it is, and new samples are compared with the fitted ones by the UniFrac that the encoder "
    "predicts, by shared ASVs and by abundances; all samples are learnt from. Joint: the mean of that, of trees on the sample "
    "embedding and of trees on abundances, with weights chosen by cross-validation. Linear: ridge or logistic regression on the "
    "sample embedding, then everything is tuned. Auto: linear without an encoder, kernel with an encoder and conditioning columns, else joint.",
)

PRETRAIN_MONITORS = (
    "total_loss",
    "unifrac_loss",
    *UNIFRAC_METRICS,
    "nucleotide_loss",
    *NUCLEOTIDE_METRICS,
    "count_loss",
)
FIT_MONITORS = ("total_loss", "target_loss", *NUMERIC_METRICS, *CATEGORICAL_METRICS, *PRETRAIN_MONITORS[1:])
MONITOR = (
    "Metric that picks the best epoch (the highest where more is better, else the lowest), measured on the validation "
    "samples, or on the training samples where there are none."
)

ARCHITECTURE = {
    "dim": (COUNT, "Width of the network's vectors."),
    "heads": (COUNT, "Attention heads; must divide dim."),
    "nucleotides_per_token": (
        COUNT,
        "Nucleotides that one token spans: 1 is a token a nucleotide (slow), several shorten "
        "the sequence by that factor.",
    ),
    "nucleotide_layers": (COUNT, "Transformer layers over the tokens of an ASV."),
    "sample_layers": (COUNT, "Transformer layers over the ASVs of a sample."),
    "anchors": (
        COUNT,
        "ASVs of the first training batches whose mean embedding is subtracted from every ASV's, because amplicons are alike "
        "in most places.",
    ),
    "lineages": (
        COUNT,
        "Learnt branches on which distances are computed; a sample embedding has twice as many numbers.",
    ),
    "feed_forward": (COUNT, "Width of a layer's hidden part, in multiples of dim."),
    "dropout": (
        SHARE,
        "Dropout in the layers over the ASVs of a sample. It makes distances in training differ from those "
        "in evaluation; leave it at 0 where UniFrac is learnt.",
    ),
    "max_length": (COUNT, "Nucleotides read of each sequence; longer ones are cut, with a warning."),
}

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
    "optimizer": (
        Str % Choices(OPTIMIZERS),
        "What changes the weights. muon: Muon for the matrices inside the network, AdamW for the rest; adamw: AdamW for all, "
        "which wants a learning_rate of a tenth, and is quicker where the processor does not multiply bf16 natively.",
    ),
    "learning_rate": (
        Float % Range(0, None, inclusive_start=False),
        "Highest learning rate. The optimizer adamw wants a tenth of what suits muon.",
    ),
    "weight_decay": (WEIGHT, "Weight decay, on matrices only."),
    "scheduler": (
        Str % Choices(SCHEDULERS),
        "Course of the learning rate. 'plateau' halves it when the monitored metric stalls.",
    ),
    "warmup_share": (SHARE, "Share of all steps in which the learning rate rises (warmup_cosine, onecycle)."),
    "gradient_share": (
        Float % Range(0, 1, inclusive_start=False, inclusive_end=True) | Str % Choices(["auto"]),
        "Share of a batch's ASVs, drawn anew each step, that gradients are computed through: fewer than all (1) take less "
        "time and memory a step, and make less exact steps. auto takes as many as max_tokens have room for, and half at least.",
    ),
    "gradient_clip": (WEIGHT, "Largest norm of the gradient; 0 turns clipping off."),
    "patience": (
        Int % Range(0, None),
        "Epochs without improvement after which training ends; 0 turns early stopping off.",
    ),
    "non_finite": (
        Str % Choices(NON_FINITE),
        "What a loss or gradient that is not finite does: stop and name the samples, "
        "or skip the step and count it in the training log.",
    ),
}

OBJECTIVE = {
    "unifrac_weight": (WEIGHT, "Weight of unifrac_loss, the mean squared error of the distances between samples."),
    "nucleotide_weight": (WEIGHT, "Weight of nucleotide_loss, the cross entropy of masked nucleotides; 0 masks none."),
    "count_weight": (WEIGHT, "Weight of count_loss, the squared error of withheld abundances; 0 withholds none."),
    "mask_share": (INNER_SHARE, "Share of nucleotides, and of abundances, withheld to be guessed."),
}

RUNTIME = {
    "precision": (
        Str % Choices(PRECISIONS),
        "Precision of matrix products: auto is bf16 where the processor has it, else "
        "32. Distances and losses are always computed in 32.",
    ),
    "device": (Str % Choices(DEVICES), "Where to compute; auto is cuda where there is one."),
    "threads": (COUNT | Str % Choices(["auto"]), "Processor threads; auto takes all cores."),
    "random_seed": (
        Int % Range(0, LARGEST_SEED + 1),
        "Seed of everything random. On a CPU with precision 32 the same seed and number of "
        "threads give the same model.",
    ),
}

READING = {
    "sampling_depth": (
        COUNT,
        "Rarefy the table to this many reads a sample first; samples with fewer are dropped. By default "
        "all reads are used.",
    ),
    "missing_features": (
        Str % Choices(MISSING_FEATURES),
        "Features without a sequence (and, where a phylogeny is used, "
        "features that are no tip of it): refuse them by name, or leave them out with a count.",
    ),
}

LEARNING = {
    "token_limit": (COUNT, "Most ASVs read of a sample."),
    "token_choice": (
        Str % Choices(TOKEN_CHOICES),
        "Which ASVs are read of a sample that has more: the most abundant, or a fresh random choice each epoch. "
        "Validation and prediction always read the most abundant.",
    ),
    "max_tokens": (
        COUNT,
        "Tokens (of the ASVs of a step, and of its samples) whose intermediate values are kept for the backward pass. More "
        "are computed again, which takes a third more time for these and bounds memory: lower it when memory runs out. With "
        "gradient_share auto, gradients are computed through fewer ASVs first.",
    ),
    "compile": (
        Bool,
        "Have torch compile the layers of both transformers first (some 15 seconds, and on a CPU a C++ compiler). For "
        "graphics cards: on the CPUs it was tried on, steps took twice as long.",
    ),
    "run_dir": (
        Str,
        "Directory in which event files (for TensorBoard), history and last state are written while the run goes "
        "on. Repeat a command that was killed with the same run_dir and it goes on from its last epoch. A new run "
        "removes event files and plots that another one has left there.",
    ),
    "metric": (
        METRIC,
        "The UniFrac that distances between samples are to be; auto is the encoder's, or unweighted where there is none.",
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
        "predictions that come out are then the means, and of classes the likeliest.",
    ),
    "pretraining": (
        Str % Choices(PRETRAINING),
        "What is pretrained. each_fold: an encoder for each fold, on its training samples alone. transductive: one encoder is "
        "pretrained on all samples, those that are predicted included, without their values; scores then hold for "
        "samples that are there when the encoder is pretrained, not for later ones. none: nothing is pretrained; the "
        "given encoder is fitted or, without one, everything is learnt from the values alone. auto is each_fold without "
        "a given encoder, none with one. Where one is given, each_fold and transductive go on from it.",
    ),
    "pretrain_epochs": (
        OPTIMIZATION["epochs"][0],
        "Most passes over the training samples in pretraining; auto as in pretrain.",
    ),
    "head": HEAD,
    "fit_epochs": (COUNT, "Most passes over the training samples in fitting, with the linear head."),
    "freeze_encoder": (Bool, "Fit the linear head alone; see fit."),
    "batch_size": (OPTIMIZATION["batch_size"][0], "Samples a step, of pretraining and of fitting."),
}

GROUPS = (
    MetadataColumn[Categorical],
    "Column whose groups (subjects, households, sites) never stand on both sides of a "
    "split. Give it whenever samples of a group resemble each other: without it scores are too good to be true. Numbers "
    "that are names of groups are categorical only where the metadata file says so in a line '#q2:types'.",
)
CONDITIONING = (
    Metadata,
    "Metadata with columns (age, sex, body site) that are known of a sample beside its community and help to predict: "
    "conditioning columns, numeric or categorical. ",
)
CONDITIONING_COLUMNS = (
    List[Str],
    "The columns of the conditioning metadata to read; all by default. The column to predict and the group column "
    "cannot be among them.",
)
MISSING_SAMPLES = (
    Str % Choices(MISSING_SAMPLES_CHOICES),
    "Samples of the table that are not in the metadata: refuse them by "
    "name, or leave them out with a count. Samples whose value is missing are always left out, with a count.",
)


def types(*tables: dict) -> dict:
    """Parameter types of registration tables."""
    return {name: entry[0] for table in tables for name, entry in table.items()}


def descriptions(*tables: dict) -> dict:
    """Parameter descriptions of registration tables."""
    return {name: entry[1] for table in tables for name, entry in table.items()}
