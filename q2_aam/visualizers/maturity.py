"""`show-maturity`: which samples, subjects and cohorts lie above or below what is expected of controls."""

from q2_aam.types import AAMMaturityDirectoryFormat

from ._page import Page


def show_maturity(output_dir: str, maturity: AAMMaturityDirectoryFormat) -> None:
    """Write a page that shows predictions beside what is expected of controls.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    maturity : AAMMaturityDirectoryFormat
        What the action `maturity` made.
    """
    from ._maturity_sections import by_cohort, by_subject, by_value, curve, samples_table
    from ._maturity_summary import lead, notes_of, read_comparison, verdict

    comparison = read_comparison(maturity)
    page = Page(output_dir, f"Is the predicted '{comparison.target}' what is expected of controls?", lead(comparison))
    page.verdict(*verdict(comparison))
    page.notes += notes_of(comparison)
    curve(page, comparison)
    by_cohort(page, comparison)
    by_value(page, comparison)
    by_subject(page, comparison)
    samples_table(page, comparison)
    page.render()
