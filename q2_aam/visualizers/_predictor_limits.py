"""What a fitted model cannot do, and what of its samples its file holds."""

import numpy as np
import pandas as pd

from q2_aam.study.trims import Lengths
from q2_aam.untrusted import is_finite, is_integer

from ._model_facts import HASHES, VALUES
from ._page import number

# Samples that are written out, to be looked at for cautions.
MOST_SAMPLES = 10**6


def class_sizes(predictor) -> np.ndarray | None:
    """Samples of each class, int ``[K]``; None where the file does not tell them."""
    samples = predictor.description.data.get("training_samples")
    if predictor.target.kind == "numeric" or not _can_be_written(samples):
        return None
    exact = samples * predictor.target.class_shares
    sizes = np.rint(exact).astype(int)
    return sizes if np.allclose(exact, sizes, rtol=0, atol=1e-3) and sizes.sum() == samples else None


def _can_be_written(samples) -> bool:
    return is_integer(samples) and 0 < samples <= MOST_SAMPLES


def model_cautions(predictor) -> list[str]:
    """What its samples cannot tell, as far as the file says how many there are."""
    from q2_aam.study.cautions import cautions

    target, sizes = predictor.target, class_sizes(predictor)
    samples = predictor.description.data.get("training_samples")
    truth = pd.Series(dtype=object)
    if sizes is not None:
        truth = pd.Series(np.repeat(np.array(target.classes, dtype=object), sizes))
    elif target.kind == "numeric" and _can_be_written(samples):
        # Their values are not in the file. Such as are no whole numbers are judged by how many they are alone.
        truth = pd.Series(np.full(samples, 0.5))
    found = cautions(truth.rename(target.name))
    if {"enough", "groups", "residuals"} <= (predictor.calibration.intervals or {}).keys():
        found.append(predictor.calibration.caution())
    if predictor.covariates is not None:
        found += predictor.covariates.cautions()
    return [sentence for sentence in found if sentence]


def spread_facts(target) -> dict:
    """What the file holds of a numeric column's values, by name."""
    if target.transform == "zscore":
        return {"Mean": target.location, "Standard deviation": target.scale}
    if target.transform == "minmax":
        return {"Lowest value": target.location, "Highest value": target.location + target.scale}
    if target.transform == "log1p":
        return {"Mean of log(1 + value)": target.location, "Standard deviation of that": target.scale}
    return {}


def limits_section(page, predictor) -> None:
    """What the model should not be used for."""
    from ..predictions import FAR_DEPTH

    data, target = predictor.description.data, predictor.target
    lengths, depth = Lengths.from_dict(data.get("lengths")), data.get("depth")
    length = "those that it learnt from" if lengths is None else f"{lengths} nucleotides"
    points = [
        f"Samples of another gene or another region of it, or trimmed to another length than {length}; "
        "harmonize-regions makes tables alike before a model is fitted."
    ]
    if isinstance(data.get("values"), str) and data["values"] in VALUES:
        kinds = "presence and absence" if data["values"] == "presence" else "counts of reads or relative frequencies"
        points.append(f"Tables that do not hold {kinds}.")
    known = isinstance(depth, dict) and all(is_finite(depth.get(name)) for name in ("lowest", "highest"))
    if known and data.get("values") == "counts":
        low, high = depth["lowest"] / FAR_DEPTH, depth["highest"] * FAR_DEPTH
        points.append(f"Samples of fewer than {number(round(low))} or more than {number(round(high))} reads.")
    if predictor.covariates is not None:
        points.append("Samples whose covariates are not known, or were measured otherwise.")
    if target.kind == "categorical":
        points.append(f"Samples of other classes: one of its {len(target.classes)} classes is named of every sample.")
    else:
        points.append("Samples whose true value is far from those that it learnt from: it has never seen such.")
    points += [
        "Samples of places, hosts, kits or laboratories of another kind: its scores say nothing of these.",
        "As a sign of cause: that a column can be predicted from ASVs does not say that these bring it about.",
        "Decisions about patients: nothing here was tested for them.",
    ]
    page.section("What it should not be used for", points=points)


def held_section(page, predictor) -> None:
    """What of the training samples whoever has the file has, too."""
    head, target, covariates = predictor.head, predictor.target, predictor.covariates
    rows = []
    if head.landmarks is not None:
        beside = "" if head.landmarks.covariates is None else ", and its covariates"
        rows.append((
            "Landmarks: single samples that it learnt from", len(head.landmarks),
            "Of each: which ASVs (as hashes) have which share of its reads, how much it holds of each lineage of the "
            f"encoder{beside}. Whoever has a profile of the same person or place may find it among them.",
        ))  # fmt: skip
    n_trees = sum(len(part.trees.roots) for part in _trees(head))
    if n_trees:
        values = "Their leaves hold values of the column, many of them those of one to a few samples."
        rows.append(("Decision trees", n_trees, values))
    if not rows:
        rows.append(("Single samples", 0, "The head holds weights alone, learnt from all samples together."))
    spread = f"How many samples each of its {len(target.classes)} classes has."
    if target.kind == "numeric":
        spread = f"Its {' and '.join(spread_facts(target)).lower() or 'name alone'}."
    rows.append(("Hashes of the ASVs that it learnt from", len(predictor.seen_asvs),
                 f"Of all samples together, not which sample held them. {HASHES}"))  # fmt: skip
    rows.append(("Hashes of the ASVs that the encoder has read", len(predictor.encoder.seen_asvs),
                 "In pretraining, of all its samples together."))  # fmt: skip
    rows.append((f"The column '{target.name}'", 1, spread))
    if covariates is not None:
        rows.append(("Covariates", len(covariates.columns), "Mean, spread and range, or the categories, of each."))
    if predictor.beginning is not None:
        places = len(predictor.beginning.shares)
        rows.append(("First places of the sequences", places, "How frequent each nucleotide is."))
    if predictor.neighbours is not None:
        rows.append(("Distances of landmarks to the nearest others", len(predictor.neighbours.distances),
                     "Numbers alone, not of which sample."))  # fmt: skip
    rows.append(("Sample IDs, sequences", 0, "Not in the file. The artifact's provenance names files and columns."))
    page.section(
        "What of its samples the file holds",
        "Mind this before you publish a model of confidential samples. With the head 'linear' a model holds no single "
        "sample.",
    )
    frame = pd.DataFrame(rows, columns=["what", "number", "meaning"])
    page.table("held", frame, {"what": "What", "number": "How many", "meaning": "What that means"})


def _trees(head) -> list:
    """Parts of a head that have trees."""
    parts = [head, *(getattr(head, name, None) for name in ("embedding_trees", "abundance_trees"))]
    return [part for part in parts if hasattr(part, "trees")]
