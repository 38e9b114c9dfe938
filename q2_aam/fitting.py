"""What `fit` does before tuning: the target's codes and the head's start."""

import numpy as np
import pandas as pd
import torch

from q2_aam.encoder.aam import AAM
from q2_aam.heads.linear import fit_probe
from q2_aam.prediction import encode_samples
from q2_aam.study.communities import Communities
from q2_aam.study.targets import Target


def encode_target(values: pd.Series, train_rows: np.ndarray, transform: str | None) -> tuple[Target, np.ndarray]:
    """Learn the target's transform (None: classes) on the training samples alone, and encode all samples.

    Returns
    -------
    target : Target
    encoded : np.ndarray
        ``[N]`` float32 or int64.
    """
    train_values = values.iloc[train_rows]
    if transform is None:
        target = Target.fit_categorical(train_values)
    else:
        target = Target.fit_numeric(train_values, transform)
    return target, target.encode(values)


def start_head(
    network: AAM,
    communities: Communities,
    encoded: np.ndarray,
    groups: np.ndarray | None,
    random_seed: int,
    condition: np.ndarray | None = None,
    **where,
) -> None:
    """Give the network's target head the probe's solution on the training samples, ``[N]`` and ``[N, C]``."""
    embedding = encode_samples(network, communities, **where).embedding.numpy()
    probe = fit_probe(embedding, encoded, groups, random_seed, condition)
    network.target_head.start_from(*(torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in probe))
