"""Format of the vectors of samples or ASVs."""

from q2_types.tree import NewickFormat

from q2_aam.framework import ValidationError, model
from q2_aam.types._checks import check_object, listed, number, read_rows
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
                f"separated by tabs; it begins with {listed(header[:5])}."
            )


AAMVectorsDirectoryFormat = model.SingleFileDirectoryFormat(
    "AAMVectorsDirectoryFormat", "vectors.tsv", AAMVectorsFormat
)


TRUST = {
    "folds": int,
    "metric": str,
    "score": float,
    "trivial": float,
    "stability": {"top": int, "overlap": (float, None), "by_chance": (float, None)},
    "deletion": [
        dict.fromkeys(("removed", "top", "random", "random_low", "random_high", "top_reads", "random_reads"), float)
    ],
}
EXPLANATION = {
    "schema_version": int,
    "target": {"name": str, "classes": [str]},
    "samples": int,
    "of_samples": int,
    "alone": int,
    "groups": ({}, None),
    "trust": (TRUST, None),
    "notes": [str],
}


class AAMExplanationFormat(model.TextFileFormat):
    """What was explained, and how far it can be trusted, as JSON."""

    def _validate_(self, level):
        check_object(self.path, level, EXPLANATION)


class AAMMembersFormat(model.TextFileFormat):
    """A feature a row, and the clade that it is in."""

    def _validate_(self, level):
        lines = {}
        for line, cells in read_rows(self.path, level, self._check_header):
            check_id(self.path, line, cells["feature-id"], lines)
            if not cells["clade"].strip():
                raise ValidationError(f"{self.path.name} line {line}: the feature is in no clade. Leave the line out.")

    def _check_header(self, header):
        if header != ["feature-id", "clade"]:
            raise ValidationError(
                f"{self.path.name} line 1 has the columns {listed(header)}; they must be feature-id and clade."
            )


class AAMClassEffectsFormat(model.TextFileFormat):
    """A sample and a feature that it holds a row: by how much the feature changes the probability of each class."""

    def _validate_(self, level):
        for line, cells in read_rows(self.path, level, self._check_header):
            for column, text in list(cells.items())[2:]:
                number(self.path, line, column, text)

    def _check_header(self, header):
        if header[:2] != ["sample-id", "feature-id"] or len(header) < 3 or len(set(header)) < len(header):
            raise ValidationError(
                f"{self.path.name} line 1 must have the columns sample-id, feature-id, then one for each class; it "
                f"begins with {listed(header[:5])}."
            )


class AAMEffectsDirectoryFormat(model.DirectoryFormat):
    """Effects of features on the predictions of samples, and what was explained.

    Of a classifier also its probabilities of all classes, and the effects on these; of clades also their members and
    the tree.
    """

    effects = model.File("effects.tsv", format=AAMVectorsFormat)
    explanation = model.File("explanation.json", format=AAMExplanationFormat)
    probabilities = model.File("probabilities.tsv", format=AAMVectorsFormat, optional=True)
    class_effects = model.File("class-effects.tsv", format=AAMClassEffectsFormat, optional=True)
    members = model.File("members.tsv", format=AAMMembersFormat, optional=True)
    tree = model.File("tree.nwk", format=NewickFormat, optional=True)
