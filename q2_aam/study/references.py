"""ASVs of any region of the 16S gene as their closest reference sequences, which are read in one region."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp

from q2_aam.settings import LONGEST, ON_MISSING, Harmonizing
from q2_aam.study.communities import Communities, read_communities
from q2_aam.study.tables import check_table, name_ids
from q2_aam.study.tokenizer import VOCABULARY

# References that vsearch compares with an ASV in full, those with most 8-mers in common first: it takes the closest of
# eight that are close enough, and gives up when so many are not.
ACCEPTED, REJECTED = 8, 64
# Letters of degenerate nucleotides as patterns.
DEGENERATE = {
    "R": "[AG]", "Y": "[CT]", "S": "[CG]", "W": "[AT]", "K": "[GT]", "M": "[AC]",
    "B": "[CGT]", "D": "[AGT]", "H": "[ACT]", "V": "[ACG]", "N": "[ACGT]",
}  # fmt: skip


@dataclass(frozen=True)
class Harmonized:
    """Samples as references of one region.

    Attributes
    ----------
    table : biom.Table
        References x the samples that are kept: what the ASVs that are closest to each reference had, summed up (of
        presence, whether one is there).
    sequences : dict of str to str
        What is read of each of these references.
    matched : pd.Series
        float64, share of the reads of each of these samples that have a reference, by sample ID.
    """

    table: biom.Table
    sequences: dict[str, str]
    matched: pd.Series


def harmonize(
    table: biom.Table,
    sequences: dict[str, str] | None,
    references: dict[str, str],
    settings: Harmonizing,
    missing_features: str = ON_MISSING,
) -> Harmonized:
    """Put the closest reference in the place of each ASV, and one region of it in the place of its sequence.

    Tables of different regions, primers or read lengths have the same features then. ASVs of any region are found on
    references that hold the whole gene, and what is read of these (by default the 150 nucleotides behind primer 515F,
    V4, which the ready encoder knows best) is the same for all.

    Parameters
    ----------
    table : biom.Table
        Features x samples.
    sequences : dict of str to str, or None
        Sequence of each feature ID; None where the IDs are themselves the sequences.
    references : dict of str to str
        16S genes, full length or nearly so, by their IDs.
    settings : Harmonizing
    missing_features : {'error', 'ignore'}
        What to do about features without a sequence.

    Returns
    -------
    Harmonized

    Raises
    ------
    ValueError
        If a table or sequence cannot be read, if no reference holds the region, or if less than ``min_matched`` of the
        reads of a sample have a reference (of all samples, where these are left out).
    RuntimeError
        If vsearch is not installed.

    References
    ----------
    Rognes T et al. (2016). VSEARCH: a versatile open source tool for metagenomics. PeerJ 4:e2584.

    Examples
    --------
    >>> gene = "GATGAACGCTGGCGGTGTGC" * 3 + "GTGCCAGCAGCCGCGGTAA" + "TACGTAGGGTGCAAGCGTTG" * 8
    >>> other = gene.replace("TACGTAGG", "TACGGAGG").replace("GGTGTGC", "GCATGCC")
    >>> table = biom.Table(np.array([[5, 0], [2, 9]]), [gene[:60], other[:60]], ["s1", "s2"])
    >>> harmonized = harmonize(table, None, {"g1": gene, "g2": other}, Harmonizing(length=60))
    >>> list(harmonized.table.ids("observation")), harmonized.sequences["g2"][:8], harmonized.matched.tolist()
    (['g1', 'g2'], 'TACGGAGG', [1.0, 1.0])
    """
    vsearch = shutil.which("vsearch")
    if vsearch is None:
        raise RuntimeError(
            "The program vsearch, which finds the closest reference of each ASV, is not installed. It comes with "
            "QIIME 2's amplicon distribution; else: conda install -c bioconda vsearch (on Debian: apt install vsearch)."
        )
    values = check_table(table)
    communities = read_communities(table, sequences, max_length=LONGEST, missing_features=missing_features)
    regions = regions_of(references, settings.primer, settings.length)
    texts = _texts(communities)
    closest = closest_references(vsearch, texts, {name: references[name] for name in regions}, settings)

    asvs = communities.asv_of_feature
    found = asvs[[closest[asv] is not None for asv in asvs]]
    if not len(found):
        raise ValueError(
            f"None of the {len(texts)} ASVs is at least {settings.min_identity:.0%} alike one of {len(regions)} "
            "references. Are both sequences of 16S genes?"
        )
    # Not the communities' counts, which are of single precision.
    counts = table.matrix_data[pd.Index(table.ids("observation")).get_indexer(found.index)]
    ids, total = table.ids(), np.asarray(table.matrix_data.sum(0)).ravel()
    matched = np.asarray(counts.sum(0)).ravel() / total
    kept = samples_with_references(ids, matched, settings)
    counts, ids, matched = counts[:, kept], ids[kept], matched[kept]
    names, place = np.unique(np.array([closest[asv] for asv in found], dtype=object), return_inverse=True)
    summed = sp.csr_matrix((np.ones(len(found)), (place, np.arange(len(found)))), (len(names), len(found))) @ counts
    held = np.flatnonzero(summed.getnnz(1))
    names, summed = names[held], summed[held]
    if values == "presence":
        summed.data[:] = 1
    return Harmonized(
        biom.Table(summed, list(names), list(ids)),
        {name: regions[name] for name in names},
        pd.Series(matched, index=ids),
    )


def samples_with_references(ids: np.ndarray, matched: np.ndarray, settings: Harmonizing) -> np.ndarray:
    """Numbers of the samples of whose reads a large enough share has a reference; others stop it, or are left out."""
    few = (matched < settings.min_matched) | (matched == 0)
    if few.any() and (few.all() or settings.unmatched_samples == "error"):
        named = name_ids([f"{ids[row]} ({matched[row]:.0%})" for row in np.flatnonzero(few)])
        raise ValueError(
            f"Less than {settings.min_matched:.0%} of the reads have a reference in {few.sum()} of {len(ids)} samples: "
            f"{named}. What is left of them would be another community. Give references that hold such microbes, lower "
            "min_matched or min_identity, or set unmatched_samples to 'ignore' to leave these samples out."
        )
    return np.flatnonzero(~few)


def regions_of(references: dict[str, str], primer: str, length: int) -> dict[str, str]:
    """What stands behind a primer in each reference that holds it, and so many nucleotides without ambiguity behind it.

    Raises
    ------
    ValueError
        If the primer has a letter that is no IUPAC nucleotide, or no reference holds the region.
    """
    primer = primer.upper().replace("U", "T")
    unknown = sorted(set(primer) - {*DEGENERATE, *"ACGT"})
    if unknown:
        raise ValueError(f"primer is {primer!r}, but {', '.join(unknown)} is no letter of a nucleotide.")
    pattern = re.compile("".join(DEGENERATE.get(letter, letter) for letter in primer) + f"([ACGT]{{{length}}})")
    found = {name: pattern.search(text.upper().replace("U", "T")) for name, text in references.items()}
    regions = {name: match[1] for name, match in found.items() if match}
    if not regions:
        raise ValueError(
            f"None of {len(references)} references holds {length} nucleotides (A, C, G or T) behind the primer "
            f"{primer}. Give references of the whole 16S gene, such as those of SILVA or Greengenes, not parts of it."
        )
    return regions


def closest_references(
    vsearch: str, texts: list[str], references: dict[str, str], settings: Harmonizing
) -> list[str | None]:
    """ID of the reference closest to each sequence, of either strand; None where none is close enough."""
    names = list(references)
    with TemporaryDirectory() as folder:
        # Numbers in place of IDs, which may hold anything.
        files = {name: Path(folder) / f"{name}.fasta" for name in ("queries", "references")}
        for path, written in ((files["queries"], texts), (files["references"], references.values())):
            path.write_text("".join(f">{number}\n{text}\n" for number, text in enumerate(written)))
        hits = Path(folder) / "hits.tsv"
        command = [
            vsearch, "--usearch_global", files["queries"], "--db", files["references"], "--strand", "both",
            "--userout", hits, "--userfields", "query+target", "--id", settings.min_identity,
            "--maxaccepts", ACCEPTED, "--maxrejects", REJECTED, "--maxhits", 1, "--minseqlength", 1,
            "--qmask", "none", "--dbmask", "none", "--quiet",
            # Of 0 it makes all cores.
            "--threads", 0 if settings.threads == "auto" else settings.threads,
        ]  # fmt: skip
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"vsearch ended with code {done.returncode}: {done.stderr.strip() or 'it said nothing'}")
        closest: list[str | None] = [None] * len(texts)
        for line in hits.read_text().splitlines():
            query, target = map(int, line.split("\t"))
            closest[query] = names[target]
    return closest


def _texts(communities: Communities) -> list[str]:
    """The ASVs' sequences."""
    letters = np.array([name if len(name) == 1 else "" for name in VOCABULARY], dtype="U1")
    return ["".join(row) for row in letters[communities.tokens]]
