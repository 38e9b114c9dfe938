"""A simulated survey as a study, for the examples of the library and its tests."""

import tempfile
from pathlib import Path

from q2_aam.simulation.survey import RANDOM_SEED, simulate_survey
from q2_aam.study.study import Study, read_study


def simulate_study(
    n_samples: int = 60,
    n_asvs: int = 120,
    length: int = 60,
    random_seed: int = RANDOM_SEED,
    *,
    target: str | None = None,
    groups: str | None = None,
    covariates: list | None = None,
    with_phylogeny: bool = False,
) -> Study:
    """Simulate a survey and read it.

    Parameters
    ----------
    n_samples, n_asvs, length, random_seed
        As :func:`simulate_survey` takes them.
    target, groups : str, optional
        Names of columns: ``ph`` (numeric), ``habitat`` (classes), ``site`` (groups).
    covariates : list of str, optional
    with_phylogeny : bool

    Returns
    -------
    Study

    Examples
    --------
    >>> study = simulate_study(n_samples=12, target="ph")
    >>> len(study), study.kind
    (12, 'numeric')
    """
    survey = simulate_survey(n_samples, n_asvs, length, random_seed)
    with tempfile.TemporaryDirectory() as directory:
        phylogeny = Path(directory) / "tree.nwk"
        survey.tree.write(str(phylogeny), format="newick")
        return read_study(
            survey.table,
            survey.sequences,
            metadata=survey.metadata,
            target=target,
            groups=groups,
            covariates=covariates,
            phylogeny=phylogeny if with_phylogeny else None,
        )
