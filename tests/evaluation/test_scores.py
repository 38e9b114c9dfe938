"""The registry of scores: one entry is enough, and what it says is readable."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from q2_aam.evaluation.fold_scores import OURS, FoldPredictions, score_table
from q2_aam.evaluation.metrics import classification_scores, interval_scores, regression_scores
from q2_aam.evaluation.scores import PLACES, SCORES, Score, higher_is_better, names_of, scores_of, values_of


def test_names_and_their_order_are_those_of_files_and_logs():
    assert names_of("numeric", place="folds") == ("r2", "mae", "rmse", "spearman", "coverage")
    assert names_of("categorical", place="folds") == (
        "balanced_accuracy",
        "accuracy",
        "macro_f1",
        "log_loss",
        "expected_calibration_error",
    )
    assert names_of("numeric", "predictions", "folds") == ("r2", "mae", "rmse", "spearman")
    assert names_of("numeric", place="training") == ("r2", "mae", "rmse")
    assert names_of("categorical", place="training") == ("balanced_accuracy", "accuracy")
    assert names_of("numeric", place="line") == ("r2", "mae")
    assert names_of("categorical", place="line") == ("balanced_accuracy", "accuracy")
    assert names_of("numeric", "intervals") == ("coverage", "mean_width")
    assert [SCORES[name] for name in names_of()] == scores_of()


def test_every_score_says_what_it_means_in_a_sentence():
    for name, score in SCORES.items():
        assert score.name == name and name.isidentifier()
        assert score.meaning[0].isupper() or score.meaning[0] == "1"
        assert score.meaning.endswith(".") and len(score.meaning) < 110
        assert score.places and len(set(score.places)) == len(score.places)


def test_which_way_is_better():
    assert {name for name in SCORES if higher_is_better(name)} == {
        "r2",
        "spearman",
        "pearson",
        "balanced_accuracy",
        "accuracy",
        "macro_precision",
        "macro_f1",
        "roc_auc",
        "average_precision",
    }
    assert not higher_is_better("total_loss") and not higher_is_better("mae")


def test_a_perfect_prediction_is_no_worse_by_any_score():
    random = np.random.default_rng(0)
    truth = random.normal(size=30)
    off = truth + random.normal(size=30)
    perfect, other = regression_scores(truth, truth), regression_scores(truth, off)
    classes = np.array(["a", "b", "c"])[random.integers(0, 3, 30)]
    wrong = np.where(random.random(30) < 0.5, "a", classes)
    certain = np.array([[name == k for k in "abc"] for name in classes], dtype=float)
    perfect.update(classification_scores(classes, classes, certain, list("abc")))
    other.update(classification_scores(classes, wrong, np.roll(certain, 1, axis=0), list("abc")))
    for score in (*scores_of(needs="predictions"), *scores_of(needs="probabilities")):
        if score.higher_is_better is not None:
            better = np.subtract(perfect[score.name], other[score.name])
            assert (better > 0) == score.higher_is_better and better != 0, score.name


def test_an_entry_is_in_the_table_of_folds(monkeypatch):
    """The page is tested in tests/visualizers/test_evaluate.py."""
    worst = Score("worst", "largest error", "The largest error.", False, "predictions", ("numeric",), _largest_error)
    inside = Score("inside", "inside", "Inside.", True, "intervals", ("numeric",), lambda truth, low, up: 0.25)
    right = Score("right", "right", "Right.", True, "probabilities", ("categorical",), lambda *arrays: 0.75, ("folds",))
    for score in (worst, inside, right):
        monkeypatch.setitem(SCORES, score.name, score)
    ids = ["s", "t", "u"]
    certainty = pd.DataFrame({"lower": [0.0] * 3, "upper": [9.0] * 3}, index=ids)
    run = FoldPredictions(1, 1, 9, certainty, pd.DataFrame({OURS: [1.0, 2, 3], "median": 2.0}, index=ids))
    table = score_table([run], pd.Series([1.0, 2, 7], index=ids), "numeric", None).set_index("method")
    assert table["worst"].to_dict() == {OURS: 4.0, "median": 5.0}
    assert table.loc[OURS, "inside"] == 0.25 and np.isnan(table.loc["median", "inside"])
    assert list(table)[-4:] == ["worst", "inside", "mae_low", "mae_high"] and "right" not in table
    assert regression_scores([1, 2, 7], [1, 2, 3])["baseline"]["worst"] == 5
    assert interval_scores([1], [0], [2])["inside"] == 0.25
    scores = classification_scores(["a", "b"], ["a", "b"], np.full((2, 2), 0.5), ["a", "b"])
    assert scores["right"] == scores["baseline"]["right"] == 0.75
    assert classification_scores(["a", "b"], ["a", "b"])["right"] is None


def _largest_error(truth, predicted):
    return float(np.abs(truth - predicted).max())


def test_values_without_arrays_are_none():
    assert values_of("numeric", "intervals") == {"coverage": None, "mean_width": None}


@pytest.mark.parametrize("key, words", [("needs", "counts"), ("kinds", ("number",)), ("places", ("paper",))])
def test_a_word_that_is_not_in_the_lists_is_refused(key, words):
    entry = {"needs": "predictions", "kinds": ("numeric",), "places": PLACES, key: words}
    word = words if isinstance(words, str) else words[0]
    with pytest.raises(ValueError, match=f"^{key} of the score 'x' is {word}; it must be one of "):
        Score("x", "x", "X.", True, function=None, **entry)


def test_the_registry_is_quick_to_import():
    """Registration reads it whenever the plugin is loaded."""
    code = (
        "import sys; import q2_aam.evaluation.scores; "
        "print({name.split('.')[0] for name in sys.modules} & {'torch', 'sklearn', 'scipy', 'pandas', 'altair'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
