"""Which microbes a predictor's predictions rest on."""

from q2_aam.explain.occlusion import Effects, groups_at, occlude

__all__ = ["Effects", "groups_at", "occlude"]
