"""Covariates: metadata columns that are read beside the community, as numbers for the head.

They are given to `fit` and again to `predict`, and are never predicted themselves.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from q2_aam.settings import MISSING_COVARIATES, ON_MISSING
from q2_aam.study.covariate import Covariate
from q2_aam.study.tables import check_choice, name_ids


@dataclass(frozen=True)
class Covariates:
    """All covariates of a model; their numbers stand beside the sample embedding in the head."""

    columns: list[Covariate]
    """In the order in which the head is given them."""

    @property
    def names(self) -> list[str]:
        """Names of the metadata columns."""
        return [column.name for column in self.columns]

    @property
    def width(self) -> int:
        """Numbers ``M`` that the head is given of a sample."""
        return sum(column.width for column in self.columns)

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, missing_covariates: str = ON_MISSING, everywhere: pd.DataFrame | None = None
    ) -> "Covariates":
        """Learn how each column becomes numbers.

        Parameters
        ----------
        frame : pd.DataFrame
            A training sample a row, by sample ID; columns of numbers are standardised, all others are categories.
        missing_covariates : {'error', 'impute'}
            What missing values do, here and in new samples: stop, or be read as the median of the training samples or
            as a category of their own.

        Returns
        -------
        Covariates

        Raises
        ------
        ValueError
            If there is no column or no sample, if a value is not finite, or missing without being imputed, or if all
            values of a column are the same or missing.
        """
        check_choice("missing_covariates", missing_covariates, MISSING_COVARIATES)
        if 0 in frame.shape:
            raise ValueError(
                f"Covariates need columns and samples, but there are {frame.shape[1]} columns of {len(frame)} samples."
            )
        others = dict.fromkeys(frame.columns) if everywhere is None else everywhere
        return cls([Covariate.fit(frame[name], missing_covariates, others[name]) for name in frame.columns])

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Turn samples' values into what the head is given.

        Parameters
        ----------
        frame : pd.DataFrame
            A sample a row, indexed by sample ID; further columns are not read.

        Returns
        -------
        np.ndarray
            float32 ``[N, M]``: numbers in standard deviations from the training samples' mean, categories as 1 or 0.

        Raises
        ------
        ValueError
            If a column is not there, a value is missing and the model does not impute, text stands in place of
            numbers, or a category is none of the training samples'.
        """
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise ValueError(
                f"The model needs the covariates {name_ids(absent)}, which the metadata of the covariates lacks; there "
                f"are {name_ids(list(frame.columns))}. Add them, under these names."
            )
        return np.concatenate([column.encode(frame[column.name]) for column in self.columns], axis=1)

    def extrapolations(self, frame: pd.DataFrame) -> list[str]:
        """A sentence for each column with values of which the training samples say little or nothing."""
        return [sentence for column in self.columns for sentence in column.extrapolations(frame[column.name])]

    def cautions(self) -> list[str]:
        """A sentence for each column that nothing was learnt of."""
        return [sentence for column in self.columns if (sentence := column.caution()) is not None]

    def describe(self) -> str:
        """The columns as a line to read."""
        return "; ".join(column.describe() for column in self.columns)

    def to_dict(self) -> dict:
        """Everything in plain Python values, which JSON keeps exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict | None) -> "Covariates | None":
        """Rebuild from `to_dict`; None where a model has none. A missing or unknown key is a ValueError."""
        if values is None:
            return None
        known = {entry.name for entry in fields(Covariate)}
        for column in values["columns"]:
            # Models of before lack the last one.
            if set(column) | {"unlearnt"} != known:
                raise ValueError(
                    f"The description of a covariate lacks the keys {sorted(known - set(column))} and has "
                    f"the unknown keys {sorted(set(column) - known)}. Update q2-aam, or fit the model again."
                )
        return cls([Covariate(**column) for column in values["columns"]])


def learnt_covariates(study) -> Covariates | None:
    """What a study's samples tell of its covariates; None where it has none."""
    if study.covariates is None:
        return None
    return Covariates.fit(study.covariates, study.missing_covariates, study.all_covariates)


def covariates_of(study, covariates: Covariates | None) -> np.ndarray | None:
    """A study's covariates as numbers, float32 ``[N, C]``; None where none are read."""
    if covariates is None:
        if study.covariates is not None:
            raise ValueError(
                "The model was fitted without covariates: those that are given would not be read. Leave them out, or "
                "fit a model with them."
            )
        return None
    if study.covariates is None:
        raise ValueError(
            f"The model was fitted with the covariates {', '.join(covariates.names)}, and needs them of the new "
            "samples, too. Give metadata that has these columns."
        )
    return covariates.encode(study.covariates)
