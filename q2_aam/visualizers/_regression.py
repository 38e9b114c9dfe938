"""What the page of `evaluate` shows of numeric predictions."""

import pandas as pd

from ._baselines import baseline_notes, baseline_scores, baseline_verdict, gain_over
from ._columns import columns_section, columns_widget, levels_of
from ._folds import folds_section
from ._groups import INTERVAL_OF_A_GROUP, group_table
from ._novelty import error_section, known_section
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
    known_section(page, evaluation)
    _scores_table(page, evaluation, scores, others)
    if evaluation.fold_scores is not None:
        folds_section(page, evaluation.fold_scores)
    _scatter(page, samples, scores, evaluation.name)
    columns_widget(page, evaluation, ["predicted_against_true", "residuals"])
    _residuals(page, samples, evaluation.name)
    if "lower" in frame:
        _intervals(page, samples, evaluation.name)
    if "group" in frame:
        _groups(page, samples, scores)
    columns_section(page, evaluation, samples["absolute_error"], scores["mae"], "mean absolute error")
    error_section(page, samples, evaluation.name)
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


def _residuals(page, samples, name):
    from ..evaluation.error_charts import residuals

    page.section(
        "Errors",
        "Above the dashed line a prediction is too high, below it too low. Errors that fan out, bend or lie to one "
        "side tell of what the model has not learnt.",
    )
    bias, spread = float(samples["error"].mean()), float(samples["error"].std())
    caption = f"Errors are {number(bias)} on average, with a standard deviation of {number(spread)}."
    page.chart("residuals", residuals(samples, name), caption=caption, data="predictions.tsv")


def _intervals(page, samples, name):
    """Intervals ordered by width, and how often those of each width hold the true value."""
    from ..evaluation.calibration import COVERAGE
    from ..evaluation.error_charts import intervals_by_width

    widths = samples["upper"] - samples["lower"]
    text = f"Each interval should hold the true value with a probability of {COVERAGE:.0%}, be it narrow or wide."
    low, high = float(widths.min()), float(widths.max())
    alike = high - low <= 1e-6 * max(abs(high), 1e-12)
    text += f" All are {number(high)} wide here." if alike else f" They are {number(low)} to {number(high)} wide."
    page.section("Intervals", text)
    caption = f"Grey: from the lower to the upper end, less the prediction{', in the order of predictions' * alike}."
    page.chart("intervals", intervals_by_width(samples, name), caption=caption, data="predictions.tsv")
    if alike:
        return
    levels, codes = levels_of(widths)
    inside = samples["true"].between(samples["lower"], samples["upper"])
    table = pd.DataFrame({"width": pd.Categorical.from_codes(codes, levels, ordered=True), "inside": inside})
    table = table.groupby("width", observed=True)["inside"].agg(samples="size", coverage="mean").reset_index()
    table["width"] = table["width"].astype(str)
    headers = {"width": "Width of the interval", "samples": "Samples", "coverage": "Share that holds the true value"}
    page.table("coverage_by_width", table, headers, "Coverage by width")


def _groups(page, samples, scores):
    from ..evaluation.charts import MAX_BARS, group_bars

    table = group_table(samples, "mae", {"mae": ("absolute_error", "mean"), "bias": ("error", "mean")})
    if table.empty:
        return
    page.section(
        "Groups",
        "Samples of one group (a subject, a site, a study) are alike. When a few groups carry most of the "
        f"error, look at what is different about them.{INTERVAL_OF_A_GROUP}",
    )
    caption = f"Largest error first. Orange line: mean absolute error of all samples, {number(scores['mae'])}."
    if len(table) > MAX_BARS:
        caption += f" The {MAX_BARS} worst of {len(table):,} groups."
    chart = group_bars(table, "mae", "mean absolute error", scores["mae"])
    page.chart("error_by_group", chart, "Error by group", caption, "groups.tsv")
    headers = {"group": "Group", "samples": "Samples", "mae": "Mean absolute error", "low": "From", "high": "To"}
    page.table("groups", table, {**headers, "bias": "Mean of predicted − true"})


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
