"""Genes that simulated sequences could have been cut out of, to harmonize tables by."""

from pathlib import Path

PRIMER = "GTGCCAGCAGCCGCGGTAA"
# Nucleotides behind it.
REGION = 150


def write_genes(sequences: dict[str, str], path: str | Path) -> Path:
    """Write a FASTA file of a gene for each sequence, which holds it, and behind it primer 515F and a region to read.

    Parameters
    ----------
    sequences : dict of str to str
        By feature ID; the genes are named after them.
    path : str or Path

    Returns
    -------
    Path
        `path`.
    """
    genes = {}
    for name, text in sequences.items():
        behind = text[::-1] * (1 + REGION // len(text))
        genes[f"gene-{name}"] = text + PRIMER + behind[:REGION]
    path = Path(path)
    path.write_text("".join(f">{name}\n{text}\n" for name, text in genes.items()))
    return path
