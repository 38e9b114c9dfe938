"""A study: all that is learnt from or predicted, read and checked once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike

import biom
import numpy as np
import pandas as pd

from q2_aam.settings import MISSING_COVARIATES, ON_MISSING, USUAL_METRIC, Architecture
from q2_aam.study.communities import Communities, read_communities, read_sequences
from q2_aam.study.metadata import (
    as_text,
    choose_columns,
    is_numeric,
    match_metadata,
    metadata_column,
    read_metadata,
    refuse_missing,
)
from q2_aam.study.odd_values import refuse_odd_columns
from q2_aam.study.phylogeny import Phylogeny, read_phylogeny, tip_names
from q2_aam.study.tables import check_choice, check_table, keep_samples, without_features
from q2_aam.study.targets import refuse_infinite
from q2_aam.study.unifrac import UniFracDistances, match_tips


@dataclass(frozen=True)
class Study:
    """Samples with all that is known of them, as `read_study` makes it. All its parts are in the same order.

    Attributes
    ----------
    communities : Communities
        ``N`` samples as sets of distinct ASVs.
    target : pd.Series or None
        ``[N]``, the column to predict by sample ID: float64 for numbers, object (str) for classes; without gaps.
    groups : pd.Series or None
        Object (str) ``[N]``, group of each sample by sample ID; without gaps.
    covariates : pd.DataFrame or None
        ``[N, columns]``, raw values by sample ID; NaN or None where one is missing.
    all_covariates : pd.DataFrame or None
        The same columns of all samples that there were metadata of, such as those that a subset leaves out.
    phylogeny : Phylogeny or None
        Rooted tree of the features.
    table : biom.Table or None
        Of a study with a phylogeny: the features that are tips and have a sequence.
    asv_of_feature : pd.Series or None
        int, number of the ASV that each feature is, by its ID; None of a study that was not read from a table.
    values : {'counts', 'shares', 'presence'}
        What the table holds. Of shares and presence, "reads" are counted in these units.
    missing_covariates : {'error', 'impute'}
        What missing values of covariates do, here and in a model that is fitted to these.
    record : dict
        What was left out and why, in plain numbers: ``samples_not_in_metadata``, ``samples_without_value``,
        ``reads_dropped``, ``features_cut`` and, for each column of the covariates, ``missing_covariates``.
    """

    communities: Communities
    target: pd.Series | None = None
    groups: pd.Series | None = None
    covariates: pd.DataFrame | None = None
    all_covariates: pd.DataFrame | None = None
    phylogeny: Phylogeny | None = None
    table: biom.Table | None = None
    asv_of_feature: pd.Series | None = None
    values: str = "counts"
    missing_covariates: str = ON_MISSING
    record: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.communities)

    @property
    def kind(self) -> str | None:
        """Kind of the target, 'numeric' or 'categorical'; None without one."""
        if self.target is None:
            return None
        return "numeric" if is_numeric(self.target) else "categorical"

    def depths(self) -> np.ndarray:
        """Reads of each sample that are in its ASVs, float64 ``[N]``: without those that were left out."""
        return np.asarray(self.communities.counts.sum(axis=1, dtype=np.float64)).ravel()

    def subset(self, rows: np.ndarray) -> "Study":
        """Take some samples, in the order of ``rows``; all ASVs and the record stay.

        Parameters
        ----------
        rows : np.ndarray
            int ``[M]``, row numbers.

        Returns
        -------
        Study
            The same with M samples.
        """
        rows = np.asarray(rows, dtype=np.int64)
        columns = {name: getattr(self, name) for name in ("target", "groups", "covariates")}
        return replace(
            self,
            communities=self.communities.subset(rows),
            table=None if self.table is None else keep_samples(self.table, rows),
            **{name: None if values is None else values.iloc[rows] for name, values in columns.items()},
        )

    def phylogeny_digest(self) -> str | None:
        """What the phylogeny is known again by; None where there is none."""
        return None if self.phylogeny is None else self.phylogeny.digest()

    def unifrac(self, metric: str = USUAL_METRIC, threads: int = 1, subcommunities: bool = False) -> UniFracDistances:
        """UniFrac distances among the samples, of the features that are read of them.

        Parameters
        ----------
        metric : {'unweighted', 'weighted_normalized', 'generalized'}
            Kind of UniFrac.
        threads : int
            Processor cores for a whole matrix.
        subcommunities : bool
            Whether distances of parts of samples will be needed.

        Raises
        ------
        ValueError
            If the study has no phylogeny, branches have no usable length, or the metric weighs features and the table
            holds presence alone.
        """
        if self.phylogeny is None:
            raise ValueError("UniFrac distances need a phylogeny, but the study has none. Give one to read_study.")
        if self.values == "presence" and metric != USUAL_METRIC:
            raise ValueError(
                f"metric is {metric!r}, which weighs features by their reads, but the feature table holds presence and "
                f"absence only (each value is 1). Give a table of counts, or set metric to {USUAL_METRIC!r}."
            )
        asv_of_feature = self.asv_of_feature if subcommunities else None
        return UniFracDistances(self.table, self.phylogeny, metric, threads, asv_of_feature=asv_of_feature)


def read_study(
    table: biom.Table | str | PathLike,
    sequences: dict[str, str] | str | PathLike | None = None,
    *,
    metadata: pd.DataFrame | str | PathLike | None = None,
    target: str | pd.Series | None = None,
    groups: str | pd.Series | None = None,
    covariates: Sequence[str] | pd.DataFrame | None = None,
    phylogeny: Phylogeny | str | PathLike | None = None,
    max_length: int = Architecture.max_length,
    missing_features: str = ON_MISSING,
    missing_samples: str = ON_MISSING,
    missing_covariates: str = ON_MISSING,
) -> Study:
    """Read a study, check all of it, and refuse by name what cannot be used. Samples and features go by their IDs.

    Parameters
    ----------
    table : biom.Table or path
        Features x samples (or a ``.biom`` file): counts of reads, relative frequencies or presence and absence.
    sequences : dict of str to str or path, optional
        Sequence of each feature ID (or a FASTA file). Feature IDs that are nucleotides are their own sequences.
    metadata : pd.DataFrame or path, optional
        Metadata by sample ID (or a QIIME 2 metadata file), for the columns that are given by name.
    target, groups : str or pd.Series, optional
        Column to predict and column of the groups: names in `metadata`, or values by sample ID.
    covariates : list of str or pd.DataFrame, optional
        Columns to be read beside the communities: names in `metadata`, or a frame by sample ID.
    phylogeny : Phylogeny or path, optional
        Rooted tree of the features (or a Newick file). Features that are no tip of it count as missing.
    max_length : int
        Nucleotides read of each sequence.
    missing_features, missing_samples : {'error', 'ignore'}
        What features without a sequence or tip, and samples that are not in the metadata, do: stop, or be left out
        with a count. Samples without a target or group are always left out with a count.
    missing_covariates : {'error', 'impute'}
        What missing values of covariates do: stop, or be counted, to be filled in by the model.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        If something cannot be used: the sentence names it and says what to do.

    Examples
    --------
    >>> import biom, numpy as np, pandas as pd
    >>> from q2_aam.study.study import read_study
    >>> asvs = ["ACGTACGTACGTACGTACGT", "ACGTACGTACGTACGTTTTT"]
    >>> table = biom.Table(np.array([[5, 0, 2], [1, 3, 0]]), asvs, ["s1", "s2", "s3"])
    >>> metadata = pd.DataFrame({"ph": [6.5, 7.0, 5.5]}, index=["s3", "s2", "s1"])
    >>> study = read_study(table, metadata=metadata, target="ph")
    >>> len(study), study.values, study.kind, study.depths().tolist()
    (3, 'counts', 'numeric', [6.0, 3.0, 2.0])
    >>> study.target.to_dict()
    {'s1': 5.5, 's2': 7.0, 's3': 6.5}
    """
    check_choice("missing_covariates", missing_covariates, MISSING_COVARIATES)
    target, groups, covariates = _columns(metadata, target, groups, covariates)
    table = table if isinstance(table, biom.Table) else _read_table(table)
    table, record = _known_samples(table, target, groups, covariates, missing_samples)
    values, reads = check_table(table), table.matrix_data.sum()
    if not (sequences is None or isinstance(sequences, dict)):
        sequences = read_sequences(sequences)
    if not (phylogeny is None or isinstance(phylogeny, Phylogeny)):
        phylogeny = read_phylogeny(phylogeny)
    if phylogeny is not None:
        table = match_tips(table, tip_names(phylogeny), missing_features)
    communities = read_communities(table, sequences, max_length=max_length, missing_features=missing_features)
    record["reads_dropped"] = float(reads - table.matrix_data.sum() + communities.reads_dropped.sum())
    record["features_cut"] = communities.n_cut
    ids, all_covariates = communities.sample_ids, covariates
    refuse_odd_columns(ids, target, groups, covariates)
    if covariates is not None:
        covariates = covariates.loc[ids]
        if missing_covariates == "error":
            for name in covariates:
                refuse_missing(covariates[name])
        record["missing_covariates"] = {str(name): int(count) for name, count in covariates.isna().sum().items()}
    return Study(
        # With IDs that are sequences, the features' names are as large as the sequences, and would go to every process.
        communities=replace(communities, asv_of_feature=pd.Series(dtype=np.int64)),
        target=None if target is None else _target_values(target.loc[ids]),
        groups=None if groups is None else as_text(groups.loc[ids]),
        covariates=covariates,
        all_covariates=all_covariates,
        phylogeny=phylogeny,
        # Distances are of what the model is shown.
        table=None if phylogeny is None else without_features(table, communities.left_out),
        asv_of_feature=communities.asv_of_feature,
        values=values,
        missing_covariates=missing_covariates,
        record=record,
    )


def _read_table(path: str | PathLike) -> biom.Table:
    try:
        table = biom.load_table(str(path))
        if 0 in table.shape:
            # Any text is read as a table without a single value.
            raise ValueError("there are no features or no samples in it")
        return table
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a BIOM table: {error}.") from error


def _columns(metadata, target, groups, covariates) -> tuple[pd.Series | None, pd.Series | None, pd.DataFrame | None]:
    """Target, groups and covariates by sample ID (str), wherever they come from."""
    if not (metadata is None or isinstance(metadata, pd.DataFrame)):
        metadata = read_metadata(metadata)
    target, groups = (
        metadata_column(metadata, column, parameter) for column, parameter in ((target, "target"), (groups, "groups"))
    )
    if covariates is None:
        return target, groups, None
    names = None
    if not isinstance(covariates, pd.DataFrame):
        if metadata is None:
            raise ValueError(f"covariates names columns ({', '.join(covariates)}), but there is no metadata. Give it.")
        names, covariates = list(covariates), metadata
    others = (None if column is None else column.name for column in (target, groups))
    frame = covariates[choose_columns(covariates.columns, names, *others)]
    return target, groups, frame.set_axis(frame.index.astype(str), axis=0)


def _known_samples(table, target, groups, covariates, missing_samples) -> tuple[biom.Table, dict]:
    """The samples that have a target, a group and a row of covariates, and how many have not."""
    record = {"samples_not_in_metadata": 0, "samples_without_value": 0}
    sources = [(column, "the metadata") for column in (target, groups) if column is not None]
    if covariates is not None:
        # A missing value of a covariate does not leave the sample out.
        sources.append((pd.Series(0, index=covariates.index), "the metadata of the covariates"))
    ids = table.ids()
    rows = np.arange(len(ids))
    for column, source in sources:
        known = match_metadata(ids[rows], column, missing_samples, source)
        absent = int((~pd.Index(ids[rows]).isin(column.index)).sum())
        record["samples_not_in_metadata"] += absent
        record["samples_without_value"] += len(rows) - len(known) - absent
        rows = rows[known]
    return keep_samples(table, rows), record


def _target_values(values: pd.Series) -> pd.Series:
    """float64 for numbers, which must be finite; object (str) for classes."""
    if not is_numeric(values):
        return as_text(values)
    refuse_infinite(values)
    return values.astype(np.float64)
