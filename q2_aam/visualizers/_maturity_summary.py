"""What the page of `show-maturity` shows, and what it comes to."""

import json
from dataclasses import dataclass

import pandas as pd

from q2_aam.types import AAMMaturityDirectoryFormat

from ._page import number
from ._samples import listed, some

ORIGINS = {
    "out-of-fold": "The predictions are by models that learnt from all cohorts. Where a community shows which cohort "
    "it is of, such models can make up for a difference between cohorts, in part: it may be larger than it seems here.",
    "new": "The predictions are of another table than the model was fitted to. Samples that are in both were learnt "
    "from: they are predicted too near to their true values, and delays are hidden. Leave them out, or give "
    "out-of-fold predictions of them.",
    "unknown": "It is not known whether the predictions are out-of-fold. Samples that were learnt from are predicted "
    "too near to their true values, and delays are hidden: of such samples give the predictions of fit or of "
    "cross-validate.",
}


@dataclass
class Comparison:
    """Samples beside the curve of the controls.

    Attributes
    ----------
    samples : pandas.DataFrame
        ``maturity.tsv``, with the IDs as column `sample`.
    curve : pandas.DataFrame
        Columns `true`, `expected`, `spread`, `control_subjects`.
    cohorts, ranges : pandas.DataFrame
        A row a cohort, the controls first; a row a range of true values and cohort, with the range's name as `range`.
    about : dict
        ``maturity.json``.
    """

    samples: pd.DataFrame
    curve: pd.DataFrame
    cohorts: pd.DataFrame
    ranges: pd.DataFrame
    about: dict

    @property
    def target(self) -> str:
        """Name of the column."""
        return self.about["target"]

    @property
    def control(self) -> str:
        """The cohort of the controls."""
        return self.about["control"]

    @property
    def unit(self) -> str:
        """What counts as independent, one of them."""
        return "sample" if self.about["subjects"] is None else "subject"

    @property
    def known(self) -> pd.DataFrame:
        """The samples of which something is expected."""
        return self.samples[self.samples["z"].notna()]

    @property
    def others(self) -> pd.DataFrame:
        """Rows of the cohorts but the controls'."""
        return self.cohorts.iloc[1:]


def read_comparison(maturity: AAMMaturityDirectoryFormat) -> Comparison:
    """Read an artifact's files."""
    samples = maturity.maturity.view(pd.DataFrame).rename_axis("sample").reset_index()
    about = json.loads((maturity.path / "maturity.json").read_text(encoding="utf-8"))
    curve = pd.DataFrame(about["curve"]).astype(float)
    cohorts, ranges = (with_numbers(pd.DataFrame(about[name])) for name in ("compared", "ranges"))
    ends = zip(ranges["low"], ranges["high"], strict=True)
    ranges.insert(0, "range", [f"{low:.4g} to {high:.4g}" for low, high in ends])
    return Comparison(samples, curve, cohorts, ranges, about)


def with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose missing numbers are NaN."""
    return frame.astype({name: float for name in frame if name.startswith(("difference", "z"))})


def lead(comparison: Comparison) -> str:
    """The sentence below the heading."""
    own = comparison.cohorts.iloc[0]
    among = "" if comparison.unit == "sample" else f" of {some(int(own['subjects']), 'subject')}"
    count, name = some(comparison.samples, "sample"), comparison.target
    return (
        f"Predictions of {count} beside what is expected at their true '{name}' by "
        f"{some(int(own['samples']), 'control')}{among} ({comparison.about['cohorts']}: {comparison.control})."
    )


def verdict(comparison: Comparison) -> tuple[str, str, str]:
    """A short answer, the numbers behind it, and its colour."""
    rows = [(row.cohort, *answer(row)) for row in comparison.others.itertuples()]
    if not rows:
        return "There are controls alone.", "No other cohort is there to be compared with them.", "info"
    parts = [sentence(row, comparison) for row in comparison.others.itertuples()]
    if len(rows) == 1:
        [(cohort, word, level)] = rows
        text = f"{parts[0]} It need not be the same at all values of {comparison.target}, which stands further below."
        return f"Does {cohort} differ from the controls? {word}.", text, level
    found = {word: [cohort for cohort, own, _ in rows if own == word] for _, word, _ in rows}
    heading = " ".join(f"{word}: {listed(names)}." for word, names in found.items())
    text = (
        f"{len(rows)} cohorts are compared: of those that do not differ from the controls one in twenty seems to, by "
        "chance."
    )
    return heading, text, "info"


def answer(row) -> tuple[str, str]:
    """Whether a cohort differs from the controls, and a colour."""
    if pd.isna(row.difference_low):
        return "Cannot tell", "warning"
    if row.difference_high < 0:
        return "Yes, it is below", "success"
    return ("Yes, it is above", "success") if row.difference_low > 0 else ("Cannot tell", "warning")


def sentence(row, comparison: Comparison) -> str:
    """The numbers of a cohort."""
    size = f"{some(row.samples, 'sample')} of {some(row.subjects, 'subject')}"
    if comparison.unit == "sample":
        size = some(row.samples, "sample")
    if not row.samples:
        return f"Nothing is expected of any sample of {row.cohort}: none has a true value where there are controls."
    text = f"Predicted minus expected {comparison.target} of {row.cohort} ({size}) is {number(row.difference)}"
    text += " on average"
    if pd.isna(row.difference_low):
        return f"{text}. From so few {comparison.unit}s nothing can be said of the next ones."
    ends = f"{number(row.difference_low)} to {number(row.difference_high)}"
    return f"{text} (95% interval {ends}), its z-score {number(row.z)}."


def notes_of(comparison: Comparison) -> list[str]:
    """What the reader should know of the samples, before anything else."""
    about, samples = comparison.about, comparison.samples
    notes = [ORIGINS[about["origin"]]] if about["origin"] in ORIGINS else []
    notes += about["notes"]
    for reason, part in samples[samples["reason"] != ""].groupby("reason", sort=False):
        notes.append(f"Nothing is expected of {some(part, 'sample')}, {reason}: {listed(part['sample'])}.")
    if not about["spread_by_age"]:
        notes.append(
            "There are too few controls to say how their spread changes with the true value (it takes 50 samples of 5 "
            "subjects): it is taken as the same everywhere."
        )
    return notes
