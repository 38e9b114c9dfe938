"""Actions called in a notebook leave the process as they found it, also where they end with an error."""

import logging
import os
import random
import signal
import sys
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info

from q2_aam import fine_tuning, predictor
from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.encoder import pretraining
from q2_aam.evaluation import baselines
from q2_aam.evaluation.baselines import Baseline

from .small import run_fine_tune, run_fit, run_predict, run_pretrain

# Loaded before, so that what they set on being imported is not counted.
LOADED = (fine_tuning, predictor, pretraining, baselines)


def host_state() -> dict:
    """What belongs to the process, and not to an action."""
    algorithm, *numpy_state = np.random.get_state()  # noqa: NPY002
    return {
        "environment": dict(os.environ),
        "torch seed": torch.get_rng_state().numpy().tobytes(),
        "NumPy seed": (algorithm, *(np.asarray(part).tobytes() for part in numpy_state)),
        "Python seed": random.getstate(),
        "warnings": (warnings.formatwarning, warnings.showwarning, list(warnings.filters)),
        "threads": (torch.get_num_threads(), sorted((p["filepath"], p["num_threads"]) for p in threadpool_info())),
        "torch": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            [(torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in ("cpu", "cuda")],
            torch.is_autocast_cache_enabled(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
        ),
        "NumPy errors": np.geterr(),
        "pandas": (pd.get_option("mode.chained_assignment"), pd.get_option("mode.use_inf_as_na")),
        "matplotlib": (matplotlib.get_backend(), dict(matplotlib.rcParams)),
        "logging": {
            name: (logger.level, logger.propagate, list(logger.handlers))
            for name in ("", "lightning.pytorch", "lightning.fabric", "torch.distributed.elastic")
            for logger in [logging.getLogger(name)]
        },
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "recursion": sys.getrecursionlimit(),
        "folder": os.getcwd(),
    }


def run_baselines(study, **changes):
    ids = study.table.ids()
    parts = {"train_table": study.samples(ids[:36]), "table": study.samples(ids[36:])}
    return predict_baselines(**parts, metadata=study.column("habitat"), phylogeny=study.phylogeny, **changes)


@pytest.fixture
def runs(study, encoder, regressor):
    """Each action that computes, at tiny sizes."""
    return {
        "pretrain": lambda: run_pretrain(study, epochs=1, threads=2, precision="auto"),
        "fine_tune": lambda: run_fine_tune(study, "habitat", encoder, epochs=1, threads=2, precision="auto"),
        "fit": lambda: run_fit(study, "habitat", encoder, threads=2),
        "predict": lambda: run_predict(study, regressor[0], threads=2),
        "predict_baselines": lambda: run_baselines(study, threads=2),
    }


NAMES = ("pretrain", "fine_tune", "fit", "predict", "predict_baselines")
# Where each action is in the midst of its work, with all that it has set.
MIDST = {
    "pretrain": ("q2_aam.encoder.training.callbacks.History.add", None),
    "fine_tune": ("q2_aam.encoder.training.callbacks.History.add", None),
    "fit": ("q2_aam.heads.trees.Trees.grow", None),
    "predict": ("q2_aam.heads.trees.Trees.means", None),
    "predict_baselines": (baselines.BASELINES, "SVM Jaccard"),
}


class Midst(Exception):
    """Ends an action in the midst."""


def fails(*_arguments, **_settings):
    raise Midst


@pytest.mark.parametrize("name", NAMES)
def test_an_action_leaves_the_process_as_it_was(runs, name):
    # What libraries set when they are used for the first time is theirs.
    runs[name]()
    torch.manual_seed(1)
    np.random.seed(2)  # noqa: NPY002
    random.seed(3)
    before = host_state()
    runs[name]()
    after = host_state()
    assert [part for part in before if before[part] != after[part]] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_action_that_fails_leaves_the_process_as_it_was(runs, name, monkeypatch):
    place, item = MIDST[name]
    before = host_state()
    with monkeypatch.context() as patch:
        if item is None:
            patch.setattr(place, fails)
        else:
            patch.setitem(place, item, Baseline(item, item, fails))
        with pytest.raises(Midst):
            runs[name]()
    after = host_state()
    assert [part for part in before if before[part] != after[part]] == []
