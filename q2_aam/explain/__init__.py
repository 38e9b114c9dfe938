"""Which microbes a predictor's predictions rest on."""

from q2_aam.explain.occlusion import Effects, groups_at, occlude
from q2_aam.explain.trust import Trust, folds_of, measure_trust

__all__ = ["Effects", "Trust", "folds_of", "groups_at", "measure_trust", "occlude"]
