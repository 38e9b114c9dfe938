"""How good a fitted model is, and how certain, as far as its file tells."""

import numpy as np
import pandas as pd

from q2_aam.schema import is_integer

from ._page import number
from ._scores import capital

STAGES = {
    "out-of-fold": "Each sample was predicted by a model that had not learnt from it, nor from its group where groups "
    "were given. Settings were chosen by these predictions: expect somewhat worse of new samples.",
    "validation": "Of samples that the weights were not learnt from; the best epoch was picked by them: expect "
    "somewhat worse of new samples.",
}
RIVALS = (
    "Intervals of these scores, and scores of a random forest and other rivals, are not in the file: 'qiime aam "
    "evaluate' computes intervals from the predictions that came out with the model, and 'qiime aam cross-validate' "
    "(with the same table, column and settings) shows rivals on the same folds."
)
UNKNOWN = "How good its predictions are is not in the file."


def stage_scores(description) -> tuple[str | None, dict]:
    """What samples the scores of the target are of, and these by name."""
    for stage in STAGES:
        names = [name for name in description.scores if name.startswith(f"{stage}/")]
        if names:
            return stage, {name[len(stage) + 1 :]: description.scores[name] for name in names}
    return None, {}


def trivial_scores(target) -> dict[str, float]:
    """Scores of the answer that looks at no sample, by name, as far as the target tells them."""
    if target.kind == "numeric":
        return {"r2": 0.0, **({"rmse": target.scale} if target.transform == "zscore" else {})}
    largest, classes = float(target.class_shares.max()), len(target.classes)
    return {
        "balanced_accuracy": 1 / classes,
        "accuracy": largest,
        "macro_f1": 2 * largest / (1 + largest) / classes,
    }


def copies_of(data: dict) -> str | None:
    """What ``model.json`` says of near copies among the samples, in a sentence; None where they are few or unknown."""
    from ..study.near_copies import copies_caution

    numbers = [data.get(name) for name in ("near_copies", "near_copies_looked_at")]
    return copies_caution(*numbers, data.get("groups") is not None) if all(map(is_integer, numbers)) else None


def scores_verdict(page, predictor) -> None:
    """The main score, beside that of no model; none where samples were predicted by their near copies."""
    from ..evaluation.scores import SCORES

    if copied := copies_of(predictor.description.data):
        page.verdict("No verdict: samples that it learnt from are near copies of one another.", copied, "warning")
        return
    stage, scores = stage_scores(predictor.description)
    numeric = predictor.target.kind == "numeric"
    main, guess = ("r2", "mean") if numeric else ("balanced_accuracy", "largest class")
    value, trivial = scores.get(main), trivial_scores(predictor.target)[main]
    if value is None:
        page.verdict(UNKNOWN, "", "warning")
        return
    chance = "It is no better than that." if value <= trivial else "How far it varies by chance is not in the file."
    page.verdict(
        f"On its own samples: {SCORES[main].label} {number(value)}. Always the {guess} would get {number(trivial)}.",
        f"{STAGES[stage]} {chance}",
        "danger" if value <= trivial else "info",
    )


def scores_section(page, predictor) -> None:
    """All scores of the target."""
    from ..evaluation.scores import SCORES

    stage, scores = stage_scores(predictor.description)
    page.section("How good it is", f"{STAGES[stage]} {RIVALS}" if stage else f"{UNKNOWN} {RIVALS}")
    trivial = trivial_scores(predictor.target)
    rows = [
        (capital(SCORES[name].label), value, trivial.get(name), SCORES[name].meaning)
        for name, value in scores.items()
        if name in SCORES
    ]
    if rows:
        guess = "Always the mean" if predictor.target.kind == "numeric" else "Always the largest class"
        headers = {"score": "Score", "model": "Model", "trivial": guess, "meaning": "Meaning"}
        page.table("scores", pd.DataFrame(rows, columns=list(headers), dtype=object), headers)


def calibration_section(page, predictor) -> None:
    """How intervals or probabilities are made."""
    calibration, target = predictor.calibration, predictor.target
    if target.kind == "categorical":
        page.section(
            "Probabilities",
            "They are for new samples in which the classes are as frequent as in those that it learnt from. What the "
            "head says is divided by the temperature first: above 1 makes probabilities less sure, below 1 surer.",
        )
        page.facts({"Temperature": calibration.temperature})
        return
    intervals = calibration.intervals
    half = intervals["half_width"] * target.scale
    width = f"prediction ± {number(half)}"
    if target.transform == "log1p":
        # Beyond the largest float there is no number to write.
        factor = number(float(np.exp(min(half, 700))))
        width = f"1 + prediction, divided by {factor} to times {factor}, less 1"
    page.section(
        "Intervals",
        "As wide as the errors on samples that were not learnt from; each group counts alike. How often they hold the "
        "true value of new samples, 'qiime aam evaluate' measures.",
    )
    page.facts({
        "Interval, in the units of the column": width,
        "Should hold the true value of": f"{intervals['coverage']:.0%} of new samples of the same kind",
        "Errors that it is by": intervals.get("residuals"),
    })  # fmt: skip
