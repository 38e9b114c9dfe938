"""Which microbes a predictor's predictions rest on."""

from q2_aam.explain.clusters import cluster_asvs
from q2_aam.explain.groups import Groups, clades_of, groups_at
from q2_aam.explain.occlusion import Effects, occlude
from q2_aam.explain.trust import Trust, folds_of, measure_trust

__all__ = [
    "Effects",
    "Groups",
    "Trust",
    "clades_of",
    "cluster_asvs",
    "folds_of",
    "groups_at",
    "measure_trust",
    "occlude",
]
