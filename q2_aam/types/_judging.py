"""Formats of what predictions are judged by: those of baselines, and scores of both by folds."""

from q2_aam.framework import ValidationError, model
from q2_aam.types._checks import listed, number, read_rows
from q2_aam.untrusted import printable

# The answer that looks at no sample; by it a table of numbers is told from one of classes, whatever these are called.
TRIVIAL = {"median": "numeric", "largest class": "categorical"}
SCORE_KEYS = ("id", "repeat", "fold", "method", "pretraining", "samples", "training_samples", "groups")
SCORE_TEXTS = ("id", "method", "pretraining")


def check_id(path, line: int, text: str, lines: dict):
    """Refuse what is no ID, or stands in one of the lines before; these are kept in ``lines``."""
    if not text or text != text.strip():
        raise ValidationError(
            f"{path.name} line {line}: {text!r} is no ID. Give each row an ID without blanks around it."
        )
    if text in lines:
        raise ValidationError(
            f"{path.name} line {line}: the ID {text!r} stands in line {lines[text]} already. Keep one row of each."
        )
    lines[text] = line


class BaselinePredictionsFormat(model.TextFileFormat):
    """A sample a row, a method a column: numbers where there is a column `median`, else names of classes."""

    def _validate_(self, level):
        lines, numeric = {}, None
        for line, cells in read_rows(self.path, level, self._check_header):
            numeric = "median" in cells
            sample_id, *texts = cells.values()
            check_id(self.path, line, sample_id, lines)
            for column, text in list(cells.items())[1:]:
                if numeric:
                    number(self.path, line, column, text)
                elif not text or text != text.strip():
                    raise ValidationError(
                        f"{self.path.name} line {line}, column {printable(column)}: {text!r} is no name of a class. "
                        "Write one without blanks around it."
                    )

    def _check_header(self, header):
        # The first cell names the IDs, whatever it is; the trivial answer comes next.
        methods = header[1:]
        if not methods or methods[0] not in TRIVIAL or len(set(methods)) < len(methods) or not all(methods):
            raise ValidationError(
                f"{self.path.name} line 1 has the columns {listed(header)}; they must be SampleID, then median (of "
                "numbers) or largest class, then other methods, each once, separated by tabs."
            )


BaselinePredictionsDirectoryFormat = model.SingleFileDirectoryFormat(
    "BaselinePredictionsDirectoryFormat", "baseline_predictions.tsv", BaselinePredictionsFormat
)


class AAMScoresFormat(model.TextFileFormat):
    """Scores of a repeat, fold and method a row; without a fold, those of all folds of the repeat together."""

    def _validate_(self, level):
        lines = {}
        for line, cells in read_rows(self.path, level, self._check_header):
            check_id(self.path, line, cells["id"], lines)
            for column in SCORE_TEXTS[1:]:
                if not cells[column].strip():
                    raise ValidationError(f"{self.path.name} line {line}, column {column} is empty. Fill it in.")
            for column, text in cells.items():
                if column in SCORE_TEXTS or (not text and column not in ("repeat", "samples")):
                    continue
                value = number(self.path, line, column, text)
                if column in SCORE_KEYS and (value < 1 or value != int(value)):
                    raise ValidationError(
                        f"{self.path.name} line {line}, column {column}: {text} is not a whole number from 1."
                    )

    def _check_header(self, header):
        scores = header[len(SCORE_KEYS) :]
        if tuple(header[: len(SCORE_KEYS)]) != SCORE_KEYS or not all(scores) or len(set(header)) < len(header):
            raise ValidationError(
                f"{self.path.name} line 1 has the columns {listed(header)}; they must be {', '.join(SCORE_KEYS)}, "
                "then scores, each once, separated by tabs."
            )
        if not scores:
            raise ValidationError(f"{self.path.name} line 1 names no score after {SCORE_KEYS[-1]}. Add at least one.")


AAMScoresDirectoryFormat = model.SingleFileDirectoryFormat("AAMScoresDirectoryFormat", "scores.tsv", AAMScoresFormat)
