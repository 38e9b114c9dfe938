"""What the page of `evaluate` shows of numeric predictions."""

from ._baselines import baseline_notes, baseline_scores, baseline_verdict, gain_over
from ._folds import folds_section
from ._page import number
from ._samples import some
from ._scores import MODEL_COLUMNS, answer, interval_note, own_outputs_note, score_table, table_intervals

N_WORST = 10  # samples listed with the largest errors


def regression_page(page, evaluation):
    """Fill the page of `evaluate` for numeric predictions.

    Parameters
    ----------
    page : Page
        To be filled; not rendered here.
    evaluation : Evaluation
        The samples.
    """
    from ..evaluation.metrics import regression_scores

    frame = evaluation.frame
    scores = regression_scores(frame["true"], frame["predicted"])
    others = baseline_scores(evaluation, "numeric")
    if others and scores["baseline"]["mae"]:
        baseline_verdict(page, evaluation, scores, others)
    else:
        _verdict(page, evaluation, scores)
    samples = frame.rename_axis("sample").reset_index()
    samples["error"] = samples["predicted"] - samples["true"]
    samples["absolute_error"] = samples["error"].abs()
    _scores_table(page, evaluation, scores, others)
    if evaluation.fold_scores is not None:
        folds_section(page, evaluation.fold_scores)
    _scatter(page, samples, scores, evaluation.name)
    if "group" in frame:
        _groups(page, samples, scores)
    if "unseen_read_share" in frame:
        _novelty(page, samples, evaluation.name)
    _worst(page, samples)


def _verdict(page, evaluation, scores):
    error, bar, name = scores["mae"], scores["baseline"]["mae"], evaluation.name
    median = number(scores["baseline"]["value"])
    if bar == 0:
        page.verdict(
            "Better than always predicting the median: unknown.",
            f"All evaluated samples have the same true value of '{name}' ({median}).",
            "info",
        )
        return
    change = 1 - error / bar
    gain_of = gain_over(evaluation, scores["baseline"]["value"], numeric=True)
    word, level, interval = answer(bar - error, evaluation, gain_of)
    page.verdict(
        f"Better than always predicting the median: {word}.",
        f"The predictions of '{name}' are off by {number(error)} on average. Predicting {median}, the "
        f"median of these samples' true values, for every sample would be off by {number(bar)}. The model's "
        f"error is {abs(change):.0%} {'smaller' if change >= 0 else 'larger'}. {interval}",
        level,
    )


def _scores_table(page, evaluation, scores, others):
    from ..evaluation.metrics import interval_scores

    frame, needs, values = evaluation.frame, ["predictions"], dict(scores)
    if "lower" in frame:
        needs.append("intervals")
        values.update(interval_scores(frame["true"], frame["lower"], frame["upper"]))
    columns = {"predictions": ("true", "predicted"), "intervals": ("true", "lower", "upper")}
    arrays = {need: [frame[name].to_numpy(dtype=float) for name in columns[need]] for need in needs}
    intervals = table_intervals("numeric", evaluation, arrays)
    text = (
        "Each score stands beside that of an answer that looks at no sample: the median of the true values "
        "evaluated here, for every sample."
    )
    headers = {"always_the_median": "Always the median"}
    if others:
        text = "Each score stands beside those of the baselines, which predicted the same samples."
        text += baseline_notes(evaluation)
        headers = {label: label for label in others}
    note = interval_note(evaluation, intervals) + own_outputs_note(evaluation)
    page.section("Scores", f"{text}{note} A dash is a score that these samples do not define.")
    table = score_table("numeric", needs, values, {"always_the_median": scores["baseline"], **others}, intervals)
    page.table("scores", table, {**MODEL_COLUMNS, **headers, "meaning": "Meaning"})


def _scatter(page, samples, scores, name):
    from ..evaluation.calibration import COVERAGE
    from ..evaluation.charts import MAX_INTERVALS, scatter

    page.section("Predicted against true values")
    caption = "Dashed: the 1:1 line, where a perfect prediction lies."
    if scores["slope"] is not None:
        caption += f" Orange: linear fit, predicted = {number(scores['slope'])} × true "
        caption += f"{'+' if scores['intercept'] >= 0 else '−'} {number(abs(scores['intercept']))}."
    if "lower" in samples and len(samples) <= MAX_INTERVALS:
        caption += f" Grey bars: {COVERAGE:.0%} prediction intervals."
    r2 = number(scores["r2"])
    caption += " Point at a sample to see its ID."
    file = page.write_table("predictions", samples.rename(columns={"sample": "sample-id"}))
    page.chart("predicted_against_true", scatter(samples, name, scores), f"R² = {r2}", caption, file)


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
    caption = f"Largest error first. Orange line: mean absolute error of all samples, {number(scores['mae'])}."
    if len(table) > MAX_BARS:
        caption += f" The {MAX_BARS} worst of {len(table):,} groups."
    chart = group_bars(table, "mae", "mean absolute error", scores["mae"])
    page.chart("error_by_group", chart, "Error by group", caption, "groups.tsv")
    headers = {"group": "Group", "samples": "Samples", "mae": "Mean absolute error"}
    page.table("groups", table, {**headers, "bias": "Mean of predicted − true"})


def _novelty(page, samples, name):
    from ..evaluation.charts import error_against_novelty
    from ..evaluation.metrics import regression_scores

    measured = samples.dropna(subset=["unseen_read_share"])
    if measured.empty:
        return
    page.section(
        "Novelty",
        "Is the model worse on samples whose ASVs it has not seen in training? If so, trust its predictions of such "
        "samples less.",
    )
    correlation = regression_scores(measured["unseen_read_share"], measured["absolute_error"])["spearman"]
    caption = f"Spearman correlation: {number(correlation)} (above 0: larger errors on samples with more unseen reads)."
    chart = error_against_novelty(measured, name)
    page.chart("error_against_novelty", chart, "Error against novelty", caption, "predictions.tsv")


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
    page.section("Largest errors", f"The {some(worst, 'sample')} with the largest errors.")
    page.table("largest_errors", worst, headers)
    page.download("predictions.tsv", "all samples, with all columns")
