"""What the page of `evaluate` shows of numeric predictions."""

from ._baselines import add_columns, baseline_scores, verdict_beside
from ._folds import folds_section
from ._page import number
from ._samples import some

N_WORST = 10  # samples listed with the largest errors
MEANINGS = {
    "r2": (
        "R²",
        "share of the variance explained: 1 is perfect, 0 or less no better than the mean",
    ),
    "mae": ("mean absolute error", "how far off a prediction is on average, in the units of the column"),
    "rmse": ("root mean squared error", "the same with large errors weighing more"),
    "spearman": ("Spearman correlation", "whether samples are put in the right order: 1 is perfect"),
    "pearson": ("Pearson correlation", "how close the points are to any straight line: 1 is perfect"),
    "slope": (
        "slope of the linear fit",
        "1 is right; below 1, high values are predicted too low and low ones too high",
    ),
    "intercept": ("intercept of the linear fit", "predicted value where the line meets a true value of 0"),
}


def regression_page(page, evaluated):
    """Fill the page of `evaluate` for numeric predictions.

    Parameters
    ----------
    page : Page
        To be filled; not rendered here.
    evaluated : Evaluated
        The samples.
    """
    from ..evaluation.metrics import regression_scores

    frame = evaluated.frame
    scores = regression_scores(frame["true"], frame["predicted"])
    others = baseline_scores(evaluated, numeric=True)
    if others and scores["baseline"]["mae"]:
        verdict_beside(page, evaluated.name, scores, others)
    else:
        _verdict(page, scores, evaluated.name)
    samples = frame.rename_axis("sample").reset_index()
    samples["error"] = samples["predicted"] - samples["true"]
    samples["absolute_error"] = samples["error"].abs()
    _scores_table(page, scores, frame, others)
    if evaluated.fold_scores is not None:
        folds_section(page, evaluated.fold_scores)
    _scatter(page, samples, scores, evaluated.name)
    if "group" in frame:
        _groups(page, samples, scores)
    if "unseen_read_share" in frame:
        _novelty(page, samples, evaluated.name)
    _worst(page, samples)


def _verdict(page, scores, name):
    error, bar = scores["mae"], scores["baseline"]["mae"]
    median = number(scores["baseline"]["value"])
    if bar == 0:
        page.verdict(
            "Better than always predicting the median: cannot be told.",
            f"All evaluated samples have the same true value of '{name}' ({median}).",
            "info",
        )
        return
    change = 1 - error / bar
    answer, level = (
        ("yes", "success") if change > 0.05 else ("hardly", "warning") if change > 0 else ("no", "danger")
    )
    page.verdict(
        f"Better than always predicting the median: {answer}.",
        f"The predictions of '{name}' are off by {number(error)} on average. Predicting {median}, the "
        f"median of these samples' true values, for every sample would be off by {number(bar)}. The model's "
        f"error is {abs(change):.0%} {'smaller' if change >= 0 else 'larger'}.",
        level,
    )


def _scores_table(page, scores, frame, others):
    from ..evaluation.calibration import COVERAGE
    from ..evaluation.metrics import interval_scores

    rows = [
        {
            "score": label,
            "model": scores[key],
            "always_the_median": scores["baseline"][key],
            "meaning": meaning,
        }
        for key, (label, meaning) in MEANINGS.items()
    ]
    if "lower" in frame:
        intervals = interval_scores(frame["true"], frame["lower"], frame["upper"])
        rows.append(
            {
                "score": "share of true values inside the interval",
                "model": intervals["coverage"],
                "meaning": f"should be about {COVERAGE:.0%}; less means that the intervals promise too much",
            }
        )
        width = {"score": "mean width of the intervals", "model": intervals["mean_width"]}
        rows.append({**width, "meaning": "in the units of the column; narrower says more"})
    text = (
        "Each score stands beside that of an answer that looks at no sample: the median of the true values "
        "evaluated here, for every sample."
    )
    beside = {"always_the_median": "Always the median"}
    if others:
        text = "Each score stands beside those of the baselines, which predicted the same samples."
        beside = {label: label for label in others}
    page.section("Scores", f"{text} A dash is a score that these samples do not define.")
    headers = {"score": "Score", "model": "Model", **beside, "meaning": "Meaning"}
    table = add_columns(rows, MEANINGS, others)
    page.table("scores", table.reindex(columns=["score", "model", "always_the_median", *others, "meaning"]), headers)


def _scatter(page, samples, scores, name):
    from ..evaluation.calibration import COVERAGE
    from ..evaluation.charts import MAX_INTERVALS, scatter

    page.section("Predicted against true values")
    told = "Dashed: the 1:1 line, where a perfect prediction lies."
    if scores["slope"] is not None:
        told += f" Orange: linear fit, predicted = {number(scores['slope'])} × true "
        told += f"{'+' if scores['intercept'] >= 0 else '−'} {number(abs(scores['intercept']))}."
    if "lower" in samples and len(samples) <= MAX_INTERVALS:
        told += f" Grey bars: {COVERAGE:.0%} prediction intervals."
    r2 = number(scores["r2"])
    told += " Point at a sample to see its ID."
    file = page.write_table("predictions", samples.rename(columns={"sample": "sample-id"}))
    page.chart("predicted_against_true", scatter(samples, name, scores), f"R² = {r2}", told, file)


def _groups(page, samples, scores):
    from ..evaluation.charts import MAX_BARS, group_bars

    by_group = samples.dropna(subset=["group"]).groupby("group", sort=True)
    table = by_group.agg(
        samples=("error", "size"), mae=("absolute_error", "mean"), bias=("error", "mean")
    ).reset_index()
    if table.empty:
        return
    table = table.sort_values(["mae", "group"], ascending=[False, True], ignore_index=True)
    page.section(
        "Groups",
        "Samples of one group (a subject, a site, a study) are alike. When a few groups carry most of the "
        "error, look at what is different about them.",
    )
    told = f"Largest error first. Orange line: mean absolute error of all samples, {number(scores['mae'])}."
    if len(table) > MAX_BARS:
        told += f" The {MAX_BARS} worst of {len(table):,} groups."
    chart = group_bars(table, "mae", "mean absolute error", scores["mae"])
    page.chart("error_by_group", chart, "Error by group", told, "groups.tsv")
    headers = {"group": "Group", "samples": "Samples", "mae": "Mean absolute error"}
    page.table("groups", table, {**headers, "bias": "Mean of predicted − true"})


def _novelty(page, samples, name):
    from ..evaluation.charts import error_against_novelty
    from ..evaluation.metrics import regression_scores

    known = samples.dropna(subset=["unseen_read_share"])
    if known.empty:
        return
    page.section(
        "Novelty",
        "Does the model do worse on samples whose ASVs it had not seen in training? If so, trust its "
        "predictions of such samples less.",
    )
    correlation = regression_scores(known["unseen_read_share"], known["absolute_error"])["spearman"]
    told = f"Spearman correlation: {number(correlation)} (above 0: larger errors on newer samples)."
    chart = error_against_novelty(known, name)
    page.chart("error_against_novelty", chart, "Error against novelty", told, "predictions.tsv")


def _worst(page, samples):
    worst = samples.sort_values("absolute_error", ascending=False, kind="stable").head(N_WORST)
    headers = {"sample": "Sample", "true": "True", "predicted": "Predicted", "error": "Predicted − true"}
    optional = {
        "lower": "Interval from",
        "upper": "to",
        "unseen_read_share": "Reads in unseen ASVs",
        "group": "Group",
    }
    headers.update({column: heading for column, heading in optional.items() if column in worst})
    page.section("Largest errors", f"The {some(worst, 'sample')} whose prediction is the furthest off.")
    page.table("largest_errors", worst, headers)
    page.download("predictions.tsv", "all samples: predictions beside true values, and what else was given")
