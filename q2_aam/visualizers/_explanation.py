"""What the page of `show-importance` shows: importance and effects of one explanation, matched by name."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from q2_aam.settings import MOST_EFFECTS
from q2_aam.types import AAMEffectsDirectoryFormat

from ._samples import listed

OTHER = "Give the importance and the effects that the same run of explain made."


@dataclass
class Explanation:
    """Importance and effects of the same features.

    Attributes
    ----------
    frame : pandas.DataFrame
        A feature (or group) a row, the most important first: `importance`, `samples`, `prevalence`, the columns of
        `effect_columns`; `spread` where it was measured. What names the features is added: `label`, and where they are
        known `taxon` and `sequence`.
    effects : pandas.DataFrame
        float64 ``[N, G]`` by sample ID, columns as the (first) rows of `frame`; 0 where a sample does not hold a
        feature.
    prediction : pandas.Series
        Of each sample; of classes the probability of the likeliest.
    about : dict
        ``explanation.json``.
    probabilities : pandas.DataFrame or None
        Of a classifier, of each sample ``[N, C]``.
    class_effects : pandas.DataFrame or None
        A sample and a feature that it holds a row: `sample-id`, `feature-id`, then the effect on each class.
    members : pandas.Series or None
        Of clades: the one that each feature is in, by feature ID.
    tree : q2_aam.study.phylogeny.Phylogeny or None
        Of clades: the tree that they are of, its nodes called as they are.
    truth : pandas.Series or None
        True values by sample ID, where some are known; NaN or None where not.
    """

    frame: pd.DataFrame
    effects: pd.DataFrame
    prediction: pd.Series
    about: dict
    probabilities: pd.DataFrame | None = None
    class_effects: pd.DataFrame | None = None
    members: pd.Series | None = None
    tree: object = None
    truth: pd.Series | None = None

    @property
    def target(self) -> str:
        """Name of the column."""
        return self.about["target"]["name"]

    @property
    def classes(self) -> list[str]:
        """The target's; empty if it is a number."""
        return self.about["target"]["classes"]

    @property
    def noun(self) -> str:
        """What left the samples, one of them. A clade may be of one ASV."""
        groups = self.about["groups"]
        if groups and "tree" in groups:
            return "clade" if groups["tree"] == "phylogeny" else "cluster"
        return "group" if groups else "ASV"

    @property
    def effect_columns(self) -> dict:
        """Column of the importance -> the class that it is of, or the target."""
        return {f"effect_{name}": name for name in self.classes} if self.classes else {"effect": self.target}

    @property
    def unit(self) -> str:
        """What an effect is measured in."""
        return "effect on the likeliest class's probability" if self.classes else f"effect on {self.target}"


def match_explanation(importance: pd.DataFrame, effects: AAMEffectsDirectoryFormat) -> Explanation:
    """Match the two outputs of an explanation, or say what does not fit.

    Parameters
    ----------
    importance : pandas.DataFrame
    effects : AAMEffectsDirectoryFormat

    Raises
    ------
    ValueError
        A sentence that names what differs.
    """
    table, frame = effects.effects.view(pd.DataFrame), importance.set_axis(importance.index.astype(str))
    about = json.loads((effects.path / "explanation.json").read_text(encoding="utf-8"))
    if "prediction" != table.columns[0]:
        raise ValueError(f"The effects have no column prediction in front. {OTHER}")
    table, prediction = table.iloc[:, 1:], table.iloc[:, 0]
    explanation = Explanation(frame, table, prediction, about)
    refuse_lacking(frame, ["importance", *explanation.effect_columns, "samples"])
    frame = frame.sort_values("importance", ascending=False, kind="stable")
    # Of many features the effects of the most important ones are kept.
    kept = frame if len(table.columns) < MOST_EFFECTS else frame.iloc[: len(table.columns)]
    refuse_other(kept, table)
    explanation.frame = frame.assign(prevalence=frame["samples"] / len(table))
    explanation.effects = table[kept.index]
    known = pd.Series(about.get("true_values", {}), dtype=object).reindex(table.index)
    if known.notna().any():
        explanation.truth = known if explanation.classes else known.astype(float)
    if not explanation.classes:
        refuse_other_values(explanation)
    read_details(explanation, effects)
    return explanation


def read_details(explanation: Explanation, effects: AAMEffectsDirectoryFormat) -> None:
    """Read effects on all classes, and the tree and members of clades, where they are there."""
    files = {name: effects.path / name for name in ("class-effects.tsv", "members.tsv")}
    if files["class-effects.tsv"].exists():
        explanation.probabilities = effects.probabilities.view(pd.DataFrame)
        explanation.class_effects = effects.class_effects.view(pd.DataFrame)
    if files["members.tsv"].exists():
        from q2_aam.study.phylogeny import read_phylogeny

        explanation.members = effects.members.view(pd.DataFrame)["clade"]
        explanation.tree = read_phylogeny(str(effects.path / "tree.nwk"))


def refuse_lacking(frame: pd.DataFrame, columns: list[str]) -> None:
    """Stop where the importance lacks columns that the effects call for."""
    lacking = [name for name in columns if name not in frame]
    if lacking:
        raise ValueError(
            f"The importance lacks the columns {listed(lacking)}, which explain makes for the column that the effects "
            f"are of; it has {listed(frame.columns)}. {OTHER}"
        )


def refuse_other(frame: pd.DataFrame, table: pd.DataFrame) -> None:
    """Stop where names of the importance are not those of the effects."""
    missing = [
        f"{place} not of {listed(names)}"
        for place, names in (
            ("The importance is", table.columns.difference(frame.index, sort=False)),
            ("the effects are", frame.index.difference(table.columns, sort=False)),
        )
        if len(names)
    ]
    if missing:
        said = ", ".join(missing)
        raise ValueError(
            f"The importance and the effects are not of the same explanation. {said[0].upper()}{said[1:]}. {OTHER}"
        )
    if not len(frame):
        raise ValueError("The importance has no rows: nothing could leave a sample, so that there is nothing to show.")


def refuse_other_values(explanation: Explanation) -> None:
    """Stop where the importance is not the mean size of the effects, which it is of a number."""
    sizes = explanation.effects.abs().mean()
    importance = explanation.frame["importance"].iloc[: len(sizes)]
    # Effects are written with seven digits.
    other = ~np.isclose(sizes, importance, rtol=1e-3, atol=1e-6 * float(sizes.max()))
    if other.any():
        raise ValueError(
            "The importance and the effects are not of the same explanation: importance is the mean size of the "
            f"effects, but not of {listed(sizes.index[other])}. {OTHER}"
        )
