"""Genes that simulated sequences could have been cut out of, to harmonize tables by."""

from pathlib import Path

from q2_aam.simulation.phylogeny import NUCLEOTIDES, profile

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
    usual = NUCLEOTIDES[profile(REGION).argmax(1)].tobytes().decode()
    # Simulated sequences are of V4: where one ends, what is most frequent there follows.
    genes = {f"gene-{name}": text + PRIMER + text[:REGION] + usual[len(text) :] for name, text in sequences.items()}
    path = Path(path)
    path.write_text("".join(f">{name}\n{text}\n" for name, text in genes.items()))
    return path
