"""What the page of `summarize-model` shows of a regressor or classifier."""

import pandas as pd

from q2_aam.untrusted import is_integer

from ._model_facts import agreement, command, distances_of, lengths_facts, quoted, samples_facts, which_encoder
from ._page import Page, number
from ._predictor_limits import class_sizes, held_section, limits_section, model_cautions, spread_facts
from ._predictor_scores import calibration_section, scores_section, scores_verdict, stage_scores
from ._samples import some

TRANSFORMS = {
    "none": "as it is",
    "zscore": "in standard deviations from the mean",
    "minmax": "from 0 (lowest) to 1 (highest)",
    "log1p": "as log(1 + value), in standard deviations from the mean",
}
DECISIONS = {
    "balanced": "the one that stands out if classes count alike, as in balanced accuracy",
    "likeliest": "the one of the highest probability",
}


def predictor_page(output_dir: str, predictor) -> Page:
    """The page of a fitted model, without settings; not rendered here.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    predictor : Predictor
    """
    target, samples = predictor.target, predictor.description.data.get("training_samples")
    what = "the number" if target.kind == "numeric" else "the class"
    beside = "" if predictor.covariates is None else f" and {some(predictor.covariates.columns, 'covariate')}"
    learnt = f" It learnt from {some(samples, 'sample')}." if is_integer(samples) else ""
    lead = f"It predicts {what} '{target.name}' of a sample from its ASVs{beside}.{learnt}"
    page = Page(output_dir, f"What is in this model? ({predictor.description.kind} of '{target.name}')", lead)
    page.cautions = model_cautions(predictor)
    scores_verdict(page, predictor)
    _target(page, predictor)
    _samples(page, predictor)
    _sequences(page, predictor)
    if predictor.covariates is not None:
        _covariates(page, predictor.covariates)
    scores_section(page, predictor)
    calibration_section(page, predictor)
    limits_section(page, predictor)
    held_section(page, predictor)
    _method(page, predictor)
    _commands(page, predictor)
    return page


def _target(page, predictor):
    target = predictor.target
    page.section("What it predicts")
    facts = {"Column": target.name}
    if target.kind == "numeric":
        facts |= {"Kind": "a number", "Units": "those of the column; the file does not name them"}
        facts |= {"Learnt": TRANSFORMS[target.transform], **spread_facts(target)}
    else:
        facts |= {"Kind": f"one of {len(target.classes)} classes"}
        facts |= {"Class that is named": DECISIONS[predictor.calibration.decision]}
    covariates = "none" if predictor.covariates is None else ", ".join(predictor.covariates.names)
    page.facts({**facts, "Covariates that it needs": covariates})
    if target.kind == "categorical":
        frame = pd.DataFrame({"class": target.classes, "share": target.class_shares})
        headers = {"class": "Class", "samples": "Samples", "share": "Share"}
        if (sizes := class_sizes(predictor)) is None:
            del headers["samples"]
        frame = frame.assign(samples=sizes)[list(headers)]
        page.table("classes", frame, headers, "Classes of the samples that it learnt from")


def _samples(page, predictor):
    groups = None
    # Models of before say it of the intervals alone.
    for known in (predictor.description.data, predictor.calibration.intervals or {}):
        if groups is None and "groups" in known:
            groups = "none were given" if known["groups"] is None else known["groups"]
    page.section("What it learnt from")
    page.facts({
        **samples_facts(predictor.description.data, {"Groups": groups}),
        "ASVs that it learnt from": len(predictor.seen_asvs),
        "ASVs read of a sample, at most": predictor.description.token_limit,
    })  # fmt: skip


def _sequences(page, predictor):
    from ..evaluation.charts import nucleotide_shares

    beginning, region, usual = predictor.beginning, None, None
    if beginning is not None:
        usual = beginning.usual
        region = beginning.region() or "not one that is known here (V4, V3, V1 from their usual primers)"
    page.section("Region and trim", "New sequences must be of the same region and length.")
    lengths = lengths_facts(predictor.description.data, predictor.encoder.max_length)
    page.facts({**lengths, "Region": region, "They begin (N: they differ)": usual})
    if beginning is not None:
        page.section(
            "How its sequences begin",
            "Reads of one primer begin alike, whatever microbe they are of. The region is told by that.",
        )
        page.chart("beginning", nucleotide_shares(beginning.shares))


def _covariates(page, covariates):
    rows = []
    for column in covariates.columns:
        numeric = column.kind == "numeric"
        categories = ", ".join(name for name in column.categories if name is not None)
        filled = f"read as the median, {number(column.imputed)}" if numeric else "read as a category of their own"
        rows.append({
            "name": column.name,
            "kind": "number" if numeric else "category",
            "values": f"{number(column.lowest)} to {number(column.highest)}" if numeric else categories,
            "missing": filled if column.imputes else "refused",
        })  # fmt: skip
    headers = {"name": "Column", "kind": "Kind", "values": "Learnt from", "missing": "Missing values"}
    page.section("Covariates", "New samples need these metadata columns, under these names and in the same units.")
    page.table("covariates", pd.DataFrame(rows), headers)


def _method(page, predictor):
    """What the encoder and the head do."""
    encoder, tuned = predictor.encoder, stage_scores(predictor.description)[0] == "validation"
    known = predictor.description.encoder or {}
    steps = "The encoder describes a sample by its ASVs; the head predicts from that."
    page.section("How it predicts", f"{steps} {predictor.head.describe()}")
    page.facts({
        "Head": predictor.description.head,
        "Encoder": which_encoder(known) if known else None,
        "Tuned to the column": "yes" if tuned else "no",
        "Distances that it has learnt": distances_of(encoder),
        f"Predicted and exact distances{', before it was tuned' if tuned else ''}": agreement(encoder),
        "Samples that it has read": encoder.description.data.get("training_samples"),
    })  # fmt: skip


def _commands(page, predictor):
    page.section("Commands", "Predict new samples; where their true values are known, look how good that was.")
    covariates = ["--m-covariates-file new-metadata.tsv"] * (predictor.covariates is not None)
    page.command(
        command(
            "predict",
            "--i-table new-table.qza --i-sequences new-rep-seqs.qza --i-model model.qza",
            *covariates,
            "--o-predictions predictions.qza --o-certainty certainty.qza --o-novelty novelty.qza",
        )
    )
    page.command(
        command(
            "evaluate",
            "--i-predictions predictions.qza --i-certainty certainty.qza --i-novelty novelty.qza",
            f"--m-metadata-file new-metadata.tsv --m-metadata-column {quoted(predictor.target.name)}",
            "--o-visualization evaluation.qzv",
        )
    )
