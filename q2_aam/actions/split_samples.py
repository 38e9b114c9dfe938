"""`split_samples`: a table in two, one part to learn from and one to judge by."""

import biom

from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.settings import Reading, Splitting, of_arguments


def split_samples(
    table: biom.Table,
    metadata: qiime2.MetadataColumn,
    groups: qiime2.CategoricalMetadataColumn = None,
    share: float = Splitting.share,
    missing_samples: str = Reading.missing_samples,
    random_seed: int = Splitting.random_seed,
) -> (biom.Table, biom.Table):
    """Split a table; the parameters are described where they are registered."""
    arguments = dict(locals())
    settings, reading = of_arguments(Splitting, arguments), of_arguments(Reading, arguments)

    from q2_aam.study.parts import samples_with_values, split_table

    with readable_warnings():
        values = metadata.to_series()
        members = None if groups is None else groups.to_series()
        table = samples_with_values(table, values, members, missing_samples=reading.missing_samples)
        train, test = split_table(table, values, members, settings.share, settings.random_seed)
        say(f"Samples to learn from: {train.shape[1]}, to judge by: {test.shape[1]}.")
    return train, test
