"""`show-novelty`: which samples lie outside what a model knows, before their predictions are looked at."""

import pandas as pd

from q2_aam.framework import qiime2
from q2_aam.study.cautions import distance_caution, learnt_caution

from ._novelty import known_ground_of, known_ground_section, outside
from ._page import Page
from ._samples import listed, some
from ._scores import capital

MAX_COLUMNS = 8  # of the metadata, in the table


def show_novelty(output_dir: str, novelty: pd.DataFrame, sample_metadata: qiime2.Metadata = None) -> None:
    """Write a page that shows which samples lie outside what a model knows; no true values are needed.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    novelty : pandas.DataFrame
        What `predict` made, a row a sample.
    sample_metadata : qiime2.Metadata, optional
        What else is known of the samples, such as their predictions, to stand beside it.

    Raises
    ------
    ValueError
        If the metadata knows none of the samples.
    """
    frame = novelty.assign(outside=outside(novelty))
    page = Page(output_dir, "Which samples lie outside what the model knows?", f"{some(frame, 'predicted sample')}.")
    heading, definition = known_ground_of(frame)
    some_are = frame["outside"].any()
    text = capital(definition) if some_are else f"Those that do are so called because {definition}"
    page.verdict(f"{heading}.", text, "warning" if some_are else "success")
    page.cautions += [said for said in (distance_caution(novelty), learnt_caution(novelty)) if said]
    more = further_columns(page, frame.index, sample_metadata)
    known_ground_section(
        page, frame,
        "To the right, a sample is far from those that were learnt from; at the top, its ASVs were never met. Samples "
        "may hold many new ASVs and yet be near, where these are relatives of known ones.",
        "How far each sample is", more,
    )  # fmt: skip
    page.render()


def further_columns(page, samples: pd.Index, metadata) -> dict:
    """The first columns of the metadata by their names, of these samples."""
    if metadata is None:
        return {}
    table = metadata.to_dataframe()
    absent = samples.difference(table.index, sort=False)
    if len(absent) == len(samples):
        raise ValueError(
            f"None of the samples of the novelty is in the sample metadata: {listed(samples)}. Give metadata of these "
            "samples, or the predictions that came with the novelty."
        )
    if len(absent):
        page.notes.append(f"{some(absent, 'sample', True)} not in the sample metadata: {listed(absent)}.")
    left_out = list(table.columns[MAX_COLUMNS:])
    if left_out:
        page.notes.append(f"Columns of the metadata that are not in the table: {listed(left_out)}.")
    return {name: table[name].reindex(samples) for name in table.columns[:MAX_COLUMNS]}
