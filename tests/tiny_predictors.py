"""An encoder, studies and predictors of all heads, small enough to fit in a moment; each is made once."""

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pytest

from q2_aam.encoder.encoder import Encoder
from q2_aam.heads import ensemble, trees
from q2_aam.predictor import Predictor
from q2_aam.settings import Architecture, Fitting, Optimization, Training
from q2_aam.simulation.study import simulate_study

HEADS = ("ensemble", "kernel", "trees", "linear")
COLUMN = {"numeric": "ph", "categorical": "habitat"}
EACH = [(head, kind) for head in HEADS for kind in COLUMN]
SAMPLES = 30


@contextmanager
def few_trees():
    """Few trees of all kinds, and weight for each part of the ensemble, whatever the inner folds say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "TREES", 8)
        patch.setattr(ensemble, "ABUNDANCE_TREES", 6)
        for module in (trees, ensemble):
            patch.setattr(module, "INNER_SHARE", 1.0)
        patch.setattr(ensemble, "ensemble_weights", lambda *_: (0.4, 0.3, 0.3))
        yield


@cache
def encoder(lineages=12):
    """An encoder after one epoch."""
    sizes = Architecture(dim=16, heads=2, lineages=lineages)
    study = simulate_study(SAMPLES, with_phylogeny=True)
    made = Encoder.pretrain(study, Training(Optimization(epochs=1)), architecture=sizes)
    # Its checksum is known from then on: whichever test writes it first, models that hold it say the same.
    with tempfile.TemporaryDirectory() as directory:
        made.save(directory)
    return made


@cache
def study(kind, groups=None, covariates=False):
    """A study with a target of a kind; covariates are the other two columns."""
    others = [name for name in ("ph", "habitat") if name != COLUMN[kind]] if covariates else None
    return simulate_study(SAMPLES, target=COLUMN[kind], groups=groups, covariates=others)


@cache
def new_samples():
    """Other samples of the same kind, some ASVs of which no sample of the studies holds."""
    return simulate_study(12, random_seed=3)


@cache
def predictor(head, kind, covariates=False):
    """A head fitted to the study of a kind, without groups."""
    with few_trees():
        return Predictor.fit(encoder(), study(kind, covariates=covariates), Fitting(head=head, threads=1))


def bare(study):
    """The same samples without a target, as predict reads them."""
    return replace(study, target=None)
