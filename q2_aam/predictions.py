"""Predictions of new samples: values, how certain they are, and how new the samples are to the predictor."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from q2_aam.evaluation.calibration import apply_interval, class_probabilities, fit_temperature, residual_interval
from q2_aam.evaluation.metrics import classification_scores, regression_scores
from q2_aam.evaluation.scores import names_of
from q2_aam.study.communities import Communities
from q2_aam.study.folds import never_tested
from q2_aam.study.study import Study
from q2_aam.study.tables import name_ids
from q2_aam.study.targets import Target

# Depths beyond this multiple of the range that was learnt from are far outside.
FAR_DEPTH = 2.0
# Of a sample's reads in new ASVs: beyond, most of it is new.
MUCH_NOVELTY = 0.5


@dataclass(frozen=True)
class Calibration:
    """How certain predictions are, learnt from out-of-fold predictions.

    Attributes
    ----------
    intervals : dict or None
        Half width of the 90% interval in the transform's units; None for classes. In these units, because a target
        that was logged is off by a factor rather than by an amount; the inverse keeps order, so that the interval holds
        as often in the target's own units.
    temperature : float or None
        What outputs for equally frequent classes are divided by before the classes' shares of the samples learnt from
        make them probabilities; None for numbers.
    decision : str or None
        Which class is named: of :data:`q2_aam.settings.DECISIONS`; None for numbers.
    """

    intervals: dict | None = None
    temperature: float | None = None
    decision: str | None = None

    @classmethod
    def fit(
        cls, target: Target, encoded: np.ndarray, outputs: np.ndarray, decision: str, groups: np.ndarray | None = None
    ) -> "Calibration":
        """Learn it from samples that were not learnt from: encoded targets ``[N]``, outputs ``[N, O]``, groups."""
        if target.kind == "numeric":
            return cls(intervals=residual_interval(encoded, outputs[:, 0], groups=groups))
        return cls(temperature=fit_temperature(outputs, encoded, target.class_shares), decision=decision)

    def apply(self, target: Target, sample_ids: np.ndarray, outputs: np.ndarray) -> pd.DataFrame:
        """Intervals (``lower``, ``upper``, own units) or probabilities (a column a class) by sample ID."""
        index = pd.Index(sample_ids, name="SampleID")
        if target.kind == "numeric":
            lower, upper = (target.decode(end) for end in apply_interval(outputs[:, 0], self.intervals))
            return pd.DataFrame({"lower": lower, "upper": upper}, index=index)
        probabilities = class_probabilities(outputs, target.class_shares, self.temperature)
        return pd.DataFrame(probabilities, index=index, columns=target.classes)

    def decide(self, target: Target, outputs: np.ndarray) -> np.ndarray:
        """Predicted numbers, or names of classes, of a head's outputs ``[N, O]``.

        `balanced` names the class that speaks for itself most if classes count alike, which is what balanced accuracy
        asks for; `likeliest` that of the highest probability, which accuracy asks for.
        """
        if target.kind == "numeric":
            return target.decode(outputs[:, 0])
        if self.decision == "likeliest":
            outputs = class_probabilities(outputs, target.class_shares, self.temperature)
        return target.decode(outputs.argmax(1))

    def caution(self) -> str | None:
        """What too few samples or groups mean for the intervals; None where there are enough."""
        if self.intervals is None or self.intervals["enough"]:
            return None
        groups = self.intervals["groups"]
        few, number = ("samples", self.intervals["residuals"]) if groups is None else ("groups", groups)
        return (
            f"The {few} are too few ({number}) for intervals of {self.intervals['coverage']:.0%}: these are as wide as "
            f"the largest error instead. Add {few}."
        )


@dataclass(frozen=True)
class Predictions:
    """Predictions of a study's samples.

    Attributes
    ----------
    values : pd.Series
        By sample ID, in the target's own units or names of classes.
    certainty : pd.DataFrame
        By sample ID: ``lower`` and ``upper`` of a 90% interval, or the probability of each class.
    novelty : pd.DataFrame or None
        By sample ID: how much of each sample the predictor has never met; None for out-of-fold predictions.
    cautions : list of str
        What should be known before they are believed.
    """

    values: pd.Series
    certainty: pd.DataFrame
    novelty: pd.DataFrame | None = None
    cautions: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: Target, calibration: Calibration, sample_ids: np.ndarray, outputs: np.ndarray, **further):
        """From a head's outputs ``[N, O]``."""
        index = pd.Index(sample_ids, name="SampleID")
        values = pd.Series(calibration.decide(target, outputs), index=index, name="prediction")
        return cls(values, calibration.apply(target, sample_ids, outputs), **further)


def novelty_of(communities: Communities, new: np.ndarray) -> pd.DataFrame:
    """A sample a row: how much of it is new (ASVs, boolean ``[V]``), and how much was not read as it is."""
    presence = communities.counts.copy()
    presence.data = np.ones_like(presence.data)
    reads = np.asarray(communities.counts.sum(1, dtype=np.float64)).ravel()
    return pd.DataFrame(
        {
            "asvs": np.diff(communities.counts.indptr).astype(float),
            "reads": reads + communities.reads_dropped,
            "unseen_asvs": presence @ new.astype(np.float64),
            "unseen_read_share": communities.counts.astype(np.float64) @ new / reads,
            "reads_cut": communities.reads_cut,
            "reads_dropped": communities.reads_dropped,
            "reads_ambiguous": communities.reads_ambiguous,
        },
        index=pd.Index(communities.sample_ids, name="SampleID"),
    )


def novelty_caution(novelty: pd.DataFrame) -> str | None:
    """What it means when most of most samples is new; None where it is not."""
    new = novelty["unseen_read_share"] > MUCH_NOVELTY
    if 2 * new.sum() <= len(new):
        return None
    return (
        f"{new.sum()} of {len(new)} samples have most of their reads in ASVs that were never met in training. If the "
        "table is of another region of the gene or trimmed to another length than the training table, its predictions "
        "mean nothing."
    )


def unpredicted_caution(study: Study, rows: np.ndarray) -> str | None:
    """Which samples (rows) have no out-of-fold prediction, and why; None where there are none."""
    if not len(rows):
        return None
    ids, groups = name_ids(study.communities.sample_ids[rows]), study.groups
    alone = never_tested(study.target, groups)
    units = pd.Series(study.target.index, study.target.index) if groups is None else groups
    each = units.groupby(study.target).nunique()
    classes = name_ids(sorted(each.index[each == 1]))
    if not alone[rows].all():
        why = "Inner folds that leave every class to learn from could not be made for them"
    elif groups is None:
        why = f"Each is the only one of its class ({classes}), which could not be learnt without it"
    else:
        why = f"Their groups ({groups.name}) hold all of a class ({classes}), which could not be learnt without them"
    return (
        f"{len(rows)} of {len(study)} samples have no out-of-fold prediction: {ids}. {why}: how well it is predicted "
        "is not known, and scores leave it out."
    )


def prediction_scores(target: Target, truth: pd.Series, predicted: pd.Series) -> dict[str, float]:
    """Scores of predicted values, by name; one that the samples do not define is left out.

    Means over classes are not defined where a class of the target has no sample: those of the others are no measure.
    """
    scores = (regression_scores if target.kind == "numeric" else classification_scores)(truth, predicted)
    names = names_of(target.kind, "predictions", "folds")
    if set(target.classes) - set(truth):
        names = [name for name in names if name == "accuracy"]
    return {name: scores[name] for name in names if scores[name] is not None}


def depth_caution(study: Study, data: dict) -> str | None:
    """Which samples lie far outside the depths that were learnt from; None where none does, or these are unknown.

    Parameters
    ----------
    study : Study
        New samples.
    data : dict
        Of the model's description: ``depth`` (``lowest``, ``highest``) and ``values``.
    """
    depth = data.get("depth")
    if depth is None or not study.values == data.get("values") == "counts":
        return None
    depths = study.depths()
    far = (depths < depth["lowest"] / FAR_DEPTH) | (depths > depth["highest"] * FAR_DEPTH)
    if not far.any():
        return None
    return (
        f"{far.sum()} of {len(far)} samples have far fewer or far more reads ({depths[far].min():.0f} to "
        f"{depths[far].max():.0f}) than those that were learnt from ({depth['lowest']:.0f} to "
        f"{depth['highest']:.0f}): {name_ids(study.communities.sample_ids[far])}. With other depths, other rare ASVs "
        "are met: rarefy both tables alike (`qiime feature-table rarefy`), or doubt these predictions."
    )


def refuse_other_values(study: Study, data: dict) -> None:
    """Stop when a table holds presences and the model has learnt from abundances, or the other way round.

    Raises
    ------
    ValueError
    """
    values = data.get("values", "counts")
    if (study.values == "presence") != (values == "presence"):
        names = {"counts": "counts of reads", "shares": "relative frequencies", "presence": "presence and absence"}
        raise ValueError(
            f"The table holds {names[study.values]}, but the model has learnt from {names[values]}. Give a table of "
            "the same kind, or fit a model to such a table."
        )
