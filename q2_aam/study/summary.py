"""What a study holds, in what a model keeps of it: hashes of its ASVs, and its sizes."""

import numpy as np

from q2_aam.study.joined import JoinedStudies
from q2_aam.study.study import Study
from q2_aam.study.trims import lengths_of


def asvs_of(study: Study | JoinedStudies, rows: np.ndarray) -> np.ndarray:
    """Hashes of the ASVs that some samples hold, int64 ``[V]``, sorted."""
    communities = study.communities
    return np.unique(communities.hashes[communities.subset(rows).present_asvs()])


def data_summary(study: Study | JoinedStudies, train_rows: np.ndarray, validation_rows: np.ndarray) -> dict:
    """Sizes of what is learnt from, and of what was left out of it, for ``model.json``."""
    communities, depths = study.communities, study.depths()[train_rows]
    # Several studies together have none.
    groups = getattr(study, "groups", None)
    return {
        "samples": len(study),
        "training_samples": len(train_rows),
        "validation_samples": len(validation_rows),
        "features": communities.n_features,
        "asvs": len(communities.tokens),
        "reads": float(communities.counts.sum(dtype=np.float64)),
        "values": study.values,
        "lengths": lengths_of(communities.subset(train_rows)).to_dict(),
        "depth": {
            "lowest": float(depths.min()),
            "median": float(np.median(depths)),
            "highest": float(depths.max()),
        },
        "groups": None if groups is None else int(groups.nunique()),
        **study.record,
    }
