"""Cross-validation: each sample is predicted once by what was learnt without it and without its group."""

import warnings
from dataclasses import dataclass, replace

import biom
import numpy as np
import pandas as pd

from q2_aam.encoder.device import use_threads
from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.foreign import cautions_to_learn
from q2_aam.evaluation.baselines import predict_by_baselines
from q2_aam.evaluation.fold_scores import OURS, FoldPredictions, merge_repeats, score_table
from q2_aam.predictor import Predictor
from q2_aam.settings import LARGEST_SEED, Architecture, CrossValidation, Fitting, Training
from q2_aam.study.covariates import learnt_covariates
from q2_aam.study.folds import grouped_folds
from q2_aam.study.near_copies import copies_in
from q2_aam.study.study import Study


@dataclass(frozen=True)
class CrossValidated:
    """Out-of-fold predictions of a study, and their scores beside the baselines'.

    Attributes
    ----------
    predictions : pd.Series
        By sample ID, in the target's own units or names of classes.
    certainty : pd.DataFrame
        By sample ID: intervals or probabilities.
    baselines : pd.DataFrame
        By sample ID, a column a baseline; empty where none was asked for.
    scores : pd.DataFrame
        Of each repeat, fold (missing: all folds together) and method.
    """

    predictions: pd.Series
    certainty: pd.DataFrame
    baselines: pd.DataFrame
    scores: pd.DataFrame


def cross_validate(
    study: Study,
    encoder: Encoder | None = None,
    settings: CrossValidation | None = None,
    fitting: Fitting | None = None,
    *,
    training: Training | None = None,
    architecture: Architecture | None = None,
    baselines: bool = True,
) -> CrossValidated:
    """Predict each sample of a study by what is learnt from the others.

    Parameters
    ----------
    study : Study
        Read with a target and, where nothing else keeps samples apart, with groups.
    encoder : Encoder, optional
        By default the ready one. With ``pretraining`` each_fold an encoder is pretrained on the training samples of
        each fold, for which the study needs a phylogeny; it begins with this one where one is given.
    settings : CrossValidation, optional
    fitting : Fitting, optional
        The same as :meth:`Predictor.fit` takes: what is cross-validated is what is fitted.
    training, architecture : optional
        Of pretraining.
    baselines : bool
        Whether the rivals predict the same samples, too.

    Returns
    -------
    CrossValidated

    Raises
    ------
    ValueError
        If the samples cannot be parted so, there is no phylogeny to pretrain by, or there are settings of pretraining
        where nothing is pretrained.

    Examples
    --------
    >>> from q2_aam.settings import Optimization
    >>> from q2_aam.simulation.study import simulate_study
    >>> study = simulate_study(n_samples=30, target="ph", groups="site", with_phylogeny=True)
    >>> small, short = Architecture(dim=16, lineages=16), Training(Optimization(epochs=1))
    >>> encoder = Encoder.pretrain(study, short, architecture=small)
    epoch 1/1  total_loss ...
    >>> done = cross_validate(study, encoder, CrossValidation(folds=2), baselines=False)
    >>> done.scores[["fold", "method"]].values.tolist()
    [[1.0, 'q2-aam'], [2.0, 'q2-aam'], [nan, 'q2-aam']]
    """
    settings, fitting = settings or CrossValidation(), fitting or Fitting()
    if study.target is None:
        raise ValueError("The study has no target. Read it with the metadata column to predict.")
    if settings.pretraining == "none":
        given = (training, architecture, settings.pretrain_epochs != CrossValidation.pretrain_epochs)
        if any(given):
            raise ValueError(
                "There are settings of pretraining, but nothing is pretrained. Leave them out, or set pretraining to "
                "'each_fold'."
            )
        encoder = encoder or Encoder.ready()
    training = training or Training()
    optimization = replace(training.optimization, epochs=settings.pretrain_epochs)
    training = replace(training, optimization=optimization)
    # Once, and of all samples: not in the midst of the folds. An encoder of these samples finds nothing odd in them.
    with use_threads(fitting):
        judge = encoder if settings.pretraining == "none" else None
        said = *cautions_to_learn(judge, study.communities, fitting.foreign), copies_in(study)[1]
    for caution in filter(None, said):
        warnings.warn(caution, stacklevel=2)
    fitting = replace(fitting, foreign="ignore")
    runs = []
    for repeat in range(1, settings.repeats + 1):
        seed = (fitting.random_seed + repeat - 1) % (LARGEST_SEED + 1)
        seeded = replace(training, runtime=replace(training.runtime, random_seed=seed))
        start = encoder
        if settings.pretraining == "transductive":
            start = Encoder.pretrain(study, seeded, architecture=architecture, encoder=encoder)
        for fold, (train_rows, test_rows) in enumerate(folds_of(study, settings, seed), 1):
            train, test = study.subset(train_rows), study.subset(test_rows)
            if settings.pretraining == "each_fold":
                start = Encoder.pretrain(train, seeded, architecture=architecture, encoder=encoder)
            predictor = Predictor.fit(start, train, replace(fitting, random_seed=seed))
            predicted = predictor.predict(test, fitting)
            methods = pd.DataFrame({OURS: predicted.values})
            if baselines:
                methods = methods.join(baselines_of(train, test, replace(fitting, random_seed=seed)))
            runs.append(FoldPredictions(repeat, fold, len(train), predicted.certainty, methods))
    return merged(study, runs)


def folds_of(study: Study, settings: CrossValidation, random_seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows to predict of each fold."""
    return grouped_folds(
        len(study),
        settings.folds,
        groups=study.groups,
        classes=None if study.kind == "numeric" else study.target,
        leave_one_group_out=settings.leave_one_group_out,
        random_seed=random_seed,
    )


def baselines_of(train: Study, test: Study, settings: Fitting) -> pd.DataFrame:
    """What the baselines say of the test samples."""
    covariates = None
    if train.covariates is not None:
        fitted = learnt_covariates(train)
        covariates = fitted.encode(train.covariates), fitted.encode(test.covariates)
    with use_threads(settings) as threads:
        return predict_by_baselines(
            as_table(train),
            train.target,
            as_table(test),
            kind=train.kind,
            phylogeny=train.phylogeny,
            groups=None if train.groups is None else train.groups.to_numpy(),
            covariates=covariates,
            n_jobs=threads,
            random_state=settings.random_seed,
        )


def as_table(study: Study) -> biom.Table:
    """The features of a study with a phylogeny; else its ASVs, by their hashes."""
    if study.table is not None:
        return study.table
    communities = study.communities
    ids = [str(number) for number in communities.hashes]
    return biom.Table(communities.counts.T.tocsr(), ids, communities.sample_ids)


def merged(study: Study, runs: list[FoldPredictions]) -> CrossValidated:
    """The folds together, and their scores."""
    scores = score_table(runs, study.target, study.kind, study.groups)
    certainty, methods = merge_repeats(runs, study.kind, study.communities.sample_ids)
    return CrossValidated(methods.pop(OURS).rename("prediction"), certainty, methods, scores)
