"""What the actions share: temporary directories, warnings as sentences, samples in order."""

import warnings

import numpy as np
import pytest

from q2_aam.actions._inputs import keep_samples
from q2_aam.actions._reporting import percent, readable_warnings
from q2_aam.actions._runs import run_directory


def test_run_directory_that_was_not_asked_for_is_gone_afterwards():
    with pytest.raises(RuntimeError), run_directory(None) as directory:
        (directory / "file").write_text("")
        raise RuntimeError
    assert not directory.exists()


def test_run_directory_is_made_and_stays_empty(tmp_path):
    with run_directory(str(tmp_path / "a" / "b")) as directory:
        assert list(directory.iterdir()) == []
    assert directory.is_dir()


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0.0%"), (0.0004, "less than 0.1%"), (0.0005, "0.1%"), (0.1234, "12.3%"), (1, "100.0%")]
)
def test_what_is_there_is_not_told_as_nothing(share, told):
    assert percent(share) == told


def test_warnings_are_sentences(capsys):
    before = warnings.formatwarning
    with readable_warnings(), warnings.catch_warnings():
        warnings.simplefilter("always")
        # pytest collects warnings; Python itself writes them as they are formatted
        print(warnings.formatwarning("3 samples were left out.", UserWarning, "file.py", 7), end="")
    assert capsys.readouterr().out == "Warning: 3 samples were left out.\n"
    assert warnings.formatwarning is before


def test_warnings_of_inner_folds_are_not_shown():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with readable_warnings():
            warnings.warn_explicit("fold", UserWarning, "f.py", 1, module="sklearn.model_selection._split")
            warnings.warn_explicit("ours", UserWarning, "f.py", 1, module="q2_aam.study.targets")
    assert [str(warning.message) for warning in caught] == ["ours"]


def test_samples_are_kept_in_the_order_of_the_table(study):
    rows = np.array([2, 5, 40])
    kept = keep_samples(study.table, rows)
    assert list(kept.ids()) == list(study.table.ids()[rows])
    np.testing.assert_array_equal(kept.matrix_data.toarray(), study.table.matrix_data.toarray()[:, rows])
    assert keep_samples(study.table, np.arange(48)) is study.table
