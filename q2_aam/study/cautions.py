"""What a study cannot tell, in sentences: too few samples, samples that repeat one another, a column of identifiers.

Nothing is refused here. A model can be trained on such a study and scores come out, but they would be believed to
say more than they do.
"""

import warnings

import numpy as np
import pandas as pd

from q2_aam.study.doubtful_values import doubtful_classes, doubtful_numbers
from q2_aam.study.near_copies import enough_copies
from q2_aam.study.tables import name_ids

# An accuracy of 80% measured on 50 samples has a 95% interval of 67% to 89%: wider than what usually lies between two
# methods, or between a method and chance.
FEW_SAMPLES = 50
# With fewer, one sample moves a class's recall by more than 10%; and with a fifth of them kept apart, or five folds,
# hardly two of the class are left to be judged by.
FEW_A_CLASS = 10
# With more groups a sample than this, repeats widen the error of a score by a tenth at most: sqrt(1 / 0.8) = 1.12.
REPEATS_MATTER = 0.8
# As many classes a sample as this, and there is next to nothing that samples of a class could share.
OWN_CLASS = 0.8
# A counter has few gaps, where samples were lost to sequencing or filtering. Measurements that are whole numbers
# (elevation, counts of cells) are spread wider or repeat. Days of one subject sampled daily come nearest: 0.76 in a
# year of the moving pictures.
COUNTER_FILL = 0.9
# A few ages or months in a row are nothing strange.
COUNTER_LENGTH = 20
# Nor are a few samples of a class each.
IDENTIFIER_LENGTH = 10
# Samples that lie beyond that percentile of the distances of those learnt from, and the share of them, of so many
# samples at least, that is no chance.
FAR_PERCENTILE, MANY_FAR, FEWEST_FAR = 90, 0.3, 10


class Caution(UserWarning):
    """A warning of what the study, as it is, cannot support; a category of its own, so that it can be silenced."""


def cautions(target: pd.Series, groups: pd.Series | None = None) -> list[str]:
    """Say what scores of these samples cannot support.

    Parameters
    ----------
    target : pd.Series
        True values [N], indexed by sample ID and named as the metadata column. Numbers make it a regression, anything
        else a classification. Samples without a value are left out.
    groups : pd.Series, optional
        Group of samples, indexed by sample ID and named as the metadata column. Samples without a group do not count
        where groups are spoken of.

    Returns
    -------
    list of str
        What is the matter, what it means for the scores and what to do, in full sentences: an entry a caution. Empty
        where there is nothing to say.
    """
    target = target.dropna()
    if target.empty:
        return []
    numeric = pd.api.types.is_numeric_dtype(target)
    target = target if numeric else target.astype(str)
    members = None if groups is None else groups.reindex(target.index).dropna().astype(str)
    name = "target" if target.name is None else str(target.name)

    sentences = [_few_samples(name, target)]
    identifier = _counter(name, target) if numeric else _own_classes(name, target)
    sentences.append(identifier)
    sentences += doubtful_numbers(name, target) if numeric else doubtful_classes(name, target)
    if not numeric and not identifier:
        sentences.append(_small_classes(name, target))
    if members is not None and len(members):
        # Of an identifier there is nothing more to say by group: each sample is a class, or a number, of its own.
        sentences += _by_group(name, target[members.index], members, numeric, bool(identifier))
    return [sentence for sentence in sentences if sentence]


def warn_of_cautions(target: pd.Series, groups: pd.Series | None = None) -> None:
    """Warn of each of the `cautions`.

    Warns
    -----
    Caution
    """
    for sentence in cautions(target, groups):
        warnings.warn(sentence, Caution, stacklevel=2)


def _few_samples(name: str, target: pd.Series) -> str | None:
    if len(target) >= FEW_SAMPLES:
        return None
    has = "sample has" if len(target) == 1 else "samples have"
    return (
        f"Only {len(target)} {has} a value of {name!r}. With fewer than {FEW_SAMPLES}, scores are rough: on other "
        "samples of the same kind they may be quite different, and small differences between models mean nothing. Add "
        "samples before you build on the scores."
    )


def _small_classes(name: str, target: pd.Series) -> str | None:
    sizes = _sizes(target)
    small = sizes[sizes < FEW_A_CLASS]
    if small.empty:
        return None
    have = "has" if len(small) == 1 else "have"
    listed = name_ids([f"{label} ({count})" for label, count in small.items()])
    return (
        f"{len(small)} of {len(sizes)} classes of {name!r} {have} fewer than {FEW_A_CLASS} samples: {listed}. A model "
        "learns little from so few, and scores on so few are largely chance; so is balanced accuracy, in which such a "
        "class weighs as much as a large one. Add samples of it, merge it with a class that it resembles, or leave its "
        "samples out."
    )


def _own_classes(name: str, target: pd.Series) -> str | None:
    n_classes = target.nunique()
    if len(target) < IDENTIFIER_LENGTH or n_classes < OWN_CLASS * len(target):
        return None
    sentence = (
        f"{name!r} looks like an identifier: {len(target)} samples are of {n_classes} different classes. What only one "
        "sample has cannot be learnt from others, and scores of it mean nothing. Choose a column whose classes many "
        "samples share."
    )
    if pd.to_numeric(target, errors="coerce").notna().all():
        sentence += (
            " If it is a measurement, declare it numeric in the metadata file (a row '#q2:types' below the header)."
        )
    return sentence


def _counter(name: str, target: pd.Series) -> str | None:
    numbers = target.to_numpy(dtype=np.float64)
    if len(numbers) < COUNTER_LENGTH or not (numbers == np.round(numbers)).all() or not target.is_unique:
        return None
    low, high = numbers.min(), numbers.max()
    if len(numbers) < COUNTER_FILL * (high - low + 1):
        return None
    return (
        f"{name!r} looks like a row number: {len(numbers)} samples have different whole numbers, from {low:.0f} to "
        f"{high:.0f} almost without a gap. If they were merely counted up, they are no property of a sample, and "
        "scores of them mean at best that samples were numbered in some order: choose another column. If they were "
        "measured (days in a row, say), nothing is wrong."
    )


def _by_group(name: str, target: pd.Series, members: pd.Series, numeric: bool, identifier: bool) -> list[str | None]:
    column = "group" if members.name is None else str(members.name)
    if members.nunique() == 1:
        return [
            f"All {len(members)} samples are of one group, {members.iloc[0]!r} of {column!r}: scores say nothing about "
            "samples of other groups. Add samples of other groups, or make no claim beyond this one."
        ]
    if identifier and not numeric:
        return []
    alone = None if numeric else _classes_of_one_group(name, target, members, column)
    every_class = alone is not None and target.nunique() == members.nunique() and _constant(target, members)
    # Where classes and groups are the same thing, how many values are independent is beside the point.
    return [alone] if every_class else [_repeats(name, target, members, column, numeric), alone]


def _repeats(name: str, target: pd.Series, members: pd.Series, column: str, numeric: bool) -> str | None:
    n_groups = members.nunique()
    if n_groups > REPEATS_MATTER * len(members) or not _constant(target, members):
        return None
    one_each = target.groupby(members).first()
    of_classes = "" if numeric else f" ({name_ids([f'{label}: {n}' for label, n in _sizes(one_each).items()])})"
    return (
        f"{name!r} has one value for all samples of each group of {column!r}: the {len(members)} samples are "
        f"{n_groups} independent values{of_classes}. Scores are as uncertain as those of a study of {n_groups} "
        "samples, and only those on groups that the model has not seen count: keep the groups together when splitting, "
        "and add groups rather than samples of the same ones."
    )


def _classes_of_one_group(name: str, target: pd.Series, members: pd.Series, column: str) -> str | None:
    by_class = members.groupby(target)
    # The only sample of a class is of one group whatever is done.
    alone = by_class.first()[(by_class.nunique() == 1) & (by_class.size() > 1)]
    if alone.empty:
        return None
    listed = name_ids([f"{label} ({group})" for label, group in alone.items()])
    only = "is in one group only" if len(alone) == 1 else "are in one group only, each,"
    return (
        f"{len(alone)} of {target.nunique()} classes of {name!r} {only} of {column!r}: {listed}. What is peculiar to "
        "such a class cannot be told from what is peculiar to its group, and a model may have learnt to recognise the "
        "group. Add samples of the class from other groups, or make no claim about it."
    )


def _constant(target: pd.Series, members: pd.Series) -> bool:
    return bool((target.groupby(members).nunique() == 1).all())


def _sizes(labels: pd.Series) -> pd.Series:
    """How many there are of each class, the smallest first, then by name."""
    sizes = labels.value_counts().rename_axis("label").rename("size").reset_index()
    return sizes.sort_values(["size", "label"]).set_index("label")["size"]


def learnt_caution(novelty: pd.DataFrame) -> str | None:
    """That samples are those that were learnt from; None where none is, or the model cannot tell.

    Parameters
    ----------
    novelty : pd.DataFrame
        A row a sample; without ``learnt_from`` nothing is known.
    """
    if "learnt_from" not in novelty or not (own := novelty["learnt_from"] > 0).any():
        return None
    return (
        f"{own.sum()} of {len(own)} samples are the very communities that the model was fitted to: "
        f"{name_ids(list(novelty.index[own]))}. How well these are predicted says nothing about new samples: evaluate "
        "the out-of-fold predictions of fit or cross-validate, or samples that were kept apart."
    )


def copied_caution(novelty: pd.DataFrame) -> str | None:
    """That samples are near copies of those that were learnt from; None where few are, or the model cannot tell.

    Parameters
    ----------
    novelty : pd.DataFrame
        A row a sample; without ``near_copy`` nothing is known.
    """
    if "near_copy" not in novelty:
        return None
    copies = novelty["near_copy"] > 0
    if not enough_copies(copies.sum(), len(copies)):
        return None
    return (
        f"{copies.sum()} of {len(copies)} samples are near copies of samples that were learnt from (nearly all ASVs in "
        f"nearly the same shares, as technical replicates have): {name_ids(list(novelty.index[copies]))}. How well "
        "these are predicted says little about new samples. Keep samples that belong together on one side: give fit "
        "and cross-validate the groups column."
    )


def distance_caution(novelty: pd.DataFrame) -> str | None:
    """What it means when many samples of a table lie farther than most that were learnt from; None where they do not.

    Of five studies of stool, learnt from one by one, 3 to 19% of other samples of the same study lay so far. In 15 of
    the 20 pairs of different studies more than 30% did: there the 90% intervals of age held 0.44, in the others 0.66.
    The share of 30% was chosen on these.

    Parameters
    ----------
    novelty : pd.DataFrame
        A row a sample; without ``nearest_percentile`` nothing is known.
    """
    if "nearest_percentile" not in novelty or len(novelty) < FEWEST_FAR:
        return None
    far = novelty["nearest_percentile"] >= FAR_PERCENTILE
    if far.mean() <= MANY_FAR:
        return None
    return (
        f"{far.sum()} of {len(far)} samples lie farther from the samples that were learnt from than {FAR_PERCENTILE}% "
        f"of these from each other (usually {100 - FAR_PERCENTILE}% do): they seem to be of another study. There "
        "intervals of 90% may hold half as often, and probabilities are too sure. Learn from samples of several "
        "studies, with the study as group, or have some of these samples among those that are learnt from."
    )
