"""The registry of scores: which there are, what they mean, and where each is shown.

Tables, pages, printed lines and the metrics of training derive their lists from `SCORES`: a new score is one entry.
"""

from collections.abc import Callable
from dataclasses import dataclass

from q2_aam.evaluation import score_functions
from q2_aam.evaluation.calibration import COVERAGE

KINDS = ("numeric", "categorical")
NEEDS = ("predictions", "probabilities", "intervals")
PLACES = ("page", "folds", "line", "training")


@dataclass(frozen=True)
class Score:
    """A number that says how good predictions are.

    Parameters
    ----------
    name : str
        Key in tables, files and logs.
    label : str
        The same for a reader, as it stands within a sentence.
    meaning : str
        One plain sentence for users.
    higher_is_better : bool or None
        None where neither is better, as of an intercept.
    needs : {'predictions', 'probabilities', 'intervals'}
        What it is computed from.
    kinds : tuple of {'numeric', 'categorical'}
        Kinds of targets that it is for.
    function : callable
        Returns a float, or None where the samples do not define the score. Its arguments are the true values `[N]`
        and the predicted ones `[N]`: float64 of a numeric target, int numbers of the classes (from 0) of a categorical
        one. Of a score that needs probabilities these follow, `[N, K]`; one that needs intervals gets their lower and
        upper ends `[N]` in place of the predicted values.
    places : tuple of {'page', 'folds', 'line', 'training'}
        Where it is shown: in the table of scores of a page; by folds, and among a predictor's own out-of-fold scores;
        in a printed line; of each epoch of training.

    interval : bool
        Whether samples drawn anew tell how far it varies: not of what is too high by chance, and then even higher.

    Raises
    ------
    ValueError
        When `needs`, `kinds` or `places` hold a word that is not in these lists.
    """

    name: str
    label: str
    meaning: str
    higher_is_better: bool | None
    needs: str
    kinds: tuple
    function: Callable
    places: tuple = ("page", "folds")
    interval: bool = True

    def __post_init__(self):
        for key, words, choices in (
            ("needs", (self.needs,), NEEDS),
            ("kinds", self.kinds, KINDS),
            ("places", self.places, PLACES),
        ):
            unknown = [str(word) for word in words if word not in choices]
            if unknown:
                raise ValueError(
                    f"{key} of the score {self.name!r} is {', '.join(unknown)}; it must be one of {', '.join(choices)}."
                )


def scores_of(kind: str | None = None, needs: str | None = None, place: str | None = None) -> list[Score]:
    """Scores of the registry, in its order.

    Parameters
    ----------
    kind, needs, place : str, optional
        Only those of a kind of target, that need this, or that are shown in this place; see :class:`Score`.

    Returns
    -------
    list of Score
    """
    return [
        score
        for score in SCORES.values()
        if kind in (None, *score.kinds) and needs in (None, score.needs) and place in (None, *score.places)
    ]


def names_of(kind: str | None = None, needs: str | None = None, place: str | None = None) -> tuple:
    """Names of the scores that :func:`scores_of` returns."""
    return tuple(score.name for score in scores_of(kind, needs, place))


def higher_is_better(name: str) -> bool:
    """Whether more of a score is better; no for what is not in the registry, such as a loss."""
    return name in SCORES and bool(SCORES[name].higher_is_better)


def values_of(kind: str, needs: str, *arrays) -> dict:
    """Values of all scores of a kind that need the same.

    Parameters
    ----------
    kind : {'numeric', 'categorical'}
        Kind of the target.
    needs : {'predictions', 'probabilities', 'intervals'}
        What they are computed from.
    *arrays : numpy.ndarray
        Arguments of the scores' functions; see :class:`Score`. Without any, all scores are None.

    Returns
    -------
    dict
        Name -> float, or None where the samples do not define the score.
    """
    return {score.name: score.function(*arrays) if arrays else None for score in scores_of(kind, needs)}


NUMERIC, CATEGORICAL = ("numeric",), ("categorical",)
PAGE = ("page",)

SCORES = {
    score.name: score
    for score in (
        Score(
            "r2", "R²",
            "The share of the variance that is explained: 1 is perfect, 0 or less is no better than the mean.",
            True, "predictions", NUMERIC, score_functions.r2, PLACES,
        ),
        Score(
            "mae", "mean absolute error", "How far off a prediction is on average, in the units of the column.",
            False, "predictions", NUMERIC, score_functions.mae, PLACES,
        ),
        Score(
            "rmse", "root mean squared error", "The same, but large errors weigh more.",
            False, "predictions", NUMERIC, score_functions.rmse, ("page", "folds", "training"),
        ),
        Score(
            "spearman", "Spearman correlation", "Whether the samples are put in the right order: 1 is perfect.",
            True, "predictions", NUMERIC, score_functions.spearman,
        ),
        Score(
            "pearson", "Pearson correlation", "How close the points are to any straight line: 1 is perfect.",
            True, "predictions", NUMERIC, score_functions.pearson, PAGE,
        ),
        Score(
            "slope", "slope of the linear fit",
            "1 is right; below 1, high values are predicted too low and low values too high.",
            None, "predictions", NUMERIC, score_functions.slope, PAGE,
        ),
        Score(
            "intercept", "intercept of the linear fit", "The predicted value where the line meets a true value of 0.",
            None, "predictions", NUMERIC, score_functions.intercept, PAGE,
        ),
        Score(
            "coverage", "share of true values inside the interval",
            f"It should be about {COVERAGE:.0%}; less means that the intervals are too narrow.",
            None, "intervals", NUMERIC, score_functions.coverage,
        ),
        Score(
            "mean_width", "mean width of the intervals", "In the units of the column; narrower intervals say more.",
            False, "intervals", NUMERIC, score_functions.mean_width, PAGE,
        ),
        Score(
            "balanced_accuracy", "balanced accuracy",
            "The mean over the classes of the share of a class's samples that is predicted right.",
            True, "predictions", CATEGORICAL, score_functions.balanced_accuracy, PLACES,
        ),
        Score(
            "accuracy", "accuracy", "The share of samples that is predicted right; a large class weighs more.",
            True, "predictions", CATEGORICAL, score_functions.accuracy, PLACES,
        ),
        Score(
            "macro_precision", "mean precision",
            "The mean over the classes of the share of samples predicted as a class that are of it.",
            True, "predictions", CATEGORICAL, score_functions.macro_precision, PAGE,
        ),
        Score(
            "macro_f1", "mean F1", "The mean over the classes of the harmonic mean of precision and recall.",
            True, "predictions", CATEGORICAL, score_functions.macro_f1,
        ),
        Score(
            "roc_auc", "mean area under ROC", "One class against the rest: 1 is perfect, 0.5 is chance.",
            True, "probabilities", CATEGORICAL, score_functions.roc_area, PAGE,
        ),
        Score(
            "average_precision", "mean area under precision-recall", "One class against the rest: 1 is perfect.",
            True, "probabilities", CATEGORICAL, score_functions.average_precision, PAGE,
        ),
        Score(
            "log_loss", "log loss", "Lower is better; a mistake made with a high probability weighs heavily.",
            False, "probabilities", CATEGORICAL, score_functions.log_loss,
        ),
        Score(
            "expected_calibration_error", "calibration error",
            "How far the probabilities are from the share that is right: 0 is perfect.",
            False, "probabilities", CATEGORICAL, score_functions.calibration_error, interval=False,
        ),
    )
}
