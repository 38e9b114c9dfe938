"""`maturity`: how far predictions are from what is expected of controls at that true value."""

import json

import numpy as np
import pandas as pd
from q2_sample_classifier._format import PredictionsDirectoryFormat

from q2_aam.actions._reporting import say
from q2_aam.framework import qiime2
from q2_aam.provenance import LEARNT, NEW, OUT_OF_FOLD, UNKNOWN, folds_of_samples, origin_of
from q2_aam.settings import Reading
from q2_aam.study.tables import name_ids
from q2_aam.types import AAMMaturityDirectoryFormat


def maturity(
    predictions: PredictionsDirectoryFormat,
    metadata: qiime2.NumericMetadataColumn,
    cohorts: qiime2.CategoricalMetadataColumn,
    control: str,
    further_predictions: PredictionsDirectoryFormat = None,
    groups: qiime2.CategoricalMetadataColumn = None,
    missing_samples: str = Reading.missing_samples,
) -> AAMMaturityDirectoryFormat:
    """Compare predictions with controls; the parameters are described where they are registered."""
    from q2_aam.evaluation.maturity import measure_maturity
    from q2_aam.types._maturity import without_nan

    parts = [part for part in (predictions, further_predictions) if part is not None]
    origins = [origin_of(part.path) for part in parts]
    if LEARNT in origins:
        raise ValueError(
            "These predictions are of the table that the model was fitted to: samples that were learnt from are "
            "predicted too near to their true values, and delays are hidden. Give the predictions that fit wrote "
            "(out-of-fold), or those of cross-validate."
        )
    first, texts = joined(parts)
    predicted = numbers_of(texts)
    samples, notes = matched(predicted, metadata.to_series(), cohorts.to_series(), groups, missing_samples)
    refuse_no_control(samples["cohort"], cohorts.name, control)
    notes += subject_notes(samples, control, groups)
    if groups is not None and folds_of_samples(predictions.path):
        notes.append(
            "The model was fitted without groups: when a sample was predicted, other samples of its subject had been "
            "learnt from. Predictions are too near to true values, and delays are hidden. Fit with groups."
        )
    notes += range_notes(samples.loc[samples["cohort"] == control, "true"].to_numpy(), control)
    found = measure_maturity(samples, control)
    for line in [*notes, *describe(found, metadata.name, control)]:
        say(line)
    result = AAMMaturityDirectoryFormat()
    result.maturity.write_data(found.samples, pd.DataFrame)
    description = {
        "schema_version": 1,
        "target": metadata.name,
        "cohorts": cohorts.name,
        "control": control,
        "subjects": None if groups is None else groups.name,
        "near": found.near,
        "spread_by_age": found.spread_by_age,
        "origin": origin_of_both(origins, set(samples["cohort"].reindex(first).dropna()), control),
        "curve": without_nan(found.curve.to_dict("records")),
        "compared": without_nan(found.cohorts.to_dict("records")),
        "ranges": without_nan(found.ranges.to_dict("records")),
        "notes": notes,
    }
    (result.path / "maturity.json").write_text(json.dumps(description, indent=1, ensure_ascii=False), "utf-8")
    return result


def joined(parts: list) -> tuple[pd.Index, pd.Series]:
    """Samples of the first artifact, and predictions of all, as text; or a refusal of samples that are in both."""
    from q2_aam.study.predictions_file import read_predictions

    texts = [read_predictions(part.path / "predictions.tsv") for part in parts]
    twice = texts[0].index.intersection(texts[-1].index, sort=False) if len(texts) > 1 else []
    if len(twice):
        raise ValueError(
            f"{len(twice)} samples are in predictions and in further_predictions: {name_ids(twice)}. Samples that were "
            "learnt from have out-of-fold predictions: leave them out of the table that predict is given."
        )
    return texts[0].index, pd.concat(texts)


def origin_of_both(origins: list[str], learnt: set, control: str) -> str:
    """Where predictions come from, and of which cohorts those are that are out-of-fold; 'controls': of these alone."""
    if UNKNOWN in origins:
        return UNKNOWN
    if origins == [OUT_OF_FOLD, NEW] and learnt == {control}:
        return "controls"
    return OUT_OF_FOLD if OUT_OF_FOLD in origins else NEW


def numbers_of(texts: pd.Series) -> pd.Series:
    """Predictions as numbers, or a refusal that names what is none."""
    values = pd.to_numeric(texts, errors="coerce").astype(float)
    bad = texts.index[~np.isfinite(values)]
    if len(bad):
        raise ValueError(
            f"{len(bad)} of {len(texts)} predictions are no finite numbers: sample {bad[0]} is predicted "
            f"{texts[bad[0]]!r}. Give the predictions of a numeric column."
        )
    return values


def matched(predicted, true, cohorts, groups, missing_samples: str) -> tuple[pd.DataFrame, list[str]]:
    """The samples with all that is needed, and which others were left out."""
    notes = []
    absent = predicted.index.difference(true.index, sort=False)
    if len(absent) and missing_samples == "error":
        raise ValueError(
            f"{len(absent)} of {len(predicted)} predicted samples are not in the metadata: {name_ids(absent)}. Add "
            "them to it, or set missing_samples to 'ignore'."
        )
    frame = pd.DataFrame({"true": true, "predicted": predicted, "cohort": cohorts}, index=predicted.index)
    frame["subject"] = None if groups is None else groups.to_series().reindex(frame.index).astype(object)
    frame["subject"] = frame["subject"].where(frame["subject"].notna(), None)
    for left_out, why in (
        (frame.index.isin(absent), "are not in the metadata"),
        (frame["true"].isna() & ~frame.index.isin(absent), f"have no value of {true.name!r}"),
        (frame["true"].notna() & frame["cohort"].isna(), f"have no value of {cohorts.name!r}"),
    ):
        if left_out.any():
            names = name_ids(frame.index[left_out])
            notes.append(f"{left_out.sum()} of {len(frame)} predicted samples {why} and were left out: {names}.")
    frame = frame.dropna(subset=["true", "cohort"])
    if frame.empty:
        raise ValueError(
            f"No predicted sample has a value of {true.name!r} and one of {cohorts.name!r}. Are predictions and "
            "metadata of the same study?"
        )
    return frame, notes


def refuse_no_control(cohorts: pd.Series, name: str, control: str) -> None:
    """Stop when no predicted sample is a control."""
    if control not in set(cohorts):
        raise ValueError(
            f"No predicted sample has the value {control!r} (control) of {name!r}; there are "
            f"{name_ids(sorted(set(cohorts)))}. Name one of these."
        )


def subject_notes(samples: pd.DataFrame, control: str, groups) -> list[str]:
    """What the subjects, or that there are none, mean for what comes out."""
    if groups is None:
        return [
            "Without groups each sample counts as a subject of its own. If subjects have several samples, intervals "
            "are too narrow and what is expected of a control comes from its own samples, too."
        ]
    notes = []
    alone = samples.index[samples["subject"].isna()]
    if len(alone):
        notes.append(
            f"{len(alone)} samples have no value of {groups.name!r} and count as subjects of their own: "
            f"{name_ids(alone)}."
        )
    members = samples.dropna(subset=["subject"]).assign(control=samples["cohort"] == control)
    both = members.groupby("subject")["control"].nunique().loc[lambda count: count > 1].index
    if len(both):
        notes.append(
            f"{len(both)} subjects are controls in some samples and not in others: {name_ids(both)}. Nothing is "
            "expected of them by their own samples. Intervals take the two parts for different subjects, and may be "
            "too wide."
        )
    return notes


def range_notes(true: np.ndarray, control: str) -> list[str]:
    """What a gap that is most of the range means for a side of it that is narrow."""
    values = np.unique(true)
    gaps = np.diff(values)
    if not len(gaps) or gaps.max() <= np.ptp(values) / 2:
        return []
    place = int(gaps.argmax())
    # Of few values a side has no shape that could be lost.
    if max(place + 1, len(values) - place - 1) < 10:
        return []
    return [
        f"No control ({control}) has a true value between {values[place]:g} and {values[place + 1]:g}, more than half "
        "of their range. Curves are as fine, and controls count as near, by the whole range: what is expected beside "
        "such a gap may be far off. Leave out the samples on one side."
    ]


def describe(found, name: str, control: str) -> list[str]:
    """What came out, in sentences."""
    whole, known = found.samples, found.samples[found.samples["z"].notna()]
    own = known[known["cohort"] == control]
    said = [
        f"What is expected of {name} comes from {len(own)} controls ({control}); their z-scores, each by other "
        f"subjects, have mean {own['z'].mean():.2f} and standard deviation {own['z'].std():.2f}."
    ]
    if len(known) < len(whole):
        reasons = whole.loc[whole["reason"] != "", "reason"].value_counts()
        parts = "; ".join(f"{count} {reason}" for reason, count in reasons.items())
        said.append(f"Nothing is expected of {len(whole) - len(known)} of {len(whole)} samples ({parts}).")
    for row in found.cohorts.iloc[1:].itertuples():
        ends = "" if pd.isna(row.difference_low) else f" (95% {row.difference_low:.3g} to {row.difference_high:.3g})"
        said.append(
            f"{row.cohort}: predicted minus expected {row.difference:.3g}{ends}, z {row.z:.2f}; {row.samples} samples "
            f"of {row.subjects} subjects."
        )
    return said
