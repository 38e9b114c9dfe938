"""Format of the vectors of samples or ASVs."""

from q2_aam.framework import ValidationError, model
from q2_aam.types._checks import number, read_json, read_rows
from q2_aam.types._judging import check_id


class AAMVectorsFormat(model.TextFileFormat):
    """A sample or a feature a row, its ID in front, one dimension a column: numbers."""

    def _validate_(self, level):
        lines = {}
        for line, cells in read_rows(self.path, level, self._check_header):
            row_id, *texts = cells.values()
            check_id(self.path, line, row_id, lines)
            for column, text in zip(list(cells)[1:], texts, strict=True):
                number(self.path, line, column, text)

    def _check_header(self, header):
        if len(header) < 2 or len(set(header)) < len(header) or not all(header):
            raise ValidationError(
                f"{self.path.name} line 1 must have a name for the IDs, then one for each dimension, all different and "
                f"separated by tabs; it begins with {', '.join(header[:5])}."
            )


AAMVectorsDirectoryFormat = model.SingleFileDirectoryFormat(
    "AAMVectorsDirectoryFormat", "vectors.tsv", AAMVectorsFormat
)


EXPLANATION_KEYS = ("schema_version", "target", "samples", "of_samples", "alone", "groups", "trust", "notes")


class AAMExplanationFormat(model.TextFileFormat):
    """What was explained, and how far it can be trusted, as JSON."""

    def _validate_(self, level):
        content = read_json(self.path, level)
        missing = [key for key in EXPLANATION_KEYS if key not in content]
        if missing or content["schema_version"] != 1:
            raise ValidationError(
                f"{self.path.name} must have schema_version 1 and the keys {', '.join(EXPLANATION_KEYS)}"
                + (f"; it lacks {', '.join(missing)}." if missing else f", but has {content['schema_version']!r}.")
            )


class AAMEffectsDirectoryFormat(model.DirectoryFormat):
    """Effects of features on the predictions of samples, and what was explained."""

    effects = model.File("effects.tsv", format=AAMVectorsFormat)
    explanation = model.File("explanation.json", format=AAMExplanationFormat)
