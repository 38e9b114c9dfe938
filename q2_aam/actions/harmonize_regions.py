"""`harmonize_regions`: tables of any region of the 16S gene with the same features."""

import biom
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.settings import Harmonizing, Reading, of_arguments


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
    from q2_aam.study.references import harmonize

    with readable_warnings(), use_threads(settings) as threads:
        known = None if sequences is None else read_sequences(str(sequences))
        harmonized = harmonize(
            table, known, read_sequences(str(reference)), replace(settings, threads=threads), missing_features
        )
        matched, left_out = harmonized.matched, table.shape[1] - harmonized.table.shape[1]
        if left_out:
            say(f"{left_out} of {table.shape[1]} samples are left out: too few of their reads have a reference.")
        say(
            f"{table.shape[0]} features are {harmonized.table.shape[0]} references now. Of a sample's reads "
            f"{matched.median():.1%} have one (median; lowest {matched.min():.1%}, sample {matched.idxmin()})."
        )
        result = DNAFASTAFormat()
        with result.open() as file:
            file.writelines(f">{name}\n{text}\n" for name, text in harmonized.sequences.items())
    return harmonized.table, result
