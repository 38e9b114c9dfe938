"""What the page of `summarize-model` shows of an encoder."""

import pandas as pd

from ._model_facts import (
    HASHES,
    READY_PAGE,
    agreement,
    command,
    distances_of,
    is_ready,
    lengths_facts,
    samples_facts,
    which_encoder,
)
from ._page import Page

PARTS = {"train": "Training samples", "val": "Validation samples"}


def encoder_page(output_dir: str, encoder) -> Page:
    """The page of an encoder, without settings; not rendered here.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    encoder : Encoder
    """
    data, distances = encoder.description.data, distances_of(encoder)
    lead = "An encoder places samples by the sequences of their ASVs"
    lead += f", such that distances between them are near {distances}." if distances else "."
    page = Page(output_dir, "What is in this model? (encoder)", f"{lead} By itself it predicts no metadata column.")
    found = agreement(encoder)
    if found is None:
        page.verdict("How near its distances are to UniFrac is not in the file.", "", "warning")
    else:
        text = "1 is perfect for r, 0 for RMSE. These samples are of studies that it has read: of others expect less."
        page.verdict(f"Predicted and exact distances: {found}.", text, "info")
    ready = is_ready(encoder.description.sha256)
    page.section("What it has read")
    studies = data.get("studies")
    studies = [study for study in studies if isinstance(study, dict)] if isinstance(studies, list) else []
    further = {"Studies": len(studies)} if studies else {}
    before = encoder.description.encoder
    page.facts({
        **({"Which one": which_encoder({"sha256": encoder.description.sha256})} if ready else {}),
        "Distances": distances,
        **samples_facts(data, further),
        "ASVs that it has read": len(encoder.seen_asvs),
        "ASVs read of a sample, at most": encoder.description.token_limit,
        **lengths_facts(data, encoder.max_length),
        "Region": f"not in the file; for this encoder see {READY_PAGE}" if ready else None,
        "It began with": "random weights" if before is None else which_encoder(before),
    })  # fmt: skip
    if studies:
        frame = pd.DataFrame(studies).reindex(columns=["name", "samples"])
        page.table("studies", frame, {"name": "Study", "samples": "Samples"}, "Studies")
    _scores(page, encoder.description.scores)
    _held(page, encoder, len(studies))
    _limits(page, distances)
    page.section(
        "Commands", "Fit it to a metadata column, without a phylogeny; then predict new samples with what comes out."
    )
    page.command(
        command(
            "fit",
            "--i-table table.qza --i-sequences rep-seqs.qza --i-encoder encoder.qza",
            "--m-metadata-file metadata.tsv --m-metadata-column COLUMN",
            "--o-model model.qza --o-predictions out-of-fold.qza --o-certainty out-of-fold-certainty.qza",
        )
    )
    return page


def _scores(page, scores):
    names = dict.fromkeys(name.split("/", 1)[1] for name in scores if name.startswith(tuple(f"{p}/" for p in PARTS)))
    if not names:
        return
    rows = [{"name": name, **{part: scores.get(f"{part}/{name}") for part in PARTS}} for name in names]
    frame = pd.DataFrame(rows, columns=["name", *PARTS], dtype=object).dropna(axis="columns", how="all")
    page.section(
        "How well it learnt",
        "Losses are better the lower they are. Validation samples were not learnt from, but picked the best epoch. "
        "unifrac_r and unifrac_rmse compare predicted distances with exact ones.",
    )
    page.table("scores", frame, {column: {"name": "Name", **PARTS}[column] for column in frame})


def _held(page, encoder, studies):
    rows = [
        ("Hashes of the ASVs that it has read", len(encoder.seen_asvs), f"Not which sample held them. {HASHES}"),
        ("Weights of the network", _weights(encoder), "Learnt from all samples together."),
        ("Single samples", 0, "No sample, no sample ID, no sequence and no metadata is in the file."),
    ]
    if studies:
        rows.append(("Names of studies", studies, "With the numbers of their samples, and of what was left out."))
    page.section("What of its samples the file holds", "Mind this before you publish a model of confidential samples.")
    frame = pd.DataFrame(rows, columns=["what", "number", "meaning"])
    page.table("held", frame, {"what": "What", "number": "How many", "meaning": "What that means"})


def _weights(encoder) -> int:
    return sum(weight.numel() for weight in encoder.network.state_dict().values())


def _limits(page, distances):
    page.section("What it should not be used for", points=[
        "To predict a metadata column by itself: fit it first.",
        "For another gene, or another region of it, than it has read: its distances mean nothing there.",
        f"In place of exact {distances or 'UniFrac'} where the size of a distance matters, or beside exact distances "
        "of other studies: its distances are near, not the same.",
        "To say how well it does on samples that it has read: judge it by others.",
    ])  # fmt: skip
