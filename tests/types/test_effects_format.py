"""Files of an explanation beside its effects: members of clades, effects on all classes."""

import pandas as pd
import pytest

from q2_aam.framework import ValidationError, qiime2
from q2_aam.types import AAMClassEffectsFormat, AAMMembersFormat
from q2_aam.types._transformer import _30, _31


def written(kind, folder, text):
    path = folder / "file.tsv"
    path.write_text(text)
    return kind(str(path), "r")


def test_members_are_metadata_of_features(tmp_path):
    members = written(AAMMembersFormat, tmp_path, "feature-id\tclade\n001\tclade-2\nNA\tclade-2\nb\tb\n")
    members.validate("max")
    metadata = _30(members)
    assert isinstance(metadata, qiime2.Metadata)
    assert metadata.to_dataframe()["clade"].to_dict() == {"001": "clade-2", "NA": "clade-2", "b": "b"}


@pytest.mark.parametrize(
    "text, said",
    [
        ("feature\tclade\na\tb\n", "must be feature-id and clade."),
        ("feature-id\tclade\na\t \n", "line 2: the feature is in no clade. Leave the line out."),
        ("feature-id\tclade\na\tb\na\tc\n", "line 3"),
    ],
)
def test_wrong_members(tmp_path, text, said):
    with pytest.raises(ValidationError, match=said):
        written(AAMMembersFormat, tmp_path, text).validate("max")


def test_effects_on_classes(tmp_path):
    text = "sample-id\tfeature-id\tyes\tno\n01\ta\t0.5\t-0.5\n01\tb\t0\t0\n"
    rows = written(AAMClassEffectsFormat, tmp_path, text)
    rows.validate("max")
    frame = _31(rows)
    assert frame["sample-id"].tolist() == ["01", "01"] and frame["yes"].tolist() == [0.5, 0.0]
    assert pd.api.types.is_float_dtype(frame["no"])
    header = "must have the columns sample-id, feature-id, then"
    changes = {("0.5\t", "x\t"): "column yes: 'x' is not a finite number", ("feature-id", "other"): header}
    for change, said in changes.items():
        wrong = text.replace(*change)
        with pytest.raises(ValidationError, match=said):
            written(AAMClassEffectsFormat, tmp_path, wrong).validate("max")
