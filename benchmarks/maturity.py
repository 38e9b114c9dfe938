"""Maturity of ecam's infants, beside the published z-scores by month, and simulated cohorts whose delay is known.

    python benchmarks/maturity.py

Controls are infants that were born vaginally. Predictions are out-of-fold ones of `fit` and, of five folds of infants,
those of q2-sample-classifier's random forest. Each is compared twice: by `maturity`, and by the definition of
Subramanian et al. (2014), which q2-longitudinal's `maturity-index` computes: predicted minus the median of the
controls of the same month, divided by their standard deviation (months are rounded here; q2-longitudinal takes the
values as they are). q2-longitudinal itself can be installed by conda alone; this is a computation of that definition.
"""

import argparse

import numpy as np
import pandas as pd
from report import markdown, write_section
from scipy.stats import spearmanr, t
from skill import DATA, STUDIES, Study
from sklearn.model_selection import GroupKFold

from q2_aam.actions.fit import fit
from q2_aam.evaluation.maturity import measure_maturity
from q2_aam.framework import Artifact, sdk
from q2_aam.simulation.cohorts import simulate_cohorts, spread_at

STUDY, TARGET, COHORT, CONTROL, OTHER = "ecam-infant-age", "month_of_life", "delivery", "Vaginal", "Cesarean"
FOLDS = 5
DELAY = 2.0
# Subjects of the controls and of the delayed cohort, and samples of each.
SIMULATED = ((5, 5, 12), (8, 8, 12), (24, 18, 16))


def forest(study: Study) -> pd.Series:
    """Predictions of q2-sample-classifier's random forest, whole infants left out."""
    methods = sdk.PluginManager().plugins["sample-classifier"].methods
    parts, column = [], study.column(TARGET)
    for rows, others in GroupKFold(FOLDS).split(study.frame, groups=study.members()):
        tables = (Artifact.import_data("FeatureTable[Frequency]", study.part(part)) for part in (rows, others))
        train, test = tables
        fitted = methods["fit_regressor"](train, column, random_state=0, missing_samples="ignore")
        parts.append(methods["predict_regression"](test, fitted[0])[0].view(pd.Series))
    return pd.concat(parts).astype(float)


def by_month(frame: pd.DataFrame, control: str, own: bool = True) -> pd.Series:
    """Published z-scores; without `own`, of each control by other subjects."""
    month = frame["true"].round()
    found = pd.Series(np.nan, frame.index)
    controls = frame["cohort"] == control
    for row in frame.index:
        chosen = controls & (month == month[row])
        if not own:
            chosen &= frame["subject"] != frame.loc[row, "subject"]
        values = frame.loc[chosen, "predicted"]
        if len(values) > 1:
            found[row] = (frame.loc[row, "predicted"] - values.median()) / values.std()
    return found


def interval(z: pd.Series, subjects: pd.Series) -> str:
    """Mean over subjects, and its 95% interval were controls known without error."""
    means = z.groupby(subjects).mean().dropna()
    half = means.std() / np.sqrt(len(means)) * t.ppf(0.975, len(means) - 1)
    return f"{means.mean():.2f} ({means.mean() - half:.2f} to {means.mean() + half:.2f})"


def with_ends(row: pd.Series, name: str) -> str:
    """A mean with its interval."""
    return f"{row[name]:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"


def rows_of(name: str, frame: pd.DataFrame) -> tuple[list[dict], list[dict]]:
    """Rows of both tables: by `maturity` and by month; and by ranges of age."""
    found = measure_maturity(frame, CONTROL)
    row, samples = found.cohorts.set_index("cohort").loc[OTHER], found.samples
    ours, months, left_out = samples["z"], by_month(frame, CONTROL), by_month(frame, CONTROL, own=False)
    controls, others = frame["cohort"] == CONTROL, frame["cohort"] == OTHER
    both = ours.notna() & months.notna()
    shared = {
        "predictions": name,
        "MAE": (frame["predicted"] - frame["true"]).abs().mean(),
        "Spearman of both": float(spearmanr(ours[both], months[both])[0]),
    }
    table = [
        shared
        | {
            "z-scores": "maturity",
            "samples with one": int(ours.notna().sum()),
            "controls, mean": round(ours[controls].mean(), 2),
            "controls, SD": ours[controls].std(),
            "controls by other infants, SD": ours[controls].std(),
            f"{OTHER}, months": with_ends(row, "difference"),
            f"{OTHER}, z": with_ends(row, "z"),
        },
        shared
        | {
            "z-scores": "by month",
            "samples with one": int(months.notna().sum()),
            "controls, mean": round(months[controls].mean(), 2),
            "controls, SD": months[controls].std(),
            "controls by other infants, SD": left_out[controls].std(),
            f"{OTHER}, months": None,
            f"{OTHER}, z": interval(months[others], frame.loc[others, "subject"]),
        },
    ]
    ranges = found.ranges[found.ranges["cohort"] == OTHER]
    ages = [
        {
            "predictions": name,
            "months": f"{part['low']:g} to {part['high']:g}",
            "samples": part["samples"],
            "infants": part["subjects"],
            "predicted minus expected": with_ends(part, "difference"),
            "z": with_ends(part, "z"),
        }
        for _, part in ranges.iterrows()
    ]
    return table, ages


def simulation(controls: int, others: int, visits: int, sets: int) -> dict:
    """A row of the table of simulated cohorts."""
    found = []
    for seed in range(sets):
        frame = simulate_cohorts(seed, controls, others, visits, DELAY)
        whole = measure_maturity(frame, "control")
        own, late = (whole.samples[whole.samples["cohort"] == name] for name in ("control", "late"))
        none = measure_maturity(simulate_cohorts(seed, controls, others, visits, 0.0), "control").cohorts.iloc[1]
        row = whole.cohorts.iloc[1]
        true_z = (-DELAY / spread_at(late["true"])).groupby(late["subject"]).mean().mean()
        found.append(
            {
                "controls' z, mean": own["z"].mean(),
                "SD": own["z"].std(),
                "new controls' z, SD": (late["z"] + DELAY / late["spread"]).std(),
                "difference": row["difference"],
                "its standard error": row["difference"] + DELAY,
                "intervals with the truth": row["difference_low"] <= -DELAY <= row["difference_high"],
                "z minus true z": row["z"] - true_z,
                "intervals of z with the truth": row["z_low"] <= true_z <= row["z_high"],
                "seems to differ without a delay": not none["difference_low"] <= 0 <= none["difference_high"],
            }
        )
    table = pd.DataFrame(found).astype(float)
    means = table.mean().round(3).to_dict()
    means["its standard error"] = table["its standard error"].std()
    return {"controls": controls, "delayed": others, "samples of each": visits, **means}


def simulate(sets: int) -> None:
    """Write the table of simulated cohorts."""
    rows = [simulation(*sizes, sets) for sizes in SIMULATED]
    write_section("maturity-simulated", markdown(rows))
    print(markdown(rows))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", type=int, default=60, help="simulated data sets")
    parser.add_argument("--simulated", action="store_true", help="no infants")
    given = parser.parse_args(arguments)
    if given.simulated:
        return simulate(given.sets)
    study = Study(DATA / STUDY, *STUDIES[STUDY])
    columns = {"metadata": study.column(TARGET), "groups": study.column(study.groups)}
    predictions = {
        "q2-aam, out-of-fold": fit(study.table, sequences=study.sequences, threads=given.threads, **columns)[1],
        "forest, out-of-fold": forest(study),
    }
    tables, ages = [], []
    for name, predicted in predictions.items():
        frame = study.frame[[TARGET, COHORT, study.groups]].set_axis(["true", "cohort", "subject"], axis=1)
        frame = frame.assign(predicted=predicted.reindex(frame.index)).dropna()
        for found, rows in zip((tables, ages), rows_of(name, frame), strict=True):
            found += rows
    write_section("maturity", markdown(tables))
    write_section("maturity-ages", markdown(ages))
    print(markdown(tables), markdown(ages), sep="\n", flush=True)
    simulate(given.sets)


if __name__ == "__main__":
    main()
