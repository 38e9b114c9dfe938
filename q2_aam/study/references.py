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
# Of an ASV so much has to lie on the reference: what juts out counts as neither alike nor different. Greengenes begins
# within V1, so that it cannot be all. And so many nucleotides an ASV has at least.
COVERED, SHORTEST = 0.8, 50
# Share of an ASV that may be N, and what makes a reference one that was not read.
MOST_UNREAD, UNREAD = 0.05, "N" * 10


@dataclass(frozen=True)
class Harmonized:
    """Samples as references of one region.

    Attributes
    ----------
    table : biom.Table
        References x the samples that are kept: what the ASVs that are closest to each reference had, summed up (of
        presence, whether one is there; of shares, such that they sum to 1).
    sequences : dict of str to str
        What is read of each of these references.
    matched : pd.Series
        float64, share of the reads of each of these samples that have a reference, by sample ID.
    n_references : int
        How many references hold the region.
    """

    table: biom.Table
    sequences: dict[str, str]
    matched: pd.Series
    n_references: int


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
    vsearch, values = program(), check_table(table)
    communities = read_communities(table, sequences, max_length=LONGEST, missing_features=missing_features)
    regions = regions_of(references, settings.primer, settings.length)
    asvs = communities.asv_of_feature
    closest = closest_references(vsearch, communities, {name: references[name] for name in regions}, settings)
    found = asvs[[closest[asv] is not None for asv in asvs]]
    if not len(found):
        raise ValueError(
            f"None of {len(communities.tokens)} ASVs is at least {settings.min_identity:.3g} alike (min_identity) one "
            f"of the {len(regions)} of {len(references)} references that hold the region. Are both sequences of 16S "
            "genes?"
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
    elif values == "shares":
        # Of what is left: a table of shares that do not sum to 1 is refused by everybody.
        summed = summed @ sp.diags(1 / np.asarray(summed.sum(0)).ravel())
    return Harmonized(
        biom.Table(summed, list(names), list(ids)),
        {name: regions[name] for name in names},
        pd.Series(matched, index=ids),
        len(regions),
    )


def program() -> str:
    """Where vsearch is.

    Raises
    ------
    RuntimeError
        If it is not installed.
    """
    found = shutil.which("vsearch")
    if found is None:
        raise RuntimeError(
            "The program vsearch, which finds the closest reference of each ASV, is not installed. It comes with "
            "QIIME 2's amplicon distribution; else: conda install -c bioconda vsearch (on Debian: apt install vsearch)."
        )
    return found


def samples_with_references(ids: np.ndarray, matched: np.ndarray, settings: Harmonizing) -> np.ndarray:
    """Numbers of the samples of whose reads a large enough share has a reference; others stop it, or are left out."""
    few = (matched < settings.min_matched) | (matched == 0)
    if few.any() and (few.all() or settings.unmatched_samples == "error"):
        named = name_ids([f"{ids[row]} ({matched[row]:.3g})" for row in np.flatnonzero(few)])
        ways = ["lower min_identity" if settings.min_matched == 0 else "lower min_matched or min_identity"]
        if not few.all():
            ways.append("set unmatched_samples to 'ignore' to leave these samples out")
        raise ValueError(
            f"Too small a share of the reads has a reference in {few.sum()} of {len(ids)} samples (min_matched is "
            f"{settings.min_matched:g}): {named}. What is left of them would be another community. Give references "
            f"that hold such microbes, {', or '.join(ways)}."
        )
    return np.flatnonzero(~few)


def regions_of(references: dict[str, str], primer: str, length: int) -> dict[str, str]:
    """What stands behind a primer in each reference that holds it, and so many nucleotides without ambiguity behind it.

    Raises
    ------
    ValueError
        If the primer has a letter that is no IUPAC nucleotide, or no reference holds the region.
    """
    import skbio

    primer = primer.strip().upper().replace("U", "T")
    unknown = sorted(set(primer) - skbio.DNA.definite_chars - skbio.DNA.degenerate_chars)
    if unknown:
        raise ValueError(f"primer is {primer!r}, but {', '.join(unknown)} is no letter of a nucleotide.")
    pattern = re.compile(f"{skbio.DNA(primer).to_regex().pattern}([ACGT]{{{length}}})")
    found = {name: pattern.search(text.upper().replace("U", "T")) for name, text in references.items()}
    regions = {name: match[1] for name, match in found.items() if match and UNREAD not in references[name].upper()}
    if not regions:
        raise ValueError(
            f"None of {len(references)} references holds the primer {primer} and {length} nucleotides (A, C, G or T) "
            "behind it (primer, length). Give references of the whole 16S gene, such as those of SILVA or Greengenes, "
            "not parts of it."
        )
    return regions


def closest_references(
    vsearch: str, communities: Communities, references: dict[str, str], settings: Harmonizing
) -> list[str | None]:
    """ID of the reference closest to each ASV, of either strand; None where none is close enough, or much is unread."""
    names, texts = list(references), _texts(communities)
    with TemporaryDirectory() as folder:
        # Numbers in place of IDs, which may hold anything.
        files = {name: Path(folder) / f"{name}.fasta" for name in ("queries", "references")}
        for path, written in ((files["queries"], texts), (files["references"], references.values())):
            path.write_text("".join(f">{number}\n{text}\n" for number, text in enumerate(written)))
        hits = Path(folder) / "hits.tsv"
        command = [
            vsearch, "--usearch_global", files["queries"], "--db", files["references"], "--strand", "both",
            "--userout", hits, "--userfields", "query+target", "--id", settings.min_identity,
            "--maxaccepts", ACCEPTED, "--maxrejects", REJECTED, "--maxhits", 1, "--query_cov", COVERED,
            "--maxseqlength", 10**6, "--qmask", "none", "--dbmask", "none", "--quiet",
            # Of 0 it makes all cores.
            "--threads", 0 if settings.threads == "auto" else min(settings.threads, 1024),
        ]  # fmt: skip
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"vsearch ended with code {done.returncode}: {done.stderr.strip() or 'it said nothing'}")
        closest: list[str | None] = [None] * len(texts)
        for line in hits.read_text().splitlines():
            query, target = map(int, line.split("\t"))
            closest[query] = names[target]
    # To vsearch N is like anything.
    odd = [len(text) < SHORTEST or text.count("N") > MOST_UNREAD * len(text) for text in texts]
    return [None if is_odd else name for name, is_odd in zip(closest, odd, strict=True)]


def _texts(communities: Communities) -> list[str]:
    """The ASVs' sequences."""
    letters = np.array([name if len(name) == 1 else "" for name in VOCABULARY], dtype="U1")
    return ["".join(row) for row in letters[communities.tokens]]
