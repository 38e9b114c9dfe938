"""Which microbes a predictor's predictions rest on."""

from q2_aam.explain.occlusion import Effects, occlude

__all__ = ["Effects", "occlude"]
