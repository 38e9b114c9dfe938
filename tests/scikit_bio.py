"""What scikit-bio calls otherwise from one release to the next."""

from inspect import signature

from skbio.diversity.beta import unweighted_unifrac


def tips_of_columns(names) -> dict:
    """How UniFrac is told the tips of a table's columns: ``otu_ids`` up to scikit-bio 0.6, then ``taxa``."""
    return {"taxa" if "taxa" in signature(unweighted_unifrac).parameters else "otu_ids": names}
