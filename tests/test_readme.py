"""What the README shows is so."""

from pathlib import Path

from q2_aam.framework import qiime2

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def test_the_metadata_file_shown_has_classes_and_groups_that_are_numbers(tmp_path):
    [shown] = [block for block in README.split("```")[1::2] if "#q2:types" in block]
    step = README.split("**2. Fit**")[1].split("**3. Predict**")[0]
    assert shown in step
    (tmp_path / "typed.tsv").write_text(shown.strip("\n") + "\n")
    lines = [line for line in shown.strip("\n").splitlines() if not line.startswith("#q2:types")]
    (tmp_path / "untyped.tsv").write_text("\n".join(lines) + "\n")
    kinds = {}
    for name in ("typed", "untyped"):
        columns = qiime2.Metadata.load(str(tmp_path / f"{name}.tsv")).columns
        kinds[name] = {column: found.type for column, found in columns.items()}
    assert kinds["untyped"] == {"subject": "numeric", "diagnosis": "numeric", "ph": "numeric"}
    assert kinds["typed"] == {"subject": "categorical", "diagnosis": "categorical", "ph": "numeric"}
