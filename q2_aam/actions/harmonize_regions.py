"""`harmonize_regions`: tables of any region of the 16S gene with the same features."""

import biom
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._reporting import readable_warnings, say, warn_of
from q2_aam.settings import Harmonizing, Reading, of_arguments

# Share of the reads with a reference below which it is a warning.
FEW_MATCHED = 0.8


def harmonize_regions(
    table: biom.Table,
    reference: DNAFASTAFormat,
    sequences: DNAFASTAFormat = None,
    missing_features: str = Reading.missing_features,
    min_identity: float = Harmonizing.min_identity,
    min_matched: float = Harmonizing.min_matched,
    unmatched_samples: str = Harmonizing.unmatched_samples,
    primer: str = Harmonizing.primer,
    length: int = Harmonizing.length,
    threads: str = Harmonizing.threads,
) -> (biom.Table, DNAFASTAFormat):
    """Put references in the place of ASVs; the parameters are described where they are registered."""
    settings = of_arguments(Harmonizing, dict(locals()))

    from dataclasses import replace

    from q2_aam.encoder.device import use_threads
    from q2_aam.study.communities import read_sequences
    from q2_aam.study.references import harmonize, program

    with readable_warnings(), use_threads(settings) as threads:
        # Before half a million sequences are read.
        program()
        known = None if sequences is None else read_sequences(str(sequences))
        genes = read_sequences(str(reference))
        harmonized = harmonize(table, known, genes, replace(settings, threads=threads), missing_features)
        matched, left_out = harmonized.matched, table.shape[1] - harmonized.table.shape[1]
        say(f"{harmonized.n_references} of {len(genes)} references hold the region.")
        say(
            f"{table.shape[0]} features are {harmonized.table.shape[0]} references now. Of a sample's reads "
            f"{matched.median():.1%} have one (median; lowest {matched.min():.1%}, sample {matched.idxmin()})."
        )
        if left_out:
            warn_of([f"{left_out} of {table.shape[1]} samples are left out: too few of their reads have a reference."])
        if matched.median() < FEW_MATCHED:
            warn_of([f"In half of the samples no more than {matched.median():.0%} of the reads have a reference."])
        result = DNAFASTAFormat()
        with result.open() as file:
            file.writelines(f">{name}\n{text}\n" for name, text in harmonized.sequences.items())
    return harmonized.table, result
