"""Format of predictions beside what is expected of them by a curve through controls."""

import math

from q2_aam.framework import ValidationError, model
from q2_aam.types._checks import check_object, listed, number, read_rows
from q2_aam.types._judging import check_id

MATURITY_COLUMNS = (
    "true", "predicted", "cohort", "subject", "control_subjects", "expected", "spread", "difference", "z", "reason",
)  # fmt: skip
MATURITY_TEXTS = ("cohort", "subject", "reason")
# There where something is expected, and nowhere else.
EXPECTED = ("expected", "spread", "difference", "z")
# Of what cannot be measured there is null.
DIFFERENCES = {
    **dict.fromkeys(("samples", "subjects"), int),
    **dict.fromkeys(("difference", "difference_low", "difference_high", "z"), (float, None)),
}
MATURITY = {
    "schema_version": int,
    "target": str,
    "cohorts": str,
    "control": str,
    "subjects": (str, None),
    "near": float,
    "spread_by_age": bool,
    "origin": (str, None),
    "curve": [{"expected": (float, None), "spread": (float, None)}],
    "compared": [{"cohort": str, **DIFFERENCES}],
    "ranges": [{"cohort": str, "low": float, "high": float}],
    "notes": [str],
}


class AAMMaturityFormat(model.TextFileFormat):
    """A sample a row: its true value, what was predicted and what is expected, or why nothing can be."""

    def _validate_(self, level):
        lines = {}
        for line, cells in read_rows(self.path, level, self._check_header):
            check_id(self.path, line, next(iter(cells.values())), lines)
            if not cells["cohort"]:
                raise ValidationError(f"{self.path.name} line {line}, column cohort is empty. Fill it in.")
            empty = [column for column in EXPECTED if not cells[column]]
            if len(empty) not in (0, len(EXPECTED)) or bool(empty) != bool(cells["reason"]):
                raise ValidationError(
                    f"{self.path.name} line {line}: {', '.join(EXPECTED)} must all be there, or be empty with a reason."
                )
            numbers = [name for name in MATURITY_COLUMNS if name not in (*MATURITY_TEXTS, *empty)]
            values = {column: number(self.path, line, column, cells[column]) for column in numbers}
            if values.get("spread", 1) <= 0:
                raise ValidationError(f"{self.path.name} line {line}, column spread: {cells['spread']} is not above 0.")

    def _check_header(self, header):
        if tuple(header[1:]) != MATURITY_COLUMNS:
            raise ValidationError(
                f"{self.path.name} line 1 has the columns {listed(header)}; they must be SampleID, "
                f"{', '.join(MATURITY_COLUMNS)}, separated by tabs."
            )


class AAMMaturityDescriptionFormat(model.TextFileFormat):
    """The curve of the controls, how cohorts differ from them, and what was given, as JSON."""

    def _validate_(self, level):
        check_object(self.path, level, MATURITY)


class AAMMaturityDirectoryFormat(model.DirectoryFormat):
    """Predictions beside what is expected of them, and the curve that says so."""

    maturity = model.File("maturity.tsv", format=AAMMaturityFormat)
    description = model.File("maturity.json", format=AAMMaturityDescriptionFormat)


def without_nan(rows: list[dict]) -> list[dict]:
    """Rows for JSON, which has no NaN."""
    return [{key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()} for row in rows]
