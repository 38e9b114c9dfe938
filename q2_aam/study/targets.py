"""The target: one metadata column, how it becomes numbers for the network and how it comes back.

A target is part of the model: what the network puts out is turned back into the column's own units, or
into the names of its classes, before anyone sees it.
"""

from dataclasses import asdict, dataclass, field, fields

import numpy as np
import pandas as pd

from q2_aam.settings import TRANSFORMS, USUAL_TRANSFORM
from q2_aam.study.metadata import as_text
from q2_aam.study.tables import name_ids

KINDS = ("numeric", "categorical")

# Two values this close, relative to their size, differ by rounding only.
_ROUNDING = 10 * np.finfo(np.float64).eps
# What is trained on is float32: values beyond this would become infinite.
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Target:
    """A metadata column to predict and its way into the network and back.

    Build one with `fit_numeric` or `fit_categorical` from the training samples alone, or with `from_dict`
    from a model file.
    """

    name: str
    """Name of the metadata column."""
    kind: str
    """'numeric' (regression) or 'categorical' (classification)."""
    transform: str = "none"
    """'none', 'zscore', 'minmax' or 'log1p' (log(1 + x), then zscore). 'none' for a categorical target."""
    location: float = 0.0
    """Subtracted from the values (after the logarithm, for 'log1p'): their mean or minimum."""
    scale: float = 1.0
    """What the values are then divided by: their standard deviation or range."""
    classes: list[str] = field(default_factory=list)
    """Names of the classes, sorted as plain text; class i is classes[i]. Empty when numeric."""
    class_weights: list[float] = field(default_factory=list)
    """Balanced weight of each class: samples / (classes * samples of the class). Empty when numeric."""

    def __post_init__(self):
        where = f"target {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{where}: kind is {self.kind!r}; it must be one of {', '.join(KINDS)}.")
        _check_transform(self.transform)
        if self.kind == "categorical":
            if self.transform != "none":
                raise ValueError(f"{where}: classes take no transform, but it is {self.transform!r}.")
            if not 2 <= len(self.classes) == len(set(self.classes)):
                raise ValueError(f"{where}: two or more distinct classes are needed: {self.classes}.")
            if len(self.class_weights) != len(self.classes):
                raise ValueError(f"{where}: there must be one class weight for each class.")
        elif self.classes or self.class_weights:
            raise ValueError(f"{where}: a numeric target has no classes.")
        if not (np.isfinite([self.location, self.scale]).all() and self.scale > 0):
            raise ValueError(
                f"{where}: location {self.location} and scale {self.scale} must be finite numbers, and the "
                "scale positive."
            )

    @classmethod
    def fit_numeric(cls, values: pd.Series, transform: str = USUAL_TRANSFORM) -> "Target":
        """Learn the transform of a numeric column.

        Parameters
        ----------
        values : pd.Series
            The column's values in the training samples, indexed by sample ID, named as the column.
        transform : {'none', 'zscore', 'minmax', 'log1p'}
            'zscore': mean 0, standard deviation 1. 'minmax': from 0 to 1. 'log1p': log(1 + x), then zscore.

        Returns
        -------
        Target

        Raises
        ------
        ValueError
            If a value is missing or not finite, if all values are the same, or if the transform cannot take
            one of them.
        """
        from sklearn.preprocessing import MinMaxScaler, StandardScaler

        _check_transform(transform)
        _check_enough(values)
        name = _column_name(values)
        numbers = _finite_numbers(name, transform, values)
        if np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max():
            raise ValueError(
                f"column {name!r} has the same value ({float(values.iloc[0]):g}) in all {len(numbers)} "
                "training samples: there is nothing to learn. Choose another column."
            )
        location, scale = 0.0, 1.0
        if transform in ("zscore", "log1p"):
            scaler = StandardScaler().fit(numbers[:, None])
            location, scale = float(scaler.mean_[0]), float(scaler.scale_[0])
        elif transform == "minmax":
            scaler = MinMaxScaler().fit(numbers[:, None])
            location, scale = float(scaler.data_min_[0]), float(scaler.data_range_[0])
        return cls(name=name, kind="numeric", transform=transform, location=location, scale=scale)

    @classmethod
    def fit_categorical(cls, values: pd.Series) -> "Target":
        """Learn the classes of a categorical column and their balanced weights.

        Parameters
        ----------
        values : pd.Series
            The column's values in the training samples, indexed by sample ID, named as the column. Values
            that are no text are taken as the text they are printed as (1 is the class '1').

        Returns
        -------
        Target

        Raises
        ------
        ValueError
            If a value is missing, if there is one class only, or if different values are the same text.
        """
        from sklearn.utils.class_weight import compute_class_weight

        _check_enough(values)
        name = _column_name(values)
        labels = _labels(name, values)
        as_text(values.rename(name))
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"column {name!r} has one class only ({classes[0]!r}) in the {len(labels)} training samples: "
                "two or more are needed. Choose another column, or samples of more classes."
            )
        weights = compute_class_weight("balanced", classes=np.arange(len(classes)), y=codes)
        return cls(name=name, kind="categorical", classes=classes.tolist(), class_weights=weights.tolist())

    @property
    def class_shares(self) -> np.ndarray:
        """Share of each class in the samples learnt from, float64 ``[K]``."""
        shares = 1 / np.array(self.class_weights, dtype=np.float64)
        return shares / shares.sum()

    def encode(self, values: pd.Series) -> np.ndarray:
        """Turn the column's values into what the network is trained on.

        Parameters
        ----------
        values : pd.Series
            Values in the column's own units, or names of classes, indexed by sample ID.

        Returns
        -------
        np.ndarray
            float32 [B] for a numeric target, int64 [B] (codes of the classes) for a categorical one.

        Raises
        ------
        ValueError
            If a value is missing, not finite, not in the transform's range, or of a class unknown to the
            target.
        """
        if self.kind == "numeric":
            numbers = _finite_numbers(self.name, self.transform, values)
            return ((numbers - self.location) / self.scale).astype(np.float32)
        labels = _labels(self.name, values)
        codes = pd.Index(self.classes, dtype=object).get_indexer(labels)
        unknown = codes < 0
        if unknown.any():
            raise ValueError(
                f"column {self.name!r}: {unknown.sum()} samples ({name_ids(values.index[unknown])}) are of "
                f"classes that no training sample has ({name_ids(np.unique(labels[unknown]))}); known are "
                f"{name_ids(self.classes)}. Leave these samples out, or have some of each class in training."
            )
        return codes.astype(np.int64)

    def decode(self, array: np.ndarray) -> np.ndarray:
        """Turn what the network gives back into the column's own units or the names of classes.

        Parameters
        ----------
        array : np.ndarray
            Numbers of any shape for a numeric target, codes of classes for a categorical one.

        Returns
        -------
        np.ndarray
            float64 in the column's own units, or object (str) names of classes, shaped like `array`.

        Raises
        ------
        ValueError
            If a code is that of no class.
        """
        array = np.asarray(array)
        if self.kind == "numeric":
            numbers = array.astype(np.float64) * self.scale + self.location
            return np.expm1(numbers) if self.transform == "log1p" else numbers
        if array.size and not 0 <= array.min() <= array.max() < len(self.classes):
            raise ValueError(f"target {self.name!r}: codes must lie between 0 and {len(self.classes) - 1}.")
        return np.array(self.classes, dtype=object)[array]

    def to_dict(self) -> dict:
        """Everything in plain Python values, which JSON keeps exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Target":
        """Rebuild a target from `to_dict`.

        Raises
        ------
        ValueError
            If a key is missing, or if this version does not know one.
        """
        known = {entry.name for entry in fields(cls)}
        if set(values) != known:
            raise ValueError(
                f"the target's description lacks the keys {sorted(known - set(values))} and has the unknown "
                f"keys {sorted(set(values) - known)}. Update q2-aam, or train the model again."
            )
        return cls(**values)


def encode_target(study, transform: str, rows: np.ndarray | None = None) -> tuple[Target, np.ndarray]:
    """The target as it is learnt, by some samples (all by default), and all samples' encoded values ``[N]``."""
    if study.target is None:
        raise ValueError("The study has no target. Read it with the metadata column to predict.")
    values = study.target if rows is None else study.target.iloc[rows]
    numeric = study.kind == "numeric"
    target = Target.fit_numeric(values, transform) if numeric else Target.fit_categorical(values)
    return target, target.encode(study.target)


def _column_name(values: pd.Series) -> str:
    return "target" if values.name is None else str(values.name)


def _check_enough(values: pd.Series):
    if len(values) == 0:
        raise ValueError(f"column {_column_name(values)!r}: there are no samples to learn from.")
    if len(values) == 1:
        raise ValueError(
            f"column {_column_name(values)!r}: there is 1 sample to learn from ({values.index[0]}); two or more are "
            "needed."
        )


def _check_transform(transform: str):
    if transform not in TRANSFORMS:
        raise ValueError(f"transform is {transform!r}; it must be one of {', '.join(TRANSFORMS)}.")


def _refuse(bad: np.ndarray, name: str, values: pd.Series, what: str, remedy: str):
    if bad.any():
        raise ValueError(f"column {name!r}: {bad.sum()} samples {what}: {name_ids(values.index[bad])}. {remedy}")


def refuse_infinite(values: pd.Series, name: str | None = None) -> np.ndarray:
    """The column's values as float64 ``[B]``; stops, naming the samples, where they are not finite."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    name = _column_name(values) if name is None else name
    _refuse(~np.isfinite(numbers), name, values, "have no finite number", "Leave them out or mend their values.")
    return numbers


def _finite_numbers(name: str, transform: str, values: pd.Series) -> np.ndarray:
    """The column's values as float64 [B], after the logarithm where the transform has one."""
    numbers = refuse_infinite(values, name)
    _refuse(
        np.abs(numbers) > _LARGEST, name, values, "have numbers too large for float32", "Rescale the column."
    )
    if transform != "log1p":
        return numbers
    what = "have values of -1 or less, of which log(1 + x) is not defined"
    _refuse(numbers <= -1, name, values, what, "Use another target_transform, such as 'zscore'.")
    return np.log1p(numbers)


def _labels(name: str, values: pd.Series) -> np.ndarray:
    missing = values.isna().to_numpy()
    _refuse(missing, name, values, "have no class", "Leave them out or fill in their class.")
    return np.array([str(value) for value in values], dtype=object)
